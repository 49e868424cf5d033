/* SPDX-License-Identifier: MIT */
/*
 * The transport, fed by whoever is on the other side. The first byte says from where on: the
 * identification; a first key exchange that waits for the reply, with a method of the table; or
 * the time after it, without protection, so that messages and key re-exchanges are reached.
 */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "ssh/transport_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEYED = 0x80, REPLY = 0x40, METHOD = 0x0f, STRICT = 0x20, CHUNK = 61 };

struct owner {
    struct ssh_transport *t;
};

static void on_host_key(void *arg, const struct ssh_host_key *k)
{
    struct owner *o = arg;
    (void)k;
    (void)ssh_transport_trust(o->t, 0, NULL, 0, NULL);
}

static void on_ready(void *arg)
{
    (void)arg;
}

static int on_payload(void *arg, const uint8_t *payload, size_t n, struct nk_diag *diag)
{
    (void)arg;
    (void)diag;
    return payload[n - 1] & 1;
}

static const struct ssh_transport_ops ops = {
    .host_key = on_host_key, .ready = on_ready, .payload = on_payload};

/* The exchange has come so far that the server's value is next. */
static int wait_for_reply(struct ssh_transport *t, unsigned method)
{
    size_t n = 0;
    while (ssh_kex_types[n].name) {
        n++;
    }
    t->state = SSH_T_KEXINIT;
    if (ssh_kex_begin(t) < 0) {
        return -1;
    }
    struct ssh_choice *c = &t->x->choice;
    c->kex = &ssh_kex_types[n > 0 ? method % n : 0];
    c->host = &ssh_sig_types[method % 8];
    c->cipher[SSH_OUT] = c->cipher[SSH_IN] = ssh_cipher_find("aes128-gcm@openssh.com", 22);
    t->state = c->kex->bits ? SSH_T_REPLY : SSH_T_GROUP;
    return ssh_kex_new(c->kex, &t->x->kex) < 0 ||
                   (c->kex->bits && ssh_kex_start(t->x->kex, &t->x->pub, NULL) < 0)
               ? -1
               : 0;
}

static void be_keyed(struct ssh_transport *t)
{
    t->keyed = true;
    t->state = SSH_T_OPEN;
    t->limit[SSH_OUT] = t->limit[SSH_IN] = UINT64_MAX;
    t->authenticated = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct owner o = {0};
    struct nk_diag diag = {0};
    const struct ssh_transport_conf conf = {.software = "fuzz", .ops = &ops, .owner = &o};
    int rc = 0;
    if (size == 0 || nk_crypto_init() < 0 || ssh_transport_new(&o.t, &conf, 0, &diag) < 0) {
        return 0;
    }
    uint8_t how = data[0];
    o.t->strict = how & STRICT;
    if (how & KEYED) {
        be_keyed(o.t);
    } else if (how & REPLY) {
        rc = wait_for_reply(o.t, how & METHOD);
    }
    for (size_t at = 1; rc == 0 && at < size;) {
        uint8_t *room;
        size_t max, n = size - at < CHUNK ? size - at : CHUNK;
        if (ssh_transport_space(o.t, &room, &max, &diag) < 0) {
            break;
        }
        memcpy(room, data + at, n);
        at += n;
        rc = ssh_transport_feed(o.t, n, at, &diag);
        if (rc < 0 && (diag.code != rc || !*diag.text)) {
            abort(); /* every failure has its reason */
        }
    }
    if (rc == 0) {
        (void)ssh_transport_tick(o.t, SSH_KEX_TIMEOUT_MS, &diag);
        (void)ssh_transport_eof(o.t, &diag);
    }
    ssh_transport_free(o.t);
    return 0;
}
