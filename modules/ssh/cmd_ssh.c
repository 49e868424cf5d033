/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/build_info.h"
#include "base/cmd.h"
#include "base/codec.h"
#include "base/file.h"
#include "core/app.h"
#include "core/launcher.h"
#include "core/pump.h"
#include "core/registry.h"
#include "core/signal.h"
#include "ssh/forwarding.h"
#include "ssh/link.h"
#include "ssh/session.h"
#include "ssh/ssh_words.h"
#include "ssh/tty.h"

#define MODULE "ssh"

enum { TEXT_MAX = 256 * 1024, TOLD_MAX = 1024, HOLD_MAX_MS = 3600 * 1000 };

struct work {
    struct nk_cmd_ctx *ctx;
    struct ssh_words words;
    struct ssh_config *config;
    struct nk_log *log; /* the command's, or that of -E */
    struct nk_app *app;
    struct nk_secret password, socks_login;
    struct ssh_link *link;
    struct ssh_link_user user;
    struct ssh_forwarding *forwarding;
    struct nk_signal *usr1; /* --reconnect: now */
    uint64_t hold_ms;       /* --hold */
    struct ssh_program *program;
    struct nk_pump *pump;
    struct nk_buf command;
    int parent; /* -f: who waits for the login; else -1 */
    int status;
};

/* --- the end ---------------------------------------------------------------------------------- */

/* What went wrong, in words, as ssh(1) does: its status says only that something did. */
static void failed(struct work *w, const struct nk_diag *why)
{
    w->status = SSH_EXIT_FAILED;
    nk_log_diag(w->log, MODULE, NK_LOG_ERROR, why);
}

static void stop(struct work *w, int status)
{
    w->status = status;
    nk_app_stop(w->app, status);
}

/* As ssh(1) does: connections over the forwards outlive the program. */
static void on_drained(void *owner)
{
    const struct work *w = owner;
    nk_app_stop(w->app, w->status);
}

static void on_done(void *owner, int status, const struct nk_diag *why)
{
    struct work *w = owner;
    if (why) {
        failed(w, why);
    }
    w->status = status;
    if (!why && w->forwarding && ssh_forwarding_active(w->forwarding) > 0) {
        ssh_forwarding_drain(w->forwarding);
    } else {
        stop(w, status);
    }
}

static void on_pumped(void *owner, const struct nk_pump_result *r)
{
    struct work *w = owner;
    w->pump = NULL;
    if (r->error < 0) {
        failed(w, r->why);
    }
    stop(w, r->error < 0 ? SSH_EXIT_FAILED : 0);
}

static void on_down(void *owner, struct ssh_link *l, const struct nk_diag *why)
{
    struct work *w = owner;
    /* a program and -W have been told, and end when all is written */
    if (ssh_link_state(l) == SSH_LINK_OVER && !w->program && !w->pump) {
        failed(w, why);
        stop(w, SSH_EXIT_FAILED);
    }
}

/* --- what is done ----------------------------------------------------------------------------- */

/* -W HOST:PORT */
static int forward_stdio(struct work *w, struct nk_diag *diag)
{
    struct nk_target t;
    const char *text = w->words.stdio_forward, *colon = strrchr(text, ':');
    bool six = colon && colon > text + 1 && *text == '[' && colon[-1] == ']';
    const char *digits = colon ? colon + 1 : "";
    bool number = strspn(digits, "0123456789") == strlen(digits);
    unsigned long port = number ? strtoul(digits, NULL, 10) : 0;
    int n = colon ? (int)(colon - text) - (six ? 2 : 0) : 0;
    if (n < 1 || n >= (int)sizeof(t.host) || port < 1 || port > UINT16_MAX) {
        return nk_fail(diag, NK_EUSAGE, "-W %s: expected HOST:PORT", text);
    }
    (void)snprintf(t.host, sizeof(t.host), "%.*s", n, text + (six ? 1 : 0));
    struct nk_stream *there = NULL, *here = NULL;
    struct nk_endpoint *ep;
    int rc = ssh_link_dial_tcp(w->link, t.host, (uint16_t)port, NULL, NULL, &there, diag);
    if (rc < 0) {
        return rc;
    }
    rc = nk_endpoint_parse("stdio:", NK_EP_CONNECT, &ep, diag);
    if (rc >= 0) {
        rc = nk_dial(w->app, ep, NULL, NULL, &here, diag);
        nk_endpoint_free(ep);
    }
    if (rc < 0) {
        nk_stream_close(there);
        return rc;
    }
    const struct nk_pump_conf conf = {0};
    rc = nk_pump_start(w->app, here, there, &conf, on_pumped, w, &w->pump);
    return rc < 0 ? nk_fail_sys(diag, rc, "-W") : 0;
}

