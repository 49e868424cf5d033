/* SPDX-License-Identifier: MIT */
/* sink_testkit - a sink that keeps payloads, and helpers to say what a peer says. For tests. */
#ifndef SSH_SINK_TESTKIT_H
#define SSH_SINK_TESTKIT_H

#include <stdbool.h>

#include "base/buf.h"
#include "ssh/sink.h"
#include "ssh/wire.h"

struct ssh_kit_sink {
    struct ssh_sink sink; /* first */
    struct nk_buf out;    /* payloads, each as a string */
    struct nk_buf room;
    int fail; /* what begin returns, when it is not 0 */
    size_t packets;
};

/* ssh_sink_init, ssh_sink_clear - a sink without payloads. */
void ssh_sink_init(struct ssh_kit_sink *k);
void ssh_sink_clear(struct ssh_kit_sink *k);

/* ssh_kit_take - the oldest payload that was not taken yet, valid until the next call; n = 0 when
 * there is none. */
struct ssh_str ssh_kit_take(struct ssh_kit_sink *k, struct nk_buf *keep);

/*
 * ssh_kit_put - a payload by a format, appended to b: 'b' a byte (int), 'u' a u32 (unsigned), 's' a
 * string (const char *), 'x' a string of bytes (struct ssh_str), 'r' bytes as they are (struct
 * ssh_str), 't' a bool (int). Aborts without memory.
 */
void ssh_kit_put(struct nk_buf *b, const char *format, ...);

/* ssh_kit_next_is - take the oldest payload (as ssh_kit_take); whether it is this one, said as for
 * ssh_kit_put. */
bool ssh_kit_next_is(struct ssh_kit_sink *k, struct nk_buf *keep, const char *format, ...);

/* ssh_kit_str - the text as borrowed bytes. */
struct ssh_str ssh_kit_str(const char *text);

#endif
