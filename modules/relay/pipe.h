/* SPDX-License-Identifier: MIT */
/*
 * pipe - `netkit endpoint pipe`: an endpoint for programs in any language. Requests come as lines
 * of JSON on standard input, events go as lines of JSON to standard output; ENDPOINT.md describes
 * both. Private to pipe*.c and the command.
 */
#ifndef NK_RELAY_PIPE_H
#define NK_RELAY_PIPE_H

#include "base/json.h"
#include "base/json_read.h"
#include "relay/endpoint.h"
#include "relay/endpoint_print.h"
#include "relay/endpoint_progress.h"

struct relay_pipe_conf {
    struct relay_endpoint_conf common;
    struct nk_strlist group;
    bool auto_ack;
};

/* A delivery that the program has to acknowledge; numbers ascend. */
struct pipe_lease {
    uint64_t number;
    struct relay_client_lease lease;
    bool done;
};

/* What a program calls one of its requests: text or a number. */
struct pipe_id {
    bool given, text;
    int64_t number;
    char *s; /* owned */
    size_t n;
};

/* A published object whose end is to be told. */
struct pipe_sent {
    struct pipe_sent *next;
    uint32_t group;
    uint64_t number;
    struct pipe_id id;
};

struct relay_pipe {
    struct relay_endpoint_session session;
    struct relay_endpoint_progress progress;
    const struct relay_pipe_conf *conf;
    struct nk_stream *input; /* NULL: over */
    struct nk_buf line;
    uint64_t lines;
    struct relay_endpoint_sink out;
    struct relay_value_doc doc;
    struct pipe_lease *lease; /* a ring, cap is a power of two */
    size_t head, n, cap;
    uint64_t next_number;
    struct pipe_sent *sent, **sent_end;
    struct pipe_id flush; /* of the flush that is waited for */
    bool flushing;        /* until nothing is unsettled no more lines are read */
    bool reading;         /* interest in input */
    bool eof;             /* no more input; lines may be left */
    bool finishing;
    bool ended; /* leaves when the output is written */
    int status;
};

/* relay_pipe_run - the whole command. */
int relay_pipe_run(struct nk_cmd_ctx *ctx);

/* --- pipe.c for pipe_op.c --------------------------------------------------------------------- */

/* pipe_begin, pipe_end - an event: j is an open object with "event" between them. */
void pipe_begin(struct relay_pipe *x, struct nk_json *j, const char *event);
void pipe_end(struct relay_pipe *x, struct nk_json *j);

/* pipe_put_id - the key "id", if there is one. */
void pipe_put_id(struct nk_json *j, const struct pipe_id *id);
void pipe_id_clear(struct pipe_id *id);

/* pipe_find_lease - the lease of that number that is not done, or NULL. pipe_forget_leases - drop
 * those at the front that are done. */
struct pipe_lease *pipe_find_lease(struct relay_pipe *x, uint64_t number);
void pipe_forget_leases(struct relay_pipe *x);

/* --- pipe_op.c -------------------------------------------------------------------------------- */

/* pipe_request - one line. What is wrong with it is told as an event. */
void pipe_request(struct relay_pipe *x, const uint8_t *p, size_t n);

#endif
