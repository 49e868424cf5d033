/* SPDX-License-Identifier: MIT */
#include "hs/store_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"

int hs_testdir_open(void **state)
{
    struct hs_testdir *d = calloc(1, sizeof(*d));
    struct hs_identity identity;
    struct hs_client client;
    *state = d;
    if (!d || nk_crypto_init() < 0) {
        return -1;
    }
    snprintf(d->path, sizeof(d->path), "/tmp/nk-hs-XXXXXX");
    if (!mkdtemp(d->path) || hs_identity_new(&identity) < 0 || hs_client_new(&client) < 0) {
        return -1;
    }
    hs_item_from_identity(&d->service, &identity);
    hs_item_from_client(&d->client, &client, identity.pub);
    return hs_place_open(&d->place, d->path, 0, &d->diag);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the test has made it */
static int empty(const struct hs_place *p)
{
    struct hs_names names;
    int rc = hs_place_list(p, &names, NULL);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        struct hs_place sub;
        if (unlinkat(p->fd, names.v[i], 0) == 0) {
            continue;
        }
        rc = hs_place_sub(&sub, p, names.v[i], 0, NULL);
        rc = rc < 0 ? rc : empty(&sub);
        hs_place_close(&sub);
        rc = rc < 0 ? rc : unlinkat(p->fd, names.v[i], AT_REMOVEDIR);
    }
    hs_names_clear(&names);
    return rc;
}

int hs_testdir_close(void **state)
{
    struct hs_testdir *d = *state;
    int rc = empty(&d->place);
    rc = rc < 0 || rmdir(d->path) < 0 ? -1 : 0;
    hs_place_close(&d->place);
    free(d);
    return rc;
}

void hs_testdir_put(struct hs_testdir *d, const char *name, const void *bytes, size_t n,
                    mode_t mode)
{
    char dir[NK_PATH_MAX];
    struct hs_place sub;
    const char *slash = strrchr(name, '/');
    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - name) : 0, name);
    assert_int_equal(hs_place_sub(&sub, &d->place, dir, HS_PLACE_CREATE, &d->diag), 0);
    assert_int_equal(
        hs_place_write(&sub, slash ? slash + 1 : name, HS_PLACE_OVERWRITE, bytes, n, &d->diag), 0);
    assert_int_equal(fchmodat(d->place.fd, name, mode, 0), 0);
    hs_place_close(&sub);
}

void hs_testdir_key(struct hs_testdir *d, const char *name, const struct hs_item *item,
                    enum hs_format format)
{
    struct nk_buf b;
    nk_buf_init_secret(&b, HS_PLACE_FILE_MAX);
    assert_int_equal(hs_format_write(item, format, &b, &d->diag), 0);
    hs_testdir_put(d, name, nk_buf_ptr(&b), nk_buf_len(&b), 0600);
    nk_buf_clear(&b);
}

size_t hs_testdir_get(struct hs_testdir *d, const char *name, char *out, size_t max)
{
    struct nk_buf b;
    nk_buf_init(&b, HS_PLACE_FILE_MAX + 1);
    assert_int_equal(hs_place_read(&d->place, name, &b, &d->diag), 0);
    size_t n = nk_buf_len(&b);
    assert_true(n < max);
    if (n > 0) {
        memcpy(out, nk_buf_ptr(&b), n);
    }
    out[n] = '\0';
    nk_buf_clear(&b);
    return n;
}

const char *hs_testdir_at(const struct hs_testdir *d, const char *name, char out[NK_PATH_MAX])
{
    assert_int_equal(nk_path_join(out, NK_PATH_MAX, d->path, name), 0);
    return out;
}
