/* SPDX-License-Identifier: MIT */
/*
 * proto_channels - the connection protocol (RFC 4254) of a client, without sockets and clocks:
 * channels of any type, their windows, channel and global requests, keepalive.
 *
 * Packets come in through ssh_channels_receive and go out through a sink. Events are callbacks from
 * inside ssh_channels_receive, _keep, _writable, _tick and _end, never from inside another call.
 * Inside them everything is allowed but ssh_channels_free.
 *
 * Bytes from the server are handed over as they come and cost window until ssh_channel_consumed
 * says that they have left for whoever they are for: what a consumer leaves lying about is bounded
 * by its window. Windows begin at SSH_WINDOW_START and grow to eight times what the path holds
 * (rate times round trip) while the consumer keeps up.
 *
 * Bytes for the server are taken only as far as they can be sent at once; what is refused is asked
 * for later by on_writable, one channel after the other.
 */
#ifndef SSH_PROTO_CHANNELS_H
#define SSH_PROTO_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/log.h"
#include "ssh/sink.h"
#include "ssh/wire.h"

enum {
    SSH_WINDOW_START = 2 * 1024 * 1024, /* as OpenSSH's */
    SSH_WINDOW_LEAST = 64 * 1024,       /* when the total is used up */
    SSH_WINDOW_MAX = 64 * 1024 * 1024,
    SSH_WINDOWS_TOTAL = 256 * 1024 * 1024, /* of all channels of a connection */
    SSH_DATA_MAX = 32 * 1024,              /* bytes of data in one packet, both ways */
    SSH_CHANNELS_MAX = 65536,
    SSH_REQUESTS_MAX = 1024 /* unanswered ones, global or of one channel */
};

/* Why a channel is refused (RFC 4254 5.1). */
enum ssh_refusal {
    SSH_REFUSED_PROHIBITED = 1,
    SSH_REFUSED_CONNECT = 2,
    SSH_REFUSED_TYPE = 3,
    SSH_REFUSED_RESOURCES = 4
};

enum { SSH_EXTENDED_STDERR = 1 }; /* RFC 4254 5.2 */

struct ssh_channels;
struct ssh_channel;

/* Any of them may be NULL. After on_failed and on_closed the channel is gone. */
struct ssh_channel_ops {
    /* the server agreed; data is what its answer holds beyond the usual */
    void (*on_open)(void *owner, struct ssh_channel *ch, struct ssh_str data);
    /* it did not: reason and text of its answer; or 0 and diag when the connection has ended */
    void (*on_failed)(void *owner, struct ssh_channel *ch, uint32_t reason,
                      const struct nk_diag *why);
    /* n >= 1 bytes; kind 0: data, else the type of extended data. Owed to ssh_channel_consumed.
     * NULL: dropped and consumed */
    void (*on_data)(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n);
    /* the memory of what on_data was given is needed again: until then it was lent, if this is here
     * (ssh_channels_keep), else until on_data returned. Also lent in on_closed, for the last time;
     * not any more after ssh_channel_close. NULL: nothing is lent */
    void (*on_keep)(void *owner, struct ssh_channel *ch);
    void (*on_eof)(void *owner, struct ssh_channel *ch);
    /* ssh_channel_write is worth another try */
    void (*on_writable)(void *owner, struct ssh_channel *ch);
    /* a request of the server's; true: done, false: not known (both are answered if it wants so) */
    bool (*on_request)(void *owner, struct ssh_channel *ch, struct ssh_str type,
                       struct ssh_str data);
    /* the server closed it (why NULL), or the connection has ended */
    void (*on_closed)(void *owner, struct ssh_channel *ch, const struct nk_diag *why);
};

/* Answer to a request: ok 1 or 0 with the data of the answer, or negative when there will be none
 * because channel or connection has ended. */
typedef void ssh_reply_fn(void *owner, int ok, struct ssh_str data);

struct ssh_channels_conf {
    struct nk_log *log;                               /* may be NULL */
    uint32_t window_start, window_max, windows_total; /* 0: as above */
    uint32_t keepalive_ms;                            /* ServerAliveInterval; 0: never */
    uint32_t keepalive_count;                         /* ServerAliveCountMax; 0: 3 */
    void *owner;
    /* The time as ssh_channels_now has it, for calls that come between its turns. NULL: those count
     * from the last turn. */
    uint64_t (*clock)(void *owner);
    /* Bytes of output that may be added now before channels have to wait; 0 also while keys are
     * exchanged. Then call ssh_channels_writable when there is room again. NULL: no limit. */
    size_t (*room)(void *owner);
    /* The server wants to open a channel: answer with ssh_channel_accept or ssh_channel_refuse, now
     * or later (then ssh_channel_own an on_closed that tells of the connection's end until then).
     * NULL: all are refused. type and data are borrowed until return. */
    void (*on_incoming)(void *owner, struct ssh_channel *ch, struct ssh_str type,
                        struct ssh_str data);
    /* A global request of the server's, hostkeys-00@openssh.com for one; as on_request. */
    bool (*on_global)(void *owner, struct ssh_str type, struct ssh_str data);
};

/* ssh_channels_new - no channels yet; authentication is over. The sink is borrowed. 0, -ENOMEM. */
int ssh_channels_new(const struct ssh_channels_conf *conf, struct ssh_sink *sink,
                     struct ssh_channels **out);

/* ssh_channels_free - forget everything, with no more callbacks (see ssh_channels_end). NULL is
 * fine. */
