/* SPDX-License-Identifier: MIT */
#include "torture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/file.h"
#include "ssh/known_hosts.h"
#include "ssh/sha1.h"

/* made by ssh-keygen -H from h.example and [h.example]:2222 */
#define ED25519 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBz+1BplODq23VAmu3NjKyw//xIxLHhbFhrMML1NPWez"
#define ECDSA                                                                                      \
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBIuHHA/"              \
    "GNlEZxt+/yVRQ6FNG4x5YJFWyRtZ032ANr/r8i1Lr34Ocw7ABmxAGrcX7dagQIs4RDO6fBEElNLF647U="
#define HASHED "|1|1yDa1UeX7T2asr1IWtusso1EPTY=|F6JzfcAdzPNw4lsFwwjZPLoAAeE="
#define HASHED_PORT "|1|8YP1crS6fVUHXtzbwqoYqMSrHjQ=|MFm0lA2z8NvMJm32cqHiBW7ysko="

static struct ssh_str str(const char *s)
{
    return (struct ssh_str){(const uint8_t *)s, strlen(s)};
}

static void test_sha1(void **state)
{
    /* RFC 3174 7.3 and RFC 2202 3, cases 1 and 2 */
    uint8_t out[SSH_SHA1_SIZE], key[20];
    char hex[NK_HEX_SIZE(SSH_SHA1_SIZE)];
    struct ssh_sha1 s;
    (void)state;
    ssh_sha1_init(&s);
    ssh_sha1_put(&s, "abcdbcdecdefdefgefghfghighijhi", 30);
    ssh_sha1_put(&s, "jkijkljklmklmnlmnomnopnopq", 26);
    ssh_sha1_end(&s, out);
    nk_hex_encode(hex, out, sizeof(out));
    assert_string_equal(hex, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    memset(key, 0x0b, sizeof(key));
    ssh_hmac_sha1(key, sizeof(key), "Hi There", 8, out);
    nk_hex_encode(hex, out, sizeof(out));
    assert_string_equal(hex, "b617318655057264e28bc0b6fb378c8ef146be00");
    ssh_hmac_sha1((const uint8_t *)"Jefe", 4, "what do ya want for nothing?", 28, out);
    nk_hex_encode(hex, out, sizeof(out));
    assert_string_equal(hex, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

static void test_names(void **state)
{
    char name[SSH_KNOWN_NAME_SIZE];
    char huge[SSH_KNOWN_HOST_MAX + 2];
    static const char *const bad[] = {"",          "a,b",    "a b",  "*",       "!a",    "a\n",
                                      "|1|",       "[a]",    "@x",   "#",       "[a]:",  "[a]:0",
                                      "[a]:65536", "[a]:2x", "[]:2", "[a,b]:2", "[*]:2", "[a]b:2",
                                      "[[a]:2",    "[a]:2 ", "a]:2"};
    (void)state;
    assert_true(ssh_known_name(name, "H.Example", 22));
    assert_string_equal(name, "h.example");
    assert_true(ssh_known_name(name, "FE80::1%eth0", 65535));
    assert_string_equal(name, "[fe80::1%eth0]:65535");
    assert_true(ssh_known_name(name, "[H]:2222", 22));
    assert_string_equal(name, "[h]:2222");
    assert_false(ssh_known_name(name, "[h]:2222", 23));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(ssh_known_name(name, bad[i], 22));
    }
    memset(huge, 'a', sizeof(huge));
    huge[SSH_KNOWN_HOST_MAX + 1] = '\0';
    assert_false(ssh_known_name(name, huge, 2222));
    huge[SSH_KNOWN_HOST_MAX] = '\0';
    assert_true(ssh_known_name(name, huge, 65535));
    assert_int_equal(strlen(name), SSH_KNOWN_NAME_SIZE - 1);
}

static void test_matching(void **state)
{
    static const struct {
        const char *hosts, *name;
        bool is;
    } t[] = {
        {"h.example", "h.example", true},
        {"H.Example", "h.example", true},
        {"h.example", "h.example.org", false},
        {"*.example,!bad.example", "good.example", true},
        {"*.example,!bad.example", "bad.example", false},
        {"!bad.example,*.example", "bad.example", false},
        {"!bad.example", "good.example", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"*", "[h.example]:2222", true},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZ", false},
        {"**", "", true},
        {"[h.example]:2222", "h.example", false},
        {",,h,", "h", true},
        {"", "h", false},
        {HASHED, "h.example", true},
        {HASHED, "[h.example]:2222", false},
        {HASHED_PORT, "[h.example]:2222", true},
        {HASHED_PORT, "h.example", false},
        {"|1|1yDa1UeX7T2asr1IWtusso1EPTY=|F6JzfcAdzPNw4lsFwwjZPLoAAeE", "h.example", false},
        {"|1|||", "h.example", false},
        {"|1|", "|1|", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        assert_int_equal(ssh_known_matches(str(t[i].hosts), t[i].name), t[i].is);
    }
    assert_true(ssh_known_single(str("h")) && ssh_known_single(str(HASHED)));
    assert_false(ssh_known_single(str("a,b")) || ssh_known_single(str("*.a")));
}

static void test_lines(void **state)
{
    static const char text[] = "# a comment\n"
                               "\n"
                               "h " ED25519 "\r\n"
                               " \t@revoked\t* " ECDSA "  a comment of it  \n"
                               "@cert-authority *.a,!b.a " ED25519 "\n"
                               "@what * " ED25519 "\n"
                               "h ssh-ed25519\n"
                               "h ssh-rsa AAAAC3NzaC1lZDI1NTE5\n"
                               "h " ED25519 "?";
    struct ssh_known_reader r;
    struct ssh_known_line l;
    struct nk_buf key;
    (void)state;
    nk_buf_init(&key, 1000);
    ssh_known_read(&r, text, strlen(text));
    assert_true(ssh_known_next(&r, &l) && !l.entry && !l.problem && l.number == 1);
    assert_true(ssh_known_next(&r, &l) && !l.entry && !l.problem && l.whole.n == 0);
    assert_true(ssh_known_next(&r, &l) && l.entry && l.marker == SSH_KNOWN_PLAIN && !l.comment.n);
    assert_int_equal(ssh_known_key(&l, &key), 0);
    assert_int_equal(nk_buf_len(&key), 51);
    assert_true(ssh_known_next(&r, &l) && l.entry && l.marker == SSH_KNOWN_REVOKED);
    assert_true(ssh_str_is(l.comment, "a comment of it") && ssh_str_is(l.hosts, "*"));
    assert_true(ssh_known_next(&r, &l) && l.entry && l.marker == SSH_KNOWN_CA);
    assert_true(ssh_str_is(l.hosts, "*.a,!b.a"));
    assert_true(ssh_known_next(&r, &l) && !l.entry && l.problem && l.number == 6);
    assert_true(ssh_known_next(&r, &l) && !l.entry && l.problem && l.number == 7);
    assert_true(ssh_known_next(&r, &l) && l.entry); /* the key is of another type */
    assert_int_equal(ssh_known_key(&l, &key), NK_EFORMAT);
    assert_true(ssh_known_next(&r, &l) && l.entry);
    assert_int_equal(ssh_known_key(&l, &key), NK_EFORMAT);
    assert_int_equal(nk_buf_len(&key), 51);
    assert_false(ssh_known_next(&r, &l));
    ssh_known_read(&r, NULL, 0);
    assert_false(ssh_known_next(&r, &l));
    nk_buf_clear(&key);
}

/* --- files ------------------------------------------------------------------------------------ */

struct place {
    char dir[32], file[64], second[64];
};

static void make(struct place *p)
{
    strcpy(p->dir, "/tmp/nk-known-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->file, sizeof(p->file), "%s/s/known_hosts", p->dir);
    snprintf(p->second, sizeof(p->second), "%s/second", p->dir);
}

static void put(const char *path, const char *text)
{
    assert_int_equal(nk_file_write(path, NK_FILE_OVERWRITE, text, strlen(text), NULL), 0);
}

static void need(const char *path, const char *text)
{
    struct nk_buf b;
    nk_buf_init(&b, 10000);
    assert_int_equal(nk_file_read(path, 0, &b, NULL), 0);
    assert_string_equal(nk_buf_str(&b), text);
    nk_buf_clear(&b);
}

static void test_load(void **state)
{
    struct place p;
    struct ssh_known_hosts k = {0};
    struct nk_diag diag = {0};
    (void)state;
    make(&p);
    const char *const files[] = {p.second, "/dev/null", "none", p.file};
    put(p.second, "other " ED25519 "\n" HASHED " " ED25519 "\nbroken\n"
                  "@cert-authority *.example " ECDSA "\nh.example ssh-dss AAAAB3NzaC1kc3M=\n"
                  "h.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBz=\n");
    assert_int_equal(ssh_known_hosts_load(&k, "H.example", 22, files, 4, NULL, &diag), 0);
    assert_int_equal(k.n, 2);
    assert_int_equal(k.malformed, 2);
    assert_true(k.v[0].number == 2 && k.v[0].hashed && k.v[0].single && !k.v[0].portless);
    assert_true(k.v[1].number == 4 && k.v[1].marker == SSH_KNOWN_CA && !k.v[1].single);
    assert_string_equal(k.v[1].file, p.second);
    ssh_known_hosts_clear(&k);
    assert_int_equal(ssh_known_hosts_load(&k, "h.example", 2222, files, 1, NULL, &diag), 0);
    assert_int_equal(k.n, 2);
    assert_true(k.v[0].portless && k.v[1].portless);
    ssh_known_hosts_clear(&k);
    assert_int_equal(ssh_known_hosts_load(&k, "a b", 22, files, 1, NULL, &diag), NK_EUSAGE);
    const char *dir = p.dir;
    assert_int_equal(ssh_known_hosts_load(&k, "a", 22, &dir, 1, NULL, &diag), -EISDIR);
    ssh_known_hosts_clear(&k);
    assert_int_equal(nk_remove_tree(p.dir), 0);
}

static void test_append(void **state)
{
    struct place p;
    struct nk_diag diag = {0};
    struct stat st;
    (void)state;
    make(&p);
    assert_int_equal(ssh_known_hosts_append(p.file, "one\n", 4, &diag), 0);
    assert_int_equal(stat(p.file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    put(p.second, "no end");
    assert_int_equal(chmod(p.second, 0644), 0);
    assert_int_equal(ssh_known_hosts_append(p.second, "two\n", 4, &diag), 0);
    need(p.second, "no end\ntwo\n");
    assert_int_equal(stat(p.second, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(unlink(p.file), 0);
    assert_int_equal(symlink(p.second, p.file), 0);
    assert_int_equal(ssh_known_hosts_append(p.file, "three\n", 6, &diag), -ELOOP);
    need(p.second, "no end\ntwo\n");
    int fd = open(p.second, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(ssh_known_hosts_append(p.second, "three\n", 6, &diag), NK_ELOCKED);
    assert_int_equal(close(fd), 0);
    assert_int_equal(ssh_known_hosts_append("none", "x", 1, &diag), 0);
    assert_int_equal(ssh_known_hosts_append("/dev/null", "x", 1, &diag), 0);
    assert_int_equal(nk_remove_tree(p.dir), 0);
}

/* Lines about h go, lines about r become s, and one comes at the end. */
static int edit(void *arg, const struct ssh_known_line *l, struct nk_buf *out)
{
    const bool *more = arg;
    if (!l) {
        return *more ? nk_buf_puts(out, "last\n") : 0;
    }
    if (l->entry && ssh_str_is(l->hosts, "r")) {
        return nk_buf_puts(out, "s\n");
    }
    return !l->entry || !ssh_str_is(l->hosts, "h");
}

static void test_edit(void **state)
{
    struct place p;
    struct nk_diag diag = {0};
    struct stat st;
    bool more = true;
    (void)state;
    make(&p);
    assert_int_equal(ssh_known_hosts_edit(p.second, false, edit, &more, &diag), -ENOENT);
    put(p.second, "# c\nh a b\n\nr a b\nbroken");
    assert_int_equal(chmod(p.second, 0640), 0);
    assert_int_equal(ssh_known_hosts_edit(p.second, true, edit, &more, &diag), 3);
    need(p.second, "# c\nh a b\n\nr a b\nbroken");
    assert_int_equal(ssh_known_hosts_edit(p.second, false, edit, &more, &diag), 3);
    need(p.second, "# c\n\ns\nbroken\nlast\n");
    assert_int_equal(stat(p.second, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    ino_t before = st.st_ino;
    more = false;
    assert_int_equal(ssh_known_hosts_edit(p.second, false, edit, &more, &diag), 0);
    assert_int_equal(stat(p.second, &st), 0);
    assert_int_equal(st.st_ino, before);
    assert_int_equal(nk_remove_tree(p.dir), 0);
}

static void test_put(void **state)
{
    struct nk_buf b, key;
    struct ssh_known_reader r;
    struct ssh_known_line l;
    (void)state;
    nk_buf_init(&b, 10000);
    nk_buf_init(&key, 1000);
    ssh_known_read(&r, "h " ED25519, strlen("h " ED25519));
    assert_true(ssh_known_next(&r, &l));
    assert_int_equal(ssh_known_key(&l, &key), 0);
    struct ssh_str blob = {nk_buf_ptr(&key), nk_buf_len(&key)};
    assert_int_equal(ssh_known_put(&b, SSH_KNOWN_PLAIN, "a", false, blob, NULL), 0);
    assert_int_equal(ssh_known_put(&b, SSH_KNOWN_CA, "*.b", false, blob, "c"), 0);
    assert_string_equal(nk_buf_str(&b), "a " ED25519 "\n@cert-authority *.b " ED25519 " c\n");
    nk_buf_reset(&b);
    assert_int_equal(ssh_known_put(&b, SSH_KNOWN_PLAIN, "[a]:1", true, blob, NULL), 0);
    ssh_known_read(&r, nk_buf_ptr(&b), nk_buf_len(&b));
    assert_true(ssh_known_next(&r, &l) && ssh_known_hashed(l.hosts));
    assert_true(ssh_known_matches(l.hosts, "[a]:1") && !ssh_known_matches(l.hosts, "a"));
    nk_buf_clear(&b);
    nk_buf_clear(&key);
}

static int whole_once(void *arg)
{
    const struct place *p = arg;
    const char *files[] = {p->second};
    struct ssh_known_hosts k = {0};
    bool more = false;
    int rc = ssh_known_hosts_load(&k, "h.example", 22, files, 1, NULL, NULL);
    if (rc == 0 && k.n != 2) {
        rc = 1;
    }
    ssh_known_hosts_clear(&k);
    rc = rc ? rc : ssh_known_hosts_edit(p->second, false, edit, &more, NULL);
    return rc ? rc : ssh_known_hosts_append(p->file, "x\n", 2, NULL);
}

static void test_memory(void **state)
{
    struct place p;
    (void)state;
    make(&p);
    put(p.second, HASHED " " ED25519 "\n@cert-authority *.example " ECDSA "\n");
    assert_true(nk_torture(whole_once, &p) > 5);
    assert_int_equal(nk_remove_tree(p.dir), 0);
}

int nk_test_ssh_known_hosts(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha1),  cmocka_unit_test(test_names), cmocka_unit_test(test_matching),
        cmocka_unit_test(test_lines), cmocka_unit_test(test_load),  cmocka_unit_test(test_append),
        cmocka_unit_test(test_edit),  cmocka_unit_test(test_put),   cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("ssh/known_hosts", tests, NULL, NULL);
}
