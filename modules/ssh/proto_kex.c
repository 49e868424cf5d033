/* SPDX-License-Identifier: MIT */
/* Key exchange and re-exchange (RFC 4253 7 to 9, RFC 4419 3), strict as OpenSSH's PROTOCOL 1.10 has
 * it. README.md has the states. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"
#include "ssh/transport_impl.h"

enum {
    PUBLIC_MAX = 4096, /* bytes of a public value of ours; mlkem768x25519 has 1216 */
    HASHED_MAX = 4 * (int)SSH_PACKET_MAX,
    GROUP_MAX = 4096, /* three numbers, p and g */
    SIGNATURE_MAX = 64 * 1024,
    REQUEST_SIZE = 1 + 3 * 4,
    BIG_BLOCK = 16,        /* bytes: RFC 4344 3.2 has two rules */
    SMALL_BLOCK_SHIFT = 30 /* 1 GiB, as in RFC 4253 9 */
};

/* --- the exchange ----------------------------------------------------------------------------- */

void ssh_kex_drop(struct ssh_transport *t)
{
    struct ssh_exchange *x = t->x;
    if (!x) {
        return;
    }
    t->x = NULL;
    struct nk_buf *const bufs[] = {&x->ours,  &x->theirs, &x->pub,  &x->secret,
                                   &x->value, &x->group,  &x->host, &x->signature};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++) {
        nk_buf_clear(bufs[i]);
    }
    ssh_kex_free(x->kex);
    ssh_protect_free(x->next_in);
    nk_free_wiped(x, sizeof(*x));
}

static int make_exchange(struct ssh_transport *t)
{
    struct ssh_exchange *x = calloc(1, sizeof(*x));
    if (!x) {
        return -ENOMEM;
    }
    nk_buf_init(&x->ours, SSH_PACKET_MAX);
    nk_buf_init(&x->theirs, SSH_PACKET_MAX);
    nk_buf_init(&x->pub, PUBLIC_MAX);
    nk_buf_init_secret(&x->secret, PUBLIC_MAX);
    nk_buf_init(&x->value, SSH_PACKET_MAX);
    nk_buf_init(&x->group, GROUP_MAX);
    nk_buf_init(&x->host, SSH_BLOB_MAX);
    nk_buf_init(&x->signature, SIGNATURE_MAX);
    t->x = x;
    return 0;
}

int ssh_kex_begin(struct ssh_transport *t)
{
    int rc = make_exchange(t);
    rc = rc < 0 ? rc : ssh_kexinit_put(&t->proposal, !t->keyed, &t->x->ours);
    rc = rc < 0 ? rc
                : ssh_seal(&t->sealer, &t->out, nk_buf_ptr(&t->x->ours), nk_buf_len(&t->x->ours));
    if (rc < 0) {
        ssh_kex_drop(t);
        return ssh_transport_full(rc);
    }
    t->locked = true;
    t->since = t->begun = t->now;
    if (t->keyed) {
        ssh_transport_set(t, SSH_T_KEXINIT);
    }
    return 0;
}

static int send(struct ssh_transport *t, const struct nk_buf *payload)
{
    return ssh_transport_full(
        ssh_seal(&t->sealer, &t->out, nk_buf_ptr(payload), nk_buf_len(payload)));
}

static int out_of(struct nk_diag *diag, int rc)
{
    return rc < 0 ? nk_fail_sys(diag, rc, "key exchange") : rc;
}

/* A public value as it travels. */
static int put_value(const struct ssh_exchange *x, struct nk_buf *b, const uint8_t *p, size_t n)
{
    return x->choice.kex->numbers ? ssh_put_mpint(b, p, n) : ssh_put_string(b, p, n);
}

/* A step of the method. It takes with it what it works on, so that the connection may end
 * meanwhile. */
static struct ssh_kex_task *new_task(struct ssh_exchange *x, bool finish)
{
    struct ssh_kex_task *task = calloc(1, sizeof(*task));
    if (task) {
        *task = (struct ssh_kex_task){
            .kex = x->kex, .finish = finish, .in = x->value, .out = finish ? x->secret : x->pub};
        x->kex = NULL;
        nk_buf_init(&x->value, SSH_PACKET_MAX);
    }
    return task;
}

