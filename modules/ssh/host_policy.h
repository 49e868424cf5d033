/* SPDX-License-Identifier: MIT */
/*
 * host_policy - is this the key of the host that the user means? Decided from the known_hosts
 * files, certificates of authorities in them, and pins; before that, in which order host key
 * algorithms are asked for, so that a server with several keys shows one that is known.
 *
 * Pins are the whole truth where there are any; only revoked keys are refused all the same. Without
 * pins: a key or authority that is @revoked is never accepted; a certificate is good when an
 * authority that is known for the host has made it, for this name and this time; else the key
 * itself counts, also the one within a certificate. A certificate that is of a known authority, but
 * not good, is refused, unless the key itself is known. What is not known at all is for
 * StrictHostKeyChecking to decide.
 */
#ifndef SSH_HOST_POLICY_H
#define SSH_HOST_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "ssh/known_hosts.h"
#include "ssh/pubkey.h"

/* StrictHostKeyChecking. */
enum ssh_checking {
    SSH_CHECKING_ASK,        /* ask about a new key; refuse a changed one */
    SSH_CHECKING_YES,        /* refuse both */
    SSH_CHECKING_ACCEPT_NEW, /* remember a new one; refuse a changed one */
    SSH_CHECKING_NO          /* remember a new one; use a changed one, restricted */
};

/* All borrowed; must outlive the policy. */
struct ssh_host_conf {
    const char *host;  /* HostKeyAlias, or the name that was connected to */
    uint16_t port;     /* SSH_PORT for an alias: it has none */
    const char *shown; /* what messages call the host; NULL: host */
    enum ssh_checking checking;
    bool ask;         /* there is somebody who can be asked; else SSH_CHECKING_ASK refuses */
    bool hash;        /* HashKnownHosts */
    unsigned min_rsa; /* RequiredRSASize; 0: SSH_RSA_MIN */
    const char *const *user_files, *const *global_files; /* new keys go to the first user file */
    size_t nuser, nglobal;
    const char *const *pins; /* checked by ssh_pin_check */
    size_t npins;
    const char *revoked_file;  /* RevokedHostKeys: public keys, one in a line, or a binary list
                                * (krl.h); NULL: none */
    const char *ca_algorithms; /* CASignatureAlgorithms, with its + - ^; NULL: all */
    struct nk_log *log;        /* may be NULL */
};

struct ssh_host_policy;

/* How a key came to be accepted. */
enum ssh_host_how {
    SSH_HOST_KNOWN,  /* it is in a known_hosts file */
    SSH_HOST_CA,     /* its certificate is of an authority there */
    SSH_HOST_PIN,    /* it has the fingerprint that was asked for */
    SSH_HOST_NEW,    /* StrictHostKeyChecking accepts new ones: call ssh_host_policy_learn */
    SSH_HOST_ASK,    /* not yet: the user is to be asked */
    SSH_HOST_CHANGED /* only with SSH_CHECKING_NO: it is another one than is known. No password, no
                        answers and no agent may be given to this server, and nothing forwarded */
};

struct ssh_host_answer {
    enum ssh_host_how how;
    char sha256[SSH_FINGERPRINT_SIZE], md5[SSH_FINGERPRINT_SIZE]; /* of the plain key */
    const char *type; /* "ED25519", "ECDSA", "RSA", "ED25519-SK", "ECDSA-SK" */
    const char *file; /* where it is known from, with its line, or NULL */
    unsigned number;
};

/* ssh_pin_check - is this the text of a fingerprint: "SHA256:" and 43 characters of base64, "MD5:"
 * and 16 pairs of hex digits with colons between, or such pairs alone? 0 or NK_EUSAGE. */
int ssh_pin_check(const char *pin, struct nk_diag *diag);

/* ssh_pin_matches - has the plain key this fingerprint? */
bool ssh_pin_matches(const char *pin, struct ssh_str blob);

/* ssh_plain_put - append the blob of the key itself, without a certificate. 0, -ENOMEM, NK_ETOOBIG.
 */
int ssh_plain_put(const struct ssh_public *k, struct nk_buf *out);

/* ssh_host_policy_new - read the files. Errors of ssh_known_hosts_load, NK_EUSAGE for a pin,
 * -ENOMEM. ssh_host_policy_free - NULL is fine. */
int ssh_host_policy_new(struct ssh_host_policy **out, const struct ssh_host_conf *conf,
                        struct nk_diag *diag);
void ssh_host_policy_free(struct ssh_host_policy *p);

/*
 * ssh_host_policy_algorithms - append the names in `list` (separated by commas) to out, those first
 * that a known key or authority of the host is good for. With pins, or nothing known, the order
 * stays. Only for lists that the user did not choose himself. 0, -ENOMEM, NK_ETOOBIG.
 */
int ssh_host_policy_algorithms(const struct ssh_host_policy *p, const char *list,
                               struct nk_buf *out);

/*
 * ssh_host_policy_check - judge the key or certificate `blob`, whose possession the server has
 * proven; now: seconds since 1970. 0 with *out; NK_EVERIFY: refused. diag has the reason and what
 * to do next in one line each, and ssh_host_policy_alarm the long form. NK_EAUTH: an RSA key that
 * is too short; NK_EFORMAT, NK_EUNSUPPORTED: no such key; -ENOMEM.
 */
int ssh_host_policy_check(struct ssh_host_policy *p, struct ssh_str blob, uint64_t now,
                          struct ssh_host_answer *out, struct nk_diag *diag);

/* ssh_host_policy_alarm - what OpenSSH's users know to look for when a key has changed: several
 * lines, "" unless the last check found that. Valid until the next one. */
const char *ssh_host_policy_alarm(const struct ssh_host_policy *p);

/* ssh_host_policy_question - append the text that asks about the key of an answer SSH_HOST_ASK. */
int ssh_host_policy_question(const struct ssh_host_policy *p, const struct ssh_host_answer *a,
                             struct nk_buf *out);

/* ssh_host_policy_reply - what was typed (n bytes, white space around it does not count): 1 for yes
 * or the key's fingerprint, 0 for no, NK_EAGAIN for anything else. */
int ssh_host_policy_reply(const struct ssh_host_answer *a, const char *typed, size_t n);

/* ssh_host_policy_learn - remember the key of the last check in the first user file, under its
 * plain form. 0 also when there is no such file; errors of ssh_known_hosts_append. */
int ssh_host_policy_learn(struct ssh_host_policy *p, struct nk_diag *diag);

/* ssh_host_policy_known - what the files have for the host, for UpdateHostKeys. */
const struct ssh_known_hosts *ssh_host_policy_known(const struct ssh_host_policy *p);

#endif
