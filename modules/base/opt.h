/* SPDX-License-Identifier: MIT */
/*
 * opt - option rows: one row is a command-line flag, an INI key, an environment variable, a help
 * line, a man page entry and a completion candidate at once.
 *
 * Values land in a flat configuration struct at `offset`; the field's C type follows from the row's
 * type (see enum nk_opt_type). The struct and everything it points to is immutable after loading
 * and belongs to its nk_conf (conf.h).
 */
#ifndef NK_BASE_OPT_H
#define NK_BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* A list value: `n` strings at `v` (NULL when empty). */
struct nk_strlist {
    char **v;
    size_t n;
};

/* nk_strlist_add - append a copy of len characters. 0 or -ENOMEM. */
int nk_strlist_add(struct nk_strlist *l, const char *text, size_t len);

/* nk_strlist_clear - free the strings and the list, which is empty then. */
void nk_strlist_clear(struct nk_strlist *l);

enum nk_opt_type {              /* field in the configuration struct */
                   NK_OPT_FLAG, /* bool; on the command line without argument; "yes"/"no" in INI */
                   NK_OPT_BOOL, /* bool; yes|no|true|false|on|off|1|0 */
                   NK_OPT_INT,  /* int64_t, checked against min..max */
                   NK_OPT_SIZE, /* uint64_t bytes (k, M, G suffixes), min..max */
                   NK_OPT_DURATION, /* uint64_t milliseconds (ms, s, m, h, d suffixes), min..max */
                   NK_OPT_STRING,   /* char * or NULL */
                   NK_OPT_PATH,   /* char * or NULL; INI values relative to the INI file's directory
                                   */
                   NK_OPT_ENUM,   /* int: index into choices */
                   NK_OPT_LISTEN, /* char *: an endpoint string usable as a listener (checked at
                                     load) */
                   NK_OPT_CONNECT, /* char *: an endpoint string usable as a connector (checked at
                                     load) */
                   NK_OPT_ROWS     /* no option: NK_OPT_SHARED */
};

enum nk_opt_flags {
    NK_OPT_SECRET = 1,    /* value never printed; STRING rows with it exist only as *_file rows */
    NK_OPT_REPEAT = 2,    /* field is struct nk_strlist (STRING, PATH, LISTEN, CONNECT only) */
    NK_OPT_RELOAD = 4,    /* a reload applies a change; others need a restart, and are told so */
    NK_OPT_CLI_ONLY = 8,  /* no INI key, no environment variable */
    NK_OPT_INI_ONLY = 16, /* no flag on the command line */
    NK_OPT_REQUIRED = 32,
    NK_OPT_HIDDEN = 64,   /* not in the short help; in man pages only */
    NK_OPT_MAY_MISS = 128 /* PATH: need not exist yet (`config check` does not look for it) */
};

struct nk_opt {
    const char *name; /* long option "max-object"; INI key "max_object" */
    /* narrow, as there are a thousand rows */
    uint32_t offset : 13;    /* NK_FIELD(struct x_conf, field) */
    uint32_t flags : 8;      /* of enum nk_opt_flags */
    uint32_t type : 4;       /* enum nk_opt_type */
    uint32_t short_name : 7; /* 0 for none */
    int32_t min;             /* INT, SIZE, DURATION; min and max both 0 = unchecked */
    union {
        int64_t max;                /* INT, SIZE, DURATION */
        const char *const *choices; /* ENUM: NULL-terminated; PATH: words that are no file */
        const struct nk_opt *rows;  /* ROWS */
    };
    const char *arg;     /* argument's name in help: "FILE" */
    const char *def;     /* default, as it would be written; NULL for none */
    const char *aliases; /* other accepted names, space separated, or NULL */
    const char *help;    /* one or two sentences, no final period needed */
};

#define NK_FIELD(type, field) offsetof(type, field)
#define NK_OPT_END                                                                                 \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* The rows of another table stand here, ended by NK_OPT_END and without such a row of their own; no
 * table has the same ones twice. Their offsets are the same: what they fill is the first member of
 * the configuration struct. */
