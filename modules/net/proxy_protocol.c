/* SPDX-License-Identifier: MIT */
/* "Section" is one of HAProxy's proxy-protocol.txt. */
#include "net/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/codec.h"

enum {
    V1_MAX = 107, /* with CR LF; section 2.1 */
    V1_MIN = 15,  /* "PROXY UNKNOWN" CR LF */
    V1_SPACES = 5,
    V2_HEAD = 16,
    V2_SIGNATURE = 12,
    V2_LENGTH = 14, /* where it stands */
    TLV_HEAD = 3,
    SSL_HEAD = 5,
    CRC_LEN = 4,
    UNIQUE_ID_MAX = 128,
    UNIX_LEN = 108,
    PORT_DIGITS = 5
};

enum { VERSION_LOCAL = 0x20, VERSION_PROXY = 0x21 };

/* Family and protocol; the low half is 1 for a stream and 2 for datagrams. */
enum { FAM_UNSPEC = 0x00, FAM_TCP4 = 0x11, FAM_TCP6 = 0x21, FAM_UNIX = 0x31 };

enum { CLIENT_SSL = 1, CLIENT_CERT_CONN = 2, CLIENT_CERT_SESS = 4 };

#define CRC32C_POLYNOMIAL 0x82f63b78U /* reflected; RFC 3720 section 12.1 */

static const uint8_t signature[V2_SIGNATURE] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
static const char v1_start[] = "PROXY ";

static int bad(struct nk_diag *diag, const char *what)
{
    return nk_fail(diag, NK_EPROTO, "PROXY protocol: %s", what);
}

/* Bit by bit: a header is short. */
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
    while (n-- > 0) {
        crc ^= *p++;
        for (int i = 0; i < 8; i++) {
            crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
        }
    }
    return crc;
}

/* Of a header whose checksum stands at `at`, which counts as zeros (section 2.2.3). */
static uint32_t checksum(const uint8_t *p, size_t n, size_t at)
{
    static const uint8_t zeros[CRC_LEN] = {0};
    uint32_t crc = crc32c(UINT32_MAX, p, at);
    crc = crc32c(crc, zeros, CRC_LEN);
    return ~crc32c(crc, p + at + CRC_LEN, n - at - CRC_LEN);
}

/* --- addresses -------------------------------------------------------------------------------- */

static void set_ip(struct nk_addr *a, const uint8_t *ip, size_t n, uint16_t port)
{
    memset(a, 0, sizeof(*a));
    if (n == sizeof(struct in_addr)) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, ip, n);
        memcpy(&a->ss, &in, sizeof(in));
        a->len = sizeof(in);
    } else {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        memcpy(&in6.sin6_addr, ip, n);
        memcpy(&a->ss, &in6, sizeof(in6));
        a->len = sizeof(in6);
    }
}

/* n bytes of a path, or of an abstract name behind its NUL; trailing NULs are padding. */
static void set_unix(struct nk_addr *a, const void *path, size_t n)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memset(a, 0, sizeof(*a));
    memcpy(un.sun_path, path, n);
    while (n > 0 && un.sun_path[n - 1] == '\0') {
        n--;
    }
    memcpy(&a->ss, &un, sizeof(un));
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

/* Its bytes as IPv6, IPv4 ones mapped; false when it is no such address. */
static bool get_ip(const struct nk_addr *a, uint8_t ip[16], uint16_t *port)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (a->len > 0 && a->ss.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &a->ss, sizeof(in));
        memcpy(ip, mapped, sizeof(mapped));
        memcpy(ip + sizeof(mapped), &in.sin_addr, sizeof(in.sin_addr));
        *port = ntohs(in.sin_port);
        return true;
    }
    if (a->len > 0 && a->ss.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &a->ss, sizeof(in6));
        memcpy(ip, &in6.sin6_addr, sizeof(in6.sin6_addr));
        *port = ntohs(in6.sin6_port);
        return true;
    }
    return false;
}

/* Digits only, no leading zero, at most 65535 (section 2.1). */
static bool parse_port(const char *s, uint16_t *out)
{
    uint64_t v;
    if (strlen(s) > PORT_DIGITS || (s[0] == '0' && s[1]) || nk_parse_u64(s, &v) < 0 ||
        v > UINT16_MAX) {
        return false;
    }
    *out = (uint16_t)v;
    return true;
}

