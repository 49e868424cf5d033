/* SPDX-License-Identifier: MIT */
/*
 * exec:COMMAND - a program as a stream: its stdin and stdout are one end of a socket pair, so that
 * half-closing works both ways; its stderr is ours. The launcher starts it, outside of our sandbox,
 * in the directory cwd= and with the variables of env= on top of ours.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "core/app.h"
#include "core/process.h"
#include "core/registry.h"
#include "net/exec_words.h"

struct exec_conf {
    struct nk_strlist env;
    char *cwd;
};

static const struct nk_opt params[] = {{.name = "env",
                                        .type = NK_OPT_STRING,
                                        .offset = NK_FIELD(struct exec_conf, env),
                                        .arg = "NAME=VALUE",
                                        .flags = NK_OPT_REPEAT,
                                        .help = "A variable of its environment"},
                                       {.name = "cwd",
                                        .type = NK_OPT_PATH,
                                        .offset = NK_FIELD(struct exec_conf, cwd),
                                        .arg = "DIR",
                                        .help = "The directory that it runs in"},
                                       NK_OPT_END};

struct exec_stream {
    struct nk_stream s;
    struct nk_stream *lower; /* our end of the pair */
    struct nk_process *process;
    char *program; /* argv[0], for messages */
    pid_t pid;     /* 0: not started yet */
    bool started;
    bool output_ended; /* its end was read */
};

static struct exec_stream *of(struct nk_stream *s)
{
    return (struct exec_stream *)s;
}

/* --- the stream ------------------------------------------------------------------------------- */

/* A unix socket whose other end was closed before it had read everything says so after the last
 * byte: the program did not want its input, which is no failure of its output. */
static ssize_t exec_read(struct nk_stream *s, void *p, size_t n)
{
    struct exec_stream *x = of(s);
    ssize_t got = nk_stream_read(x->lower, p, n);
    if (got == -ECONNRESET) {
        got = 0;
    }
    x->output_ended |= got == 0;
    return got;
}

/* What is written to a program that has ended goes nowhere, as long as there is output of it to
 * read: an error now would make the owner drop that. */
static ssize_t exec_writev(struct nk_stream *s, const struct iovec *iov, int n)
{
    struct exec_stream *x = of(s);
    ssize_t put = nk_stream_writev(x->lower, iov, n);
    if ((put != -EPIPE && put != -ECONNRESET) || x->output_ended) {
        return put;
    }
    for (put = 0; n > 0; n--, iov++) {
        put += (ssize_t)iov->iov_len;
    }
    return put;
}

static int exec_shutdown(struct nk_stream *s)
{
    return nk_stream_shutdown(of(s)->lower);
}

static void exec_interest(struct nk_stream *s)
{
    struct exec_stream *x = of(s);
    if (x->started) {
        nk_stream_interest(x->lower, s->interest);
    }
}

static void exec_close(struct nk_stream *s)
{
    struct exec_stream *x = of(s);
    nk_process_close(x->process); /* ends its process group, if it still runs */
    nk_stream_close(x->lower);
    free(x->program);
    nk_stream_done(s);
}

static int exec_query(struct nk_stream *s, enum nk_query what, void *out, size_t *n)
{
    struct exec_stream *x = of(s);
    switch (what) {
    case NK_Q_PEER:
        if (*n == 0) {
            return -ENOENT;
        }
        snprintf(out, *n, "exec:%s pid %ld", x->program, (long)x->pid);
        *n = strlen(out);
        return 0;
    case NK_Q_FD:
    case NK_Q_LOCAL:
        return nk_stream_query(x->lower, what, out, n);
    case NK_Q_ENCRYPTED:
        if (*n < sizeof(int)) {
            return -ENOENT;
        }
        *(int *)out = 0;
        *n = sizeof(int);
        return 0;
    default:
        return -ENOENT;
    }
}

static int exec_tune(struct nk_stream *s, enum nk_tune what, int value)
{
    return nk_stream_tune(of(s)->lower, what, value);
}

static const struct nk_stream_ops exec_ops = {
    .name = "exec",
    .read = exec_read,
    .writev = exec_writev,
    .shutdown = exec_shutdown,
    .close = exec_close,
    .query = exec_query,
    .interest = exec_interest,
    .tune = exec_tune,
};

/* --- events ----------------------------------------------------------------------------------- */

static void on_lower(void *owner, struct nk_stream *s, unsigned events)
{
    struct exec_stream *x = owner;
    (void)s;
    /* its CONNECTED says nothing: a socket pair is born connected */
    events &= (unsigned)NK_READABLE | NK_WRITABLE;
    if (events) {
        nk_stream_raise(&x->s, events);
    }
}

