/* SPDX-License-Identifier: MIT */
/* items - the keys that one argument of a command names: in a file, on standard input, or in a
 * directory of tor or arti. */
#ifndef NK_HS_ITEMS_H
#define NK_HS_ITEMS_H

#include <stddef.h>

#include "base/err.h"
#include "hs/format.h"

#define HS_ITEMS_MAX 100000 /* keys of one argument: a bound, not a feature */

/* A key and the file that it is in. */
struct hs_found {
    char *source;
    struct hs_item item;
};

/* Zero it; free with hs_items_clear, which wipes it. */
struct hs_items {
    struct hs_found *v;
    size_t n, cap;
};

/* Where to look, and for what. */
struct hs_query {
    const char *path;      /* a file, "-", or a directory */
    struct hs_hints hints; /* .address and .kind choose among several; .name is set here */
    const char *service;   /* of an arti keystore's services, the one that is wanted; or NULL */
};

/* hs_items_add - append a copy of an item. 0, NK_ELIMIT, -ENOMEM. */
int hs_items_add(struct hs_items *l, const char *source, const struct hs_item *item);

/*
 * hs_items_read - append the keys that a query asks for; at least one, or an error. A directory may
 * be tor's HiddenServiceDir, tor's ClientOnionAuthDir, arti's keystore or state directory; of the
 * latter the identities of services and the keys of clients are read, and not what arti makes anew
 * by itself. Anything in it that should be a key and is none is an error. Errors of
 * hs_format_load_each and of the directories; on failure l may have some of the keys.
 */
int hs_items_read(struct hs_items *l, const struct hs_query *q, struct nk_diag *diag);

/* hs_found_name - the source for people: "standard input" for "-". */
const char *hs_found_name(const struct hs_found *k);

/* hs_items_clear - wipe and free. */
void hs_items_clear(struct hs_items *l);

#endif
