/* SPDX-License-Identifier: MIT */
#include "ssh/transport_testkit.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "ssh/groups.h"
#include "ssh/sign.h"

enum {
    BUF_MAX = 16 * 1024 * 1024,
    CT = crypto_kem_mlkem768_CIPHERTEXTBYTES,
    KEM_PUBLIC = crypto_kem_mlkem768_PUBLICKEYBYTES,
    POINT = 32,
    SIGNATURE = 64,
    YEAR_3000 = 0x789000000
};

/* --- the client's owner ----------------------------------------------------------------------- */

static void on_host_key(void *owner, const struct ssh_host_key *h)
{
    struct ssh_kit *k = owner;
    k->asked++;
    k->again = h->again;
    ssh_fingerprint_sha256(h->key.blob, k->fingerprint);
    if (!k->slow_answer) {
        (void)ssh_transport_trust(k->t, k->answer, NULL, k->now, NULL); /* cannot fail in here */
    }
}

static void on_ready(void *owner)
{
    static const uint8_t request[] = {SSH_MSG_SERVICE_REQUEST, 0, 0, 0, 1, 'x'};
    struct ssh_kit *k = owner;
    uint8_t *p;
    k->ready++;
    if (ssh_sink_begin(ssh_transport_sink(k->t), sizeof(request), &p) == 0) {
        memcpy(p, request, sizeof(request));
        ssh_sink_end(ssh_transport_sink(k->t), p, sizeof(request));
    }
}

static int on_payload(void *owner, const uint8_t *payload, size_t n, struct nk_diag *diag)
{
    struct ssh_kit *k = owner;
    if (*payload == SSH_MSG_UNIMPLEMENTED || *payload == SSH_MSG_USERAUTH_SUCCESS ||
        *payload == SSH_MSG_PONG || *payload == SSH_MSG_SERVICE_ACCEPT ||
        *payload == SSH_MSG_CHANNEL_DATA) {
        int rc = nk_buf_put(&k->handed, payload, n);
        return rc < 0 ? nk_fail_sys(diag, rc, "handed") : 1;
    }
    return *payload == SSH_MSG_CHANNEL_CLOSE ? nk_fail(diag, -EPIPE, "asked to fail") : 0;
}

static void on_trace(void *owner, enum ssh_trace what, const char *text)
{
    struct ssh_kit *k = owner;
    k->choices += what == SSH_TRACE_CHOICE && strlen(text) > 0;
    k->newkeys += what == SSH_TRACE_NEWKEYS;
}

static int on_compute(void *owner, struct ssh_kex_task *task)
{
    struct ssh_kit *k = owner;
    if (!k->slow_kex) {
        return -EAGAIN;
    }
    k->task = task;
    return 0;
}

static const struct ssh_transport_ops client_ops = {.host_key = on_host_key,
                                                    .ready = on_ready,
                                                    .payload = on_payload,
                                                    .compute = on_compute,
                                                    .trace = on_trace};

/* --- the server ------------------------------------------------------------------------------- */

bool ssh_kit_send(struct ssh_kit *k, const void *payload, size_t n)
{
    return ssh_seal(&k->sealer, &k->out, payload, n) == 0;
}

bool ssh_kit_send_number(struct ssh_kit *k, uint8_t number)
{
    return ssh_kit_send(k, &number, 1);
}

/* What a key exchange sends goes past the test first. */
static bool send_kex(struct ssh_kit *k, struct nk_buf *b)
{
    bool wanted = !k->tamper || k->tamper(k, b);
    return !wanted || ssh_kit_send(k, nk_buf_ptr(b), nk_buf_len(b));
}

static bool put_lists(struct ssh_kit *k, struct nk_buf *b)
{
    struct ssh_proposal all;
    char kex[2 * SSH_LIST_MAX];
    ssh_proposal_init(&all);
    const char *cipher = k->cipher ? k->cipher : all.list[SSH_LIST_CIPHER];
    const char *mac = k->mac ? k->mac : all.list[SSH_LIST_MAC];
    snprintf(kex, sizeof(kex), "%s%s", k->kex ? k->kex : all.list[SSH_LIST_KEX],
             k->strict ? "," SSH_STRICT_SERVER : "");
    const char *lists[] = {
        kex,
        k->host_alg ? k->host_alg : k->cert ? "ssh-ed25519-cert-v01@openssh.com" : "ssh-ed25519",
        cipher,
        cipher,
        mac,
        mac,
        "none",
        "none",
        "",
        ""};
    for (int i = 0; i < SSH_FIELDS; i++) {
        if (ssh_put_text(b, lists[i]) < 0) {
            return false;
        }
    }
    return true;
}

