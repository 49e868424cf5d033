/* SPDX-License-Identifier: MIT */
/*
 * forward - join a listener to a connector: each accepted stream gets a connection of its own and
 * both are pumped until they end. The service of `[forward NAME]` and of `netkit forward`.
 */
#ifndef NK_NET_FORWARD_H
#define NK_NET_FORWARD_H

#include <stdbool.h>
#include <stdint.h>
#include "base/opt.h"
#include "core/service.h"

struct net_forward_conf {
    char *listen;
    char *connect;
    struct nk_strlist allow_uid; /* decimal uids; when not empty, only these, and only over unix */
    uint64_t idle_ms;            /* 0 = none */
    uint64_t half_idle_ms;       /* after one direction has ended; 0 = none */
    int64_t max_connections;     /* more wait to be accepted */
    int proxy_protocol;          /* version of the header that is written first; 0 = none */
    bool accept_proxy_protocol;  /* each connection has to begin with one */
};

extern const struct nk_service_type net_forward_service;

/* net_forward_can_listen - whether text names something to listen on. False for `stdio:` and the
 * like, of which there is one connection only. */
bool net_forward_can_listen(const char *text);

/* net_forward_once - connect both strings of conf and pump until they end, then stop the loop with
 * the result. 0, or the error of a string or of an immediate failure; results go to *diag, which
 * lives until the loop has ended. */
int net_forward_once(struct nk_app *app, const struct net_forward_conf *conf, struct nk_diag *diag);

#endif
