/* SPDX-License-Identifier: MIT */
/* A hub and clients of the native wire over socket pairs, for tests. Everything fails the test when
 * it does not go as its name says. */
#ifndef NK_RELAY_NATIVE_TESTKIT_H
#define NK_RELAY_NATIVE_TESTKIT_H

#include "base/buf.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/stream.h"
#include "relay/engine_log.h"
#include "relay/hub_testkit.h"
#include "relay/wire_meta.h"
#include "relay/wire_native.h"

enum { PEERS = 6, PATIENCE = 3000, CLOCK_SCALE = 60 };
#define MIB ((size_t)1024 * 1024)

struct nt_peer {
    int fd;
    struct nk_buf in;
    struct relay_native_head h; /* the last frame, and its payload */
    uint8_t *p;
    bool slow; /* send one byte per turn */
    uint64_t request;
    uint8_t session[RELAY_NATIVE_ID];
    bool resumed;
};

struct nt_world {
    struct relay_hub_testkit k;
    struct nt_peer p[PEERS];
};

/* nt_default_limits - what most tests use. */
struct relay_limits nt_default_limits(void);

/* nt_world_with - a hub over the memory engine, the one that delays and reorders, or the log;
 * password "pw".
 */
struct nt_world *nt_world_with(struct relay_limits limits, enum relay_wires wires,
                               enum relay_engine_kind over);

/* nt_peer_close - hang up. */
void nt_peer_close(struct nt_peer *p);

/* nt_world_free - nothing may be left. */
void nt_world_free(struct nt_world *w);

/* nt_connect_peer - peer i, over a socket pair. */
void nt_connect_peer(struct nt_world *w, int i);

/* nt_pull - read what is there; false at the end of the stream. */
bool nt_pull(struct nt_peer *p);

/* nt_take_frame - the next frame of what was read. */
bool nt_take_frame(struct nt_peer *p);

/* nt_next_frame - the next one, within patience. */
void nt_next_frame(struct nt_world *w, int i);

/* nt_expect - the next one but receipts and windows must have this type. */
void nt_expect(struct nt_world *w, int i, enum relay_native_type type);

/* nt_raw_send - bytes. */
void nt_raw_send(struct nt_world *w, int i, const void *data, size_t n);

/* nt_frame - one frame. */
void nt_frame(struct nt_world *w, int i, uint8_t type, uint8_t flags, uint32_t group, uint64_t seq,
              const void *p, size_t n);

/* nt_say_hello - HELLO, with the session that it had last. */
void nt_say_hello(struct nt_world *w, int i);

/* nt_log_in - connect, HELLO, and in by uid. */
void nt_log_in(struct nt_world *w, int i);

/* nt_open_known - OPEN with what it knows. */
struct relay_native_opened nt_open_known(struct nt_world *w, int i, const char *name, bool member,
                                         uint64_t epoch, uint64_t version);

/* nt_open_group - OPEN, which must succeed. */
uint32_t nt_open_group(struct nt_world *w, int i, const char *name, bool member);

/* nt_join - log in and open as a member. */
uint32_t nt_join(struct nt_world *w, int i, const char *name);

/* nt_broadcast - a text. */
void nt_broadcast(struct nt_world *w, int i, uint32_t g, uint64_t seq, const char *text);

/* nt_produce - one item. */
void nt_produce(struct nt_world *w, int i, uint32_t g, uint64_t seq, const char *text);

/* nt_receipt - wait for the receipt up to seq. */
void nt_receipt(struct nt_world *w, int i, uint64_t seq);

/* nt_get - the next object must be this text. */
void nt_get(struct nt_world *w, int i, enum relay_native_type type, const char *text);

/* nt_get_nothing - for a while. */
void nt_get_nothing(struct nt_world *w, int i);

/* nt_credit - CREDIT. */
void nt_credit(struct nt_world *w, int i, uint32_t g, uint64_t items, uint64_t bytes);

/* nt_settle - one range, and its answer. */
void nt_settle(struct nt_world *w, int i, enum relay_native_type type, uint32_t g, uint64_t first,
               uint32_t count, int32_t status);

/* nt_refused - the relay says why it hangs up, and does. */
void nt_refused(struct nt_world *w, int i, enum relay_goaway code);

/* nt_after_grace - until sessions without a connection are gone. */
void nt_after_grace(struct nt_world *w);

enum { NT_RUN = 500 }; /* broadcasts in a run */

/* nt_make_run - NT_RUN broadcasts of 64 bytes each, with seqs from `first`, 80 bytes each with its
 * head, at b. Returns their length. */
size_t nt_make_run(uint8_t *b, uint32_t g, uint64_t first);

#endif
