/* SPDX-License-Identifier: MIT */
/*
 * stream - the one contract of every byte stream: pull-style, bounded, stackable.
 *
 * The owner sets on_event and an interest mask. Events are level-like for reading: while interest
 * includes NK_READABLE and read would not return NK_EAGAIN, the event repeats every loop turn, also
 * for bytes that a filter holds above an empty socket. NK_WRITABLE comes once after a write
 * returned NK_EAGAIN or was short, when there is room again. Not reading is the back-pressure.
 *
 * Life: a stream is born connecting (or, from a listener, handshaking or connected). The owner gets
 * exactly one of NK_CONNECTED or NK_CLOSED first; NK_CLOSED (connect or handshake failed) carries
 * its reason in nk_stream_error(). After NK_CONNECTED, errors are what read and writev return;
 * bytes received before an error are delivered first. A stream on which the owner waits for nothing
 * (interest 0) raises no event and costs no CPU, whatever the peer does.
 *
 * After nk_stream_close() no event arrives and the pointer is dead; the loop frees the memory
 * later. Closing is allowed anywhere, also inside on_event. Events never arrive from inside a call
 * that the owner makes on the stream.
 */
#ifndef NK_CORE_STREAM_H
#define NK_CORE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "base/err.h"

struct nk_app;
struct nk_stream;

enum nk_events { NK_READABLE = 1, NK_WRITABLE = 2, NK_CONNECTED = 4, NK_CLOSED = 8 };

typedef void nk_stream_event_fn(void *owner, struct nk_stream *s, unsigned events);

/* What nk_stream_query can answer. Text answers are NUL-terminated and cut to the buffer. */
enum nk_query {
    NK_Q_PEER,      /* text: "127.0.0.1:4711", "unix:uid=0", "pid 123" */
    NK_Q_LOCAL,     /* text: local address */
    NK_Q_IDENTITY,  /* text: authenticated name of the peer (certificate subject, uid), if any */
    NK_Q_ENCRYPTED, /* int: 1 when everything up to the peer is encrypted, else 0 */
    NK_Q_ALPN,      /* text: negotiated protocol */
    NK_Q_FD,        /* int: the fd when plain read/write on it is equivalent (splice), else -1 */
    NK_Q_UID,       /* int64_t: uid of a unix peer (SO_PEERCRED), or -1 */
    NK_Q_EXPORTER,  /* 32 bytes: TLS exporter "EXPORTER-Channel-Binding" (RFC 9266). -ENOENT also
                     * where  TLS 1.2 has no extended master secret, or resumed a session */
    NK_Q_PEERCERT,  /* 32 bytes: SHA-256 of the peer's certificate (DER) */
    NK_Q_PEERSPKI,  /* 32 bytes: SHA-256 of its public key (SubjectPublicKeyInfo, DER) */
    NK_Q_PEERNAMES, /* text: the names in its certificate, a line each: "CN:alice", "DNS:a" */
    NK_Q_TARGET,    /* struct nk_target: where the peer wants to be connected to; until answered */
    NK_Q_UNSENT     /* int, after nk_stream_shutdown: bytes that filters still hold, which a close
                     * would lose; NK_WRITABLE comes when they are gone. Or the error because of
                     * which they never went */
};

/* Where a connection shall lead, as a peer has asked for it. */
struct nk_target {
    char host[256]; /* name or address, as it came: nobody has resolved it. Printable ASCII */
    uint16_t port;
    bool has_login; /* a user name and a password came with it: connections that differ in them */
    uint8_t user_len, password_len; /* are to be kept apart where that is possible */
    uint8_t user[255], password[255];
};

/* What nk_stream_tune can set on the lowest layer. */
enum nk_tune {
    NK_TUNE_NODELAY,  /* 1: no Nagle delay (the default of tcp: streams) */
    NK_TUNE_QUICKACK, /* 1: acknowledge at once; the kernel forgets it, so repeat after reads */
    NK_TUNE_NOTSENT_LOWAT, /* bytes the kernel may hold unsent before it says "not writable" */
    NK_TUNE_SNDBUF,        /* bytes of the kernel's send buffer */
    NK_TUNE_RCVBUF,        /* bytes of the kernel's receive buffer */
    NK_TUNE_RESET,         /* 1: nk_stream_close resets the connection (TCP's RST), so that its peer
                            * takes nothing for an end; what was not sent yet is dropped */
    NK_TUNE_GATHER         /* 1: while bulk comes, it may be read in larger pieces, up to a
                            * millisecond later (core/gather.h) */
};

enum { NK_PEEK_PIECES = 17 };

