/* SPDX-License-Identifier: MIT */
/*
 * Key files written by arti, read where they lie beside the repository: every well-formed one reads
 * as what is known about it and, written again, is the same byte for byte; every malformed one is
 * refused with its reason. Skipped, with a message, where the files are not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/json_read.h"
#include "base/onion.h"
#include "hs/format.h"

#define ROOT "../shared/vectors/hskeys"
#define EXPECTED_MAX ((size_t)1048576)

enum { LEAST_FILES = 26 /* well-formed ones; fewer: the data are not what this test is for */ };

/* Files that are no keys: why each is refused. */
static const struct {
    const char *file, *reason;
} malformed[] = {
    {"arti-cli-testcases/hsc-extra/hsc.in/local/ctor-keystore3/invalid_key.auth_private",
     "line: 1 fields"},
    {"arti-cli-testcases/keys/keys.in/local/ctor-keystore/hs_unrecognized_entry", "length: "},
    {"arti-tor-keymgr-testdata/bob.auth_private", "type of authorization"},
    {"arti-tor-keymgr-testdata/dsa_openssh.private", "ssh-dss"},
    {"arti-tor-keymgr-testdata/ed25519_expanded_openssh.public", "ed25519-expanded@"},
    {"arti-tor-keymgr-testdata/ed25519_openssh_bad.private", "base64"},
    {"arti-tor-keymgr-testdata/ed25519_openssh_bad.public", "cut off"},
    {"arti-tor-keymgr-testdata/x25519_openssh_unknown_algorithm.public", "armadillo@"},
};

/* Files with a key under a name that a keystore does not know: the key is a key, and the place is
 * the keystore's to judge. Written in upper case by hand, so not compared as bytes. */
static const char *const misplaced[] = {
    "arti-cli-testcases/hsc-extra/hsc.in/local/ctor-keystore4/invalid_entry",
    "arti-cli-testcases/hsc-extra/hsc.in/local/ctor-keystore5/invalid_entry",
};

static bool absent(void)
{
    if (access(ROOT "/expected.json", R_OK) == 0) {
        return false;
    }
    print_message("no " ROOT ": the files of arti are not compared\n");
    return true;
}

static void read_file(const char *file, struct nk_buf *out)
{
    char path[NK_PATH_MAX];
    struct nk_diag diag;
    nk_buf_init_secret(out, EXPECTED_MAX);
    assert_int_equal(nk_path_join(path, sizeof(path), ROOT, file), 0);
    assert_int_equal(nk_file_read(path, 0, out, &diag), 0);
}

static struct nk_json_doc *read_expected(void)
{
    struct nk_json_doc *doc;
    struct nk_buf b;
    read_file("expected.json", &b);
    assert_int_equal(nk_json_parse(&doc, nk_buf_ptr(&b), nk_buf_len(&b), NULL), 0);
    nk_buf_clear(&b);
    return doc;
}

static const char *member(const struct nk_json_value *v, const char *key)
{
    size_t n;
    return nk_json_to_text(nk_json_get(v, key), &n);
}

/* A fact about the file, if it is given, as the item written in form f says it. */
static void assert_fact(const struct nk_json_value *v, const char *key, const struct hs_item *item,
                        enum hs_format f)
{
    struct nk_buf out;
    const char *want = member(v, key);
    if (!want) {
        return;
    }
    nk_buf_init_secret(&out, HS_FORMAT_MAX);
    assert_int_equal(hs_format_write(item, f, &out, NULL), 0);
    const char *text = nk_buf_str(&out);
    assert_non_null(text);
    assert_memory_equal(text, want, strlen(want));
    nk_buf_clear(&out);
}

