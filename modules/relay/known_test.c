/* SPDX-License-Identifier: MIT */
#include "relay/known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"

#define ONE "1111111111111111111111111111111111111111111111111111111111111111"
#define NOW ((int64_t)1795230000) /* 2026-11-21 */

struct dir {
    char path[64], file[96];
};

static void set_up(struct dir *d)
{
    snprintf(d->path, sizeof(d->path), "/tmp/nk-known-XXXXXX");
    assert_non_null(mkdtemp(d->path));
    snprintf(d->file, sizeof(d->file), "%s/" RELAY_KNOWN_FILE, d->path);
}

static void tear_down(struct dir *d)
{
    char lock[128];
    unlink(d->file);
    snprintf(lock, sizeof(lock), "%s.lock", d->file);
    unlink(lock);
    assert_int_equal(rmdir(d->path), 0);
}

static void write_file(const struct dir *d, const char *text)
{
    assert_int_equal(nk_file_write(d->file, NK_FILE_OVERWRITE, text, strlen(text), NULL), 0);
}

static void assert_file(const struct dir *d, const char *want)
{
    struct nk_buf text;
    struct stat st;
    nk_buf_init(&text, RELAY_KNOWN_MAX);
    assert_int_equal(nk_file_read(d->file, 0, &text, NULL), 0);
    assert_int_equal(nk_buf_put(&text, "", 1), 0);
    assert_string_equal((char *)nk_buf_ptr(&text), want);
    nk_buf_clear(&text);
    assert_int_equal(stat(d->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static int learn(const struct dir *d, const char *where, uint8_t byte, int change)
{
    enum relay_known_change got = RELAY_KNOWN_SAME;
    uint8_t key[RELAY_KNOWN_KEY];
    memset(key, byte, sizeof(key));
    int rc = relay_known_learn(d->path, where, key, NOW, &got, NULL);
    if (rc == 0) {
        assert_int_equal(got, change);
    }
    return rc;
}

static int find(const struct dir *d, const char *where, uint8_t byte, enum relay_known_how how)
{
    struct relay_known k;
    uint8_t key[RELAY_KNOWN_KEY];
    int rc = relay_known_find(d->path, where, &k, NULL);
    if (rc == 0) {
        memset(key, byte, sizeof(key));
        assert_memory_equal(k.key, key, sizeof(key));
        assert_int_equal(k.how, how);
    }
    return rc;
}

static void test_learn(void **state)
{
    (void)state;
    struct dir d;
    set_up(&d);
    assert_int_equal(find(&d, "a:1", 0, 0), -ENOENT);
    assert_int_equal(learn(&d, "a:1", 0x11, RELAY_KNOWN_NEW), 0);
    assert_int_equal(learn(&d, "b:1", 0x22, RELAY_KNOWN_NEW), 0);
    assert_int_equal(learn(&d, "a:1", 0x11, RELAY_KNOWN_SAME), 0);
    assert_int_equal(find(&d, "a:1", 0x11, RELAY_KNOWN_PASSWORD), 0);
    assert_int_equal(find(&d, "b:1", 0x22, RELAY_KNOWN_PASSWORD), 0);
    assert_int_equal(find(&d, "a:11", 0, 0), -ENOENT);
    assert_int_equal(learn(&d, "b:1", 0x11, RELAY_KNOWN_CHANGED), 0);
    assert_file(&d, "netkit-known-relays 1\n"
                    "a:1 sha256:" ONE " password 2026-11-21\n"
                    "b:1 sha256:" ONE " password 2026-11-21\n");
    tear_down(&d);
}

/* What the user wrote stays, and a pin of his is never replaced. */
static void test_user_pin(void **state)
{
    (void)state;
    struct dir d;
    set_up(&d);
    static const char text[] = "netkit-known-relays 1\n"
                               "# office\n"
                               "a:1 sha256:" ONE " user\n"
                               "\n"
                               "b:1  sha256:" ONE "  password 2020-01-01";
    write_file(&d, text);
    assert_int_equal(find(&d, "a:1", 0x11, RELAY_KNOWN_USER), 0);
    assert_int_equal(learn(&d, "a:1", 0x22, 0), NK_EVERIFY);
    assert_int_equal(learn(&d, "a:1", 0x11, RELAY_KNOWN_SAME), 0);
    assert_file(&d, text);
    assert_int_equal(learn(&d, "c:1", 0x11, RELAY_KNOWN_NEW), 0);
    assert_int_equal(learn(&d, "b:1", 0x11, RELAY_KNOWN_SAME), 0);
    assert_file(&d, "netkit-known-relays 1\n"
                    "# office\n"
                    "a:1 sha256:" ONE " user\n"
                    "\n"
                    "b:1  sha256:" ONE "  password 2020-01-01\n"
                    "c:1 sha256:" ONE " password 2026-11-21\n");
    tear_down(&d);
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
    } bad[] = {
        {"", NK_EFORMAT},
        {"netkit-known-relays\n", NK_EFORMAT},
        {"netkit-known-relays 2\n", NK_EVERSION},
        {"netkit-known-relays 1x\n", NK_EVERSION},
        {"netkit-known-relays 1\nb:1\n", NK_EFORMAT},
        {"netkit-known-relays 1\nb:1 sha256:11 user\n", NK_EFORMAT},
        {"netkit-known-relays 1\nb:1 sha256:" ONE "\n", NK_EFORMAT},
        {"netkit-known-relays 1\nb:1 sha256:" ONE " somehow\n", NK_EFORMAT},
    };
    struct dir d;
    set_up(&d);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_file(&d, bad[i].text);
        assert_int_equal(find(&d, "a:1", 0, 0), bad[i].rc);
        assert_int_equal(learn(&d, "a:1", 1, 0), bad[i].rc);
        assert_file(&d, bad[i].text);
    }
    write_file(&d, "netkit-known-relays 1\n");
    assert_int_equal(chmod(d.file, 0666), 0);
    assert_int_equal(find(&d, "a:1", 0, 0), NK_EBADMODE);
    assert_int_equal(learn(&d, "a b", 1, 0), NK_EFORMAT);
    assert_int_equal(learn(&d, "#a", 1, 0), NK_EFORMAT);
    assert_int_equal(learn(&d, "", 1, 0), NK_EFORMAT);
    tear_down(&d);
}

static void test_locked(void **state)
{
    (void)state;
    struct dir d;
    char lock[128];
    int fd;
    set_up(&d);
    snprintf(lock, sizeof(lock), "%s.lock", d.file);
    assert_int_equal(nk_lock_open(lock, &fd, NULL), 0);
    assert_int_equal(learn(&d, "a:1", 1, 0), NK_ELOCKED);
    close(fd);
    assert_int_equal(learn(&d, "a:1", 1, RELAY_KNOWN_NEW), 0);
    tear_down(&d);
}

int nk_test_relay_known(void);
int nk_test_relay_known(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learn),
        cmocka_unit_test(test_user_pin),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_locked),
    };
    return cmocka_run_group_tests_name("relay/known", tests, NULL, NULL);
}
