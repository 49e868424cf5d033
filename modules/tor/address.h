/* SPDX-License-Identifier: MIT */
/* address - what tor calls its listeners, as endpoint strings. Pure. */
#ifndef TOR_ADDRESS_H
#define TOR_ADDRESS_H

#include <stddef.h>

#define TOR_ADDRESS_SIZE                                                                           \
    400 /* of an endpoint string: a socket's path with every byte encoded fits */

/* tor_address_unix - "unix:PATH", with what separates options encoded. 0 or NK_ETOOBIG. */
int tor_address_unix(char *out, size_t max, const char *path);

/*
 * tor_address_listener - the first of a list of listeners (GETINFO net/listeners/socks: "HOST:PORT"
 * or "unix:/path", each in quotes, separated by spaces) as "tcp:HOST:PORT" or "unix:PATH"; an
 * address that means every one becomes loopback. "" for an empty list. 0, NK_EPROTO, NK_ETOOBIG,
 * -ENOMEM; out is untouched on failure.
 */
int tor_address_listener(char *out, size_t max, const char *text, size_t len);

#endif