static bool send_kexinit(struct ssh_kit *k)
{
    nk_buf_reset(&k->mine);
    k->sent_init = true;
    return nk_buf_u8(&k->mine, SSH_MSG_KEXINIT) == 0 &&
           nk_buf_put(&k->mine, "cookie of 16 ok", SSH_COOKIE_SIZE) == 0 &&
           put_lists(k, &k->mine) && ssh_put_bool(&k->mine, k->follows) == 0 &&
           nk_buf_be32(&k->mine, 0) == 0 && send_kex(k, &k->mine);
}

bool ssh_kit_rekey(struct ssh_kit *k)
{
    return send_kexinit(k);
}

/* As ssh_negotiate: the client's first name that the server has; the client's lists are both, since
 * the server has them all. */
static bool choose(struct ssh_kit *k)
{
    struct ssh_kexinit client, server;
    struct ssh_proposal p = {0};
    if (ssh_kexinit_parse((struct ssh_str){nk_buf_ptr(&k->theirs), nk_buf_len(&k->theirs)}, &client,
                          NULL) < 0 ||
        ssh_kexinit_parse((struct ssh_str){nk_buf_ptr(&k->mine), nk_buf_len(&k->mine)}, &server,
                          NULL) < 0) {
        return false;
    }
    const int from[] = {SSH_FIELD_KEX, SSH_FIELD_HOST_KEY, SSH_FIELD_CIPHER_OUT, SSH_FIELD_MAC_OUT};
    for (int i = 0; i < SSH_LISTS; i++) {
        snprintf(p.list[i], SSH_LIST_MAX, "%.*s", (int)client.list[from[i]].n,
                 (const char *)client.list[from[i]].p);
    }
    return ssh_negotiate(&p, &server, &k->choice, NULL) == 0;
}

static bool put_ed25519(struct nk_buf *b, const uint8_t secret_key[64])
{
    return ssh_put_text(b, "ssh-ed25519") == 0 && ssh_put_string(b, secret_key + 32, 32) == 0;
}

static bool put_signature(struct nk_buf *b, const uint8_t secret_key[64], const void *p, size_t n)
{
    struct nk_buf s;
    uint8_t sig[SIGNATURE];
    crypto_sign_detached(sig, NULL, p, n, secret_key);
    nk_buf_init(&s, 256);
    bool fine = ssh_put_text(&s, "ssh-ed25519") == 0 && ssh_put_string(&s, sig, sizeof(sig)) == 0 &&
                ssh_put_string(b, nk_buf_ptr(&s), nk_buf_len(&s)) == 0;
    nk_buf_clear(&s);
    return fine;
}

static bool put_host_key(struct nk_buf *b, const struct ssh_kit *k)
{
    return k->host ? nk_buf_put(b, k->host->pub.blob.p, k->host->pub.blob.n) == 0
                   : put_ed25519(b, k->secret_key);
}

/* With the algorithm that was agreed on, or another one on purpose. */
static bool put_host_signature(struct nk_buf *b, const struct ssh_kit *k, const void *p, size_t n)
{
    const struct ssh_sig_type *alg = k->choice.host;
    struct nk_buf s;
    bool cert;
    if (!k->host) {
        return put_signature(b, k->secret_key, p, n);
    }
    if (k->sign_as) {
        alg =
            ssh_sig_find((struct ssh_str){(const uint8_t *)k->sign_as, strlen(k->sign_as)}, &cert);
    }
    nk_buf_init(&s, SSH_BLOB_MAX);
    bool fine = ssh_private_sign(k->host, alg, p, n, &s, NULL) == 0 &&
                ssh_put_string(b, nk_buf_ptr(&s), nk_buf_len(&s)) == 0;
    nk_buf_clear(&s);
    return fine;
}

