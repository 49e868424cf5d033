/* SPDX-License-Identifier: MIT */
/*
 * forward - what LocalForward, RemoteForward and DynamicForward say, and -L, -R and -D:
 *
 *     [bind:]port:host:hostport   [bind:]port:/path   /path:host:hostport   /path:/path
 *     [bind:]port                 (SOCKS; also for RemoteForward)
 *
 * An address with colons stands in square brackets.
 */
#ifndef SSH_FORWARD_H
#define SSH_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum ssh_forward_kind { SSH_FORWARD_LOCAL, SSH_FORWARD_REMOTE, SSH_FORWARD_DYNAMIC };

enum { SSH_FORWARDS_MAX = 1024 };

/* One end: a path, or a host and a port. */
struct ssh_forward_end {
    char *path, *host; /* host NULL: none was given; "" and "*" are all addresses */
    uint16_t port;     /* 0: for the other side to choose (RemoteForward only) */
};

struct ssh_forward {
    enum ssh_forward_kind kind;
    struct ssh_forward_end listen, connect; /* connect has nothing: SOCKS */
};

struct ssh_forwards {
    struct ssh_forward *v;
    size_t n;
};

/* ssh_forward_is_socks - does the peer of each connection say where it goes? */
bool ssh_forward_is_socks(const struct ssh_forward *f);

/* ssh_forwards_add - one more. NK_EUSAGE: the text is none; NK_ELIMIT; -ENOMEM. The text may have a
 * space between its ends instead of a colon, as in files. ssh_forwards_clear - all of them. */
int ssh_forwards_add(struct ssh_forwards *l, enum ssh_forward_kind kind, const char *text,
                     struct nk_diag *diag);
void ssh_forwards_clear(struct ssh_forwards *l);

/* ssh_forwards_pop - take the last one back. */
void ssh_forwards_pop(struct ssh_forwards *l);

/* ssh_forward_put - append it as `ssh -G` prints it. 0, -ENOMEM, NK_ETOOBIG. */
int ssh_forward_put(const struct ssh_forward *f, struct nk_buf *out);

#endif
