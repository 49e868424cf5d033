/* SPDX-License-Identifier: MIT */
/* key_impl - what the parts of key.h share. */
#ifndef SSH_KEY_IMPL_H
#define SSH_KEY_IMPL_H

#include "base/openssh_key.h"
#include "ssh/key.h"
#include "ssh/pk.h"

/* The types of keys that OpenSSH's container may have here. */
extern const struct nk_openssh_type ssh_private_types[];
extern const size_t ssh_private_ntypes;

/* ssh_private_split - the fields of a private key. NK_EFORMAT. */
int ssh_private_split(const struct ssh_key_type *type, const void *p, size_t n,
                      struct ssh_str f[SSH_FIELDS]);

/* ssh_key_type_find - by name; NULL also for the names of certificates and tokens. */
const struct ssh_key_type *ssh_key_type_find(const char *name);

#endif
