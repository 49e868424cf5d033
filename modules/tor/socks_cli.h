/* SPDX-License-Identifier: MIT */
/* socks_cli - what `tor resolve`, `tor ptr` and `tor connect` share. */
#ifndef TOR_SOCKS_CLI_H
#define TOR_SOCKS_CLI_H

#include "base/cmd.h"
#include "tor/cli.h"
#include "tor/via.h"

struct tor_socks_cli_conf {
    struct tor_cli_conf tor;
    char *socks, *isolate;
    bool allow_private;
};

/* The rows of a command whose configuration has struct tor_socks_cli_conf as `member`. */
#define TOR_SOCKS_CLI_ROWS(conf, member)                                                           \
    TOR_ROWS(conf, member.tor),                                                                    \
        {.name = "socks",                                                                          \
         .type = NK_OPT_STRING,                                                                    \
         .offset = NK_FIELD(conf, member.socks),                                                   \
         .arg = "ADDR",                                                                            \
         .help = "tor's SOCKS port, written as --control; alone it is all that is used"},          \
        {.name = "isolate",                                                                        \
         .type = NK_OPT_STRING,                                                                    \
         .offset = NK_FIELD(conf, member.isolate),                                                 \
         .arg = "NAME",                                                                            \
         .help = "Share circuits only with connections of the same name"},                         \
    {                                                                                              \
        .name = "allow-private", .type = NK_OPT_FLAG,                                              \
        .offset = NK_FIELD(conf, member.allow_private),                                            \
        .help = "Ask tor for addresses of private networks too, in a Tor network of your own"      \
    }

extern const struct nk_opt tor_socks_cli_opts[]; /* of `tor resolve` and `tor ptr` */

/* tor_socks_cli_via - what these say of a request. The rest is the caller's. */
void tor_socks_cli_via(const struct tor_socks_cli_conf *c, struct tor_via_conf *out);

/* tor_socks_cli_check - tor_via_check for a command line: NK_EUSAGE for what is wrong. */
int tor_socks_cli_check(struct nk_cmd_ctx *ctx, const struct tor_via_conf *via);

/* tor_socks_cli_timeout - --timeout, else TOR_VIA_TIMEOUT_MS. */
uint64_t tor_socks_cli_timeout(const struct nk_cmd_ctx *ctx);

/* tor_socks_cli_lookup - all of run() of `tor resolve` and (ptr) `tor ptr`. */
int tor_socks_cli_lookup(struct nk_cmd_ctx *ctx, bool ptr);

#endif
