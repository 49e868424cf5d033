/* SPDX-License-Identifier: MIT */
/*
 * sink - where the machines above the transport (userauth, channels) write the packets they send.
 * The transport is one; so is a test.
 */
#ifndef SSH_SINK_H
#define SSH_SINK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ssh_sink;

struct ssh_sink_ops {
    int (*begin)(struct ssh_sink *s, size_t max, uint8_t **payload);
    void (*end)(struct ssh_sink *s, uint8_t *payload, size_t n);
};

/* Embedded first in every implementation. */
struct ssh_sink {
    const struct ssh_sink_ops *ops;
};

/*
 * ssh_sink_begin - room for a packet with at most max (1..SSH_PAYLOAD_MAX) bytes of payload, to be
 * written to *payload. Nothing else may be done with the sink until ssh_sink_end, which is not
 * owed. 0, NK_ETOOBIG, -ENOMEM, or why the connection is over.
 */
static inline int ssh_sink_begin(struct ssh_sink *s, size_t max, uint8_t **payload)
{
    return s->ops->begin(s, max, payload);
}

/* ssh_sink_end - the payload has n (1..max) bytes: it is on its way, in the order of these calls.
 */
static inline void ssh_sink_end(struct ssh_sink *s, uint8_t *payload, size_t n)
{
    s->ops->end(s, payload, n);
}

/* ssh_sink_put - both, for a payload of n bytes that exists elsewhere. */
static inline int ssh_sink_put(struct ssh_sink *s, const void *p, size_t n)
{
    uint8_t *payload;
    int rc = ssh_sink_begin(s, n, &payload);
    if (rc == 0) {
        memcpy(payload, p, n);
        ssh_sink_end(s, payload, n);
    }
    return rc;
}

#endif
