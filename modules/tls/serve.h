/* SPDX-License-Identifier: MIT */
/*
 * serve - TLS in front of a service that does not speak it (server), or in front of a client that
 * does not (client): each accepted connection gets one of its own, with TLS on one of both sides.
 * The service of `[tls NAME]` and of `netkit tls server|client`.
 *
 * A server dials its target only after the client has been let in. The side without TLS stays on
 * this machine (loopback, unix sockets) unless told otherwise.
 */
#ifndef NK_TLS_SERVE_H
#define NK_TLS_SERVE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/opt.h"
#include "core/service.h"
#include "tls/tls.h"

enum tls_serve_role { TLS_SERVE_SERVER, TLS_SERVE_CLIENT };
enum tls_serve_client_cert { TLS_CLIENT_CERT_REQUIRED, TLS_CLIENT_CERT_NONE };

struct tls_serve_conf {
    int role; /* enum tls_serve_role */
    char *listen, *connect;
    char *cert, *key, *ca;
    struct nk_strlist alpn, ciphers;
    int min_version; /* 0: 1.3, 1: 1.2 */
    int truncation;  /* index into tls_truncations */
    /* server */
    int client_cert;                          /* enum tls_serve_client_cert */
    struct nk_strlist allow[TLS_ALLOW_LISTS]; /* CN, DNS, URI, pin */
    bool allow_all, unsafe_target;
    /* client */
    struct nk_strlist pin, allow_uid;
    char *server_name;
    bool unsafe_listen;
    /* both */
    uint64_t handshake_ms, idle_ms, half_idle_ms; /* 0 = none for the last two */
    uint64_t drain_ms;                            /* for open connections, after TERM */
    uint64_t timed_reload_ms;                     /* how often files are looked at; 0 = never */
    int64_t max_connections;
    int proxy_protocol; /* version of the header that is sent on; 0 = none */
    bool accept_proxy_protocol;
};

extern const struct nk_service_type tls_serve_service;

#endif