static bool parse_ip(int family, const char *ip, const char *port, struct nk_addr *out)
{
    uint8_t raw[16];
    uint16_t number;
    if (inet_pton(family, ip, raw) != 1 || !parse_port(port, &number)) {
        return false;
    }
    set_ip(out, raw, family == AF_INET ? 4 : 16, number);
    return true;
}

int net_proxy_addr(const char *text, struct nk_addr *out)
{
    char host[NK_RESOLVE_MAX * 4];
    const char *colon = strrchr(text, ':');
    *out = (struct nk_addr){0};
    if (strncmp(text, "unix:/", 6) == 0 && strlen(text + 5) < UNIX_LEN) {
        set_unix(out, text + 5, strlen(text + 5));
        return 0;
    }
    size_t n = colon ? (size_t)(colon - text) : 0;
    bool six = n > 2 && text[0] == '[' && text[n - 1] == ']';
    if (n == 0 || n >= sizeof(host)) {
        return -ENOENT;
    }
    snprintf(host, sizeof(host), "%.*s", (int)(six ? n - 2 : n), text + six);
    return parse_ip(six ? AF_INET6 : AF_INET, host, colon + 1, out) ? 0 : -ENOENT;
}

/* --- version 1 -------------------------------------------------------------------------------- */

static ssize_t want_v1(const uint8_t *p, size_t n, struct nk_diag *diag)
{
    const uint8_t *lf = memchr(p, '\n', n);
    size_t spaces = 0, least = 2;
    if (n > V1_MAX || (n == V1_MAX && !lf)) {
        return bad(diag, "the line is longer than 107 bytes");
    }
    if (lf) {
        return lf == p + n - 1 && p[n - 2] == '\r' ? 0
                                                   : bad(diag, "the line does not end in CR LF");
    }
    if (n < V1_MIN) {
        return V1_MIN - (ssize_t)n;
    }
    if (p[n - 1] == '\r') {
        return 1;
    }
    if (p[sizeof(v1_start) - 1] == 'T') {
        for (size_t i = 0; i < n; i++) {
            spaces += p[i] == ' ';
        }
        /* each space that is missing stands before a word, and the line ends in CR LF */
        least += spaces < V1_SPACES ? 2 * (V1_SPACES - spaces) : 0;
        least += p[n - 1] == ' ';
    }
    return (ssize_t)(least < V1_MAX - n ? least : V1_MAX - n);
}

static int read_v1(const uint8_t *p, size_t n, struct net_proxy_header *out, struct nk_diag *diag)
{
    char line[V1_MAX + 1], *words[V1_SPACES + 1] = {line};
    size_t nwords = 1, len = n - 2; /* without CR LF */
    memcpy(line, p, len);
    line[len] = '\0';
    out->version = 1;
    if (strncmp(line, "PROXY UNKNOWN", 13) == 0 && (len == 13 || line[13] == ' ')) {
        return 0; /* whatever follows is to be ignored */
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] <= ' ' && line[i] != ' ') {
            return bad(diag, "the line has a control character");
        }
        if (line[i] == ' ') {
            if (nwords > V1_SPACES) {
                return bad(diag, "the line has too many words");
            }
            line[i] = '\0';
            words[nwords++] = line + i + 1;
        }
    }
    if (nwords != V1_SPACES + 1) {
        return bad(diag, "the line has too few words");
    }
    bool four = strcmp(words[1], "TCP4") == 0;
    if (!four && strcmp(words[1], "TCP6") != 0) {
        return bad(diag, "the line says neither TCP4, TCP6 nor UNKNOWN");
    }
    int family = four ? AF_INET : AF_INET6;
    if (!parse_ip(family, words[2], words[4], &out->from) ||
        !parse_ip(family, words[3], words[5], &out->to)) {
        return bad(diag, "an address or a port in the line is wrong");
    }
    out->known = true;
    return 0;
}

/* --- version 2 -------------------------------------------------------------------------------- */

static ssize_t want_v2(const uint8_t *p, size_t n, struct nk_diag *diag)
{
    if (n > V2_SIGNATURE && p[V2_SIGNATURE] != VERSION_LOCAL && p[V2_SIGNATURE] != VERSION_PROXY) {
        return bad(diag, "neither version 2 nor a command of it");
    }
    if (n < V2_HEAD) {
        return V2_HEAD - (ssize_t)n;
    }
    size_t total = V2_HEAD + ((size_t)p[V2_LENGTH] << 8 | p[V2_LENGTH + 1]);
    if (total > NET_PROXY_MAX) {
        return bad(diag, "the header is longer than 8192 bytes");
    }
    return n <= total ? (ssize_t)(total - n) : bad(diag, "the header is shorter than what came");
}

