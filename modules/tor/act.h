/* SPDX-License-Identifier: MIT */
/* act - the commands that tell tor to do something to circuits and streams: commands are sent all
 * at once, each is judged by itself, and the first refusal is the error. */
#ifndef TOR_ACT_H
#define TOR_ACT_H

#include "tor/cli.h"
#include "tor/given.h"

/* tor_act_explain - put into diag's hint what a refusal means, if that is known: texts of tor 0.4.9
 * on circuits, streams and relays. */
void tor_act_explain(const struct tor_reply *reply, struct nk_diag *diag);

/*
 * tor_act_run - all of a command's run(): send the n commands and print nothing, or with --json
 * what tor said to each. lines[i] was made with user text that passed the checks of given.h.
 */
int tor_act_run(struct nk_cmd_ctx *ctx, const struct tor_cli_conf *conf, char *const *lines,
                size_t n);

/* tor_act_each - tor_act_run with "BEFORE id BEHIND" for each of the command's positionals, which
 * must be ids of a circuit or stream (`what`). */
int tor_act_each(struct nk_cmd_ctx *ctx, const struct tor_cli_conf *conf, const char *what,
                 const char *before, const char *behind);

#endif
