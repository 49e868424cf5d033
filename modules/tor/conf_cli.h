/* SPDX-License-Identifier: MIT */
/* conf_cli - what the commands `tor conf ...` have in common: the options of the tor they talk to,
 * one question after the other, and printing. */
#ifndef TOR_CONF_CLI_H
#define TOR_CONF_CLI_H

#include "base/cmd.h"
#include "base/cli.h"
#include "tor/cli.h"
#include "tor/conf.h"
#include "tor/control.h"

/* The configuration of a command without rows of its own; others begin with the same member. */
struct tor_conf_cli_conf {
    struct tor_cli_conf cli;
};

#define TOR_CONF_PRINT_MAX ((size_t)16 << 20) /* bytes that one command prints at once */

/* What the words of a command are, checked before it connects. */
enum tor_conf_words {
    TOR_CONF_NO_WORDS, /* none, or nothing that can be checked */
    TOR_CONF_KEYS,
    TOR_CONF_PAIRS, /* KEY=VALUE */
    TOR_CONF_EITHER /* KEY or KEY=VALUE */
};

struct tor_conf_cli {
    /* The names are known (unless no_names): ask the first question, or end. */
    void (*start)(struct tor_conf_cli *c);
    bool no_names;
    enum tor_conf_words words;
    struct nk_cmd_ctx *ctx; /* from here on set by tor_conf_cli_run */
    struct tor_cli *cli;
    struct tor_conf_names names;
    struct nk_buf line; /* for the command that is being put together */
    void (*answer)(struct tor_conf_cli *c, const struct tor_reply *reply);
    struct tor_request request;
};

/* tor_conf_cli_run - the command's run(): connect, learn the names, start; returns what was given
 * to tor_conf_cli_end. ctx->conf begins with a struct tor_cli_conf. */
int tor_conf_cli_run(struct tor_conf_cli *c, struct nk_cmd_ctx *ctx);

/* tor_conf_cli_ask - send a command; a reply of success goes to answer. A refusal ends the command
 * with what it means (tor_conf_refused). */
void tor_conf_cli_ask(struct tor_conf_cli *c, const char *line, const void *data, size_t len,
                      void (*answer)(struct tor_conf_cli *, const struct tor_reply *));

/* tor_conf_cli_send - the same for what is in line. */
void tor_conf_cli_send(struct tor_conf_cli *c,
                       void (*answer)(struct tor_conf_cli *, const struct tor_reply *));

/* tor_conf_cli_end - the command is over: 0, an exit status, or the error of ctx->diag. */
void tor_conf_cli_end(struct tor_conf_cli *c, int rc);

/* tor_conf_cli_get - begin line as GETCONF with the options that words (KEY or KEY=..) name, each
 * once. whole: lines of onion services with all others of their list. 0, or the error in ctx->diag.
 */
int tor_conf_cli_get(struct tor_conf_cli *c, char *const *words, size_t n, bool whole);

/* What is being printed: text of a torrc, or the array "options" of a JSON object. */
struct tor_conf_print {
    struct nk_buf out;
    struct nk_json j;
    bool json, raw; /* raw: values alone */
};

/* tor_conf_print_open - begin; bare: no object around the JSON. tor_conf_print_close - end it and
 * print all unless rc, which is returned then, is an error. */
void tor_conf_print_open(struct tor_conf_print *p, const struct tor_conf_cli *c, bool raw,
                         bool bare);
int tor_conf_print_close(struct tor_conf_print *p, struct tor_conf_cli *c, int rc);

/* tor_conf_print_line - a line of a reply (quoted) or of CONF_CHANGED (not). 0, or the error in
 * ctx->diag. */
int tor_conf_print_line(struct tor_conf_print *p, struct tor_conf_cli *c, const char *text,
                        size_t len, bool quoted);

/* tor_conf_cli_print - all lines of a reply to GETCONF. tor_conf_cli_print_torrc - all lines "Name
 * value" of a torrc that tor gave. 0, or the error in ctx->diag. */
int tor_conf_cli_print(struct tor_conf_cli *c, const struct tor_reply *reply, bool raw);
int tor_conf_cli_print_torrc(struct tor_conf_cli *c, const char *text, size_t n, bool raw);

/* tor_conf_cli_show - the last answer of set and reset: print what tor has now, and, unless quiet,
 * that it is not saved. Ends the command. */
void tor_conf_cli_show(struct tor_conf_cli *c, const struct tor_reply *reply);

#endif
