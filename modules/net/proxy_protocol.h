/* SPDX-License-Identifier: MIT */
/*
 * proxy_protocol - what a proxy says about a connection before its first byte: where it came from
 * and where it went to (the PROXY protocol of HAProxy's proxy-protocol.txt, versions 1 and 2).
 *
 * Pure: bytes in, a header out, and back. A header is read in exact pieces (net_proxy_want), so no
 * byte that follows it is ever taken from the stream.
 */
#ifndef NK_NET_PROXY_PROTOCOL_H
#define NK_NET_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/cur.h"
#include "base/err.h"
#include "core/resolve.h"

/* Longest header that is read or written; one of version 1 has at most 107 bytes (section 2.1), of
 * version 2 usually fewer than 300: with a client's certificate in it a few thousand. */
#define NET_PROXY_MAX 8192

/* Types of the fields behind the addresses of version 2 (section 2.2.7). */
enum net_proxy_type {
    NET_PROXY_ALPN = 0x01,
    NET_PROXY_AUTHORITY = 0x02,
    NET_PROXY_CRC32C = 0x03,
    NET_PROXY_NOOP = 0x04,
    NET_PROXY_UNIQUE_ID = 0x05,
    NET_PROXY_SSL = 0x20,
    NET_PROXY_SSL_VERSION = 0x21, /* inside of NET_PROXY_SSL, as are the next ones */
    NET_PROXY_SSL_CN = 0x22,
    NET_PROXY_SSL_CIPHER = 0x23,
    NET_PROXY_SSL_CERT = 0x28,
    NET_PROXY_NETNS = 0x30
};

struct net_proxy_header {
    int version;         /* 1 or 2 */
    bool known;          /* the addresses are said; else (UNKNOWN, LOCAL) the real ones count */
    struct nk_addr from; /* the client */
    struct nk_addr to;   /* the address it connected to */
    const uint8_t *tlvs; /* the fields of version 2, checked; inside of the bytes that were read */
    size_t tlvs_len;
};

/* One field. */
struct net_proxy_tlv {
    uint8_t type;
    uint16_t len;
    const uint8_t *value;
};

/* What a TLS server in front of the connection knows; NULL is left out. */
struct net_proxy_tls {
    bool cert; /* the client showed a certificate, and it was verified */
    const char *version, *cipher, *cn;
    const void *client_cert; /* DER */
    size_t client_cert_len;
};

/*
 * net_proxy_want - the first n bytes of a header are at p: how many more certainly belong to it
 * (1 ..), 0 when it is complete, or NK_EPROTO with the reason in diag as soon as it cannot become
 * one. Never asks for a byte behind a valid header.
 */
ssize_t net_proxy_want(const uint8_t *p, size_t n, struct nk_diag *diag);

/*
 * net_proxy_read - the n bytes at p are a whole header (net_proxy_want said 0). 0, or NK_EPROTO
 * with the reason: ports, addresses, lengths, fields of fields and the checksum are all checked.
 * *out is untouched on failure and borrows p.
 */
int net_proxy_read(const uint8_t *p, size_t n, struct net_proxy_header *out, struct nk_diag *diag);

/* net_proxy_next - the next field of c, which stands before one; false at the end, or when c has
 * failed. */
bool net_proxy_next(struct nk_cur *c, struct net_proxy_tlv *out);

/* net_proxy_find - the first field of that type among the n bytes at tlvs. */
bool net_proxy_find(const uint8_t *tlvs, size_t n, uint8_t type, struct net_proxy_tlv *out);

/*
 * net_proxy_write - append a header of version 1 or 2. Addresses of different families go out as
 * IPv6 ones (mapped), others that the version cannot say as "unknown". Version 2 carries the fields
 * tlvs (n bytes, may be 0); the value of a checksum among them is computed anew. 0, NK_ETOOBIG
 * (more than NET_PROXY_MAX, or the buffer's limit) or -ENOMEM; nothing is appended then.
 */
int net_proxy_write(struct nk_buf *out, int version, const struct nk_addr *from,
                    const struct nk_addr *to, const void *tlvs, size_t n);

/* net_proxy_put - append a field to tlvs. Errors as nk_buf_put; NK_ETOOBIG beyond 65535 bytes. */
int net_proxy_put(struct nk_buf *tlvs, uint8_t type, const void *value, size_t n);

/* net_proxy_put_tls - append a field NET_PROXY_SSL with its inner ones. Errors as net_proxy_put. */
int net_proxy_put_tls(struct nk_buf *tlvs, const struct net_proxy_tls *t);

/* net_proxy_put_others - append those of the n bytes of fields at p whose type tlvs does not have
 * yet: what came with an accepted header goes on, unless we know better. Errors as net_proxy_put.
 */
int net_proxy_put_others(struct nk_buf *tlvs, const uint8_t *p, size_t n);

/* net_proxy_addr - the address that NK_Q_PEER or NK_Q_LOCAL put into text ("127.0.0.1:80",
 * "[::1]:80", "unix:/path"). 0, or -ENOENT when it is something else; out->len is 0 then. */
int net_proxy_addr(const char *text, struct nk_addr *out);

#endif
