/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "hs/trust.h"

int nk_test_hs_trust(void);

#define SWITCH "FS_MISTRUST_DISABLE_PERMISSIONS_CHECKS"

/* BASE/above/keys/file, all as they should be. */
struct fixture {
    char base[64], path[NK_PATH_MAX];
    struct hs_place top, above, keys;
    struct hs_findings found;
    struct nk_diag diag;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    *state = f;
    if (!f || nk_crypto_init() < 0) {
        return -1;
    }
    unsetenv(SWITCH);
    snprintf(f->base, sizeof(f->base), "/tmp/nk-trust-XXXXXX");
    if (!mkdtemp(f->base)) {
        return -1;
    }
    snprintf(f->path, sizeof(f->path), "%s/above/keys", f->base);
    return hs_place_open(&f->top, f->base, 0, &f->diag) < 0 ||
                   hs_place_open(&f->keys, f->path, HS_PLACE_CREATE, &f->diag) < 0 ||
                   hs_place_sub(&f->above, &f->top, "above", 0, &f->diag) < 0 ||
                   hs_place_write(&f->keys, "file", 0, "x", 1, &f->diag) < 0
               ? -1
               : 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    unlinkat(f->keys.fd, "file", 0);
    unlinkat(f->keys.fd, "link", 0);
    unlinkat(f->keys.fd, "fifo", 0);
    unlinkat(f->top.fd, "link", 0);
    hs_place_drop(&f->top, "above/keys");
    hs_place_close(&f->top);
    hs_place_close(&f->above);
    hs_place_close(&f->keys);
    hs_findings_clear(&f->found);
    int rc = rmdir(f->base);
    free(f);
    return rc;
}

/* Everything is judged; the findings are those of this call. */
static bool judge(struct fixture *f, const struct hs_place *p, bool fix)
{
    struct hs_trust t;
    hs_findings_clear(&f->found);
    hs_trust_init(&t, p);
    t.fix = fix;
    hs_trust_above(&t, p, &f->found);
    hs_trust_place(&t, p, &f->found);
    bool usable = hs_trust_entry(&t, p, "file", &f->found);
    assert_int_equal(hs_findings_end(&f->found, &f->diag), 0);
    return usable;
}

static void expect(const struct fixture *f, const char *path_end, const char *field,
                   const char *reason)
{
    assert_int_equal(f->found.n, 1);
    const struct hs_finding *x = &f->found.v[0];
    assert_true(strlen(x->path) >= strlen(path_end));
    assert_string_equal(x->path + strlen(x->path) - strlen(path_end), path_end);
    assert_string_equal(x->field, field);
    assert_string_equal(x->reason, reason);
}

static void modes(void **state)
{
    struct fixture *f = *state;
    assert_true(judge(f, &f->keys, false));
    assert_int_equal(f->found.n, 0);
    static const struct {
        const char *which;
        mode_t mode;
        const char *reason; /* NULL: fine */
    } rows[] = {
        {"/keys", 0755, "0755: others can get in"},
        {"/keys", 0711, "0711: others can get in"},
        {"/keys", 0702, "0702: others can write to it"},
        {"/keys", 0500, NULL},
        {"/above", 0755, NULL},
        {"/above", 0775, "0775: others can write to it"},
        {"/above", 0757, "0757: others can write to it"},
        {"/above", 01777, NULL},
        {"/file", 0644, NULL},
        {"/file", 0664, "0664: others can write to it"},
        {"/file", 0602, "0602: others can write to it"},
    };
    assert_int_equal(fchown(f->keys.fd, (uid_t)-1, 54321) | fchown(f->above.fd, (uid_t)-1, 54321),
                     0); /* no group that counts as the user */
    assert_int_equal(fchownat(f->keys.fd, "file", (uid_t)-1, 54321, 0), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *which = rows[i].which;
        int dir = strcmp(which, "/above") == 0 ? f->above.fd : f->keys.fd;
        const char *name = strcmp(which, "/file") == 0 ? "file" : ".";
        assert_int_equal(fchmodat(dir, name, rows[i].mode, 0), 0);
        assert_true(judge(f, &f->keys, false));
        if (rows[i].reason) {
            expect(f, which, "mode", rows[i].reason);
            assert_non_null(strstr(f->found.v[0].remedy, "chmod go-"));
        } else {
            assert_int_equal(f->found.n, 0);
        }
        assert_int_equal(fchmodat(dir, name, *name == '.' ? 0700 : 0600, 0), 0);
    }
}

