/* SPDX-License-Identifier: MIT */
/*
 * relay_endpoint_send - the common part of `netkit endpoint broadcast` and `netkit endpoint
 * produce`.
 */
#ifndef NK_RELAY_ENDPOINT_SEND_H
#define NK_RELAY_ENDPOINT_SEND_H

#include "relay/endpoint.h"
#include "relay/endpoint_meta.h"

struct relay_endpoint_send_conf {
    struct relay_endpoint_conf common;
    struct nk_strlist to;
    struct nk_strlist text;
    int as;      /* enum relay_endpoint_as */
    int content; /* 0: as says; else 1 + enum relay_content */
    uint64_t ttl_ms;
    struct nk_strlist header;
    char *reply_to, *correlation;
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

/* relay_endpoint_as_for - what --as says about an object, or means by auto; with --content what the
 * data have to be. */
enum relay_endpoint_as relay_endpoint_as_for(const struct relay_endpoint_send_conf *conf,
                                             bool is_text);

/* relay_endpoint_check_data - can the data be sent as that? 0, NK_EFORMAT or -ENOMEM; `where` names
 * them. */
int relay_endpoint_check_data(const struct relay_endpoint_send_conf *conf, const char *where,
                              bool is_text, const uint8_t *p, size_t n, struct nk_diag *diag);

/* relay_endpoint_send_meta - what --ttl, --header, --reply-to and --correlation say, into *out,
 * which must be zeroed. 0, NK_EUSAGE or -ENOMEM; relay_endpoint_meta_clear in any case. */
int relay_endpoint_send_meta(const struct relay_endpoint_send_conf *conf,
                             struct relay_endpoint_meta *out, struct nk_diag *diag);

#endif
