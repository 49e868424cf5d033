/* SPDX-License-Identifier: MIT */
/*
 * live - directories of keys brought into force over the control port of a tor that runs, and
 * confirmed by it. They have been checked before (hs/preflight.h).
 *
 *     what tor has --> which way for each directory --> tell tor --> applied --> uploaded, or not
 *
 * A service, or keys of clients, that tor's configuration names is read at a reload (SIGNAL
 * RELOAD). That would drop services which only SETCONF has made: then the lines that tor has are
 * set again, which makes it read the directories, too, and drops nothing. A detached service is
 * taken away and added again; its ports have to be known, as tor does not tell them. Keys of
 * clients in other directories are given to tor one by one, and those that went since the time
 * before are taken away.
 *
 * tor uploads the descriptor of a service whose clients have changed at once, and tells of it
 * before it answers the next command: so what has to be waited for is known, and nothing is waited
 * for when nothing has changed.
 */
#ifndef NK_ONION_LIVE_H
#define NK_ONION_LIVE_H

#include "core/timer.h"
#include "onion/client_keys.h"
#include "onion/replace.h"
#include "onion/upload.h"

/* X(constant, name): how tor was told */
#define ONION_LIVE_WAYS(X)                                                                         \
    X(ONION_LIVE_UNKNOWN, "none")                                                                  \
    X(ONION_LIVE_RELOAD, "reload")                                                                 \
    X(ONION_LIVE_SETCONF, "setconf")                                                               \
    X(ONION_LIVE_DETACHED, "add-onion")                                                            \
    X(ONION_LIVE_KEYS, "client-auth")

#define ONION_LIVE_ENUM(constant, name) constant,
enum onion_live_way { ONION_LIVE_WAYS(ONION_LIVE_ENUM) };
#undef ONION_LIVE_ENUM

/* What became of one directory. */
struct onion_live_target {
    enum onion_live_way way;
    char address[NK_ONION_SIZE]; /* of a service; "" when only tor can read it */
    bool expected;               /* tor has a new descriptor of it to upload */
    struct onion_upload upload;
    unsigned added, removed; /* keys of clients that tor was given, or that were taken from it */
    struct onion_client_keys keys; /* private from here on */
    struct onion_plan plan;
    struct onion_replace replace;
};

struct onion_live_conf {
    struct nk_app *app;
    struct tor_control *control; /* ready; its loss ends it without on_done */
    const struct hs_targets *targets;
    const struct hs_sight *sights;   /* one for each */
    const struct hs_sight *seen;     /* what tor was told before: the same is left alone; or NULL */
    const struct nk_strlist *ports;  /* of a detached service (ports.h); may be empty */
    struct onion_client_keys *known; /* one for each: what tor was given the time before, replaced
                                      * when it was told; NULL: nothing is taken from tor */
    uint64_t confirm_ms;             /* for the uploads; 0: they are not waited for */
    /* tor was told everything, and has read it. An error ends it: on_done */
    int (*on_applied)(void *owner, struct nk_diag *diag);
    void (*on_progress)(void *owner); /* of uploads; may be NULL */
    /* once: 0, -ETIMEDOUT when an upload did not come, or what went wrong */
    void (*on_done)(void *owner, int err, const struct nk_diag *why);
    void *owner;
};

/* Zero it. */
struct onion_live {
    struct onion_live_target *v; /* one for each of the targets */
    size_t n;
    bool applied;                /* on_applied was told */
    struct onion_live_conf conf; /* private from here on */
    struct tor_request request;
    struct tor_subscription descriptors;
    struct nk_strlist dirs;       /* that tor's configuration has now */
    struct nk_buf same;           /* the command that sets them again */
    struct onion_client_keys has; /* tor's */
    char *client_dir;             /* ClientOnionAuthDir, or NULL */
    bool offline;                 /* its network is off */
    bool circuits;                /* it has some */
    enum onion_live_way tell; /* RELOAD, SETCONF, or UNKNOWN: no directory of its own is there */
    size_t at, key;           /* how far it is with those that are told one by one */
    struct nk_timer timeout;
};

/* onion_live_open - begin; conf is copied. 0, or an error: then close it, too. */
int onion_live_open(struct onion_live *l, const struct onion_live_conf *conf, struct nk_diag *diag);

/* onion_live_stop - nothing is told any more; what became of the directories can still be read.
 * onion_live_close - that goes, too. Safe on zero, twice, and from inside of on_done. */
void onion_live_stop(struct onion_live *l);
void onion_live_close(struct onion_live *l);

/* onion_live_progress - of the uploads that are waited for: answers of directories, and of how
 * many. */
void onion_live_progress(const struct onion_live *l, unsigned *done, unsigned *total);

/* onion_live_json - an array "tor" (directory, by, address, changed, uploaded, failed, or added and
 * removed) into an open object. */
void onion_live_json(const struct onion_live *l, struct nk_json *j);

#endif
