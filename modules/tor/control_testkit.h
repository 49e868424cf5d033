/* SPDX-License-Identifier: MIT */
/*
 * control_testkit - a control port that plays what a test tells it to, in the test's own loop.
 *
 *     struct tor_kit k;
 *     tor_kit_open(&k);                          // k.stream is connected to it
 *     ... tor_conn_new(&conn, &conf, k.stream, ..), tor_conn_send(..)
 *     tor_kit_expect(&k, "GETINFO version");
 *     tor_kit_say(&k, "250-version=0.4.9.11\r\n250 OK\r\n");
 *     tor_kit_turn(&k, &done);                   // until the test's flag is set
 *     tor_kit_close(&k);
 *
 * Or tor_kit_listen: k.address is an endpoint string, each tor_kit_accept takes the next
 * connection, tor_kit_login plays a tor that needs no password.
 */
#ifndef TOR_CONTROL_TESTKIT_H
#define TOR_CONTROL_TESTKIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "tor/wire.h"

#define TOR_KIT_TRANSCRIPTS "../shared/vectors/tor-transcripts"

struct nk_app;
struct nk_stream;

struct tor_kit {
    struct nk_app *app;
    struct nk_stream *stream; /* tor_kit_open: the program's end, to be taken over by the test */
    int fd, listener;         /* the other end; -1 */
    struct nk_buf in;         /* what came there */
    char dir[64], address[112];
    char line[4096];
};

/* tor_kit_open - an app and a connection. tor_kit_listen - an app and a unix socket in a directory
 * of its own, with nothing connected yet. */
void tor_kit_open(struct tor_kit *k);
void tor_kit_listen(struct tor_kit *k);

/* tor_kit_accept - wait for the next connection; an earlier one is hung up first. */
void tor_kit_accept(struct tor_kit *k);

/* tor_kit_login - accept, then play PROTOCOLINFO (method NULL) and AUTHENTICATE. */
void tor_kit_login(struct tor_kit *k);

/* tor_kit_line - wait for the next line, without its end; valid until the next call. */
const char *tor_kit_line(struct tor_kit *k);

/* tor_kit_expect - the next line is this one. tor_kit_say - send text as it stands (kept apart from
 * what was said before by a turn of the loop). tor_kit_put - so many bytes. */
void tor_kit_expect(struct tor_kit *k, const char *line);
void tor_kit_say(struct tor_kit *k, const char *text);
void tor_kit_put(struct tor_kit *k, const void *p, size_t n);

/* tor_kit_turn - turn the loop until *done is true; fails the test when that takes 20 s. */
void tor_kit_turn(struct tor_kit *k, const bool *done);

/* tor_kit_idle - turn the loop a few times, so that whatever is going to happen has. */
void tor_kit_idle(struct tor_kit *k);

/* tor_kit_hangup - close the connection from tor's side. */
void tor_kit_hangup(struct tor_kit *k);

/* tor_kit_close - everything of the kit; what the test opened on the app must be closed. */
void tor_kit_close(struct tor_kit *k);

/* tor_kit_transcript - the bytes of NAME.rx.txt or NAME.tx.txt into out. false, with a message,
 * where the transcripts are not there. */
bool tor_kit_transcript(const char *name, struct nk_buf *out);

#endif
