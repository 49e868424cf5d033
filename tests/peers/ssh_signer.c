/* SPDX-License-Identifier: MIT */
/*
 * Signs standard input as ssh-keygen -Y sign does (OpenSSH's PROTOCOL.sshsig), namespace "test", so
 * that ssh-keygen can verify what modules/ssh signs:
 *
 *     ssh_signer key ALGORITHM KEYFILE              with a private key
 *     ssh_signer agent ALGORITHM COMMENT SOCKET HOSTKEY
 *                                                   with the agent's key of that comment, after the
 *                                                   session was bound to the host key
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "core/app.h"
#include "ssh/agent.h"
#include "ssh/keyfile.h"
#include "ssh/sign.h"

enum { MESSAGE_MAX = 65536 };

struct signer {
    struct nk_app *app;
    struct ssh_agent *agent;
    const struct ssh_sig_type *alg;
    const char *comment;
    struct nk_buf message, data; /* data: what is signed */
    int rc;
};

static int complain(int rc, const struct nk_diag *why)
{
    fprintf(stderr, "ssh_signer: %s\n", why ? why->text : nk_strerror(rc));
    return rc;
}

/* What stands in front of the message's hash, or of the key and the signature. */
static void put_head(struct nk_buf *b, const struct ssh_str *key)
{
    (void)nk_buf_puts(b, "SSHSIG");
    if (key) {
        (void)nk_buf_be32(b, 1);
        (void)ssh_put_string(b, key->p, key->n);
    }
    (void)ssh_put_text(b, "test");
    (void)ssh_put_text(b, "");
    (void)ssh_put_text(b, "sha512");
}

static int read_message(struct signer *s)
{
    uint8_t hash[crypto_hash_sha512_BYTES];
    struct nk_diag diag;
    nk_buf_init(&s->message, MESSAGE_MAX);
    nk_buf_init(&s->data, MESSAGE_MAX);
    int rc = nk_file_read_fd(STDIN_FILENO, &s->message, &diag);
    if (rc < 0) {
        return complain(rc, &diag);
    }
    crypto_hash_sha512(hash, nk_buf_ptr(&s->message), nk_buf_len(&s->message));
    put_head(&s->data, NULL);
    return ssh_put_string(&s->data, hash, sizeof(hash));
}

static void print(struct ssh_str key, struct ssh_str signature)
{
    static char text[MESSAGE_MAX];
    struct nk_buf b;
    nk_buf_init(&b, MESSAGE_MAX / 2);
    put_head(&b, &key);
    (void)ssh_put_string(&b, signature.p, signature.n);
    sodium_bin2base64(text, sizeof(text), nk_buf_ptr(&b), nk_buf_len(&b),
                      sodium_base64_VARIANT_ORIGINAL);
    printf("-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n", text);
    nk_buf_clear(&b);
}

static int with_key(struct signer *s, const char *path)
{
    struct ssh_private *k;
    struct nk_diag diag;
    struct nk_buf out;
    int rc = ssh_keyfile_open(path, NULL, true, 0, &k, &diag);
    if (rc < 0) {
        return complain(rc, &diag);
    }
    nk_buf_init(&out, MESSAGE_MAX);
    rc = ssh_private_sign(k, s->alg, nk_buf_ptr(&s->data), nk_buf_len(&s->data), &out, &diag);
    if (rc == 0) {
        print(k->pub.blob, (struct ssh_str){nk_buf_ptr(&out), nk_buf_len(&out)});
    } else {
        complain(rc, &diag);
    }
    nk_buf_clear(&out);
    ssh_private_unref(k);
    return rc;
}

/* --- with an agent ---------------------------------------------------------------------------- */

static struct nk_buf chosen; /* the key that signs */

static void finish(struct signer *s, int rc, const struct nk_diag *diag)
{
    s->rc = rc < 0 ? complain(rc, diag) : 0;
    ssh_agent_close(s->agent);
    s->agent = NULL;
    nk_app_stop(s->app, 0);
}

static void on_signature(void *owner, const struct ssh_agent_answer *a)
{
    struct ssh_str key = {nk_buf_ptr(&chosen), nk_buf_len(&chosen)};
    if (a->rc == 0) {
        print(key, a->signature);
    }
    finish(owner, a->rc, a->diag);
}

static void on_list(void *owner, const struct ssh_agent_answer *a)
{
    struct signer *s = owner;
    struct ssh_agent_request *r;
    for (size_t i = 0; i < a->nkeys; i++) {
        const struct ssh_agent_key *k = &a->keys[i];
        if (k->comment.n == strlen(s->comment) && ssh_str_is(k->comment, s->comment)) {
            (void)nk_buf_put(&chosen, k->blob.p, k->blob.n);
            int rc = ssh_agent_sign(s->agent, k->blob, nk_buf_ptr(&s->data), nk_buf_len(&s->data),
                                    s->alg->name, on_signature, s, &r);
            if (rc < 0) {
                finish(s, rc, NULL);
            }
            return;
        }
    }
    finish(s, a->rc < 0 ? a->rc : -ENOENT, a->diag);
}

static void on_bound(void *owner, const struct ssh_agent_answer *a)
{
    struct signer *s = owner;
    struct ssh_agent_request *r;
    int rc = a->rc < 0 ? a->rc : ssh_agent_list(s->agent, on_list, s, &r);
    if (rc < 0) {
        finish(s, rc, a->diag);
    }
}

static int with_agent(struct signer *s, char **argv)
{
    const struct nk_app_conf conf = {0};
    struct ssh_str session = {(const uint8_t *)"0123456789abcdef0123456789abcdef", 32};
    struct ssh_agent_request *r;
    struct ssh_private *host;
    struct nk_diag diag;
    struct nk_buf proof;
    s->comment = argv[0];
    nk_buf_init(&chosen, MESSAGE_MAX);
    nk_buf_init(&proof, MESSAGE_MAX);
    int rc = nk_app_new(&s->app, &conf, &diag);
    rc = rc < 0 ? rc : ssh_keyfile_open(argv[2], NULL, true, 0, &host, &diag);
    rc = rc < 0 ? rc
                : ssh_private_sign(host, ssh_sig_choose(host->pub.type, false, (struct ssh_str){0}),
                                   session.p, session.n, &proof, &diag);
    rc = rc < 0 ? rc : ssh_agent_open(s->app, ssh_agent_path(argv[1]), &s->agent, &diag);
    if (rc < 0) {
        return complain(rc, &diag);
    }
    struct ssh_str signature = {nk_buf_ptr(&proof), nk_buf_len(&proof)};
    rc = ssh_agent_bind(s->agent, host->pub.blob, session, signature, false, on_bound, s, &r);
    if (rc < 0) {
        return complain(rc, NULL);
    }
    (void)nk_app_run(s->app);
    ssh_private_unref(host);
    nk_buf_clear(&proof);
    nk_buf_clear(&chosen);
    nk_app_free(s->app);
    return s->rc;
}

int main(int argc, char **argv)
{
    struct signer s = {0};
    bool cert;
    if (argc < 4 || nk_crypto_init() < 0) {
        return 2;
    }
    s.alg = ssh_sig_find((struct ssh_str){(const uint8_t *)argv[2], strlen(argv[2])}, &cert);
    if (!s.alg || read_message(&s) < 0) {
        return 2;
    }
    int rc = argc == 6 ? with_agent(&s, argv + 3) : with_key(&s, argv[3]);
    nk_buf_clear(&s.message);
    nk_buf_clear(&s.data);
    return rc < 0 ? 1 : 0;
}
