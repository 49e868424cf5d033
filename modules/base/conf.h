/* SPDX-License-Identifier: MIT */
/*
 * conf - the configuration: netkit.ini, environment, -C overrides and command-line flags, merged
 * with the precedence flag > environment > file > default.
 *
 * Loading collects every error with its place (file:line, variable, flag) before anything is
 * applied; a configuration is either whole and valid or not there. Unknown sections and keys are
 * errors with a suggestion; duplicate keys are errors unless the row is REPEAT.
 */
#ifndef NK_BASE_CONF_H
#define NK_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/opt.h"

struct nk_conf; /* all sections of one load; owns every value */

/* Where a value came from, for `config show --origin`. */
enum nk_origin { NK_FROM_DEFAULT, NK_FROM_FILE, NK_FROM_ENV, NK_FROM_OVERRIDE, NK_FROM_FLAG };

/* One problem found while loading; text is "netkit.ini:12: [relay] unknown key 'lisen' (did ...)".
 */
struct nk_conf_problem {
    bool warning;
    const char *text;
};

/* Sources of one load. All borrowed during the call. */
struct nk_conf_source {
    const char *path; /* INI file, "-" for stdin, or NULL: none */
    const char *text; /* INI text instead of a file (tests, reload), or NULL */
    size_t text_len;
    /* environ-style "NAME=value" list, or NULL. A PATH row that nothing sets is the file
     * $CREDENTIALS_DIRECTORY/SECTION[.NAME].KEY ("_file" dropped) where there is one. */
    const char *const *env;
    const char *const *overrides; /* -C 'section name.key=value' strings, NULL-terminated */
    const struct nk_section *const *sections; /* known sections, NULL-terminated */
    const struct nk_section *flags_for; /* its REQUIRED rows may still come from flags, or NULL */
};

/*
 * nk_conf_load - read and check all sources. Always yields a conf in *out (unless -ENOMEM), from
 * which problems can be listed; returns 0 when there are no errors, else NK_ECONFIG (or the read
 * error) and the values must not be used. Endpoint rows are checked through the hook set with
 * nk_conf_check_endpoints (see core/registry.h), when one is given.
 */
typedef int nk_conf_ep_check(const char *text, bool listen, struct nk_diag *diag);
int nk_conf_load(struct nk_conf **out, const struct nk_conf_source *src, nk_conf_ep_check *check);
void nk_conf_free(struct nk_conf *c);

/* nk_conf_problem_at - the i-th problem, or NULL past the end. */
const struct nk_conf_problem *nk_conf_problem_at(const struct nk_conf *c, size_t i);

/* nk_conf_get - the configuration struct of a section (name NULL for unnamed ones), or NULL when
 * the section does not occur. Valid until nk_conf_free. */
const void *nk_conf_get(const struct nk_conf *c, const char *section, const char *name);

/* nk_conf_name_at - the i-th NAME used with a named section, in file order, or NULL past the end.
 */
const char *nk_conf_name_at(const struct nk_conf *c, const char *section, size_t i);

/* nk_conf_path - the file that was read, or NULL. */
const char *nk_conf_path(const struct nk_conf *c);

/* nk_conf_defaults - fill conf (section->conf_size bytes) with the rows' defaults only; strings
 * point to static text or to memory owned by c. */
int nk_conf_defaults(struct nk_conf *c, const struct nk_section *s, void *conf);

/* One effective value, for `config show`. */
struct nk_conf_value {
    const char *section, *name; /* name NULL for unnamed sections */
    const struct nk_opt *row;
    const char *text; /* "***" for secrets; the default where nothing was given, NULL without one */
    enum nk_origin origin;
    const char *where; /* "netkit.ini:12", "NETKIT_RELAY__LISTEN", "default" */
};

/* nk_conf_value_at - the i-th effective value over all sections that occur: every row of each, in
 * the order of the rows, REPEAT rows once per value. false past the end. */
bool nk_conf_value_at(const struct nk_conf *c, size_t i, struct nk_conf_value *out);

/* One flag of a command line. */
struct nk_conf_flag {
    const struct nk_opt *row; /* a row of the command */
    const char *text;         /* "yes" for FLAG rows */
};

/*
 * nk_conf_merge - the configuration struct of a command: the rows' defaults, over them the values
 * that `section` (may be NULL) has for rows of the same name, over them the flags. Of a named
 * section the one is meant that the command's row "name" names, by a flag or its default. *out
 * (conf_size bytes, NULL when conf_size is 0) belongs to c. Returns 0, NK_EUSAGE for a bad flag or
 * a missing REQUIRED row (diag names the flag), -ENOMEM.
 */
int nk_conf_merge(struct nk_conf *c, const struct nk_opt *rows, size_t conf_size,
                  const struct nk_section *section, const struct nk_conf_flag *flags, size_t n,
                  const void **out, struct nk_diag *diag);

/* nk_conf_env_name - the environment variable of a row: "NETKIT_RELAY__MAX_OBJECT"; named sections
 * show NAME in the place of the name. Writes to out (max), returns out. */
char *nk_conf_env_name(char *out, size_t max, const struct nk_section *s, const struct nk_opt *row);

/* nk_conf_find_file - which file applies: explicit path, NETKIT_CONFIG, $CREDENTIALS_DIRECTORY/
 * netkit.ini, /etc/netkit/netkit.ini; the last two only if they exist. Writes to out (max);
 * returns true when there is one. */
bool nk_conf_find_file(char *out, size_t max, const char *explicit_path);

#endif
