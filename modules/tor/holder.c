/* SPDX-License-Identifier: MIT */
#include "tor/holder.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/app.h"
#include "core/control.h"
#include "core/listener.h"
#include "core/signal.h"
#include "core/stream.h"
#include "core/timer.h"
#include "base/cmd.h"
#include "tor/launch.h"

#define AGAIN_MS 1000u      /* before a tor that ended is started again */
#define AGAIN_MAX_MS 60000u /* doubled up to that */
#define USERS_MAX 1024      /* connections at once */

struct holder;

struct user {
    struct holder *holder;
    struct nk_stream *stream;
    struct user *next, *prev;
};

struct holder {
    struct nk_app *app;
    const struct tor_section_conf *conf;
    struct nk_diag *diag;
    char dir[NK_PATH_MAX], data[NK_PATH_MAX], path[NK_PATH_MAX];
    int lock;
    struct nk_listener *listener;
    struct user *users;
    size_t nusers;
    struct tor_launch *launch;
    bool open; /* tor's control socket can be used */
    bool ever; /* it could once */
    bool ending;
    int result;
    uint64_t again_ms;
    struct nk_timer idle, again;
    struct nk_signal *signals[2];
};

int tor_holder_dir(char *out, size_t max, const char *state_dir)
{
    return nk_path_join(out, max, state_dir, "tor/global");
}

/* --- users ------------------------------------------------------------------------------------ */

/* The kernel takes these few bytes, or the user is not reading: then it is none. */
static void tell(struct user *u, const char *line)
{
    (void)nk_stream_write(u->stream, line, strlen(line)); /* its end shows when it reads */
}

static void tell_all(struct holder *h, const char *line)
{
    for (struct user *u = h->users; u; u = u->next) {
        tell(u, line);
    }
}

static void end(struct holder *h)
{
    if (h->ending) {
        return;
    }
    h->ending = true;
    nk_listener_close(
        h->listener); /* whoever comes now starts another one, which waits for our lock */
    h->listener = NULL;
    (void)unlink(h->path);
    nk_timer_stop(&h->idle);
    nk_timer_stop(&h->again);
    if (h->launch) {
        tor_launch_end(h->launch);
    } else {
        nk_app_stop(h->app, 0);
    }
}

static void on_idle(void *owner)
{
    end(owner);
}

static void count_users(struct holder *h)
{
    if (h->nusers == 0 && !h->ending) {
        nk_timer_start(&h->idle, h->conf->idle_ms);
    } else {
        nk_timer_stop(&h->idle);
    }
}

static void remove_user(struct user *u)
{
    struct holder *h = u->holder;
    nk_stream_close(u->stream);
    if (h->users == u) {
        h->users = u->next;
    } else {
        u->prev->next = u->next;
    }
    if (u->next) {
        u->next->prev = u->prev;
    }
    free(u);
    h->nusers--;
    count_users(h);
}

/* Users say nothing; what is read is their end. */
static void on_user(void *owner, struct nk_stream *s, unsigned events)
{
    struct user *u = owner;
    char byte;
    (void)events;
    if (nk_stream_read(s, &byte, 1) != NK_EAGAIN) {
        remove_user(u);
    }
}

static void add_user(struct holder *h, struct nk_stream *take_s)
{
    struct user *u = h->nusers < USERS_MAX ? calloc(1, sizeof(*u)) : NULL;
    if (!u) {
        nk_stream_close(take_s);
        return;
    }
    *u = (struct user){.holder = h, .stream = take_s, .next = h->users};
    if (h->users) {
        h->users->prev = u;
    }
    h->users = u;
    h->nusers++;
    nk_stream_own(take_s, on_user, u);
    nk_stream_interest(take_s, NK_READABLE);
    if (h->open) {
        tell(u, "open\n");
    }
    count_users(h);
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct holder *h = owner;
    (void)l;
    if (nk_control_allowed(h->app, take_s)) {
        add_user(h, take_s);
    } else {
        nk_stream_close(take_s);
    }
}

/* --- tor -------------------------------------------------------------------------------------- */

static void tell_error(struct holder *h, int err, const struct nk_diag *why)
{
    char line[TOR_HOLDER_LINE];
    int n = snprintf(line, sizeof(line), "error %d %s\t%s", err, why->text, why->hint);
    if (n < 0 || (size_t)n > sizeof(line) - 2) {
        n = (int)sizeof(line) - 2;
    }
    line[n] = '\n';
    line[n + 1] = '\0';
    tell_all(h, line);
    *h->diag = *why;
    h->result = err;
}

static void start_tor(struct holder *h);

/* One that never worked will not work the next time; one that did is started again. */
static void on_tor_end(struct holder *h, int err, const struct nk_diag *why)
{
    tor_launch_close(h->launch);
    h->launch = NULL;
    h->open = false;
    if (h->ending) {
        nk_app_stop(h->app, 0);
    } else if (!h->ever || h->nusers == 0) {
        tell_error(h, err, why);
        end(h);
    } else {
        nk_warn(nk_app_log(h->app), "tor", "%s; it is started again", why->text);
        nk_timer_start(&h->again, h->again_ms);
        h->again_ms = h->again_ms * 2 < AGAIN_MAX_MS ? h->again_ms * 2 : AGAIN_MAX_MS;
    }
}

