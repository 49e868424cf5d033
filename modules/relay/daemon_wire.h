/* SPDX-License-Identifier: MIT */
/*
 * daemon_wire - what an endpoint daemon and the commands that use it say to each other over
 * STATE_DIR/endpoint/NAME/control.sock, pure. Both are of the same program and user; a command of
 * another version is told so.
 *
 * Frame: u32 length of the payload, u8 type, 3 zero bytes, payload; all numbers little endian.
 *
 *     HELLO   c>d d>c  magic (11 bytes) and u8 version; first in both directions
 *     READ    c>d      u8 mode, u8 block, u16 0, u64 max, u64 wait ms (0: no limit)
 *     OBJECT  d>c      u8 kind, u8 content, u16 length of the group's name (0: not known), u32
 *                      tries, u64 seq, name, metadata, data; then the next one, or DONE
 *     TAKEN   c>d      the objects of the READ are safe; DONE follows. Without it they come back
 *     NOTIFY  c>d      destinations: GROUP=N adds N to the standing demand, GROUP=-1 drains
 *     SEND    c>d      u8 mode, u8 form, u8 content (0: as the form says; 1 + content), u8 0, u64
 *                      length, metadata, destinations; behind the frame stand that many bytes of
 *                      the object. No answer, except for an error
 *     FLUSH   c>d      u8 wait: DONE comes when all that was sent is with the relay (1), or at once
 *     STATUS  c>d      DONE has a JSON object
 *     STOP    c>d      u8 force, u64 wait ms (0: no limit): DONE at once; then the end of the
 * stream when the daemon has ended, or, after that time, DONE again with the number of objects that
 * are not with the relay. force: it ends now; the first DONE has their number DONE    d>c      u32
 * exit status, u64 count, text
 *
 * Destinations: u16 number, then each i64 n, u16 length, name. Metadata: a block as on the native
 * wire (wire_meta.h), two zero bytes when there are none.
 */
#ifndef NK_RELAY_DAEMON_WIRE_H
#define NK_RELAY_DAEMON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "relay/endpoint.h"
#include "relay/endpoint_meta.h"

#define RELAY_DAEMON_HEADER 8u
#define RELAY_DAEMON_MAGIC "nk-endpoint"
#define RELAY_DAEMON_VERSION 2
#define RELAY_DAEMON_REQUEST ((size_t)256 * 1024) /* most bytes of a request's payload */
#define RELAY_DAEMON_DESTS 128                    /* most destinations of a request */

enum relay_daemon_type {
    DAEMON_HELLO = 1,
    DAEMON_READ,
    DAEMON_TAKEN,
    DAEMON_NOTIFY,
    DAEMON_SEND,
    DAEMON_FLUSH,
    DAEMON_STATUS,
    DAEMON_STOP,
    DAEMON_OBJECT,
    DAEMON_DONE
};

enum relay_daemon_mode { DAEMON_POP, DAEMON_LAST, DAEMON_ALL };

struct relay_daemon_read {
    enum relay_daemon_mode mode;
    bool block; /* until there is one at least */
    uint64_t max, wait_ms;
};

struct relay_daemon_stop {
    bool force;
    uint64_t wait_ms;
};

struct relay_daemon_send {
    bool produce;    /* else broadcast */
    uint8_t form;    /* enum relay_endpoint_as without AUTO */
    uint8_t content; /* 0: a Python object as `form` says; else 1 + enum relay_content, as it is */
    uint64_t len;    /* of the object */
    struct relay_endpoint_meta meta;
    struct relay_endpoint_dest dest;
};

struct relay_daemon_object {
    uint8_t kind, content;
    uint32_t tries;
    uint64_t seq;
    const char *group; /* NULL: not known; glen bytes when read, without a NUL */
    size_t glen;
    const uint8_t *meta; /* a block that relay_meta_get accepts; NULL: no metadata */
    size_t meta_len;
    const uint8_t *data;
    size_t len;
};

struct relay_daemon_done {
    uint32_t status;
    uint64_t count;
    const char *text;
    size_t len;
};

/* Writing: each appends one frame to out. 0, NK_ETOOBIG, -ENOMEM; out is unchanged on failure. */
int relay_daemon_put(struct nk_buf *out, enum relay_daemon_type type, const void *p, size_t n);
int relay_daemon_put_hello(struct nk_buf *out);
int relay_daemon_put_read(struct nk_buf *out, const struct relay_daemon_read *r);
int relay_daemon_put_stop(struct nk_buf *out, const struct relay_daemon_stop *s);
int relay_daemon_put_notify(struct nk_buf *out, const struct relay_endpoint_dest *dest);
int relay_daemon_put_send(struct nk_buf *out, const struct relay_daemon_send *s);
int relay_daemon_put_object(struct nk_buf *out, const struct relay_daemon_object *o);
int relay_daemon_put_done(struct nk_buf *out, uint32_t status, uint64_t count, const char *text);

/* relay_daemon_header - the frame at p (RELAY_DAEMON_HEADER bytes): 0 with type and payload length,
 * or NK_EPROTO. */
int relay_daemon_header(const uint8_t *p, enum relay_daemon_type *type, size_t *len);

/* Reading payloads: 0; NK_EPROTO, and the output is untouched; -ENOMEM. What is text or bytes
 * points into the payload; destinations and the metadata of a SEND are owned
 * (relay_endpoint_dest_clear, relay_daemon_send_clear). hello: NK_EVERSION for another version. */
int relay_daemon_get_hello(const uint8_t *p, size_t n);
int relay_daemon_get_read(const uint8_t *p, size_t n, struct relay_daemon_read *r);
int relay_daemon_get_stop(const uint8_t *p, size_t n, struct relay_daemon_stop *s);
int relay_daemon_get_notify(const uint8_t *p, size_t n, struct relay_endpoint_dest *dest);
int relay_daemon_get_send(const uint8_t *p, size_t n, struct relay_daemon_send *s);
void relay_daemon_send_clear(struct relay_daemon_send *s);
int relay_daemon_get_object(const uint8_t *p, size_t n, struct relay_daemon_object *o);
int relay_daemon_get_done(const uint8_t *p, size_t n, struct relay_daemon_done *d);

#endif
