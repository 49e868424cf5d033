/* SPDX-License-Identifier: MIT */
/*
 * relay_testkit - a hub and endpoints of tlspyo's wire over socket pairs, for tests. Everything
 * fails the test when it does not go as its name says.
 */
#ifndef NK_RELAY_RELAY_TESTKIT_H
#define NK_RELAY_RELAY_TESTKIT_H

#include "base/buf.h"
#include "core/app.h"
#include "relay/hub_testkit.h"
#include "relay/wire_client.h"

enum {
    RT_HEADER = RELAY_HUB_TESTKIT_HEADER,
    RT_PEERS = 8,
    RT_PATIENCE = 2000,
    RT_CLOCK_SCALE = 60
};
#define RT_MIB ((size_t)1024 * 1024)

/* An endpoint: our end of the socket pair. */
struct rt_peer {
    int fd;
    struct nk_buf in;
    struct relay_value_doc doc;
    struct relay_wire_message msg; /* the last one; points into `frame` */
    uint8_t *frame;
    size_t frame_len;
    int64_t stamp;
    bool slow; /* send one byte per turn */
};

struct rt_world {
    struct relay_hub_testkit k;
    struct rt_peer p[RT_PEERS];
    struct nk_secret pw;
};

/* rt_default_limits - what most tests use. */
struct relay_limits rt_default_limits(void);

/* rt_world_new - a hub over this engine, with the password "pw"; `listed`: only groups that were
 * configured. rt_world_free - nothing may be left. */
struct rt_world *rt_world_new(enum relay_engine_kind over, struct relay_limits limits, bool listed);
void rt_world_free(struct rt_world *w);

/* rt_connect_peer - endpoint i, over a socket pair. rt_peer_close - hang up. */
void rt_connect_peer(struct rt_world *w, int i);
void rt_peer_close(struct rt_peer *p);

/* rt_pull - read what is there; false at the end of the stream. */
bool rt_pull(struct rt_peer *p);

/* rt_take_frame - the next frame of what was read. rt_next_frame - the next one, within patience.
 * rt_expect - it must be this command. */
bool rt_take_frame(struct rt_peer *p);
void rt_next_frame(struct rt_world *w, int i);
void rt_expect(struct rt_world *w, int i, enum relay_wire_command cmd);

/* rt_raw_send - bytes. */
void rt_raw_send(struct rt_world *w, int i, const void *data, size_t n);

/* rt_ack - of what came last. rt_hello - with the next stamp. */
void rt_ack(struct rt_world *w, int i);
void rt_hello(struct rt_world *w, int i, const char *const *groups, size_t n);

/* rt_join - connect and join (NULL: no group): the relay's HELLO comes first, then its ACK. */
void rt_join(struct rt_world *w, int i, const char *group);

/* rt_send_bytes, rt_send_text - an object: n < 0 broadcast, n > 0 that many copies.
 * rt_expect_ack - the ACK of what was sent last; what comes before it (over the log a broadcast is
 * acknowledged only when it is stored) is read afterwards. rt_put - both. */
void rt_send_bytes(struct rt_world *w, int i, const char *group, int64_t n, const void *obj,
                   size_t len);
void rt_send_text(struct rt_world *w, int i, const char *group, int64_t n, const char *text);
void rt_expect_ack(struct rt_world *w, int i);
void rt_put(struct rt_world *w, int i, const char *group, int64_t n, const char *text);

/* rt_notify - ask for n, and the answer. */
void rt_notify(struct rt_world *w, int i, const char *group, int64_t n);

/* rt_get - receive this object, acknowledge it or not. rt_get_nothing - for a while. */
void rt_get(struct rt_world *w, int i, const char *text, bool acknowledge);
void rt_get_nothing(struct rt_world *w, int i);

/* rt_expect_close - the relay closes; what it sent before is kept for rt_take_frame. */
void rt_expect_close(struct rt_world *w, int i);

/* rt_settle - let the loop turn for a while. */
void rt_settle(struct rt_world *w);

#endif
