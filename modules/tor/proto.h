/* SPDX-License-Identifier: MIT */
/*
 * proto - the control protocol without I/O (control-spec.txt 2): bytes in, replies and events out,
 * commands in, bytes out.
 *
 *     between replies --"NNN-" "NNN+"--> in a reply --"NNN "--> between replies
 *                                         |  ^
 *                                     "+" v  | "."
 *                                       in data
 *
 * Replies come in the order of the commands. Events (codes 6xx) come between replies only, also
 * before the reply to the last command. Anything else ends the connection: once a call has failed,
 * every later one does. What a message points to lies in the input buffer, and is valid until the
 * next call.
 */
#ifndef TOR_PROTO_H
#define TOR_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "tor/wire.h"

#define TOR_LINE_MAX                                                                               \
    ((size_t)4 << 20) /* bytes of one line; tor's own can be long (family lines)                   \
                       */
#define TOR_REPLY_MAX                                                                              \
    ((size_t)16 << 20)                /* bytes and line records of one reply that is collected     \
                                       */
#define TOR_OUT_MAX ((size_t)4 << 20) /* bytes of commands that wait to be written */
#define TOR_PENDING_MAX 65536u        /* commands without their reply */
#define TOR_NEVER UINT64_MAX          /* no deadline */

enum tor_message_kind { TOR_REPLY = 1, TOR_REPLY_LINE, TOR_REPLY_EVENT };

struct tor_message {
    enum tor_message_kind kind;
    void *who;              /* of TOR_REPLY, TOR_REPLY_LINE: as given with the command */
    struct tor_reply reply; /* LINE: the one line */
};

/* A command without its reply. */
struct tor_slot {
    void *who; /* NULL: nobody waits any more */
    uint64_t deadline;
    bool by_line;
    bool secret; /* its reply may have private keys in it */
};

struct tor_proto {
    struct nk_buf in, out;  /* out: what is to be written, the owner consumes it */
    int error;              /* why the connection is over; private from here on */
    struct tor_slot *slots; /* ring */
    size_t slots_cap, slots_n, slots_first;
    size_t secrets;    /* slots whose replies are secret: `in` is wiped as it is used up */
    uint64_t answered; /* number of the command that the first slot is of */
    size_t used;       /* bytes of the message that was handed out last */
    size_t line;       /* where in `in` the current line begins, and how far it was searched */
    size_t searched;
    size_t put; /* where the next line of a data block goes */
    bool in_data, in_reply, event;
    struct tor_part *parts;   /* lines of the reply so far */
    struct tor_line *lines;   /* the same as they are handed out */
    size_t nparts, parts_cap; /* of both */
};

/* tor_proto_init - nothing is allocated. tor_proto_clear - free all; what was sent is wiped. */
void tor_proto_init(struct tor_proto *p);
void tor_proto_clear(struct tor_proto *p);

/*
 * tor_proto_send - queue a command, checked and written as tor_wire_put_command does. `who` (not
 * NULL) comes back with its reply; *id (may be NULL) is its number, for tor_proto_forget. by_line:
 * its lines, and the lines of its data blocks, come one by one as TOR_REPLY_LINE, so that a reply
 * may have any size; its last line, or its only one, comes as TOR_REPLY. deadline is when the reply
 * must be there (any clock, or TOR_NEVER); it is moved behind those of earlier commands. The reply
 * to a command that tor answers with private keys (tor_wire_answers_secrets) is wiped, whoever
 * waits for it, by the call after the one that handed it out. NK_ELIMIT
 * when too many wait; NK_EUSAGE, NK_ETOOBIG, -ENOMEM; then nothing was queued.
 */
int tor_proto_send(struct tor_proto *p, void *who, const char *line, size_t n, const void *data,
                   size_t len, bool by_line, uint64_t deadline, uint64_t *id, struct nk_diag *diag);

/* tor_proto_forget - the reply to this command is dropped when it comes. Fine after it has come. */
void tor_proto_forget(struct tor_proto *p, uint64_t id);

/* tor_proto_take - for the end of the connection: who waits longest, who is then forgotten; NULL
 * when nobody does. */
void *tor_proto_take(struct tor_proto *p);

/* tor_proto_pending - commands without their reply; tor_proto_deadline - when the first one must be
 * there, TOR_NEVER when none waits. */
size_t tor_proto_pending(const struct tor_proto *p);
uint64_t tor_proto_deadline(const struct tor_proto *p);

/* tor_proto_space - room for n bytes of input; tor_proto_filled - so many came. 0 or -ENOMEM. What
 * messages point to is not valid after it. */
int tor_proto_space(struct tor_proto *p, size_t n, uint8_t **out, struct nk_diag *diag);
void tor_proto_filled(struct tor_proto *p, size_t n);

/* tor_proto_next - the next message of what came. 1 and *out; 0: more input is needed; NK_EPROTO
 * for what is no control port, comes out of order or is larger than allowed; -ENOMEM. */
int tor_proto_next(struct tor_proto *p, struct tor_message *out, struct nk_diag *diag);

/* tor_proto_end - the stream has ended: NK_ETRUNC within a reply or event, else NK_ECLOSED. */
int tor_proto_end(struct tor_proto *p, struct nk_diag *diag);

#endif
