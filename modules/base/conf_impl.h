/* SPDX-License-Identifier: MIT */
/* conf_impl - what the files conf*.c share; nobody else includes this. */
#ifndef NK_BASE_CONF_IMPL_H
#define NK_BASE_CONF_IMPL_H

#include "base/conf.h"

/* One value as some source gave it. */
struct conf_setting {
    const struct nk_opt *row;
    char *text; /* PATH values of a file already joined with its directory */
    char *where;
    enum nk_origin origin;
};

/* One section that occurs in at least one source. */
struct conf_instance {
    const struct nk_section *section;
    char *name;  /* NULL for unnamed sections */
    char *where; /* where it was first mentioned */
    bool in_file;
    void *conf;
    struct conf_setting *settings;
    size_t n;
};

struct conf_problem {
    struct nk_conf_problem pub;
    unsigned line; /* of the file; UINT_MAX for other sources */
};

/* A configuration struct whose strings the conf owns. */
struct conf_owned {
    const struct nk_opt *rows;
    void *conf;
};

struct nk_conf {
    const struct nk_section **sections; /* NULL-terminated copy of the source's list */
    nk_conf_ep_check *check;
    struct conf_instance **inst;
    size_t ninst;
    struct conf_problem *problems;
    size_t nproblems;
    struct conf_owned *owned;
    size_t nowned;
    char *path, *dir;
    size_t errors;
    bool no_memory; /* sticky: the load fails with -ENOMEM */
};

/* What a source calls itself in messages. */
struct conf_place {
    enum nk_origin origin;
    const char *where; /* "netkit.ini:12", "NETKIT_RELAY__LISTEN", "-C relay.listen" */
    unsigned line;
};

/* conf_problem - record a problem; the text gets "<where>: " in front. */
void conf_problem(struct nk_conf *c, const struct conf_place *at, bool warning, const char *fmt,
                  ...) __attribute__((format(printf, 4, 5)));

/* conf_section - the known section of that name ('_' equals '-'), or NULL. */
const struct nk_section *conf_section(const struct nk_conf *c, const char *name);

/* conf_find - an instance that was mentioned before, or NULL. */
struct conf_instance *conf_find(const struct nk_conf *c, const struct nk_section *s,
                                const char *name);

/* conf_open - the instance, made if it is new; NULL (no_memory set) without memory. */
struct conf_instance *conf_open(struct nk_conf *c, const struct nk_section *s, const char *name,
                                const struct conf_place *at);

/* conf_name_ok - is this the NAME of a named section: [a-z0-9-]+? */
bool conf_name_ok(const char *name);

/* conf_key - the row for an INI key of a section, or NULL after recording why there is none. */
const struct nk_opt *conf_key(struct nk_conf *c, const struct nk_section *s, const char *key,
                              const struct conf_place *at);

/* conf_add - check one value and keep it as a setting; problems are recorded. */
void conf_add(struct nk_conf *c, struct conf_instance *inst, const struct nk_opt *row,
              const char *text, const struct conf_place *at);

/* The sources besides the defaults. */
void conf_read_file(struct nk_conf *c, const struct nk_conf_source *src);
void conf_read_env(struct nk_conf *c, const char *const *env);
void conf_read_credentials(struct nk_conf *c, const char *const *env,
                           const struct nk_section *flags_for);
void conf_read_overrides(struct nk_conf *c, const char *const *overrides);

/* conf_row_value - check text against a row: syntax and range, and endpoint strings through check.
 */
int conf_check_value(nk_conf_ep_check *check, const struct nk_opt *row, const char *text,
                     size_t conf_size, struct nk_diag *diag);

/* conf_apply - rows' defaults, then the winning settings, into a zeroed struct. */
int conf_apply(const struct nk_opt *rows, const struct conf_instance *inst, void *conf,
               struct nk_diag *diag);

/* conf_own - let c free the strings of conf (malloced, consumed) and conf itself. */
int conf_own(struct nk_conf *c, const struct nk_opt *rows, void *take_conf);

#endif
