/* SPDX-License-Identifier: MIT */
/*
 * state - a bounded picture of what a tor is doing: circuits, streams, connections to relays,
 * guards, address mappings, bandwidth. Fed with the answers of GETINFO and with events; knows no
 * connection (live.h has the one that feeds it).
 *
 * Each item is the line that tor would give for it in GETINFO, so whoever shows it reads it with
 * tor_event_parse_line. Snapshots replace what they no longer list, so the picture is right again
 * after a reconnect; events that were on their way while tor wrote a snapshot come behind it and in
 * order, and end at the same picture.
 */
#ifndef TOR_STATE_H
#define TOR_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tor/event.h"

#define TOR_STATE_BYTES ((size_t)1 << 20) /* of all items; beyond it the oldest is forgotten */
#define TOR_STATE_LINE ((size_t)2048)     /* longest line that is kept; longer ones are cut */

enum tor_set { TOR_CIRCUITS, TOR_STREAMS, TOR_ORCONNS, TOR_GUARDS, TOR_MAPPINGS, TOR_SETS };

struct tor_item {
    struct tor_item *next, *prev; /* of its set, oldest first */
    struct tor_item *chain;       /* private, as `hash` and `seen` */
    uint32_t hash;
    uint32_t seen;
    uint64_t read, written; /* bytes so far, of circuits and streams (CIRC_BW, STREAM_BW) */
    size_t key_len;         /* the first word of text is the item's name */
    size_t len;
    size_t size; /* private: bytes allocated */
    char *text;  /* not terminated */
};

struct tor_state;

/* tor_state_new - an empty picture, or NULL without memory. tor_state_free frees it; NULL is fine.
 */
struct tor_state *tor_state_new(void);
void tor_state_free(struct tor_state *s);

/* tor_set_key - the key of GETINFO that lists a set ("circuit-status"). */
const char *tor_set_key(enum tor_set set);

/* tor_state_snapshot - replace a set by the answer to GETINFO of its key: n bytes with a line for
 * each item. 0, or -ENOMEM with what fitted. */
int tor_state_snapshot(struct tor_state *s, enum tor_set set, const char *text, size_t n);

/* tor_state_event - apply one event; those that change nothing here are passed over. 0 or -ENOMEM.
 */
int tor_state_event(struct tor_state *s, const struct tor_event *e);

/* tor_state_first - the oldest item of a set, then item->next; NULL when there is none. Valid until
 * the next change. */
const struct tor_item *tor_state_first(const struct tor_state *s, enum tor_set set);

/* tor_state_find - the item of that name, or NULL. */
const struct tor_item *tor_state_find(const struct tor_state *s, enum tor_set set, const char *key,
                                      size_t len);

/* tor_item_read - its fields. False when they cannot be read. */
bool tor_item_read(enum tor_set set, const struct tor_item *item, struct tor_event *out);

/* tor_state_count - items of a set. */
size_t tor_state_count(const struct tor_state *s, enum tor_set set);
/* tor_state_bytes - at most TOR_STATE_BYTES. */
size_t tor_state_bytes(const struct tor_state *s);

/* Bandwidth: the last second's and all that was seen, and how many items were forgotten for the
 * bound. */
struct tor_traffic {
    uint64_t read, written;
    uint64_t total_read, total_written;
    uint64_t forgotten;
};
struct tor_traffic tor_state_traffic(const struct tor_state *s);

#endif
