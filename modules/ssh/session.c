/* SPDX-License-Identifier: MIT */
#include "ssh/session.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "core/app.h"
#include "core/signal.h"
#include "core/stream.h"
#include "ssh/inbox.h"
#include "ssh/known_hosts.h"
#include "ssh/tty.h"

#define MODULE "ssh"

enum {
    IN_MAX = 64 * 1024,
    REQUEST_MAX = 256 * 1024,
    STREAMS = 3,
    SIGNALLED = 128,
    PIPE_SIZE = 1024 * 1024
};

struct ssh_program {
    struct ssh_program_conf conf;
    struct ssh_channel *ch; /* NULL: gone */
    struct nk_stream *io[STREAMS];
    struct ssh_inbox out[STREAMS]; /* what stdout and stderr have not taken yet */
    struct nk_defer flush;         /* at the end of the turn: all that came in it, at once */
    bool large;                    /* stdout's pipe was made larger */
    bool gone[STREAMS];            /* nobody reads it any more */
    size_t in_off, in_n;           /* of what stdin gave */
    bool in_ended;
    struct ssh_tty_raw raw;
    struct nk_signal *winch;
    int escape;      /* the character, or -1 */
    int escape_seen; /* 0: in a line, 1: at the beginning of one, 2: behind the character */
    int status;
    bool over, told, known; /* known: how the program ended */
    struct nk_diag why;
    struct nk_defer late;
    uint8_t in[IN_MAX];
};

/* --- the end ---------------------------------------------------------------------------------- */

static void tell(void *owner)
{
    struct ssh_program *s = owner;
    s->conf.done(s->conf.owner, s->status, s->why.code ? &s->why : NULL);
}

/* When the channel is gone and everything that came was written. */
static void advance(struct ssh_program *s)
{
    bool written = (ssh_inbox_len(&s->out[1]) == 0 || s->gone[1]) &&
                   (ssh_inbox_len(&s->out[2]) == 0 || s->gone[2]);
    if (s->over && written && !s->told) {
        s->told = true;
        nk_app_defer(s->conf.app, &s->late);
    }
}

static void end(struct ssh_program *s, int code, const char *text)
{
    (void)nk_fail(&s->why, code, "%s", text);
    ssh_channel_close(s->ch);
    s->ch = NULL;
    s->over = true;
    for (int i = 1; i < STREAMS; i++) {
        (void)ssh_inbox_keep(&s->out[i]); /* without memory for it, as this may be about */
    }
    advance(s);
}

/* --- stdout and stderr ------------------------------------------------------------------------ */

static void consumed(struct ssh_program *s, size_t n)
{
    if (s->ch && n > 0) {
        (void)ssh_channel_consumed(s->ch, n); /* a dead sink ends the connection by itself */
    }
}

/* Nobody reads it any more: what comes is dropped, and the program is told so. */
static void lost(struct ssh_program *s, int i)
{
    consumed(s, ssh_inbox_len(&s->out[i]));
    ssh_inbox_clear(&s->out[i]);
    s->gone[i] = true;
    if (i == 1 && s->ch) {
        (void)ssh_channel_request(s->ch, "eow@openssh.com", (struct ssh_str){0}, NULL, NULL);
    }
}

/* Bulk on its way into a pipe: its reader and we take turns less often. It may be no pipe. */
static void enlarge(struct ssh_program *s)
{
    if (!s->large) {
        s->large = true;
        (void)fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_SIZE);
    }
}

static void flush(struct ssh_program *s, int i)
{
    struct iovec iov[SSH_INBOX_PIECES];
    while (ssh_inbox_len(&s->out[i]) > 0) {
        ssize_t n = nk_stream_writev(s->io[i], iov, ssh_inbox_pieces(&s->out[i], iov));
        if (n == NK_EAGAIN) {
            if (i == 1) {
                enlarge(s);
            }
            return;
        }
        if (n < 0) {
            lost(s, i);
            return;
        }
        ssh_inbox_consume(&s->out[i], (size_t)n);
        consumed(s, (size_t)n);
    }
}

static void flush_both(struct ssh_program *s)
{
    flush(s, 1);
    flush(s, 2);
}

static void on_turn_end(void *owner)
{
    flush_both(owner);
    advance(owner);
}

/* Where the program's bytes lie is needed again. */
static void keep(struct ssh_program *s)
{
    flush_both(s);
    if (ssh_inbox_keep(&s->out[1]) < 0 || ssh_inbox_keep(&s->out[2]) < 0) {
        end(s, -ENOMEM, "no memory for what the program says");
    }
}

