/* SPDX-License-Identifier: MIT */
/*
 * upload - what HS_DESC events (control-spec 4.1.25) say about the upload of one service's
 * descriptors. Pure accounting, of bounded size for the life of the service.
 *
 * A service has two descriptors, for this time period and the next one. Each is uploaded to several
 * directories in one batch of UPLOAD events, and again now and then, which ends what is left of its
 * batch before. UPLOADED and FAILED name the directory, but not the descriptor, and one directory
 * is often chosen for both: so answers are matched as a multiset.
 */
#ifndef NK_ONION_UPLOAD_H
#define NK_ONION_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ONION_UPLOAD_DESCRIPTORS = 4, /* two, and two more at the turn of a period */
    ONION_UPLOAD_DIRS = 32,       /* of a batch: tor takes 6 to 8 */
    ONION_HSDIR_ID = 41,          /* "$" and 40 hex digits, without NUL */
    ONION_DESCRIPTOR_ID = 43,     /* base64 of 32 bytes, without NUL */
    ONION_REASON = 32             /* "UPLOAD_REJECTED" and NUL */
};

struct onion_upload_batch {
    char id[ONION_DESCRIPTOR_ID + 1]; /* "" for a free one */
    uint64_t age;                     /* grows; the oldest is replaced */
    unsigned n, pending;
    struct {
        char id[ONION_HSDIR_ID + 1];
        bool pending;
    } dirs[ONION_UPLOAD_DIRS];
};

struct onion_upload {
    struct onion_upload_batch batches[ONION_UPLOAD_DESCRIPTORS];
    uint64_t started, uploaded, failed; /* for the life of the service */
    uint64_t age;
    char reason[ONION_REASON]; /* of the last failure */
};

enum onion_upload_wait { ONION_WAIT_NONE, ONION_WAIT_FIRST, ONION_WAIT_ALL };

/* onion_upload_init - nothing has been uploaded. */
void onion_upload_init(struct onion_upload *u);

/*
 * onion_upload_event - the text of an event, from "HS_DESC" on, of any service. True when it
 * changed something: it is of the service `address` (56 characters, without ".onion") and of an
 * upload. Events of downloads (REQUESTED, RECEIVED, and FAILED for their reasons) and malformed
 * ones are ignored.
 */
bool onion_upload_event(struct onion_upload *u, const char *address, const char *text, size_t len);

/* onion_upload_reached - is that much done? First: a directory has a descriptor. All: every
 * descriptor that was made has been uploaded, and all directories have answered. */
bool onion_upload_reached(const struct onion_upload *u, enum onion_upload_wait what);

/* onion_upload_progress - the answers of the latest batches (*done) and what they consist of. */
void onion_upload_progress(const struct onion_upload *u, unsigned *done, unsigned *total);

#endif
