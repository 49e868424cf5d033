/* SPDX-License-Identifier: MIT */
/* build - a circuit made, or extended, over a chosen path, and awaited until it is built. */
#ifndef TOR_BUILD_H
#define TOR_BUILD_H

#include "tor/control.h"
#include "tor/event.h"

#define TOR_HOPS_MAX 8 /* tor allows no longer circuits (DEFAULT_ROUTE_LEN + 5) */

struct tor_build;

/* The end of it: err 0 and the circuit's CIRC BUILT event, valid until return; or the error, why
 * tells it. Once, and not after tor_build_cancel; the build is freed behind it. */
typedef void tor_build_fn(void *owner, int err, const struct tor_event *circuit,
                          const struct nk_diag *why);

struct tor_build_conf {
    struct tor_control *control; /* READY */
    const char *id;              /* the circuit to extend; NULL: a new one */
    const char *path;            /* relays with commas between; NULL or "auto": tor chooses */
    const char *purpose;         /* NULL: tor's default, general */
    tor_build_fn *fn;
    void *owner;
};

/* tor_path_check - is it a path: relays as nickname, fingerprint, $fingerprint or
 * $fingerprint~nickname, or '*' for any, with commas between? 0 or NK_EUSAGE. */
int tor_path_check(const char *path, struct nk_diag *diag);

/*
 * tor_path_choose - replace each '*' of path by a relay out of the n bytes of entries at ns
 * (GETINFO ns/all): by weight of bandwidth, no relay twice, where possible no two of one /16; the
 * first of a new circuit is a Guard, the last one an Exit; all are Running, Valid and Fast. Relays
 * are written to out as tor takes them. new: the path begins at us. 0; -ENOENT when there is no fit
 * one; NK_EUSAGE.
 */
int tor_path_choose(struct nk_buf *out, const char *path, bool new, const char *ns, size_t n,
                    struct nk_diag *diag);

/* tor_path_ends - are the last relays of the path in an event (len bytes) those of tail, a path as
 * tor_path_choose makes it? */
bool tor_path_ends(const char *path, size_t len, const char *tail);

/* tor_build_start - begin. Nothing is called before this returns. 0, NK_EUSAGE, or what
 * tor_control_send returns. The texts of conf are copied. */
int tor_build_start(struct tor_build **out, const struct tor_build_conf *conf,
                    struct nk_diag *diag);

/* tor_build_cancel - forget it; what tor has begun goes on there. NULL is fine. */
void tor_build_cancel(struct tor_build *b);

/*
 * tor_build_close - nobody wants it any more: a new circuit that tor has begun is closed. True: b
 * is freed, and gone(owner) called, once tor has answered, or its connection is lost; until then
 * tor_build_cancel ends it at once. False: there was nothing to close, and b is freed.
 */
bool tor_build_close(struct tor_build *b, void (*gone)(void *owner), void *owner);

#endif
