/* SPDX-License-Identifier: MIT */
/*
 * keyfile - where private keys come from: a file whose owner and mode are as they should be, an
 * inherited descriptor, standard input, $CREDENTIALS_DIRECTORY; with the certificate beside it.
 */
#ifndef SSH_KEYFILE_H
#define SSH_KEYFILE_H

#include "ssh/key.h"

/*
 * ssh_keyfile_read - the private key that `name` says: "-" standard input, "fd:N" an inherited
 * descriptor, else a path; one without a slash that is not there is looked for in
 * $CREDENTIALS_DIRECTORY. Whoever could read or change the file is refused as OpenSSH does, with
 * the exceptions for containers (NK_FILE_SECRET of base/file.h). Blocks on the disk. NK_EBADMODE,
 * -errno, errors of ssh_sealed_parse; diag begins with the name.
 */
int ssh_keyfile_read(const char *name, struct ssh_sealed **out, struct nk_diag *diag);

/* ssh_keyfile_public - the public key in a file (PATH.pub of a private key's PATH, say), or its
 * certificate; as ssh_pubfile_parse. */
struct ssh_pubfile;
int ssh_keyfile_public(const char *path, struct ssh_pubfile *out, struct nk_diag *diag);

/* ssh_keyfile_certificate - put the certificate in PATH-cert.pub to the key, where there is such a
 * file (none is 0). Errors as ssh_private_certify. */
int ssh_keyfile_certificate(const char *path, struct ssh_private *k, struct nk_diag *diag);

/*
 * ssh_sealed_ask - open a key, with the passphrase where one is needed: what `passphrase` (may be
 * NULL) has, else the one that is asked for on the terminal and kept there; three tries, never with
 * no_input (NK_EUSAGE). name: of the file, for the question. Errors as ssh_sealed_open and
 * nk_ask_secret. Blocks.
 */
int ssh_sealed_ask(const struct ssh_sealed *sealed, const char *name, struct nk_secret *passphrase,
                   bool no_input, unsigned min_rsa, struct ssh_private **out, struct nk_diag *diag);

/* ssh_keyfile_open - all of it, for commands: read, open as ssh_sealed_ask, and put the certificate
 * to it. */
int ssh_keyfile_open(const char *name, struct nk_secret *passphrase, bool no_input,
                     unsigned min_rsa, struct ssh_private **out, struct nk_diag *diag);

#endif
