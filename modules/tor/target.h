/* SPDX-License-Identifier: MIT */
/*
 * target - what may be connected to through Tor, checked before anything is opened; and what tor's
 * SOCKS port answers, in words with the next step.
 */
#ifndef TOR_TARGET_H
#define TOR_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "socks/socks.h"

/*
 * tor_target_set - host and port as what tor is asked for. Onion addresses (subdomains too) must be
 * of version 3 with a good checksum; names that mean this machine and addresses of private networks
 * are refused, as no exit can reach what is meant (allow_private: not refused; for networks of
 * one's own). Virtual addresses of tor (127.192.0.0/10, fe80::/10: VirtualAddrNetwork) are let
 * through. Numbers written in ways that resolvers take for addresses are refused. *onion: is it an
 * onion service? 0, NK_EVERSION (onion address of version 2), NK_EUSAGE, NK_EFORMAT.
 */
int tor_target_set(struct socks_addr *out, const char *host, uint16_t port, bool allow_private,
                   bool *onion, struct nk_diag *diag);

/* tor_target_explain - for struct socks_client_conf: a refusal of tor, for people. Returns the
 * error. */
int tor_target_explain(unsigned code, const struct socks_addr *to, struct nk_diag *diag);

#endif
