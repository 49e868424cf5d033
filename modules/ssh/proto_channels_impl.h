/* SPDX-License-Identifier: MIT */
/* proto_channels_impl - what the files proto_channels*.c share. */
#ifndef SSH_PROTO_CHANNELS_IMPL_H
#define SSH_PROTO_CHANNELS_IMPL_H

#include "base/cur.h"
#include "ssh/proto_channels.h"

/* Named by what is expected. */
#define SSH_CHANNEL_STATES(X)                                                                      \
    X(OPENING) /* the server's answer */                                                           \
    X(ASKED)   /* the owner's answer */                                                            \
    X(OPEN)                                                                                        \
    X(GOING) /* the end of the callback that is its last */

#define SSH_CHANNEL_STATE(name) SSH_CH_##name,
enum ssh_channel_state { SSH_CHANNEL_STATES(SSH_CHANNEL_STATE) };
#undef SSH_CHANNEL_STATE

/* Answers that are owed by the server come in the order of the requests. */
struct ssh_reply {
    struct ssh_reply *next;
    ssh_reply_fn *fn; /* NULL: nobody waits for it any more */
    void *owner;
    uint64_t sent_ms;
};

struct ssh_replies {
    struct ssh_reply *first, *last;
    size_t n;
};

struct ssh_channel {
    struct ssh_channels *set;
    const struct ssh_channel_ops *ops;
    void *owner;
    enum ssh_channel_state state;
    uint32_t id, peer; /* our number, the server's */
    bool released;     /* the owner has closed it */
    bool eof_sent, eof_got, close_sent;
    bool needs_window; /* on_writable when the server's window grows */
    bool waiting;      /* is in the ring of those that wait for room */
    bool turn;         /* may write although others wait */

    uint32_t out_window, out_packet; /* what the server takes now, and at once */
    /* what the server may still send; what the owner has and has not consumed; what it has and the
     * server does not know yet. Their sum is in_size, but for what a smaller window swallows. */
    uint32_t in_left, in_held, in_credit, in_size;
    uint64_t since_ms, since_bytes; /* how fast it is consumed */
    uint32_t in_least;              /* of in_held, since then */

    struct ssh_replies replies;
    struct ssh_channel *prev, *next; /* in the ring */
    struct ssh_channel *lent_next;   /* among those to which something is lent */
    bool lent;
};

struct ssh_slot {
    struct ssh_channel *ch; /* NULL: free */
    uint32_t next_free;
};

struct ssh_channels {
    struct ssh_channels_conf conf;
    struct ssh_sink *sink;
    int broken; /* why nothing can be sent */
    bool ended, sessions_only;
    struct ssh_slot *slots;
    uint32_t n_slots, first_free; /* first_free == n_slots: none */
    size_t live;
    uint64_t windows;                /* bytes of all channels' windows */
    struct ssh_channel *head, *tail; /* of the ring */
    struct ssh_channel *lent;        /* first of those to which something is lent */
    struct ssh_replies replies;      /* to global requests */
    uint64_t now_ms, heard_ms, asked_ms;
    uint32_t silent; /* signs of life that were asked for, and did not come */
    uint64_t rtt_ms, rtt_at_ms;
};

/* ssh_channels_u32 - v at p; returns what is behind it. ssh_channels_string - the same for a
 * string.
 */
uint8_t *ssh_channels_u32(uint8_t *p, uint32_t v);
uint8_t *ssh_channels_string(uint8_t *p, const void *s, size_t n);

/* ssh_channels_send - a message of its number and n (0..4) numbers. */
int ssh_channels_send(struct ssh_channels *c, uint8_t number, const uint32_t *v, size_t n);

/* ssh_channels_begin - as ssh_sink_begin, but remembers why nothing can be sent. */
int ssh_channels_begin(struct ssh_channels *c, size_t max, uint8_t **p);

/* ssh_channels_wrong - NK_EPROTO with the message's name. */
int ssh_channels_wrong(struct nk_diag *diag, uint8_t number, const char *why);

/* ssh_channels_clock - something that takes time begins, or is measured: look at the clock. */
void ssh_channels_clock(struct ssh_channels *c);

/* ssh_channels_sample - a round trip that began then. */
void ssh_channels_sample(struct ssh_channels *c, uint64_t sent_ms);

/* ssh_window_start - the window of a new channel, which counts from now on. */
void ssh_window_start(struct ssh_channel *ch);

/* ssh_window_give - the server grants more window. ssh_channel_data - it sends data (kind 0) or
 * extended data. */
int ssh_window_give(struct ssh_channel *ch, struct nk_cur *c, struct nk_diag *diag);
int ssh_channel_data(struct ssh_channel *ch, uint8_t number, struct nk_cur *c,
                     struct nk_diag *diag);

/* ssh_lent_leave - nothing is lent to the channel any more. */
void ssh_lent_leave(struct ssh_channel *ch);

/* ssh_ring_leave - the channel does not wait any more. */
void ssh_ring_leave(struct ssh_channel *ch);

/* ssh_replies_answer - the oldest request of this list is answered; false: there is none.
 * ssh_replies_drop - no answers will come: tell (when tell) and forget. */
bool ssh_replies_answer(struct ssh_channels *c, struct ssh_replies *r, int ok, struct ssh_str data);
void ssh_replies_drop(struct ssh_replies *r, bool tell);

/* ssh_channels_probe - ask for a sign of life. */
int ssh_channels_probe(struct ssh_channels *c);

/* ssh_channel_asked, ssh_global_asked - a request of the server's. */
int ssh_channel_asked(struct ssh_channel *ch, struct nk_cur *c, struct nk_diag *diag);
int ssh_global_asked(struct ssh_channels *c, struct nk_cur *cur, struct nk_diag *diag);

#endif
