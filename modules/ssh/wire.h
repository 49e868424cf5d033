/* SPDX-License-Identifier: MIT */
/*
 * wire - the data types of SSH (RFC 4251 5) and the numbers of its messages (RFC 4250 4.1).
 *
 * Reading borrows from the cursor's bytes and fails with the cursor (base/cur.h); writing appends
 * to a buffer and returns as nk_buf_put does.
 */
#ifndef SSH_WIRE_H
#define SSH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cur.h"

/* X(name, number). Numbers 30..49 and 60..79 mean what the method in use says. */
#define SSH_MESSAGES(X)                                                                            \
    X(DISCONNECT, 1)                                                                               \
    X(IGNORE, 2)                                                                                   \
    X(UNIMPLEMENTED, 3)                                                                            \
    X(DEBUG, 4)                                                                                    \
    X(SERVICE_REQUEST, 5)                                                                          \
    X(SERVICE_ACCEPT, 6)                                                                           \
    X(EXT_INFO, 7)                                                                                 \
    X(KEXINIT, 20)                                                                                 \
    X(NEWKEYS, 21)                                                                                 \
    X(KEX_INIT, 30)                                                                                \
    X(KEX_REPLY, 31)                                                                               \
    X(KEX_GEX_INIT, 32)                                                                            \
    X(KEX_GEX_REPLY, 33)                                                                           \
    X(KEX_GEX_REQUEST, 34)                                                                         \
    X(USERAUTH_REQUEST, 50)                                                                        \
    X(USERAUTH_FAILURE, 51)                                                                        \
    X(USERAUTH_SUCCESS, 52)                                                                        \
    X(USERAUTH_BANNER, 53)                                                                         \
    X(USERAUTH_60, 60)                                                                             \
    X(USERAUTH_INFO_RESPONSE, 61)                                                                  \
    X(GLOBAL_REQUEST, 80)                                                                          \
    X(REQUEST_SUCCESS, 81)                                                                         \
    X(REQUEST_FAILURE, 82)                                                                         \
    X(CHANNEL_OPEN, 90)                                                                            \
    X(CHANNEL_OPEN_CONFIRMATION, 91)                                                               \
    X(CHANNEL_OPEN_FAILURE, 92)                                                                    \
    X(CHANNEL_WINDOW_ADJUST, 93)                                                                   \
    X(CHANNEL_DATA, 94)                                                                            \
    X(CHANNEL_EXTENDED_DATA, 95)                                                                   \
    X(CHANNEL_EOF, 96)                                                                             \
    X(CHANNEL_CLOSE, 97)                                                                           \
    X(CHANNEL_REQUEST, 98)                                                                         \
    X(CHANNEL_SUCCESS, 99)                                                                         \
    X(CHANNEL_FAILURE, 100)                                                                        \
    X(PING, 192)                                                                                   \
    X(PONG, 193)

enum ssh_message {
#define SSH_MESSAGE_NUMBER(name, number) SSH_MSG_##name = number,
    SSH_MESSAGES(SSH_MESSAGE_NUMBER)
#undef SSH_MESSAGE_NUMBER
};

/* ssh_message_name - "KEXINIT", or "?" for a number that has no name. Static. */
const char *ssh_message_name(uint8_t number);

/* Borrowed bytes; p is not NULL unless reading failed. */
struct ssh_str {
    const uint8_t *p;
    size_t n;
};

/* ssh_str_is - whether the bytes are this text. */
bool ssh_str_is(struct ssh_str s, const char *text);

/* ssh_cur_string - a string: u32 length and so many bytes. */
struct ssh_str ssh_cur_string(struct nk_cur *c);

/* ssh_cur_bool - any byte but 0 is true. */
bool ssh_cur_bool(struct nk_cur *c);

/* ssh_cur_mpint - a positive integer or zero, as big-endian bytes without a leading zero byte (zero
 * has no bytes). Fails for negative numbers and for bytes that RFC 4251 5 calls unnecessary. */
struct ssh_str ssh_cur_mpint(struct nk_cur *c);

/* ssh_cur_names - a name-list as it came; fails for bytes that are not printable US-ASCII. Names
 * that the sender repeats, or of a form that RFC 4251 6 does not allow, are nobody's and harmless.
 */
struct ssh_str ssh_cur_names(struct nk_cur *c);

/* ssh_names_next - the first name of *list, which begins behind it afterwards; empty names are left
 * out. false at the end. */
bool ssh_names_next(struct ssh_str *list, struct ssh_str *name);

/* ssh_names_have - whether the list has this name. */
bool ssh_names_have(struct ssh_str list, struct ssh_str name);

/* ssh_put_string, ssh_put_text, ssh_put_bool - as their readers. */
int ssh_put_string(struct nk_buf *b, const void *p, size_t n);
int ssh_put_text(struct nk_buf *b, const char *text);
int ssh_put_bool(struct nk_buf *b, bool v);

/* ssh_put_mpint - n big-endian bytes of an unsigned number; leading zero bytes are dropped. */
int ssh_put_mpint(struct nk_buf *b, const uint8_t *p, size_t n);

#endif
