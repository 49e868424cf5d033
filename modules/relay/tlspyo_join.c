/* SPDX-License-Identifier: MIT */
/* How an endpoint joins its groups. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "relay/tlspyo.h"

enum { NAMES_TEXT = 200 /* of a list of groups in the log */ };

static int by_id(const void *a, const void *b)
{
    const struct relay_group *const *x = a, *const *y = b;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

/* A group named twice is joined once. */
static void drop_duplicates(struct relay_session *s)
{
    size_t n = 0;
    if (s->ngroups > 1) {
        qsort(s->groups, s->ngroups, sizeof(struct relay_group *), by_id);
    }
    for (size_t i = 0; i < s->ngroups; i++) {
        if (n && s->groups[n - 1] == s->groups[i]) {
            relay_group_unref(s->groups[i]);
        } else {
            s->groups[n++] = s->groups[i];
        }
    }
    s->ngroups = n;
}

static void refuse_group(struct relay_conn *c, const struct relay_dest *d, int rc)
{
    char name[NAMES_TEXT];
    nk_escape(name, sizeof(name), d->name, d->len);
    c->hub->count.refused++;
    relay_tlspyo_joined(&((struct relay_session *)c->session)->p, rc);
    nk_audit(c->hub->log, "relay", relay_hub_may_log(c->hub) ? NK_LOG_WARN : NK_LOG_TRACE,
             "acl.deny", c->peer, "group '%s' %s", name,
             rc == NK_EAUTH ? "is not accepted here" : "is one too many");
    relay_conn_end(c, NK_LOG_INFO, "not admitted: group '%.100s'", name);
}

/* The rules say no, and the log was told. */
static void forbid_group(struct relay_conn *c, const struct relay_dest *d)
{
    char name[NAMES_TEXT];
    c->hub->count.refused++;
    relay_tlspyo_joined(&((struct relay_session *)c->session)->p, NK_EAUTH);
    relay_conn_end(c, NK_LOG_INFO, "not admitted: '%s' may not be in group '%.100s'", c->identity,
                   nk_escape(name, sizeof(name), d->name, d->len));
}

static int resolve_groups(struct relay_conn *c, const struct relay_envelope *e)
{
    struct relay_session *s = c->session;
    if (e->ndest == 0) {
        return 0;
    }
    s->groups = calloc(e->ndest, sizeof(struct relay_group *));
    if (!s->groups) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < e->ndest; i++) {
        const struct relay_dest *d = &e->dest[i];
        if (!relay_conn_may(c, d->name, d->len, RELAY_MAY_CONSUME)) {
            forbid_group(c, d);
            return NK_EAUTH;
        }
        int rc = relay_groups_get(c->hub->conf.groups, d->name, d->len, &s->groups[i]);
        if (rc < 0) {
            refuse_group(c, d, rc);
            return rc;
        }
        s->ngroups++;
    }
    drop_duplicates(s);
    return 0;
}

static void log_join(struct relay_conn *c)
{
    struct relay_session *s = c->session;
    char names[NAMES_TEXT] = "";
    size_t len = 0;
    if (!nk_log_on(c->hub->log, "relay", NK_LOG_INFO) || !relay_hub_may_log(c->hub)) {
        return;
    }
    for (size_t i = 0; i < s->ngroups && len < sizeof(names) - 8; i++) {
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s", i ? ", " : "");
        nk_escape(names + len, sizeof(names) - len, s->groups[i]->name, s->groups[i]->len);
        len = strlen(names);
    }
    nk_log_write(c->hub->log, "relay", NK_LOG_INFO, NULL, c->peer, "endpoint of %zu group%s%s%s",
                 s->ngroups, s->ngroups == 1 ? "" : "s", s->ngroups ? ": " : "", names);
}

void relay_session_join(struct relay_conn *c, const struct relay_envelope *e)
{
    struct relay_session *s = c->session;
    int rc = resolve_groups(c, e);
    if (rc == 0) {
        rc = relay_engine_watch(c->hub->conf.engine, s->member, s->groups, NULL, s->ngroups,
                                RELAY_JOIN_TOKEN);
    }
    if (rc == -ENOMEM) {
        relay_conn_close(c, NK_LOG_ERROR, "%s", nk_strerror(-ENOMEM));
    } else if (rc == 0) {
        log_join(c);
        relay_conn_stall(c);
    }
}

void relay_session_joined(struct relay_conn *c, int status)
{
    struct relay_session *s = c->session;
    relay_tlspyo_joined(&s->p, status);
    nk_app_defer(c->hub->conf.app, &c->hub->flush); /* it was stalled until now */
    if (status == 0) {
        relay_conn_established(c);
        return;
    }
    c->hub->count.refused++;
    if (status == NK_ELIMIT) {
        nk_audit(c->hub->log, "relay", relay_hub_may_log(c->hub) ? NK_LOG_WARN : NK_LOG_TRACE,
                 "acl.deny", c->peer, "a group it asks for has max_count members");
    }
    relay_conn_end(c, NK_LOG_INFO, "not admitted: %s",
                   status == NK_ELIMIT ? "a group is full" : nk_strerror(status));
}