/* Where a step takes long the owner has it done. */
static int compute(struct ssh_transport *t, bool finish, struct nk_diag *diag)
{
    struct ssh_kex_task *task = new_task(t->x, finish);
    if (!task) {
        return out_of(diag, -ENOMEM);
    }
    if (t->conf.ops->compute && ssh_kex_is_slow(t->x->choice.kex)) {
        ssh_transport_set(t, SSH_T_WORK);
        if (t->conf.ops->compute(t->conf.owner, task) == 0) {
            return 0;
        }
    }
    ssh_kex_task_run(task);
    return ssh_kex_computed(t, task, diag);
}

/* Our value. */
static int send_value(struct ssh_transport *t, struct nk_diag *diag)
{
    struct ssh_exchange *x = t->x;
    struct nk_buf b;
    nk_buf_init(&b, PUBLIC_MAX + 16);
    int rc = nk_buf_u8(&b, x->choice.kex->bits ? SSH_MSG_KEX_INIT : SSH_MSG_KEX_GEX_INIT);
    rc = rc < 0 ? rc : put_value(x, &b, nk_buf_ptr(&x->pub), nk_buf_len(&x->pub));
    rc = rc < 0 ? rc : send(t, &b);
    nk_buf_clear(&b);
    ssh_transport_set(t, SSH_T_REPLY);
    return out_of(diag, rc);
}

/* RFC 4419 3: which group would be fine; the same three numbers enter the hash. */
static int send_group_request(struct ssh_transport *t, struct nk_diag *diag)
{
    struct nk_buf *g = &t->x->group, b;
    nk_buf_init(&b, REQUEST_SIZE);
    int rc = nk_buf_be32(g, SSH_GROUP_MIN);
    rc = rc < 0 ? rc : nk_buf_be32(g, SSH_GROUP_WANT);
    rc = rc < 0 ? rc : nk_buf_be32(g, SSH_GROUP_MAX);
    rc = rc < 0 ? rc : nk_buf_u8(&b, SSH_MSG_KEX_GEX_REQUEST);
    rc = rc < 0 ? rc : nk_buf_put(&b, nk_buf_ptr(g), nk_buf_len(g));
    rc = rc < 0 ? rc : send(t, &b);
    nk_buf_clear(&b);
    ssh_transport_set(t, SSH_T_GROUP);
    return out_of(diag, rc);
}

/* --- KEXINIT ---------------------------------------------------------------------------------- */

/* The server's first one decides whether the key exchanges of this connection are strict; later
 * ones may say what they like. */
static int settle_strict(struct ssh_transport *t, const struct ssh_kexinit *k, uint32_t seq,
                         struct nk_diag *diag)
{
    const struct ssh_str mark = {(const uint8_t *)SSH_STRICT_SERVER, strlen(SSH_STRICT_SERVER)};
    t->strict = ssh_names_have(k->list[SSH_FIELD_KEX], mark);
    if (t->strict && seq != 0) {
        return nk_fail(diag, NK_EPROTO,
                       "something came before the server's KEXINIT, which strict key exchange "
                       "forbids");
    }
    if (!t->strict && t->conf.strict == SSH_STRICT_KEX_REQUIRE) {
        nk_fail(diag, NK_EPROTO, "the server does not know strict key exchange (CVE-2023-48795)");
        nk_hint(diag, "a newer server does; or do not require it");
        return NK_EPROTO;
    }
    if (!t->strict) {
        ssh_proposal_guard(&t->proposal);
    }
    return 0;
}

static int start_method(struct ssh_transport *t, struct nk_diag *diag)
{
    const struct ssh_kex_type *type = t->x->choice.kex;
    int rc = ssh_kex_new(type, &t->x->kex);
    if (rc < 0) {
        return out_of(diag, rc);
    }
    return type->bits ? compute(t, false, diag) : send_group_request(t, diag);
}

static int on_kexinit(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    struct ssh_kexinit k;
    int rc = ssh_kexinit_parse((struct ssh_str){p->payload, p->n}, &k, diag);
    if (rc == 0 && !t->keyed) {
        rc = settle_strict(t, &k, p->seq, diag);
    }
    if (rc == 0 && !t->x) { /* the server was first */
        rc = out_of(diag, ssh_kex_begin(t));
    }
    struct ssh_exchange *x = t->x;
    if (rc < 0 || !x) {
        return rc < 0 ? rc : NK_EINTERNAL;
    }
    rc = out_of(diag, nk_buf_put(&x->theirs, p->payload, p->n));
    rc = rc < 0 ? rc : ssh_negotiate(&t->proposal, &k, &x->choice, diag);
    if (rc < 0) {
        return rc;
    }
    x->skip = k.follows && !x->choice.guess_right;
    t->choice = x->choice;
    ssh_transport_say(t, SSH_TRACE_CHOICE, t->choice.kex->name, strlen(t->choice.kex->name));
    return start_method(t, diag);
}