static void check_facts(const struct nk_json_value *v, const struct hs_item *item)
{
    char address[NK_ONION_SIZE], hex[NK_HEX_SIZE(HS_PUBLIC_KEY)];
    const char *onion = member(v, "onion"), *pub = member(v, "public_hex");
    if (onion) {
        nk_onion_format(address, item->kind == HS_CLIENT ? item->address : item->identity.pub);
        assert_string_equal(address, onion);
    }
    if (pub) {
        nk_hex_encode(hex, hs_item_pub(item), HS_PUBLIC_KEY);
        assert_string_equal(hex, pub);
    }
    assert_fact(v, "descriptor_line", item, HS_AUTH);
    assert_fact(v, "control", item, HS_CONTROL);
    assert_fact(v, "control_blob", item, HS_CONTROL);
    if (member(v, "comment")) {
        assert_string_equal(item->comment, member(v, "comment"));
    }
}

/* Lines of .auth_private are written by people, in upper case; arti itself never writes them. */
static void check_identical(const struct hs_item *item, const struct nk_buf *file)
{
    struct nk_buf out;
    nk_buf_init_secret(&out, HS_FORMAT_MAX);
    assert_int_equal(hs_format_write(item, item->format, &out, NULL), 0);
    if (item->format == HS_ARTI_PUBLIC) {
        assert_true(nk_buf_len(&out) <= nk_buf_len(file)); /* its file has a newline */
        assert_memory_equal(nk_buf_ptr(&out), nk_buf_ptr(file), nk_buf_len(&out));
    } else if (item->format != HS_AUTH_PRIVATE) {
        assert_int_equal(nk_buf_len(&out), nk_buf_len(file));
        assert_memory_equal(nk_buf_ptr(&out), nk_buf_ptr(file), nk_buf_len(file));
    }
    nk_buf_clear(&out);
}

static bool is_malformed(const char *file)
{
    for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++) {
        if (strcmp(malformed[i].file, file) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_misplaced(const char *file)
{
    for (size_t i = 0; i < sizeof(misplaced) / sizeof(*misplaced); i++) {
        if (strcmp(misplaced[i], file) == 0) {
            return true;
        }
    }
    return false;
}

static void written_by_arti(void **state)
{
    struct nk_json_walk walk = {0};
    const struct nk_json_value *v;
    size_t count = 0;
    (void)state;
    if (absent()) {
        skip();
    }
    struct nk_json_doc *doc = read_expected();
    walk.of = nk_json_get(nk_json_root(doc), "files");
    while ((v = nk_json_next(&walk))) {
        const char *file = member(v, "file");
        struct nk_diag diag;
        struct hs_item item;
        struct nk_buf b;
        assert_non_null(file);
        if (is_malformed(file)) {
            continue;
        }
        read_file(file, &b);
        int rc = hs_format_read(nk_buf_ptr(&b), nk_buf_len(&b), file, &item, &diag);
        if (rc < 0) {
            print_error("%s: %s\n", file, diag.text);
        }
        assert_int_equal(rc, 0);
        check_facts(v, &item);
        if (!is_misplaced(file)) {
            check_identical(&item, &b);
        }
        nk_buf_clear(&b);
        count++;
    }
    nk_json_doc_free(doc);
    assert_true(count >= LEAST_FILES);
}

static void refused(void **state)
{
    (void)state;
    if (absent()) {
        skip();
    }
    for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++) {
        struct hs_item item;
        struct nk_diag diag;
        struct nk_buf b;
        read_file(malformed[i].file, &b);
        int rc = hs_format_read(nk_buf_ptr(&b), nk_buf_len(&b), malformed[i].file, &item, &diag);
        assert_true(rc == NK_EFORMAT || rc == NK_EUNSUPPORTED);
        if (!strstr(diag.text, malformed[i].reason)) {
            print_error("%s: %s\n", malformed[i].file, diag.text);
        }
        assert_non_null(strstr(diag.text, malformed[i].reason));
        nk_buf_clear(&b);
    }
}

int nk_test_hs_vectors(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_by_arti),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests_name("hs/vectors", tests, NULL, NULL);
}