/* What a certificate says of the host key: its type's name, and the blob without the key's. */
static bool put_certified(struct nk_buf *b, const struct ssh_kit *k, const void *nonce, size_t n)
{
    struct nk_buf blob;
    struct nk_cur c;
    nk_buf_init(&blob, SSH_BLOB_MAX);
    bool fine = put_host_key(&blob, k);
    nk_cur_init(&c, nk_buf_ptr(&blob), nk_buf_len(&blob));
    (void)ssh_cur_string(&c);
    fine = fine &&
           ssh_put_text(b, k->host ? k->host->pub.type->cert
                                   : "ssh-ed25519-cert-v01@openssh.com") == 0 &&
           ssh_put_string(b, nonce, n) == 0 && nk_buf_put(b, c.p, nk_cur_left(&c)) == 0;
    nk_buf_clear(&blob);
    return fine;
}

/* OpenSSH's PROTOCOL.certkeys: of the host key, for host "h", by the kit's authority. */
static bool put_certificate(struct nk_buf *b, struct ssh_kit *k)
{
    struct nk_buf ca, names;
    uint8_t nonce[32];
    randombytes_buf(nonce, sizeof(nonce));
    nk_buf_init(&ca, 256);
    nk_buf_init(&names, 64);
    bool fine = put_ed25519(&ca, k->ca_key) && ssh_put_text(&names, "h") == 0 &&
                put_certified(b, k, nonce, sizeof(nonce)) && nk_buf_be64(b, 1) == 0 &&
                nk_buf_be32(b, SSH_CERT_HOST) == 0 && ssh_put_text(b, "id") == 0 &&
                ssh_put_string(b, nk_buf_ptr(&names), nk_buf_len(&names)) == 0 &&
                nk_buf_be64(b, 0) == 0 && nk_buf_be64(b, YEAR_3000) == 0 &&
                ssh_put_text(b, "") == 0 && ssh_put_text(b, "") == 0 && ssh_put_text(b, "") == 0 &&
                ssh_put_string(b, nk_buf_ptr(&ca), nk_buf_len(&ca)) == 0 &&
                put_signature(b, k->ca_key, nk_buf_ptr(b), nk_buf_len(b));
    nk_buf_clear(&ca);
    nk_buf_clear(&names);
    return fine;
}

/* The hybrid method from the server's side: *mine is what travels. */
static bool finish_hybrid(struct ssh_str peer, struct nk_buf *mine, struct nk_buf *secret)
{
    uint8_t reply[CT + POINT], both[64], scalar[32], hash[32];
    randombytes_buf(scalar, sizeof(scalar));
    bool fine = peer.n == KEM_PUBLIC + POINT && crypto_kem_mlkem768_enc(reply, both, peer.p) == 0 &&
                crypto_scalarmult_base(reply + CT, scalar) == 0 &&
                crypto_scalarmult(both + 32, scalar, peer.p + KEM_PUBLIC) == 0;
    crypto_hash_sha256(hash, both, sizeof(both));
    return fine && nk_buf_put(mine, reply, sizeof(reply)) == 0 &&
           ssh_put_string(secret, hash, sizeof(hash)) == 0;
}

static bool put_value(const struct ssh_kit *k, struct nk_buf *b, const uint8_t *p, size_t n)
{
    return (k->choice.kex->numbers ? ssh_put_mpint(b, p, n) : ssh_put_string(b, p, n)) == 0;
}

static bool put_buf(struct nk_buf *b, const struct nk_buf *from)
{
    return ssh_put_string(b, nk_buf_ptr(from), nk_buf_len(from)) == 0;
}

static bool hash_all(struct ssh_kit *k, const struct nk_buf *host, struct ssh_str peer,
                     const struct nk_buf *value, const struct nk_buf *secret, uint8_t *out)
{
    struct nk_buf b;
    char own[SSH_IDENT_MAX + 1];
    const char *ident = strstr(k->ident, "SSH-");
    size_t n = strcspn(ident, "\r\n");
    snprintf(own, sizeof(own), "%.*s", (int)n, ident);
    nk_buf_init(&b, BUF_MAX);
    bool fine = ssh_put_text(&b, k->client) == 0 && ssh_put_text(&b, own) == 0 &&
                put_buf(&b, &k->theirs) && put_buf(&b, &k->mine) && put_buf(&b, host) &&
                nk_buf_put(&b, nk_buf_ptr(&k->group), nk_buf_len(&k->group)) == 0 &&
                put_value(k, &b, peer.p, peer.n) &&
                put_value(k, &b, nk_buf_ptr(value), nk_buf_len(value)) &&
                nk_buf_put(&b, nk_buf_ptr(secret), nk_buf_len(secret)) == 0;
    ssh_hash(k->choice.kex->hash, nk_buf_ptr(&b), nk_buf_len(&b), out);
    nk_buf_clear(&b);
    return fine;
}

