/* SPDX-License-Identifier: MIT */
/*
 * event_testkit - events out of text: what a control connection would deliver, for tests, fuzzing
 * and benchmarks. Recordings of tor 0.4.9 are read where they lie beside the repository.
 */
#ifndef TOR_EVENT_TESTKIT_H
#define TOR_EVENT_TESTKIT_H

#include "base/buf.h"
#include "tor/wire.h"

#define TOR_RECORDINGS "../shared/vectors/tor-transcripts"
#define TOR_TEST_LINES 256 /* of one reply */

/* Replies one after the other out of text whose lines end with CR LF or LF. */
struct tor_test_replies {
    const char *p, *end;
    struct tor_line lines[TOR_TEST_LINES];
    struct nk_buf data; /* of the present reply's data block */
    struct tor_reply reply;
};

/* tor_test_replies_init - from n bytes, which must outlive it; _clear frees. */
void tor_test_replies_init(struct tor_test_replies *t, const void *p, size_t n);
/* tor_test_replies_clear - free what it holds. */
void tor_test_replies_clear(struct tor_test_replies *t);

/* tor_test_replies_next - the next whole reply or event, borrowed until the next call; NULL at the
 * end. Lines that are no reply are passed over. */
const struct tor_reply *tor_test_replies_next(struct tor_test_replies *t);

#endif
