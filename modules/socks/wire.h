/* SPDX-License-Identifier: MIT */
/*
 * wire - the messages of SOCKS version 5, both sides, pure: RFC 1928 (negotiation, request, reply),
 * RFC 1929 (user name and password), requests of SOCKS 4 and 4a, and what Tor adds (its
 * socks-extensions.txt: the commands RESOLVE and RESOLVE_PTR, the reply codes F0 to F7 of listeners
 * with ExtendedErrors).
 *
 * Writers put a message at out, which has room for SOCKS_MESSAGE_MAX bytes, and return its length.
 * Parsers take exactly one whole message; socks_want says how long one is.
 */
#ifndef NK_SOCKS_WIRE_H
#define NK_SOCKS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum {
    SOCKS_VERSION = 5,
    SOCKS_VERSION4 = 4,
    SOCKS_REPLY4_LEN = 8, /* of a reply of version 4: 0, one of these, and what nobody reads */
    SOCKS_GRANTED4 = 0x5a,
    SOCKS_REJECTED4 = 0x5b,
    SOCKS_LOGIN_VERSION = 1, /* RFC 1929 §2 */
    SOCKS_TEXT_MAX = 255,    /* a name, user name or password: its length is one byte */
    SOCKS_MESSAGE_MAX = 3 + 2 * SOCKS_TEXT_MAX /* the longest message: user name and password */
};

enum socks_method { SOCKS_METHOD_NONE = 0, SOCKS_METHOD_LOGIN = 2, SOCKS_METHOD_REFUSED = 0xff };

enum socks_command {
    SOCKS_CONNECT = 1,
    SOCKS_BIND = 2,
    SOCKS_UDP = 3,
    SOCKS_RESOLVE = 0xf0,    /* Tor: name to address */
    SOCKS_RESOLVE_PTR = 0xf1 /* Tor: address to name */
};

enum socks_type { SOCKS_IPV4 = 1, SOCKS_NAME = 3, SOCKS_IPV6 = 4 };

/* X(name, value, error, text) - reply codes: RFC 1928 §6, then Tor's. */
#define SOCKS_REPLIES(X)                                                                           \
    X(OK, 0x00, 0, "succeeded")                                                                    \
    X(FAILURE, 0x01, NK_ECLOSED, "general failure")                                                \
    X(NOT_ALLOWED, 0x02, NK_EAUTH, "not allowed by its rules")                                     \
    X(NET_UNREACHABLE, 0x03, -ENETUNREACH, "network unreachable")                                  \
    X(HOST_UNREACHABLE, 0x04, -EHOSTUNREACH, "host unreachable, or no such name")                  \
    X(REFUSED, 0x05, -ECONNREFUSED, "connection refused")                                          \
    X(EXPIRED, 0x06, -ETIMEDOUT, "no answer in time")                                              \
    X(COMMAND, 0x07, NK_EUNSUPPORTED, "command not supported")                                     \
    X(ADDRESS, 0x08, NK_EUNSUPPORTED, "type of address not supported")                             \
    X(HS_DESC_NOT_FOUND, 0xf0, -EHOSTUNREACH, "onion service descriptor not found")                \
    X(HS_DESC_INVALID, 0xf1, NK_EPROTO, "onion service descriptor is invalid")                     \
    X(HS_INTRO_FAILED, 0xf2, -EHOSTUNREACH, "introduction to the onion service failed")            \
    X(HS_REND_FAILED, 0xf3, -EHOSTUNREACH, "rendezvous with the onion service failed")             \
    X(HS_AUTH_MISSING, 0xf4, NK_EAUTH, "onion service wants client authorization")                 \
    X(HS_AUTH_WRONG, 0xf5, NK_EAUTH, "onion service refuses this client's key")                    \
    X(HS_BAD_ADDRESS, 0xf6, NK_ECONFIG, "onion address is invalid")                                \
    X(HS_INTRO_TIMEOUT, 0xf7, -ETIMEDOUT, "introduction to the onion service timed out")

#define SOCKS_REPLY_ENUM(name, value, error, text) SOCKS_REPLY_##name = (value),
enum socks_reply { SOCKS_REPLIES(SOCKS_REPLY_ENUM) };
#undef SOCKS_REPLY_ENUM

