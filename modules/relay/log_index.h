/* SPDX-License-Identifier: MIT */
/*
 * log_index - what a sealed segment says without its objects, so that a restart need not read them:
 * a header as a segment's, then the same records, where ENQUEUE and RETAIN name the place of their
 * object instead of having it (RELAY_LOG_STUB). The end is a CHECKPOINT, so that nothing can be
 * missing. Pure.
 */
#ifndef NK_RELAY_LOG_INDEX_H
#define NK_RELAY_LOG_INDEX_H

#include "base/buf.h"
#include "relay/log_segment.h"

/* relay_log_index_build - append the index of the segment of n bytes to out. 0; what
 * relay_log_scan_next says when the segment is not good up to its end; -ENOMEM, NK_ETOOBIG. On
 * failure out is undefined. May be called on any thread. */
int relay_log_index_build(const uint8_t *segment, size_t n, struct nk_buf *out);

/* relay_log_index_check - are these n bytes the whole and undamaged index of the segment with
 * header h and length covers? Checks the ends and the header; the records are checked as they are
 * read. 0, NK_EFORMAT, NK_EVERSION. */
int relay_log_index_check(const uint8_t *p, size_t n, const struct relay_log_segment_head *h,
                          uint64_t covers);

#endif
