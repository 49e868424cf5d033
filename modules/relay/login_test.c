/* SPDX-License-Identifier: MIT */
/* Both sides of a login against each other, and against somebody in between. */
#include "relay/login_client.h"
#include "relay/login_server.h"
#include "relay/stretch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

static const struct relay_stretch_params cheap = {
    .salt = "0123456789abcde", .mem_kib = RELAY_STRETCH_KIB_MIN, .passes = 1};
static const uint8_t exporter_one[RELAY_LOGIN_EXPORTER] = "one", exporter_two[32] = "two";
static const struct relay_peer stranger = {.uid = -1, .own_uid = 1000};

static struct nk_secret secret_of(const char *text)
{
    struct nk_secret s = {0};
    assert_int_equal(nk_secret_set(&s, text, strlen(text)), 0);
    return s;
}

static struct relay_identity *add(struct relay_identities *set, const char *name, const char *pw)
{
    struct relay_identity *id;
    assert_int_equal(relay_identities_add(set, name, &id, NULL), 0);
    if (pw) {
        struct nk_secret s = secret_of(pw);
        assert_int_equal(relay_identity_password(set, id, &s, NULL), 0);
    }
    return id;
}

static struct relay_identities *stretched(struct relay_identities *set)
{
    assert_int_equal(relay_identities_stretch(set), 0);
    return set;
}

static struct relay_identities *one_password(const char *pw)
{
    struct relay_identities *set = relay_identities_new(&cheap);
    add(set, RELAY_IDENTITY_DEFAULT, pw);
    return stretched(set);
}

/* --- a pair ----------------------------------------------------------------------------------- */

struct pair {
    struct relay_login_server server;
    struct relay_login_client client;
    struct nk_secret password, key;
    struct nk_diag diag;
    int server_rc, client_rc;
};

/* What may happen to a message on its way: returns its new length. */
typedef size_t mangle_fn(uint8_t *p, size_t n, uint32_t step, void *arg);

static void pair_begin(struct pair *p, struct relay_identities *set, const char *password,
                       const uint8_t *server_exporter, struct relay_login_client_conf conf)
{
    memset(p, 0, sizeof(*p));
    relay_login_server_init(&p->server, set, server_exporter, &stranger);
    if (password) {
        p->password = secret_of(password);
        conf.password = &p->password;
    }
    relay_login_client_init(&p->client, &conf);
}

static void pair_end(struct pair *p)
{
    relay_login_client_clear(&p->client);
    relay_login_server_clear(&p->server);
    nk_secret_clear(&p->password);
    nk_secret_clear(&p->key);
}

static void stretch_client(struct pair *p)
{
    uint8_t prs[RELAY_LOGIN_PRS];
    assert_int_equal(
        relay_stretch(&p->client.challenge.stretch, p->password.data, p->password.len, prs), 0);
    p->client_rc = relay_login_client_stretched(&p->client, prs, &p->diag);
}

static void pair_run(struct pair *p, mangle_fn *mangle, void *arg)
{
    uint8_t message[RELAY_LOGIN_MESSAGE_MAX];
    bool skip = relay_login_server_implicit(&p->server);
    p->client_rc = relay_login_client_challenge(
        &p->client, relay_login_server_challenge(&p->server), skip, &p->diag);
    if (p->client_rc == RELAY_LOGIN_STRETCH) {
        stretch_client(p);
    }
    while (p->client_rc == RELAY_LOGIN_SEND) {
        size_t n = p->client.out_len;
        memcpy(message, p->client.out, n);
        n = mangle ? mangle(message, n, p->client.out_step, arg) : n;
        p->server_rc = relay_login_server_step(&p->server, p->client.out_step, message, n);
        if (p->server_rc != RELAY_LOGIN_SEND) {
            break;
        }
        n = p->server.out_len;
        memcpy(message, p->server.out, n);
        n = mangle ? mangle(message, n, p->server.out_step, arg) : n;
        p->client_rc =
            relay_login_client_step(&p->client, p->server.out_step, message, n, &p->diag);
    }
    if (p->server_rc == RELAY_LOGIN_DONE && p->client_rc >= 0) {
        p->client_rc = relay_login_client_welcome(&p->client, &p->diag);
    }
}

