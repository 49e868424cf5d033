/* SPDX-License-Identifier: MIT */
#include "relay/password.h"

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

static void weak(const char *text, bool expected)
{
    struct nk_secret pw = {0};
    assert_int_equal(nk_secret_set(&pw, text, strlen(text)), 0);
    const char *why = relay_password_weakness(&pw);
    if ((why != NULL) != expected) {
        fail_msg("'%s': %s", text, why ? why : "not weak");
    }
    nk_secret_clear(&pw);
}

static void test_weakness(void **state)
{
    (void)state;
    weak("", true);
    weak("pw", true);
    weak("VerySecurePassword", true);
    weak("MyTlsPyO-2024-relay", true);
    weak("aaaaaaaaaaaaaaaaaaaaaaaa", true);
    weak("abcabcabcabcabcabcabc", true);
    weak("91827364501928", true);
    weak("kzxwqvmbntrh", true);
    weak("kzxwqvmbntrhpl", false);
    weak("correct horse battery", false);
    weak("n7-Kq2.zP0xW", false);
}

static void write_file(const char *path, const char *text, size_t n)
{
    struct nk_diag diag = {0};
    (void)unlink(path);
    assert_int_equal(nk_file_write(path, 0, text, n, &diag), 0);
}

static void test_load(void **state)
{
    (void)state;
    char dir[] = "/tmp/netkit-password-XXXXXX", path[64];
    struct nk_diag diag = {0};
    struct nk_secret pw = {0};
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/password", dir);

    assert_int_equal(relay_password_load(path, &pw, &diag), NK_ECONFIG);
    write_file(path, "s\xc3\xa9same\n", 8);
    assert_int_equal(relay_password_load(path, &pw, &diag), 0);
    assert_int_equal(pw.len, 7);
    assert_memory_equal(pw.data, "s\xc3\xa9same", 7);

    write_file(path, "\n", 1);
    assert_int_equal(relay_password_load(path, &pw, &diag), NK_ECONFIG);
    write_file(path, "a\nb\n", 4);
    assert_int_equal(relay_password_load(path, &pw, &diag), NK_ECONFIG);
    write_file(path, "\xff\xfe\n", 3);
    assert_int_equal(relay_password_load(path, &pw, &diag), NK_ECONFIG);
    assert_int_equal(pw.len, 7); /* the old one stays */

    write_file(path, "good enough\n", 12);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(relay_password_load(path, &pw, &diag), NK_EBADMODE);
    nk_secret_clear(&pw);
    (void)unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

static void test_create(void **state)
{
    (void)state;
    char dir[] = "/tmp/netkit-password-XXXXXX", path[64];
    struct nk_diag diag = {0};
    struct nk_secret a = {0}, b = {0};
    struct stat st;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/password", dir);

    assert_int_equal(relay_password_create(path, &diag), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(relay_password_load(path, &a, &diag), 0);
    assert_int_equal(a.len, 26);
    assert_null(relay_password_weakness(&a));
    assert_int_equal(relay_password_create(path, &diag), -EEXIST);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(relay_password_create(path, &diag), 0);
    assert_int_equal(relay_password_load(path, &b, &diag), 0);
    assert_false(nk_secret_eq(&a, b.data, b.len));
    nk_secret_clear(&a);
    nk_secret_clear(&b);
    (void)unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

int nk_test_relay_password(void);
int nk_test_relay_password(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weakness),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_create),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
