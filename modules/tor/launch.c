/* SPDX-License-Identifier: MIT */
#include "tor/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "core/app.h"
#include "core/process.h"
#include "core/stream.h"
#include "core/timer.h"
#include "core/work.h"
#include "tor/address.h"
#include "tor/control.h"
#include "tor/launch_files.h"
#include "tor/output.h"

#define END_MS 5000u    /* from TERM to KILL: tor writes its state */
#define REPLY_MS 30000u /* for a command to a tor of ours */
enum { READ_BYTES = 4096 };

#define STATES(X)                                                                                  \
    X(SEEDING)       /* directory information is being copied */                                   \
    X(STARTING)      /* the program is being started; its control socket is not there yet */       \
    X(OPENING)       /* the control connection authenticates */                                    \
    X(OWNING)        /* our commands until the network is enabled */                               \
    X(BOOTSTRAPPING) /* waiting for 100 % */                                                       \
    X(READY)                                                                                       \
    X(ENDING) /* waiting for the end of the process */                                             \
    X(ENDED)
#define STATE_ENUM(name) S_##name,
#define STATE_NAME(name) #name,
enum state { STATES(STATE_ENUM) };
static const char *const state_names[] = {STATES(STATE_NAME)};

struct seed {
    char from[NK_PATH_MAX], to[NK_PATH_MAX];
    struct tor_launch *launch; /* NULL: it has gone */
    int rc;
};

struct tor_launch {
    struct nk_app *app;
    tor_launch_fn *fn;
    void *owner;
    enum state state;
    struct tor_launch_files files;
    char binary[NK_PATH_MAX];
    char address[TOR_ADDRESS_SIZE], socks[TOR_ADDRESS_SIZE];
    struct nk_work *seeding;
    struct nk_process *process;
    struct nk_stream *out; /* tor's standard output */
    struct tor_output said;
    struct tor_access access;
    struct tor_control *control;
    struct tor_control_watch watch;
    struct tor_subscription progress;
    struct tor_request request;
    size_t step; /* of owning */
    struct tor_bootstrap at;
    uint64_t timeout_ms;
    struct nk_timer timer;
    int err;    /* the first failure; 0: none */
    bool vague; /* what tor wrote tells more about it */
    struct nk_diag why;
    struct nk_defer gone; /* frees it, as closing is allowed inside fn */
};

static struct nk_log *log_of(const struct tor_launch *l)
{
    return nk_app_log(l->app);
}