#define NK_OPT_SHARED(table)                                                                       \
    {                                                                                              \
        .type = NK_OPT_ROWS, .rows = (table)                                                       \
    }

/* The same where that member has a name: a compiler's error when it is not the first. */
#define NK_OPT_SHARED_BY(table, conf, member)                                                      \
    {                                                                                              \
        .type = NK_OPT_ROWS, .rows = (table),                                                      \
        .offset = sizeof(char[NK_FIELD(conf, member) == 0 ? 1 : -1]) - 1                           \
    }

/* A section of netkit.ini: "[relay]" (named = false) or "[group NAME]" (named = true). */
struct nk_section {
    const char *name;          /* "relay", "group" */
    bool named;                /* needs a NAME ([a-z0-9-]+) after a space */
    const char *summary;       /* one line for `config keys` and `config init` */
    const struct nk_opt *opts; /* rows, ended by NK_OPT_END; may be shared with a command */
    size_t conf_size;          /* bytes of the configuration struct */
    bool reload; /* one that comes or goes is applied by a reload; else by a restart */
};

/* nk_opt_first, nk_opt_next - the rows of a table one after another, with those that it shares;
 * NULL behind the last one. rows may be NULL. */
const struct nk_opt *nk_opt_first(const struct nk_opt *rows);
const struct nk_opt *nk_opt_next(const struct nk_opt *rows, const struct nk_opt *row);

/* nk_opt_find - the row whose name or alias is `name` ('-' and '_' are equal), or NULL. */
const struct nk_opt *nk_opt_find(const struct nk_opt *opts, const char *name);

/* nk_opt_ini_name - INI spelling of a row's name ("max_object") into out (max bytes); returns out.
 */
char *nk_opt_ini_name(char *out, size_t max, const struct nk_opt *opt);

/* Most values of one REPEAT row; a bound against runaway input, not a feature. */
#define NK_OPT_MAX_REPEAT 4096

/*
 * nk_opt_parse_value - parse one value text into the field of conf that the row names. Strings are
 * copied to the heap (an earlier one is freed); REPEAT rows append. conf must have been zeroed at
 * first. Returns 0, NK_ECONFIG (diag says what is accepted, and never shows the value of a SECRET
 * row) or -ENOMEM; on failure the field is unchanged. The text's place ("--listen",
 * "netkit.ini:3") is the caller's to add with nk_fail_context.
 */
int nk_opt_parse_value(const struct nk_opt *row, const char *text, void *conf,
                       struct nk_diag *diag);

/* nk_opt_parse_default - nk_opt_parse_value with the row's default; a row without one leaves its
 * field as it is. */
int nk_opt_parse_default(const struct nk_opt *row, void *conf, struct nk_diag *diag);

/* nk_opt_free_values - free what nk_opt_parse_value allocated for these rows and zero those fields.
 * rows may be NULL. */
void nk_opt_free_values(const struct nk_opt *rows, void *conf);

/* nk_opt_is_text - true for the types whose field is a string: STRING, PATH, LISTEN, CONNECT. */
bool nk_opt_is_text(const struct nk_opt *row);

/* nk_opt_takes_value - false for FLAG rows only. */
bool nk_opt_takes_value(const struct nk_opt *row);

/* nk_opt_has_bounds - is the row's value checked against min and max? */
bool nk_opt_has_bounds(const struct nk_opt *row);

/* nk_opt_same - whether the row's field has the same value in a and b. */
bool nk_opt_same(const struct nk_opt *row, const void *a, const void *b);

/* nk_opt_format_value - the value of the row's field as it would be written in netkit.ini; the i-th
 * one of a REPEAT row. Writes "***" for SECRET rows. Returns false (and "" in out) when there is no
 * such value. out of max bytes is always terminated; long values are cut. */
bool nk_opt_format_value(char *out, size_t max, const struct nk_opt *row, const void *conf,
                         size_t i);

#endif
