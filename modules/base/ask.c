/* SPDX-License-Identifier: MIT */
#include "base/ask.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"

/* A terminal that is being asked. */
struct terminal {
    int fd;
    int signals; /* readable as soon as a signal is held back */
};

/* What may end or stop the program while a terminal has no echo. */
static const int held[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

/* -EINTR when a signal came; then there may be more to read. */
static int wait_for_input(const struct terminal *t)
{
    struct pollfd v[] = {{.fd = t->fd, .events = POLLIN}, {.fd = t->signals, .events = POLLIN}};
    if (poll(v, sizeof(v) / sizeof(*v), -1) < 0) {
        return -errno;
    }
    return v[1].revents ? -EINTR : 0;
}

/* A line from the terminal, byte by byte so that no library keeps a copy. */
static int read_line(const struct terminal *t, char *line, size_t max, size_t *len)
{
    size_t n = 0;
    for (;;) {
        char c;
        int rc = wait_for_input(t);
        if (rc < 0) {
            return rc;
        }
        ssize_t got = read(t->fd, &c, 1);
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            return -ECANCELED; /* the end: nobody wants to give one */
        }
        if (c == '\n') {
            *len = n;
            return 0;
        }
        if (n < max) {
            line[n++] = c;
        }
    }
}

static int say(int tty, const char *text)
{
    return write(tty, text, strlen(text)) < 0 ? -errno : 0;
}

/* Ask without echo; however this ends, the terminal is as it was. */
static int ask_quietly(const struct terminal *t, const char *question, struct nk_secret *out)
{
    struct termios before, quiet;
    char line[NK_ASK_MAX + 1];
    size_t n = 0;
    if (tcgetattr(t->fd, &before) < 0) {
        return -errno;
    }
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    if (tcsetattr(t->fd, TCSAFLUSH, &quiet) < 0) {
        return -errno;
    }
    int rc = say(t->fd, question);
    rc = rc < 0 ? rc : read_line(t, line, sizeof(line), &n);
    if (tcsetattr(t->fd, TCSAFLUSH, &before) < 0 && rc == 0) {
        rc = -errno;
    }
    int said = say(t->fd, "\n"); /* the one that was typed was not shown */
    rc = rc < 0 ? rc : said;
    rc = rc < 0 ? rc : nk_secret_set(out, line, n);
    nk_wipe(line, sizeof(line));
    return rc;
}

/*
 * Signals are held back while there is no echo. One that comes is not taken from the descriptor
 * that tells of it: once the terminal is as it was, it does what it does, which mostly is the end
 * of the program. After SIGTSTP, or where it is ignored, the question is asked again.
 */
static int ask(int tty, const char *question, struct nk_secret *out)
{
    sigset_t hold, before;
    (void)sigemptyset(&hold);
    for (size_t i = 0; i < sizeof(held) / sizeof(*held); i++) {
        (void)sigaddset(&hold, held[i]);
    }
    struct terminal t = {.fd = tty, .signals = signalfd(-1, &hold, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (t.signals < 0) {
        return -errno;
    }
    int rc;
    do {
        if (sigprocmask(SIG_BLOCK, &hold, &before) < 0) {
            rc = -errno;
            break;
        }
        rc = ask_quietly(&t, question, out);
        (void)sigprocmask(SIG_SETMASK, &before, NULL); /* SIG_SETMASK is valid: it cannot fail */
    } while (rc == -EINTR);
    (void)close(t.signals);
    return rc;
}

/* One that passes the check, and the same twice when it is new. */
static int ask_once(int tty, const struct nk_ask *q, struct nk_secret *out, struct nk_diag *diag)
{
    struct nk_secret again = {0};
    int rc = ask(tty, q->question, out);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "no %s", q->what);
    }
    rc = q->check ? q->check(q->arg, out, diag) : 0;
    if (rc == 0 && q->is_new) {
        rc = ask(tty, "once more: ", &again);
        bool same =
            again.len == out->len && (out->len == 0 || nk_secret_eq(&again, out->data, out->len));
        if (rc < 0) {
            nk_fail_sys(diag, rc, "no %s", q->what);
        } else if (!same) {
            rc = nk_fail(diag, NK_EUSAGE, "the two %ss are not the same", q->what);
        }
    }
    nk_secret_clear(&again);
    return rc;
}

int nk_ask_secret(const struct nk_ask *q, struct nk_secret *out, struct nk_diag *diag)
{
    struct nk_secret s = {0};
    struct nk_diag why;
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0) {
        nk_fail(diag, NK_EUSAGE, "there is no terminal to ask for the %s", q->what);
        nk_hint(diag, "%s", q->hint);
        return NK_EUSAGE;
    }
    int rc = ask_once(tty, q, &s, &why);
    for (int i = 1; i < NK_ASK_TRIES && (rc == NK_EUSAGE || rc == NK_EAUTH); i++) {
        rc = say(tty, why.text);
        rc = rc < 0 ? rc : say(tty, "\n");
        rc = rc < 0 ? nk_fail_sys(&why, rc, "no %s", q->what) : ask_once(tty, q, &s, &why);
    }
    (void)close(tty);
    if (rc < 0) {
        nk_secret_clear(&s);
        if (diag) {
            *diag = why;
        }
        return rc;
    }
    nk_secret_clear(out);
    *out = s;
    return 0;
}

int nk_secret_line(int fd, struct nk_secret *out, struct nk_diag *diag)
{
    struct nk_buf b;
    nk_buf_init_secret(&b, NK_ASK_MAX + 2);
    int rc = nk_file_read_fd(fd, &b, diag);
    if (rc == 0) {
        const char *text = (const char *)nk_buf_ptr(&b);
        size_t n = 0;
        while (n < nk_buf_len(&b) && text[n] != '\n' && text[n] != '\r') {
            n++;
        }
        rc = nk_secret_set(out, text, n);
        if (rc < 0) {
            nk_fail_sys(diag, rc, "the secret");
        }
    }
    nk_buf_clear(&b);
    return rc;
}
