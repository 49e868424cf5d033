/* SPDX-License-Identifier: MIT */
/*
 * endpoint_meta - the metadata that an object is sent with, as options, JSON or a daemon's command
 * give them: checked, kept, written as a block (wire_meta.h) and read from one; pure.
 *
 * Only what a sender may say: time to live, group for the answer, correlation, headers. Copies and
 * content are the business of whoever publishes.
 */
#ifndef NK_RELAY_ENDPOINT_META_H
#define NK_RELAY_ENDPOINT_META_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/opt.h"
#include "relay/client.h"
#include "relay/wire_meta.h"

/* Zeroed: no metadata. */
struct relay_endpoint_meta {
    uint64_t ttl_ms;                                 /* 0: for ever */
    char *reply_to;                                  /* owned, or NULL */
    uint8_t correlation[RELAY_META_CORRELATION_MAX]; /* any bytes */
    size_t correlation_len;
    char *header[RELAY_META_HEADERS]; /* "name=value", owned */
    size_t nheaders;
};

/* Each adds what n bytes at p say. 0; NK_EUSAGE (with what is wrong: empty, too long, a NUL where
 * none may be, no name, more than RELAY_META_HEADERS); -ENOMEM. *m is unchanged on failure. */
int relay_endpoint_meta_reply_to(struct relay_endpoint_meta *m, const char *p, size_t n,
                                 struct nk_diag *diag);
int relay_endpoint_meta_correlation(struct relay_endpoint_meta *m, const void *p, size_t n,
                                    struct nk_diag *diag);
int relay_endpoint_meta_header(struct relay_endpoint_meta *m, const char *p, size_t n,
                               struct nk_diag *diag);

/* relay_endpoint_meta_headers - all that --header said, with errors that name it. */
int relay_endpoint_meta_headers(struct relay_endpoint_meta *m, const struct nk_strlist *headers,
                                struct nk_diag *diag);

/* relay_endpoint_meta_put - append the block; without metadata it is two bytes. 0; NK_ETOOBIG (all
 * of it together is more than a block holds, or out is full); -ENOMEM. out is unchanged on failure.
 */
int relay_endpoint_meta_put(const struct relay_endpoint_meta *m, struct nk_buf *out);

/* relay_endpoint_meta_get - the block at the start of n bytes, into *m, which must be zeroed; its
 * length to *len. 0; NK_EPROTO: malformed, or it says what a sender must not; -ENOMEM; *m is empty
 * on failure. */
int relay_endpoint_meta_get(struct relay_endpoint_meta *m, const void *p, size_t n, size_t *len);

/* relay_endpoint_meta_publish - p's metadata are those of m, which it borrows. */
void relay_endpoint_meta_publish(const struct relay_endpoint_meta *m,
                                 struct relay_client_publish *p);

/* relay_endpoint_meta_clear - free it; empty again. */
void relay_endpoint_meta_clear(struct relay_endpoint_meta *m);

#endif
