/* SPDX-License-Identifier: MIT */
/* store_testkit - a directory of a test's own, with files, for the tests of places of keys. */
#ifndef NK_HS_STORE_TESTKIT_H
#define NK_HS_STORE_TESTKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "hs/format.h"
#include "hs/place.h"

struct hs_testdir {
    char path[64];
    struct hs_place place;
    struct nk_diag diag;
    struct hs_item service, client; /* keys to play with; client is for service */
};

/* cmocka's set-up and tear-down: *state is a struct hs_testdir; everything is removed. */
int hs_testdir_open(void **state);
int hs_testdir_close(void **state);

/* hs_testdir_put - a file (directories are made) with these bytes and mode. */
void hs_testdir_put(struct hs_testdir *d, const char *name, const void *bytes, size_t n,
                    mode_t mode);

/* hs_testdir_key - a file with a key in some form. */
void hs_testdir_key(struct hs_testdir *d, const char *name, const struct hs_item *item,
                    enum hs_format format);

/* hs_testdir_get - the bytes of a file into out (max bytes, NUL added); returns how many. */
size_t hs_testdir_get(struct hs_testdir *d, const char *name, char *out, size_t max);

/* hs_testdir_at - the path of something in it. */
const char *hs_testdir_at(const struct hs_testdir *d, const char *name, char out[NK_PATH_MAX]);

#endif
