/* SPDX-License-Identifier: MIT */
/* The transport against a server of the same pieces: every method, cipher and MAC, any way the
 * bytes may come, key re-exchange from both sides. Faults are in proto_kex_test.c. */
#include "ssh/proto_transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ssh/key_testkit.h"
#include "ssh/transport_testkit.h"
#include "torture.h"

int nk_test_ssh_proto_transport(void);

enum { DATA = 1000, BULK = 32 * 1024, MANY = 64 };

/* Logged in, and open for whatever comes. */
static void finish_login(struct ssh_kit *k)
{
    assert_int_equal(k->rc, 0);
    assert_int_equal(k->asked, 1);
    assert_int_equal(k->ready, 1);
    assert_int_equal(k->t->state, SSH_T_OPEN);
    assert_true(ssh_kit_send_number(k, SSH_MSG_USERAUTH_SUCCESS));
    assert_int_equal(ssh_kit_pump(k), 0);
    assert_true(k->t->authenticated);
}

static void login(struct ssh_kit *k)
{
    assert_int_equal(ssh_kit_run(k), 0);
    finish_login(k);
}

/* Data in both directions. */
static void talk(struct ssh_kit *k)
{
    size_t before = nk_buf_len(&k->got), handed = nk_buf_len(&k->handed);
    uint8_t data[DATA];
    memset(data, SSH_MSG_CHANNEL_DATA, sizeof(data));
    assert_true(ssh_kit_send(k, data, sizeof(data)));
    assert_int_equal(ssh_kit_client_send(k, SSH_MSG_CHANNEL_DATA, DATA), 0);
    assert_int_equal(ssh_kit_pump(k), 0);
    assert_int_equal(nk_buf_len(&k->got), before + DATA);
    assert_int_equal(nk_buf_len(&k->handed), handed + DATA);
    assert_memory_equal(nk_buf_ptr(&k->handed) + handed, data, DATA);
}

/* --- algorithms ------------------------------------------------------------------------------- */

static void test_methods(void **state)
{
    (void)state;
    for (const struct ssh_kex_type *t = ssh_kex_types; t->name; t++) {
        struct ssh_kit k;
        ssh_kit_init(&k);
        k.kex = t->name;
        login(&k);
        assert_ptr_equal(ssh_transport_choice(k.t)->kex, t);
        struct ssh_str id = ssh_transport_session_id(k.t);
        assert_int_equal(id.n, k.session_id_n);
        assert_memory_equal(id.p, k.session_id, id.n);
        talk(&k);
        if (t->bits && t->bits < 4096) { /* the others take their time */
            assert_true(ssh_kit_rekey(&k));
            assert_int_equal(ssh_kit_pump(&k), 0);
            talk(&k);
            assert_int_equal(ssh_transport_rekeys(k.t), 1);
        }
        ssh_kit_clear(&k);
    }
}

