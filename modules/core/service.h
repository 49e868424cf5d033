/* SPDX-License-Identifier: MIT */
/*
 * service - what `netkit run` starts from sections of netkit.ini, and what commands like `netkit
 * relay` run in the foreground: the same object, created from the same configuration rows.
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
    const char *name; /* NAME of "[onion NAME]", NULL for unnamed sections */
    const void *conf; /* the section's configuration struct; lives as long as the service */
    const struct nk_conf *ini;     /* the whole configuration, same lifetime */
    void (*on_ready)(void *owner); /* usable now (listeners bound, tunnel up); once */
    /* ended: by itself or drained; once. close() is called later, from the loop */
    void (*on_end)(void *owner, int status, const struct nk_diag *diag);
    void *owner;
    /* For nk_service_run: HUP loads the configuration again. 0 with the new struct and the whole
     * new configuration; on error the old ones stay in force. NULL: HUP is answered by a warning.
     */
    int (*reload_conf)(void *owner, const void **conf, const struct nk_conf **ini,
                       struct nk_diag *diag);
    /* After each reload_conf that returned 0: the service took the new configuration (the old one
     * may be freed), or refused it (the new one may). */
    void (*reload_done)(void *owner, bool taken);
    /* For nk_service_run, as in struct nk_service_unit and nk_services; with them conf and ini must
     * stay valid until it returns, also after a reload. May be NULL. */
    const struct nk_opt *opts;
    const struct nk_section *const *sections;
};

struct nk_control_call; /* core/control.h */

/* What a running service can be asked at its control socket. */
struct nk_service_verb {
    const char *name; /* NULL ends a list */
    /* Answer (nk_control_done) now or later, but not from inside `close`. words[0] is the name. */
    void (*run)(struct nk_service *s, struct nk_control_call *call, size_t n, char *const *words);
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
    /* A service with verbs is asked at STATE_DIR/SECTION[/NAME]/control.sock, in the folder that it
     * has locked, from its start to its close. Without a state directory there is no socket. */
    const struct nk_service_verb *verbs;
};

/* nk_service_dir - the folder of a service, below state_dir: "relay", "endpoint/NAME". out has max
 * bytes. 0 or NK_ETOOBIG. */
int nk_service_dir(char *out, size_t max, const char *state_dir, const char *section,
                   const char *name);

/*
 * nk_service_run - run one service in the foreground: creates it, handles TERM/INT (drain; a second
 * one ends at once), HUP (reload through args->reload_conf), USR1 (status into the log), tells the
 * service manager (core/notify.h), and returns when it has ended: 0, its error, or 128 + the number
 * of the second signal. drain_ms bounds the drain. on_ready and on_end of args may be NULL; they
 * are called with args->owner.
 */
int nk_service_run(struct nk_app *app, const struct nk_service_type *type,
                   const struct nk_service_args *args, uint64_t drain_ms, struct nk_diag *diag);

/*
 * nk_service_run_cmd - all of a command's run() that serves in the foreground: an app of its own,
 * the service with the configuration of ctx, and reloads of file, environment and flags at HUP. As
 * nk_service_run; diag is that of ctx.
 */
struct nk_cmd_ctx;
int nk_service_run_cmd(struct nk_cmd_ctx *ctx, const struct nk_service_type *type,
                       uint64_t drain_ms);

/*
 * nk_service_run_cmd_with - the same for a command whose words are part of the configuration: after
 * each load, fill(ctx, conf) sets fields of a copy of the command's configuration struct, which the
 * service gets. What it points them to must live as long as ctx. name: of the service, or NULL.
 */
int nk_service_run_cmd_with(struct nk_cmd_ctx *ctx, const struct nk_service_type *type,
                            uint64_t drain_ms, const char *name,
                            void (*fill)(const struct nk_cmd_ctx *ctx, void *conf));

/* One service of several. */
struct nk_service_unit {
    const char *label; /* "relay", "tunnel db": for logs and errors */
    const struct nk_service_type *type;
    const char *name;
    const void *conf;
    const struct nk_opt *opts; /* the rows of conf; NULL: what a reload changes is not told */
};

struct nk_service_group;
struct nk_changes; /* core/service_changes.h */

struct nk_services {
    struct nk_app *app;
    const struct nk_conf *ini; /* valid until nk_services_run returns */
    /* all sections that matter to the services, theirs among them: a reload tells what has changed
     * in them. NULL-terminated; may be NULL */
    const struct nk_section *const *sections;
    uint64_t drain_ms;
    void *owner; /* of the callbacks */
    /* before the first start: what can be asked of the group until nk_services_run returns; may be
     * NULL */
    void (*on_open)(void *owner, struct nk_service_group *g);
    void (*on_ready)(void *owner); /* all are; may be NULL */
    void (*on_end)(void *owner, size_t i, int status, const struct nk_diag *diag); /* may be NULL */
    /* HUP: load everything again. 0 with a new configuration in *ini, which stays valid until
     * `settle`. NULL: HUP is answered by a warning. */
    int (*reload)(void *owner, const struct nk_conf **ini, struct nk_diag *diag);
    /* the struct of unit i in ini, or NULL when it is not there any more */
    const void *(*pick)(void *owner, const struct nk_conf *ini, size_t i);
    /* after each reload: nobody uses this configuration (the old one, or the refused new one); NULL
     * when some use the old and some the new one */
    void (*settle)(void *owner, const struct nk_conf *unused);
};

/*
 * nk_services_run - the same for n services in one loop. All or nothing at the start: the first
 * failure ends the others. READY is told when all are ready. A reload is all or nothing too: when
 * one service refuses, those before it get their old configuration back. When one ends with an
 * error the others are drained and its error is the result.
 */
int nk_services_run(const struct nk_services *conf, const struct nk_service_unit *units, size_t n,
                    struct nk_diag *diag);

enum nk_service_phase { NK_PHASE_STARTING, NK_PHASE_READY, NK_PHASE_DRAINING };

/* nk_services_phase - how far the group is. */
enum nk_service_phase nk_services_phase(const struct nk_service_group *g);

/* nk_services_status - add one key per service to an open JSON object: its state and what it tells.
 */
void nk_services_status(const struct nk_service_group *g, struct nk_json *out);

/* nk_services_reload - as HUP. 0 or the error, which has been logged; so has what has changed. */
int nk_services_reload(struct nk_service_group *g, struct nk_diag *diag);

/* nk_services_changes - what the last reload found changed; nothing when it failed. Valid until the
 * next one. */
const struct nk_changes *nk_services_changes(const struct nk_service_group *g);

/* nk_services_stop - as TERM: drain, then end with 0. Again changes nothing. */
void nk_services_stop(struct nk_service_group *g);

#endif
