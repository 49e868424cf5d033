/* SPDX-License-Identifier: MIT */
/* ssh_peer - what the small SSH clients of the tests share: a key from a file, an endpoint, cat. */
#ifndef SSH_PEER_H
#define SSH_PEER_H

#include "base/file.h"
#include "base/secret.h"
#include "core/registry.h"
#include "ssh/ssh.h"

/* A key that needs no passphrase. */
static int peer_read_key(const char *path, struct ssh_private **out, struct nk_diag *diag)
{
    struct nk_secret text = {0};
    struct ssh_sealed *sealed = NULL;
    int rc = nk_file_read_secret(path, false, &text, diag);
    rc = rc < 0 ? rc : ssh_sealed_parse(text.data, text.len, &sealed, diag);
    rc = rc < 0 ? rc : ssh_sealed_unlock(sealed, NULL, 0, out, diag);
    ssh_sealed_unref(sealed);
    nk_secret_clear(&text);
    return rc;
}

/* A connection to an endpoint, "tcp:HOST:PORT" or any other. */
static int peer_dial(struct nk_app *app, const char *where, struct nk_stream **out,
                     struct nk_diag *diag)
{
    struct nk_endpoint *ep;
    int rc = nk_endpoint_parse(where, NK_EP_CONNECT, &ep, diag);
    if (rc < 0) {
        return rc;
    }
    rc = nk_dial(app, ep, NULL, NULL, out, diag);
    nk_endpoint_free(ep);
    return rc;
}

/* Ask for cat to be run in the channel. */
static int peer_run_cat(struct ssh_channel *ch, ssh_reply_fn *fn, void *owner)
{
    static const uint8_t command[] = {0, 0, 0, 3, 'c', 'a', 't'};
    return ssh_channel_request(ch, "exec", (struct ssh_str){command, sizeof(command)}, fn, owner);
}

#endif
