/* SPDX-License-Identifier: MIT */
/* netkit's wire: login with the password, opening a group. */
#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "relay/stretch.h"
#include "relay/wire_native.h"

static struct relay_native_head nk_frame(struct conn *c)
{
    struct relay_native_head h;
    const char *why = "";
    need(c, RELAY_NATIVE_HEAD);
    if (relay_native_head(c->in, c->len, RELAY_FROM_RELAY, RELAY_NATIVE_FRAGMENT, &h, &why) != 1) {
        die(why);
    }
    need(c, RELAY_NATIVE_HEAD + h.len);
    return h;
}

static void nk_send_auth(struct conn *c, const struct relay_login_client *l)
{
    uint8_t b[RELAY_NATIVE_HEAD + RELAY_LOGIN_MESSAGE_MAX];
    struct relay_native_head h = {
        .type = RELAY_N_AUTH, .len = (uint32_t)l->out_len, .seq = l->out_step};
    relay_native_put_head(b, &h);
    memcpy(b + RELAY_NATIVE_HEAD, l->out, l->out_len);
    put(c, b, RELAY_NATIVE_HEAD + l->out_len);
}

static void nk_challenge(struct load *o, struct conn *c, struct relay_login_client *l)
{
    struct relay_native_challenge v;
    struct relay_login_challenge ch = {0};
    struct nk_diag diag = {0};
    struct relay_native_head h = nk_frame(c);
    if (relay_native_get_challenge(&h, c->in + RELAY_NATIVE_HEAD, &v) < 0) {
        die("CHALLENGE");
    }
    ch.methods = v.methods;
    ch.candidates = v.candidates;
    memcpy(ch.nonce, v.nonce, sizeof(ch.nonce));
    memcpy(ch.stretch.salt, v.salt, sizeof(ch.stretch.salt));
    ch.stretch.mem_kib = v.argon2_kib;
    ch.stretch.passes = v.argon2_passes;
    int rc = relay_login_client_challenge(l, &ch, v.logged_in, &diag);
    if (rc == RELAY_LOGIN_STRETCH) {
        if (!o->stretched &&
            relay_stretch(&ch.stretch, o->password.data, o->password.len, o->prs) < 0) {
            die("stretch");
        }
        o->stretched = true;
        rc = relay_login_client_stretched(l, o->prs, &diag);
    }
    if (rc < 0) {
        die(diag.text);
    }
    eat(c, RELAY_NATIVE_HEAD + h.len);
    if (rc == RELAY_LOGIN_SEND) {
        nk_send_auth(c, l);
    }
}

void nk_login(struct load *o, struct conn *c)
{
    uint8_t b[RELAY_NATIVE_HELLO_MAX], exporter[RELAY_LOGIN_EXPORTER];
    struct relay_native_hello hello = {.version_min = 1, .version_max = 1, .name = {"load", 4}};
    static const char label[] = "EXPORTER-Channel-Binding";
    if (c->ssl && SSL_export_keying_material(c->ssl, exporter, sizeof(exporter), label,
                                             sizeof(label) - 1, NULL, 0, 0) != 1) {
        die("exporter");
    }
    struct relay_login_client_conf conf = {.exporter = c->ssl ? exporter : NULL,
                                           .password = &o->password,
                                           .trust = c->ssl ? RELAY_TRUST_NONE : RELAY_TRUST_LOCAL};
    struct relay_login_client l;
    struct nk_diag diag = {0};
    relay_login_client_init(&l, &conf);
    put(c, b, relay_native_put_hello(b, &hello));
    nk_challenge(o, c, &l);
    for (;;) {
        struct relay_native_head h = nk_frame(c);
        if (h.type == RELAY_N_WELCOME) {
            eat(c, RELAY_NATIVE_HEAD + h.len);
            break;
        }
        if (h.type != RELAY_N_AUTH ||
            relay_login_client_step(&l, h.seq, c->in + RELAY_NATIVE_HEAD, h.len, &diag) < 0) {
            die("login refused");
        }
        eat(c, RELAY_NATIVE_HEAD + h.len);
        nk_send_auth(c, &l);
    }
    relay_login_client_clear(&l);
}

void nk_open(struct load *o, struct conn *c, const char *name, bool member)
{
    uint8_t b[RELAY_NATIVE_OPEN_MAX];
    struct relay_native_opened v;
    struct relay_native_open open = {.request = 1, .member = member, .name = {name, strlen(name)}};
    put(c, b, relay_native_put_open(b, &open));
    struct relay_native_head h = nk_frame(c);
    if (relay_native_get_opened(&h, c->in + RELAY_NATIVE_HEAD, &v) < 0 || v.status) {
        die("OPEN");
    }
    eat(c, RELAY_NATIVE_HEAD + h.len);
    o->group = v.group;
    c->window = v.window;
}