static void assert_in(const struct pair *p, enum relay_login_method method, const char *name,
                      enum relay_trust trust)
{
    assert_int_equal(p->server_rc, RELAY_LOGIN_DONE);
    assert_int_equal(p->client_rc, 0);
    assert_int_equal(p->server.state, RELAY_LOGIN_SERVER_IN);
    assert_int_equal(p->server.method, method);
    assert_string_equal(p->server.identity, name);
    assert_int_equal(p->client.trust, trust);
}

/* --- password --------------------------------------------------------------------------------- */

static const struct relay_login_client_conf unknown_relay = {.exporter = exporter_one};

static void test_password(void **state)
{
    (void)state;
    struct relay_identities *set = one_password("correct horse");
    struct pair p;
    pair_begin(&p, set, "correct horse", exporter_one, unknown_relay);
    pair_run(&p, NULL, NULL);
    assert_in(&p, RELAY_LOGIN_PASSWORD, RELAY_IDENTITY_DEFAULT, RELAY_TRUST_PASSWORD);
    pair_end(&p);
    struct relay_login_client_conf plain = {.trust = RELAY_TRUST_LOCAL};
    pair_begin(&p, set, "correct horse", NULL, plain);
    pair_run(&p, NULL, NULL);
    assert_in(&p, RELAY_LOGIN_PASSWORD, RELAY_IDENTITY_DEFAULT, RELAY_TRUST_PASSWORD);
    pair_end(&p);
    relay_identities_unref(set);
}

static void assert_refused(struct pair *p, int client_rc)
{
    assert_int_equal(p->client_rc, client_rc);
    assert_int_not_equal(p->server.state, RELAY_LOGIN_SERVER_IN);
    assert_int_equal(p->client.trust, RELAY_TRUST_NONE);
    assert_int_equal(p->client.out_len, 0); /* nothing left to be sent */
    assert_true(p->diag.text[0]);
}

static void test_wrong_password(void **state)
{
    (void)state;
    struct relay_identities *set = one_password("correct horse");
    struct pair p;
    pair_begin(&p, set, "correct horsf", exporter_one, unknown_relay);
    pair_run(&p, NULL, NULL);
    assert_refused(&p, NK_EAUTH);
    /* a client that goes on all the same */
    uint8_t confirm[2 + RELAY_CPACE_TAG] = {RELAY_LOGIN_PASSWORD, 0};
    assert_int_equal(relay_login_server_step(&p.server, 3, confirm, sizeof(confirm)), NK_EAUTH);
    assert_int_equal(p.server.state, RELAY_LOGIN_SERVER_OUT);
    assert_string_equal(p.server.why, "wrong password");
    assert_int_equal(relay_login_server_step(&p.server, 3, confirm, sizeof(confirm)), NK_EPROTO);
    pair_end(&p);
    relay_identities_unref(set);
}

/* Somebody in between has two TLS connections, with different exporters; he passes everything on.
 */
static void test_man_in_the_middle(void **state)
{
    (void)state;
    struct relay_identities *set = one_password("correct horse");
    struct pair p;
    pair_begin(&p, set, "correct horse", exporter_two, unknown_relay);
    pair_run(&p, NULL, NULL);
    assert_refused(&p, NK_EAUTH);
    pair_end(&p);
    /* a client on a plain socket, whose nonce is the exporter of a TLS connection to the relay */
    struct relay_login_client_conf plain = {.trust = RELAY_TRUST_LOCAL};
    pair_begin(&p, set, "correct horse", exporter_two, plain);
    memcpy(p.server.challenge.nonce, exporter_two, sizeof(exporter_two));
    pair_run(&p, NULL, NULL);
    assert_refused(&p, NK_EAUTH);
    pair_end(&p);
    relay_identities_unref(set);
}

/* --- messages that were changed --------------------------------------------------------------- */