static bool wants_terminal(const struct work *w)
{
    int t = w->config->request_tty;
    return t == SSH_TTY_FORCE ||
           (isatty(STDIN_FILENO) &&
            (t == SSH_TTY_YES || (t == SSH_TTY_AUTO && nk_buf_len(&w->command) == 0)));
}

static int start_program(struct work *w, struct nk_diag *diag)
{
    const struct ssh_config *c = w->config;
    const struct ssh_program_conf conf = {
        .app = w->app,
        .log = w->log,
        .config = c,
        .command = nk_buf_len(&w->command) > 0 ? nk_buf_str(&w->command) : NULL,
        .subsystem = c->session == SSH_SESSION_SUBSYSTEM,
        .terminal = wants_terminal(w),
        .no_stdin = c->stdin_null || c->fork,
        .done = on_done,
        .owner = w};
    if (conf.subsystem && !conf.command) {
        return nk_fail(diag, NK_EUSAGE, "-s: which subsystem?");
    }
    if (strcasecmp(c->forward_agent, "no") != 0) {
        nk_warn(w->log, MODULE, "ForwardAgent (-A): netkit forwards no agent; -J needs none");
    }
    return ssh_program_open(ssh_link_channels(w->link), &conf, &w->program, diag);
}

/* -f: the login is done; from now on we are on our own. */
static void into_background(struct work *w)
{
    const uint8_t good = 0;
    if (w->parent < 0) {
        return;
    }
    (void)setsid(); /* cannot fail: we are no group's leader */
    if (write(w->parent, &good, 1) != 1) {
        nk_warn(w->log, MODULE, "nobody waited for the login");
    }
    (void)close(w->parent);
    w->parent = -1;
}

static void begin(struct work *w)
{
    struct nk_diag diag = {0};
    into_background(w);
    int rc = w->words.stdio_forward                   ? forward_stdio(w, &diag)
             : w->config->session == SSH_SESSION_NONE ? 0
                                                      : start_program(w, &diag);
    ssh_link_no_more_sessions(w->link);
    if (rc < 0) {
        failed(w, &diag);
        stop(w, SSH_EXIT_FAILED);
    }
}

static void on_forwards(void *owner)
{
    begin(owner);
}

static void on_refused(void *owner, int rc, const struct nk_diag *why)
{
    struct work *w = owner;
    (void)rc;
    failed(w, why);
    stop(w, SSH_EXIT_FAILED);
}

/* The port that the server has chosen is nowhere else to be seen. */
static void on_told(void *owner, const struct ssh_forward *f, int rc, uint16_t port,
                    const struct nk_diag *why)
{
    const struct work *w = owner;
    const struct ssh_forward_end *to = &f->connect;
    char text[TOLD_MAX];
    (void)why;
    if (rc == 0 && !f->listen.path && f->listen.port == 0 && w->config->log_level > SSH_LOG_ERROR) {
        int n = snprintf(text, sizeof(text), "Allocated port %u for remote forward to ", port);
        if (to->host) {
            (void)snprintf(text + n, sizeof(text) - (size_t)n, "%s:%u\n", to->host, to->port);
        } else {
            (void)snprintf(text + n, sizeof(text) - (size_t)n, "%s\n",
                           to->path ? to->path : "SOCKS");
        }
        ssh_tty_say(text);
    }
}

static bool has_forwards(const struct work *w)
{
    return w->config->forwards.n > 0 && !w->words.stdio_forward && !w->config->clear_forwardings;
}

static int open_forwards(struct work *w, struct nk_diag *diag)
{
    const struct ssh_forwarding_conf conf = {.link = w->link,
                                             .log = w->log,
                                             .forwards = &w->config->forwards,
                                             .config = w->config,
                                             .socks_login =
                                                 w->socks_login.data ? &w->socks_login : NULL,
                                             .once = !w->words.reconnect,
                                             .ready = on_forwards,
                                             .told = on_told,
                                             .failed = on_refused,
                                             .drained = on_drained,
                                             .owner = w};
    return ssh_forwarding_open(&conf, &w->forwarding, diag);
}