static void set_state(struct tor_launch *l, enum state state)
{
    nk_debug(log_of(l), "tor", "launch: %s -> %s", state_names[l->state], state_names[state]);
    l->state = state;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void read_output(struct tor_launch *l);

static void drop_control(struct tor_launch *l)
{
    tor_request_cancel(&l->request);
    tor_control_unsubscribe(&l->progress);
    tor_control_close(l->control);
    l->control = NULL;
}

/* TERM now; with the timer running, KILL later. Without a process there is nothing to wait for. */
static void end_process(struct tor_launch *l)
{
    set_state(l, S_ENDING);
    if (l->process) {
        (void)nk_process_kill(l->process, SIGTERM); /* -ESRCH: its end is being reported */
        nk_timer_start(&l->timer, END_MS);
    } else {
        nk_timer_start(&l->timer, 0);
    }
}

static void fail(struct tor_launch *l, int err, const struct nk_diag *why)
{
    if (l->state >= S_ENDING) {
        return;
    }
    l->err = err;
    l->why = *why;
    end_process(l);
    /* what comes below fn of the control connection is that connection's to finish */
}

static void ended(struct tor_launch *l)
{
    const struct nk_diag *why = l->err ? &l->why : NULL;
    nk_timer_stop(&l->timer);
    set_state(l, S_ENDED); /* the connection is over, but others may still hold it */
    l->fn(l->owner, TOR_LAUNCH_ENDED, l->err, why);
}

/* Why it ended although nobody wanted it to. */
static void explain_end(struct tor_launch *l, const struct nk_process_exit *how)
{
    struct nk_diag said;
    if (how->error == -ENOENT) {
        l->err = nk_fail(&l->why, NK_ENOCMD, "there is no program '%s'", l->binary);
    } else if (how->error) {
        l->err = nk_fail_sys(&l->why, how->error, "starting %s", l->binary);
    } else if (how->signal) {
        l->err = nk_fail(&l->why, NK_ECLOSED, "tor was ended by signal %d (%s)", how->signal,
                         strsignal(how->signal));
    } else if (tor_output_explain(&l->said, &said) < 0 && how->status != 0) {
        l->why = said;
        l->err = said.code;
    } else {
        l->err = nk_fail(&l->why, NK_ECLOSED, "tor ended with status %d", how->status);
    }
}

static void on_exit_(void *owner, const struct nk_process_exit *how)
{
    struct tor_launch *l = owner;
    const bool wanted = l->state == S_ENDING;
    const bool killed = how->signal && how->signal != SIGTERM; /* TERM is what we have sent */
    struct nk_diag said;
    read_output(l);
    nk_process_close(l->process);
    l->process = NULL;
    if (!wanted || (l->vague && killed)) {
        explain_end(l, how);
    } else if (l->vague && tor_output_explain(&l->said, &said) < 0 && said.code != NK_ECLOSED) {
        l->why = said;
        l->err = said.code;
    }
    ended(l);
}

static void on_timer(void *owner)
{
    struct tor_launch *l = owner;
    struct nk_diag why, said;
    if (l->state == S_ENDING && !l->process) {
        ended(l);
    } else if (l->state == S_ENDING) {
        (void)nk_process_kill(l->process, SIGKILL);
    } else {
        char time[32];
        nk_fail(&why, -ETIMEDOUT, "tor is at %u %% (%s) after %s", l->at.percent,
                l->at.tag[0] ? l->at.tag : "starting",
                nk_format_duration(time, sizeof(time), l->timeout_ms));
        if (l->at.trouble) {
            nk_hint(&why, "%s %s", l->at.warning, l->at.host);
        } else if (tor_output_explain(&l->said, &said) < 0 && said.code != NK_ECLOSED) {
            nk_hint(&why, "%.180s", said.text);
        }
        fail(l, -ETIMEDOUT, &why);
    }
}

/* --- progress --------------------------------------------------------------------------------- */

static void enter_ready(struct tor_launch *l)
{
    nk_timer_stop(&l->timer);
    set_state(l, S_READY);
    l->fn(l->owner, TOR_LAUNCH_READY, 0, NULL);
}

static void on_phase(struct tor_launch *l, const char *text, size_t len)
{
    struct tor_bootstrap b;
    if (l->state >= S_ENDING || tor_bootstrap_parse(&b, text, len) < 0) {
        return;
    }
    /* the answer to GETINFO may come behind newer events */
    if (b.percent < l->at.percent || l->state == S_READY) {
        return;
    }
    l->at = b;
    if (b.serious && b.trouble) {
        nk_warn(log_of(l), "tor", "bootstrap: %s (%s)", b.warning, b.host);
    }
    l->fn(l->owner, TOR_LAUNCH_PROGRESS, 0, NULL);
    if (l->state == S_BOOTSTRAPPING && l->at.percent == TOR_BOOTSTRAP_DONE) {
        enter_ready(l);
    }
}

static void on_status(void *owner, const struct tor_reply *event)
{
    on_phase(owner, event->lines[0].text, event->lines[0].len);
}

/* --- owning ----------------------------------------------------------------------------------- */

static void next_step(struct tor_launch *l);

/* "127.0.0.1:9050" or "unix:/path", the first of them. */
static int take_socks(struct tor_launch *l, const struct tor_reply *reply)
{
    struct tor_word value;
    if (!tor_reply_find(reply, "net/listeners/socks", &value)) {
        return NK_EPROTO;
    }
    return tor_address_listener(l->socks, sizeof(l->socks), value.value, value.value_len);
}

static int now_enabled(struct tor_launch *l, const struct tor_reply *reply)
{
    (void)reply;
    int rc = tor_launch_files_enabled(&l->files);
    if (rc < 0) {
        nk_warn(log_of(l), "tor", "%s: %s: a reload would switch the network off", l->files.torrc,
                nk_strerror(rc));
    }
    return 0;
}

static int check_phase(struct tor_launch *l, const struct tor_reply *reply)
{
    struct tor_word value;
    if (!tor_reply_find(reply, "status/bootstrap-phase", &value)) {
        return NK_EPROTO;
    }
    on_phase(l, value.value, value.value_len);
    return 0;
}

/* In this order (control-spec 3.23): our connection owns tor before its pid does no more. */
static const struct {
    const char *command;
    int (*take)(struct tor_launch *l, const struct tor_reply *reply);
} steps[] = {{"TAKEOWNERSHIP", NULL},
             {"RESETCONF __OwningControllerProcess", NULL},
             {"SETCONF DisableNetwork=0", now_enabled},
             {"GETINFO net/listeners/socks", take_socks},
             {"GETINFO status/bootstrap-phase", check_phase}};
enum { STEPS = sizeof(steps) / sizeof(*steps) };

static void owned(struct tor_launch *l)
{
    set_state(l, S_BOOTSTRAPPING);
    l->fn(l->owner, TOR_LAUNCH_OPEN, 0, NULL);
    if (l->state == S_BOOTSTRAPPING && l->at.percent == TOR_BOOTSTRAP_DONE) {
        enter_ready(l);
    }
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct tor_launch *l = owner;
    struct nk_diag diag;
    if (l->state != S_OWNING || err < 0) {
        (void)why; /* the connection is over, and its watcher tells why */
        return;
    }
    int rc = reply->code != TOR_OK ? NK_EPROTO : 0;
    if (rc == 0 && steps[l->step].take) {
        rc = steps[l->step].take(l, reply);
    }
    if (rc < 0) {
        const struct tor_line *last = &reply->lines[reply->n - 1];
        nk_fail(&diag, rc, "tor answers '%s' with %d %.*s", steps[l->step].command, reply->code,
                (int)(last->len < 160 ? last->len : 160), last->text);
        l->vague = true; /* the reason is in its log: a port that is taken */
        fail(l, rc, &diag);
    } else if (l->state == S_OWNING && ++l->step < STEPS) {
        next_step(l);
    } else if (l->state == S_OWNING) {
        owned(l);
    }
}

static void next_step(struct tor_launch *l)
{
    struct nk_diag diag;
    l->request = (struct tor_request){.fn = on_reply, .owner = l, .timeout_ms = REPLY_MS};
    int rc = tor_control_send(l->control, &l->request, steps[l->step].command, NULL, 0, &diag);
    if (rc < 0) {
        fail(l, rc, &diag);
    }
}

static void on_control(void *owner, enum tor_control_state state, int err,
                       const struct nk_diag *why)
{
    struct tor_launch *l = owner;
    if (state == TOR_CONTROL_READY && l->state == S_OPENING) {
        set_state(l, S_OWNING);
        l->step = 0;
        next_step(l);
    } else if (state == TOR_CONTROL_CLOSED && l->state < S_ENDING) {
        l->vague = true; /* mostly tor's end, which tells more */
        fail(l, err, why);
    }
}

static void open_control(struct tor_launch *l)
{
    const struct tor_control_conf conf = {
        .app = l->app, .access = &l->access, .timeout_ms = REPLY_MS};
    struct nk_diag diag;
    set_state(l, S_OPENING);
    l->access = (struct tor_access){.control = l->address};
    int rc = tor_control_open(&l->control, &conf, &diag);
    if (rc < 0) {
        fail(l, rc, &diag);
        return;
    }
    l->watch = (struct tor_control_watch){.fn = on_control, .owner = l};
    tor_control_watch(l->control, &l->watch);
    l->progress = (struct tor_subscription){.event = "STATUS_CLIENT", .fn = on_status, .owner = l};
    (void)tor_control_subscribe(l->control, &l->progress); /* that can be an event's name */
}

/* --- the process ------------------------------------------------------------------------------ */

static void on_line(void *owner, enum nk_level level, const char *text)
{
    struct tor_launch *l = owner;
    /* until it is ready, what goes wrong is told as the reason of a failure */
    if (level <= NK_LOG_WARN && l->state == S_READY) {
        nk_warn(log_of(l), "tor", "tor: %s", text);
    } else {
        nk_debug(log_of(l), "tor", "tor: %s", text);
    }
    if (l->state == S_STARTING && tor_output_listens(text)) {
        open_control(l);
    }
}

static void read_output(struct tor_launch *l)
{
    char buf[READ_BYTES];
    ssize_t n;
    while (l->out && (n = nk_stream_read(l->out, buf, sizeof(buf))) != NK_EAGAIN) {
        if (n <= 0) {
            nk_stream_close(l->out);
            l->out = NULL;
        } else {
            tor_output_feed(&l->said, buf, (size_t)n);
        }
    }
}

static void on_output(void *owner, struct nk_stream *s, unsigned events)
{
    (void)s;
    (void)events;
    read_output(owner);
}

static int start_process(struct tor_launch *l, struct nk_diag *diag)
{
    char *const argv[] = {l->binary,         (char *)"-f",
                          l->files.torrc,    (char *)"--defaults-torrc",
                          l->files.defaults, NULL};
    struct nk_process_spec spec = {
        .argv = argv, .nfds = 3, .scratch = l->files.temporary ? l->files.dir : NULL};
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        return nk_fail_sys(diag, -errno, "a pipe for tor");
    }
    spec.become = l->files.become;
    spec.uid = l->files.uid;
    spec.gid = l->files.gid;
    spec.fds[0] = -1;
    spec.fds[1] = spec.fds[2] = fds[1];
    int rc = nk_stream_from_fd(l->app, fds[0], "tor", &l->out);
    if (rc < 0) {
        nk_fail_sys(diag, rc, "a pipe for tor");
    } else {
        nk_stream_own(l->out, on_output, l);
        nk_stream_interest(l->out, NK_READABLE);
        rc = nk_process_start(l->app, &spec, on_exit_, l, &l->process, diag);
    }
    close(fds[1]);
    if (rc == 0) {
        set_state(l, S_STARTING);
    }
    return rc;
}

