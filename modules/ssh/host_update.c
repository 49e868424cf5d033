/* SPDX-License-Identifier: MIT */
#include "ssh/host_update.h"

#include <stdlib.h>
#include <string.h>

#include "ssh/packet.h"

enum state { WAITING, PROVING, PROVEN, OVER };

struct ssh_host_update {
    struct ssh_host_conf conf;
    enum state state;
    struct nk_buf text; /* what was offered: the keys below are in it */
    struct ssh_str keys[SSH_HOST_UPDATE_KEYS];
    bool fresh[SSH_HOST_UPDATE_KEYS]; /* not known yet: to be proven and learnt */
    size_t n;
    const char *file; /* has the current key */
    bool hashed;
    size_t added, removed;
    size_t ncurrent;
    uint8_t current[]; /* the key of the connection */
};

int ssh_host_update_new(struct ssh_host_update **out, const struct ssh_host_conf *conf,
                        struct ssh_str current, struct nk_diag *diag)
{
    struct ssh_host_update *u = calloc(1, sizeof(*u) + current.n);
    if (!u) {
        return nk_fail_sys(diag, -ENOMEM, "the keys of %s", conf->host);
    }
    u->conf = *conf;
    nk_buf_init(&u->text, SSH_PACKET_MAX);
    u->ncurrent = current.n;
    memcpy(u->current, current.p, current.n);
    *out = u;
    return 0;
}

void ssh_host_update_free(struct ssh_host_update *u)
{
    if (u) {
        nk_buf_clear(&u->text);
        free(u);
    }
}

static bool same(struct ssh_str a, const void *p, size_t n)
{
    return a.p && p && a.n == n && memcmp(a.p, p, n) == 0;
}

/* Has the server told this key, also if netkit has no use for it? */
static bool is_offered(const struct ssh_host_update *u, const void *p, size_t n)
{
    struct nk_cur c;
    bool found = false;
    nk_cur_init(&c, nk_buf_ptr(&u->text), nk_buf_len(&u->text));
    while (!found && !c.failed && nk_cur_left(&c) > 0) {
        found = same(ssh_cur_string(&c), p, n);
    }
    return found;
}

static bool is_taken(const struct ssh_host_update *u, struct ssh_str key)
{
    for (size_t i = 0; i < u->n; i++) {
        if (same(u->keys[i], key.p, key.n)) {
            return true;
        }
    }
    return false;
}

/* --- the offer -------------------------------------------------------------------------------- */

/* Keys that netkit can use; certificates are no news. */
static int read_keys(struct ssh_host_update *u, struct nk_diag *diag)
{
    struct ssh_public k;
    struct nk_cur c;
    nk_cur_init(&c, nk_buf_ptr(&u->text), nk_buf_len(&u->text));
    while (!c.failed && nk_cur_left(&c) > 0) {
        struct ssh_str blob = ssh_cur_string(&c);
        if (!c.failed && u->n < SSH_HOST_UPDATE_KEYS && !is_taken(u, blob) &&
            ssh_public_parse(blob, u->conf.min_rsa, &k, NULL) == 0 && !k.is_cert) {
            u->keys[u->n++] = blob;
        }
    }
    return c.failed ? nk_fail(diag, NK_EPROTO, "the server's list of host keys is malformed") : 0;
}

/* Whether the files can follow; what is new, and what would go. */
static bool compare(struct ssh_host_update *u, const struct ssh_known_hosts *known)
{
    for (size_t i = 0; i < u->n; i++) {
        u->fresh[i] = true;
    }
    for (size_t i = 0; i < known->n; i++) {
        const struct ssh_known_key *k = &known->v[i];
        if (k->marker == SSH_KNOWN_CA || (k->marker == SSH_KNOWN_PLAIN && !k->single)) {
            return false; /* it is not for this line alone to say who the host is */
        }
        if (k->portless && k->marker == SSH_KNOWN_PLAIN) {
            continue;
        }
        for (size_t j = 0; j < u->n; j++) { /* revoked ones are not learnt, either */
            u->fresh[j] = u->fresh[j] && !same(u->keys[j], k->blob, k->n);
        }
        if (k->marker == SSH_KNOWN_PLAIN) {
            u->removed += !is_offered(u, k->blob, k->n);
            if (k->n == u->ncurrent && memcmp(k->blob, u->current, k->n) == 0) {
                u->file = k->file;
                u->hashed = k->hashed;
            }
        }
    }
    return u->file != NULL;
}

