/* SPDX-License-Identifier: MIT */
/* channels_testkit - channels over a sink that keeps what they send, and a scripted server. */
#ifndef SSH_CHANNELS_TESTKIT_H
#define SSH_CHANNELS_TESTKIT_H

#include <sys/types.h>

#include "ssh/proto_channels.h"
#include "ssh/sink_testkit.h"

enum { SSH_CKIT_BYTES = SSH_WINDOW_MAX };

/* What the callbacks of a channel have seen. */
struct ssh_ckit_seen {
    unsigned opened, failed, closed, eof, writable, requests, replies, keeps;
    uint32_t reason;
    int code, last_reply;
    struct nk_buf data, err;
    struct ssh_channel *ch;
    bool answer, close_on_data, close_on_closed;
};

/* The channels, with a keepalive of 15 s, at the second 1. */
struct ssh_ckit {
    struct ssh_kit_sink sink;
    struct ssh_channels *c;
    struct nk_buf in, out;
    struct nk_diag diag;
    struct ssh_ckit_seen seen[3];
    size_t room;
    struct ssh_channel *incoming;
    unsigned globals;
};

/* ssh_ckit_open, ssh_ckit_close - begin and end with it; fail the cmocka test when that fails. */
void ssh_ckit_open(struct ssh_ckit *f);
void ssh_ckit_close(struct ssh_ckit *f);

/* What puts down in a struct ssh_ckit_seen, the owner, which event came. ssh_ckit_reply - the same
 * for the reply to a request. */
extern const struct ssh_channel_ops ssh_ckit_ops;
void ssh_ckit_reply(void *owner, int ok, struct ssh_str data);

/* ssh_ckit_opened - channel i, which the server knows as 100 + i, of f->seen[i]. */
struct ssh_channel *ssh_ckit_opened(struct ssh_ckit *f, unsigned i, uint32_t window,
                                    uint32_t packet);

/* ssh_ckit_write - ssh_channel_writev of a text. */
ssize_t ssh_ckit_write(struct ssh_channel *ch, const char *text);

/* SSH_CKIT_GETS - what ssh_channels_receive says to a payload, as for ssh_kit_put. */
#define SSH_CKIT_GETS(f, ...)                                                                      \
    (nk_buf_reset(&(f)->in), ssh_kit_put(&(f)->in, __VA_ARGS__),                                   \
     ssh_channels_receive((f)->c, nk_buf_ptr(&(f)->in), nk_buf_len(&(f)->in), &(f)->diag))

#endif
