/* SPDX-License-Identifier: MIT */
/*
 * wire_pickle - the envelopes of tlspyo's wire as the relay sees them (README.md "tlspyo's wire"),
 * pure.
 *
 * An endpoint's envelope is a pickled 4-tuple (stamp, command, destination, object). The reader
 * knows the opcodes that plain tuples, dicts, lists, sets, strings, bytes and integers need, in
 * protocols 2 to 5, and refuses every other one: nothing is ever called or built. The user's object
 * is one bytes value inside the envelope; it stays where it is, as an offset and a length.
 */
#ifndef NK_RELAY_WIRE_PICKLE_H
#define NK_RELAY_WIRE_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RELAY_ENVELOPE_GROUPS 4096 /* groups in one HELLO, OBJ or NTF */

enum relay_command {
    RELAY_CMD_HELLO,
    RELAY_CMD_ACK,
    RELAY_CMD_OBJ,
    RELAY_CMD_NTF,
    RELAY_CMD_OTHER
};

/* A group's name (UTF-8, any bytes but not terminated) with its number: below 0 broadcast (OBJ) or
 * drain (NTF), above 0 copies or credit; always 0 in a HELLO. */
struct relay_dest {
    const uint8_t *name;
    size_t len;
    int64_t n;
};

/* One parsed envelope. The pointers are valid as long as the payload and until the next parse. */
struct relay_envelope {
    int64_t stamp;
    enum relay_command cmd;
    const struct relay_dest *dest; /* HELLO, OBJ, NTF */
    size_t ndest;
    size_t obj_off, obj_len; /* OBJ only: the object inside the payload */
};

/* Working memory of the reader; large (its pages are only touched as far as they are needed), so
 * one serves many connections. */
struct relay_pickle;

/* relay_pickle_new - NULL when memory is missing. relay_pickle_free: NULL is fine. */
struct relay_pickle *relay_pickle_new(void);
void relay_pickle_free(struct relay_pickle *k);

/*
 * relay_envelope_parse - read the n bytes at payload, which must be exactly one envelope. Returns
 * 0, NK_EUNSUPPORTED when the payload is not a pickle of protocol 2 to 5 at all (an Endpoint with a
 * serializer of its own wraps the envelope too), or NK_EPROTO; then *why is a static phrase that
 * says what is wrong and out is untouched.
 */
int relay_envelope_parse(struct relay_pickle *k, const void *payload, size_t n,
                         struct relay_envelope *out, const char **why);

/*
 * What the relay sends: payloads of the 3-tuple (stamp, command, object), protocol 3 (4 for objects
 * of 4 GiB and more). A relay's own stamps are 1..RELAY_STAMP_MAX.
 */
#define RELAY_STAMP_MAX 0x7fffffff
#define RELAY_HELLO_LEN 20 /* bytes of relay_pickle_hello */
#define RELAY_ACK_MAX 22   /* most bytes of relay_pickle_ack: 18 unless the stamp needs 64 bits */
#define RELAY_PING_LEN 19  /* bytes of relay_pickle_ping */
#define RELAY_OBJ_HEAD_MAX 24
#define RELAY_OBJ_TAIL "\x87." /* TUPLE3 STOP, after the object's bytes */
#define RELAY_OBJ_TAIL_LEN 2

/* Each writes to out and returns the number of bytes. `relay_pickle_obj_head` is what stands before
 * len bytes of the object; the payload's length is that + len + RELAY_OBJ_TAIL_LEN. */
size_t relay_pickle_hello(uint8_t out[RELAY_HELLO_LEN], uint32_t stamp);
size_t relay_pickle_ping(uint8_t out[RELAY_PING_LEN], uint32_t stamp);
size_t relay_pickle_ack(uint8_t out[RELAY_ACK_MAX], int64_t stamp);
size_t relay_pickle_obj_head(uint8_t out[RELAY_OBJ_HEAD_MAX], uint32_t stamp, uint64_t len);

#endif