/* --- seeding ---------------------------------------------------------------------------------- */

static void seed_run(void *job)
{
    struct seed *s = job;
    s->rc = tor_launch_seed(s->from, s->to);
}

static void seed_done(void *job)
{
    const struct seed *s = job;
    struct tor_launch *l = s->launch;
    struct nk_diag diag;
    l->seeding = NULL;
    if (s->rc < 0) {
        nk_debug(log_of(l), "tor", "launch: nothing copied from %s: %s", s->from,
                 nk_strerror(s->rc));
    }
    int rc = l->state == S_SEEDING ? start_process(l, &diag) : 0;
    if (rc < 0) {
        tor_launch_files_remove(&l->files);
        fail(l, rc, &diag);
    }
}

static void seed_drop(void *job)
{
    free(job);
}

static int begin_seeding(struct tor_launch *l, const char *from, struct nk_diag *diag)
{
    static const struct nk_work_ops ops = {seed_run, seed_done, seed_drop};
    struct seed *s = calloc(1, sizeof(*s));
    int rc = s ? 0 : -ENOMEM;
    if (rc == 0) {
        (void)snprintf(s->from, sizeof(s->from), "%s", from);
        (void)snprintf(s->to, sizeof(s->to), "%s", l->files.data);
        s->launch = l;
        rc = nk_work_submit(l->app, NK_LANE_DISK, &ops, s, &l->seeding);
    }
    if (rc < 0) {
        free(s);
        return nk_fail_sys(diag, rc, "tor: copying what is known of the network");
    }
    return 0;
}

