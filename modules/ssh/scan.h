/* SPDX-License-Identifier: MIT */
/*
 * scan - what host keys does a server have? A connection for each type of key, one after the other,
 * that ends when the server has shown its key and proven to have it.
 */
#ifndef SSH_SCAN_H
#define SSH_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ssh/pubkey.h"

struct nk_app;
struct nk_endpoint;
struct ssh_scan;

enum {
    SSH_SCAN_TYPES = 14, /* all that ssh_sig_types has, RSA once; plain ones first */
    SSH_SCAN_IDENT = 256,
    SSH_SCAN_RSA_MIN = 1024 /* bits: keys that netkit would not trust are told, too */
};

struct ssh_scan_conf {
    struct nk_app *app;
    const struct nk_endpoint *endpoint; /* where the server is; borrowed until ssh_scan_close */
    bool certificates;                  /* ask for them, too */
    uint64_t timeout_ms;                /* for each connection */
    void (*done)(void *owner, struct ssh_scan *s); /* once, from the loop; may close it */
    void *owner;
};

/* ssh_scan_open - begin. 0, -ENOMEM, errors of nk_dial. ssh_scan_close - at any time; NULL is fine.
 */
int ssh_scan_open(struct ssh_scan **out, const struct ssh_scan_conf *conf, struct nk_diag *diag);
void ssh_scan_close(struct ssh_scan *s);

/* Afterwards. ssh_scan_key - the i-th key or certificate that was shown; no bytes behind the last.
 * ssh_scan_ident - the server's identification, "" when it did not come. ssh_scan_result - 0, or
 * why the server could not be asked about some type; keys that were shown before count all the
 * same. */
struct ssh_str ssh_scan_key(const struct ssh_scan *s, size_t i);
const char *ssh_scan_ident(const struct ssh_scan *s);
int ssh_scan_result(const struct ssh_scan *s, struct nk_diag *diag);

#endif
