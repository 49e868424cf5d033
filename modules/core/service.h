/* SPDX-License-Identifier: MIT */
/*
 * service - what `netkit run` starts from sections of netkit.ini, and what commands like `netkit relay`
 * run in the foreground: the same object, created from the same configuration rows.
 */
#ifndef NK_CORE_SERVICE_H
#define NK_CORE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/conf.h"
#include "base/err.h"
#include "base/json.h"

struct nk_app;
struct nk_service;

struct nk_service_args {
    struct nk_app *app;
    const char *name;            /* NAME of "[onion NAME]", NULL for unnamed sections */
    const void *conf;            /* the section's configuration struct; lives as long as the service */
    const struct nk_conf *ini;   /* the whole configuration, same lifetime */
    void (*on_ready)(void *owner);          /* usable now (listeners bound, tunnel up); once */
    void (*on_end)(void *owner, int status, const struct nk_diag *diag); /* ended by itself; once */
    void *owner;
};

struct nk_service_type {
    const char *section; /* "relay" */
    /* create and begin; callbacks come later. On failure everything is undone. */
    int (*start)(const struct nk_service_args *args, struct nk_service **out, struct nk_diag *diag);
    /* take no new work, finish what is in flight, then on_end(0) once. */
    void (*drain)(struct nk_service *s);
    /* new configuration (old one stays valid until return); on error the old one stays in force. */
    int (*reload)(struct nk_service *s, const void *conf, const struct nk_conf *ini,
                  struct nk_diag *diag);
    /* add key/values to an open JSON object. */
    void (*status)(const struct nk_service *s, struct nk_json *out);
    /* end now and free. */
    void (*close)(struct nk_service *s);
};

/*
 * nk_service_run - run one service in the foreground: creates it, handles TERM/INT (drain; a second
 * one ends at once), HUP (reload through `reload_conf`, may be NULL), and returns when it has ended:
 * 0 or its error. drain_ms bounds the drain.
 */
int nk_service_run(struct nk_app *app, const struct nk_service_type *type,
                   const struct nk_service_args *args, uint64_t drain_ms, struct nk_diag *diag);

#endif
