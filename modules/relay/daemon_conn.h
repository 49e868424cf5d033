/* SPDX-License-Identifier: MIT */
/*
 * daemon_conn - one command's connection to the daemon; private to daemon_conn*.c.
 *
 *     HELLO -> IDLE <-> BODY -> HELD         an object comes in, and waits for room in the buffer
 *              IDLE <-> WAIT -> LOAN         objects are wanted; they are on their way out, or with
 *                                            the command until it says that they are safe
 *              IDLE <-> FLUSH                everything sent has to be settled
 *              IDLE  -> STOP                 until the daemon has ended
 *
 * In all states but IDLE, BODY and HELLO what the command sends is left in the socket, except for
 * the TAKEN of LOAN; its end is noticed at once when it waits, so that a loan comes back.
 */
#ifndef NK_RELAY_DAEMON_CONN_H
#define NK_RELAY_DAEMON_CONN_H

#include "core/stream.h"
#include "core/timer.h"
#include "relay/daemon.h"

#define CONN_STATES(X) X(HELLO) X(IDLE) X(BODY) X(HELD) X(WAIT) X(LOAN) X(FLUSH) X(STOP)

#define CONN_AS_ENUM(name) CONN_##name,
enum conn_state { CONN_STATES(CONN_AS_ENUM) };
#undef CONN_AS_ENUM

/* Objects of one group that this command has sent and the relay has not settled. */
struct sent_range {
    uint32_t group;
    uint64_t first, last;
};

struct daemon_conn {
    struct relay_daemon *d;
    struct nk_stream *s;
    enum conn_state state;
    struct nk_buf in, out;
    struct daemon_conn *prev, *next;
    /* READ */
    struct relay_daemon_read read;
    struct nk_timer wait;
    uint64_t turn; /* WAIT: smaller ones are served first */
    struct relay_local_list loan;
    struct relay_local_item *cursor; /* of the loan, what is to be written next */
    /* SEND */
    struct relay_daemon_send send;
    uint8_t *data; /* of the object, owned */
    uint64_t have; /* bytes of it so far */
    size_t next_dest;
    struct sent_range *sent;
    size_t nsent, sent_cap;
    uint64_t accepted, failed; /* objects; of these, the relay did not want */
    int failure;
    bool ending; /* closes when the output is out */
    bool closed; /* only waits to be freed */
};

/* --- daemon_conn.c ---------------------------------------------------------------------------- */

/* daemon_conn_state - the next state, told to the log. */
void daemon_conn_state(struct daemon_conn *c, enum conn_state state);

/* daemon_conn_idle - what was asked for is done: back to reading requests. */
void daemon_conn_idle(struct daemon_conn *c);

/* Answers: DONE; DONE with an error; the same, and then the connection ends; no memory to go on. */
void daemon_conn_answer(struct daemon_conn *c, uint32_t status, uint64_t count, const char *text);
void daemon_conn_error(struct daemon_conn *c, int code, const struct nk_diag *diag);
void daemon_conn_broken(struct daemon_conn *c, int code, const char *text);
void daemon_conn_no_memory(struct daemon_conn *c);

/* daemon_conn_advance - act upon what has been read, write what there is to say, and wait for what
 * can come next. */
void daemon_conn_advance(struct daemon_conn *c);

/* --- daemon_conn_send.c ----------------------------------------------------------------------- */

/* A SEND frame's payload; more bytes of its object (in c->in, or read to c->data already). */
void daemon_send_begin(struct daemon_conn *c, const uint8_t *p, size_t n);
void daemon_send_continue(struct daemon_conn *c);

/* daemon_send_flush - a FLUSH frame's payload. */
void daemon_send_flush(struct daemon_conn *c, const uint8_t *p, size_t n);

/* daemon_send_clear - forget the object that is coming in. */
void daemon_send_clear(struct daemon_conn *c);

#endif
