/* SPDX-License-Identifier: MIT */
/*
 * relay_endpoint_send - the common part of `netkit endpoint broadcast` and `netkit endpoint
 * produce`.
 */
#ifndef NK_RELAY_ENDPOINT_SEND_H
#define NK_RELAY_ENDPOINT_SEND_H

#include "relay/endpoint.h"

struct relay_endpoint_send_conf {
    struct relay_endpoint_conf common;
    struct nk_strlist to;
    struct nk_strlist text;
    int as;      /* enum relay_endpoint_as */
    int content; /* 0: as says; else 1 + enum relay_content */
    uint64_t ttl_ms;
    struct nk_strlist header;
    bool lines;
    char *daemon; /* --name: send through this daemon */
    bool no_wait;
};

enum relay_endpoint_as { ENDPOINT_AS_AUTO, ENDPOINT_AS_BYTES, ENDPOINT_AS_STR, ENDPOINT_AS_PICKLE };

extern const struct nk_opt relay_endpoint_broadcast_opts[];
extern const struct nk_opt relay_endpoint_produce_opts[];

/* What a number after GROUP= may be, and what its absence means. */
struct relay_endpoint_counts {
    int64_t def, min, max;
};

/* relay_endpoint_send - the whole command: read what the options and positionals name, send it to
 * the relay, return when all of it was acknowledged. */
int relay_endpoint_send(struct nk_cmd_ctx *ctx, const struct relay_endpoint_counts *counts);

/* relay_endpoint_as_for - what --as says about an object, or means by auto. */
enum relay_endpoint_as relay_endpoint_as_for(const struct relay_endpoint_send_conf *conf,
                                             bool is_text);

/* relay_endpoint_check_data - can the data be sent as that? 0 or NK_EFORMAT; `where` names them. */
int relay_endpoint_check_data(const char *where, enum relay_endpoint_as as, const uint8_t *p,
                              size_t n, struct nk_diag *diag);

#endif
