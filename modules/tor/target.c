/* SPDX-License-Identifier: MIT */
#include "tor/target.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/onion.h"
#include "core/resolve.h"

/* A network: the first `bits` bits of an address. */
struct net4 {
    uint32_t net;
    unsigned bits;
};

/* What tor takes for internal (tor_addr_is_internal): RFC 1122 §3.2.1.3, RFC 1918, RFC 3927. */
static const struct net4 private4[] = {{0x00000000, 8},  {0x0a000000, 8},  {0x7f000000, 8},
                                       {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0a80000, 16}};

/* VirtualAddrNetworkIPv4 by default: tor made these up itself, and knows what they stand for. */
static const struct net4 virtual4 = {0x7fc00000, 10};

static bool in_net(uint32_t ip, const struct net4 *n)
{
    return (ip ^ n->net) >> (32 - n->bits) == 0;
}

static bool is_private4(uint32_t ip)
{
    if (in_net(ip, &virtual4)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(private4) / sizeof(private4[0]); i++) {
        if (in_net(ip, &private4[i])) {
            return true;
        }
    }
    return false;
}

static uint32_t be32(const char *p)
{
    uint8_t b[4];
    memcpy(b, p, sizeof(b));
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* ::, ::1, fc00::/7 (RFC 4193), fec0::/10, and private IPv4 mapped into it; fe80::/10 is tor's
 * VirtualAddrNetworkIPv6. */
static bool is_private6(const char host[16])
{
    static const char zero[15];
    const uint8_t first = (uint8_t)host[0], second = (uint8_t)host[1];
    if (memcmp(host, zero, 15) == 0) {
        return (uint8_t)host[15] <= 1;
    }
    if (memcmp(host, zero, 10) == 0 && memcmp(host + 10, "\xff\xff", 2) == 0) {
        return is_private4(be32(host + 12));
    }
    return (first & 0xfe) == 0xfc || (first == 0xfe && (second & 0xc0) == 0xc0);
}

static bool has_suffix(const char *name, size_t len, const char *suffix)
{
    size_t n = strlen(suffix);
    return len >= n && strncasecmp(name + len - n, suffix, n) == 0;
}

/* The label before ".onion" is the address; tor ignores what stands before it. */
static int check_onion(const char *name, size_t len, struct nk_diag *diag)
{
    uint8_t key[NK_ONION_KEY];
    const size_t end = len - strlen(".onion");
    size_t start = end;
    while (start > 0 && name[start - 1] != '.') {
        start--;
    }
    return nk_onion_parse(key, name + start, len - start, diag);
}

static int check_name(const struct socks_addr *a, bool allow_private, bool *onion,
                      struct nk_diag *diag)
{
    struct nk_addr addrs[2];
    size_t n, len = a->len;
    while (len > 0 && a->host[len - 1] == '.') {
        len--; /* fully qualified */
    }
    if (has_suffix(a->host, len, ".onion")) {
        *onion = true;
        return check_onion(a->host, len, diag);
    }
    if (has_suffix(a->host, len, ".exit")) {
        nk_fail(diag, NK_EUSAGE, "'%s': tor has no .exit names any more", a->host);
        nk_hint(diag, "choose the exit with a circuit of your own");
        return NK_EUSAGE;
    }
    if (nk_resolve_is_local(a->host)) {
        if (allow_private) {
            return 0;
        }
        nk_fail(diag, NK_EUSAGE, "'%s' is this machine, and Tor does not lead to it", a->host);
        nk_hint(diag, "write tcp: instead of tor:");
        return NK_EUSAGE;
    }
    int rc = nk_resolve_now(a->host, a->port, 0, addrs, &n, diag);
    return rc == -ENOENT ? 0 : rc; /* a name that somebody else has to know; or why it is none */
}

int tor_target_set(struct socks_addr *out, const char *host, uint16_t port, bool allow_private,
                   bool *onion, struct nk_diag *diag)
{
    struct socks_addr a;
    char text[SOCKS_TEXT_MAX + 1];
    bool is_onion = false;
    int rc = socks_addr_set(&a, host, port, diag);
    if (rc < 0) {
        return rc;
    }
    if (a.type == SOCKS_NAME) {
        rc = check_name(&a, allow_private, &is_onion, diag);
    } else if (!allow_private &&
               (a.type == SOCKS_IPV4 ? is_private4(be32(a.host)) : is_private6(a.host))) {
        rc = nk_fail(diag, NK_EUSAGE,
                     "%s is an address of a private network, which no exit of Tor "
                     "can reach",
                     socks_addr_host(&a, text));
        nk_hint(diag, "allow_private=yes is for a Tor network of your own");
    }
    if (rc == 0) {
        *out = a;
        *onion = is_onion;
    }
    return rc;
}

/* --- tor's answers ---------------------------------------------------------------------------- */

/* What to do next; rows of plain codes are for what is not an onion service. */
static const struct next_step {
    uint8_t code;
    bool onion; /* only for onion services */
    const char *hint;
} next_steps[] = {
    {SOCKS_REPLY_HS_DESC_NOT_FOUND, true,
     "the service is not running, has just been started, or the address is wrong"},
    {SOCKS_REPLY_HS_DESC_INVALID, true, "the service has to publish it again; is tor up to date?"},
    {SOCKS_REPLY_HS_INTRO_FAILED, true,
     "the service has gone away, or its descriptor is old: try again in a minute"},
    {SOCKS_REPLY_HS_REND_FAILED, true, "try again: another circuit is taken"},
    {SOCKS_REPLY_HS_AUTH_MISSING, true,
     "'netkit hsc generate-key stealth --hsid ADDRESS' makes a key, whose public half the service "
     "must add; 'netkit hsc import' takes one that you were given"},
    {SOCKS_REPLY_HS_AUTH_WRONG, true,
     "the key for it is not among the service's clients: 'netkit hsc list' shows yours, 'netkit "
     "hsc import' takes another"},
    {SOCKS_REPLY_HS_BAD_ADDRESS, true, "'netkit hs address ADDRESS' says what is wrong with it"},
    {SOCKS_REPLY_HS_INTRO_TIMEOUT, true, "the service may be gone, or busy: try again"},
    {SOCKS_REPLY_FAILURE, true,
     "the service is not there, refuses the port, or wants client authorization; with "
     "ExtendedErrors on its SocksPort tor says which"},
    {SOCKS_REPLY_FAILURE, false,
     "no exit could connect, or tor is not ready: 'netkit tor status' tells"},
    {SOCKS_REPLY_NOT_ALLOWED, false, "tor's own configuration forbids it"},
    {SOCKS_REPLY_HOST_UNREACHABLE, false, "exits do not know the name, or cannot reach it"},
    {SOCKS_REPLY_REFUSED, true, "the service does not offer this port"},
    {SOCKS_REPLY_EXPIRED, true, "try again: another circuit is taken"},
    {SOCKS_REPLY_EXPIRED, false, "try again: another circuit is taken"},
};

static bool is_onion_addr(const struct socks_addr *to)
{
    return to->type == SOCKS_NAME && has_suffix(to->host, to->len, ".onion");
}

int tor_target_explain(unsigned code, const struct socks_addr *to, struct nk_diag *diag)
{
    bool onion = is_onion_addr(to);
    int rc = nk_fail(diag, socks_reply_error(code), "tor: %s (SOCKS reply %02X)",
                     socks_reply_text(code), code);
    for (size_t i = 0; i < sizeof(next_steps) / sizeof(next_steps[0]); i++) {
        if (next_steps[i].code == code && next_steps[i].onion == onion) {
            nk_hint(diag, "%s", next_steps[i].hint);
            break;
        }
    }
    return rc;
}
