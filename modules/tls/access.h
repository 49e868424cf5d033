/* SPDX-License-Identifier: MIT */
/*
 * access - which of the clients whose certificates are good may connect. There is one kind of rule
 * at a time, and the names of it are alternatives: a client that has one of them is let in. Names
 * are compared as a whole; a name that could be taken for another (control bytes, bad UTF-8) is
 * nobody's. In the path of a URI a "*" stands for one segment, and "**" at the end for one or more,
 * of letters, digits, '-', '.' and '_' but not "." or ".."; scheme and authority are always
 * literal. Pure.
 */
#ifndef NK_TLS_ACCESS_H
#define NK_TLS_ACCESS_H

#include <stdbool.h>
#include "base/opt.h"
#include "tls/tls.h"

/* What a certificate must have in it; made from the fields of struct tls_creds_conf. */
struct tls_access {
    enum tls_allow kind; /* TLS_ALLOW_VERIFIED: nothing, everybody is let in */
    size_t n;
    char **names; /* "CN:alice", as tls_crt_names writes them */
    uint8_t (*pins)[TLS_HASH];
};

/* tls_access_init - copy n values of a kind. NK_ECONFIG (none, empty, control bytes, a pattern, no
 * pin), -ENOMEM; a is empty then. tls_access_clear - free; safe on one that is zero. */
int tls_access_init(struct tls_access *a, enum tls_allow kind, const char *const *values, size_t n,
                    struct nk_diag *diag);
void tls_access_clear(struct tls_access *a);

/* tls_access_allows - may a client connect whose verified certificate has these names (a line each:
 * "CN:alice") and hashes (of it and of its key)? */
bool tls_access_allows(const struct tls_access *a, const char *names, const uint8_t cert[TLS_HASH],
                       const uint8_t spki[TLS_HASH]);

/*
 * tls_access_choose - the one kind of which there are values in lists (CN, DNS, URI, pin), or
 * TLS_ALLOW_VERIFIED when `all` is said. None at all, or more than one, is NK_ECONFIG: whoever
 * writes no rule has forgotten it, and two kinds could mean "either" or "both".
 */
int tls_access_choose(const struct nk_strlist lists[TLS_ALLOW_LISTS], bool all, enum tls_allow *out,
                      struct nk_diag *diag);

#endif