static void put(struct ssh_program *s, int i, const uint8_t *p, size_t n)
{
    flush(s, 3 - i); /* they may be one terminal */
    if (ssh_inbox_lend(&s->out[i], p, n) < 0) {
        end(s, -ENOMEM, "no memory for what the program says");
        return;
    }
    nk_app_defer(s->conf.app, &s->flush);
}

static void on_out(void *owner, struct nk_stream *stream, unsigned events)
{
    struct ssh_program *s = owner;
    int i = stream == s->io[1] ? 1 : 2;
    if (events & NK_CLOSED) {
        lost(s, i);
    } else if (events & NK_WRITABLE) {
        flush(s, i);
    }
    advance(s);
}

/* --- stdin ------------------------------------------------------------------------------------ */

/* ~. at the beginning of a line ends the session; ~~ is one of them. The n bytes behind the first
 * of `in` move to its beginning: one that was held back may come before them. Returns how many are
 * to be sent, or -1. */
static ssize_t escapes(struct ssh_program *s, size_t n)
{
    size_t to = 0;
    for (size_t i = 1; i <= n; i++) {
        uint8_t c = s->in[i];
        if (s->escape_seen == 1 && c == s->escape) {
            s->escape_seen = 2;
            continue;
        }
        if (s->escape_seen == 2 && c == '.') {
            return -1;
        }
        if (s->escape_seen == 2 && c != s->escape) {
            s->in[to++] = (uint8_t)s->escape;
        }
        s->escape_seen = c == '\r' || c == '\n';
        s->in[to++] = c;
    }
    return (ssize_t)to;
}

/* Sends what stdin gave; false: the rest has to wait. */
static bool send_in(struct ssh_program *s)
{
    while (s->in_n > 0 && s->ch) {
        const struct iovec iov = {.iov_base = s->in + s->in_off, .iov_len = s->in_n};
        ssize_t n = ssh_channel_writev(s->ch, &iov, 1);
        if (n == NK_EAGAIN) {
            return false;
        }
        s->in_n = n < 0 ? 0 : s->in_n - (size_t)n; /* nobody takes it any more */
        s->in_off += n < 0 ? 0 : (size_t)n;
    }
    if (s->in_ended && s->ch) {
        (void)ssh_channel_eof(s->ch);
    }
    return true;
}

static void read_in(struct ssh_program *s)
{
    ssize_t n = nk_stream_read(s->io[0], s->in + 1, IN_MAX - 1);
    if (n == NK_EAGAIN) {
        return;
    }
    s->in_ended = n <= 0;
    s->in_off = 1;
    if (n > 0 && s->escape >= 0) {
        n = escapes(s, (size_t)n);
        s->in_off = 0;
        if (n < 0) {
            end(s, NK_ECLOSED, "disconnected by ~.");
            return;
        }
    }
    s->in_n = n > 0 ? (size_t)n : 0;
    if (!send_in(s) || s->in_ended) {
        nk_stream_interest(s->io[0], 0);
    }
}

static void on_in(void *owner, struct nk_stream *stream, unsigned events)
{
    struct ssh_program *s = owner;
    (void)stream;
    if (events & NK_CLOSED) {
        s->in_ended = true;
        (void)send_in(s);
    } else if (events & NK_READABLE && s->ch && s->in_n == 0) {
        read_in(s);
    }
}

static void on_writable(void *owner, struct ssh_channel *ch)
{
    struct ssh_program *s = owner;
    (void)ch;
    if (send_in(s) && !s->in_ended && s->io[0]) {
        nk_stream_interest(s->io[0], NK_READABLE);
    }
}

/* --- what is asked for ------------------------------------------------------------------------ */

static void ask(struct ssh_program *s, const char *type, struct nk_buf *b, int rc, ssh_reply_fn *fn)
{
    rc = rc < 0 || !s->ch ? rc
                          : ssh_channel_request(
                                s->ch, type, (struct ssh_str){nk_buf_ptr(b), nk_buf_len(b)}, fn, s);
    nk_buf_reset(b);
    if (rc < 0 && s->ch) {
        end(s, rc, "cannot ask the server for a session");
    }
}

static void on_pty(void *owner, int ok, struct ssh_str data)
{
    const struct ssh_program *s = owner;
    (void)data;
    if (ok == 0) {
        nk_warn(s->conf.log, MODULE, "the server gives no terminal");
    }
}

static void on_started(void *owner, int ok, struct ssh_str data)
{
    struct ssh_program *s = owner;
    (void)data;
    if (ok == 0) {
        end(s, NK_EUNSUPPORTED,
            s->conf.subsystem ? "the server does not have this subsystem"
                              : "the server does not start the program");
    }
}

static int put_size(struct nk_buf *b)
{
    uint32_t size[4];
    int rc = 0;
    ssh_tty_size(STDIN_FILENO, size);
    for (int i = 0; i < 4 && rc == 0; i++) {
        rc = nk_buf_be32(b, size[i]);
    }
    return rc;
}