bool net_proxy_next(struct nk_cur *c, struct net_proxy_tlv *out)
{
    struct net_proxy_tlv t = {0};
    if (c->failed || nk_cur_left(c) == 0) {
        return false;
    }
    t.type = nk_cur_u8(c);
    t.len = nk_cur_be16(c);
    t.value = nk_cur_bytes(c, t.len);
    if (!t.value) {
        return false;
    }
    *out = t;
    return true;
}

bool net_proxy_find(const uint8_t *tlvs, size_t n, uint8_t type, struct net_proxy_tlv *out)
{
    struct nk_cur c;
    struct net_proxy_tlv t;
    nk_cur_init(&c, tlvs, n);
    while (net_proxy_next(&c, &t)) {
        if (t.type == type) {
            *out = t;
            return true;
        }
    }
    return false;
}

static bool well_formed(const uint8_t *p, size_t n)
{
    struct nk_cur c;
    struct net_proxy_tlv t;
    nk_cur_init(&c, p, n);
    while (net_proxy_next(&c, &t)) {
    }
    return nk_cur_done(&c);
}

/* The n bytes of fields at p, of the whole header. */
static int check_tlvs(const uint8_t *header, size_t total, const uint8_t *p, size_t n,
                      struct nk_diag *diag)
{
    struct nk_cur c;
    struct net_proxy_tlv t;
    bool summed = false;
    nk_cur_init(&c, p, n);
    while (net_proxy_next(&c, &t)) {
        if (t.type == NET_PROXY_CRC32C) {
            struct nk_cur sum;
            nk_cur_init(&sum, t.value, t.len);
            uint32_t said = nk_cur_be32(&sum);
            if (summed || !nk_cur_done(&sum) ||
                said != checksum(header, total, (size_t)(t.value - header))) {
                return bad(diag, "the checksum is wrong");
            }
            summed = true;
        }
        if (t.type == NET_PROXY_UNIQUE_ID && t.len > UNIQUE_ID_MAX) {
            return bad(diag, "the unique id is longer than 128 bytes");
        }
        if (t.type == NET_PROXY_SSL &&
            (t.len < SSL_HEAD || !well_formed(t.value + SSL_HEAD, t.len - SSL_HEAD))) {
            return bad(diag, "the fields about TLS are malformed");
        }
    }
    return nk_cur_done(&c) ? 0 : bad(diag, "the fields behind the addresses are malformed");
}

/* The addresses of that family; where none are said, or not those of a stream, it skips them. */
static int read_addresses(struct nk_cur *c, uint8_t family, struct net_proxy_header *out,
                          struct nk_diag *diag)
{
    struct nk_addr *const ends[2] = {&out->from, &out->to};
    const uint8_t *addr[2];
    uint16_t port[2] = {0};
    size_t len = (family & 0xf0) == 0x10 ? 4 : (family & 0xf0) == 0x20 ? 16 : UNIX_LEN;
    if (family == FAM_UNSPEC) {
        return 0;
    }
    if ((family & 0x0f) < 1 || (family & 0x0f) > 2 || family > 0x32 || family < FAM_TCP4) {
        return bad(diag, "an unknown family of addresses");
    }
    for (int i = 0; i < 2; i++) {
        addr[i] = nk_cur_bytes(c, len);
    }
    for (int i = 0; i < 2 && len != UNIX_LEN; i++) {
        port[i] = nk_cur_be16(c);
    }
    if (c->failed) {
        return bad(diag, "the header is too short for its addresses");
    }
    out->known = (family & 0x0f) == 1;
    for (int i = 0; i < 2 && out->known; i++) {
        if (len == UNIX_LEN) {
            set_unix(ends[i], addr[i], len);
        } else {
            set_ip(ends[i], addr[i], len, port[i]);
        }
    }
    return 0;
}

static int read_v2(const uint8_t *p, size_t n, struct net_proxy_header *out, struct nk_diag *diag)
{
    struct nk_cur c;
    out->version = 2;
    if (p[V2_SIGNATURE] == VERSION_LOCAL) {
        return 0; /* a connection of the proxy's own; the rest is to be ignored (section 2.2) */
    }
    nk_cur_init(&c, p + V2_HEAD, n - V2_HEAD);
    int rc = read_addresses(&c, p[V2_SIGNATURE + 1], out, diag);
    if (rc < 0) {
        return rc;
    }
    out->tlvs_len = nk_cur_left(&c);
    out->tlvs = nk_cur_bytes(&c, out->tlvs_len);
    return check_tlvs(p, n, out->tlvs, out->tlvs_len, diag);
}

