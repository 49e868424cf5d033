/* SPDX-License-Identifier: MIT */
#include "hs/finding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

enum {
    GROW = 16,      /* findings that are added to the room of the list at a time */
    LINE_MAX = 4096 /* bytes of one escaped text */
};

void hs_findings_clear(struct hs_findings *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i].path);
        free(l->v[i].field);
        free(l->v[i].reason);
        free(l->v[i].remedy);
    }
    free(l->v);
    *l = (struct hs_findings){0};
}

static char *format(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static char *format(const char *fmt, va_list ap)
{
    char *text = NULL;
    return vasprintf(&text, fmt, ap) < 0 ? NULL : text;
}

static bool make_room(struct hs_findings *l)
{
    if (l->n == l->cap) {
        struct hs_finding *v = realloc(l->v, (l->cap + GROW) * sizeof(*v));
        if (!v) {
            return false;
        }
        l->v = v;
        l->cap += GROW;
    }
    return true;
}

/* Takes reason, which is NULL when there was no memory for it. */
static void add(struct hs_findings *l, enum hs_severity severity, const char *path,
                const char *field, char *take_reason)
{
    struct hs_finding f = {
        .severity = severity,
        .path = strdup(path),
        .field = field ? strdup(field) : NULL,
        .reason = take_reason,
    };
    if (!f.path || !f.reason || (field && !f.field) || !make_room(l)) {
        free(f.path);
        free(f.field);
        free(f.reason);
        l->error = -ENOMEM;
        return;
    }
    l->v[l->n++] = f;
    l->count[severity]++;
}

void hs_find(struct hs_findings *l, enum hs_severity severity, const char *path, const char *field,
             const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *reason = format(fmt, ap);
    va_end(ap);
    add(l, severity, path, field, reason);
}

void hs_find_remedy(struct hs_findings *l, const char *fmt, ...)
{
    va_list ap;
    if (l->error < 0) { /* the one it belongs to may be missing */
        return;
    }
    va_start(ap, fmt);
    char *remedy = format(fmt, ap);
    va_end(ap);
    if (!remedy) {
        l->error = -ENOMEM;
        return;
    }
    free(l->v[l->n - 1].remedy);
    l->v[l->n - 1].remedy = remedy;
}

void hs_find_diag(struct hs_findings *l, enum hs_severity severity, const char *path,
                  const char *field, const struct nk_diag *diag)
{
    add(l, severity, path, field, strdup(diag->text));
    if (diag->hint[0]) {
        hs_find_remedy(l, "%s", diag->hint);
    }
}

int hs_findings_end(const struct hs_findings *l, struct nk_diag *diag)
{
    return l->error < 0 ? nk_fail_sys(diag, l->error, "list of what was found") : 0;
}

const struct hs_finding *hs_findings_first(const struct hs_findings *l, enum hs_severity severity)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].severity == severity) {
            return &l->v[i];
        }
    }
    return NULL;
}

int hs_findings_fail(const struct hs_findings *l, struct nk_diag *diag)
{
    const struct hs_finding *f = hs_findings_first(l, HS_ERROR);
    if (!f) {
        return 0;
    }
    nk_fail(diag, NK_EFORMAT, "%s: %s%s%s", f->path, f->field ? f->field : "", f->field ? ": " : "",
            f->reason);
    if (f->remedy) {
        nk_hint(diag, "%s", f->remedy);
    }
    return NK_EFORMAT;
}

const char *hs_severity_name(enum hs_severity severity)
{
#define HS_SEVERITY_NAME(constant, name) name,
    static const char *const names[] = {HS_SEVERITIES(HS_SEVERITY_NAME)};
#undef HS_SEVERITY_NAME
    return names[severity];
}

/* before, text, after; nothing at all without a text. */
static int put(struct nk_buf *out, const char *before, const char *text, const char *after)
{
    char safe[LINE_MAX];
    if (!text) {
        return 0;
    }
    int rc = nk_buf_puts(out, before);
    rc = rc < 0 ? rc : nk_buf_puts(out, nk_escape(safe, sizeof(safe), text, strlen(text)));
    return rc < 0 ? rc : nk_buf_puts(out, after);
}

int hs_findings_print(const struct hs_findings *l, struct nk_buf *out)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        const struct hs_finding *f = &l->v[i];
        rc = put(out, hs_severity_name(f->severity), "", ": ");
        rc = rc < 0 ? rc : put(out, "", f->path, ": ");
        rc = rc < 0 ? rc : put(out, "", f->field, ": ");
        rc = rc < 0 ? rc : put(out, "", f->reason, "");
        rc = rc < 0 ? rc : put(out, " (hint: ", f->remedy, ")");
        rc = rc < 0 ? rc : nk_buf_puts(out, "\n");
    }
    return rc;
}

void hs_findings_json(const struct hs_findings *l, struct nk_json *j)
{
    nk_json_array(j);
    for (size_t i = 0; i < l->n; i++) {
        const struct hs_finding *f = &l->v[i];
        nk_json_object(j);
        nk_json_kv_str(j, "severity", hs_severity_name(f->severity));
        nk_json_kv_str(j, "path", f->path);
        nk_json_kv_str(j, "field", f->field);
        nk_json_kv_str(j, "reason", f->reason);
        nk_json_kv_str(j, "remedy", f->remedy);
        nk_json_close(j);
    }
    nk_json_close(j);
}
