/* SPDX-License-Identifier: MIT */
/* service_changes - what a reload found changed, and whether it could be applied. */
#ifndef NK_CORE_SERVICE_CHANGES_H
#define NK_CORE_SERVICE_CHANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/opt.h"

enum nk_change_kind { NK_CHANGED, NK_ADDED, NK_REMOVED };

struct nk_change {
    const char *section; /* static */
    char *name;          /* NAME of "[group NAME]", or NULL */
    const char *row;     /* the row's long name; NULL: the section as a whole */
    enum nk_change_kind kind;
    bool applied; /* false: it needs a restart */
};

#define NK_CHANGES_MAX 1000 /* listed one by one; more are only counted */

/* Zero it before the first use. */
struct nk_changes {
    struct nk_change *v;
    size_t n;       /* listed */
    size_t more;    /* beyond NK_CHANGES_MAX */
    size_t restart; /* how many of all need a restart */
};

/* nk_changes_clear - free and zero. */
void nk_changes_clear(struct nk_changes *c);

/* nk_changes_section - note that a section as a whole came or went. 0 or -ENOMEM. */
int nk_changes_section(struct nk_changes *c, const char *section, const char *name,
                       enum nk_change_kind kind, bool applied);

/*
 * nk_changes_rows - note each row whose value is another one. A row marked NK_OPT_RELOAD has been
 * applied, if `live`, and is compared with `old`, what was in force until now; the others are
 * compared with `first`, what the process was started with, so that what needs a restart is told
 * again until it is there or taken back. 0 or -ENOMEM.
 */
int nk_changes_rows(struct nk_changes *c, const char *section, const char *name,
                    const struct nk_opt *rows, const void *first, const void *old, const void *now,
                    bool live);

/*
 * nk_changes_compare - the same for every occurrence of a section in three configurations, except
 * for those that `skip` (may be NULL) knows better. section->reload says whether what came or went
 * is applied.
 */
int nk_changes_compare(struct nk_changes *c, const struct nk_section *section,
                       const struct nk_conf *first, const struct nk_conf *old,
                       const struct nk_conf *now, bool (*skip)(void *arg, const char *name),
                       void *arg);

#define NK_CHANGE_TEXT 256

/* nk_change_format - "[group x] max_count changed: needs a restart" into out (NK_CHANGE_TEXT bytes,
 * cut if need be). Returns out. */
char *nk_change_format(char out[NK_CHANGE_TEXT], const struct nk_change *change);

/* nk_changes_log - a line for each, up to a few dozen: info for what is applied, else a warning. */
void nk_changes_log(const struct nk_changes *c, struct nk_log *log);

/* nk_changes_json - add "changes":[{"section","name","key","change","effect"}..] and, where there
 * are more, "more_changes" to an open object. effect: "applied" or "restart". */
void nk_changes_json(const struct nk_changes *c, struct nk_json *out);

#endif
