/* SPDX-License-Identifier: MIT */
#include "ssh/pubfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "torture.h"

#define BLOB "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
#define LINE "ssh-ed25519 " BLOB
#define RSA "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAwDVsw=="

/* Parsed and written as a line again. */
static int line_of(const char *text, const char *form, char out[512])
{
    struct ssh_pubfile f;
    struct nk_buf b;
    int rc = ssh_pubfile_parse(text, strlen(text), &f, NULL);
    if (rc < 0) {
        return rc;
    }
    nk_buf_init(&b, 511);
    rc = ssh_public_line((struct ssh_str){nk_buf_ptr(&f.blob), nk_buf_len(&f.blob)}, f.comment, &b);
    if (rc == 0) {
        memcpy(out, nk_buf_ptr(&b), nk_buf_len(&b));
        out[nk_buf_len(&b)] = 0;
    }
    if (rc == 0 && strcmp(f.form, form) != 0) {
        rc = 1;
    }
    nk_buf_clear(&b);
    ssh_pubfile_clear(&f);
    return rc;
}

static void assert_line(const char *text, const char *form, const char *want)
{
    char got[512];
    assert_int_equal(line_of(text, form, got), 0);
    assert_string_equal(got, want);
}

static const char SECSH[] =
    "---- BEGIN SSH2 PUBLIC KEY ----\r\nSubject: x\r\n"
    "Comment: \"a key, \\\r\nso to say\"\r\n" BLOB "\r\n---- END SSH2 PUBLIC KEY ----\r\n";
/* (10:public-key(14:rsa-pkcs1-sha1(1:n3:\0\xd5\xb3)(1:e3:\1\0\1))) */
static const char LSH[] =
    "{KDEwOnB1YmxpYy1rZXkoMTQ6cnNhLXBrY3MxLXNoYTEoMTpuMzoA1bMpKDE6ZTM6AQABKSkp}\n";
static const char SPKI[] = "-----BEGIN PUBLIC KEY-----\n"
                           "MCowBQYDK2VwAyEAAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
                           "-----END PUBLIC KEY-----\n";

static void forms(void **state)
{
    (void)state;
    assert_line(LINE, "OpenSSH", LINE "\n");
    assert_line("\n# c\n " LINE "  me at here \nmore", "OpenSSH", LINE " me at here\n");
    assert_line("command=\"a \\\" b\",no-pty " LINE " x\x1b[2J", "OpenSSH", LINE " x[2J\n");
    assert_line(SECSH, "RFC 4716", LINE " a key, so to say\n");
    assert_line(LSH, "LSH", RSA "\n");
    assert_line(SPKI, "PKCS#8", LINE "\n");
}

static void refused(void **state)
{
    (void)state;
    char got[512];
    static const char *const bad[] = {
        "",
        "ssh-ed25519",
        "ssh-rsa " BLOB,
        "no-pty ssh-rsa " BLOB,
        "ssh-ed25519 AAAA",
        "{}",
        "{KDEwOnB1YmxpYy1rZXko",
        "{KDEwOnB1YmxpYy1rZXkp}",
        "---- BEGIN SSH2 PUBLIC KEY ----\n" BLOB "\n",
        "---- BEGIN SSH2 PUBLIC KEY ----\n---- END SSH2 PUBLIC KEY ----",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(line_of(bad[i], "", got), NK_EFORMAT);
    }
    struct nk_buf b;
    nk_buf_init(&b, 8);
    assert_int_equal(ssh_public_line((struct ssh_str){(const uint8_t *)"ab", 2}, "", &b),
                     NK_EFORMAT);
    nk_buf_clear(&b);
}

static int torture_one(void *arg)
{
    char got[512];
    static const char *const texts[] = {LINE, SECSH, LSH, SPKI};
    static const char *const names[] = {"OpenSSH", "RFC 4716", "LSH", "PKCS#8"};
    const size_t *i = arg;
    return line_of(texts[*i], names[*i], got);
}

static void torture(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        nk_torture(torture_one, &i);
    }
}

int nk_test_ssh_pubfile(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(refused),
        cmocka_unit_test(torture),
    };
    return cmocka_run_group_tests_name("ssh/pubfile", tests, NULL, NULL);
}
