/* SPDX-License-Identifier: MIT */
/*
 * host_update - UpdateHostKeys: a server tells all its host keys after the login (hostkeys-00 and
 * hostkeys-prove-00 of OpenSSH's PROTOCOL 2.5), so that known_hosts can follow when they change.
 * No I/O but the file's.
 *
 *     hostkeys-00@openssh.com arrives -> ssh_host_update_offer -> 1: send hostkeys-prove-00@...
 *     its REQUEST_SUCCESS arrives     -> ssh_host_update_proof -> ssh_host_update_write
 *
 * A key is learnt only when the server has proven to have it. Nothing is done when the host is
 * known by a pin, an authority, a pattern, a line it shares with others, or the name without its
 * port, nor when the key of this connection is not among those that are told, or is not in the
 * user's files.
 */
#ifndef SSH_HOST_UPDATE_H
#define SSH_HOST_UPDATE_H

#include "ssh/host_policy.h"

#define SSH_HOSTKEYS "hostkeys-00@openssh.com"
#define SSH_HOSTKEYS_PROVE "hostkeys-prove-00@openssh.com"

enum { SSH_HOST_UPDATE_KEYS = 64 /* that a server may tell; the rest is not looked at */ };

struct ssh_host_update;

/* ssh_host_update_new - conf as the policy got it (borrowed, must outlive it); current: the plain
 * or certified key of this connection. 0 or -ENOMEM. ssh_host_update_free - NULL is fine. */
int ssh_host_update_new(struct ssh_host_update **out, const struct ssh_host_conf *conf,
                        struct ssh_str current, struct nk_diag *diag);
void ssh_host_update_free(struct ssh_host_update *u);

/*
 * ssh_host_update_offer - what follows want_reply in the global request SSH_HOSTKEYS. 1: what is to
 * follow want_reply (true) in a global request SSH_HOSTKEYS_PROVE was appended to out; 2: nothing
 * to prove, keys only went away: ssh_host_update_write may be called; 0: nothing to do. NK_EPROTO,
 * and errors of reading files, -ENOMEM. Only the first offer of a connection counts, later ones are
 * 0.
 */
int ssh_host_update_offer(struct ssh_host_update *u, struct ssh_str keys, struct nk_buf *out,
                          struct nk_diag *diag);

/* ssh_host_update_proof - what follows the number in the REQUEST_SUCCESS. 0: every key is proven;
 * NK_EPROTO, NK_EVERIFY: it is not, and nothing may be learnt; -ENOMEM. */
int ssh_host_update_proof(struct ssh_host_update *u, struct ssh_str reply,
                          struct ssh_str session_id, struct nk_diag *diag);

/* ssh_host_update_question - after the proof: append what UpdateHostKeys=ask asks. 0, -ENOMEM,
 * NK_ETOOBIG. */
int ssh_host_update_question(const struct ssh_host_update *u, struct nk_buf *out);

/* ssh_host_update_write - add the proven keys to the file that has the current one, and take out
 * those that the server no longer tells. Returns how many lines were changed; NK_EINTERNAL before
 * the proof; errors of ssh_known_hosts_edit. */
int ssh_host_update_write(struct ssh_host_update *u, struct nk_diag *diag);

/* ssh_host_update_added, _removed - how many keys came and went, for the log. */
size_t ssh_host_update_added(const struct ssh_host_update *u);
size_t ssh_host_update_removed(const struct ssh_host_update *u);

#endif
