/* SPDX-License-Identifier: MIT */
/*
 * inbox - bytes of a channel that wait for their consumer: what came in this turn of the loop stays
 * where it was decrypted (lent), and only what nobody has taken by the time that memory is needed
 * again (struct ssh_channel_ops, on_keep) is copied (kept). The order of the bytes is that in which
 * they came: the kept ones, then the lent ones.
 */
#ifndef SSH_INBOX_H
#define SSH_INBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"

enum {
    SSH_INBOX_LENT = 16, /* pieces; more than that are small ones, and are copied */
    SSH_INBOX_PIECES = SSH_INBOX_LENT + 1
};

struct ssh_inbox {
    struct nk_buf kept;
    struct iovec lent[SSH_INBOX_LENT];
    size_t n, bytes; /* of lent */
};

/* ssh_inbox_init - empty; will keep at most max bytes. ssh_inbox_clear - nothing is in it, and it
 * has no memory. */
void ssh_inbox_init(struct ssh_inbox *in, size_t max);
void ssh_inbox_clear(struct ssh_inbox *in);

/* ssh_inbox_len - bytes that wait. */
size_t ssh_inbox_len(const struct ssh_inbox *in);

/* ssh_inbox_lend - n (>= 1) bytes came, and stay at p until ssh_inbox_keep. 0, NK_ETOOBIG or
 * -ENOMEM: they are not in it. */
int ssh_inbox_lend(struct ssh_inbox *in, const uint8_t *p, size_t n);

/* ssh_inbox_keep - copy what is lent. 0, NK_ETOOBIG or -ENOMEM: what was lent is lost. */
int ssh_inbox_keep(struct ssh_inbox *in);

/* ssh_inbox_pieces - the bytes that wait, in order, for writev. Returns how many pieces. */
int ssh_inbox_pieces(const struct ssh_inbox *in, struct iovec out[SSH_INBOX_PIECES]);

/* ssh_inbox_consume - the first n (<= ssh_inbox_len) bytes have left. */
void ssh_inbox_consume(struct ssh_inbox *in, size_t n);

#endif