static struct ssh_protect *make_keys(const struct ssh_kit *k, const struct nk_buf *secret,
                                     const uint8_t *hash, int direction)
{
    const struct ssh_cipher_type *c = k->choice.cipher[direction];
    const struct ssh_mac_type *m = k->choice.mac[direction];
    const size_t sizes[] = {c->iv, c->key, m ? m->key : 0};
    uint8_t keys[3][SSH_KEY_MAX];
    struct ssh_protect *p = NULL;
    for (int i = 0; i < 3; i++) {
        if (ssh_kex_derive(k->choice.kex->hash, secret, hash, k->session_id, k->session_id_n,
                           (char)('A' + 2 * i + direction), keys[i], sizes[i]) < 0) {
            return NULL;
        }
    }
    return ssh_protect_new(c, m, keys[1], keys[0], keys[2], &p) == 0 ? p : NULL;
}

static bool send_ext_info(struct ssh_kit *k)
{
    struct nk_buf b;
    nk_buf_init(&b, 1024);
    bool fine = nk_buf_u8(&b, SSH_MSG_EXT_INFO) == 0 && nk_buf_be32(&b, 3) == 0 &&
                ssh_put_text(&b, "server-sig-algs") == 0 &&
                ssh_put_text(&b, "ssh-ed25519,rsa-sha2-512") == 0 &&
                ssh_put_text(&b, "publickey-hostbound@openssh.com") == 0 &&
                ssh_put_text(&b, "0") == 0 && ssh_put_text(&b, "ping@openssh.com") == 0 &&
                ssh_put_text(&b, "0") == 0 && ssh_kit_send(k, nk_buf_ptr(&b), nk_buf_len(&b));
    nk_buf_clear(&b);
    return fine;
}

/* After the reply: NEWKEYS, and the keys of both directions. */
static bool switch_keys(struct ssh_kit *k, const struct nk_buf *secret, const uint8_t *hash)
{
    struct nk_buf b;
    bool first = !k->keyed;
    if (first) {
        k->session_id_n = ssh_hash_size(k->choice.kex->hash);
        memcpy(k->session_id, hash, k->session_id_n);
    }
    nk_buf_init(&b, 64);
    struct ssh_protect *next_out = make_keys(k, secret, hash, SSH_IN);
    k->next_in = make_keys(k, secret, hash, SSH_OUT);
    bool fine = next_out && k->next_in && nk_buf_u8(&b, SSH_MSG_NEWKEYS) == 0 && send_kex(k, &b);
    nk_buf_clear(&b);
    if (!fine) {
        ssh_protect_free(next_out);
        return false;
    }
    ssh_sealer_key(&k->sealer, next_out, k->strict);
    k->keyed = true;
    k->sent_init = false;
    return !first || !k->ext_info || send_ext_info(k);
}

static bool reply(struct ssh_kit *k, struct ssh_str peer, struct nk_buf *b, struct nk_buf *value,
                  struct nk_buf *secret, struct nk_buf *host)
{
    uint8_t hash[SSH_HASH_MAX];
    bool fine;
    if (k->choice.kex->hybrid) {
        fine = finish_hybrid(peer, value, secret);
    } else {
        fine = ssh_kex_start(k->method, value, NULL) == 0 &&
               ssh_kex_finish(k->method, peer, secret, NULL) == 0;
    }
    fine = fine && (k->cert ? put_certificate(host, k) : put_host_key(host, k)) &&
           hash_all(k, host, peer, value, secret, hash) &&
           nk_buf_u8(b, k->choice.kex->bits ? SSH_MSG_KEX_REPLY : SSH_MSG_KEX_GEX_REPLY) == 0 &&
           put_buf(b, host) && put_value(k, b, nk_buf_ptr(value), nk_buf_len(value)) &&
           put_host_signature(b, k, hash, ssh_hash_size(k->choice.kex->hash)) && send_kex(k, b);
    return fine && switch_keys(k, secret, hash);
}

