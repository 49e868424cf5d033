/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/onion.h"
#include "hs/check.h"
#include "hs/store_testkit.h"

int nk_test_hs_check(void);

enum {
    LINE_SIZE = 256,
    LATE = 2000000000, /* seconds since 1970: in 2033 */
};

#define SECRET "svc/hs_ed25519_secret_key"
#define PUBLIC "svc/hs_ed25519_public_key"
#define HOSTNAME "svc/hostname"

static enum hs_place_kind check(struct hs_testdir *d, const char *name, bool fix,
                                struct hs_findings *l)
{
    struct hs_check_conf conf = {.kind = HS_PLACE_DETECT, .fix = fix, .now = LATE};
    enum hs_place_kind kind = HS_PLACE_DETECT;
    char path[NK_PATH_MAX];
    hs_findings_clear(l);
    assert_int_equal(hs_check(hs_testdir_at(d, name, path), &conf, l, &kind, &d->diag), 0);
    assert_int_equal(hs_findings_end(l, &d->diag), 0);
    return kind;
}

/* A finding of that severity about a path with this end, with this text in its reason. */
static void expect(const struct hs_findings *l, enum hs_severity severity, const char *end,
                   const char *text)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct hs_finding *f = &l->v[i];
        size_t n = strlen(f->path), tail = strlen(end);
        if (f->severity == severity && n >= tail && strcmp(f->path + n - tail, end) == 0 &&
            strstr(f->reason, text)) {
            return;
        }
    }
    for (size_t i = 0; i < l->n; i++) {
        print_error("%s %s: %s\n", hs_severity_name(l->v[i].severity), l->v[i].path,
                    l->v[i].reason);
    }
    fail_msg("no %s about %s with '%s'", hs_severity_name(severity), end, text);
}

static void expect_nothing(const struct hs_findings *l)
{
    for (size_t i = 0; i < l->n; i++) {
        print_error("%s: %s\n", l->v[i].path, l->v[i].reason);
    }
    assert_int_equal(l->n, 0);
}

/* --- tor's directory of a service ------------------------------------------------------------- */

static void good_service(struct hs_testdir *d)
{
    hs_testdir_key(d, PUBLIC, &d->service, HS_CTOR_PUBLIC);
    hs_testdir_key(d, HOSTNAME, &d->service, HS_HOSTNAME);
    hs_testdir_key(d, SECRET, &d->service, HS_CTOR_SECRET);
}

static void drop(struct hs_testdir *d, const char *name)
{
    assert_int_equal(unlinkat(d->place.fd, name, 0), 0);
}

static void a_good_service(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    good_service(d);
    assert_int_equal(check(d, "svc", false, &l), HS_PLACE_SERVICE);
    expect_nothing(&l);
    /* reduced scalars are as good as clamped ones */
    uint8_t reduced[HS_EXPANDED];
    struct hs_identity k;
    struct hs_item item;
    hs_identity_reduced(reduced, &d->service.identity);
    assert_int_equal(hs_identity_from_expanded(&k, reduced, NULL), 0);
    hs_item_from_identity(&item, &k);
    hs_testdir_key(d, SECRET, &item, HS_CTOR_SECRET);
    check(d, "svc", false, &l);
    expect_nothing(&l);
    hs_findings_clear(&l);
}

