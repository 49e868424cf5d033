/* SPDX-License-Identifier: MIT */
/*
 * pubfile - public keys and certificates in files: the line that authorized_keys and *.pub have,
 * RFC 4716, LSH's S-expressions, PEM of PKCS#1 and SubjectPublicKeyInfo.
 */
#ifndef SSH_PUBFILE_H
#define SSH_PUBFILE_H

#include "ssh/key.h"

/* A public key from a file. */
struct ssh_pubfile {
    struct nk_buf blob;
    const char *form; /* "OpenSSH", "RFC 4716" ..., static */
    char *comment;    /* never NULL */
};

/* ssh_pubfile_parse - the first key of a text. Options in front of a line of authorized_keys are
 * left out. The blob is not checked yet: ssh_public_parse does that. NK_EFORMAT, NK_EUNSUPPORTED,
 * NK_ETOOBIG, -ENOMEM; then f holds nothing. */
int ssh_pubfile_parse(const void *text, size_t n, struct ssh_pubfile *f, struct nk_diag *diag);

/* ssh_pubfile_clear - free what parse gave. */
void ssh_pubfile_clear(struct ssh_pubfile *f);

/* ssh_public_line - append "TYPE BASE64[ COMMENT]\n" of a blob; what is no printable character in
 * the comment is left out. NK_EFORMAT (the blob does not begin with a name), NK_ETOOBIG, -ENOMEM.
 */
int ssh_public_line(struct ssh_str blob, const char *comment, struct nk_buf *out);

#endif
