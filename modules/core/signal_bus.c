/* SPDX-License-Identifier: MIT */
/*
 * Files that are mapped and cannot be read (signal.h). The handler runs wherever the memory was
 * touched: nothing but system calls that signal-safety(7) allows, and no memory but its stack.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "core/signal.h"

enum {
    LINE = 4608,
    DIGITS = 20,
    HEX = 16,
    FIELDS = 5 /* in front of the path in a line of maps */
};

static uint64_t hex(const char **p)
{
    uint64_t n = 0;
    for (;; (*p)++) {
        char c = **p;
        if (c >= '0' && c <= '9') {
            n = n * HEX + (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            n = n * HEX + (uint64_t)(c - 'a') + 10;
        } else {
            return n;
        }
    }
}

/* "START-END PERMISSIONS OFFSET DEVICE INODE PATH": the path if addr lies there, and where in the
 * file it is. */
static const char *look(const char *line, uint64_t addr, uint64_t *at)
{
    const char *p = line;
    uint64_t start = hex(&p);
    uint64_t end = *p == '-' ? (p++, hex(&p)) : 0;
    if (addr < start || addr >= end) {
        return NULL;
    }
    for (int field = 1; field < FIELDS; field++) {
        p = strchr(p, ' ');
        if (!p) {
            return NULL;
        }
        p += strspn(p, " ");
        if (field == 2) {
            *at = hex(&p) + (addr - start);
        }
    }
    p = strchr(p, ' ');
    p = p ? p + strspn(p, " ") : "";
    return *p == '/' ? p : NULL;
}

/* The file that is mapped at addr, as text in line; NULL: none, or it cannot be told. */
static const char *find(char line[LINE], uint64_t addr, uint64_t *at)
{
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    const char *path = NULL;
    size_t n = 0;
    ssize_t got;
    while (fd >= 0 && !path && (got = read(fd, line + n, LINE - 1 - n)) > 0) {
        n += (size_t)got;
        char *end;
        line[n] = '\0';
        while (!path && (end = memchr(line, '\n', n)) != NULL) {
            *end = '\0';
            path = look(line, addr, at);
            if (!path) {
                n -= (size_t)(end + 1 - line);
                memmove(line, end + 1, n);
            }
        }
        n = n == LINE - 1 ? 0 : n; /* no path is so long */
    }
    if (fd >= 0) {
        close(fd);
    }
    return path;
}

static void say(const char *text)
{
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    (void)n; /* there is nobody to tell */
}

static void say_number(uint64_t n)
{
    char text[DIGITS + 1];
    size_t at = DIGITS;
    text[at] = '\0';
    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    say(text + at);
}

static void on_bus(int signum, siginfo_t *info, void *context)
{
    char line[LINE];
    uint64_t at = 0;
    (void)signum, (void)context;
    const char *path = find(line, (uint64_t)(uintptr_t)info->si_addr, &at);
    if (!path) {
        return; /* no file: it happens again, and ends us as it always did */
    }
    say("netkit: error: ");
    say(path);
    say(" cannot be read at byte ");
    say_number(at);
    say(": the disk failed, or somebody cut the file off. Nothing goes on without it\n");
    _exit(NK_EXIT_IO);
}

int nk_signal_bus(void)
{
    struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}