/* --- the method's messages -------------------------------------------------------------------- */

static int malformed(uint8_t number, struct nk_diag *diag)
{
    return nk_fail(diag, NK_EPROTO, "the server's %s is malformed", ssh_message_name(number));
}

static int on_group(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    struct ssh_exchange *x = t->x;
    struct nk_cur c;
    nk_cur_init(&c, p->payload + 1, p->n - 1);
    struct ssh_str prime = ssh_cur_mpint(&c), g = ssh_cur_mpint(&c);
    if (!nk_cur_done(&c)) {
        return malformed(p->payload[0], diag);
    }
    int rc = ssh_kex_group(x->kex, prime, g, diag);
    if (rc < 0) {
        return rc;
    }
    rc = ssh_put_mpint(&x->group, prime.p, prime.n);
    rc = rc < 0 ? rc : ssh_put_mpint(&x->group, g.p, g.n);
    return rc < 0 ? out_of(diag, rc) : compute(t, false, diag);
}

static int put_buf(struct nk_buf *b, const struct nk_buf *from)
{
    return ssh_put_string(b, nk_buf_ptr(from), nk_buf_len(from));
}

/* RFC 4253 8, RFC 4419 3, RFC 5656 4: what both sides hash. */
static int hash_exchange(struct ssh_transport *t)
{
    struct ssh_exchange *x = t->x;
    struct nk_buf b;
    nk_buf_init_secret(&b, HASHED_MAX);
    int rc = ssh_put_text(&b, t->ident);
    rc = rc < 0 ? rc : ssh_put_text(&b, t->server);
    rc = rc < 0 ? rc : put_buf(&b, &x->ours);
    rc = rc < 0 ? rc : put_buf(&b, &x->theirs);
    rc = rc < 0 ? rc : put_buf(&b, &x->host);
    rc = rc < 0 ? rc : nk_buf_put(&b, nk_buf_ptr(&x->group), nk_buf_len(&x->group));
    rc = rc < 0 ? rc : put_value(x, &b, nk_buf_ptr(&x->pub), nk_buf_len(&x->pub));
    rc = rc < 0 ? rc : put_value(x, &b, nk_buf_ptr(&x->value), nk_buf_len(&x->value));
    rc = rc < 0 ? rc : nk_buf_put(&b, nk_buf_ptr(&x->secret), nk_buf_len(&x->secret));
    if (rc == 0) {
        ssh_hash(x->choice.kex->hash, nk_buf_ptr(&b), nk_buf_len(&b), x->hash);
    }
    nk_buf_clear(&b);
    return rc;
}

/* Is it the key that is meant, and has it signed the exchange? */
static int check_host(struct ssh_transport *t, struct ssh_public *k, struct nk_diag *diag)
{
    const struct ssh_exchange *x = t->x;
    const struct ssh_str blob = {nk_buf_ptr(&x->host), nk_buf_len(&x->host)};
    const struct ssh_str signature = {nk_buf_ptr(&x->signature), nk_buf_len(&x->signature)};
    int rc = ssh_public_parse(blob, t->conf.min_rsa, k, diag);
    if (rc == 0 &&
        (k->is_cert != x->choice.host_cert || strcmp(k->type->name, x->choice.host->key) != 0)) {
        rc = nk_fail(diag, NK_EPROTO, "the server's host key is a%s %s, but %s was agreed on",
                     k->is_cert ? " certificate of a" : "", k->type->name,
                     x->choice.host_cert ? x->choice.host->cert_name : x->choice.host->name);
    }
    if (rc == 0) {
        rc = ssh_public_verify(k, x->choice.host, signature, x->hash,
                               ssh_hash_size(x->choice.kex->hash), diag);
    }
    if (rc == NK_EAUTH && diag) { /* too short a key, or a wrong signature: not the host meant */
        nk_fail_context(diag, "the server's host key");
        diag->code = NK_EVERIFY;
    }
    return rc == NK_EAUTH ? NK_EVERIFY : rc == NK_EFORMAT || rc == NK_EUNSUPPORTED ? NK_EPROTO : rc;
}