static void on_start(void *owner)
{
    struct exec_stream *x = owner;
    x->started = true;
    x->pid = nk_process_pid(x->process);
    nk_stream_raise(&x->s, NK_CONNECTED);
    nk_stream_interest(x->lower, x->s.interest);
}

/* The program has ended. What it wrote is still to be read; the end of that is the stream's end. */
static void on_exit_(void *owner, const struct nk_process_exit *how)
{
    struct exec_stream *x = owner;
    struct nk_log *log = nk_app_log(x->s.app);
    struct nk_diag why;
    nk_process_close(x->process);
    x->process = NULL;
    if (how->error) {
        nk_fail_sys(&why, how->error, "exec:%s", x->program);
        if (!x->started) {
            nk_stream_fail(&x->s, how->error, &why);
        } else {
            nk_log_diag(log, "net", NK_LOG_ERROR, &why);
        }
    } else if (how->signal) {
        nk_warn(log, "net", "exec:%s (pid %ld) was ended by signal %d", x->program, (long)x->pid,
                how->signal);
    } else if (how->status) {
        nk_warn(log, "net", "exec:%s (pid %ld) ended with status %d", x->program, (long)x->pid,
                how->status);
    } else {
        nk_debug(log, "net", "exec:%s (pid %ld) ended", x->program, (long)x->pid);
    }
}

/* --- dial ------------------------------------------------------------------------------------- */

/* Undo a stream that nobody has seen. */
static void discard(struct exec_stream *x)
{
    nk_stream_close(&x->s);
}

static int start(struct exec_stream *x, const struct exec_conf *c, char *const *argv, int child_end,
                 struct nk_diag *diag)
{
    char *env[NK_EP_MAX_PARAMS + 1] = {NULL};
    struct nk_process_spec spec = {.argv = argv,
                                   .env = c->env.n > 0 ? env : NULL,
                                   .env_add = true,
                                   .cwd = c->cwd,
                                   .fds = {child_end, child_end, 2},
                                   .nfds = 3,
                                   .on_start = on_start};
    for (size_t i = 0; i < c->env.n; i++) {
        env[i] = c->env.v[i];
    }
    return nk_process_start(x->s.app, &spec, on_exit_, x, &x->process, diag);
}

static int open_stream(struct nk_app *app, const struct exec_conf *c, char *const *argv,
                       struct nk_stream **out, struct nk_diag *diag)
{
    int fds[2];
    struct exec_stream *x = calloc(1, sizeof(*x));
    if (!x) {
        return nk_fail_sys(diag, -ENOMEM, "exec");
    }
    nk_stream_init(&x->s, &exec_ops, app);
    x->program = strdup(argv[0]);
    if (!x->program || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        int rc = nk_fail_sys(diag, x->program ? -errno : -ENOMEM, "exec:%s", argv[0]);
        discard(x);
        return rc;
    }
    int rc = nk_stream_from_fd(app, fds[0], "exec", &x->lower);
    if (rc < 0) {
        nk_fail_sys(diag, rc, "exec:%s", argv[0]);
    } else {
        nk_stream_own(x->lower, on_lower, x);
        rc = start(x, c, argv, fds[1], diag);
    }
    close(fds[1]); /* the child has its own; ours would hide its end */
    if (rc < 0) {
        discard(x);
        return rc;
    }
    *out = &x->s;
    return 0;
}

static int exec_dial(struct nk_app *app, const struct nk_ep_layer *layer, struct nk_stream **out,
                     struct nk_diag *diag)
{
    struct net_words words;
    int rc = net_exec_words(layer->body, &words, diag);
    if (rc < 0) {
        return rc;
    }
    rc = open_stream(app, layer->conf, words.argv, out, diag);
    free(words.argv);
    return rc;
}

static int exec_check(const struct nk_ep_layer *layer, enum nk_ep_role role, struct nk_diag *diag)
{
    const struct exec_conf *c = layer->conf;
    struct net_words words;
    (void)role;
    for (size_t i = 0; i < c->env.n; i++) {
        const char *value = strchr(c->env.v[i], '=');
        if (!value || value == c->env.v[i]) {
            return nk_fail(diag, NK_ECONFIG, "exec: env=%s: a variable is NAME=VALUE", c->env.v[i]);
        }
    }
    int rc = net_exec_words(layer->body, &words, diag);
    if (rc == 0) {
        free(words.argv);
    }
    return rc;
}

const struct nk_ep_driver nk_ep_exec = {
    .scheme = "exec",
    .summary = "A program's standard input and output",
    .body_help = "COMMAND [ARG..]",
    .flags = NK_EP_CAN_CONNECT | NK_EP_EXEC,
    .params = params,
    .conf_size = sizeof(struct exec_conf),
    .check = exec_check,
    .dial = exec_dial,
};
