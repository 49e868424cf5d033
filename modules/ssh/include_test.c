/* SPDX-License-Identifier: MIT */
#include "ssh/include.h"

#include <errno.h>
#include <fcntl.h>
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

#include "torture.h"

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool match;
    } t[] = {
        {"a.conf", "a.conf", true},
        {"a.conf", "a.con", false},
        {"a.con", "a.conf", false},
        {"*", "", true},
        {"*.conf", "x.conf", true},
        {"*.conf", "x.conf~", false},
        {"*a*b", "xxaxbxb", true},
        {"*a*b", "xxaxbx", false},
        {"?", "x", true},
        {"?", "", false},
        {"[abc]x", "bx", true},
        {"[abc]x", "dx", false},
        {"[a-c]", "b", true},
        {"[a-c]", "-", false},
        {"[!a-c]", "d", true},
        {"[^a-c]", "b", false},
        {"[]]", "]", true},
        {"[a-]", "-", true},
        {"[a", "[a", true},
        {"[a", "a", false},
        {"\\*", "*", true},
        {"\\*", "x", false},
        {"\\?", "x", false},
        {"a\\", "a\\", true},
        {"[\x80-\xff]", "\xc3", true},
        {"***", "abc", true},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        if (ssh_include_match(t[i].pattern, t[i].name) != t[i].match) {
            fail_msg("%s against %s", t[i].pattern, t[i].name);
        }
    }
}

static char dir[] = "/tmp/nk_include_XXXXXX";

static int set_up(void **state)
{
    static const char *const dirs[] = {"a", "b", ".c", "empty"};
    static const char *const files[] = {"2.conf", "10.conf", ".hidden.conf", "a/x", "b/x",
                                        ".c/x",   "b/y",     "x.txt",        "a*"};
    char path[256];
    (void)state;
    if (!mkdtemp(dir)) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, dirs[i]);
        if (mkdir(path, 0700) < 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0) {
            return -1;
        }
        close(fd);
    }
    return 0;
}

/* The files of a pattern below dir, relative to it, separated by blanks. */
static void expect(const char *pattern, size_t most, const char *want)
{
    struct nk_strlist l = {0};
    char path[256], got[256] = "";
    size_t n = 0;
    snprintf(path, sizeof(path), "%s/%s", dir, pattern);
    assert_int_equal(ssh_include_find(&l, path, most), 0);
    for (size_t i = 0; i < l.n && n < sizeof(got); i++) {
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s", i ? " " : "",
                              l.v[i] + strlen(dir) + 1);
    }
    nk_strlist_clear(&l);
    assert_string_equal(got, want);
}

static void files(void **state)
{
    (void)state;
    expect("*.conf", 10, "10.conf 2.conf");
    expect(".*.conf", 10, ".hidden.conf");
    expect("x.txt", 10, "x.txt");
    expect("nothing", 10, "");
    expect("nothing*", 10, "");
    expect("*/x", 10, "a/x b/x");
    expect("*/nothing/*", 10, "");
    expect("[ab]/[xy]", 10, "a/x b/x b/y");
    expect("b//*", 10, "b//x b//y");
    expect("a\\*", 10, "a*");
    expect("empty/*", 10, "");
    expect("x.txt/*", 10, "");
    expect("*/", 10, "a/ b/ empty/");
}

static void bounded(void **state)
{
    struct nk_strlist l = {0};
    char path[256], *long_one = calloc(1, 8192);
    (void)state;
    snprintf(path, sizeof(path), "%s/*", dir);
    assert_int_equal(ssh_include_find(&l, path, 3), 0);
    assert_int_equal(l.n, 3);
    nk_strlist_clear(&l);
    assert_non_null(long_one);
    memset(long_one, '*', 8191);
    assert_int_equal(ssh_include_find(&l, long_one, 3), 0);
    assert_int_equal(l.n, 0);
    free(long_one);
}

static int find_all(void *arg)
{
    struct nk_strlist l = {0};
    (void)arg;
    char path[256];
    snprintf(path, sizeof(path), "%s/b/?", dir);
    int rc = ssh_include_find(&l, path, 10);
    if (rc == 0 && l.n != 2) {
        rc = 1;
    }
    nk_strlist_clear(&l);
    return rc;
}

static void without_memory(void **state)
{
    (void)state;
    (void)nk_torture(find_all, NULL);
}

static int tear_down(void **state)
{
    static const char *const all[] = {"2.conf", "10.conf", ".hidden.conf", "a/x", "b/x",
                                      ".c/x",   "b/y",     "x.txt",        "a*",  "a",
                                      "b",      ".c",      "empty",        ""};
    char path[256];
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, all[i]);
        if (remove(path) < 0) {
            return -1;
        }
    }
    return 0;
}

int nk_test_ssh_include(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(files),
        cmocka_unit_test(bounded),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
