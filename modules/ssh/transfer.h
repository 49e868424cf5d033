/* SPDX-License-Identifier: MIT */
/*
 * transfer - files and directories, put to or got from an SFTP server.
 *
 * Several files at once, and for each as many requests in flight as fill the connection: reads and
 * writes of the size that the server allows, so many bytes of them as arrive within two round trips
 * of the quiet connection. A file gets its name when it is whole: until then it is NAME.nk-part
 * beside it, there or here. Local files are read and written in pieces of at most 255 KiB.
 *
 * The server is not believed: names that it tells have to be names of files (ssh_sftp_name_ok);
 * directories are opened relative to the one that they are made in, without following symbolic
 * links; of a file no more is written than its size was; 64 directories deep is the end; memory is
 * bounded by that depth. Symbolic links, parts of other transfers and what is neither file nor
 * directory are left out, which is told; only what the user names himself may be a link. Two files
 * that would have one name are not transferred at the same time: the later one fails.
 */
#ifndef SSH_TRANSFER_H
#define SSH_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/app.h"
#include "core/stream.h"

struct ssh_transfer;

#define SSH_TRANSFER_PART ".nk-part" /* at the end of the names of files that are not whole */

/* What has been done so far. */
struct ssh_transfer_state {
    uint64_t bytes;  /* moved in this session */
    uint64_t total;  /* of all files that were begun, what had been there before left out */
    uint64_t files;  /* whole */
    uint64_t had;    /* of these: were there already (resume) */
    uint64_t left;   /* out: symbolic links and such */
    uint64_t failed; /* files and directories */
};

struct ssh_transfer_conf {
    struct nk_app *app;
    bool put;       /* from here to there; false: from there to here */
    bool recursive; /* directories, too */
    bool resume;    /* what is there already, in full or in part, is not transferred again: judged
                     * by its size and its last 32 KiB, with preserve by its time, too */
    bool preserve;  /* modes and times */
    unsigned umask; /* what modes of new files here do not have, unless preserved */
    bool sync;      /* files are on the disk before they get their names, where the server can */
    char *const *from; /* from_n names; borrowed to the end, as `to` */
    size_t from_n;
    const char *to; /* an existing directory, into which they go, or for one name its new one */

    /* For people: a file or directory that failed (rc < 0) or was left out (0). */
    void (*note)(void *owner, int rc, const char *text);
    /* Everything was tried, or the connection failed. rc: the first failure, 0 when there was none.
     * Once; the transfer may be freed from inside. */
    void (*done)(void *owner, int rc, const struct nk_diag *why);
    void *owner;
};

/* ssh_transfer_start - over a stream that leads to an SFTP server, connected or connecting; it is
 * taken, also on failure. 0 or -ENOMEM. */
int ssh_transfer_start(struct ssh_transfer **out, const struct ssh_transfer_conf *conf,
                       struct nk_stream *take_stream);

/* ssh_transfer_free - end it now; done is not called any more. What was not whole stays under its
 * name for the time being when `resume` is set; there it may stay anyway. NULL is fine. */
void ssh_transfer_free(struct ssh_transfer *t);

/* ssh_transfer_state - for progress. */
void ssh_transfer_state(const struct ssh_transfer *t, struct ssh_transfer_state *out);

#endif