void ssh_channels_free(struct ssh_channels *c);

/* ssh_channels_restrict - from now on there are sessions only: ssh_channel_open of any other type
 * and ssh_global_request are NK_EVERIFY, and what the server opens is refused. */
void ssh_channels_restrict(struct ssh_channels *c);

/* ssh_channels_end - the connection has ended, for this reason: every channel's owner is told with
 * on_failed or on_closed, every reply that is still owed with a negative code. Nothing is sent any
 * more. */
void ssh_channels_end(struct ssh_channels *c, const struct nk_diag *why);

/* ssh_channels_receive - a payload with a number from 80 to 100 (borrowed), or UNIMPLEMENTED, which
 * refuses the oldest global request that has no answer. NK_EPROTO: it is
 * malformed, is about a channel that is not there, goes beyond a window, or answers nothing; or the
 * sink's error. Then the connection is to be ended. */
int ssh_channels_receive(struct ssh_channels *c, const uint8_t *payload, size_t n,
                         struct nk_diag *diag);

/* ssh_channels_now - the time, in milliseconds of a monotonic clock; before anything else in a turn
 * of the loop. */
void ssh_channels_now(struct ssh_channels *c, uint64_t now_ms);

/* ssh_channels_keep - the payloads that were received are about to be written over, or freed:
 * owners to whom something of them is lent are told (on_keep). */
void ssh_channels_keep(struct ssh_channels *c);

/* ssh_channels_writable - there is room for output: waiting channels may write, in turn. 0 or the
 * sink's error. */
int ssh_channels_writable(struct ssh_channels *c, struct nk_diag *diag);

/* ssh_channels_waiting - whether channels wait for ssh_channels_writable. */
bool ssh_channels_waiting(const struct ssh_channels *c);

/* ssh_channels_heard - the server is alive: something came that is not for this machine. */
void ssh_channels_heard(struct ssh_channels *c);

/* ssh_channels_tick - keepalive: asks the server for a sign of life when nothing came from it for
 * an interval. -ETIMEDOUT: it stayed silent too often. *next_ms: milliseconds until the next call
 * is due, UINT64_MAX when never. */
int ssh_channels_tick(struct ssh_channels *c, uint64_t *next_ms, struct nk_diag *diag);

/* ssh_channels_count - those that are open or about to be, in either direction. */
size_t ssh_channels_count(const struct ssh_channels *c);

/* ssh_channels_rtt_ms - shortest round trip seen lately, rounded up; 0: not known. */
uint64_t ssh_channels_rtt_ms(const struct ssh_channels *c);

/* --- channels --------------------------------------------------------------------------------- */

/* ssh_channel_open - ask for a channel of any type, with any open data (may be empty). One of
 * on_open and on_failed follows. NK_ELIMIT: too many; -ENOMEM; the sink's error. */
int ssh_channel_open(struct ssh_channels *c, const char *type, struct ssh_str data,
                     const struct ssh_channel_ops *ops, void *owner, struct ssh_channel **out,
                     struct nk_diag *diag);

/* ssh_channel_accept, ssh_channel_refuse - answer on_incoming; a refused channel is gone. Errors
 * are the sink's. */
int ssh_channel_accept(struct ssh_channel *ch, const struct ssh_channel_ops *ops, void *owner);
int ssh_channel_refuse(struct ssh_channel *ch, enum ssh_refusal reason, const char *text);

/* ssh_channel_own - other callbacks and owner. */
void ssh_channel_own(struct ssh_channel *ch, const struct ssh_channel_ops *ops, void *owner);

/*
 * ssh_channel_writev - send data: bytes taken, maybe fewer; NK_EAGAIN: none now, on_writable
 * follows; -EPIPE after ssh_channel_eof or once the server has closed; NK_ECLOSED: the connection
 * has ended; or the sink's error. After a short count on_writable follows too.
 */
ssize_t ssh_channel_writev(struct ssh_channel *ch, const struct iovec *iov, int n);

/* ssh_channel_consumed - n of the bytes of on_data have left: the server may send as many more. The
 * server is told when it is worth a packet. Errors are the sink's. */
int ssh_channel_consumed(struct ssh_channel *ch, size_t n);

/* ssh_channel_eof - no more data from us; idempotent. */
int ssh_channel_eof(struct ssh_channel *ch);

/* ssh_channel_close - done with it, in any state: no callback comes any more, replies that are owed
 * included; the server is told. NULL is fine. */
void ssh_channel_close(struct ssh_channel *ch);

/* ssh_channel_request - a request with any data. fn NULL: no answer is wanted; else it is called
 * once, in the order of requests, unless the channel is closed by us first. NK_ELIMIT, -ENOMEM,
 * -EPIPE when the channel is closing, the sink's error: then fn is not called. */
int ssh_channel_request(struct ssh_channel *ch, const char *type, struct ssh_str data,
                        ssh_reply_fn *fn, void *owner);

/* ssh_channel_window - bytes that are not consumed may stand at, now. For tests and statistics. */
uint32_t ssh_channel_window(const struct ssh_channel *ch);

/* --- global requests -------------------------------------------------------------------------- */

/* ssh_global_request - as ssh_channel_request. ssh_global_forget - fn is not called any more for
 * what this owner has asked. */
int ssh_global_request(struct ssh_channels *c, const char *type, struct ssh_str data,
                       ssh_reply_fn *fn, void *owner);
void ssh_global_forget(struct ssh_channels *c, const void *owner);

#endif
