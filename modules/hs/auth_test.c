/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "hs/auth.h"
#include "torture.h"

int nk_test_hs_auth(void);

/* Public keys whose last bits are zero, as texts: u = 9 and others on the curve or its twist. */
#define KEY_A "beaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bmaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_ZERO "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_ONE "aeaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* of small order */
#define LINE_A "descriptor:x25519:" KEY_A
#define SPACED_A "descriptor : x25519 : " KEY_A
#define LINE_B "descriptor:x25519:" KEY_B
/* The same key as A in arti's form. */
#define ARTI_A                                                                                     \
    "x25519@spec.torproject.org "                                                                  \
    "AAAAGngyNTUxOUBzcGVjLnRvcnByb2plY3Qub3JnAAAAIAkAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

struct fixture {
    char dir[64];
    struct hs_auth a;
    struct hs_auth_list l;
    struct hs_findings findings;
    struct nk_diag diag;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f || nk_crypto_init() < 0) {
        return -1;
    }
    snprintf(f->dir, sizeof(f->dir), "/tmp/nk-auth-XXXXXX");
    f->a = (struct hs_auth){.base.fd = -1, .on.fd = -1, .off.fd = -1};
    *state = f;
    return mkdtemp(f->dir) ? 0 : -1;
}

static int delete_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    hs_auth_list_clear(&f->l);
    hs_findings_clear(&f->findings);
    hs_auth_close(&f->a);
    int rc = nftw(f->dir, delete_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return rc;
}

static const char *path_of(const struct fixture *f, const char *name)
{
    static _Thread_local char path[256];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    return path;
}

static void make_dir(const struct fixture *f, const char *name)
{
    assert_int_equal(mkdir(path_of(f, name), 0700), 0);
}