static void owners(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0) {
        print_message("only root can give files away\n");
        skip();
    }
    assert_int_equal(fchownat(f->keys.fd, "file", 4242, 4242, 0), 0);
    judge(f, &f->keys, false);
    expect(f, "/file", "owner", "belongs to uid 4242, neither to uid 0 nor to root");
    /* a daemon's directory: root judges as the daemon would */
    assert_int_equal(fchown(f->keys.fd, 4242, 4242), 0);
    hs_place_close(&f->keys);
    assert_int_equal(hs_place_open(&f->keys, f->path, 0, &f->diag), 0);
    judge(f, &f->keys, false);
    assert_int_equal(f->found.n, 0);
    assert_int_equal(fchown(f->above.fd, 4243, 4243), 0);
    judge(f, &f->keys, false);
    expect(f, "/above", "owner", "belongs to uid 4243, neither to uid 4242 nor to root");
}

static void fixes_what_is_in_the_place(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(fchmod(f->keys.fd, 0757), 0);
    assert_int_equal(fchmodat(f->keys.fd, "file", 0666, 0), 0);
    judge(f, &f->keys, true);
    assert_int_equal(f->found.count[HS_NOTE], 2);
    assert_string_equal(f->found.v[0].reason, "was 0757, is 0700 now");
    assert_string_equal(f->found.v[1].reason, "was 0666, is 0600 now");
    assert_int_equal(fstatat(f->keys.fd, "file", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    judge(f, &f->keys, false);
    assert_int_equal(f->found.n, 0);
    assert_int_equal(fchmod(f->above.fd, 0777), 0);
    judge(f, &f->keys, true); /* not what is above */
    assert_int_equal(f->found.count[HS_ERROR], 1);
    assert_int_equal(fstat(f->above.fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0777);
}

static void follows_links_on_the_way(void **state)
{
    struct fixture *f = *state;
    struct hs_place p;
    char path[160];
    assert_int_equal(symlinkat("above", f->top.fd, "link"), 0);
    snprintf(path, sizeof(path), "%s/link/keys", f->base);
    assert_int_equal(hs_place_open(&p, path, 0, &f->diag), 0);
    judge(f, &p, false);
    assert_int_equal(f->found.n, 0);
    assert_int_equal(fchmod(f->top.fd, 0777), 0); /* who can change the link */
    judge(f, &p, false);
    assert_true(f->found.count[HS_ERROR] > 0);
    assert_int_equal(fchmod(f->top.fd, 0700), 0);
    hs_place_close(&p);
}

static void refuses_links_and_devices_within(void **state)
{
    struct fixture *f = *state;
    struct hs_trust t;
    hs_trust_init(&t, &f->keys);
    assert_int_equal(symlinkat("file", f->keys.fd, "link"), 0);
    assert_int_equal(mkfifoat(f->keys.fd, "fifo", 0600), 0);
    assert_false(hs_trust_entry(&t, &f->keys, "link", &f->found));
    assert_false(hs_trust_entry(&t, &f->keys, "fifo", &f->found));
    assert_false(hs_trust_entry(&t, &f->keys, "none", &f->found));
    assert_int_equal(f->found.count[HS_ERROR], 3);
}

static void can_be_switched_off(void **state)
{
    struct fixture *f = *state;
    static const char *const on[] = {"", "0", "no", "N", "Never", "false"};
    assert_int_equal(fchmod(f->keys.fd, 0777), 0);
    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++) {
        setenv(SWITCH, on[i], 1);
        assert_int_equal(hs_trust_require(&f->keys, true, &f->diag), NK_EBADMODE);
        assert_int_equal(f->diag.code, NK_EBADMODE);
        assert_non_null(strstr(f->diag.text, "/keys: mode: 0777"));
    }
    setenv(SWITCH, "1", 1);
    assert_int_equal(hs_trust_require(&f->keys, true, &f->diag), 0);
    judge(f, &f->keys, false);
    assert_int_equal(f->found.n, 0);
    unsetenv(SWITCH);
    setenv("ARTI_FS_DISABLE_PERMISSION_CHECKS", "true", 1);
    assert_int_equal(hs_trust_require(&f->keys, true, &f->diag), 0);
    unsetenv("ARTI_FS_DISABLE_PERMISSION_CHECKS");
}

int nk_test_hs_trust(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(modes),
        TEST(owners),
        TEST(fixes_what_is_in_the_place),
        TEST(follows_links_on_the_way),
        TEST(refuses_links_and_devices_within),
        TEST(can_be_switched_off),
    };
#undef TEST
    return cmocka_run_group_tests_name("hs/trust", tests, NULL, NULL);
}
