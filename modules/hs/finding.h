/* SPDX-License-Identifier: MIT */
/*
 * finding - what is wrong with a file of keys, and what to do about it: a list that checks fill and
 * commands print.
 *
 * Adding never fails on the spot: running out of memory is kept in the list, and hs_findings_end
 * tells, so that a list that lacks something is never taken for a good one.
 */
#ifndef NK_HS_FINDING_H
#define NK_HS_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

/* X(constant, name) - from the worst to the least. */
#define HS_SEVERITIES(X)                                                                           \
    X(HS_ERROR, "error")     /* tor or arti would fail, lose a key or let everybody in */          \
    X(HS_WARNING, "warning") /* works, but not as its owner expects, or is not safe */             \
    X(HS_NOTE, "note")       /* worth to know */

#define HS_SEVERITY_ENUM(constant, name) constant,
enum hs_severity { HS_SEVERITIES(HS_SEVERITY_ENUM) HS_NSEVERITIES };
#undef HS_SEVERITY_ENUM

/* One of them. Texts belong to the list. */
struct hs_finding {
    enum hs_severity severity;
    char *path;   /* of the file or directory */
    char *field;  /* which part of it ("mode", "checksum", "line 2"), or NULL: all of it */
    char *reason; /* what is wrong, without the path */
    char *remedy; /* what to do, or NULL */
};

struct hs_findings {
    struct hs_finding *v;
    size_t n, cap;
    size_t count[HS_NSEVERITIES]; /* by severity */
    int error;                    /* -ENOMEM once something could not be added */
};

/* hs_findings_clear - free everything; a zeroed struct is an empty list, and so is one afterwards.
 */
void hs_findings_clear(struct hs_findings *l);

/* hs_find - add one; field may be NULL. */
void hs_find(struct hs_findings *l, enum hs_severity severity, const char *path, const char *field,
             const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* hs_find_remedy - what to do about the one that was added last. */
void hs_find_remedy(struct hs_findings *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* hs_find_diag - add one from the text and the hint of diag. */
void hs_find_diag(struct hs_findings *l, enum hs_severity severity, const char *path,
                  const char *field, const struct nk_diag *diag);

/* hs_findings_end - 0, or the error that kept something out of the list. */
int hs_findings_end(const struct hs_findings *l, struct nk_diag *diag);

/* hs_findings_first - the first one of that severity, or NULL. */
const struct hs_finding *hs_findings_first(const struct hs_findings *l, enum hs_severity severity);

/* hs_findings_fail - fill diag from the first error of the list, for what cannot go on with any:
 * NK_EFORMAT, or 0 when there is none. */
int hs_findings_fail(const struct hs_findings *l, struct nk_diag *diag);

/* hs_severity_name - "error", "warning" or "note". */
const char *hs_severity_name(enum hs_severity severity);

/* hs_findings_print - append a line for each to out: "error: PATH: FIELD: REASON (hint: REMEDY)".
 * Control bytes are escaped. 0 or the buffer's error. */
int hs_findings_print(const struct hs_findings *l, struct nk_buf *out);

/* hs_findings_json - the list as a value: an array of objects with the members severity, path,
 * field, reason, remedy (null where there is none). */
void hs_findings_json(const struct hs_findings *l, struct nk_json *j);

#endif