static bool on_value(struct ssh_kit *k, const uint8_t *p, size_t n)
{
    struct nk_cur c;
    struct nk_buf bufs[4];
    nk_cur_init(&c, p + 1, n - 1);
    struct ssh_str peer = k->choice.kex->numbers ? ssh_cur_mpint(&c) : ssh_cur_string(&c);
    for (int i = 0; i < 4; i++) {
        nk_buf_init(&bufs[i], BUF_MAX);
    }
    bool fine = nk_cur_done(&c) && reply(k, peer, &bufs[0], &bufs[1], &bufs[2], &bufs[3]);
    for (int i = 0; i < 4; i++) {
        nk_buf_clear(&bufs[i]);
    }
    ssh_kex_free(k->method);
    k->method = NULL;
    return fine;
}

static bool on_group_request(struct ssh_kit *k, const uint8_t *p, size_t n)
{
    const struct ssh_str prime = {ssh_group18, SSH_GROUP18}, two = {(const uint8_t *)"\2", 1};
    struct nk_buf b;
    nk_buf_init(&b, 4096);
    nk_buf_reset(&k->group);
    bool fine = nk_buf_put(&k->group, p + 1, n - 1) == 0 &&
                ssh_put_mpint(&k->group, prime.p, prime.n) == 0 &&
                ssh_put_mpint(&k->group, two.p, two.n) == 0 &&
                nk_buf_u8(&b, SSH_MSG_KEX_REPLY) == 0 && ssh_put_mpint(&b, prime.p, prime.n) == 0 &&
                ssh_put_mpint(&b, two.p, two.n) == 0 &&
                ssh_kex_group(k->method, prime, two, NULL) == 0 && send_kex(k, &b);
    nk_buf_clear(&b);
    return fine;
}

static bool on_client_kexinit(struct ssh_kit *k, const uint8_t *p, size_t n)
{
    nk_buf_reset(&k->theirs);
    nk_buf_reset(&k->group);
    ssh_kex_free(k->method);
    k->method = NULL;
    return nk_buf_put(&k->theirs, p, n) == 0 && (k->sent_init || send_kexinit(k)) && choose(k) &&
           ssh_kex_new(k->choice.kex, &k->method) == 0;
}

static bool on_packet(struct ssh_kit *k, const uint8_t *p, size_t n)
{
    if (k->nseen < SSH_KIT_SEEN_MAX) {
        k->seen[k->nseen++] = *p;
    }
    switch (*p) {
    case SSH_MSG_KEXINIT:
        return on_client_kexinit(k, p, n);
    case SSH_MSG_KEX_INIT:
    case SSH_MSG_KEX_GEX_INIT:
        return on_value(k, p, n);
    case SSH_MSG_KEX_GEX_REQUEST:
        return on_group_request(k, p, n);
    case SSH_MSG_NEWKEYS:
        ssh_opener_key(&k->opener, k->next_in, k->strict);
        k->next_in = NULL;
        return true;
    case SSH_MSG_DISCONNECT:
        k->disconnects++;
        return true;
    default:
        k->pongs += *p == SSH_MSG_PONG;
        k->unimplemented += *p == SSH_MSG_UNIMPLEMENTED;
        if (k->above) {
            return k->above(k, p, n);
        }
        return *p < SSH_MSG_USERAUTH_REQUEST || nk_buf_put(&k->got, p, n) == 0;
    }
}

bool ssh_kit_serve(struct ssh_kit *k)
{
    struct ssh_packet p;
    int rc;
    if (!k->got_ident) {
        const uint8_t *in = nk_buf_ptr(&k->in);
        const uint8_t *lf = nk_buf_len(&k->in) ? memchr(in, '\n', nk_buf_len(&k->in)) : NULL;
        if (!lf) {
            return true;
        }
        snprintf(k->client, sizeof(k->client), "%.*s", (int)(lf - in - 1), (const char *)in);
        nk_buf_consume(&k->in, (size_t)(lf - in) + 1);
        k->got_ident = true;
        if (!k->wait_for_client && !send_kexinit(k)) {
            return false;
        }
    }
    while ((rc = ssh_open(&k->opener, nk_buf_ptr(&k->in), nk_buf_len(&k->in), &p, NULL)) == 1) {
        if (!on_packet(k, p.payload, p.n)) {
            return false;
        }
        nk_buf_consume(&k->in, p.used);
    }
    return rc == 0;
}

/* --- both ------------------------------------------------------------------------------------- */

