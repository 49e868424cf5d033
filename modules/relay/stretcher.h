/* SPDX-License-Identifier: MIT */
/*
 * stretcher - the stretched form of one password for an endpoint's logins: Argon2id in the crypto
 * lane, and what came out is kept for the next login at the same relay. Only in memory: on disk it
 * would be worth as much as the password, without its file's care.
 */
#ifndef NK_RELAY_STRETCHER_H
#define NK_RELAY_STRETCHER_H

#include "base/secret.h"
#include "relay/login.h"

struct nk_app;
struct relay_stretcher;

#define RELAY_STRETCHER_KEPT 8 /* results; the oldest goes */

/* relay_stretcher_new - password is copied. 0 or -ENOMEM. */
int relay_stretcher_new(struct relay_stretcher **out, struct nk_app *app,
                        const struct nk_secret *password);

/* relay_stretcher_free - cancels what runs, wipes. NULL is fine. */
void relay_stretcher_free(struct relay_stretcher *s);

/*
 * relay_stretcher_start - stretch for the relay with this key (SHA-256 of its SPKI, or NULL when it
 * has none). done(owner, status, prs) comes once, later: status 0 and RELAY_LOGIN_PRS bytes that
 * are valid during the call, or -ENOMEM. One at a time: a start before done cancels the first one.
 * Returns 0, -ENOMEM, -EAGAIN, or NK_EPROTO (parameters out of bounds); then done does not come.
 */
int relay_stretcher_start(struct relay_stretcher *s, const uint8_t *relay_key,
                          const struct relay_stretch_params *params,
                          void (*done)(void *owner, int status, const uint8_t *prs), void *owner);

/* relay_stretcher_cancel - done will not come. NULL is fine. */
void relay_stretcher_cancel(struct relay_stretcher *s);

#endif
