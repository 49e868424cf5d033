/* SPDX-License-Identifier: MIT */
/*
 * log_segment - a file of the log in memory: its header, the records one after the other, and what
 * a wrong record at its end means. Pure.
 */
#ifndef NK_RELAY_LOG_SEGMENT_H
#define NK_RELAY_LOG_SEGMENT_H

#include "relay/log_record.h"

#define RELAY_LOG_SEGMENT_HEAD 64
#define RELAY_LOG_VERSION 2 /* 1: no RELAY_LOG_NAMED, no RELAY_LOG_DELAYED */

/* "NKRELOG\n", "NKRELIX\n", "NKRELCL\n": a segment, an index, the note of an orderly end. */
enum relay_log_file { RELAY_LOG_FILE_SEGMENT, RELAY_LOG_FILE_INDEX, RELAY_LOG_FILE_CLEAN };

struct relay_log_segment_head {
    enum relay_log_file file;
    uint64_t number;     /* from 1, without gaps */
    uint64_t epoch;      /* the log it belongs to: random, the same in all its files */
    uint64_t floor;      /* no item number up to this is given out again */
    uint64_t created_ms; /* wall clock */
    uint64_t covers;     /* index: length of its segment */
};

/* relay_log_segment_head_write - the header's bytes. */
void relay_log_segment_head_write(uint8_t out[RELAY_LOG_SEGMENT_HEAD],
                                  const struct relay_log_segment_head *h);

/* relay_log_segment_head_read - 0; NK_ETRUNC: n bytes are fewer than a header has; NK_EFORMAT: not
 * such a file, or damaged; NK_EVERSION: of a newer netkit (*version says which). */
int relay_log_segment_head_read(const uint8_t *p, size_t n, struct relay_log_segment_head *out,
                                unsigned *version);

/* A reader over the records of a file of n bytes, which must outlive it. */
struct relay_log_scan {
    const uint8_t *p;
    size_t n;
    size_t off; /* of the next record; where reading stopped */
};

/* relay_log_scan_init - start behind the header. */
void relay_log_scan_init(struct relay_log_scan *s, const uint8_t *p, size_t n);

/* relay_log_scan_next - 1: *out is the next record (which lies at *at when that is not NULL), its
 * body is what its type wants; 0: the end; negative: what stands at s->off is no good record (as
 * relay_log_record_read, or NK_EFORMAT for its body). */
int relay_log_scan_next(struct relay_log_scan *s, struct relay_log_record *out, size_t *at);

/*
 * relay_log_torn - a record of the last segment is bad at s->off: was it only being written when
 * the machine stopped (true: what follows may be cut off), or was it durable before, so that its
 * bytes have changed since (false)? Every commit begins with a CHECKPOINT that says how much of the
 * file was durable then; one that says so about the bad record is looked for behind it.
 */
bool relay_log_torn(const struct relay_log_scan *s);

/* relay_log_checkpoint_write - the record (32 bytes) that stands at offset `at` and says that
 * everything before `durable` is. */
#define RELAY_LOG_CHECKPOINT_BYTES (RELAY_LOG_HEAD + 8)
void relay_log_checkpoint_write(uint8_t out[RELAY_LOG_CHECKPOINT_BYTES], uint64_t at,
                                uint64_t durable);

#endif
