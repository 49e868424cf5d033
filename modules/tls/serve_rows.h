/* SPDX-License-Identifier: MIT */
/*
 * The option rows of `netkit tls server`, `netkit tls client` and [tls NAME], all of them of
 * struct tls_serve_conf; tables of these three share them (NK_OPT_SHARED).
 */
#ifndef NK_TLS_SERVE_ROWS_H
#define NK_TLS_SERVE_ROWS_H

#include "base/opt.h"

#define TLS_DRAIN_SLACK_MS 1000 /* so that the service's own limit comes first */

extern const struct nk_opt tls_rows_both[];
extern const struct nk_opt tls_rows_server[]; /* what only a server has */
extern const struct nk_opt tls_rows_client[]; /* what only a client has */

#endif