/* --- both ------------------------------------------------------------------------------------- */

ssize_t net_proxy_want(const uint8_t *p, size_t n, struct nk_diag *diag)
{
    size_t one = sizeof(v1_start) - 1, two = sizeof(signature);
    if (n == 0) {
        return V1_MIN;
    }
    if (memcmp(p, signature, n < two ? n : two) == 0) {
        return want_v2(p, n, diag);
    }
    if (memcmp(p, v1_start, n < one ? n : one) == 0) {
        return want_v1(p, n, diag);
    }
    return bad(diag, "the connection does not begin with a header");
}

int net_proxy_read(const uint8_t *p, size_t n, struct net_proxy_header *out, struct nk_diag *diag)
{
    struct net_proxy_header h = {0};
    ssize_t more = n > 0 ? net_proxy_want(p, n, diag) : bad(diag, "no header");
    if (more != 0) {
        return more < 0 ? (int)more : bad(diag, "the header is not complete");
    }
    int rc = p[0] == (uint8_t)v1_start[0] ? read_v1(p, n, &h, diag) : read_v2(p, n, &h, diag);
    if (rc == 0) {
        *out = h;
    }
    return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

int net_proxy_put(struct nk_buf *tlvs, uint8_t type, const void *value, size_t n)
{
    uint8_t *p;
    int rc = n <= UINT16_MAX ? nk_buf_reserve(tlvs, TLV_HEAD + n, &p) : NK_ETOOBIG;
    if (rc < 0) {
        return rc;
    }
    p[0] = type;
    p[1] = (uint8_t)(n >> 8);
    p[2] = (uint8_t)n;
    if (n > 0) {
        memcpy(p + TLV_HEAD, value, n);
    }
    nk_buf_commit(tlvs, TLV_HEAD + n);
    return 0;
}

int net_proxy_put_tls(struct nk_buf *tlvs, const struct net_proxy_tls *t)
{
    const struct {
        uint8_t type;
        const void *value;
        size_t n;
    } inner[] = {
        {NET_PROXY_SSL_VERSION, t->version, t->version ? strlen(t->version) : 0},
        {NET_PROXY_SSL_CN, t->cn, t->cn ? strlen(t->cn) : 0},
        {NET_PROXY_SSL_CIPHER, t->cipher, t->cipher ? strlen(t->cipher) : 0},
        {NET_PROXY_SSL_CERT, t->client_cert, t->client_cert_len},
    };
    struct nk_buf b;
    nk_buf_init(&b, UINT16_MAX);
    int rc = nk_buf_u8(&b, t->cert ? CLIENT_SSL | CLIENT_CERT_CONN | CLIENT_CERT_SESS : CLIENT_SSL);
    rc = rc < 0 ? rc : nk_buf_be32(&b, !t->cert); /* 0: it was shown and verified */
    for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]) && rc == 0; i++) {
        rc = inner[i].value ? net_proxy_put(&b, inner[i].type, inner[i].value, inner[i].n) : 0;
    }
    rc = rc < 0 ? rc : net_proxy_put(tlvs, NET_PROXY_SSL, nk_buf_ptr(&b), nk_buf_len(&b));
    nk_buf_clear(&b);
    return rc;
}

int net_proxy_put_others(struct nk_buf *tlvs, const uint8_t *p, size_t n)
{
    struct nk_cur c;
    struct net_proxy_tlv t, known;
    size_t own = nk_buf_len(tlvs);
    int rc = 0;
    nk_cur_init(&c, p, n);
    while (rc == 0 && net_proxy_next(&c, &t)) {
        if (!net_proxy_find(nk_buf_ptr(tlvs), own, t.type, &known)) {
            rc = net_proxy_put(tlvs, t.type, t.value, t.len);
        }
    }
    return rc;
}

static int write_v1(char *line, size_t max, const uint8_t ip[2][16], const uint16_t port[2],
                    int family)
{
    char text[2][INET6_ADDRSTRLEN];
    size_t skip = family == AF_INET ? 12 : 0; /* of a mapped address */
    if (family == AF_UNSPEC) {
        return snprintf(line, max, "PROXY UNKNOWN\r\n");
    }
    for (int i = 0; i < 2; i++) {
        inet_ntop(family, ip[i] + skip, text[i], sizeof(text[i]));
    }
    return snprintf(line, max, "PROXY TCP%c %s %s %u %u\r\n", family == AF_INET ? '4' : '6',
                    text[0], text[1], (unsigned)port[0], (unsigned)port[1]);
}