struct nk_stream_ops {
    const char *name; /* "tcp", "tls" */
    /* read up to n bytes: > 0, 0 at the end of the stream, NK_EAGAIN, or the error. */
    ssize_t (*read)(struct nk_stream *s, void *p, size_t n);
    /* write from iov: bytes taken (may be short), NK_EAGAIN, or the error. */
    ssize_t (*writev)(struct nk_stream *s, const struct iovec *iov, int n);
    /* no more writes; the peer reads end-of-stream after what was written. 0 or error; idempotent.
     */
    int (*shutdown)(struct nk_stream *s);
    /* give everything back; called once; free the memory with nk_stream_done(s). */
    void (*close)(struct nk_stream *s);
    /* 0, or -ENOENT when there is no such answer. *n: in size, out used. */
    int (*query)(struct nk_stream *s, enum nk_query what, void *out, size_t *n);
    /* interest changed: s->interest is the new mask. */
    void (*interest)(struct nk_stream *s);
    /* 0, -ENOENT when there is no such thing below, or the error; filters hand it to the layer
     * below (nk_stream_tune on their lower stream). NULL: there is nothing to tune. */
    int (*tune)(struct nk_stream *s, enum nk_tune what, int value);
    /* move up to n bytes between a pipe and the stream inside of the kernel: as read, or as writev
     * when out; NK_EUNSUPPORTED when it cannot, and nothing is changed then. n = 0 only asks
     * whether it can. NULL: it never can. */
    ssize_t (*splice)(struct nk_stream *s, int pipe, size_t n, bool out);
    /* streams that have bytes in memory: where the next ones are, at most NK_PEEK_PIECES pieces;
     * they stay there until the end of the event. The number of pieces (1 or more); else 0,
     * NK_EAGAIN or the error, as read. consume - that many of them are done with. NULL: they have
     * to be read. */
    ssize_t (*peek)(struct nk_stream *s, struct iovec iov[NK_PEEK_PIECES]);
    void (*consume)(struct nk_stream *s, size_t n);
    /* streams that answer NK_Q_TARGET, or have waits: tell the peer what came of it; else NULL. */
    int (*answer)(struct nk_stream *s, int error);
    bool (*waits)(struct nk_stream *s); /* nk_stream_waits; NULL: never */
};

/* Embedded first in every implementation. Fields are for implementations; owners use functions. */
struct nk_stream {
    const struct nk_stream_ops *ops;
    struct nk_app *app;
    nk_stream_event_fn *on_event;
    void *owner;
    unsigned interest; /* NK_READABLE | NK_WRITABLE */
    unsigned pending;  /* events waiting on the ready list */
    bool connected;    /* NK_CONNECTED was delivered */
    bool closing;
    bool again;           /* READABLE stays due until the next read (nk_stream_again) */
    unsigned char listed; /* 0, or 1 + number of the ready list it is on */
    int error;            /* why NK_CLOSED */
    struct nk_stream *ready_prev, *ready_next;
    uint64_t seen;       /* last turn in which events were delivered */
    uint64_t turn;       /* last turn in which bytes were read */
    size_t turn_bytes;   /* bytes read in that turn */
    struct nk_diag *why; /* heap; text of the failure, or NULL */
};

#define NK_TURN_BYTES (256 * 1024) /* most bytes one stream may read in one turn */

/* --- for owners ---------------------------------------------------------------------------- */

/* nk_stream_own - take over the stream: set callback and owner. Pending events go to the new owner.
 */
void nk_stream_own(struct nk_stream *s, nk_stream_event_fn *fn, void *owner);

/* nk_stream_read - read up to n (>= 1) bytes into p, all of which may be written over, also behind
 * those that are returned. Returns bytes, 0 at end of stream, NK_EAGAIN (also when the per-turn
 * limit is used up), NK_ETRUNC (TLS end without close_notify), or -errno.
 */
ssize_t nk_stream_read(struct nk_stream *s, void *p, size_t n);

/* nk_stream_writev - write from n (1..1024) buffers. Returns bytes taken, possibly short;
 * NK_EAGAIN: wait for NK_WRITABLE; errors: -EPIPE, -ECONNRESET ... */
ssize_t nk_stream_writev(struct nk_stream *s, const struct iovec *iov, int n);
ssize_t nk_stream_write(struct nk_stream *s, const void *p, size_t n);

/* nk_stream_peek - instead of reading: where the next bytes are, in at most NK_PEEK_PIECES pieces;
 * they stay there until the owner's event returns. The number of pieces, or as nk_stream_read 0,
 * NK_EAGAIN (also at the per-turn limit) or the error. NK_EUNSUPPORTED: they have to be read.
 * nk_stream_consume - the first n (>= 0) of those bytes are done with; due after a peek that gave
 * pieces. */
ssize_t nk_stream_peek(struct nk_stream *s, struct iovec iov[NK_PEEK_PIECES]);
void nk_stream_consume(struct nk_stream *s, size_t n);

/* nk_stream_splice_in - nk_stream_read into the write end of a pipe; nk_stream_splice_out -
 * nk_stream_write from the read end of one, which holds n bytes or more. NK_EUNSUPPORTED where
 * bytes have to be seen (filters) or the descriptor does not allow it. */
ssize_t nk_stream_splice_in(struct nk_stream *s, int pipe, size_t n);
ssize_t nk_stream_splice_out(struct nk_stream *s, int pipe, size_t n);