static void broken_secret_keys(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    char key[97], text[NK_BASE64_SIZE(96)], wrong_tag[97];
    good_service(d);
    assert_int_equal(hs_testdir_get(d, SECRET, key, sizeof(key)), 96);
    nk_base64_encode(text, key, 96, true);
    memcpy(wrong_tag, key, 96);
    wrong_tag[3] = 'x';
    char longer[97];
    memcpy(longer, key, 96);
    longer[96] = '\n';
    char zero[96] = "== ed25519v1-secret: type0 ==";
    const struct {
        const char *bytes;
        size_t n;
        bool destroyed; /* without a public half */
    } rows[] = {
        {key, 95, true}, {longer, 97, true},     {key + 32, 64, true}, {text, strlen(text), true},
        {"", 0, true},   {wrong_tag, 96, false}, {zero, 96, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        hs_testdir_put(d, SECRET, rows[i].bytes, rows[i].n, 0600);
        hs_testdir_key(d, PUBLIC, &d->service, HS_CTOR_PUBLIC);
        check(d, "svc", false, &l);
        expect(&l, HS_ERROR, SECRET, "tor does not start with it");
        hs_testdir_put(d, PUBLIC, "junk", 4, 0600); /* is like none at all */
        check(d, "svc", false, &l);
        expect(&l, HS_ERROR, SECRET,
               rows[i].destroyed ? "overwrite this file" : "tor does not start");
        drop(d, PUBLIC);
        check(d, "svc", false, &l);
        expect(&l, HS_ERROR, SECRET,
               rows[i].destroyed ? "overwrite this file" : "tor does not start");
    }
    hs_findings_clear(&l);
}

static void halves_that_do_not_fit(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    struct hs_identity other;
    struct hs_item item;
    assert_int_equal(hs_identity_new(&other), 0);
    hs_item_from_identity(&item, &other);
    good_service(d);
    hs_testdir_key(d, PUBLIC, &item, HS_CTOR_PUBLIC);
    check(d, "svc", false, &l);
    expect(&l, HS_ERROR, PUBLIC, "not the public half");
    good_service(d);
    hs_testdir_key(d, HOSTNAME, &item, HS_HOSTNAME);
    check(d, "svc", false, &l);
    expect(&l, HS_WARNING, HOSTNAME, "another service's; tor corrects it");
    hs_testdir_put(d, HOSTNAME, "www.example.org\n", 16, 0600);
    check(d, "svc", false, &l);
    expect(&l, HS_WARNING, HOSTNAME, "tor writes it anew");
    good_service(d);
    hs_testdir_put(d, PUBLIC, "junk", 4, 0600);
    check(d, "svc", false, &l);
    expect(&l, HS_WARNING, PUBLIC, "tor writes it anew");
    drop(d, PUBLIC);
    check(d, "svc", false, &l);
    expect(&l, HS_WARNING, PUBLIC, "is missing");
    good_service(d);
    drop(d, SECRET);
    check(d, "svc", false, &l);
    expect(&l, HS_ERROR, SECRET, "tor does not start");
    drop(d, PUBLIC);
    check(d, "svc", false, &l);
    expect(&l, HS_WARNING, "svc", "makes a new identity");
    hs_findings_clear(&l);
}

static void other_files_of_a_service(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    good_service(d);
    hs_testdir_put(d, "svc/.netkit-0011223344556677.tmp", "x", 1, 0600);
    hs_testdir_put(d, "svc/private_key", "x", 1, 0600);
    hs_testdir_put(d, "svc/notes", "x", 1, 0600);
    hs_testdir_put(d, "svc/authorized_clients", "x", 1, 0600);
    assert_int_equal(symlinkat("notes", d->place.fd, "svc/ob_config"), 0);
    check(d, "svc", false, &l);
    expect(&l, HS_NOTE, ".tmp", "interrupted");
    expect(&l, HS_NOTE, "private_key", "2021");
    expect(&l, HS_NOTE, "notes", "nothing that tor knows");
    expect(&l, HS_ERROR, "authorized_clients", "is no directory");
    drop(d, SECRET);
    assert_int_equal(symlinkat("notes", d->place.fd, SECRET), 0);
    check(d, "svc", false, &l);
    expect(&l, HS_ERROR, SECRET, "symbolic link");
    hs_findings_clear(&l);
}

static void modes(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    struct stat st;
    good_service(d);
    assert_int_equal(fchownat(d->place.fd, "svc", (uid_t)-1, 54321, 0), 0);
    assert_int_equal(fchownat(d->place.fd, SECRET, (uid_t)-1, 54321, 0), 0);
    assert_int_equal(fchmodat(d->place.fd, "svc", 0750, 0), 0);
    assert_int_equal(fchmodat(d->place.fd, SECRET, 0666, 0), 0);
    check(d, "svc", false, &l);
    expect(&l, HS_ERROR, "svc", "0750: others can get in");
    expect(&l, HS_ERROR, SECRET, "0666: others can write");
    check(d, "svc", true, &l);
    assert_int_equal(l.count[HS_ERROR], 0);
    expect(&l, HS_NOTE, "svc", "is 0700 now");
    assert_int_equal(fstatat(d->place.fd, SECRET, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    if (geteuid() == 0) { /* whose own group is excused by arti, and not by tor */
        assert_int_equal(fchownat(d->place.fd, "svc", 0, 0, 0), 0);
        assert_int_equal(fchmodat(d->place.fd, "svc", 0750, 0), 0);
        check(d, "svc", false, &l);
        expect(&l, HS_WARNING, "svc", "0750: tor does not start");
    }
    hs_findings_clear(&l);
}

/* --- authorised clients ----------------------------------------------------------------------- */

static void put_text(struct hs_testdir *d, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void put_text(struct hs_testdir *d, const char *name, const char *fmt, ...)
{
    char text[2 * LINE_SIZE];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    hs_testdir_put(d, name, text, (size_t)n, 0600);
}

static void upper(char *s)
{
    for (; *s; s++) {
        if (*s >= 'a' && *s <= 'z') {
            *s = (char)(*s - 'a' + 'A');
        }
    }
}

#define CLIENT "svc/authorized_clients/alice.auth"

/* Rows of what tor makes of a file, each as the only one. */
static void authorised_clients(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    char key[NK_BASE32_SIZE(32)], big[NK_BASE32_SIZE(32)], bits[NK_BASE32_SIZE(32)], zero[53];
    nk_base32_encode(key, d->client.client.pub, HS_PUBLIC_KEY);
    memcpy(big, key, sizeof(big));
    upper(big);
    memcpy(bits, key, sizeof(bits));
    bits[51] = (char)(bits[51] == '2' ? '3' : bits[51] + 1); /* the last has 4 bits too many */
    memset(zero, 'a', 52);
    zero[52] = '\0';
    good_service(d);
    const struct {
        const char *before, *key, *after;
        enum hs_severity severity;
        const char *text; /* NULL: nothing to say */
    } rows[] = {
        {"descriptor:x25519:", key, "", HS_NOTE, NULL},
        {"descriptor:x25519:", big, "\n", HS_NOTE, NULL},
        {"descriptor:x25519:", key, "\r\n", HS_NOTE, NULL},
        {"descriptor : x25519 : ", key, "\n", HS_WARNING, "arti refuses it"},
        {"descriptor:x25519:", bits, "\n", HS_WARNING, "arti refuses it"},
        {"descriptor:x25519:", zero, "\n", HS_ERROR, "cannot get in"},
        {"descriptor:x25519:", key, "====", HS_ERROR, "cannot get in"},
        {"descriptor:x25519:", key + 1, "\n", HS_ERROR, "cannot get in"},
        {"descriptor:x25519:1", key + 1, "\n", HS_ERROR, "cannot get in"},
        {"Descriptor:x25519:", key, "\n", HS_ERROR, "cannot get in"},
        {"descriptor:X25519:", key, "\n", HS_ERROR, "cannot get in"},
        {"# alice\ndescriptor:x25519:", key, "\n", HS_ERROR, "cannot get in"},
        {"descriptor:x25519:", key, "\ndescriptor:x25519:\n", HS_ERROR, "cannot get in"},
        {"", "", "", HS_ERROR, "cannot get in"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_text(d, CLIENT, "%s%s%s", rows[i].before, rows[i].key, rows[i].after);
        check(d, "svc", false, &l);
        if (!rows[i].text) {
            expect_nothing(&l);
            continue;
        }
        expect(&l, rows[i].severity, CLIENT, rows[i].text);
        if (rows[i].severity == HS_ERROR) {
            expect(&l, HS_ERROR, "authorized_clients", "open to EVERYBODY");
        } else {
            assert_int_equal(l.count[HS_ERROR], 0);
        }
    }
    hs_findings_clear(&l);
}

static void files_of_authorised_clients(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    good_service(d);
    hs_testdir_put(d, "svc/authorized_clients/bob.auth.disabled", "x", 1, 0600);
    check(d, "svc", false, &l);
    expect(&l, HS_WARNING, ".disabled", "does not end in .auth");
    expect(&l, HS_WARNING, "authorized_clients", "open to EVERYBODY");
    hs_testdir_key(d, CLIENT, &d->client, HS_AUTH);
    hs_testdir_key(d, "svc/authorized_clients/Bob@home.auth", &d->client, HS_AUTH);
    hs_testdir_put(d, "svc/authorized_clients/dir.auth/x", "x", 1, 0600);
    assert_int_equal(fchmodat(d->place.fd, CLIENT, 0666, 0), 0);
    assert_int_equal(check(d, "svc/authorized_clients", false, &l), HS_PLACE_AUTHORIZED);
    expect(&l, HS_WARNING, "Bob@home.auth", "no nickname of arti");
    expect(&l, HS_WARNING, "alice.auth", "is the same as in Bob@home.auth");
    expect(&l, HS_ERROR, "alice.auth", "others can write");
    expect(&l, HS_ERROR, "dir.auth", "directory");
    hs_findings_clear(&l);
}

static void very_many_clients(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    for (int i = 0; i < 161; i++) {
        char name[64];
        struct hs_client k;
        struct hs_item item;
        assert_int_equal(hs_client_new(&k), 0);
        hs_item_from_client(&item, &k, NULL);
        snprintf(name, sizeof(name), "many/c%d.auth", i);
        hs_testdir_key(d, name, &item, HS_AUTH);
        if (i == 159) {
            check(d, "many", false, &l);
            expect_nothing(&l);
        }
    }
    check(d, "many", false, &l);
    expect(&l, HS_WARNING, "many", "161 clients");
    hs_findings_clear(&l);
}

/* --- a client's keys -------------------------------------------------------------------------- */

static void client_keys(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    char key[NK_BASE32_SIZE(32)], zero[53], address[NK_ONION_SIZE], wrong[57], big[57];
    nk_base32_encode(key, d->client.client.secret, HS_CLIENT_SECRET);
    nk_onion_format(address, d->client.address);
    address[NK_ONION_LABEL] = '\0';
    memcpy(wrong, address, sizeof(wrong));
    wrong[53] = wrong[53] == 'a' ? 'b' : 'a'; /* within the checksum */
    memcpy(big, address, sizeof(big));
    upper(big);
    memset(zero, 'a', 52);
    zero[52] = '\0';
    const struct {
        const char *address, *words, *key, *after;
        enum hs_severity severity;
        const char *text;
    } rows[] = {
        {address, ":descriptor:x25519:", key, "", HS_NOTE, NULL},
        {address, ":descriptor:x25519:", key, "\n", HS_NOTE, NULL},
        {address, ":descriptor:x25519:", key, "\r\n", HS_NOTE, NULL},
        {address, ".onion:descriptor:x25519:", key, "\n", HS_WARNING, "tor cuts it off"},
        {big, ":descriptor:x25519:", key, "\n", HS_WARNING, "under this spelling only"},
        {wrong, ":descriptor:x25519:", key, "\n", HS_ERROR, "takes it for"},
        {address, ":x25519:", key, "\n", HS_ERROR, "passes over"},
        {address, ":Descriptor:x25519:", key, "\n", HS_ERROR, "passes over"},
        {address, ":descriptor:x25519:", key + 1, "\n", HS_ERROR, "passes over"},
        {address, ":descriptor:x25519:", zero, "\n", HS_ERROR, "passes over"},
        {"", "", "", "", HS_ERROR, "passes over"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_text(d, "auth/x.auth_private", "%s%s%s%s", rows[i].address, rows[i].words, rows[i].key,
                 rows[i].after);
        assert_int_equal(check(d, "auth", false, &l), HS_PLACE_CLIENTS);
        if (rows[i].text) {
            expect(&l, rows[i].severity, "x.auth_private", rows[i].text);
        } else {
            expect_nothing(&l);
        }
    }
    /* twins: also when only tor takes them for the same */
    hs_testdir_key(d, "auth/a.auth_private", &d->client, HS_AUTH_PRIVATE);
    hs_testdir_key(d, "auth/b.txt", &d->client, HS_AUTH_PRIVATE);
    check(d, "auth", false, &l);
    assert_int_equal(l.count[HS_ERROR], 1); /* x is empty */
    expect(&l, HS_WARNING, "b.txt", "tor ignores it");
    const char *const same[] = {address, wrong, big};
    for (size_t i = 0; i < 3; i++) {
        put_text(d, "auth/x.auth_private", "%s:descriptor:x25519:%s\n", same[i], key);
        check(d, "auth", false, &l);
        expect(&l, HS_ERROR, "x.auth_private", "same service as a.auth_private");
    }
    hs_findings_clear(&l);
}

/* --- arti's keystore -------------------------------------------------------------------------- */

#define ID "keystore/hss/web/ks_hs_id.ed25519_expanded_private"

static void a_good_keystore(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    struct hs_item seed;
    struct hs_identity k;
    char address[NK_ONION_SIZE], name[NK_PATH_MAX];
    hs_testdir_key(d, ID, &d->service, HS_ARTI_PRIVATE);
    hs_testdir_key(d, "keystore/hss/web/kp_hs_id.ed25519_public", &d->service, HS_ARTI_PUBLIC);
    assert_int_equal(hs_identity_new(&k), 0);
    hs_item_from_identity(&seed, &k);
    hs_testdir_key(d, "keystore/hss/web/ks_hs_desc_sign+30000_1440_43200.ed25519_private", &seed,
                   HS_OPENSSH);
    nk_onion_format(address, d->client.address);
    snprintf(name, sizeof(name), "keystore/client/%.56s/ks_hsc_desc_enc.x25519_private", address);
    hs_testdir_key(d, name, &d->client, HS_ARTI_PRIVATE);
    assert_int_equal(fchmodat(d->place.fd, name, 0644, 0), 0); /* fine in a 0700 directory */
    assert_int_equal(check(d, "keystore", false, &l), HS_PLACE_KEYSTORE);
    expect_nothing(&l);
    assert_int_equal(check(d, ".", false, &l), HS_PLACE_KEYSTORE); /* arti's state directory */
    expect_nothing(&l);
    hs_findings_clear(&l);
}

static void keystore_entries(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    struct hs_identity k;
    struct hs_item other;
    char address[NK_ONION_SIZE], name[NK_PATH_MAX];
    assert_int_equal(hs_identity_new(&k), 0);
    hs_item_from_identity(&other, &k);
    hs_testdir_key(d, ID, &d->service, HS_ARTI_PRIVATE);
    hs_testdir_key(d, "keystore/hss/web/kp_hs_id.ed25519_public", &other, HS_ARTI_PUBLIC);
    hs_testdir_key(d, "keystore/hss/copy/ks_hs_id.ed25519_expanded_private", &d->service,
                   HS_ARTI_PRIVATE);
    hs_testdir_key(d, "keystore/hss/web/ks_hs_blind_id+100_1440_43200.ed25519_expanded_private",
                   &other, HS_ARTI_PRIVATE);
    hs_testdir_key(d, "keystore/hss/lost/ks_hs_desc_sign+30000_1440_43200.ed25519_private", &other,
                   HS_OPENSSH);
    hs_testdir_key(d, "keystore/hss/kind/ks_hs_id.ed25519_expanded_private", &d->client,
                   HS_ARTI_PRIVATE);
    hs_testdir_put(d, "keystore/hss/web/unrecognized-entry", "x", 1, 0600);
    hs_testdir_put(d, "keystore/hss/web/x.tmp", "x", 1, 0600);
    hs_testdir_put(d, "keystore/hss/web/.netkit-0011223344556677.tmp", "x", 1, 0600);
    hs_testdir_put(d, "keystore/relay/ks_relayid_rsa.rsa_private", "x", 1, 0600);
    nk_onion_format(address, d->client.address);
    snprintf(name, sizeof(name), "keystore/client/bob/%.56s/ks_hsc_desc_enc.x25519_private",
             address);
    hs_testdir_key(d, name, &d->client, HS_ARTI_PRIVATE);
    snprintf(name, sizeof(name), "keystore/client/%.56s/ks_hsc_desc_enc.x25519_private", address);
    hs_testdir_key(d, name, &d->client, HS_ARTI_PRIVATE);
    check(d, "keystore", false, &l);
    expect(&l, HS_ERROR, "web/kp_hs_id.ed25519_public", "not the public half");
    expect(&l, HS_WARNING, "ks_hs_id.ed25519_expanded_private", "same identity");
    expect(&l, HS_NOTE, "ks_hs_blind_id+100_1440_43200.ed25519_expanded_private", "100 is over");
    expect(&l, HS_WARNING, "hss/lost", "no identity");
    expect(&l, HS_ERROR, "hss/kind/ks_hs_id.ed25519_expanded_private", "");
    expect(&l, HS_WARNING, "unrecognized-entry", "arti does not recognize it");
    expect(&l, HS_NOTE, "x.tmp", "interrupted");
    expect(&l, HS_NOTE, ".netkit-0011223344556677.tmp", "interrupted");
    expect(&l, HS_NOTE, "rsa_private", "does not know");
    expect(&l, HS_WARNING, "ks_hsc_desc_enc.x25519_private", "old design");
    expect(&l, HS_WARNING, "ks_hsc_desc_enc.x25519_private", "same service");
    hs_findings_clear(&l);
}

/* arti reads lines of 70 columns only. */
static void width_of_lines(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    char text[1024], wide[2048];
    size_t n = 0, column = 0;
    hs_testdir_key(d, ID, &d->service, HS_ARTI_PRIVATE);
    hs_testdir_get(d, ID, text, sizeof(text));
    const char *body = strchr(text, '\n') + 1, *end = strstr(text, "-----END");
    n = (size_t)(body - text);
    memcpy(wide, text, n);
    for (const char *p = body; p < end; p++) {
        if (*p != '\n') {
            wide[n++] = *p;
            if (++column % 64 == 0) {
                wide[n++] = '\n';
            }
        }
    }
    wide[n++] = '\n';
    memcpy(wide + n, end, strlen(end));
    hs_testdir_put(d, ID, wide, n + strlen(end), 0600);
    check(d, "keystore", false, &l);
    expect(&l, HS_ERROR, ID, "not of 70 columns");
    hs_findings_clear(&l);
}

/* --- files, and what is nothing --------------------------------------------------------------- */

static void single_files(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    hs_testdir_key(d, "k.auth_private", &d->client, HS_AUTH_PRIVATE);
    assert_int_equal(check(d, "k.auth_private", false, &l), HS_PLACE_FILE);
    expect(&l, HS_NOTE, "k.auth_private", "ADDRESS:descriptor");
    hs_testdir_put(d, "k.auth_private", "junk", 4, 0600);
    check(d, "k.auth_private", false, &l);
    expect(&l, HS_ERROR, "k.auth_private", "");
    char key[NK_BASE32_SIZE(32)];
    nk_base32_encode(key, d->client.client.pub, HS_PUBLIC_KEY);
    put_text(d, "k.auth", "descriptor: x25519:%s", key);
    check(d, "k.auth", false, &l);
    expect(&l, HS_WARNING, "k.auth", "arti refuses it");
    hs_findings_clear(&l);
}

static void what_is_nothing(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_findings l = {0};
    struct hs_check_conf conf = {.kind = HS_PLACE_DETECT};
    char path[NK_PATH_MAX];
    hs_testdir_put(d, "dir/readme", "x", 1, 0600);
    hs_testdir_at(d, "dir", path);
    assert_int_equal(hs_check(path, &conf, &l, NULL, &d->diag), NK_EUSAGE);
    conf.kind = HS_PLACE_CLIENTS;
    assert_int_equal(hs_check(path, &conf, &l, NULL, &d->diag), 0);
    hs_testdir_at(d, "none", path);
    assert_int_equal(hs_check(path, &conf, &l, NULL, &d->diag), -ENOENT);
    hs_testdir_at(d, "dir/readme", path);
    assert_int_equal(hs_check(path, &conf, &l, NULL, &d->diag), NK_EUSAGE);
    hs_findings_clear(&l);
}

int nk_test_hs_check(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, hs_testdir_open, hs_testdir_close)
    const struct CMUnitTest tests[] = {
        TEST(a_good_service),
        TEST(broken_secret_keys),
        TEST(halves_that_do_not_fit),
        TEST(other_files_of_a_service),
        TEST(modes),
        TEST(authorised_clients),
        TEST(files_of_authorised_clients),
        TEST(very_many_clients),
        TEST(client_keys),
        TEST(a_good_keystore),
        TEST(keystore_entries),
        TEST(width_of_lines),
        TEST(single_files),
        TEST(what_is_nothing),
    };
#undef TEST
    return cmocka_run_group_tests_name("hs/check", tests, NULL, NULL);
}
