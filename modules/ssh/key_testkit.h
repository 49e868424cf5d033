/* SPDX-License-Identifier: MIT */
/* key_testkit - private keys in every form, for tests. */
#ifndef SSH_KEY_TESTKIT_H
#define SSH_KEY_TESTKIT_H

#include "ssh/key.h"

struct ssh_key_sample {
    const char *name, *passphrase; /* NULL: not encrypted */
    const char *type, *form, *text;
};

/* A NULL name ends them. */
extern const struct ssh_key_sample ssh_key_samples[];

/* ssh_key_sample_open - the one with this name, opened; NULL when memory is short. */
struct ssh_private *ssh_key_sample_open(const char *name);

#endif