/* nk_stream_can_splice - whether these two work on a connected stream. */
bool nk_stream_can_splice(struct nk_stream *s);

/* nk_stream_shutdown - half-close: no more writes. Bytes already taken are still delivered. */
int nk_stream_shutdown(struct nk_stream *s);

/* nk_stream_close - end now; unsent bytes inside filters are flushed as far as the kernel takes
 * them without waiting. NULL is fine. */
void nk_stream_close(struct nk_stream *s);

/* nk_stream_interest - which of NK_READABLE and NK_WRITABLE the owner wants. */
void nk_stream_interest(struct nk_stream *s, unsigned mask);

/* nk_stream_query - see enum nk_query. */
int nk_stream_query(struct nk_stream *s, enum nk_query what, void *out, size_t *n);

/* nk_stream_tune - set a kernel parameter of the transport below all filters. 0, -ENOENT when the
 * transport has no such thing (not an error for most callers), or -errno. */
int nk_stream_tune(struct nk_stream *s, enum nk_tune what, int value);

/* nk_stream_answer - tell a peer that asked for a target (NK_Q_TARGET) what came of it: 0, the
 * connection stands and bytes may flow; an error, as far as its protocol can say it (close the
 * stream then). Once. 0, -ENOENT when nobody asked, -EINVAL when it was answered before. */
int nk_stream_answer(struct nk_stream *s, int error);

/* nk_stream_waits - is the peer, although it did not say where to, told when and whether it is
 * connected on? nk_stream_answer tells it; so does the first use of the stream, as success. */
bool nk_stream_waits(struct nk_stream *s);

/* nk_stream_peer - NK_Q_PEER into out (max), "?" when unknown. Returns out. */
char *nk_stream_peer(struct nk_stream *s, char *out, size_t max);

/* nk_stream_error - why NK_CLOSED was delivered; the text, when diag is not NULL, goes there. */
int nk_stream_error(const struct nk_stream *s, struct nk_diag *diag);

/* --- for implementations ------------------------------------------------------------------- */

/* nk_stream_init - set up the embedded part. */
void nk_stream_init(struct nk_stream *s, const struct nk_stream_ops *ops, struct nk_app *app);

/* nk_stream_raise - queue events for delivery in this turn's ready pass (or the next turn when
 * called outside of one). READABLE/WRITABLE are filtered by interest at delivery. */
void nk_stream_raise(struct nk_stream *s, unsigned events);

/* nk_stream_fail - the connection attempt failed: queue NK_CLOSED with error and text (may be
 * NULL). */
void nk_stream_fail(struct nk_stream *s, int error, const struct nk_diag *why);

/* nk_stream_again - NK_READABLE stays due, every turn from the next one on (at once in this turn
 * when nothing was delivered in it yet), until the owner's next nk_stream_read. A filter calls it
 * in its read when bytes are left above the lower stream, and whenever such bytes arrive. */
void nk_stream_again(struct nk_stream *s);

/* nk_stream_done - the implementation has released everything: free(s) (its start address must be
 * the allocation) after the turn. */
void nk_stream_done(struct nk_stream *s);

/* nk_stream_from_fd - a stream over a pollable, non-blocking, connected socket or pipe fd, which it
 * owns from then on (closed also on failure). NK_CONNECTED is queued. O_NONBLOCK is set on the
 * descriptor: for one that other processes may share use nk_stream_from_inherited. */
int nk_stream_from_fd(struct nk_app *app, int fd, const char *name, struct nk_stream **out);

/*
 * nk_stream_pending - a stream that is still connecting and gets its descriptor later through
 * nk_stream_attach, or fails with nk_stream_pending_fail. When the owner closes it before either,
 * cancel(arg) runs once, from inside nk_stream_close. `name` (static) names it in logs.
 */
int nk_stream_pending(struct nk_app *app, const char *name, void (*cancel)(void *arg), void *arg,
                      struct nk_stream **out);

/* nk_stream_attach - the connection stands: s takes the watcher (core/watch.h) and its descriptor,
 * and NK_CONNECTED is queued. cancel is forgotten. */
struct nk_watch;
void nk_stream_attach(struct nk_stream *s, struct nk_watch *take_w);

/* nk_stream_pending_fail - nk_stream_fail for such a stream: cancel is forgotten. */
void nk_stream_pending_fail(struct nk_stream *s, int error, const struct nk_diag *why);

/*
 * nk_stream_from_inherited - a stream over descriptors that came from outside and may be shared
 * with other processes: reads rfd, writes wfd (the same number, or -1 for none). Takes both (closed
 * also on failure). O_NONBLOCK is never set on a shared description: sockets are used with
 * MSG_DONTWAIT behind an epoll set of our own, pipes and terminals are opened anew through
 * /proc/self/fd where that is possible, and regular files are read and written in work lane `disk`.
 * NK_CONNECTED is queued.
 */
int nk_stream_from_inherited(struct nk_app *app, int rfd, int wfd, const char *name,
                             struct nk_stream **out, struct nk_diag *diag);

#endif