static int ask_for_proof(struct ssh_host_update *u, struct nk_buf *out)
{
    int rc = 0;
    for (size_t i = 0; i < u->n; i++) {
        if (u->fresh[i]) {
            u->added++;
            rc = rc < 0 ? rc : ssh_put_string(out, u->keys[i].p, u->keys[i].n);
        }
    }
    return rc;
}

int ssh_host_update_offer(struct ssh_host_update *u, struct ssh_str keys, struct nk_buf *out,
                          struct nk_diag *diag)
{
    struct ssh_known_hosts known = {0};
    if (u->state != WAITING || u->conf.npins > 0) {
        return 0;
    }
    u->state = OVER;
    int rc = nk_buf_put(&u->text, keys.p, keys.n);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "host keys") : read_keys(u, diag);
    if (rc < 0 || !is_offered(u, u->current, u->ncurrent)) {
        return rc;
    }
    /* anew: the key of this connection may have been added meanwhile */
    rc = ssh_known_hosts_load(&known, u->conf.host, u->conf.port, u->conf.user_files, u->conf.nuser,
                              u->conf.log, diag);
    if (rc == 0 && compare(u, &known)) {
        rc = ask_for_proof(u, out);
        if (rc < 0) {
            nk_fail_sys(diag, rc, "host keys");
        } else if (u->added > 0) {
            u->state = PROVING;
            rc = 1;
        } else if (u->removed > 0) {
            u->state = PROVEN;
            rc = 2;
        }
    }
    ssh_known_hosts_clear(&known);
    return rc;
}

/* --- the proof -------------------------------------------------------------------------------- */

/* By whatever algorithm of its key's type the signature names. */
static int check_proof(struct ssh_str blob, struct ssh_str signature, struct ssh_str session_id,
                       unsigned min_rsa, struct nk_diag *diag)
{
    struct ssh_public k;
    struct nk_cur c;
    struct nk_buf data;
    bool cert;
    nk_cur_init(&c, signature.p, signature.n);
    const struct ssh_sig_type *alg = ssh_sig_find(ssh_cur_string(&c), &cert);
    if (!alg || cert || ssh_public_parse(blob, min_rsa, &k, NULL) < 0) {
        return nk_fail(diag, NK_EVERIFY, "a host key is proven by an unknown algorithm");
    }
    nk_buf_init(&data, SSH_PACKET_MAX);
    int rc = ssh_put_text(&data, SSH_HOSTKEYS_PROVE);
    rc = rc < 0 ? rc : ssh_put_string(&data, session_id.p, session_id.n);
    rc = rc < 0 ? rc : ssh_put_string(&data, blob.p, blob.n);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "host keys")
                : ssh_public_verify(&k, alg, signature, nk_buf_ptr(&data), nk_buf_len(&data), diag);
    nk_buf_clear(&data);
    return rc == NK_EAUTH
               ? nk_fail(diag, NK_EVERIFY, "the server has not proven that a host key is its own")
               : rc;
}

