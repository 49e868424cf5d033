/* SPDX-License-Identifier: MIT */
/*
 * stretch - Argon2id before CPace: a password that a relay (or a stolen memory image) gives away
 * costs a dictionary's worth of memory and time even then.
 */
#ifndef NK_RELAY_STRETCH_H
#define NK_RELAY_STRETCH_H

#include "relay/login.h"

/*
 * relay_stretch - out[RELAY_LOGIN_PRS] from n bytes (1 .. RELAY_PASSWORD_MAX) of password: 20 ms
 * with the default parameters, up to 150 ms with the largest. Any thread. 0, -ENOMEM, or NK_EPROTO
 * when the parameters are outside of their bounds (then nothing is computed).
 */
int relay_stretch(const struct relay_stretch_params *params, const void *password, size_t n,
                  uint8_t *out);

#endif
