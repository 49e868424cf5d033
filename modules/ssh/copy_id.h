/* SPDX-License-Identifier: MIT */
/*
 * copy_id - public keys into a user's authorized_keys, over SFTP: those that are not there yet are
 * added behind what is. The file is written anew beside the old one and takes its name when it is
 * whole, so that nobody is ever locked out by half of it; .ssh is made with mode 0700, the file
 * with 0600, an existing one keeps its mode but for what would let others write. Where there is no
 * SFTP server, a script for the shell there does the same (copy_sh.h).
 */
#ifndef SSH_COPY_ID_H
#define SSH_COPY_ID_H

#include "base/buf.h"
#include "base/err.h"
#include "ssh/wire.h"

#define SSH_AUTHORIZED_MAX ((size_t)1024 * 1024) /* bytes of the file */

struct nk_stream;
struct ssh_copy_id;

/* A key to be there. */
struct ssh_copy_key {
    struct nk_buf blob, line; /* line: as it is to stand in the file, with its end */
    bool added;               /* it was not there */
};

struct ssh_copy_id_conf {
    struct ssh_copy_key *keys; /* borrowed; `added` is set */
    size_t n;
    bool dry_run; /* look only */
    /* a stream to this command there, for when SFTP is refused, or ends before it has begun; NULL:
     * that is an error */
    int (*shell)(void *owner, const char *command, struct nk_stream **out, struct nk_diag *diag);
    /* once, not after ssh_copy_id_free: 0, or why not */
    void (*done)(void *owner, int rc, const struct nk_diag *why);
    void *owner;
};

/* ssh_copy_id_start - take_stream: to an SFTP server, still connecting. 0 or -ENOMEM; the stream is
 * closed then. */
int ssh_copy_id_start(struct ssh_copy_id **out, const struct ssh_copy_id_conf *conf,
                      struct nk_stream *take_stream);

/* ssh_copy_id_free - leave it as it is; NULL is fine. Not from inside done. */
void ssh_copy_id_free(struct ssh_copy_id *c);

/* ssh_copy_id_look - which of n keys a text of authorized_keys does not have yet. Returns how many,
 * or -ENOMEM. */
int ssh_copy_id_look(const void *text, size_t size, struct ssh_copy_key *keys, size_t n);

#endif