static void on_winch(void *owner, int signum)
{
    struct ssh_program *s = owner;
    struct nk_buf b;
    (void)signum;
    nk_buf_init(&b, REQUEST_MAX);
    if (s->ch) {
        int rc = put_size(&b);
        ask(s, "window-change", &b, rc, NULL);
    }
    nk_buf_clear(&b);
}

static void ask_terminal(struct ssh_program *s, struct nk_buf *b)
{
    const char *term = getenv("TERM");
    struct nk_buf modes;
    nk_buf_init(&modes, REQUEST_MAX);
    int rc = ssh_tty_put_modes(STDIN_FILENO, &modes);
    rc = rc < 0 ? rc : ssh_put_text(b, term ? term : "dumb");
    rc = rc < 0 ? rc : put_size(b);
    rc = rc < 0 ? rc : ssh_put_string(b, nk_buf_ptr(&modes), nk_buf_len(&modes));
    nk_buf_clear(&modes);
    ask(s, "pty-req", b, rc, on_pty);
}

static void ask_env(struct ssh_program *s, struct nk_buf *b, const char *pair)
{
    const char *equal = strchr(pair, '=');
    if (equal) {
        int rc = ssh_put_string(b, pair, (size_t)(equal - pair));
        rc = rc < 0 ? rc : ssh_put_text(b, equal + 1);
        ask(s, "env", b, rc, NULL);
    }
}

static void ask_environment(struct ssh_program *s, struct nk_buf *b)
{
    const struct ssh_config *c = s->conf.config;
    extern char **environ;
    for (size_t i = 0; i < c->set_env.n; i++) {
        ask_env(s, b, c->set_env.v[i]);
    }
    for (char **e = environ; *e; e++) {
        char name[256];
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(*e, "="), *e);
        for (size_t i = 0; i < c->send_env.n; i++) {
            const char *p = c->send_env.v[i];
            const struct ssh_str pattern = {(const uint8_t *)p, strlen(p)};
            if (ssh_pattern_match(pattern, name, false)) {
                ask_env(s, b, *e);
                break;
            }
        }
    }
}

static void on_open(void *owner, struct ssh_channel *ch, struct ssh_str data)
{
    struct ssh_program *s = owner;
    struct nk_buf b;
    (void)ch;
    (void)data;
    nk_buf_init(&b, REQUEST_MAX);
    if (s->conf.terminal) {
        ask_terminal(s, &b);
    }
    ask_environment(s, &b);
    int rc = s->conf.command ? ssh_put_text(&b, s->conf.command) : 0;
    ask(s,
        s->conf.subsystem ? "subsystem"
        : s->conf.command ? "exec"
                          : "shell",
        &b, rc, on_started);
    nk_buf_clear(&b);
    if (!s->ch) {
        return;
    }
    if (s->conf.terminal && isatty(STDIN_FILENO) && ssh_tty_raw_on(&s->raw, STDIN_FILENO) < 0) {
        nk_warn(s->conf.log, MODULE, "the terminal stays as it is");
    }
    if (s->io[0]) {
        nk_stream_interest(s->io[0], NK_READABLE);
    } else {
        s->in_ended = true;
        (void)send_in(s);
    }
}

/* --- what the server says --------------------------------------------------------------------- */

static void on_failed(void *owner, struct ssh_channel *ch, uint32_t reason,
                      const struct nk_diag *why)
{
    struct ssh_program *s = owner;
    (void)ch;
    (void)reason;
    s->ch = NULL;
    end(s, why ? why->code : NK_ECLOSED, why ? why->text : "");
}

static void on_data(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n)
{
    struct ssh_program *s = owner;
    int i = kind == 0 ? 1 : kind == SSH_EXTENDED_STDERR ? 2 : 0;
    if (i == 0 || s->gone[i]) {
        (void)ssh_channel_consumed(ch, n);
    } else {
        put(s, i, p, n);
    }
}

static void on_keep(void *owner, struct ssh_channel *ch)
{
    (void)ch;
    keep(owner);
}