struct change {
    uint32_t step;
    size_t at;
    size_t cut; /* new length, or SIZE_MAX */
};

static size_t change_message(uint8_t *p, size_t n, uint32_t step, void *arg)
{
    const struct change *c = arg;
    if (step != c->step) {
        return n;
    }
    if (c->cut != SIZE_MAX) {
        assert_true(c->cut < n);
        return c->cut;
    }
    p[c->at] ^= 1;
    return n;
}

static size_t length_of_step(uint32_t step)
{
    return step == 1   ? 1 + RELAY_CPACE_SHARE + 1
           : step == 2 ? 1 + RELAY_LOGIN_ANSWER
                       : 2 + RELAY_CPACE_TAG;
}

static void run_changed(struct relay_identities *set, struct change *c)
{
    struct pair p;
    pair_begin(&p, set, "correct horse", exporter_one, unknown_relay);
    pair_run(&p, change_message, c);
    assert_int_not_equal(p.server.state, RELAY_LOGIN_SERVER_IN);
    assert_true(p.client_rc < 0 || p.server_rc < 0);
    if (c->step < 3) {
        assert_int_not_equal(p.client.trust, RELAY_TRUST_PASSWORD);
    }
    pair_end(&p);
}

/* Every byte of every message matters, and every length but the right one is refused. */
static void test_changed_messages(void **state)
{
    (void)state;
    struct relay_identities *set = one_password("correct horse");
    for (uint32_t step = 1; step <= 3; step++) {
        for (size_t at = 0; at < length_of_step(step); at += step == 2 ? 5 : 3) {
            run_changed(set, &(struct change){.step = step, .at = at, .cut = SIZE_MAX});
        }
    }
    relay_identities_unref(set);
}

static void test_truncated_messages(void **state)
{
    (void)state;
    struct relay_identities *set = one_password("correct horse");
    struct pair p;
    pair_begin(&p, set, "correct horse", exporter_one, unknown_relay);
    pair_run(&p, NULL, NULL);
    assert_int_equal(p.client_rc, 0);
    pair_end(&p);
    uint8_t zeros[RELAY_LOGIN_MESSAGE_MAX + 8] = {RELAY_LOGIN_PASSWORD};
    for (size_t n = 0; n <= sizeof(zeros); n++) {
        if (n != length_of_step(1)) {
            struct relay_login_server s;
            relay_login_server_init(&s, set, exporter_one, &stranger);
            assert_int_equal(relay_login_server_step(&s, 1, zeros, n), NK_EPROTO);
            relay_login_server_clear(&s);
        }
    }
    for (uint32_t step = 2; step <= 3; step++) {
        for (size_t n = 0; n < length_of_step(step); n += 13) {
            run_changed(set, &(struct change){.step = step, .cut = n});
        }
    }
    relay_identities_unref(set);
}

/* The client's own messages sent back to it, and the relay's to it. */
static void test_reflection(void **state)
{
    (void)state;
    struct relay_identities *set = one_password("correct horse");
    struct pair p;
    pair_begin(&p, set, "correct horse", exporter_one, unknown_relay);
    assert_int_equal(relay_login_client_challenge(
                         &p.client, relay_login_server_challenge(&p.server), false, &p.diag),
                     RELAY_LOGIN_STRETCH);
    stretch_client(&p);
    uint8_t mirror[1 + RELAY_LOGIN_ANSWER] = {RELAY_LOGIN_PASSWORD};
    memcpy(mirror + 1, p.client.out + 1, RELAY_CPACE_SHARE);
    p.client_rc = relay_login_client_step(&p.client, 2, mirror, sizeof(mirror), &p.diag);
    assert_refused(&p, NK_EAUTH);
    pair_end(&p);
    /* two clients of the same password against each other: neither is a relay */
    struct pair q;
    pair_begin(&q, set, "correct horse", exporter_one, unknown_relay);
    uint8_t first[64];
    relay_login_client_challenge(&q.client, relay_login_server_challenge(&q.server), false,
                                 &q.diag);
    stretch_client(&q);
    memcpy(first, q.client.out, q.client.out_len);
    assert_int_equal(relay_login_server_step(&q.server, 1, first, q.client.out_len),
                     RELAY_LOGIN_SEND);
    uint8_t back[2 + RELAY_CPACE_TAG] = {RELAY_LOGIN_PASSWORD, 0};
    memcpy(back + 2, q.server.out + 1 + RELAY_CPACE_SHARE, RELAY_CPACE_TAG); /* Tb as Ta */
    assert_int_equal(relay_login_server_step(&q.server, 3, back, sizeof(back)), NK_EAUTH);
    pair_end(&q);
    relay_identities_unref(set);
}

