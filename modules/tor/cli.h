/* SPDX-License-Identifier: MIT */
/* cli - what the commands of `netkit tor` and `netkit onion` share: which tor is meant, getting
 * connected to it, waiting, and the end. */
#ifndef TOR_CLI_H
#define TOR_CLI_H

#include <stdbool.h>

#include "base/cmd.h"
#include "base/json.h"
#include "base/opt.h"
#include "core/timer.h"
#include "tor/control.h"
#include "tor/instance.h"
#include "tor/progress.h"

struct nk_app;
struct nk_signal;

#define TOR_CLI_SIGNALS 3

struct tor_cli_conf {
    int kind; /* enum tor_kind */
    struct tor_access access;
};

/* The rows of a command whose configuration has struct tor_cli_conf as its first `member`: one that
 * is about a tor that runs. TOR_ROWS_OF - the same anywhere, with another default of --tor. */
#define TOR_ROWS(conf, member) NK_OPT_SHARED_BY(tor_cli_rows, conf, member)
#define TOR_ROWS_OF(conf, member, which)                                                           \
    {.name = "tor",                                                                                \
     .type = NK_OPT_ENUM,                                                                          \
     .offset = NK_FIELD(conf, member.kind),                                                        \
     .arg = "WHICH",                                                                               \
     .def = (which),                                                                               \
     .choices = tor_kind_names,                                                                    \
     .help = "system: a running tor; global: the user's own, which netkit starts and shares; "     \
             "private: one for this command alone; auto: system, else global"},                    \
        {.name = "control",                                                                        \
         .type = NK_OPT_STRING,                                                                    \
         .offset = NK_FIELD(conf, member.access.control),                                          \
         .arg = "ADDR",                                                                            \
         .help = "tor's control port: HOST:PORT, PORT, a path or an endpoint; default: "           \
                 "/run/tor/control, 127.0.0.1:9051, 127.0.0.1:9151"},                              \
        {.name = "cookie-file",                                                                    \
         .type = NK_OPT_PATH,                                                                      \
         .offset = NK_FIELD(conf, member.access.cookie_file),                                      \
         .arg = "FILE",                                                                            \
         .help = "The authentication cookie, where it is not at the path that tor names"},         \
    {                                                                                              \
        .name = "password-file", .type = NK_OPT_PATH,                                              \
        .offset = NK_FIELD(conf, member.access.password_file), .arg = "FILE",                      \
        .help = "The password of the control port is the line in this file"                        \
    }

/* The rows of a command that has no others: its configuration is a struct tor_cli_conf. */
extern const struct nk_opt tor_cli_rows[];

struct tor_cli;

/* What a command does once it is connected. */
struct tor_cli_task {
    void (*ready)(struct tor_cli *cli); /* READY; again after each reconnect */
    /* the connection was lost and is tried again; may be NULL. Without `reconnect` a loss ends the
     * command with its error */
    void (*lost)(struct tor_cli *cli, const struct nk_diag *why);
    /* INT, TERM or HUP: to end in order, with tor_cli_finish in the end. A second one ends the
     * command at once. NULL: so does the first */
    void (*stop)(struct tor_cli *cli, int signum);
    /* the loop has ended, whatever the reason: close what was opened on the app; may be NULL */
    void (*end)(struct tor_cli *cli);
    void *owner;
    bool reconnect;
    bool wait; /* with reconnect and lost: also for a tor that is not there yet; lost is told each
                * attempt, and may finish the command */
    uint64_t timeout_ms; /* for the whole command where --timeout says nothing; 0: none */
};

/* A command that runs; task and control are there from the first `ready` on. */
struct tor_cli {
    struct nk_cmd_ctx *ctx;
    struct nk_app *app;
    struct tor_control *control;
    const struct tor_cli_task *task;
    const struct tor_cli_conf *conf;
    struct tor_instance_wait *wait; /* private from here on */
    struct tor_instance *instance;
    struct tor_control_watch watch;
    struct tor_progress progress;
    struct nk_timer timeout, again;
    struct nk_signal *signals[TOR_CLI_SIGNALS];
    int signum; /* the one that task->stop was told */
    bool finished;
};

/*
 * tor_cli_run - all of a command's run(): an app, the control port that conf means, then
 * task->ready; the loop, until tor_cli_finish, a signal (128 + its number), --timeout (-ETIMEDOUT)
 * or the loss of the connection. Requests and subscriptions of the task must stay valid until it
 * returns. Returns what run() returns; ctx->diag is filled on failure.
 */
int tor_cli_run(struct nk_cmd_ctx *ctx, const struct tor_cli_conf *conf,
                const struct tor_cli_task *task);

/* tor_cli_finish - end the command with rc: 0, a negative code (ctx->diag filled), or an exit
 * status. The first call counts. */
void tor_cli_finish(struct tor_cli *cli, int rc);

/*
 * tor_reply_error - 0 when tor did what it was told (2xx in every line); else the code that goes
 * with its first failure, and diag says "WHAT: tor's text". NK_EAUTH for 514 and 515, else
 * NK_EFORMAT: tor refused it, or could not do it.
 */
int tor_reply_error(const struct tor_reply *reply, const char *what, struct nk_diag *diag);

/* tor_cli_reply - for a tor_reply_fn: true when tor did what it was told. Else the command is
 * finished with the error of the connection, or that of tor_reply_error. */
bool tor_cli_reply(struct tor_cli *cli, int err, const struct tor_reply *reply,
                   const struct nk_diag *why, const char *what);

/* tor_cli_send - a line that this program has made; on an error the command is finished with it. */
void tor_cli_send(struct tor_cli *cli, struct tor_request *r, const char *line);

/*
 * tor_cli_send_words - send "VERB word word.." of n words that users gave and that have passed the
 * checks of given.h. On an error the command is finished with it.
 */
void tor_cli_send_words(struct tor_cli *cli, struct tor_request *r, const char *verb,
                        char *const *words, int n);

/* tor_cli_print - n bytes of tor's to standard output; to a terminal, control bytes other than LF
 * and TAB are shown as \xNN. */
void tor_cli_print(const char *p, size_t n);

#endif