/* Moves bytes to the client; false when there were none. */
static bool to_client(struct ssh_kit *k)
{
    uint8_t *room;
    size_t n = nk_buf_len(&k->out), max;
    if (n == 0 || !ssh_transport_wants_input(k->t)) {
        return false;
    }
    n = k->chunk && n > k->chunk ? k->chunk : n;
    n = k->split && n > k->split ? k->split : n;
    k->rc = ssh_transport_space(k->t, &room, &max, &k->diag);
    if (k->rc < 0) {
        return false;
    }
    n = n > max ? max : n;
    k->split = k->split > n ? k->split - n : 0;
    memcpy(room, nk_buf_ptr(&k->out), n);
    nk_buf_consume(&k->out, n);
    k->rc = ssh_transport_feed(k->t, n, k->now, &k->diag);
    return true;
}

static bool to_server(struct ssh_kit *k)
{
    struct nk_buf *from = ssh_transport_out(k->t);
    size_t n = nk_buf_len(from);
    n = k->chunk && n > k->chunk ? k->chunk : n;
    if (n == 0 || nk_buf_put(&k->in, nk_buf_ptr(from), n) < 0) {
        return false;
    }
    nk_buf_consume(from, n);
    return true;
}

int ssh_kit_pump(struct ssh_kit *k)
{
    bool moved = true;
    while (moved && k->rc == 0) {
        moved = to_server(k);
        if (moved && !ssh_kit_serve(k)) {
            k->rc = NK_EINTERNAL;
        }
        moved = (k->rc == 0 && to_client(k)) || moved;
    }
    while (k->rc != 0 && to_server(k)) { /* what a client says that gives up */
        (void)ssh_kit_serve(k);
    }
    return k->rc;
}

void ssh_kit_init(struct ssh_kit *k)
{
    *k = (struct ssh_kit){.ident = "SSH-2.0-kit\r\n", .strict = true};
    struct nk_buf *const bufs[] = {&k->in,     &k->out,   &k->mine, &k->theirs,
                                   &k->handed, &k->group, &k->got};
    uint8_t public_key[32];
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++) {
        nk_buf_init(bufs[i], BUF_MAX);
    }
    crypto_sign_keypair(public_key, k->secret_key);
    crypto_sign_keypair(public_key, k->ca_key);
    ssh_sealer_init(&k->sealer);
    ssh_opener_init(&k->opener);
}

int ssh_kit_start(struct ssh_kit *k)
{
    k->conf.ops = &client_ops;
    k->conf.owner = k;
    k->conf.software = "test";
    k->rc = ssh_transport_new(&k->t, &k->conf, k->now, &k->diag);
    k->rc = k->rc < 0 ? k->rc : nk_buf_puts(&k->out, k->ident);
    return k->rc;
}

int ssh_kit_run(struct ssh_kit *k)
{
    int rc = ssh_kit_start(k);
    return rc < 0 ? rc : ssh_kit_pump(k);
}

int ssh_kit_answer(struct ssh_kit *k, int answer)
{
    k->rc = ssh_transport_trust(k->t, answer, NULL, k->now, &k->diag);
    return k->rc < 0 ? k->rc : ssh_kit_pump(k);
}

int ssh_kit_compute(struct ssh_kit *k)
{
    struct ssh_kex_task *task = k->task;
    k->task = NULL;
    ssh_kex_task_run(task);
    k->rc = ssh_transport_computed(k->t, task, k->now, &k->diag);
    return ssh_kit_pump(k);
}

int ssh_kit_client_send(struct ssh_kit *k, uint8_t number, size_t n)
{
    uint8_t *p;
    int rc = ssh_sink_begin(ssh_transport_sink(k->t), n, &p);
    if (rc == 0) {
        memset(p, number, n);
        ssh_sink_end(ssh_transport_sink(k->t), p, n);
    }
    return rc;
}

void ssh_kit_clear(struct ssh_kit *k)
{
    struct nk_buf *const bufs[] = {&k->in,     &k->out,   &k->mine, &k->theirs,
                                   &k->handed, &k->group, &k->got};
    ssh_transport_free(k->t);
    ssh_kex_task_free(k->task);
    ssh_kex_free(k->method);
    ssh_protect_free(k->next_in);
    ssh_sealer_clear(&k->sealer);
    ssh_opener_clear(&k->opener);
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++) {
        nk_buf_clear(bufs[i]);
    }
}