static void on_up(void *owner, struct ssh_link *l)
{
    struct work *w = owner;
    struct nk_diag diag = {0};
    if (w->words.reconnect && ssh_link_ups(l) > 1) {
        ssh_link_no_more_sessions(l);
        return;
    }
    if (!has_forwards(w)) {
        begin(w);
    } else if (!w->forwarding && open_forwards(w, &diag) < 0) {
        failed(w, &diag);
        stop(w, SSH_EXIT_FAILED);
    }
}

static void on_usr1(void *owner, int signal)
{
    const struct work *w = owner;
    (void)signal;
    ssh_link_retry(w->link);
}

static int open_link(struct work *w)
{
    struct nk_cmd_ctx *ctx = w->ctx;
    const struct ssh_link_conf conf = {.app = w->app,
                                       .log = w->log,
                                       .config = w->config,
                                       .file = w->words.file,
                                       .pins = (const char *const *)w->words.pins.v,
                                       .npins = w->words.pins.n,
                                       .password = w->password.data ? &w->password : NULL,
                                       .answers = &w->words.answers,
                                       .no_input = ctx->globals->no_input,
                                       .quiet = w->config->log_level <= SSH_LOG_ERROR,
                                       .once = !w->words.reconnect,
                                       .refuse = w->words.hold && w->hold_ms == 0,
                                       .hold_ms = w->hold_ms};
    int rc = ssh_link_new(&conf, &w->link, &ctx->diag);
    if (rc < 0) {
        w->config = NULL;
        return rc;
    }
    w->user = (struct ssh_link_user){.up = on_up, .down = on_down, .owner = w};
    ssh_link_attach(w->link, &w->user);
    if (w->words.reconnect) {
        rc = nk_signal_watch(w->app, SIGUSR1, on_usr1, w, &w->usr1);
        rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "signals") : 0;
        rc = rc < 0 || !has_forwards(w) ? rc : open_forwards(w, &ctx->diag);
    }
    return rc;
}

static int connect_and_run(struct work *w)
{
    struct nk_cmd_ctx *ctx = w->ctx;
    const struct nk_app_conf app_conf = {.log = w->log,
                                         .launcher = ctx->launcher,
                                         .state_dir = ctx->globals->state_dir,
                                         .ini = ctx->ini};
    int rc = nk_app_new(&w->app, &app_conf, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = nk_signal_oneshot_guard(w->app);
    rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "signals") : open_link(w);
    return rc < 0 ? rc : nk_app_run(w->app);
}

static void clear(struct work *w)
{
    ssh_program_close(w->program);
    nk_pump_close(w->pump);
    ssh_forwarding_close(w->forwarding);
    nk_signal_close(w->usr1);
    if (w->link) {
        ssh_link_detach(w->link, &w->user);
        ssh_link_unref(w->link);
    } else {
        ssh_config_free(w->config);
    }
    if (w->app) {
        nk_app_free(w->app);
    }
    ssh_words_clear(&w->words);
    nk_secret_clear(&w->password);
    nk_secret_clear(&w->socks_login);
    nk_buf_clear(&w->command);
    if (w->log != w->ctx->log) {
        nk_log_free(w->log);
    }
}

/* --- words ------------------------------------------------------------------------------------ */

static int print(struct work *w, const struct nk_buf *b)
{
    bool good =
        fwrite(nk_buf_ptr(b), 1, nk_buf_len(b), stdout) == nk_buf_len(b) && fflush(stdout) == 0;
    return good ? 0 : nk_fail(&w->ctx->diag, NK_EOUTPUT, "%s", nk_strerror(NK_EOUTPUT));
}

static int put_names(struct nk_buf *b, enum ssh_list which)
{
    int rc = 0;
    const char *name;
    for (size_t i = 0; rc == 0 && (name = ssh_algo_name(which, i)) != NULL; i++) {
        rc = nk_buf_printf(b, "%s\n", name);
    }
    return rc;
}

static int put_keys(struct nk_buf *b, bool certs)
{
    int rc = 0;
    for (const struct ssh_key_type *t = ssh_key_types; t->name && rc == 0; t++) {
        rc = certs ? 0 : nk_buf_printf(b, "%s\n", t->name);
        rc = rc < 0 ? rc : nk_buf_printf(b, "%s\n", t->cert);
    }
    return rc;
}

