/* SPDX-License-Identifier: MIT */
/* Every allocation on a key's way from one form or directory into another fails once, and from then
 * on: errors are returned, nothing leaks, and a key that is half read is none. */
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "hs/ctor_dir.h"
#include "hs/items.h"
#include "hs/store.h"

#define WRONG 1

/* One form of one key. */
struct one {
    struct hs_item item;
    enum hs_format format;
};

static int round_trip(void *arg)
{
    const struct one *o = arg;
    const struct hs_hints hints = {.format = o->format, .kind = o->item.kind};
    struct nk_diag diag;
    struct hs_item back;
    struct nk_buf out;
    nk_buf_init_secret(&out, HS_FORMAT_MAX);
    int rc = hs_format_write(&o->item, o->format, &out, &diag);
    if (rc < 0 && (nk_buf_len(&out) || !diag.text[0])) {
        rc = WRONG; /* all or nothing, and with a reason */
    }
    if (rc == 0) {
        rc = hs_format_read_as(nk_buf_ptr(&out), nk_buf_len(&out), &hints, &back, &diag);
        if (rc == 0 && memcmp(hs_item_pub(&o->item), hs_item_pub(&back), HS_PUBLIC_KEY) != 0) {
            rc = WRONG;
        }
    }
    nk_buf_clear(&out);
    return rc;
}

static void make_items(struct one out[2])
{
    struct hs_identity k;
    struct hs_client c;
    assert_int_equal(hs_identity_new(&k), 0);
    assert_int_equal(hs_client_new(&c), 0);
    hs_item_from_identity(&out[0].item, &k);
    hs_item_from_client(&out[1].item, &c, k.pub);
}

static void forms(void **state)
{
    struct one one[2];
    (void)state;
    make_items(one);
    for (size_t i = 0; i < 2; i++) {
        unsigned kind = i ? HS_HOLDS_CLIENT : HS_HOLDS_IDENTITY;
        for (int f = 0; f < HS_FORMATS; f++) {
            one[i].format = (enum hs_format)f;
            if (hs_format_info(one[i].format)->holds & kind) {
                assert_true(nk_torture(round_trip, &one[i]) >= 1);
            }
        }
    }
}

/* --- files and directories -------------------------------------------------------------------- */

struct place {
    char root[64], path[NK_PATH_MAX];
    size_t keys; /* that are in it */
};

static void begin(struct place *p, const char *name)
{
    snprintf(p->root, sizeof(p->root), "/tmp/nk-hs-XXXXXX");
    assert_non_null(mkdtemp(p->root));
    assert_int_equal(nk_path_join(p->path, sizeof(p->path), p->root, name), 0);
}

static void end(const struct place *p)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", p->root);
    assert_int_equal(system(command), 0);
}

static int read_keys(void *arg)
{
    const struct place *p = arg;
    const struct hs_query q = {.path = p->path, .hints = {.format = HS_DETECT}};
    struct hs_items items = {0};
    struct nk_diag diag;
    int rc = hs_items_read(&items, &q, &diag);
    if (rc == 0 && items.n != p->keys) {
        rc = WRONG;
    }
    hs_items_clear(&items);
    return rc;
}

static void yaml_files(void **state)
{
    struct one one[2];
    struct nk_buf b;
    struct place p = {.keys = 9};
    (void)state;
    begin(&p, "keys.yaml");
    nk_buf_init_secret(&b, HS_FILE_MAX);
    for (size_t i = 0; i < p.keys; i++) {
        make_items(one);
        assert_int_equal(hs_format_write(&one[0].item, HS_YAML, &b, NULL), 0);
    }
    assert_int_equal(nk_file_write(p.path, NK_FILE_SECRET, nk_buf_ptr(&b), nk_buf_len(&b), NULL),
                     0);
    nk_buf_clear(&b);
    assert_true(nk_torture(read_keys, &p) > p.keys);
    end(&p);
}

static void service_directories(void **state)
{
    struct one one[2];
    struct place p = {.keys = 1};
    (void)state;
    make_items(one);
    begin(&p, "web");
    assert_int_equal(hs_ctor_dir_write(p.path, &one[0].item.identity, NULL), 0);
    assert_true(nk_torture(read_keys, &p) > 1);
    end(&p);
}

static void client_stores(void **state)
{
    (void)state;
    for (int kind = 0; kind < HS_NSTORES; kind++) {
        struct one one[2];
        struct hs_store s;
        struct place p = {.keys = 2};
        begin(&p, "keys");
        assert_int_equal(hs_store_open(&s, (enum hs_store_kind)kind, p.path, HS_STORE_CREATE, NULL),
                         0);
        for (size_t i = 0; i < p.keys; i++) {
            make_items(one);
            const struct hs_item *c = &one[1].item;
            assert_int_equal(hs_store_add(&s, c->address, &c->client, NULL, NULL), 0);
        }
        hs_store_close(&s);
        assert_true(nk_torture(read_keys, &p) > 1);
        end(&p);
    }
}

int nk_test_hs_keys_torture(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(yaml_files),
        cmocka_unit_test(service_directories),
        cmocka_unit_test(client_stores),
    };
    return cmocka_run_group_tests_name("hs/keys_torture", tests, NULL, NULL);
}
