/* SPDX-License-Identifier: MIT */
/* list - the commands that show what GETINFO lists: circuits, streams, guards, mappings. */
#ifndef TOR_LIST_H
#define TOR_LIST_H

#include "tor/cli.h"
#include "tor/event.h"

#define TOR_FILTERS_MAX 16

struct tor_list_conf {
    struct tor_cli_conf cli;
    struct nk_strlist filter;
};

/* --filter of a configuration struct. */
#define TOR_FILTER_ROW(conf, member)                                                               \
    {                                                                                              \
        .name = "filter", .short_name = 'f', .type = NK_OPT_STRING,                                \
        .offset = NK_FIELD(conf, member), .arg = "CONDITION",                                      \
        .flags = NK_OPT_REPEAT | NK_OPT_CLI_ONLY,                                                  \
        .help = "Only those whose field is so: status=BUILT, purpose!=GENERAL, target~.onion; "    \
                "'|' between alternatives; all conditions must be met"                             \
    }

/* The conditions of --filter. */
struct tor_filters {
    size_t n;
    struct tor_filter v[TOR_FILTERS_MAX];
};

/* tor_filters_parse - those of list, which must stay. 0 or NK_EUSAGE. */
int tor_filters_parse(struct tor_filters *f, const struct nk_strlist *list, struct nk_diag *diag);

/* tor_filters_match - are all of them met? */
bool tor_filters_match(const struct tor_filters *f, const struct tor_event *e);

extern const struct nk_opt tor_list_opts[]; /* over struct tor_list_conf */

struct tor_list {
    const char *key;     /* of GETINFO */
    const char *name;    /* member of the JSON object */
    const char *columns; /* fields in the table, with commas between */
};

/* tor_list_run - run() of such a command, whose configuration is struct tor_list_conf: one GETINFO,
 * a table, or with --json an object. */
int tor_list_run(struct nk_cmd_ctx *ctx, const struct tor_list *what);

extern const struct tor_list tor_list_circuits, tor_list_streams, tor_list_guards, tor_list_maps;

#endif