/* -Q */
static int query(struct work *w)
{
    static const struct {
        const char *name;
        int list;
    } names[] = {{"cipher", SSH_LIST_CIPHER},
                 {"Ciphers", SSH_LIST_CIPHER},
                 {"mac", SSH_LIST_MAC},
                 {"MACs", SSH_LIST_MAC},
                 {"kex", SSH_LIST_KEX},
                 {"KexAlgorithms", SSH_LIST_KEX},
                 {"sig", SSH_LIST_HOST_KEY},
                 {"key-sig", SSH_LIST_HOST_KEY},
                 {"HostKeyAlgorithms", SSH_LIST_HOST_KEY},
                 {"PubkeyAcceptedAlgorithms", SSH_LIST_HOST_KEY},
                 {"key", SSH_LISTS},
                 {"key-cert", SSH_LISTS + 1}};
    struct nk_buf b;
    const char *what = w->words.query;
    nk_buf_init(&b, TEXT_MAX);
    int rc = nk_fail(&w->ctx->diag, NK_EUSAGE,
                     "-Q %s: there is cipher, mac, kex, key, key-cert, sig", what);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && rc < 0; i++) {
        if (strcmp(names[i].name, what) == 0) {
            rc = names[i].list < SSH_LISTS ? put_names(&b, (enum ssh_list)names[i].list)
                                           : put_keys(&b, names[i].list > SSH_LISTS);
        }
    }
    rc = rc < 0 ? rc : print(w, &b);
    nk_buf_clear(&b);
    return rc;
}

static int load(struct work *w)
{
    const struct ssh_config_ask ask = {.host = w->words.host,
                                       .user = w->words.user,
                                       .port = w->words.port,
                                       .file = w->words.file,
                                       .options = (const char *const *)w->words.options.v,
                                       .noptions = w->words.options.n,
                                       .log = w->log,
                                       .exec = w->words.match_exec ? ssh_config_exec : NULL,
                                       .exec_arg = w->log};
    return ssh_config_load(&w->config, &ask, &w->ctx->diag);
}

static int print_config(struct work *w)
{
    struct nk_buf b;
    nk_buf_init(&b, TEXT_MAX);
    int rc = ssh_config_print(w->config, &b);
    rc = rc < 0 ? nk_fail_sys(&w->ctx->diag, rc, "-G") : print(w, &b);
    nk_buf_clear(&b);
    return rc;
}

/* The words after HOST with spaces between them, or RemoteCommand. */
static int read_command(struct work *w)
{
    int rc = 0;
    for (int i = 0; i < w->words.ncommand && rc == 0; i++) {
        rc = i ? nk_buf_u8(&w->command, ' ') : 0;
        rc = rc < 0 ? rc : nk_buf_puts(&w->command, w->words.command[i]);
    }
    if (rc == 0 && w->words.ncommand == 0 && w->config->remote_command) {
        return ssh_config_expand(w->config, w->config->remote_command, &w->command, &w->ctx->diag);
    }
    return rc < 0 ? nk_fail_sys(&w->ctx->diag, rc, "the command") : 0;
}

static void set_level(struct work *w)
{
    static const enum nk_level levels[] = {
        [SSH_LOG_QUIET] = NK_LOG_ERROR,  [SSH_LOG_FATAL] = NK_LOG_ERROR,
        [SSH_LOG_ERROR] = NK_LOG_ERROR,  [SSH_LOG_INFO] = NK_LOG_WARN,
        [SSH_LOG_VERBOSE] = NK_LOG_INFO, [SSH_LOG_DEBUG1] = NK_LOG_DEBUG,
        [SSH_LOG_DEBUG2] = NK_LOG_DEBUG, [SSH_LOG_DEBUG3] = NK_LOG_TRACE};
    if (w->ctx->globals->verbose == 0 && w->log) {
        (void)nk_log_set_level(w->log, NULL, levels[w->config->log_level]);
    }
}

