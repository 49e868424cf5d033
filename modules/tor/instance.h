/* SPDX-License-Identifier: MIT */
/*
 * instance - which tor: one that runs, the user's own that processes of netkit share, or one of
 * this process alone. Everybody in an app who asks for the same one gets the same instance.
 *
 *     SYSTEM   control port and SOCKS of a tor that somebody else runs
 *     GLOBAL   STATE_DIR/tor/global: started at most once, kept by a holder process (holder.h)
 *     PRIVATE  started for this app in a temporary directory, which goes with it
 *     AUTO     SYSTEM when there is one, else GLOBAL
 */
#ifndef TOR_INSTANCE_H
#define TOR_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "tor/access.h"
#include "tor/bootstrap.h"

#define TOR_INSTANCE_TIMEOUT_MS 180000u /* a first bootstrap on a slow network */

struct nk_app;
struct tor_control;
struct tor_instance;
struct tor_instance_wait;
struct tor_launch_conf; /* launch.h */

extern const char *const tor_kind_names[]; /* by enum tor_kind, ended by NULL */

/* What is needed of it before it is of use. */
enum tor_instance_needs {
    TOR_NEEDS_CONTROL = 1, /* an authenticated control connection */
    TOR_NEEDS_SOCKS = 2,   /* where it offers SOCKS */
    TOR_NEEDS_NETWORK = 4  /* a tor that we start is at 100 % */
};

/* What is left open (no kind, or no particulars of it) is as [tor] of nk_app_ini says. Strings are
 * borrowed until tor_instance_get returns. */
struct tor_instance_conf {
    enum tor_kind kind;
    unsigned needs;           /* enum tor_instance_needs */
    struct tor_access access; /* SYSTEM, AUTO; a control given here means SYSTEM */
    const char *socks;   /* endpoint string, HOST:PORT, PORT or a path; NULL: asked for. A socks
                          * given without a control means SYSTEM, and no control is opened */
    uint64_t timeout_ms; /* for all that is needed; 0: TOR_INSTANCE_TIMEOUT_MS */
    const struct tor_launch_conf *launch; /* PRIVATE: binary, data_dir, socks, user, torrc and seed
                                           * of it count; may be NULL */
    /* a tor that we start makes progress; before fn only; may be NULL. owner is that of fn */
    void (*progress)(void *owner, const struct tor_bootstrap *at);
};

/* Once: err 0 and an instance that the receiver holds until tor_instance_release, or why not. */
typedef void tor_instance_fn(void *owner, int err, struct tor_instance *instance,
                             const struct nk_diag *why);

/*
 * tor_instance_get - fn later, with what conf needs. Errors that come by fn: those of tor_control
 * (no permission ..), NK_ENOCMD (no program to start), -ETIMEDOUT, and so on. Returned: NK_EUSAGE
 * (kind and access contradict each other), NK_EUNSUPPORTED (one would have to be started in an app
 * without a launcher: only for PRIVATE and GLOBAL), -ENOMEM.
 */
int tor_instance_get(struct nk_app *app, const struct tor_instance_conf *conf, tor_instance_fn *fn,
                     void *owner, struct tor_instance_wait **out, struct nk_diag *diag);

/* tor_instance_cancel - fn will not be called. Only before it was; NULL is fine. */
void tor_instance_cancel(struct tor_instance_wait *w);

/* tor_instance_release - not needed any more by one of those who got it. It lives on for a minute,
 * as the next connection may want it; and ends with the app. One that failed goes at once. NULL is
 * fine. */
void tor_instance_release(struct tor_instance *i);

/* Its control connection, which comes back by itself when tor is started again (watch its state);
 * NULL where nobody needed one. Borrowed while the instance is held. */
struct tor_control *tor_instance_control(const struct tor_instance *i);

/* Where it offers SOCKS, as an endpoint string ("tcp:127.0.0.1:9050", "unix:/path"); "" when nobody
 * needed it, and when it does not. */
const char *tor_instance_socks(const struct tor_instance *i);

/* What AUTO has become. */
enum tor_kind tor_instance_kind(const struct tor_instance *i);

#endif
