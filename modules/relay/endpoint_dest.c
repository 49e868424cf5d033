/* SPDX-License-Identifier: MIT */
/* Destinations on the command line: "group" and "group=N". */
#include "relay/endpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

static int check_group(const char *name, size_t n, struct nk_diag *diag)
{
    if (n == 0) {
        return nk_fail(diag, NK_EUSAGE, "the name of a group is empty");
    }
    if (n > ENDPOINT_GROUP_MAX) {
        return nk_fail(diag, NK_EUSAGE, "the name of a group is longer than %d bytes",
                       ENDPOINT_GROUP_MAX);
    }
    if (!nk_utf8_valid(name, n)) {
        return nk_fail(diag, NK_EUSAGE, "the name of a group is not valid UTF-8");
    }
    return 0;
}

/* The '=' in front of a number at the end of text, or NULL. */
static const char *number_sign(const char *text)
{
    const char *sign = strrchr(text, '=');
    if (!sign) {
        return NULL;
    }
    const char *p = sign + 1 + (sign[1] == '-');
    if (*p == '\0') {
        return NULL;
    }
    for (; *p; p++) {
        if (*p < '0' || *p > '9') {
            return NULL;
        }
    }
    return sign;
}

static int parse_one(const char *text, int64_t def, int64_t min, int64_t max,
                     struct relay_wire_dest *out, struct nk_diag *diag)
{
    const char *sign = number_sign(text);
    size_t n = sign ? (size_t)(sign - text) : strlen(text);
    int64_t count = def;
    int status = check_group(text, n, diag);
    if (status < 0) {
        return status;
    }
    if (sign && min == max) {
        status = nk_fail(diag, NK_EUSAGE, "'%s': a number makes no sense here", text);
        nk_hint(diag, "produce takes GROUP=N; a broadcast goes to every member once");
        return status;
    }
    if (sign && (nk_parse_i64(sign + 1, &count) < 0 || count == 0 || count < min || count > max)) {
        return nk_fail(diag, NK_EUSAGE, "'%s': the number must be between %lld and %lld%s", text,
                       (long long)min, (long long)max, min < 0 ? " and not 0" : "");
    }
    char *name = strndup(text, n);
    if (!name) {
        return -ENOMEM;
    }
    *out = (struct relay_wire_dest){.group = name, .n = count};
    return 0;
}

int relay_endpoint_dest_parse(const char *const *texts, size_t n, int64_t def, int64_t min,
                              int64_t max, struct relay_endpoint_dest *out, struct nk_diag *diag)
{
    out->n = 0;
    out->v = calloc(n ? n : 1, sizeof(*out->v));
    if (!out->v) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        int status = parse_one(texts[i], def, min, max, &out->v[i], diag);
        if (status < 0) {
            return status;
        }
        out->n = i + 1;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(out->v[k].group, out->v[i].group) == 0) {
                return nk_fail(diag, NK_EUSAGE, "the group '%s' is named twice", out->v[i].group);
            }
        }
    }
    return 0;
}

void relay_endpoint_dest_clear(struct relay_endpoint_dest *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free((char *)d->v[i].group);
    }
    free(d->v);
    *d = (struct relay_endpoint_dest){0};
}

int relay_endpoint_groups_check(const struct nk_strlist *groups, struct nk_diag *diag)
{
    for (size_t i = 0; i < groups->n; i++) {
        int status = check_group(groups->v[i], strlen(groups->v[i]), diag);
        if (status < 0) {
            return status;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(groups->v[k], groups->v[i]) == 0) {
                return nk_fail(diag, NK_EUSAGE, "the group '%s' is named twice", groups->v[i]);
            }
        }
    }
    return 0;
}