static void test_out_of_turn(void **state)
{
    (void)state;
    struct relay_identities *set = one_password("correct horse");
    struct pair p;
    pair_begin(&p, set, "correct horse", exporter_one, unknown_relay);
    uint8_t message[2 + RELAY_CPACE_TAG] = {RELAY_LOGIN_PASSWORD};
    assert_int_equal(relay_login_server_step(&p.server, 3, message, sizeof(message)), NK_EPROTO);
    assert_int_equal(relay_login_server_step(&p.server, 1, message, 34), NK_EPROTO);
    assert_int_equal(relay_login_client_welcome(&p.client, &p.diag), NK_EPROTO);
    assert_int_equal(relay_login_client_step(&p.client, 2, message, sizeof(message), &p.diag),
                     NK_EPROTO);
    pair_end(&p);
    pair_begin(&p, set, "correct horse", exporter_one, unknown_relay);
    uint8_t prs[RELAY_LOGIN_PRS] = {0};
    assert_int_equal(relay_login_client_stretched(&p.client, prs, &p.diag), NK_EPROTO);
    pair_end(&p);
    relay_identities_unref(set);
}

/* --- rotation and identities ------------------------------------------------------------------ */

static void log_in_as(struct relay_identities *set, const char *pw, const char *identity,
                      const char *want)
{
    struct pair p;
    struct relay_login_client_conf conf = unknown_relay;
    conf.identity = identity;
    pair_begin(&p, set, pw, exporter_one, conf);
    pair_run(&p, NULL, NULL);
    if (want) {
        assert_in(&p, RELAY_LOGIN_PASSWORD, want, RELAY_TRUST_PASSWORD);
    } else {
        assert_refused(&p, NK_EAUTH);
    }
    pair_end(&p);
}

static void test_candidates(void **state)
{
    (void)state;
    struct relay_identities *set = relay_identities_new(&cheap);
    add(set, "default", "the old one");
    add(set, "default", "the new one");
    add(set, "alice", "alice's own");
    add(set, "bob", "bob's own");
    add(set, "carol", "carol's own, the fifth");
    stretched(set);
    log_in_as(set, "the old one", NULL, "default");
    log_in_as(set, "the new one", NULL, "default");
    log_in_as(set, "bob's own", NULL, "bob");
    log_in_as(set, "carol's own, the fifth", NULL, NULL); /* more than four: say who you are */
    log_in_as(set, "carol's own, the fifth", "carol", "carol");
    log_in_as(set, "alice's own", "bob", NULL);
    log_in_as(set, "alice's own", "nobody", NULL);
    relay_identities_unref(set);
}

/* --- keys, certificates, uids ----------------------------------------------------------------- */

static const char *make_key(struct pair *p, char text[65])
{
    uint8_t pk[crypto_sign_PUBLICKEYBYTES];
    assert_int_equal(nk_secret_alloc(&p->key, crypto_sign_SECRETKEYBYTES), 0);
    crypto_sign_keypair(pk, p->key.data);
    sodium_bin2hex(text, 65, pk, sizeof(pk));
    return text;
}