static void put(const struct fixture *f, const char *name, const char *text, size_t n)
{
    FILE *file = fopen(path_of(f, name), "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static void puts_file(const struct fixture *f, const char *name, const char *text)
{
    put(f, name, text, strlen(text));
}

static bool there(const struct fixture *f, const char *name)
{
    return access(path_of(f, name), F_OK) == 0;
}

/* A service of tor, with an empty authorized_clients. */
static void tor_service(struct fixture *f, enum hs_auth_intent intent)
{
    if (!there(f, "hostname")) {
        puts_file(f, "hostname", "x\n");
        make_dir(f, HS_AUTH_DIR);
    }
    hs_auth_close(&f->a);
    assert_int_equal(hs_auth_open_ctor(&f->a, f->dir, intent, &f->diag), 0);
}

static void look(struct fixture *f)
{
    hs_auth_list_clear(&f->l);
    hs_findings_clear(&f->findings);
    assert_int_equal(hs_auth_list_read(&f->l, &f->a, &f->findings, &f->diag), 0);
    hs_auth_judge_open(&f->l, &f->a, &f->findings);
    assert_int_equal(hs_findings_end(&f->findings, &f->diag), 0);
}

static bool found(const struct fixture *f, enum hs_severity severity, const char *text)
{
    for (size_t i = 0; i < f->findings.n; i++) {
        const struct hs_finding *x = &f->findings.v[i];
        if (x->severity == severity && strstr(x->reason, text)) {
            return true;
        }
    }
    return false;
}

/* --- what tor makes of a file, measured with tor 0.4.9 ---------------------------------------- */

static void files_that_tor_takes(void **state)
{
    static const char *const good[] = {
        LINE_A,
        LINE_A "\n",
        LINE_A "\r\n",
        " " LINE_A,
        SPACED_A,
        "descriptor:x25519:BEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "descriptor:x25519:beaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct fixture *f = *state;
        tor_service(f, HS_AUTH_READ);
        puts_file(f, HS_AUTH_DIR "/a.auth", good[i]);
        look(f);
        assert_int_equal(f->l.n, 1);
        assert_true(f->l.restricted);
        assert_int_equal(f->l.counted, 1);
        assert_int_equal(f->l.v[0].pub[0], 9);
    }
}

static void files_that_tor_passes_over(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {LINE_A "====", "padding"},
        {"descriptor:x25519:beaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "51 characters"},
        {"descriptor:x25519:0eaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "characters"},
        {"Descriptor:x25519:" KEY_A, "descriptor"},
        {"descriptor:X25519:" KEY_A, "x25519"},
        {LINE_A "\n" LINE_A "\n", "more than one"},
        {"# comment\n" LINE_A "\n", "comment"},
        {"", "empty"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fixture *f = *state;
        tor_service(f, HS_AUTH_READ);
        puts_file(f, HS_AUTH_DIR "/a.auth", bad[i].text);
        look(f);
        assert_true(found(f, HS_WARNING, bad[i].why));
        assert_non_null(strstr(f->l.v[0].problem, bad[i].why));
        assert_false(f->l.restricted);
        assert_true(f->l.intended);
        assert_true(found(f, HS_ERROR, "open the service to everybody"));
        /* with one good file beside it the service is restricted */
        puts_file(f, HS_AUTH_DIR "/b.auth", LINE_B);
        look(f);
        assert_true(f->l.restricted);
        assert_int_equal(f->l.counted, 1);
        assert_int_equal(f->findings.count[HS_ERROR], 0);
        unlink(path_of(f, HS_AUTH_DIR "/b.auth"));
    }
}

static void entries_that_are_no_key_files(void **state)
{
    struct fixture *f = *state;
    tor_service(f, HS_AUTH_READ);
    make_dir(f, HS_AUTH_DIR "/dir.auth");
    puts_file(f, HS_AUTH_DIR "/a.auth.disabled", LINE_A);
    puts_file(f, HS_AUTH_DIR "/.netkit-0011223344556677.tmp", LINE_A);
    look(f);
    assert_int_equal(f->l.n, 0);
    assert_false(f->l.restricted);
    assert_true(found(f, HS_WARNING, "it is a directory"));
    assert_true(found(f, HS_WARNING, "does not end in .auth"));
    assert_true(found(f, HS_NOTE, "interrupted write"));
    assert_true(found(f, HS_ERROR, "open the service to everybody"));
}

/* tor loads these without a word; whoever knows the address could read the descriptor. */
static void keys_that_shut_nobody_out(void **state)
{
    static const char *const bad[] = {KEY_ZERO, KEY_ONE};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fixture *f = *state;
        char line[128];
        snprintf(line, sizeof(line), "descriptor:x25519:%s\n", bad[i]);
        tor_service(f, HS_AUTH_READ);
        puts_file(f, HS_AUTH_DIR "/a.auth", line);
        puts_file(f, HS_AUTH_DIR "/b.auth", LINE_B);
        look(f);
        assert_int_equal(f->l.counted, 1);
        assert_int_equal(f->findings.count[HS_ERROR], 1);
        assert_string_equal(f->findings.v[0].field, "key");
    }
}

static void one_key_twice(void **state)
{
    struct fixture *f = *state;
    tor_service(f, HS_AUTH_READ);
    puts_file(f, HS_AUTH_DIR "/a.auth", LINE_A);
    puts_file(f, HS_AUTH_DIR "/b.auth",
              "descriptor:x25519:BEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    look(f);
    assert_true(found(f, HS_WARNING, "the same as that of 'a'"));
}

static void files_that_tor_cannot_read(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0) {
        return; /* nobody else can give a directory away */
    }
    tor_service(f, HS_AUTH_READ);
    puts_file(f, HS_AUTH_DIR "/a.auth", LINE_A);
    assert_int_equal(chmod(path_of(f, HS_AUTH_DIR "/a.auth"), 0600), 0);
    assert_int_equal(chown(path_of(f, HS_AUTH_DIR), 1, 1), 0);
    tor_service(f, HS_AUTH_READ);
    look(f);
    assert_true(found(f, HS_WARNING, "user 1 cannot read it"));
    assert_false(f->l.restricted);
    assert_int_equal(chmod(path_of(f, HS_AUTH_DIR "/a.auth"), 0644), 0);
    look(f);
    assert_true(f->l.restricted);
}

static void links_as_in_containers(void **state)
{
    struct fixture *f = *state;
    tor_service(f, HS_AUTH_READ);
    puts_file(f, "elsewhere", LINE_A);
    assert_int_equal(symlink("../elsewhere", path_of(f, HS_AUTH_DIR "/a.auth")), 0);
    assert_int_equal(symlink("nowhere", path_of(f, HS_AUTH_DIR "/b.auth")), 0);
    look(f);
    assert_int_equal(f->l.counted, 1);
    assert_true(found(f, HS_WARNING, "cannot be read"));
}

/* --- changes ---------------------------------------------------------------------------------- */

static void import(struct fixture *f, const char *name, uint8_t first, int want)
{
    uint8_t pub[HS_PUBLIC_KEY] = {first};
    assert_int_equal(hs_auth_import(&f->a, name, pub, &f->diag), want);
}

static void imports(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    tor_service(f, HS_AUTH_CHANGE);
    import(f, "alice", 9, 0);
    assert_true(there(f, HS_AUTH_DIR "/" HS_AUTH_LOCK ".auth"));
    assert_int_equal(stat(path_of(f, HS_AUTH_DIR "/alice.auth"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    look(f);
    assert_int_equal(f->l.n, 2);
    assert_int_equal(f->l.counted, 1);
    assert_int_equal(f->findings.n, 0);
    import(f, "alice", 11, -EEXIST); /* the name */
    import(f, "bob", 9, -EEXIST);    /* the key */
    assert_non_null(strstr(f->diag.text, "'alice'"));
    import(f, "Bob", 11, NK_EUSAGE);
    import(f, "../bob", 11, NK_EUSAGE);
    import(f, HS_AUTH_LOCK, 11, NK_EUSAGE);
    import(f, "zero", 0, NK_EFORMAT);
    import(f, "one", 1, NK_EFORMAT);
    look(f);
    assert_int_equal(f->l.n, 2);
}

static void disabled_clients_keep_the_lock(void **state)
{
    struct fixture *f = *state;
    tor_service(f, HS_AUTH_CHANGE);
    puts_file(f, HS_AUTH_DIR "/alice.auth", LINE_A); /* by hand: there is no lock */
    assert_int_equal(hs_auth_disable(&f->a, "alice", &f->diag), 0);
    look(f);
    assert_true(f->l.restricted);
    assert_int_equal(f->l.counted, 0);
    assert_true(there(f, HS_AUTH_DISABLED_DIR "/alice.auth"));
    import(f, "alice", 11, -EEXIST);
    import(f, "other", 9, -EEXIST);
    assert_non_null(strstr(f->diag.text, "disabled"));
    assert_int_equal(hs_auth_disable(&f->a, "alice", &f->diag), -ENOENT);
    assert_int_equal(hs_auth_enable(&f->a, "alice", &f->diag), 0);
    assert_int_equal(hs_auth_enable(&f->a, "alice", &f->diag), -ENOENT);
    assert_int_equal(hs_auth_unlock(&f->a, &f->diag), NK_EUSAGE);
    assert_int_equal(hs_auth_remove(&f->a, "alice", &f->diag), 0);
    assert_int_equal(hs_auth_remove(&f->a, "alice", &f->diag), -ENOENT);
    look(f);
    assert_true(f->l.restricted);
    assert_int_equal(f->l.n, 1);
    assert_int_equal(hs_auth_unlock(&f->a, &f->diag), 0);
    assert_int_equal(hs_auth_unlock(&f->a, &f->diag), 0);
    look(f);
    assert_false(f->l.restricted);
    assert_false(f->l.intended);
}

static void a_public_service_stays_so(void **state)
{
    struct fixture *f = *state;
    tor_service(f, HS_AUTH_CHANGE);
    assert_int_equal(hs_auth_remove(&f->a, "nobody", &f->diag), -ENOENT);
    assert_int_equal(hs_auth_disable(&f->a, "nobody", &f->diag), -ENOENT);
    look(f);
    assert_int_equal(f->l.n, 0);
}

static void names_on_both_sides(void **state)
{
    struct fixture *f = *state;
    tor_service(f, HS_AUTH_CHANGE);
    import(f, "alice", 9, 0);
    puts_file(f, HS_AUTH_DISABLED_DIR "/alice.auth", LINE_B);
    assert_int_equal(hs_auth_disable(&f->a, "alice", &f->diag), -EEXIST);
    assert_int_equal(hs_auth_enable(&f->a, "alice", &f->diag), -EEXIST);
    assert_int_equal(hs_auth_disable(&f->a, HS_AUTH_LOCK, &f->diag), NK_EUSAGE);
    assert_int_equal(hs_auth_remove(&f->a, HS_AUTH_LOCK, &f->diag), NK_EUSAGE);
    assert_int_equal(hs_auth_remove(&f->a, "alice", &f->diag), 0);
    look(f);
    assert_int_equal(f->l.n, 1);
}

static void a_broken_lock_is_mended(void **state)
{
    struct fixture *f = *state;
    tor_service(f, HS_AUTH_CHANGE);
    puts_file(f, HS_AUTH_DIR "/" HS_AUTH_LOCK ".auth", "");
    assert_int_equal(hs_auth_lock(&f->a, &f->diag), 0);
    look(f);
    assert_true(f->l.restricted);
    uint8_t key[HS_PUBLIC_KEY];
    memcpy(key, f->l.v[0].pub, sizeof(key));
    assert_int_equal(hs_auth_lock(&f->a, &f->diag), 0);
    look(f);
    assert_memory_equal(f->l.v[0].pub, key, sizeof(key));
}

static void dry_runs(void **state)
{
    struct fixture *f = *state;
    tor_service(f, HS_AUTH_CHANGE);
    f->a.dry = true;
    import(f, "alice", 9, 0);
    look(f);
    assert_int_equal(f->l.n, 0);
    f->a.dry = false;
    import(f, "alice", 9, 0);
    f->a.dry = true;
    assert_int_equal(hs_auth_disable(&f->a, "alice", &f->diag), 0);
    assert_int_equal(hs_auth_remove(&f->a, "alice", &f->diag), 0);
    look(f);
    assert_int_equal(f->l.counted, 1);
}

static void one_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct hs_auth second;
    tor_service(f, HS_AUTH_CHANGE);
    assert_int_equal(hs_auth_open_ctor(&second, f->dir, HS_AUTH_CHANGE, &f->diag), NK_ELOCKED);
    hs_auth_close(&second);
    assert_int_equal(hs_auth_open_ctor(&second, f->dir, HS_AUTH_READ, &f->diag), 0);
    hs_auth_close(&second);
}

static void digests(void **state)
{
    struct fixture *f = *state;
    uint8_t one[HS_AUTH_DIGEST], two[HS_AUTH_DIGEST];
    tor_service(f, HS_AUTH_READ);
    look(f);
    assert_int_equal(hs_auth_digest(two, &f->l), 0);
    puts_file(f, HS_AUTH_DIR "/a.auth", LINE_A);
    look(f);
    assert_int_equal(hs_auth_digest(one, &f->l), 0);
    assert_memory_not_equal(one, two, sizeof(one));
    /* another name, another spelling, a double, a broken file: the same set */
    puts_file(f, HS_AUTH_DIR "/b.auth", LINE_A "\r\n");
    puts_file(f, HS_AUTH_DIR "/c.auth", "nonsense");
    look(f);
    assert_int_equal(hs_auth_digest(two, &f->l), 0);
    assert_memory_equal(one, two, sizeof(one));
    puts_file(f, HS_AUTH_DIR "/b.auth", LINE_B);
    look(f);
    assert_int_equal(hs_auth_digest(two, &f->l), 0);
    assert_memory_not_equal(one, two, sizeof(one));
}

/* --- arti ------------------------------------------------------------------------------------- */

static void two_levels_and_flat(void **state)
{
    struct fixture *f = *state;
    make_dir(f, HS_AUTH_DIR);
    make_dir(f, HS_AUTH_DIR "/alice");
    make_dir(f, HS_AUTH_DIR "/bob");
    make_dir(f, HS_AUTH_DIR "/carol");
    puts_file(f, HS_AUTH_DIR "/alice/" HS_AUTH_ARTI_FILE, ARTI_A);
    puts_file(f, HS_AUTH_DIR "/alice/alice.auth", LINE_B);
    puts_file(f, HS_AUTH_DIR "/bob/bob.auth", LINE_B);
    puts_file(f, HS_AUTH_DIR "/Dave.auth", LINE_B);
    assert_int_equal(hs_auth_open_arti(&f->a, f->dir, NULL, HS_AUTH_CHANGE, &f->diag), 0);
    look(f);
    assert_true(f->l.restricted);
    assert_int_equal(f->l.n, 3);
    assert_int_equal(f->l.counted, 2);
    assert_true(found(f, HS_WARNING, "the first one counts"));
    assert_true(found(f, HS_WARNING, "there is no key of a client in it"));
    assert_true(found(f, HS_WARNING, "the name 'Dave' has the character 'D'"));
    const struct hs_auth_client *alice = hs_auth_find(&f->l, "alice", 0);
    assert_int_equal(alice->pub[0], 9);
    assert_int_equal(hs_auth_disable(&f->a, "alice", &f->diag), 0);
    assert_true(there(f, HS_AUTH_DISABLED_DIR "/alice/" HS_AUTH_ARTI_FILE));
    assert_int_equal(hs_auth_remove(&f->a, "alice", &f->diag), 0);
    assert_false(there(f, HS_AUTH_DISABLED_DIR "/alice"));
    import(f, "erin", 9, 0);
    assert_true(there(f, HS_AUTH_DIR "/erin.auth"));
    assert_false(there(f, HS_AUTH_DIR "/" HS_AUTH_LOCK ".auth"));
}

static void arti_is_stricter(void **state)
{
    struct fixture *f = *state;
    make_dir(f, HS_AUTH_DIR);
    puts_file(f, HS_AUTH_DIR "/a.auth", SPACED_A);
    puts_file(f, HS_AUTH_DIR "/b.auth",
              "descriptor:x25519:bmaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");
    assert_int_equal(hs_auth_open_arti(&f->a, f->dir, NULL, HS_AUTH_READ, &f->diag), 0);
    look(f);
    assert_int_equal(f->l.counted, 0);
    assert_true(found(f, HS_WARNING, "spaces"));
    assert_true(found(f, HS_WARNING, "not zero"));
}

static void services_and_key_dirs(void **state)
{
    struct fixture *f = *state;
    make_dir(f, "hss");
    make_dir(f, "hss/web");
    make_dir(f, "keys");
    assert_int_equal(hs_auth_open_arti(&f->a, f->dir, "web", HS_AUTH_CHANGE, &f->diag), 0);
    import(f, "alice", 9, 0);
    assert_true(there(f, "hss/web/" HS_AUTH_DIR "/alice.auth"));
    hs_auth_close(&f->a);
    assert_int_equal(hs_auth_open_arti(&f->a, f->dir, "wbe", HS_AUTH_CHANGE, &f->diag), NK_EUSAGE);
    assert_int_equal(hs_auth_open_arti(&f->a, f->dir, "../x", HS_AUTH_CHANGE, &f->diag), NK_EUSAGE);
    assert_int_equal(hs_auth_open_key_dir(&f->a, path_of(f, "keys/"), HS_AUTH_CHANGE, &f->diag), 0);
    import(f, "bob", 11, 0);
    assert_int_equal(hs_auth_disable(&f->a, "bob", &f->diag), 0);
    assert_true(there(f, "keys-disabled/bob.auth"));
    hs_auth_close(&f->a);
    assert_int_equal(hs_auth_open_key_dir(&f->a, path_of(f, "none"), HS_AUTH_CHANGE, &f->diag),
                     -ENOENT);
    assert_int_equal(hs_auth_open_key_dir(&f->a, "/", HS_AUTH_CHANGE, &f->diag), NK_EUSAGE);
}

static void wrong_directories(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(hs_auth_open_ctor(&f->a, f->dir, HS_AUTH_CHANGE, &f->diag), NK_EUSAGE);
    assert_int_equal(hs_auth_open_arti(&f->a, f->dir, NULL, HS_AUTH_CHANGE, &f->diag), NK_EUSAGE);
    assert_int_equal(hs_auth_open_ctor(&f->a, path_of(f, "none"), HS_AUTH_READ, &f->diag), -ENOENT);
    assert_false(there(f, HS_AUTH_DIR));
}

/* --- without memory --------------------------------------------------------------------------- */

enum { WRONG = 1, SOME = 5 /* each change waits for the disk */ };

static void delete_clients(const struct fixture *f)
{
    static const char *const names[] = {HS_AUTH_DIR "/alice.auth", HS_AUTH_DIR "/bob.auth",
                                        HS_AUTH_DIR "/" HS_AUTH_LOCK ".auth",
                                        HS_AUTH_DISABLED_DIR "/alice.auth"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(path_of(f, names[i]));
    }
}

static int change_clients(void *arg)
{
    struct fixture *f = arg;
    uint8_t bob[HS_PUBLIC_KEY] = {11};
    struct hs_findings findings = {0};
    nk_torture_pause();
    delete_clients(f);
    puts_file(f, HS_AUTH_DIR "/alice.auth", LINE_A);
    nk_torture_resume();
    int rc = hs_auth_open_ctor(&f->a, f->dir, HS_AUTH_CHANGE, &f->diag);
    rc = rc < 0 ? rc : hs_auth_import(&f->a, "bob", bob, &f->diag);
    rc = rc < 0 ? rc : hs_auth_disable(&f->a, "alice", &f->diag);
    rc = rc < 0 ? rc : hs_auth_remove(&f->a, "bob", &f->diag);
    hs_auth_close(&f->a);
    /* wherever it stopped, the service is not open */
    nk_torture_pause();
    bool closed = hs_auth_open_ctor(&f->a, f->dir, HS_AUTH_READ, &f->diag) == 0 &&
                  hs_auth_list_read(&f->l, &f->a, &findings, &f->diag) == 0 && f->l.restricted;
    hs_auth_list_clear(&f->l);
    hs_findings_clear(&findings);
    hs_auth_close(&f->a);
    nk_torture_resume();
    return closed ? rc : WRONG;
}

static void changes_without_memory(void **state)
{
    struct fixture *f = *state;
    puts_file(f, "hostname", "x\n");
    make_dir(f, HS_AUTH_DIR);
    assert_true(nk_torture_sparse(change_clients, f, SOME) > 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int nk_test_hs_auth(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_that_tor_takes),
        TEST(files_that_tor_passes_over),
        TEST(entries_that_are_no_key_files),
        TEST(keys_that_shut_nobody_out),
        TEST(one_key_twice),
        TEST(files_that_tor_cannot_read),
        TEST(links_as_in_containers),
        TEST(imports),
        TEST(disabled_clients_keep_the_lock),
        TEST(a_public_service_stays_so),
        TEST(names_on_both_sides),
        TEST(a_broken_lock_is_mended),
        TEST(dry_runs),
        TEST(one_at_a_time),
        TEST(digests),
        TEST(two_levels_and_flat),
        TEST(arti_is_stricter),
        TEST(services_and_key_dirs),
        TEST(wrong_directories),
        TEST(changes_without_memory),
    };
    return cmocka_run_group_tests_name("hs/auth", tests, NULL, NULL);
}
