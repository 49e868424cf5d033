/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_files.h"

#include <dirent.h>
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

#include "base/codec.h"

struct fixture {
    char dir[64];
    struct relay_value_doc doc;
    uint64_t counter;
};

static int make(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));
    assert_non_null(x);
    (void)snprintf(x->dir, sizeof(x->dir), "/tmp/nk-files-XXXXXX");
    assert_non_null(mkdtemp(x->dir));
    *state = x;
    return nk_crypto_init() < 0 ? -1 : 0;
}

static int destroy(void **state)
{
    struct fixture *x = *state;
    char path[sizeof(x->dir) + 1 + 256];
    DIR *d = opendir(x->dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        (void)snprintf(path, sizeof(path), "%s/%s", x->dir, e->d_name);
        (void)unlink(path);
    }
    (void)closedir(d);
    assert_int_equal(rmdir(x->dir), 0); /* nothing else was made, temporary files neither */
    relay_value_doc_clear(&x->doc);
    free(x);
    return 0;
}

static struct relay_client_object object(enum relay_content content, const char *data, size_t len)
{
    return (struct relay_client_object){.lease.wire = RELAY_CLIENT_NATIVE,
                                        .kind = RELAY_KIND_ITEM,
                                        .content = content,
                                        .seq = 42,
                                        .data = (const uint8_t *)data,
                                        .len = len};
}

/* Written below the directory as `want` with n bytes of `text`. */
static void check(struct fixture *x, const struct relay_client_object *d, const char *group,
                  const char *want, const char *text, size_t n)
{
    struct relay_endpoint_file *f = NULL;
    struct nk_diag diag = {0};
    struct nk_buf got;
    struct stat st;
    assert_int_equal(relay_endpoint_file_new(&f, &x->doc, d, group, false), 0);
    assert_int_equal(relay_endpoint_file_write(f, x->dir, &x->counter, &diag), 0);
    assert_int_equal(diag.code, 0);
    assert_int_equal(strncmp(f->path, x->dir, strlen(x->dir)), 0);
    assert_string_equal(f->path + strlen(x->dir) + 1, want);
    nk_buf_init(&got, 1 << 20);
    assert_int_equal(nk_file_read(f->path, 0, &got, &diag), 0);
    assert_int_equal(nk_buf_len(&got), n);
    if (n > 0) {
        assert_memory_equal(nk_buf_ptr(&got), text, n);
    }
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    nk_buf_clear(&got);
    relay_endpoint_file_free(f);
}

static void test_contents(void **state)
{
    struct fixture *x = *state;
    struct relay_client_object d = object(RELAY_CONTENT_TEXT, "hi", 2);
    check(x, &d, "g", "g-item-000000000042.txt", "hi", 2);
    d = object(RELAY_CONTENT_JSON, "{}", 2);
    check(x, &d, "g", "g-item-000000000042.json", "{}", 2);
    d = object(RELAY_CONTENT_BYTES, "\0", 1);
    check(x, &d, "g", "g-item-000000000042.bin", "\0", 1);
    d = object(RELAY_CONTENT_BYTES, "", 0);
    d.kind = RELAY_KIND_RETAINED;
    check(x, &d, "g", "g-broadcast-000000000042.bin", "", 0);
    d = object(RELAY_CONTENT_PICKLE, "\x80\x03X\x02\0\0\0hi.", 10);
    d.kind = RELAY_KIND_BROADCAST;
    check(x, &d, "g", "g-broadcast-000000000042.txt", "hi", 2);
    d = object(RELAY_CONTENT_PICKLE,
               "\x80\x03"
               "C\1x.",
               6);
    check(x, &d, "h", "h-item-000000000042.bin", "x", 1);
    d = object(RELAY_CONTENT_PICKLE, "\x80\x04N.", 4);
    check(x, &d, "g", "g-item-000000000042.pickle", "\x80\x04N.", 4);
    d = object(RELAY_CONTENT_PICKLE, "junk", 4);
    d.seq = UINT64_MAX >> 8;
    check(x, &d, "g", "g-item-72057594037927935.pickle", "junk", 4);
}

/* No group leads out of the directory, hides its file, looks like an option, or like another. */
static void test_names(void **state)
{
    struct fixture *x = *state;
    const struct relay_client_object d = object(RELAY_CONTENT_TEXT, "", 0);
    char longer[200], want[300];
    check(x, &d, "../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd-item-000000000042.txt", "", 0);
    check(x, &d, ".", "%2E-item-000000000042.txt", "", 0);
    check(x, &d, "-rf", "%2Drf-item-000000000042.txt", "", 0);
    check(x, &d, "a b\n\xc3\xa9%", "a%20b%0A%C3%A9%25-item-000000000042.txt", "", 0);
    check(x, &d, NULL, "item-000000000042.txt", "", 0);
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    struct relay_endpoint_file *one = NULL, *two = NULL;
    assert_int_equal(relay_endpoint_file_new(&one, &x->doc, &d, longer, false), 0);
    longer[sizeof(longer) - 2] = 'y';
    assert_int_equal(relay_endpoint_file_new(&two, &x->doc, &d, longer, false), 0);
    assert_true(strlen(one->stem) < 190 && strcmp(one->stem, two->stem) != 0);
    (void)snprintf(want, sizeof(want), "%.118s~", longer);
    assert_int_equal(strncmp(one->stem, want, strlen(want)), 0);
    relay_endpoint_file_free(one);
    relay_endpoint_file_free(two);
}

