/* SPDX-License-Identifier: MIT */
#include "hs/backup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

static const struct hs_backup_cost cheap = {.passes = 1, .memory = HS_BACKUP_MEMORY_MIN};

static void password(struct nk_secret *s, const char *text)
{
    assert_int_equal(nk_secret_set(s, text, strlen(text)), 0);
}

static void add_service(struct hs_backup *b, const char *name)
{
    struct hs_identity k;
    assert_int_equal(hs_identity_new(&k), 0);
    assert_int_equal(hs_backup_add_service(b, name, strlen(name), &k), 0);
}

static void add_client(struct hs_backup *b, const char *name, bool enabled)
{
    struct hs_client k;
    assert_int_equal(hs_client_new(&k), 0);
    assert_int_equal(hs_backup_add_client(b, name, strlen(name), k.pub, enabled), 0);
}

static void fill(struct hs_backup *b)
{
    add_service(b, "web");
    add_client(b, "alice", true);
    add_client(b, "bob@laptop", true);
    add_client(b, "alice", false);
    add_service(b, "ssh and more");
    add_service(b, "third");
    add_client(b, "zz-netkit-lock", true);
}

static void same(const struct hs_backup *a, const struct hs_backup *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct hs_backup_service *x = &a->services[i], *y = &b->services[i];
        assert_string_equal(x->name, y->name);
        assert_memory_equal(x->identity.secret, y->identity.secret, HS_EXPANDED);
        assert_memory_equal(x->identity.pub, y->identity.pub, HS_PUBLIC_KEY);
        assert_int_equal(x->nclients, y->nclients);
        for (size_t j = 0; j < x->nclients; j++) {
            assert_string_equal(x->clients[j].name, y->clients[j].name);
            assert_memory_equal(x->clients[j].pub, y->clients[j].pub, HS_PUBLIC_KEY);
            assert_int_equal(x->clients[j].enabled, y->clients[j].enabled);
        }
    }
}

static void round_trip(void **state)
{
    (void)state;
    struct hs_backup b = {0}, again = {0};
    struct nk_secret pw = {0}, wrong = {0};
    struct nk_buf file, second;
    struct nk_diag diag = {0};
    struct hs_backup_cost cost;
    nk_buf_init(&file, HS_BACKUP_MAX);
    nk_buf_init(&second, HS_BACKUP_MAX);
    fill(&b);
    password(&pw, "correct horse");
    password(&wrong, "correct house");
    assert_int_equal(hs_backup_seal(&b, &pw, &cheap, &file, &diag), 0);
    assert_int_equal(hs_backup_seal(&b, &pw, &cheap, &second, &diag), 0);
    const uint8_t *p = nk_buf_ptr(&file);
    const size_t n = nk_buf_len(&file);
    assert_int_equal(nk_buf_len(&second), n);
    /* another salt and nonce each time, so nothing behind the fixed part is the same */
    assert_memory_not_equal(p + 30, nk_buf_ptr(&second) + 30, n - 30);
    assert_null(memmem(p, n, "alice", 5));
    assert_int_equal(hs_backup_cost_read(p, n, &cost, &diag), 0);
    assert_true(cost.passes == cheap.passes && cost.memory == cheap.memory);
    assert_int_equal(hs_backup_open(p, n, &pw, &again, &diag), 0);
    same(&b, &again);
    hs_backup_clear(&again);
    assert_int_equal(hs_backup_open(p, n, &wrong, &again, &diag), NK_EAUTH);
    assert_null(again.services);
    hs_backup_clear(&b);
    nk_secret_clear(&pw);
    nk_secret_clear(&wrong);
    nk_buf_clear(&file);
    nk_buf_clear(&second);
}

