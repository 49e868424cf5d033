/* SPDX-License-Identifier: MIT */
#include "tls/serve_rows.h"

#include "net/net.h"
#include "tls/serve.h"

#define TIME_MAX (INT64_C(30) * 24 * 3600 * 1000)
#define ROW(field) .offset = NK_FIELD(struct tls_serve_conf, field)

static const char *const versions[] = {"1.3", "1.2", NULL};
static const char *const client_certs[] = {"required", "none", NULL};

/* clang-format off */
const struct nk_opt tls_rows_both[] = {
    {.name = "listen", .type = NK_OPT_LISTEN, ROW(listen), .arg = "LISTEN",
     .flags = NK_OPT_REQUIRED | NK_OPT_RELOAD, .help = "Where to accept connections"},
    {.name = "connect", .type = NK_OPT_CONNECT, ROW(connect), .arg = "CONNECT",
     .flags = NK_OPT_REQUIRED | NK_OPT_RELOAD, .help = "What each of them is joined to"},
    {.name = "cert", .type = NK_OPT_PATH, ROW(cert), .arg = "FILE", .flags = NK_OPT_RELOAD,
     .help = "Own certificate, then those between it and the authority (PEM)"},
    {.name = "key", .type = NK_OPT_PATH, ROW(key), .arg = "FILE", .flags = NK_OPT_RELOAD,
     .help = "Its private key (PEM), if the certificate's file does not hold it"},
    {.name = "ca", .type = NK_OPT_PATH, ROW(ca), .arg = "FILE", .flags = NK_OPT_RELOAD,
     .help = "Authorities that the other side's certificate must come from (PEM)"},
    {.name = "alpn", .type = NK_OPT_STRING, ROW(alpn), .arg = "NAME",
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD, .help = "Application protocol to negotiate"},
    {.name = "min-version", .type = NK_OPT_ENUM, ROW(min_version), .arg = "VERSION",
     .def = "1.3", .choices = versions, .flags = NK_OPT_RELOAD,
     .help = "Lowest version of TLS"},
    {.name = "truncation", .type = NK_OPT_ENUM, ROW(truncation), .arg = "abort|end",
     .def = "abort", .choices = tls_truncations, .flags = NK_OPT_RELOAD,
     .help = TLS_TRUNCATION_HELP},
    {.name = "ciphers", .type = NK_OPT_STRING, ROW(ciphers), .arg = "SUITE",
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "Only these cipher suites, such as TLS_AES_256_GCM_SHA384, most wanted first"},
    {.name = "handshake-timeout", .type = NK_OPT_DURATION, ROW(handshake_ms), .arg = "TIME",
     .def = "10s", .min = 1, .max = 3600000, .flags = NK_OPT_RELOAD,
     .help = "How long a TLS handshake may take"},
    {.name = "idle", .type = NK_OPT_DURATION, ROW(idle_ms), .arg = "TIME", .min = 0,
     .max = TIME_MAX, .flags = NK_OPT_RELOAD,
     .help = "Close a connection on which nothing moved for this time"},
    {.name = "half-idle", .type = NK_OPT_DURATION, ROW(half_idle_ms), .arg = "TIME", .min = 0,
     .max = TIME_MAX, .flags = NK_OPT_RELOAD,
     .help = "The same once one direction has ended"},
    {.name = "drain", .type = NK_OPT_DURATION, ROW(drain_ms), .arg = "TIME", .def = "30s",
     .min = 0, .max = TIME_MAX, .flags = NK_OPT_RELOAD,
     .help = "How long open connections may go on after TERM"},
    {.name = "timed-reload", .type = NK_OPT_DURATION, ROW(timed_reload_ms), .arg = "TIME",
     .def = "10s", .min = 0, .max = TIME_MAX, .flags = NK_OPT_RELOAD,
     .help = "How often to see whether certificates have changed; 0: only at HUP"},
    {.name = "max-connections", .type = NK_OPT_INT, ROW(max_connections), .arg = "N",
     .def = "10000", .min = 1, .max = 1000000, .flags = NK_OPT_RELOAD,
     .help = "Connections at the same time; more wait to be accepted"},
    {.name = "proxy-protocol", .type = NK_OPT_ENUM, ROW(proxy_protocol), .arg = "VERSION",
     .def = "none", .choices = net_join_proxy_versions, .flags = NK_OPT_RELOAD,
     .help = "Tell CONNECT where clients come from (HAProxy's PROXY protocol); v2 of a server also "
             "says who they are"},
    {.name = "accept-proxy-protocol", .type = NK_OPT_FLAG, ROW(accept_proxy_protocol),
     .flags = NK_OPT_RELOAD,
     .help = "Connections begin with such a header, which is believed; others are closed"},
    NK_OPT_END};

#define ALLOW(what, field_of, arg_name, text)                                                      \
    {.name = "allow-" what, .type = NK_OPT_STRING, ROW(allow[(field_of)-1]), .arg = arg_name,          \
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD, .help = text}

const struct nk_opt tls_rows_server[] = {
    ALLOW("cn", TLS_ALLOW_CN, "NAME", "Let in clients with this common name"),
    ALLOW("dns", TLS_ALLOW_DNS, "NAME", "Let in clients with this DNS name"),
    ALLOW("uri", TLS_ALLOW_URI, "URI", "Let in clients with this URI, such as spiffe://domain/*/web (* is one segment, ** the rest)"),
    ALLOW("pin", TLS_ALLOW_PIN, "sha256:HASH",
          "Let in clients whose public key or certificate has this SHA-256"),
    {.name = "allow-all", .type = NK_OPT_FLAG, ROW(allow_all), .flags = NK_OPT_RELOAD,
     .help = "Let in every client with a certificate of the authority"},
    {.name = "client-cert", .type = NK_OPT_ENUM, ROW(client_cert), .arg = "required|none",
     .def = "required", .choices = client_certs, .flags = NK_OPT_RELOAD,
     .help = "none: clients need no certificate, everybody may connect"},
    {.name = "unsafe-target", .type = NK_OPT_FLAG, ROW(unsafe_target),
     .flags = NK_OPT_RELOAD, .help = "Allow a target on another machine, reached without TLS"},
    NK_OPT_END};

const struct nk_opt tls_rows_client[] = {
    {.name = "server-name", .type = NK_OPT_STRING, ROW(server_name), .arg = "HOST",
     .flags = NK_OPT_RELOAD,
     .help = "Name to expect in the server's certificate instead of the host's"},
    {.name = "pin", .type = NK_OPT_STRING, ROW(pin), .arg = "sha256:HASH",
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "The server is the one whose public key or certificate has this SHA-256"},
    {.name = "allow-uid", .type = NK_OPT_STRING, ROW(allow_uid), .arg = "UID",
     .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "Accept only these users (numbers), over a unix socket"},
    {.name = "unsafe-listen", .type = NK_OPT_FLAG, ROW(unsafe_listen),
     .flags = NK_OPT_RELOAD, .help = "Listen where other machines can connect"},
    NK_OPT_END};
/* clang-format on */