static void on_launch(void *owner, enum tor_launch_event what, int err, const struct nk_diag *why)
{
    struct holder *h = owner;
    if (what == TOR_LAUNCH_OPEN) {
        h->open = h->ever = true;
        tell_all(h, "open\n");
    } else if (what == TOR_LAUNCH_READY) {
        h->again_ms = AGAIN_MS;
    } else if (what == TOR_LAUNCH_ENDED) {
        on_tor_end(h, err, why);
    }
}

static void start_tor(struct holder *h)
{
    struct tor_launch_conf conf;
    struct nk_diag diag;
    tor_section_launch(h->conf, &conf);
    if (strcmp(conf.socks, "auto") == 0) {
        conf.socks = "unix"; /* the same after a restart, and for this user alone */
    }
    conf.dir = h->dir;
    conf.data_dir = h->data;
    conf.fn = on_launch;
    conf.owner = h;
    int rc = tor_launch_start(h->app, &conf, &h->launch, &diag);
    if (rc < 0) {
        tell_error(h, rc, &diag);
        end(h);
    }
}

static void on_again(void *owner)
{
    start_tor(owner);
}

/* --- its life --------------------------------------------------------------------------------- */

static void on_signal(void *owner, int signum)
{
    (void)signum;
    end(owner);
}

/* Directory, lock, socket. */
static int take_place(struct holder *h, const char *state_dir)
{
    char lock[NK_PATH_MAX];
    int fd;
    int rc = tor_holder_dir(h->dir, sizeof(h->dir), state_dir);
    rc = rc < 0 ? rc : nk_path_join(h->data, sizeof(h->data), h->dir, "data");
    rc = rc < 0 ? rc : nk_path_join(lock, sizeof(lock), h->dir, "lock");
    rc = rc < 0 ? rc : nk_path_join(h->path, sizeof(h->path), h->dir, TOR_HOLDER_SOCKET);
    if (rc < 0) {
        return nk_fail(h->diag, rc, "path too long: %s", state_dir);
    }
    rc = nk_mkdirs(h->dir, h->diag);
    if (rc == 0 && chmod(h->dir, S_IRWXU) < 0) { /* tor wants it so, whoever made it */
        rc = nk_fail_sys(h->diag, -errno, "%s", h->dir);
    }
    rc = rc < 0 ? rc : nk_lock_open(lock, &h->lock, h->diag);
    rc = rc < 0 ? rc : nk_control_bind(h->path, &fd, h->diag);
    return rc < 0 ? rc : nk_listener_from_fd(h->app, fd, on_accept, h, &h->listener, h->diag);
}

/* The connection of who started us, which may be all that hears of an error. */
static int adopt(struct holder *h, int first)
{
    struct nk_stream *s;
    int rc = first < 0 ? 0 : nk_stream_from_fd(h->app, first, "user", &s);
    if (first >= 0 && rc == 0) {
        add_user(h, s);
    }
    return rc < 0 ? nk_fail_sys(h->diag, rc, "descriptor %d", first) : 0;
}

static int watch_signals(struct holder *h)
{
    int rc = nk_signal_watch(h->app, SIGTERM, on_signal, h, &h->signals[0]);
    rc = rc < 0 ? rc : nk_signal_watch(h->app, SIGINT, on_signal, h, &h->signals[1]);
    return rc < 0 ? nk_fail_sys(h->diag, rc, "signals") : 0;
}

int tor_holder_run(struct nk_cmd_ctx *ctx, const struct tor_section_conf *conf, int first)
{
    struct holder h = {.conf = conf, .diag = &ctx->diag, .lock = -1, .again_ms = AGAIN_MS};
    const struct nk_app_conf app = {
        .log = ctx->log, .launcher = ctx->launcher, .state_dir = ctx->globals->state_dir};
    int rc = nk_app_new(&h.app, &app, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    nk_timer_init(&h.idle, h.app, on_idle, &h);
    nk_timer_init(&h.again, h.app, on_again, &h);
    rc = watch_signals(&h);
    rc = rc < 0 ? rc : adopt(&h, first);
    if (rc == 0 && (rc = take_place(&h, ctx->globals->state_dir)) == NK_ELOCKED) {
        tell_all(&h, "busy\n");
    } else if (rc < 0) {
        const struct nk_diag why = ctx->diag;
        tell_error(&h, rc, &why);
    } else {
        count_users(&h);
        start_tor(&h);
        nk_app_run(h.app);
        rc = h.result;
    }
    struct user *next;
    for (struct user *u = h.users; u; u = next) {
        next = u->next;
        remove_user(u);
    }
    nk_timer_stop(&h.idle);
    nk_timer_stop(&h.again);
    nk_listener_close(h.listener);
    tor_launch_close(h.launch);
    nk_signal_close(h.signals[0]);
    nk_signal_close(h.signals[1]);
    nk_app_free(h.app);
    if (h.lock >= 0) {
        close(h.lock); /* last: whoever has it next finds nothing of ours */
    }
    return rc;
}
