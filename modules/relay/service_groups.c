/* SPDX-License-Identifier: MIT */
#include "relay/service_groups.h"

#include <errno.h>
#include <string.h>

static struct relay_groups_conf groups_conf(const struct relay_conf *conf,
                                            const struct nk_conf *ini)
{
    bool any = nk_conf_name_at(ini, relay_group_section.name, 0) != NULL;
    return (struct relay_groups_conf){
        .max_groups = (size_t)conf->max_groups,
        .listed_only = conf->accept_groups == RELAY_GROUPS_LISTED ||
                       (conf->accept_groups == RELAY_GROUPS_AUTO && any),
    };
}

/* Empty is none. */
static const char *dead_letter_of(const struct relay_group_conf *g)
{
    return g->dead_letter && *g->dead_letter ? g->dead_letter : NULL;
}

/* A consumer asks for more time a quarter of a second after it got the object, at the latest; then
 * that is still to travel. */
#define LEASE_MIN_MS 1000

static int configure_group(struct relay_groups *groups, const struct nk_conf *ini, const char *name,
                           struct nk_diag *diag)
{
    const struct relay_group_conf *g = nk_conf_get(ini, relay_group_section.name, name);
    const char *real = g->match ? g->match : name;
    const struct relay_group_settings set = {.max_count = g->max_count,
                                             .max_consumables = g->max_consumables,
                                             .max_bytes = g->max_bytes,
                                             .policy = (enum relay_policy)g->policy,
                                             .backlog_count = (uint64_t)g->backlog_count,
                                             .backlog_bytes = g->backlog_bytes,
                                             .ttl_ms = g->ttl,
                                             .lease_ms = g->lease,
                                             .max_deliveries = (uint32_t)g->max_deliveries,
                                             .dead_letter = dead_letter_of(g)};
    if (set.dead_letter && strcmp(set.dead_letter, real) == 0) {
        return nk_fail(diag, NK_ECONFIG, "[group %s]: dead_letter is the group itself", name);
    }
    if (g->lease && g->lease < LEASE_MIN_MS) {
        nk_fail(diag, NK_ECONFIG,
                "[group %s]: a lease shorter than 1s would be over before its consumer can ask for "
                "more time",
                name);
        return nk_hint(diag, "lease = 1s at least, or 0 for none that ends by itself"), NK_ECONFIG;
    }
    int rc = relay_groups_configure(groups, real, strlen(real), &set);
    if (rc == -EEXIST) {
        return nk_fail(diag, NK_ECONFIG, "[group %s]: another section is about '%s' too", name,
                       real);
    }
    return rc < 0 ? nk_fail_sys(diag, rc, "[group %s]", name) : 0;
}

/* Dead letters need a group that may exist. */
static int check_dead_letter(struct relay_groups *groups, const struct nk_conf *ini,
                             const char *name, struct nk_diag *diag)
{
    const struct relay_group_conf *g = nk_conf_get(ini, relay_group_section.name, name);
    struct relay_group *to = NULL;
    const char *dead = dead_letter_of(g);
    int rc = dead ? relay_groups_get(groups, dead, strlen(dead), &to) : 0;
    relay_group_unref(to);
    if (rc == NK_EAUTH) {
        nk_fail(diag, NK_ECONFIG, "[group %s]: there is no group '%s' for dead letters", name,
                dead);
        return nk_hint(diag, "add a section for it, or say accept_groups = any"), NK_ECONFIG;
    }
    return rc < 0 ? nk_fail_sys(diag, rc, "[group %s]", name) : 0;
}

static int configure(struct relay_groups *groups, const struct nk_conf *ini, struct nk_diag *diag)
{
    const char *name;
    int rc = 0;
    for (size_t i = 0; rc == 0 && (name = nk_conf_name_at(ini, relay_group_section.name, i)); i++) {
        rc = configure_group(groups, ini, name, diag);
    }
    for (size_t i = 0; rc == 0 && (name = nk_conf_name_at(ini, relay_group_section.name, i)); i++) {
        rc = check_dead_letter(groups, ini, name, diag);
    }
    return rc;
}

int relay_service_groups_open(const struct relay_service_groups *in, struct relay_groups **out,
                              struct nk_diag *diag)
{
    const struct relay_groups_conf conf = groups_conf(in->conf, in->ini);
    struct relay_groups *groups = relay_groups_new(&conf);
    if (!groups) {
        return nk_fail_sys(diag, -ENOMEM, "relay");
    }
    int rc = configure(groups, in->ini, diag);
    if (rc < 0) {
        relay_groups_free(groups);
        return rc;
    }
    if (conf.listed_only && !nk_conf_name_at(in->ini, relay_group_section.name, 0)) {
        nk_warn(in->log, "relay",
                "accept_groups = listed, but there is no [group NAME]: nobody can "
                "join or send anything");
    }
    *out = groups;
    return 0;
}

int relay_service_groups_reload(const struct relay_service_groups *old, struct relay_groups *groups,
                                const struct relay_conf *conf, const struct nk_conf *ini,
                                struct nk_diag *diag)
{
    struct relay_groups_conf next = groups_conf(conf, ini);
    relay_groups_renew(groups, &next);
    int rc = configure(groups, ini, diag);
    if (rc < 0) {
        next = groups_conf(old->conf, old->ini);
        relay_groups_renew(groups, &next);
        int back = configure(groups, old->ini, NULL);
        if (back < 0) {
            nk_error(old->log, "relay", "going back to the old groups: %s", nk_strerror(back));
        }
    }
    relay_groups_sweep(groups);
    return rc;
}