int ssh_host_update_proof(struct ssh_host_update *u, struct ssh_str reply,
                          struct ssh_str session_id, struct nk_diag *diag)
{
    struct nk_cur c;
    if (u->state != PROVING) {
        return nk_fail(diag, NK_EPROTO, "a proof of host keys that nobody has asked for");
    }
    u->state = OVER;
    nk_cur_init(&c, reply.p, reply.n);
    for (size_t i = 0; i < u->n; i++) {
        if (u->fresh[i]) {
            struct ssh_str signature = ssh_cur_string(&c);
            int rc = c.failed
                         ? nk_fail(diag, NK_EPROTO, "the proof of host keys is malformed")
                         : check_proof(u->keys[i], signature, session_id, u->conf.min_rsa, diag);
            if (rc < 0) {
                return rc;
            }
        }
    }
    if (!nk_cur_done(&c)) {
        return nk_fail(diag, NK_EPROTO, "the proof of host keys is too long");
    }
    u->state = PROVEN;
    return 0;
}

int ssh_host_update_question(const struct ssh_host_update *u, struct nk_buf *out)
{
    int rc = nk_buf_printf(out, "%s has shown other host keys, and proven that they are its own.\n",
                           u->conf.host);
    for (size_t i = 0; rc == 0 && i < u->n; i++) {
        struct ssh_public k;
        char shown[SSH_FINGERPRINT_SIZE];
        if (u->fresh[i] && ssh_public_parse(u->keys[i], u->conf.min_rsa, &k, NULL) == 0) {
            ssh_fingerprint_sha256(u->keys[i], shown);
            rc = nk_buf_printf(out, "new: %s %s\n", k.type->name, shown);
        }
    }
    return rc < 0 ? rc : nk_buf_printf(out, "gone: %zu\nUpdate known_hosts (yes/no)? ", u->removed);
}

/* --- the files -------------------------------------------------------------------------------- */

struct writing {
    const struct ssh_host_update *u;
    char name[SSH_KNOWN_NAME_SIZE];
    bool here; /* the new keys go to this file */
};

/* A line of the host's own whose key the server has no more goes. */
static int edit(void *arg, const struct ssh_known_line *l, struct nk_buf *out)
{
    const struct writing *w = arg;
    struct ssh_public k;
    struct nk_buf blob;
    int keep = 1, rc = 0;
    if (!l) {
        for (size_t i = 0; w->here && rc == 0 && i < w->u->n; i++) {
            rc = w->u->fresh[i]
                     ? ssh_known_put(out, SSH_KNOWN_PLAIN, w->name, w->u->hashed || w->u->conf.hash,
                                     w->u->keys[i], NULL)
                     : 0;
        }
        return rc;
    }
    if (!l->entry || l->marker != SSH_KNOWN_PLAIN || !ssh_known_single(l->hosts) ||
        !ssh_known_matches(l->hosts, w->name)) {
        return 1;
    }
    nk_buf_init(&blob, SSH_BLOB_MAX);
    rc = ssh_known_key(l, &blob);
    const struct ssh_str raw = {nk_buf_ptr(&blob), nk_buf_len(&blob)};
    if (rc == 0 && ssh_public_parse(raw, 1, &k, NULL) == 0) {
        keep = is_offered(w->u, raw.p, raw.n);
    }
    nk_buf_clear(&blob);
    return rc == -ENOMEM ? rc : keep;
}

int ssh_host_update_write(struct ssh_host_update *u, struct nk_diag *diag)
{
    struct writing w = {.u = u};
    int changes = 0;
    bool done = false;
    if (u->state != PROVEN || !ssh_known_name(w.name, u->conf.host, u->conf.port)) {
        return nk_fail(diag, NK_EINTERNAL, "host keys that are not proven");
    }
    u->state = OVER;
    for (size_t i = 0; i < u->conf.nuser; i++) {
        w.here = !done && strcmp(u->conf.user_files[i], u->file) == 0;
        done = done || w.here;
        int rc = ssh_known_hosts_edit(u->conf.user_files[i], false, edit, &w, diag);
        if (rc < 0 && (rc != -ENOENT || w.here)) {
            return rc;
        }
        changes += rc > 0 ? rc : 0;
    }
    return changes;
}

size_t ssh_host_update_added(const struct ssh_host_update *u)
{
    return u->added;
}

size_t ssh_host_update_removed(const struct ssh_host_update *u)
{
    return u->removed;
}