/* RFC 4254 6.10: names of signals without SIG. */
static int signal_of(struct ssh_str name)
{
    static const struct {
        const char *name;
        int number;
    } names[] = {{"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"FPE", SIGFPE},   {"HUP", SIGHUP},
                 {"ILL", SIGILL},   {"INT", SIGINT},   {"KILL", SIGKILL}, {"PIPE", SIGPIPE},
                 {"QUIT", SIGQUIT}, {"SEGV", SIGSEGV}, {"TERM", SIGTERM}, {"USR1", SIGUSR1},
                 {"USR2", SIGUSR2}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (ssh_str_is(name, names[i].name)) {
            return names[i].number;
        }
    }
    return 0;
}

static bool on_request(void *owner, struct ssh_channel *ch, struct ssh_str type,
                       struct ssh_str data)
{
    struct ssh_program *s = owner;
    struct nk_cur c;
    (void)ch;
    nk_cur_init(&c, data.p, data.n);
    if (ssh_str_is(type, "exit-status")) {
        uint32_t status = nk_cur_be32(&c);
        s->status = c.failed ? SSH_EXIT_FAILED : (int)(status & 0xff);
        s->known = !c.failed;
        return true;
    }
    if (ssh_str_is(type, "exit-signal")) {
        struct ssh_str name = ssh_cur_string(&c);
        int number = signal_of(name);
        s->status = number ? SIGNALLED + number : SSH_EXIT_FAILED;
        s->known = number != 0;
        nk_info(s->conf.log, MODULE, "the program was ended by signal %.*s",
                (int)(name.n < 32 ? name.n : 32), name.p ? (const char *)name.p : "");
        return true;
    }
    return false;
}

static void on_closed(void *owner, struct ssh_channel *ch, const struct nk_diag *why)
{
    struct ssh_program *s = owner;
    (void)ch;
    s->ch = NULL;
    s->over = true;
    keep(s);
    if (why) {
        s->why = *why;
        s->status = SSH_EXIT_FAILED;
    } else if (!s->known) {
        nk_warn(s->conf.log, MODULE, "the server did not say how the program ended");
    }
    advance(s);
}

static const struct ssh_channel_ops ops = {.on_open = on_open,
                                           .on_failed = on_failed,
                                           .on_data = on_data,
                                           .on_keep = on_keep,
                                           .on_writable = on_writable,
                                           .on_request = on_request,
                                           .on_closed = on_closed};

/* --- making ----------------------------------------------------------------------------------- */

static int open_io(struct ssh_program *s, struct nk_diag *diag)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    for (int i = s->conf.no_stdin ? 1 : 0; i < STREAMS; i++) {
        int fd = fcntl(i, F_DUPFD_CLOEXEC, STREAMS);
        int rc = fd < 0 ? -errno
                        : nk_stream_from_inherited(s->conf.app, i == 0 ? fd : -1, i == 0 ? -1 : fd,
                                                   names[i], &s->io[i], diag);
        if (rc < 0) {
            return nk_fail_sys(diag, rc, "%s", names[i]);
        }
        nk_stream_own(s->io[i], i == 0 ? on_in : on_out, s);
        nk_stream_interest(s->io[i], i == 0 ? 0 : NK_WRITABLE);
    }
    return 0;
}

static int escape_of(const struct ssh_program *s)
{
    const char *c = s->conf.config->escape_char;
    if (!s->conf.terminal || (c && strcmp(c, "none") == 0)) {
        return -1;
    }
    return !c ? '~' : c[0] == '^' && c[1] ? c[1] & 31 : (unsigned char)c[0];
}

int ssh_program_open(struct ssh_channels *c, const struct ssh_program_conf *conf,
                     struct ssh_program **out, struct nk_diag *diag)
{
    struct ssh_program *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail_sys(diag, -ENOMEM, "session");
    }
    s->conf = *conf;
    s->status = SSH_EXIT_FAILED;
    s->escape = escape_of(s);
    s->escape_seen = 1;
    s->late = (struct nk_defer){.fn = tell, .owner = s};
    s->flush = (struct nk_defer){.fn = on_turn_end, .owner = s};
    for (int i = 0; i < STREAMS; i++) {
        ssh_inbox_init(&s->out[i], SSH_WINDOW_MAX);
    }
    int rc = open_io(s, diag);
    if (rc == 0 && conf->terminal) {
        rc = nk_signal_watch(conf->app, SIGWINCH, on_winch, s, &s->winch);
        rc = rc < 0 ? nk_fail_sys(diag, rc, "signals") : 0;
    }
    rc = rc < 0 ? rc : ssh_channel_open(c, "session", (struct ssh_str){0}, &ops, s, &s->ch, diag);
    if (rc < 0) {
        ssh_program_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void ssh_program_close(struct ssh_program *s)
{
    if (!s) {
        return;
    }
    nk_app_defer_cancel(s->conf.app, &s->late);
    nk_app_defer_cancel(s->conf.app, &s->flush);
    ssh_tty_raw_off(&s->raw);
    nk_signal_close(s->winch);
    ssh_channel_close(s->ch);
    for (int i = 0; i < STREAMS; i++) {
        nk_stream_close(s->io[i]);
        ssh_inbox_clear(&s->out[i]);
    }
    free(s);
}
