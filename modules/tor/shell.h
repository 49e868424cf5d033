/* SPDX-License-Identifier: MIT */
/*
 * shell - the dialogue of `netkit tor shell`: lines of the control protocol and words of its own,
 * edited on a terminal or read from a pipe, replies and events printed as they come.
 */
#ifndef TOR_SHELL_H
#define TOR_SHELL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/cmd.h"
#include "base/opt.h"
#include "tor/cli.h"
#include "tor/conf.h"
#include "tor/edit.h"
#include "tor/term.h"

#define TOR_SHELL_EVENTS_MOST 64             /* subscriptions */
#define TOR_SHELL_AHEAD ((size_t)256 * 1024) /* bytes that are typed or come while tor is asked */

struct tor_shell_event {
    char name[48];
    struct tor_subscription s;
};

/* What tor says it knows, for Tab. */
struct tor_shell_words {
    struct tor_conf_names options;
    struct nk_strlist info, events, signals;
};

struct tor_shell {
    struct nk_cmd_ctx *ctx;
    struct tor_cli *cli;
    bool terminal; /* keys, a prompt, history; else lines from a pipe */
    bool asking;   /* the prompt is there */
    bool waiting;  /* a reply is */
    bool ended;    /* there will be no more input */
    bool failed;   /* a command was refused */
    struct tor_term term;
    struct tor_edit *edit;
    struct nk_stream *in;
    struct nk_buf screen;
    struct nk_buf ahead;         /* input that is not looked at yet */
    struct nk_buf command, data; /* of one with a data block, which is being typed */
    struct tor_request request;
    bool values; /* of the reply only values are printed */
    struct tor_shell_event *events[TOR_SHELL_EVENTS_MOST];
    size_t events_n;
    struct tor_shell_words words;
};

/* tor_shell_run - the whole dialogue. Returns what a command's run() does. */
int tor_shell_run(struct nk_cmd_ctx *ctx, const struct tor_cli_conf *conf);

/* tor_shell_is_secret - a line that must not be kept: it has a password, a cookie or a key. */
bool tor_shell_is_secret(const char *line);

/* tor_shell_complete - what may follow (struct tor_edit_conf.complete); owner is a tor_shell_words.
 * tor_shell_words_read - from the answer to GETINFO config/names, events/names, info/names and
 * signal/names; what is missing stays empty. 0 or -ENOMEM. */
void tor_shell_complete(void *owner, const char *line, size_t cursor, struct tor_edit_choices *out);
int tor_shell_words_read(struct tor_shell_words *w, const struct tor_reply *reply);
void tor_shell_words_clear(struct tor_shell_words *w);

/* tor_shell_help - append what the shell can do, or one command's line. */
int tor_shell_help(struct nk_buf *out, const char *command);

#endif