static void test_nothing_is_replaced(void **state)
{
    struct fixture *x = *state;
    struct relay_client_object d = object(RELAY_CONTENT_TEXT, "one", 3);
    char path[128];
    check(x, &d, "g", "g-item-000000000042.txt", "one", 3);
    check(x, &d, "g", "g-item-000000000042~2.txt", "one", 3);
    (void)snprintf(path, sizeof(path), "%s/g-item-000000000042~3.txt", x->dir);
    assert_int_equal(symlink("/nowhere", path), 0); /* is not followed */
    check(x, &d, "g", "g-item-000000000042~4.txt", "one", 3);
    d.seq = 0; /* tlspyo's wire tells no number */
    d.kind = RELAY_KIND_UNKNOWN;
    d.lease.wire = RELAY_CLIENT_TLSPYO;
    check(x, &d, NULL, "object-000000000001.txt", "one", 3);
    check(x, &d, NULL, "object-000000000002.txt", "one", 3);
    x->counter = 0;
    check(x, &d, NULL, "object-000000000003.txt", "one", 3);
    check(x, &d, "g", "g-object-000000000004.txt", "one", 3);
}

static void test_lines(void **state)
{
    struct fixture *x = *state;
    const struct relay_client_object d = object(RELAY_CONTENT_JSON, "[1]", 3);
    struct relay_endpoint_file *f = NULL;
    struct nk_buf out;
    char want[256];
    nk_buf_init(&out, 4096);
    assert_int_equal(relay_endpoint_file_new(&f, &x->doc, &d, "g", true), 0);
    assert_int_equal(relay_endpoint_file_write(f, x->dir, &x->counter, NULL), 0);
    assert_int_equal(relay_endpoint_file_print(f, &out), 0);
    (void)snprintf(want, sizeof(want),
                   "{\"group\":\"g\",\"kind\":\"item\",\"seq\":42,\"tries\":0,\"type\":\"json\","
                   "\"bytes\":3,\"file\":\"%s/g-item-000000000042.json\"}\n",
                   x->dir);
    assert_int_equal(nk_buf_u8(&out, 0), 0);
    assert_string_equal((const char *)nk_buf_ptr(&out), want);
    relay_endpoint_file_free(f);
    nk_buf_clear(&out);
}

static void test_errors(void **state)
{
    struct fixture *x = *state;
    const struct relay_client_object d = object(RELAY_CONTENT_TEXT, "", 0);
    struct relay_endpoint_file *f = NULL;
    struct nk_diag diag = {0};
    char gone[128];
    (void)snprintf(gone, sizeof(gone), "%s/none", x->dir);
    assert_int_equal(relay_endpoint_file_new(&f, &x->doc, &d, "g", false), 0);
    assert_int_equal(relay_endpoint_file_write(f, gone, &x->counter, &diag), -ENOENT);
    assert_true(strstr(diag.text, gone) && diag.hint[0]);
    relay_endpoint_file_free(f);
    assert_int_equal(relay_endpoint_files_check(ENDPOINT_FILES, gone, &diag), -ENOENT);
    assert_int_equal(relay_endpoint_files_check(ENDPOINT_FILES, NULL, &diag), NK_EUSAGE);
    assert_int_equal(relay_endpoint_files_check(ENDPOINT_RAW, x->dir, &diag), NK_EUSAGE);
    assert_int_equal(relay_endpoint_files_check(ENDPOINT_FILES, "/dev/null", &diag), -ENOTDIR);
    assert_int_equal(relay_endpoint_files_check(ENDPOINT_FILES, x->dir, &diag), 0);
    assert_int_equal(relay_endpoint_files_check(ENDPOINT_JSON, NULL, &diag), 0);
}

int nk_test_relay_endpoint_files(void);
int nk_test_relay_endpoint_files(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_contents, make, destroy),
        cmocka_unit_test_setup_teardown(test_names, make, destroy),
        cmocka_unit_test_setup_teardown(test_nothing_is_replaced, make, destroy),
        cmocka_unit_test_setup_teardown(test_lines, make, destroy),
        cmocka_unit_test_setup_teardown(test_errors, make, destroy),
    };
    return cmocka_run_group_tests_name("relay/endpoint_files", tests, NULL, NULL);
}
