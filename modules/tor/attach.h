/* SPDX-License-Identifier: MIT */
/*
 * attach - a stream of ours bound to one circuit (control-spec 3.13 ATTACHSTREAM).
 *
 * While at least one such stream is being made, tor leaves new streams to us
 * (__LeaveStreamsUnattached); all that are not ours are handed back to tor at once. Once the stream
 * stands or has failed, and nobody else is at it, the option is what it was. One attacher per
 * control connection does this for all that use it.
 *
 *     (first one) ASKING --SETCONF--> SETTING --> ON --(last one gone)--> RESETTING --> SWEEPING
 *     connection lost: DOWN, and ASKING again when it is back
 *
 * tor 0.4.5 or later: it says which streams wait for a controller.
 */
#ifndef TOR_ATTACH_H
#define TOR_ATTACH_H

#include "tor/control.h"

struct tor_attach;

#define TOR_ATTACH_USER 48 /* bytes of a user name with its end */

struct tor_attach_conf {
    struct nk_app *app;
    struct tor_control *control; /* stays until tor_attach_end */
    const char *circuit;         /* a circuit's number; or a path as tor_build_start takes it */
    const char *user;            /* of tor_attach_user; the SOCKS user name of the stream */
    /* now the SOCKS connection may begin. Once, unless it fails */
    void (*ready)(void *owner);
    /* it will not be attached: refused or failed. Once, and not after tor_attach_end */
    void (*failed)(void *owner, int err, const struct nk_diag *why);
    void *owner;
};

/* tor_attach_check - is it a circuit's number, "auto", or a path? 0 or NK_EUSAGE. */
int tor_attach_check(const char *circuit, struct nk_diag *diag);

/* tor_attach_user - a random user name, by which the stream is known again. */
void tor_attach_user(char out[TOR_ATTACH_USER]);

/*
 * tor_attach_start - begin: build the circuit where it is a path, then take streams over. Nothing
 * is called before this returns. Errors that come by failed: -ECONNABORTED (the circuit is unknown,
 * closed, or cannot be built; the exit refuses the stream), -EBUSY (another controller attaches
 * streams of this tor), those of the connection. Returns 0, what tor_control_send returns,
 * NK_EUSAGE, -ENOMEM. The texts of conf are copied.
 */
int tor_attach_start(struct tor_attach **out, const struct tor_attach_conf *conf,
                     struct nk_diag *diag);

/* tor_attach_end - the stream is closed, or not wanted any more. A circuit that was built for it
 * and not used is closed. At the end of the app what is under way is waited for, two seconds at
 * most. NULL is fine. */
void tor_attach_end(struct tor_attach *a);

#endif