/* Logs in with p's key over these two exporters, with a relay that is trusted by its pin. */
static void run_key(struct pair *p, struct relay_identities *set, const uint8_t *server_exporter,
                    const char *identity, mangle_fn *mangle, void *arg)
{
    struct nk_secret key = p->key;
    struct relay_login_client_conf conf = {
        .exporter = exporter_one, .identity = identity, .trust = RELAY_TRUST_PIN};
    pair_begin(p, set, NULL, server_exporter, conf);
    p->key = key;
    p->client.conf.key = &p->key;
    pair_run(p, mangle, arg);
    p->key = (struct nk_secret){0};
    pair_end(p);
    p->key = key;
}

static size_t spoil_any(uint8_t *bytes, size_t n, uint32_t step, void *arg)
{
    (void)step;
    bytes[*(size_t *)arg] ^= 0x10;
    return n;
}

static void test_key(void **state)
{
    (void)state;
    char text[65];
    struct pair p = {0};
    struct relay_identities *set = relay_identities_new(&cheap);
    struct relay_identity *robot = add(set, "robot", NULL);
    assert_int_equal(relay_identity_key(set, robot, make_key(&p, text), NULL), 0);
    add(set, "other", NULL);
    run_key(&p, set, exporter_one, NULL, NULL, NULL);
    assert_int_equal(p.server_rc, RELAY_LOGIN_DONE);
    run_key(&p, set, exporter_one, "robot", NULL, NULL);
    assert_int_equal(p.server_rc, RELAY_LOGIN_DONE);
    run_key(&p, set, exporter_one, "other", NULL, NULL);
    assert_int_equal(p.server_rc, NK_EAUTH);
    run_key(&p, set, exporter_two, NULL, NULL, NULL); /* passed on by somebody in between */
    assert_int_equal(p.server_rc, NK_EAUTH);
    for (size_t at = 2; at < 2 + 32 + 64; at += 7) {
        run_key(&p, set, exporter_one, NULL, spoil_any, &at);
        assert_int_equal(p.server_rc, NK_EAUTH);
    }
    nk_secret_clear(&p.key);
    make_key(&p, text); /* a key that nobody has */
    run_key(&p, set, exporter_one, NULL, NULL, NULL);
    assert_int_equal(p.server_rc, NK_EAUTH);
    nk_secret_clear(&p.key);
    relay_identities_unref(set);
}

static int implicit_as(struct relay_identities *set, const struct relay_peer *peer,
                       const uint8_t *exporter, const char *want, unsigned method)
{
    struct relay_login_server s;
    relay_login_server_init(&s, set, exporter, peer);
    uint8_t message[1] = {(uint8_t)method};
    int rc = relay_login_server_step(&s, 1, message, 1);
    if (rc == RELAY_LOGIN_DONE) {
        assert_string_equal(s.identity, want);
        assert_int_equal(s.method, method);
    }
    relay_login_server_clear(&s);
    relay_login_server_init(&s, set, exporter, peer);
    assert_int_equal(relay_login_server_implicit(&s), rc == RELAY_LOGIN_DONE);
    relay_login_server_clear(&s);
    return rc;
}

static void test_certificate_and_uid(void **state)
{
    (void)state;
    struct relay_identities *set = relay_identities_new(&cheap);
    struct relay_peer peer = stranger;
    assert_int_equal(relay_identity_cert(set, add(set, "web", NULL), "DNS:web.example", NULL), 0);
    assert_int_equal(relay_identity_uid(set, add(set, "svc", NULL), 77, NULL), 0);
    assert_int_equal(implicit_as(set, &peer, exporter_one, "", RELAY_LOGIN_CERTIFICATE), NK_EAUTH);
    strcpy(peer.names, "DNS:x.example\nDNS:web.example");
    assert_int_equal(implicit_as(set, &peer, exporter_one, "", RELAY_LOGIN_CERTIFICATE), NK_EAUTH);
    peer.certificate = true;
    assert_int_equal(implicit_as(set, &peer, NULL, "", RELAY_LOGIN_CERTIFICATE), NK_EAUTH);
    assert_int_equal(implicit_as(set, &peer, exporter_one, "web", RELAY_LOGIN_CERTIFICATE), 0);
    strcpy(peer.names, "DNS:notweb.example\nDNS:web.example.org");
    assert_int_equal(implicit_as(set, &peer, exporter_one, "", RELAY_LOGIN_CERTIFICATE), NK_EAUTH);
    peer = stranger;
    assert_int_equal(implicit_as(set, &peer, NULL, "", RELAY_LOGIN_UID), NK_EAUTH);
    peer.uid = 77;
    assert_int_equal(implicit_as(set, &peer, NULL, "svc", RELAY_LOGIN_UID), 0);
    peer.uid = 1000; /* our own */
    assert_int_equal(implicit_as(set, &peer, NULL, "uid:1000", RELAY_LOGIN_UID), 0);
    peer.uid = 0;
    assert_int_equal(implicit_as(set, &peer, NULL, "uid:0", RELAY_LOGIN_UID), 0);
    peer.uid = 1001;
    assert_int_equal(implicit_as(set, &peer, NULL, "", RELAY_LOGIN_UID), NK_EAUTH);
    relay_identities_unref(set);
}

