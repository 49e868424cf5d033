/* SPDX-License-Identifier: MIT */
#include "hs/vanity_checkpoint.h"

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

static const char good[] =
    "{\"netkit-vanity\":1,\"wanted\":2,\"tried\":18446744073709551615,\"busy_ms\":7,\"found\":["
    "\"25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion\"],"
    "\"patterns\":[\"25n\",\"a[bc].d\"]}";

static void read_and_write(void **state)
{
    (void)state;
    char path[] = "/tmp/netkit-checkpoint-XXXXXX";
    struct hs_vanity_checkpoint c = {0}, again = {0};
    struct nk_diag diag = {0};
    struct stat st;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(hs_vanity_checkpoint_parse(good, strlen(good), &c, &diag), 0);
    assert_int_equal(c.patterns.n, 2);
    assert_string_equal(c.patterns.v[1], "a[bc].d");
    assert_true(c.tried == UINT64_MAX);
    assert_int_equal(hs_vanity_checkpoint_found(
                         &c, "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead.onion"),
                     0);
    assert_int_equal(hs_vanity_checkpoint_save(path, &c, &diag), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(hs_vanity_checkpoint_load(path, &again, &diag), 0);
    assert_int_equal(again.found.n, 2);
    assert_string_equal(again.found.v[1], c.found.v[1]);
    assert_string_equal(again.patterns.v[0], "25n");
    assert_true(again.tried == c.tried && again.wanted == 2 && again.busy_ms == 7);
    hs_vanity_checkpoint_clear(&again);
    unlink(path);
    assert_int_equal(hs_vanity_checkpoint_load(path, &again, &diag), -ENOENT);
    hs_vanity_checkpoint_clear(&c);
}

/* good with one piece replaced */
static void refuse(const char *piece, const char *with, int code, const char *word)
{
    char text[sizeof(good) + 256];
    struct hs_vanity_checkpoint c = {0};
    struct nk_diag diag = {0};
    const char *at = strstr(good, piece);
    assert_non_null(at);
    (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, with,
                   at + strlen(piece));
    assert_int_equal(hs_vanity_checkpoint_parse(text, strlen(text), &c, &diag), code);
    if (!strstr(diag.text, word)) {
        fail_msg("no '%s' in: %s", word, diag.text);
    }
    assert_null(c.patterns.v);
    assert_null(c.found.v);
}

static void refused(void **state)
{
    (void)state;
    refuse("netkit-vanity\":1", "netkit-vanity\":2", NK_EVERSION, "version 2");
    refuse("netkit-vanity", "other", NK_EFORMAT, "no checkpoint");
    refuse("{", "[{", NK_EFORMAT, "");
    refuse("\"wanted\":2", "\"wanted\":0", NK_EFORMAT, "'wanted' is out of range");
    refuse("\"wanted\":2", "\"wanted\":100001", NK_EFORMAT, "'wanted' is out of range");
    refuse("\"wanted\":2", "\"wanted\":-1", NK_EFORMAT, "'wanted' is no natural");
    refuse("\"wanted\":2", "\"wanted\":1.5", NK_EFORMAT, "'wanted' is no natural");
    refuse("\"tried\"", "\"tired\"", NK_EFORMAT, "'tried' is missing");
    refuse("\"busy_ms\":7", "\"busy_ms\":\"7\"", NK_EFORMAT, "'busy_ms' is no natural");
    refuse("\"found\":[", "\"found\":[\"25n\",", NK_EFORMAT, "'found'");
    refuse("\"25n\"", "\"2\\u00005n\"", NK_EFORMAT, "no text");
    refuse("\"25n\"", "7", NK_EFORMAT, "no text");
    refuse("\"25n\"", "\"...\"", NK_EFORMAT, "'patterns'");
    refuse("[\"25n\",\"a[bc].d\"]", "[]", NK_EFORMAT, "'patterns'");
    refuse("[\"25n\",\"a[bc].d\"]", "{}", NK_EFORMAT, "'patterns' is no list");
}

int nk_test_hs_vanity_checkpoint(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_and_write),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