static bool same_bytes(const struct nk_buf *a, const struct nk_buf *b)
{
    return nk_buf_len(a) == nk_buf_len(b) && nk_buf_len(a) > 0 &&
           memcmp(nk_buf_ptr(a), nk_buf_ptr(b), nk_buf_len(a)) == 0;
}

/* Whether the key trusted at first was a certificate of the same authority. */
static bool same_authority(const struct ssh_transport *t, const struct ssh_public *k)
{
    struct ssh_public first;
    const struct ssh_str blob = {nk_buf_ptr(&t->host), nk_buf_len(&t->host)};
    return k->is_cert && ssh_public_parse(blob, t->conf.min_rsa, &first, NULL) == 0 &&
           first.is_cert && first.cert.ca.n == k->cert.ca.n &&
           memcmp(first.cert.ca.p, k->cert.ca.p, k->cert.ca.n) == 0;
}

/* The first time the owner decides; later it must be the same key. */
static int judge(struct ssh_transport *t, const struct ssh_public *k, struct nk_diag *diag)
{
    if (t->keyed && same_bytes(&t->host, &t->x->host)) {
        return ssh_kex_accept(t, diag);
    }
    if (t->keyed && !same_authority(t, k)) {
        return nk_fail(diag, NK_EVERIFY, "the server has changed its host key in mid-connection");
    }
    const struct ssh_host_key asked = {.key = *k, .alg = t->x->choice.host, .again = t->keyed};
    ssh_transport_set(t, SSH_T_ANSWER);
    t->asked = true;
    t->conf.ops->host_key(t->conf.owner, &asked);
    return 0;
}

static int on_reply(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    struct ssh_exchange *x = t->x;
    struct nk_cur c;
    nk_cur_init(&c, p->payload + 1, p->n - 1);
    struct ssh_str host = ssh_cur_string(&c);
    struct ssh_str value = x->choice.kex->numbers ? ssh_cur_mpint(&c) : ssh_cur_string(&c);
    struct ssh_str signature = ssh_cur_string(&c);
    if (!nk_cur_done(&c) || host.n > SSH_BLOB_MAX || signature.n > SIGNATURE_MAX) {
        return malformed(p->payload[0], diag);
    }
    int rc = nk_buf_put(&x->value, value.p, value.n);
    rc = rc < 0 ? rc : nk_buf_put(&x->host, host.p, host.n);
    rc = rc < 0 ? rc : nk_buf_put(&x->signature, signature.p, signature.n);
    return rc < 0 ? out_of(diag, rc) : compute(t, true, diag);
}

/* There is a secret: with whom? */
static int on_secret(struct ssh_transport *t, struct nk_diag *diag)
{
    struct ssh_public k;
    int rc = out_of(diag, hash_exchange(t));
    rc = rc < 0 ? rc : check_host(t, &k, diag);
    return rc < 0 ? rc : judge(t, &k, diag);
}

int ssh_kex_computed(struct ssh_transport *t, struct ssh_kex_task *take_task, struct nk_diag *diag)
{
    struct ssh_exchange *x = t->x;
    bool finish = take_task->finish;
    int rc = take_task->rc;
    if (rc < 0 && diag) {
        *diag = take_task->diag;
    }
    x->kex = take_task->kex;
    x->value = take_task->in;
    *(finish ? &x->secret : &x->pub) = take_task->out;
    free(take_task);
    return rc < 0 ? rc : finish ? on_secret(t, diag) : send_value(t, diag);
}

/* --- new keys --------------------------------------------------------------------------------- */

/* The keys of one direction; letters as in RFC 4253 7.2. */
static int make_keys(const struct ssh_transport *t, int direction, struct ssh_protect **out)
{
    const struct ssh_exchange *x = t->x;
    const struct ssh_cipher_type *cipher = x->choice.cipher[direction];
    const struct ssh_mac_type *mac = x->choice.mac[direction];
    const size_t sizes[] = {cipher->iv, cipher->key, mac ? mac->key : 0};
    uint8_t keys[3][SSH_KEY_MAX];
    int rc = 0;
    for (int i = 0; rc == 0 && i < 3; i++) {
        rc = ssh_kex_derive(x->choice.kex->hash, &x->secret, x->hash, t->session_id,
                            t->session_id_n, (char)('A' + 2 * i + direction), keys[i], sizes[i]);
    }
    rc = rc < 0 ? rc : ssh_protect_new(cipher, mac, keys[1], keys[0], keys[2], out);
    nk_wipe(keys, sizeof(keys));
    return rc;
}