/* --- what a client refuses -------------------------------------------------------------------- */

static int challenge_with(const struct relay_login_client_conf *conf, unsigned methods,
                          uint32_t mem_kib, uint32_t passes, bool skip)
{
    struct relay_login_client c;
    struct nk_diag diag = {0};
    struct relay_login_challenge ch = {.methods = (uint8_t)methods, .candidates = 1};
    ch.stretch.mem_kib = mem_kib;
    ch.stretch.passes = passes;
    relay_login_client_init(&c, conf);
    int rc = relay_login_client_challenge(&c, &ch, skip, &diag);
    assert_int_equal(rc < 0, diag.text[0] != 0);
    relay_login_client_clear(&c);
    return rc;
}

static void test_client_refuses(void **state)
{
    (void)state;
    struct nk_secret pw = secret_of("p"), key = {0};
    assert_int_equal(nk_secret_alloc(&key, crypto_sign_SECRETKEYBYTES), 0);
    struct relay_login_client_conf c = {
        .exporter = exporter_one, .key = &key, .certificate = true, .local = true};
    const uint32_t kib = RELAY_STRETCH_KIB_MIN;
    /* nobody vouches for the relay: no key, no certificate, no being let in without a word */
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_METHODS, kib, 1, false), NK_EVERIFY);
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_METHODS, kib, 1, true), NK_EVERIFY);
    c.password = &pw;
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_METHODS, kib, 1, false), RELAY_LOGIN_STRETCH);
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_METHODS, kib, 1, true), NK_EVERIFY);
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_KEY, kib, 1, false), NK_EVERIFY);
    /* Argon2id out of bounds */
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_PASSWORD, kib - 1, 1, false), NK_EPROTO);
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_PASSWORD, 65537, 1, false), NK_EPROTO);
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_PASSWORD, kib, 0, false), NK_EPROTO);
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_PASSWORD, kib, 5, false), NK_EPROTO);
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_PASSWORD, 65536, 4, false),
                     RELAY_LOGIN_STRETCH);
    c.trust = RELAY_TRUST_CA;
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_METHODS, kib, 1, true), RELAY_LOGIN_DONE);
    assert_int_equal(challenge_with(&c, RELAY_LOGIN_METHODS, kib, 1, false), RELAY_LOGIN_SEND);
    assert_int_equal(challenge_with(&c, 0, kib, 1, false), NK_EAUTH);
    nk_secret_clear(&pw);
    nk_secret_clear(&key);
}

int nk_test_relay_login(void);
int nk_test_relay_login(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_wrong_password),
        cmocka_unit_test(test_man_in_the_middle),
        cmocka_unit_test(test_changed_messages),
        cmocka_unit_test(test_truncated_messages),
        cmocka_unit_test(test_reflection),
        cmocka_unit_test(test_out_of_turn),
        cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_certificate_and_uid),
        cmocka_unit_test(test_client_refuses),
    };
    return cmocka_run_group_tests_name("relay/login", tests, NULL, NULL);
}