/* --- what others call ------------------------------------------------------------------------- */

int tor_launch_start(struct nk_app *app, const struct tor_launch_conf *conf,
                     struct tor_launch **out, struct nk_diag *diag)
{
    struct tor_launch *l = calloc(1, sizeof(*l));
    if (!l) {
        return nk_fail_sys(diag, -ENOMEM, "tor");
    }
    l->app = app;
    l->fn = conf->fn;
    l->owner = conf->owner;
    l->timeout_ms = conf->timeout_ms;
    tor_output_init(&l->said, on_line, l);
    nk_timer_init(&l->timer, app, on_timer, l);
    int rc =
        tor_launch_find(conf->binary ? conf->binary : "tor", l->binary, sizeof(l->binary), diag);
    rc = rc < 0 ? rc : tor_launch_files_make(&l->files, conf, nk_app_state_dir(app), diag);
    if (rc == 0) {
        (void)tor_address_unix(l->address, sizeof(l->address), l->files.control); /* it fits */
        rc =
            conf->seed && !conf->user ? begin_seeding(l, conf->seed, diag) : start_process(l, diag);
    }
    if (rc < 0) {
        tor_launch_files_remove(&l->files);
        tor_launch_files_close(&l->files);
        nk_stream_close(l->out);
        free(l);
        return rc;
    }
    if (l->timeout_ms) {
        nk_timer_start(&l->timer, l->timeout_ms);
    }
    *out = l;
    return 0;
}

void tor_launch_end(struct tor_launch *l)
{
    if (l->state < S_ENDING) {
        end_process(l);
    }
}

void tor_launch_close(struct tor_launch *l)
{
    if (!l) {
        return;
    }
    if (l->seeding) {
        (void)nk_work_wait(l->seeding); /* some 10 ms at most: no file may come after the removal */
        nk_work_cancel(l->seeding);
    }
    if (!l->process) {
        tor_launch_files_remove(&l->files);
    }
    nk_timer_stop(&l->timer);
    drop_control(l);
    nk_process_close(l->process);
    nk_stream_close(l->out);
    tor_launch_files_close(&l->files);
    l->process = NULL;
    l->out = NULL;
    l->state = S_ENDED;
    l->gone = (struct nk_defer){.fn = free, .owner = l};
    nk_app_defer(l->app, &l->gone);
}

struct tor_control *tor_launch_control(const struct tor_launch *l)
{
    return l->control;
}

const char *tor_launch_socks(const struct tor_launch *l)
{
    return l->socks;
}

const char *tor_launch_address(const struct tor_launch *l)
{
    return l->address;
}

const char *tor_launch_data_dir(const struct tor_launch *l)
{
    return l->files.data;
}

pid_t tor_launch_pid(const struct tor_launch *l)
{
    return l->process ? nk_process_pid(l->process) : 0;
}

const struct tor_bootstrap *tor_launch_bootstrap(const struct tor_launch *l)
{
    return &l->at;
}
