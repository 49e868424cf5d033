/* SPDX-License-Identifier: MIT */
#include "tor/term.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/app.h"
#include "core/signal.h"
#include "core/stream.h"

#define KEYS_AT_ONCE 4096
#define WRITE_PATIENCE_MS 1000 /* a terminal that takes nothing for so long gets no more */

/* xterm's alternate screen and the cursor (DECSET 1049 and 25), styles off. */
#define ENTER "\x1b[?1049h\x1b[?25l\x1b[2J"
#define LEAVE "\x1b[0m\x1b[?25h\x1b[?1049l"

bool tor_term_usable(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && kind && *kind &&
           strcmp(kind, "dumb") != 0;
}

void tor_term_write(const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t put = write(STDOUT_FILENO, at, n);
        if (put > 0) {
            at += put;
            n -= (size_t)put;
        } else if (put < 0 && errno == EAGAIN) {
            struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
            if (poll(&out, 1, WRITE_PATIENCE_MS) <= 0) {
                return;
            }
        } else if (errno != EINTR) {
            return;
        }
    }
}

void tor_term_size(unsigned *rows, unsigned *columns)
{
    struct winsize w = {0};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0 && w.ws_col > 0;
    *rows = known ? w.ws_row : 24;
    *columns = known ? w.ws_col : 80;
}

/* Keys one by one without echo and without signals from the keyboard; output as it is. */
static int enter(struct tor_term *t)
{
    struct termios raw = t->before;
    raw.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0) {
        return -errno;
    }
    t->raw = true;
    if (t->full) {
        tor_term_write(ENTER, strlen(ENTER));
    }
    return 0;
}

static void leave(struct tor_term *t)
{
    if (t->raw) {
        t->raw = false;
        if (t->full) {
            tor_term_write(LEAVE, strlen(LEAVE));
        }
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before);
    }
}

static void on_input(void *owner, struct nk_stream *s, unsigned events)
{
    struct tor_term *t = owner;
    char keys[KEYS_AT_ONCE];
    if (events & NK_CONNECTED) {
        nk_stream_interest(s, NK_READABLE);
    }
    if (!(events & (NK_READABLE | NK_CLOSED))) {
        return;
    }
    ssize_t n = nk_stream_read(s, keys, sizeof(keys));
    if (n == NK_EAGAIN) {
        return;
    }
    if (n <= 0) { /* the terminal is gone */
        nk_stream_interest(s, 0);
        n = 0;
    }
    t->on_keys(t->owner, keys, (size_t)n);
}

static void on_signal(void *owner, int signum);

static void unwatch(struct tor_term *t)
{
    nk_signal_close(t->winch);
    nk_signal_close(t->cont);
    nk_signal_close(t->quit);
    nk_signal_close(t->tstp);
    t->winch = t->cont = t->quit = t->tstp = NULL;
}

void tor_term_stop(struct tor_term *t)
{
    leave(t);
    nk_signal_close(t->tstp); /* so that the signal does what it does by default */
    t->tstp = NULL;
    (void)raise(SIGTSTP);
    if (nk_signal_watch(t->app, SIGTSTP, on_signal, t, &t->tstp) < 0 || enter(t) < 0) {
        nk_app_stop(t->app, NK_EXIT_IO);
        return;
    }
    t->on_size(t->owner);
}

static void on_signal(void *owner, int signum)
{
    struct tor_term *t = owner;
    switch (signum) {
    case SIGQUIT:
        nk_app_stop(t->app, NK_EXIT_SIGNAL + SIGQUIT);
        break;
    case SIGTSTP:
        tor_term_stop(t);
        break;
    case SIGCONT:
        if (enter(t) < 0) {
            nk_app_stop(t->app, NK_EXIT_IO);
            break;
        }
        t->on_size(t->owner);
        break;
    default:
        t->on_size(t->owner);
        break;
    }
}

/* Over a descriptor of its own: closing the stream must leave the one that modes are set through.
 */
static int open_keys(struct tor_term *t, struct nk_diag *diag)
{
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return fd < 0 ? nk_fail_sys(diag, -errno, "the terminal")
                  : nk_stream_from_inherited(t->app, fd, -1, "terminal", &t->in, diag);
}

int tor_term_open(struct tor_term *t, struct nk_app *app, struct nk_diag *diag)
{
    t->app = app;
    if (tcgetattr(STDIN_FILENO, &t->before) < 0) {
        return nk_fail_sys(diag, -errno, "the terminal");
    }
    t->open = true;
    int rc = nk_signal_watch(app, SIGWINCH, on_signal, t, &t->winch);
    rc = rc < 0 ? rc : nk_signal_watch(app, SIGCONT, on_signal, t, &t->cont);
    rc = rc < 0 ? rc : nk_signal_watch(app, SIGQUIT, on_signal, t, &t->quit);
    rc = rc < 0 ? rc : nk_signal_watch(app, SIGTSTP, on_signal, t, &t->tstp);
    rc = rc < 0 ? rc : enter(t);
    if (rc < 0) {
        nk_fail_sys(diag, rc, "the terminal");
    } else {
        rc = open_keys(t, diag);
    }
    if (rc < 0) {
        tor_term_close(t);
        return rc;
    }
    nk_stream_own(t->in, on_input, t);
    return 0;
}

void tor_term_close(struct tor_term *t)
{
    if (t->open) {
        t->open = false;
        unwatch(t);
        nk_stream_close(t->in);
        t->in = NULL;
        leave(t);
    }
}