/* An address as it travels: host is 4 or 16 bytes, or a name of len bytes with a NUL behind it. */
struct socks_addr {
    uint8_t type; /* enum socks_type */
    uint8_t len;
    uint16_t port;
    char host[SOCKS_TEXT_MAX + 1];
};

/* socks_addr_set - an address of text: a literal (IPv6 with or without brackets) becomes its bytes,
 * anything else a name that nobody resolves. 0, or NK_EUSAGE for an empty name, one of more than
 * 255 bytes, or one with blanks, control bytes or bytes beyond ASCII. */
int socks_addr_set(struct socks_addr *a, const char *host, uint16_t port, struct nk_diag *diag);

/* socks_addr_host - the host as text, NUL-terminated: "192.0.2.1", "::1", "example.com". out has
 * room for SOCKS_TEXT_MAX + 1 bytes. Returns out. */
char *socks_addr_host(const struct socks_addr *a, char out[SOCKS_TEXT_MAX + 1]);

/* socks_name_ok - may a peer name this? 1 to 255 bytes of printable ASCII without blanks. */
bool socks_name_ok(const char *name, size_t len);

/* socks_reply_text / socks_reply_error - in words; as an error code. Any value has both. */
const char *socks_reply_text(unsigned code);
int socks_reply_error(unsigned code);

/* socks_reply_for - the reply code (RFC 1928 §6) of an error; 0 for 0. */
unsigned socks_reply_for(int error);

/* Kinds of messages. */
enum socks_message {
    SOCKS_GREETING, /* client: version, methods */
    SOCKS_CHOICE,   /* server: version, method */
    SOCKS_LOGIN,    /* client: RFC 1929 */
    SOCKS_STATUS,   /* server: RFC 1929 */
    SOCKS_REQUEST,  /* client: command, address */
    SOCKS_REPLY,    /* server: code, address */
    SOCKS_REQUEST4  /* client of version 4 or 4a: all that it says */
};

/* socks_want - length of a message of which the first n bytes are at p: exact when it is <= n, else
 * a lower bound above n. At most SOCKS_MESSAGE_MAX. */
size_t socks_want(enum socks_message kind, const uint8_t *p, size_t n);

/* socks_head_ok - is the first byte of a message of this kind what it must be? */
bool socks_head_ok(enum socks_message kind, uint8_t first);

struct socks_login {
    const uint8_t *user, *password; /* borrowed from the message */
    uint8_t user_len, password_len;
};

/* socks_parse_greeting - which of the two methods we know does it offer? NK_EPROTO. */
int socks_parse_greeting(const uint8_t *p, size_t n, bool *none, bool *login);

/* socks_parse_login - RFC 1929; an empty password is accepted, an empty user name too. NK_EPROTO.
 */
int socks_parse_login(const uint8_t *p, size_t n, struct socks_login *out);

/* socks_parse_request / socks_parse_reply - the byte that says command or code, and the address.
 * The reserved byte is not looked at. NK_EPROTO; NK_EUNSUPPORTED for an unknown type of address. */
int socks_parse_request(const uint8_t *p, size_t n, uint8_t *command, struct socks_addr *a);
int socks_parse_reply(const uint8_t *p, size_t n, uint8_t *code, struct socks_addr *a);

/* socks_parse_request4 - a request of SOCKS 4, or of 4a: with a name behind the user's, for an
 * address 0.0.0.x. login: its user, without a password. NK_EPROTO. */
int socks_parse_request4(const uint8_t *p, size_t n, uint8_t *command, struct socks_addr *a,
                         struct socks_login *login);

/* Writers; see above for out. */
size_t socks_put_greeting(uint8_t *out, bool none, bool login);
size_t socks_put_login(uint8_t *out, const struct socks_login *l);
size_t socks_put_request(uint8_t *out, uint8_t command, const struct socks_addr *a);
size_t socks_put_reply(uint8_t *out, uint8_t code,
                       const struct socks_addr *a /* NULL: 0.0.0.0:0 */);

#endif