/* -E */
static int open_log(struct work *w)
{
    if (!w->words.log_file) {
        return 0;
    }
    int fd = open(w->words.log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) {
        return nk_fail_sys(&w->ctx->diag, -errno, "-E %s", w->words.log_file);
    }
    struct nk_log *log = nk_log_new(fd, NK_LOG_TEXT, NK_LOG_WARN);
    if (!log) {
        (void)close(fd);
        return nk_fail_sys(&w->ctx->diag, -ENOMEM, "-E");
    }
    w->log = log; /* its descriptor stays open until the end */
    return 0;
}

static int prepare(struct work *w)
{
    int rc = open_log(w);
    rc = rc < 0 ? rc : load(w);
    if (rc < 0 || w->words.print_config) {
        return rc;
    }
    if (w->words.reconnect && w->config->session != SSH_SESSION_NONE) {
        return nk_fail(&w->ctx->diag, NK_EUSAGE, "--reconnect is for forwards alone: add -N");
    }
    if (w->words.hold &&
        (!w->words.reconnect || nk_parse_duration(w->words.hold, &w->hold_ms) < 0 ||
         w->hold_ms > HOLD_MAX_MS)) {
        return nk_fail(&w->ctx->diag, NK_EUSAGE, "--hold is a time up to 1h, and for --reconnect");
    }
    set_level(w);
    rc = read_command(w);
    if (rc == 0 && w->words.password_file) {
        rc = nk_file_read_secret(w->words.password_file, true, &w->password, &w->ctx->diag);
    }
    if (rc == 0 && w->words.socks_login) {
        rc = nk_file_read_secret(w->words.socks_login, true, &w->socks_login, &w->ctx->diag);
    }
    return rc;
}

/* -f: a child goes on; whoever has started us waits for its login. > 0: the parent's exit status
 * plus one. */
static int split(struct work *w)
{
    int ends[2], status;
    uint8_t good;
    if (!w->config->fork) {
        return 0;
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return nk_fail_sys(&w->ctx->diag, -errno, "-f");
    }
    pid_t pid = fork();
    if (pid <= 0) {
        (void)close(ends[0]);
        w->parent = ends[1];
        return pid < 0 ? nk_fail_sys(&w->ctx->diag, -errno, "-f") : 0;
    }
    (void)close(ends[1]);
    bool ready = read(ends[0], &good, 1) == 1;
    (void)close(ends[0]);
    if (ready) {
        return 1;
    }
    if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status)) {
        return 1 + SSH_EXIT_FAILED;
    }
    return 1 + WEXITSTATUS(status);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct work w = {.ctx = ctx, .log = ctx->log, .parent = -1};
    nk_buf_init(&w.command, TEXT_MAX);
    int rc = ssh_words_parse(&w.words, ctx->argc, ctx->argv, &ctx->diag);
    if (rc == 0 && w.words.version) {
        rc = fprintf(stderr, "netkit %s, SSH 2.0\n", nk_build_info.version) < 0 ? SSH_EXIT_FAILED
                                                                                : 0;
    } else if (rc == 0 && w.words.query) {
        rc = query(&w);
    } else if (rc == 0) {
        rc = prepare(&w);
        rc = rc < 0 ? rc : w.words.print_config ? print_config(&w) : split(&w);
        if (rc > 0) {
            rc--;
        } else if (rc == 0 && !w.words.print_config) {
            rc = connect_and_run(&w);
        }
    }
    if (rc < 0 &&
        rc != NK_EUSAGE) { /* its status is the program's on the other side, but for 255 */
        failed(&w, &ctx->diag);
        rc = SSH_EXIT_FAILED;
    }
    clear(&w);
    return rc;
}

const struct nk_cmd nk_cmd_ssh = {
    .synopsis = "[-46AaCfGgNnqsTtVvx] [-b ADDRESS] [-c CIPHERS] [-E LOG] [-e CHAR] [-F FILE] "
                "[-i KEY] [-J HOSTS] [-l USER] [-m MACS] [-o OPTION] [-p PORT] [-Q WHAT] "
                "[-D [ADDR:]PORT] [-L LISTEN:TO] [-R LISTEN[:TO]] [-W HOST:PORT] "
                "[--reconnect [--hold TIME]] [--fingerprint FINGERPRINT] [--password-file FILE] "
                "[--answer PATTERN=FILE].. [--match-exec] [--socks-login FILE] [USER@]HOST "
                "[COMMAND..]",
    .summary = "Run programs on another machine over SSH",
    .max_args = -1,
    .flags = NK_CMD_RAW | NK_CMD_EXEC,
    .run = run,
};