/* Keys and certificates of each type; a signature of another algorithm than was agreed on. */
static void test_host_keys(void **state)
{
    (void)state;
    static const struct {
        const char *sample, *alg, *cert, *wrong;
    } rows[] = {
        {"sec1", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com", NULL},
        {"p384", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com", NULL},
        {"p521", "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com", NULL},
        {"pkcs1 encrypted", "rsa-sha2-512", "rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-256"},
        {"pkcs1 encrypted", "rsa-sha2-256", "rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-512"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ssh_private *host = ssh_key_sample_open(rows[i].sample);
        assert_non_null(host);
        for (int cert = 0; cert <= 1; cert++) {
            struct ssh_kit k;
            ssh_kit_init(&k);
            k.kex = "curve25519-sha256";
            k.host = host;
            k.cert = cert;
            k.host_alg = cert ? rows[i].cert : rows[i].alg;
            login(&k);
            assert_string_equal(ssh_transport_choice(k.t)->host->name, rows[i].alg);
            talk(&k);
            assert_true(ssh_kit_rekey(&k));
            assert_int_equal(ssh_kit_pump(&k), 0);
            talk(&k);
            ssh_kit_clear(&k);
            if (rows[i].wrong) {
                ssh_kit_init(&k);
                k.host = host;
                k.cert = cert;
                k.host_alg = cert ? rows[i].cert : rows[i].alg;
                k.sign_as = rows[i].wrong;
                assert_int_equal(ssh_kit_run(&k), NK_EVERIFY);
                assert_int_equal(k.asked, 0);
                ssh_kit_clear(&k);
            }
        }
        ssh_private_unref(host);
    }
}

static void test_ciphers(void **state)
{
    (void)state;
    const char *cipher, *mac;
    for (size_t i = 0; (cipher = ssh_algo_name(SSH_LIST_CIPHER, i)) != NULL; i++) {
        for (size_t j = 0; (mac = ssh_algo_name(SSH_LIST_MAC, j)) != NULL; j++) {
            struct ssh_kit k;
            ssh_kit_init(&k);
            k.kex = "curve25519-sha256";
            k.cipher = cipher;
            k.mac = mac;
            k.strict = j & 1;
            login(&k);
            talk(&k);
            assert_int_equal(ssh_transport_rekey(k.t, 1), 0);
            assert_int_equal(ssh_kit_pump(&k), 0);
            talk(&k);
            assert_string_equal(ssh_transport_choice(k.t)->cipher[SSH_IN]->name, cipher);
            assert_int_equal(ssh_transport_is_strict(k.t), k.strict);
            ssh_kit_clear(&k);
        }
    }
}

/* Without strict key exchange chacha20 is for servers that have nothing else. */
static void test_guard(void **state)
{
    static const char both[] = "chacha20-poly1305@openssh.com,aes128-ctr";
    (void)state;
    for (int strict = 0; strict <= 1; strict++) {
        struct ssh_kit k;
        struct ssh_proposal p;
        ssh_kit_init(&k);
        ssh_proposal_init(&p);
        assert_int_equal(ssh_proposal_set(&p, SSH_LIST_CIPHER, both, NULL), 0);
        k.conf.proposal = &p;
        k.strict = strict;
        login(&k);
        assert_string_equal(ssh_transport_choice(k.t)->cipher[SSH_OUT]->name,
                            strict ? "chacha20-poly1305@openssh.com" : "aes128-ctr");
        ssh_kit_clear(&k);
    }
}

/* --- how bytes come --------------------------------------------------------------------------- */

static void test_bytewise(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    k.kex = "curve25519-sha256";
    k.chunk = 1;
    k.ext_info = true;
    login(&k);
    talk(&k);
    assert_true(ssh_kit_rekey(&k));
    assert_int_equal(ssh_kit_pump(&k), 0);
    talk(&k);
    ssh_kit_clear(&k);
}

/* One cut anywhere in what the server sends until data flow. */
static void test_splits(void **state)
{
    size_t total = 1;
    (void)state;
    for (size_t at = 1; at <= total; at++) {
        struct ssh_kit k;
        ssh_kit_init(&k);
        k.kex = "curve25519-sha256";
        k.host_alg = "ssh-ed25519";
        k.cipher = "chacha20-poly1305@openssh.com";
        k.ext_info = true;
        k.split = at;
        login(&k);
        assert_int_equal(k.nseen, 4); /* KEXINIT, KEX_INIT, NEWKEYS, SERVICE_REQUEST */
        total = 900;
        ssh_kit_clear(&k);
    }
}

/* One turn of the network: what the client has written goes to the server, and its answer comes
 * back. */
static void round_trip(struct ssh_kit *k)
{
    struct nk_buf *out = ssh_transport_out(k->t);
    assert_int_equal(nk_buf_put(&k->in, nk_buf_ptr(out), nk_buf_len(out)), 0);
    nk_buf_reset(out);
    assert_true(ssh_kit_serve(k));
    uint8_t *room;
    size_t max, n = nk_buf_len(&k->out);
    assert_int_equal(ssh_transport_space(k->t, &room, &max, &k->diag), 0);
    memcpy(room, nk_buf_ptr(&k->out), n);
    nk_buf_reset(&k->out);
    assert_int_equal(ssh_transport_feed(k->t, n, 0, &k->diag), 0);
}

/* Two round trips after the connection stands, the login is on its way (facts of round trips:
 * README.md); what EXT_INFO says is known by then. */
static void test_flights(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    k.ext_info = true;
    assert_int_equal(ssh_kit_start(&k), 0);
    round_trip(&k); /* identification; then both KEXINITs and our part of the secret */
    assert_int_equal(k.ready, 0);
    round_trip(&k);
    assert_int_equal(k.ready, 1);
    assert_true(ssh_transport_has_ping(k.t));
    struct nk_buf *out = ssh_transport_out(k.t);
    assert_int_equal(nk_buf_put(&k.in, nk_buf_ptr(out), nk_buf_len(out)), 0);
    nk_buf_reset(out);
    assert_true(ssh_kit_serve(&k));
    assert_int_equal(k.seen[k.nseen - 1], SSH_MSG_SERVICE_REQUEST);
    ssh_kit_clear(&k);
}

static void test_questions(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    k.ident = "hello\r\n\r\nand welcome\nSSH-1.99-kit with comment\n";
    k.slow_answer = true;
    k.ext_info = true;
    assert_int_equal(ssh_kit_run(&k), 0);
    assert_int_equal(k.asked, 1);
    assert_int_equal(k.ready, 0);
    assert_false(ssh_transport_wants_input(k.t));
    assert_int_equal(ssh_transport_due(k.t), SSH_NEVER); /* whoever is asked has time */
    assert_int_equal(ssh_kit_client_send(&k, SSH_MSG_CHANNEL_DATA, 1), NK_ECLOSED);
    assert_int_equal(ssh_transport_feed(k.t, 0, 0, &k.diag), 0);
    k.now = 1000000;
    assert_int_equal(ssh_kit_answer(&k, 0), 0);
    finish_login(&k);
    assert_int_equal(ssh_transport_trust(k.t, 0, NULL, 0, &k.diag), -EINVAL);
    assert_string_equal(ssh_transport_ident(k.t), "SSH-1.99-kit with comment");
    assert_true(ssh_str_is(ssh_transport_sig_algs(k.t), "ssh-ed25519,rsa-sha2-512"));
    assert_true(ssh_transport_has_ping(k.t) && ssh_transport_has_hostbound(k.t));
    struct ssh_str host = ssh_transport_host_key(k.t);
    char shown[SSH_FINGERPRINT_SIZE];
    ssh_fingerprint_sha256(host, shown);
    assert_string_equal(shown, k.fingerprint);
    assert_true(ssh_transport_host_signature(k.t).n > 64);
    ssh_kit_clear(&k);
}

static void test_refusal(void **state)
{
    (void)state;
    for (int slow = 0; slow <= 1; slow++) {
        struct ssh_kit k;
        ssh_kit_init(&k);
        k.slow_answer = slow;
        k.answer = NK_EVERIFY;
        assert_int_equal(ssh_kit_run(&k), slow ? 0 : NK_EVERIFY);
        if (slow) {
            assert_int_equal(ssh_kit_answer(&k, NK_EVERIFY), NK_EVERIFY);
            (void)ssh_kit_pump(&k);
        }
        assert_int_equal(k.diag.code, NK_EVERIFY);
        assert_int_equal(k.ready, 0);
        assert_int_equal(k.disconnects, 1);
        assert_int_equal(ssh_transport_feed(k.t, 0, 0, &k.diag), NK_ECLOSED);
        ssh_kit_clear(&k);
    }
}

/* A server that waits for our KEXINIT gets it after a second. */
static void test_patience(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    k.wait_for_client = true;
    assert_int_equal(ssh_kit_run(&k), 0);
    assert_int_equal(k.nseen, 0);
    assert_int_equal(ssh_transport_due(k.t), SSH_KEXINIT_PATIENCE_MS);
    assert_int_equal(ssh_transport_tick(k.t, SSH_KEXINIT_PATIENCE_MS - 1, &k.diag), 0);
    assert_int_equal(ssh_kit_pump(&k), 0);
    assert_int_equal(k.nseen, 0);
    assert_int_equal(ssh_transport_tick(k.t, SSH_KEXINIT_PATIENCE_MS, &k.diag), 0);
    assert_int_equal(ssh_kit_pump(&k), 0);
    finish_login(&k);
    ssh_kit_clear(&k);
}

/* --- messages --------------------------------------------------------------------------------- */

static void test_messages(void **state)
{
    static const uint8_t ping[] = {SSH_MSG_PING, 0, 0, 0, 2, 'h', 'i'};
    static const uint8_t debug[] = {SSH_MSG_DEBUG, 1, 0, 0, 0, 1, 'x', 0, 0, 0, 0};
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    login(&k);
    nk_buf_reset(&k.got);
    assert_true(ssh_kit_send_number(&k, SSH_MSG_IGNORE));
    assert_true(ssh_kit_send(&k, debug, sizeof(debug)));
    assert_true(ssh_kit_send(&k, ping, sizeof(ping)));
    assert_true(ssh_kit_send_number(&k, 200)); /* nobody's */
    assert_int_equal(ssh_kit_pump(&k), 0);
    assert_int_equal(k.pongs, 1);
    assert_int_equal(k.unimplemented, 1);
    assert_int_equal(nk_buf_len(&k.got), sizeof(ping));
    assert_memory_equal(nk_buf_ptr(&k.got) + 1, ping + 1, sizeof(ping) - 1);
    assert_true(ssh_kit_send_number(&k, SSH_MSG_CHANNEL_CLOSE)); /* those above fail */
    assert_int_equal(ssh_kit_pump(&k), -EPIPE);
    assert_int_equal(k.disconnects, 1);
    ssh_kit_clear(&k);
}

static void test_disconnect(void **state)
{
    static const uint8_t bye[] = {1, 0, 0, 0, 2, 0, 0, 0, 2, 'n', 'o', 0, 0, 0, 0};
    (void)state;
    for (int when = 0; when < 3; when++) {
        struct ssh_kit k;
        ssh_kit_init(&k);
        k.wait_for_client = when == 0;
        assert_int_equal(ssh_kit_run(&k), 0);
        if (when == 2) {
            finish_login(&k);
        }
        assert_true(ssh_kit_send(&k, bye, sizeof(bye)));
        assert_int_equal(ssh_kit_pump(&k), when == 1 ? NK_EAUTH : NK_ECLOSED);
        assert_non_null(strstr(k.diag.text, "no (2)"));
        assert_int_equal(k.disconnects, 0);
        ssh_kit_clear(&k);
    }
    struct ssh_kit k;
    ssh_kit_init(&k);
    login(&k);
    ssh_transport_disconnect(k.t, SSH_REASON_BY_APPLICATION, "bye");
    assert_int_equal(ssh_kit_client_send(&k, SSH_MSG_CHANNEL_DATA, 1), NK_ECLOSED);
    (void)ssh_kit_pump(&k);
    assert_int_equal(k.disconnects, 1);
    ssh_kit_clear(&k);
}

static void test_eof(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    k.ident = "Not allowed at this time\r\n";
    k.wait_for_client = true; /* else its KEXINIT follows, which may have an end of line in it */
    assert_int_equal(ssh_kit_run(&k), 0);
    assert_int_equal(ssh_transport_eof(k.t, &k.diag), NK_ECLOSED);
    assert_non_null(strstr(k.diag.text, "Not allowed"));
    ssh_kit_clear(&k);
    ssh_kit_init(&k);
    login(&k);
    assert_int_equal(ssh_transport_eof(k.t, &k.diag), NK_ECLOSED);
    assert_int_equal(ssh_transport_feed(k.t, 0, 0, &k.diag), NK_ECLOSED);
    ssh_kit_clear(&k);
    ssh_kit_init(&k);
    k.split = 100; /* within KEXINIT */
    assert_int_equal(ssh_kit_start(&k), 0);
    assert_int_equal(nk_buf_put(&k.out, "\0\0\4\4", 4), 0);
    assert_int_equal(ssh_kit_pump(&k), 0);
    nk_buf_reset(&k.out);
    assert_int_equal(ssh_transport_eof(k.t, &k.diag), NK_ETRUNC);
    ssh_kit_clear(&k);
}

/* --- re-exchange ------------------------------------------------------------------------------ */

/* The client counts, the server does as it likes, and both may begin at the same time: nothing is
 * lost and the order stays. */
static void test_rekey_under_load(void **state)
{
    (void)state;
    for (int side = 0; side < 3; side++) {
        struct ssh_kit k;
        ssh_kit_init(&k);
        k.kex = "curve25519-sha256";
        k.conf.rekey_bytes = side != 1 ? 16 * 1024 : 0;
        login(&k);
        for (int i = 0; i < MANY; i++) {
            talk(&k);
            if (i % 4 == 0) {
                size_t before = nk_buf_len(&k.got);
                assert_int_equal(ssh_kit_client_send(&k, SSH_MSG_CHANNEL_DATA, BULK), 0);
                assert_int_equal(ssh_transport_in_kex(k.t), side != 1);
                assert_true(side == 0 || ssh_kit_rekey(&k));
                assert_int_equal(ssh_kit_client_send(&k, SSH_MSG_CHANNEL_DATA, DATA), 0);
                assert_int_equal(ssh_kit_pump(&k), 0);
                assert_int_equal(nk_buf_len(&k.got), before + BULK + DATA);
            }
        }
        assert_true(ssh_transport_rekeys(k.t) >= MANY / 4);
        assert_int_equal(k.asked, 1); /* the key is the same */
        assert_int_equal(k.newkeys, ssh_transport_rekeys(k.t) + 1);
        ssh_kit_clear(&k);
    }
}

/* What those above send during an exchange comes after it; so does the answer to a PING. */
static void test_held(void **state)
{
    static const uint8_t ping[] = {SSH_MSG_PING, 0, 0, 0, 0};
    static const uint8_t data[] = {SSH_MSG_CHANNEL_DATA, 1, 2, 3};
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    login(&k);
    k.nseen = 0;
    assert_int_equal(ssh_transport_rekey(k.t, 0), 0);
    assert_true(ssh_transport_in_kex(k.t));
    assert_int_equal(ssh_kit_client_send(&k, SSH_MSG_CHANNEL_DATA, BULK), 0);
    assert_true(ssh_transport_backlog(k.t) > BULK);
    nk_buf_reset(&k.handed);
    assert_true(ssh_kit_send(&k, data, sizeof(data))); /* on its way before it saw our KEXINIT */
    assert_true(ssh_kit_send(&k, ping, sizeof(ping)));
    assert_int_equal(ssh_kit_pump(&k), 0);
    assert_int_equal(nk_buf_len(&k.handed), sizeof(data));
    assert_false(ssh_transport_in_kex(k.t));
    const uint8_t want[] = {SSH_MSG_KEXINIT, SSH_MSG_KEX_INIT, SSH_MSG_NEWKEYS,
                            SSH_MSG_CHANNEL_DATA, SSH_MSG_PONG};
    assert_int_equal(k.nseen, sizeof(want));
    assert_memory_equal(k.seen, want, sizeof(want));
    ssh_kit_clear(&k);
}

static void test_rekey_limits(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    k.conf.rekey_packets = 10;
    k.conf.rekey_ms = 5000;
    login(&k);
    assert_int_equal(ssh_transport_due(k.t), 5000);
    for (int i = 0; i < 20; i++) {
        talk(&k);
    }
    assert_true(ssh_transport_rekeys(k.t) >= 2);
    uint64_t before = ssh_transport_rekeys(k.t);
    assert_int_equal(ssh_transport_tick(k.t, 5000, &k.diag), 0);
    k.now = 5001;
    assert_int_equal(ssh_kit_pump(&k), 0);
    assert_int_equal(ssh_transport_rekeys(k.t), before + 1);
    assert_int_equal(ssh_transport_due(k.t), 5001 + 5000);
    /* a server that does not answer */
    assert_int_equal(ssh_transport_rekey(k.t, 6000), 0);
    assert_int_equal(ssh_transport_due(k.t), 6000 + SSH_KEX_TIMEOUT_MS);
    assert_int_equal(ssh_transport_tick(k.t, 6000 + SSH_KEX_TIMEOUT_MS, &k.diag), -ETIMEDOUT);
    ssh_kit_clear(&k);
}

/* A server that never answers our KEXINIT, but goes on sending. */
static void test_rekey_unanswered(void **state)
{
    static const uint8_t data[] = {SSH_MSG_CHANNEL_DATA, 1, 2, 3};
    enum { STEP = SSH_KEX_TIMEOUT_MS - 1, LAST = SSH_KEXINIT_WAIT_MS + SSH_KEX_TIMEOUT_MS };
    struct ssh_kit k;
    int rc = 0;
    (void)state;
    ssh_kit_init(&k);
    login(&k);
    k.now = 1000;
    assert_int_equal(ssh_transport_rekey(k.t, k.now), 0);
    nk_buf_reset(ssh_transport_out(k.t)); /* it does not get there */
    while (rc == 0 && k.now <= 1000 + LAST) {
        assert_true(ssh_transport_due(k.t) <= 1000 + LAST);
        k.now += STEP;
        rc = ssh_transport_tick(k.t, k.now, &k.diag);
        if (rc == 0) {
            assert_true(ssh_kit_send(&k, data, sizeof(data)));
            assert_int_equal(ssh_kit_pump(&k), 0);
        }
    }
    assert_int_equal(rc, -ETIMEDOUT);
    assert_true(k.now > 1000 + SSH_KEXINIT_WAIT_MS); /* data on their way take so long */
    ssh_kit_clear(&k);
}

/* An exchange that sending began after a long silence does not time out at once. */
static void test_rekey_after_silence(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    k.conf.rekey_bytes = 4096;
    login(&k);
    k.now = 10u * SSH_KEX_TIMEOUT_MS;
    assert_int_equal(ssh_kit_client_send(&k, SSH_MSG_CHANNEL_DATA, BULK), 0);
    assert_true(ssh_transport_in_kex(k.t));
    assert_int_equal(ssh_transport_tick(k.t, k.now, &k.diag), 0);
    assert_int_equal(ssh_kit_pump(&k), 0);
    assert_int_equal(ssh_transport_rekeys(k.t), 1);
    ssh_kit_clear(&k);
}

/* Another certificate of the same authority is asked about; of another one, it is refused. */
static bool refuse_before_reply(struct ssh_kit *k, struct nk_buf *payload)
{
    static const uint8_t refusal[] = {SSH_MSG_UNIMPLEMENTED, 0, 0, 0, 5};
    return k->t->authenticated && *nk_buf_ptr(payload) == SSH_MSG_KEX_REPLY
               ? ssh_kit_send(k, refusal, sizeof(refusal))
               : true;
}

/* It may answer what was on its way when the exchange began: those above must know. */
static void test_unimplemented_in_rekey(void **state)
{
    (void)state;
    struct ssh_kit k;
    ssh_kit_init(&k);
    k.kex = "curve25519-sha256";
    k.tamper = refuse_before_reply;
    login(&k);
    size_t handed = nk_buf_len(&k.handed);
    assert_true(ssh_kit_rekey(&k));
    assert_int_equal(ssh_kit_pump(&k), 0);
    assert_int_equal(nk_buf_len(&k.handed), handed + 5);
    assert_int_equal(nk_buf_ptr(&k.handed)[handed], SSH_MSG_UNIMPLEMENTED);
    talk(&k);
    ssh_kit_clear(&k);
}

static void test_rekey_certificate(void **state)
{
    (void)state;
    for (int other = 0; other <= 1; other++) {
        struct ssh_kit k;
        ssh_kit_init(&k);
        k.cert = true;
        login(&k);
        k.ca_key[32] ^= (uint8_t)other; /* its public part */
        assert_true(ssh_kit_rekey(&k));
        assert_int_equal(ssh_kit_pump(&k), other ? NK_EVERIFY : 0);
        assert_int_equal(k.asked, 2 - other);
        assert_int_equal(k.again, !other);
        ssh_kit_clear(&k);
    }
}

/* --- memory ----------------------------------------------------------------------------------- */

static int whole_life(void *arg)
{
    struct ssh_kit k;
    (void)arg;
    nk_torture_pause();
    ssh_kit_init(&k);
    k.kex = "curve25519-sha256";
    k.cipher = "aes128-ctr";
    k.ext_info = true;
    nk_torture_resume();
    int rc = ssh_kit_run(&k);
    if (rc == 0 && ssh_kit_send_number(&k, SSH_MSG_USERAUTH_SUCCESS) && ssh_kit_pump(&k) == 0) {
        rc = ssh_transport_rekey(k.t, 0);
        rc = rc < 0 ? rc : ssh_kit_client_send(&k, SSH_MSG_CHANNEL_DATA, DATA);
        rc = rc < 0 ? rc : ssh_kit_pump(&k);
        rc = rc < 0 || nk_buf_len(&k.got) == DATA ? rc : 1;
    }
    rc = rc == NK_EINTERNAL ? -ENOMEM : rc; /* it was the server's memory */
    ssh_kit_clear(&k);
    return rc;
}

static void test_torture(void **state)
{
    (void)state;
    (void)nk_torture_sparse(whole_life, NULL, 3);
}

int nk_test_ssh_proto_transport(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_host_keys),
        cmocka_unit_test(test_ciphers),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_bytewise),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_flights),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_disconnect),
        cmocka_unit_test(test_eof),
        cmocka_unit_test(test_rekey_under_load),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_rekey_limits),
        cmocka_unit_test(test_rekey_unanswered),
        cmocka_unit_test(test_rekey_after_silence),
        cmocka_unit_test(test_unimplemented_in_rekey),
        cmocka_unit_test(test_rekey_certificate),
        cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests_name("ssh/proto_transport", tests, NULL, NULL);
}
