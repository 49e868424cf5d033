/* SPDX-License-Identifier: MIT */
/*
 * algo - which algorithms there are, which of them are offered, and what two offers lead to (RFC
 * 4253 7.1). Editing lists is as ssh_config(5) has it.
 */
#ifndef SSH_ALGO_H
#define SSH_ALGO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ssh/kex.h"
#include "ssh/protect.h"
#include "ssh/pubkey.h"
#include "ssh/wire.h"

enum ssh_list { SSH_LIST_KEX, SSH_LIST_HOST_KEY, SSH_LIST_CIPHER, SSH_LIST_MAC, SSH_LISTS };

/* The name-lists of a KEXINIT, in their order (RFC 4253 7.1). */
enum ssh_field {
    SSH_FIELD_KEX,
    SSH_FIELD_HOST_KEY,
    SSH_FIELD_CIPHER_OUT,
    SSH_FIELD_CIPHER_IN,
    SSH_FIELD_MAC_OUT,
    SSH_FIELD_MAC_IN,
    SSH_FIELD_COMPRESSION_OUT,
    SSH_FIELD_COMPRESSION_IN,
    SSH_FIELD_LANGUAGE_OUT,
    SSH_FIELD_LANGUAGE_IN,
    SSH_FIELDS
};

enum {
    SSH_LIST_MAX = 1024, /* bytes of one of our lists, its end included */
    SSH_COOKIE_SIZE = 16
};

/* Directions, as this side sees them. */
enum { SSH_OUT, SSH_IN };

/* What a KEXINIT says beside its lists (OpenSSH's PROTOCOL 1.10, RFC 8308 2.1). */
#define SSH_STRICT_CLIENT "kex-strict-c-v00@openssh.com"
#define SSH_STRICT_SERVER "kex-strict-s-v00@openssh.com"
#define SSH_EXT_INFO_CLIENT "ext-info-c"

/* What is offered: name-lists, best first. */
struct ssh_proposal {
    char list[SSH_LISTS][SSH_LIST_MAX];
};

/* A KEXINIT that came; borrowed from its payload. */
struct ssh_kexinit {
    struct ssh_str list[SSH_FIELDS];
    bool follows; /* a packet that is a guess comes next */
};

/* What was agreed on. */
struct ssh_choice {
    const struct ssh_kex_type *kex;
    const struct ssh_sig_type *host; /* signs for the host */
    bool host_cert;                  /* and its key is a certificate */
    const struct ssh_cipher_type *cipher[2];
    const struct ssh_mac_type *mac[2]; /* NULL where the cipher is an AEAD */
    bool guess_right; /* the first kex and host key names of both sides are the same */
};

/* ssh_algo_name - the i-th name of a list of everything that is supported, best first; NULL behind
 * the last. What the processor cannot do fast is left out. Static. */
const char *ssh_algo_name(enum ssh_list which, size_t i);

/* ssh_proposal_init - everything that is supported, best first; certificates before plain keys. */
void ssh_proposal_init(struct ssh_proposal *p);

/*
 * ssh_proposal_set - one list, as Ciphers, MACs, KexAlgorithms and HostKeyAlgorithms of
 * ssh_config(5) have it: names with commas between them; "+" before them: appended to what is
 * there; "-": taken out (wildcards are allowed); "^": put in front. NK_EUSAGE: a name nobody knows
 * (with it), or nothing would be left; NK_ETOOBIG. The proposal is unchanged then.
 */
int ssh_proposal_set(struct ssh_proposal *p, enum ssh_list which, const char *spec,
                     struct nk_diag *diag);

/* ssh_proposal_guard - put the ciphers at the end that a prefix of the connection can be cut off
 * with unnoticed where key exchange is not strict (CVE-2023-48795: chacha20-poly1305): they are
 * taken then only if there is nothing else. */
void ssh_proposal_guard(struct ssh_proposal *p);

/* ssh_kexinit_put - our KEXINIT as payload. first: the one that begins the connection, with the
 * markers of strict key exchange and of EXT_INFO. 0, NK_ETOOBIG, -ENOMEM. */
int ssh_kexinit_put(const struct ssh_proposal *p, bool first, struct nk_buf *out);

/* ssh_kexinit_parse - the server's, a payload with its message number. 0 or NK_EPROTO. Names that
 * nobody can have (RFC 4251 6) do no harm. */
int ssh_kexinit_parse(struct ssh_str payload, struct ssh_kexinit *out, struct nk_diag *diag);

/*
 * ssh_negotiate - the first name of each of our lists that the server has, too (RFC 4253 7.1); no
 * MAC is looked for where the cipher is an AEAD, per direction. NK_EPROTO: nothing in common, with
 * both lists.
 */
int ssh_negotiate(const struct ssh_proposal *ours, const struct ssh_kexinit *theirs,
                  struct ssh_choice *out, struct nk_diag *diag);

#endif