/* RFC 4344 3.2: 2^(L/4) blocks of L bits; a stream cipher as RFC 4253 9 has it. */
static uint64_t bytes_under_key(const struct ssh_transport *t, int direction)
{
    unsigned block = t->choice.cipher[direction]->block;
    uint64_t most =
        block >= BIG_BLOCK ? (uint64_t)block << (2 * block) : (uint64_t)1 << SMALL_BLOCK_SHIFT;
    return t->conf.rekey_bytes && t->conf.rekey_bytes < most ? t->conf.rekey_bytes : most;
}

/* The first exchange: its hash is the session's name, its key the server's. */
static int remember(struct ssh_transport *t)
{
    const struct ssh_exchange *x = t->x;
    nk_buf_reset(&t->host);
    nk_buf_reset(&t->host_signature);
    int rc = nk_buf_put(&t->host, nk_buf_ptr(&x->host), nk_buf_len(&x->host));
    rc = rc < 0
             ? rc
             : nk_buf_put(&t->host_signature, nk_buf_ptr(&x->signature), nk_buf_len(&x->signature));
    if (rc == 0) {
        t->session_id_n = ssh_hash_size(x->choice.kex->hash);
        memcpy(t->session_id, x->hash, t->session_id_n);
    }
    return rc;
}

int ssh_kex_accept(struct ssh_transport *t, struct nk_diag *diag)
{
    static const uint8_t newkeys[] = {SSH_MSG_NEWKEYS};
    struct ssh_protect *next_out = NULL;
    int rc = t->keyed ? 0 : remember(t);
    rc = rc < 0 ? rc : make_keys(t, SSH_OUT, &next_out);
    rc = rc < 0 ? rc : make_keys(t, SSH_IN, &t->x->next_in);
    rc = rc < 0 ? rc : ssh_seal(&t->sealer, &t->out, newkeys, sizeof(newkeys));
    if (rc < 0) {
        ssh_protect_free(next_out);
        return out_of(diag, ssh_transport_full(rc));
    }
    ssh_sealer_key(&t->sealer, next_out, t->strict);
    t->rekeys += t->keyed;
    t->ready_due = !t->keyed;
    t->keyed = true;
    t->locked = false;
    t->limit[SSH_OUT] = bytes_under_key(t, SSH_OUT);
    t->limit[SSH_IN] = bytes_under_key(t, SSH_IN);
    ssh_transport_set(t, SSH_T_NEWKEYS);
    return ssh_transport_flush(t, diag);
}

static int on_newkeys(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    if (p->n != 1) {
        return malformed(p->payload[0], diag);
    }
    ssh_opener_key(&t->opener, t->x->next_in, t->strict);
    t->x->next_in = NULL;
    ssh_kex_drop(t);
    t->keys_since = t->now;
    ssh_transport_set(t, SSH_T_OPEN);
    ssh_transport_say(t, SSH_TRACE_NEWKEYS, "", 0);
    return 0;
}

/* --- what is expected ------------------------------------------------------------------------- */

static uint8_t expected(const struct ssh_transport *t)
{
    bool group_exchange = t->x && t->x->kex && t->x->choice.kex->bits == 0;
    switch (t->state) {
    case SSH_T_KEXINIT:
    case SSH_T_OPEN:
        return SSH_MSG_KEXINIT;
    case SSH_T_GROUP:
        return SSH_MSG_KEX_REPLY; /* KEX_GEX_GROUP has the same number */
    case SSH_T_REPLY:
        return group_exchange ? SSH_MSG_KEX_GEX_REPLY : SSH_MSG_KEX_REPLY;
    case SSH_T_NEWKEYS:
        return SSH_MSG_NEWKEYS;
    default:
        return 0;
    }
}

int ssh_kex_message(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    uint8_t number = p->payload[0], want = expected(t);
    if (number != want) {
        return nk_fail(diag, NK_EPROTO, "the server sent %s (%u) where %s was expected",
                       ssh_message_name(number), number, ssh_message_name(want));
    }
    switch (t->state) {
    case SSH_T_GROUP:
        return on_group(t, p, diag);
    case SSH_T_REPLY:
        return on_reply(t, p, diag);
    case SSH_T_NEWKEYS:
        return on_newkeys(t, p, diag);
    default:
        return on_kexinit(t, p, diag);
    }
}
