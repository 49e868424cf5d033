/* SPDX-License-Identifier: MIT */
/*
 * launch - a tor process of our own, from the search for the program to its end.
 *
 *     SEEDING -> STARTING -> OPENING -> OWNING -> BOOTSTRAPPING -> READY
 *         \________ any failure, tor_launch_end ________________/ -> ENDING -> ENDED
 *
 * tor starts with its network disabled. Once its control socket is there we authenticate, take
 * ownership (tor ends when this connection does, so nothing is left when we are killed), drop the
 * slower ownership by process id, subscribe to its progress, and only then enable the network: no
 * event is lost and no orphan stays. Whatever fails, tor has ended and its temporary directory is
 * gone when the owner hears of it.
 */
#ifndef TOR_LAUNCH_H
#define TOR_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/opt.h"
#include "tor/bootstrap.h"

struct nk_app;
struct tor_control;
struct tor_launch;

/* Below the state directory: what the global tor knows, the usual seed of others. */
#define TOR_GLOBAL_DATA "tor/global/data"

enum tor_launch_event {
    TOR_LAUNCH_OPEN,     /* owned, its network enabled: the control connection is usable */
    TOR_LAUNCH_PROGRESS, /* see tor_launch_bootstrap */
    TOR_LAUNCH_READY,    /* at 100 %, SOCKS known; once */
    TOR_LAUNCH_ENDED     /* gone, with its temporary directory; the last one. err: why, 0 after
                          * tor_launch_end */
};

typedef void tor_launch_fn(void *owner, enum tor_launch_event what, int err,
                           const struct nk_diag *why);

struct tor_launch_conf {
    const char *binary; /* a path, or a name that is looked for; NULL: "tor" */
    /* an existing directory of mode 0700 for torrc and control socket, which stays; NULL: a
     * temporary one in $TMPDIR, $TMP, else the state directory */
    const char *dir;
    const char *data_dir;           /* tor's, made when missing; NULL: "data" in that directory */
    const char *socks;              /* tor_torrc_socks_check; NULL: "auto" */
    const char *user;               /* --user */
    const struct nk_strlist *torrc; /* further lines */
    const char *seed; /* data directory of another tor: what it knows of the network is copied when
                       * ours knows nothing newer; NULL: none */
    uint64_t timeout_ms; /* from start to 100 %; 0: none */
    tor_launch_fn *fn;
    void *owner;
};

/* tor_launch_start - check everything, make directories and torrc, and begin. conf is not needed
 * afterwards. The app needs a launcher. 0 and fn later; or, with nothing left behind, NK_EUSAGE,
 * NK_ENOCMD (no such program), NK_ETOOBIG (paths of sockets), NK_EUNSUPPORTED, -errno, -ENOMEM. */
int tor_launch_start(struct nk_app *app, const struct tor_launch_conf *conf,
                     struct tor_launch **out, struct nk_diag *diag);

/* tor_launch_end - ask tor to end; killed when it does not within 5 s. ENDED comes later. */
void tor_launch_end(struct tor_launch *l);

/* tor_launch_close - forget it, from anywhere, also from fn: what still runs is ended, and its
 * directory removed, behind our back. NULL is fine. */
void tor_launch_close(struct tor_launch *l);

/* The connection that owns tor, from OPEN on; borrowed, until tor_launch_close. */
struct tor_control *tor_launch_control(const struct tor_launch *l);

/* Where it offers SOCKS, as an endpoint string, from READY on; "" when nowhere. tor_launch_address
 * - its control socket, the same way. */
const char *tor_launch_socks(const struct tor_launch *l);
const char *tor_launch_address(const struct tor_launch *l);

/* tor_launch_data_dir - its data directory, where its cookie is. */
const char *tor_launch_data_dir(const struct tor_launch *l);

/* tor_launch_pid - tor's pid, 0 while it does not run. */
pid_t tor_launch_pid(const struct tor_launch *l);

/* tor_launch_bootstrap - how far it is; zeroed before the first progress. */
const struct tor_bootstrap *tor_launch_bootstrap(const struct tor_launch *l);

/* tor_launch_find - the path of the program: name itself if it has a slash, else along PATH and in
 * the directories where distributions put it. 0; NK_ENOCMD with what to do; NK_ETOOBIG. */
int tor_launch_find(const char *name, char *out, size_t max, struct nk_diag *diag);

#endif