/* No bit of the file can be changed, nor its length; nothing costs more than the limits. */
static void every_bit_counts(void **state)
{
    (void)state;
    struct hs_backup b = {0}, out = {0};
    struct nk_secret pw = {0};
    struct nk_buf file;
    nk_buf_init(&file, HS_BACKUP_MAX);
    add_service(&b, "web");
    add_client(&b, "alice", true);
    password(&pw, "correct horse");
    assert_int_equal(hs_backup_seal(&b, &pw, &cheap, &file, NULL), 0);
    uint8_t *p = nk_buf_ptr(&file);
    const size_t n = nk_buf_len(&file);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        struct hs_backup_cost cost = {0};
        struct nk_diag diag = {0};
        p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        /* memory that would be much is checked by what it would cost alone */
        int rc = hs_backup_cost_read(p, n, &cost, &diag);
        if (rc == 0 && cost.memory <= (1u << 20)) {
            rc = hs_backup_open(p, n, &pw, &out, &diag);
            assert_int_equal(rc, NK_EAUTH);
        }
        assert_true(rc == 0 || diag.text[0]);
        assert_true(cost.passes <= HS_BACKUP_PASSES_MAX && cost.memory <= HS_BACKUP_MEMORY_MAX);
        p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (size_t len = 0; len < n; len++) {
        assert_true(hs_backup_open(p, len, &pw, &out, NULL) < 0);
    }
    assert_int_equal(hs_backup_open(p, n, &pw, &out, NULL), 0);
    hs_backup_clear(&out);
    hs_backup_clear(&b);
    nk_secret_clear(&pw);
    nk_buf_clear(&file);
}

/* Contents that were encrypted by somebody who knows the password, and mean harm. */
static void contents(void **state)
{
    (void)state;
    struct hs_backup b = {0}, out = {0};
    struct nk_buf clear;
    struct nk_diag diag = {0};
    nk_buf_init_secret(&clear, HS_BACKUP_MAX);
    fill(&b);
    assert_int_equal(hs_backup_encode(&b, &clear), 0);
    const uint8_t *p = nk_buf_ptr(&clear);
    const size_t n = nk_buf_len(&clear);
    for (size_t len = 0; len < n; len++) {
        assert_int_equal(hs_backup_decode(p, len, &out, &diag), NK_EFORMAT);
        assert_null(out.services);
    }
    assert_int_equal(hs_backup_decode(p, n, &out, &diag), 0);
    hs_backup_clear(&out);
    assert_int_equal(nk_buf_u8(&clear, 0), 0);
    assert_int_equal(hs_backup_decode(nk_buf_ptr(&clear), n + 1, &out, &diag), NK_EFORMAT);
    assert_non_null(strstr(diag.text, "behind its end"));
    uint8_t *w = nk_buf_ptr(&clear);
    w[6] = '/'; /* the first service's name: "/eb" */
    assert_int_equal(hs_backup_decode(w, n, &out, &diag), NK_EFORMAT);
    assert_non_null(strstr(diag.text, "name"));
    w[6] = 'w';
    memset(w + 9, 0, HS_SCALAR); /* its scalar */
    assert_int_equal(hs_backup_decode(w, n, &out, &diag), NK_EFORMAT);
    assert_non_null(strstr(diag.text, "service's key"));
    static const uint8_t many[] = {0xff, 0xff, 0xff, 0xff};
    assert_int_equal(hs_backup_decode(many, sizeof(many), &out, &diag), NK_EFORMAT);
    hs_backup_clear(&b);
    nk_buf_clear(&clear);
}

static void names(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     ".",    "..",   ".hidden", "a/b",
                                      "../x", "a\nb", "\x7f", "\xff"};
    char longest[HS_BACKUP_NAME + 2];
    struct hs_backup b = {0};
    struct hs_identity k;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(hs_backup_name_ok(bad[i], strlen(bad[i])));
    }
    assert_false(hs_backup_name_ok("a\0b", 3));
    memset(longest, 'a', sizeof(longest));
    assert_true(hs_backup_name_ok(longest, HS_BACKUP_NAME));
    assert_false(hs_backup_name_ok(longest, HS_BACKUP_NAME + 1));
    assert_true(hs_backup_name_ok("Bob's Laptop.1", 14));
    assert_int_equal(hs_identity_new(&k), 0);
    assert_int_equal(hs_backup_add_service(&b, "web", 3, &k), 0);
    assert_int_equal(hs_backup_add_service(&b, "web", 3, &k), -EEXIST);
    assert_int_equal(hs_backup_add_service(&b, "../web", 6, &k), NK_EFORMAT);
    add_client(&b, "alice", true);
    assert_int_equal(hs_backup_add_client(&b, "alice", 5, k.pub, true), -EEXIST);
    assert_int_equal(hs_backup_add_client(&b, "", 0, k.pub, true), NK_EFORMAT);
    hs_backup_clear(&b);
    hs_backup_clear(&b);
}

int nk_test_hs_backup(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(contents),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
