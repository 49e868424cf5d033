/* SPDX-License-Identifier: MIT */
#include "hs/password.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"

static int check(const struct nk_secret *s, bool is_new, struct nk_diag *diag)
{
    if (s->len == 0) {
        return nk_fail(diag, NK_EUSAGE, "the password is empty");
    }
    if (s->len > HS_PASSWORD_MAX) {
        return nk_fail(diag, NK_EUSAGE, "the password is longer than %u bytes", HS_PASSWORD_MAX);
    }
    if (is_new && s->len < HS_PASSWORD_MIN) {
        return nk_fail(diag, NK_EUSAGE, "the password is shorter than %u characters",
                       HS_PASSWORD_MIN);
    }
    return 0;
}

/* The first line of what the descriptor gives. */
static int from_fd(int fd, struct nk_secret *out, struct nk_diag *diag)
{
    struct nk_buf b;
    nk_buf_init_secret(&b, HS_PASSWORD_MAX + 2);
    int rc = nk_file_read_fd(fd, &b, diag);
    if (rc == 0) {
        const char *text = (const char *)nk_buf_ptr(&b);
        size_t n = 0;
        while (n < nk_buf_len(&b) && text[n] != '\n' && text[n] != '\r') {
            n++;
        }
        rc = nk_secret_set(out, text, n);
        if (rc < 0) {
            nk_fail_sys(diag, rc, "the password");
        }
    }
    nk_buf_clear(&b);
    return rc;
}

/* --- the terminal ------------------------------------------------------------------------------
 */

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
    char line[HS_PASSWORD_MAX + 1];
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
static int ask_once(int tty, bool is_new, struct nk_secret *out, struct nk_diag *diag)
{
    struct nk_secret again = {0};
    int rc = ask(tty, "password of the backup: ", out);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "no password");
    }
    rc = check(out, is_new, diag);
    if (rc == 0 && is_new) {
        rc = ask(tty, "once more: ", &again);
        if (rc == 0 && !nk_secret_eq(&again, out->data, out->len)) {
            rc = nk_fail(diag, NK_EUSAGE, "the two passwords are not the same");
        } else if (rc < 0) {
            nk_fail_sys(diag, rc, "no password");
        }
    }
    nk_secret_clear(&again);
    return rc;
}

static int from_terminal(bool is_new, struct nk_secret *out, struct nk_diag *diag)
{
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0) {
        int rc = nk_fail(diag, NK_EUSAGE, "there is no terminal to ask for the password");
        nk_hint(diag, "use --password-file or --password-fd");
        return rc;
    }
    struct nk_diag why;
    int rc = ask_once(tty, is_new, out, &why);
    for (int i = 1; i < HS_PASSWORD_TRIES && rc == NK_EUSAGE; i++) {
        rc = say(tty, why.text);
        rc = rc < 0 ? rc : say(tty, "\n");
        rc = rc < 0 ? nk_fail_sys(&why, rc, "no password") : ask_once(tty, is_new, out, &why);
    }
    if (rc < 0 && diag) {
        *diag = why;
    }
    (void)close(tty);
    return rc;
}

int hs_password_get(const struct hs_password_conf *c, bool is_new, bool no_input,
                    struct nk_secret *out, struct nk_diag *diag)
{
    struct nk_secret s = {0};
    int rc;
    if (c->file && c->fd >= 0) {
        return nk_fail(diag, NK_EUSAGE, "--password-file and --password-fd exclude each other");
    }
    if (c->file) {
        rc = nk_file_read_secret(c->file, true, &s, diag);
    } else if (c->fd >= 0) {
        rc = from_fd((int)c->fd, &s, diag);
    } else if (no_input) {
        rc = nk_fail(diag, NK_EUSAGE, "--no-input needs --password-file or --password-fd");
    } else {
        rc = from_terminal(is_new, &s, diag);
    }
    rc = rc < 0 ? rc : check(&s, is_new, diag);
    if (rc < 0) {
        nk_secret_clear(&s);
        return rc;
    }
    nk_secret_clear(out);
    *out = s;
    return 0;
}
