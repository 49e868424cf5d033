/* SPDX-License-Identifier: MIT */
/*
 * changed - have files been replaced or written? They are looked at (stat) now and then: that sees
 * every way in which certificates are renewed (written in place, renamed, a symbolic link anywhere
 * on the way), on every file system. What is still being written is waited for.
 */
#ifndef NK_TLS_CHANGED_H
#define NK_TLS_CHANGED_H

#include <stdbool.h>
#include <stdint.h>
#include "core/timer.h"

struct nk_app;

#define TLS_CHANGED_FILES 3

/* What tells one content of a file from another; all zero: it is not there. */
struct tls_file_mark {
    uint64_t dev, ino, size;
    int64_t modified_s, modified_ns, changed_s, changed_ns;
};

struct tls_changed {
    uint64_t every_ms; /* private from here on */
    const char *paths[TLS_CHANGED_FILES];
    struct tls_file_mark known[TLS_CHANGED_FILES], seen[TLS_CHANGED_FILES];
    bool settling; /* `seen` differs from `known` */
    struct nk_timer timer;
    void (*fn)(void *owner);
    void *owner;
};

/* tls_changed_init - nothing is looked at yet. fn runs from the loop, once for a change, when the
 * files have stayed as they are for a second (or every_ms, if that is less). */
void tls_changed_init(struct tls_changed *c, struct nk_app *app, void (*fn)(void *owner),
                      void *owner);

/* tls_changed_watch - these files (borrowed, NULL: none) as they are now are known; look at them
 * every every_ms milliseconds, 0: never. Replaces what was watched before. */
void tls_changed_watch(struct tls_changed *c, const char *const paths[TLS_CHANGED_FILES],
                       uint64_t every_ms);

/* tls_changed_stop - look no more. */
void tls_changed_stop(struct tls_changed *c);

#endif
