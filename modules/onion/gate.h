/* SPDX-License-Identifier: MIT */
/*
 * gate - who may find a service that runs in this process: the clients that its configuration
 * names, and those of a directory of authorised clients that is watched. Keys count, not files:
 * nothing happens when one is touched or written in another way.
 *
 * A service that is restricted never becomes public by itself: without any client nobody gets in.
 * Only `authorized_clients.enabled = no` opens it.
 */
#ifndef NK_ONION_GATE_H
#define NK_ONION_GATE_H

#include "base/file.h"
#include "hs/hs.h"
#include "onion/clients.h"

struct nk_app;
struct nk_control_call;

enum onion_enabled { ONION_CLIENTS_AUTO, ONION_CLIENTS_YES, ONION_CLIENTS_NO };

extern const char *const onion_enabled_names[];

/* Of [onion NAME]. */
struct onion_gate_conf {
    int enabled; /* enum onion_enabled; AUTO: restricted when there is a client or the directory */
    char *dir;   /* NULL: authorized_clients in the service's folder, made when it is needed */
};

/* The rows of a configuration `conf` that has struct onion_gate_conf as `member`. */
#define ONION_GATE_ROWS(conf, member)                                                              \
    {.name = "authorized-clients.enabled",                                                         \
     .type = NK_OPT_ENUM,                                                                          \
     .offset = NK_FIELD(conf, member.enabled),                                                     \
     .arg = "WHEN",                                                                                \
     .def = "auto",                                                                                \
     .choices = onion_enabled_names,                                                               \
     .flags = NK_OPT_INI_ONLY | NK_OPT_RELOAD,                                                     \
     .help = "Whether only authorised clients may find the service; auto: when there are any, or " \
             "their directory. yes without clients means nobody"},                                 \
    {                                                                                              \
        .name = "authorized-clients.dir", .type = NK_OPT_PATH,                                     \
        .offset = NK_FIELD(conf, member.dir), .arg = "DIR",                                        \
        .flags = NK_OPT_INI_ONLY | NK_OPT_RELOAD,                                                  \
        .help = "Directory of NAME.auth files, watched; default: authorized_clients in the "       \
                "service's folder of the state directory"                                          \
    }

struct onion_gate {
    struct onion_clients clients; /* who may find it now */
    /* private */
    struct nk_app *app;
    const struct onion_gate_conf *conf;
    const struct onion_clients *fixed;
    char dir[NK_PATH_MAX]; /* of its clients; "" for none */
    struct hs_changes changes;
    void (*fn)(void *owner);
    void *owner;
    bool open, changed;
};

/*
 * onion_gate_open - read everything and begin to watch. conf, and the clients that the
 * configuration names (`fixed`), stay valid until onion_gate_close or a reload. folder: the
 * service's in the state directory, which need not exist; NULL: there is none, and without
 * conf->dir nothing is watched. fn: `clients` has changed, told from the loop. NK_ECONFIG when the
 * configuration contradicts itself; -ENOENT without conf->dir; errors of onion_clients_read_dir.
 * Safe to close after a failure.
 */
int onion_gate_open(struct onion_gate *g, struct nk_app *app, const struct onion_gate_conf *conf,
                    const struct onion_clients *fixed, const char *folder, void (*fn)(void *owner),
                    void *owner, struct nk_diag *diag);

/* onion_gate_reload - another configuration; fn follows if it matters. On error the old one stays.
 */
int onion_gate_reload(struct onion_gate *g, const struct onion_gate_conf *conf,
                      const struct onion_clients *fixed, const char *folder, struct nk_diag *diag);

/* onion_gate_put - authorize a client by a public key, or with NULL take it away, in the directory;
 * `clients` is as it is then. Errors of hs/auth.h; NK_EUSAGE for a client that the configuration
 * names. onion_gate_change - the same by a value of onion_clients_load. onion_gate_list - who is
 * one, as text or JSON, appended. */
int onion_gate_put(struct onion_gate *g, const char *name, const uint8_t *pub,
                   struct nk_diag *diag);
int onion_gate_change(struct onion_gate *g, const char *name, const char *line,
                      struct nk_diag *diag);
int onion_gate_list(const struct onion_gate *g, bool json, struct nk_buf *out);

/* onion_gate_close - stop watching and free. Safe twice, and on zero. */
void onion_gate_close(struct onion_gate *g);

/*
 * onion_gate_verb - what `netkit onion clients` asks a service that runs: "clients list text|json",
 * "clients add NAME LINE", "clients remove NAME". Changes are made in the directory (hs/auth.h) and
 * are in force when the answer comes, at tor as soon as it has the service again.
 */
void onion_gate_verb(struct onion_gate *g, struct nk_control_call *call, size_t n,
                     char *const *words);

#endif