/* The addresses of version 2 at p; the family's byte goes to *family. Returns their length. */
static size_t put_addresses(uint8_t *p, uint8_t *code, const uint8_t ip[2][16],
                            const uint16_t port[2], int family)
{
    size_t len = family == AF_INET ? 4 : 16;
    *code = family == AF_INET ? FAM_TCP4 : FAM_TCP6;
    for (size_t i = 0; i < 2; i++) {
        memcpy(p + i * len, ip[i] + 16 - len, len);
        p[2 * len + 2 * i] = (uint8_t)(port[i] >> 8);
        p[2 * len + 2 * i + 1] = (uint8_t)port[i];
    }
    return 2 * len + 4;
}

static size_t put_unix(uint8_t *p, uint8_t *code, const struct nk_addr *const ends[2])
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    *code = FAM_UNIX;
    memset(p, 0, 2 * UNIX_LEN);
    for (size_t i = 0; i < 2; i++) {
        if (ends[i]->len > head && ends[i]->ss.ss_family == AF_UNIX) {
            size_t n = ends[i]->len - head;
            memcpy(p + i * UNIX_LEN, (const uint8_t *)&ends[i]->ss + head,
                   n < UNIX_LEN ? n : UNIX_LEN);
        }
    }
    return 2 * UNIX_LEN;
}

static int write_v2(struct nk_buf *out, const uint8_t *addr, size_t addr_len, uint8_t family,
                    const void *tlvs, size_t n)
{
    size_t total = V2_HEAD + addr_len + n;
    struct net_proxy_tlv t;
    uint8_t *p;
    int rc = total <= NET_PROXY_MAX ? nk_buf_reserve(out, total, &p) : NK_ETOOBIG;
    if (rc < 0) {
        return rc;
    }
    memcpy(p, signature, V2_SIGNATURE);
    p[V2_SIGNATURE] = VERSION_PROXY;
    p[V2_SIGNATURE + 1] = family;
    p[V2_LENGTH] = (uint8_t)((addr_len + n) >> 8);
    p[V2_LENGTH + 1] = (uint8_t)(addr_len + n);
    memcpy(p + V2_HEAD, addr, addr_len);
    if (n > 0) {
        memcpy(p + V2_HEAD + addr_len, tlvs, n);
    }
    if (net_proxy_find(p + V2_HEAD + addr_len, n, NET_PROXY_CRC32C, &t) && t.len == CRC_LEN) {
        uint8_t *at = p + (t.value - p);
        uint32_t crc = checksum(p, total, (size_t)(at - p));
        for (int i = 0; i < CRC_LEN; i++) {
            at[i] = (uint8_t)(crc >> (24 - 8 * i));
        }
    }
    nk_buf_commit(out, total);
    return 0;
}

int net_proxy_write(struct nk_buf *out, int version, const struct nk_addr *from,
                    const struct nk_addr *to, const void *tlvs, size_t n)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const struct nk_addr *const ends[2] = {from, to};
    uint8_t ip[2][16], addr[2 * UNIX_LEN], code = FAM_UNSPEC;
    uint16_t port[2];
    size_t addr_len = 0;
    int family = AF_UNSPEC;
    if (get_ip(from, ip[0], &port[0]) && get_ip(to, ip[1], &port[1])) {
        bool four = memcmp(ip[0], mapped, 12) == 0 && memcmp(ip[1], mapped, 12) == 0;
        family = four ? AF_INET : AF_INET6;
    }
    if (version == 1) {
        char line[V1_MAX + 1];
        int len = write_v1(line, sizeof(line), (const uint8_t(*)[16])ip, port, family);
        return nk_buf_put(out, line, (size_t)len);
    }
    if (family != AF_UNSPEC) {
        addr_len = put_addresses(addr, &code, (const uint8_t(*)[16])ip, port, family);
    } else if ((from->len > 0 && from->ss.ss_family == AF_UNIX) ||
               (to->len > 0 && to->ss.ss_family == AF_UNIX)) {
        addr_len = put_unix(addr, &code, ends);
    }
    return write_v2(out, addr, addr_len, code, tlvs, n);
}
