/* SPDX-License-Identifier: MIT */
/* Frames of the endpoint daemon's socket: what can be read can be written, and is the same. */
#include <stdlib.h>
#include <string.h>

#include "relay/daemon_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* The frame that was written has the payload that was read. */
static void same(struct nk_buf *out, int rc, enum relay_daemon_type type, const uint8_t *p,
                 size_t n)
{
    enum relay_daemon_type got;
    size_t len = 0;
    need(rc == 0 && nk_buf_len(out) == RELAY_DAEMON_HEADER + n);
    need(relay_daemon_header(nk_buf_ptr(out), &got, &len) == 0 && got == type && len == n);
    need(n == 0 || memcmp(nk_buf_ptr(out) + RELAY_DAEMON_HEADER, p, n) == 0);
}

/* Metadata may be written in another order than they were read in: what they say is the same. */
static void same_send(struct nk_buf *out, const struct relay_daemon_send *s)
{
    struct relay_daemon_send again = {0};
    need(relay_daemon_put_send(out, s) == 0);
    need(relay_daemon_get_send(nk_buf_ptr(out) + RELAY_DAEMON_HEADER,
                               nk_buf_len(out) - RELAY_DAEMON_HEADER, &again) == 0);
    need(again.produce == s->produce && again.form == s->form && again.content == s->content);
    need(again.len == s->len && again.dest.n == s->dest.n);
    need(again.meta.ttl_ms == s->meta.ttl_ms && again.meta.nheaders == s->meta.nheaders);
    need(again.meta.correlation_len == s->meta.correlation_len);
    need(!again.meta.reply_to == !s->meta.reply_to);
    relay_daemon_send_clear(&again);
}

static void payload(enum relay_daemon_type type, const uint8_t *p, size_t n)
{
    struct nk_buf out;
    struct relay_daemon_read r;
    struct relay_daemon_send s = {0};
    struct relay_daemon_object o;
    struct relay_daemon_done d;
    struct relay_daemon_stop stop;
    struct relay_endpoint_dest dest = {0};
    if (n > RELAY_DAEMON_REQUEST) {
        return; /* whoever reads frames refuses it at its header */
    }
    nk_buf_init(&out, (size_t)1 << 22);
    if (type == DAEMON_HELLO && relay_daemon_get_hello(p, n) == 0) {
        same(&out, relay_daemon_put_hello(&out), type, p, n);
    } else if (type == DAEMON_READ && relay_daemon_get_read(p, n, &r) == 0) {
        same(&out, relay_daemon_put_read(&out, &r), type, p, n);
    } else if (type == DAEMON_NOTIFY && relay_daemon_get_notify(p, n, &dest) == 0) {
        need(dest.n <= RELAY_DAEMON_DESTS);
        same(&out, relay_daemon_put_notify(&out, &dest), type, p, n);
    } else if (type == DAEMON_SEND && relay_daemon_get_send(p, n, &s) == 0) {
        same_send(&out, &s);
    } else if (type == DAEMON_STOP && relay_daemon_get_stop(p, n, &stop) == 0) {
        same(&out, relay_daemon_put_stop(&out, &stop), type, p, n);
    } else if (type == DAEMON_OBJECT && relay_daemon_get_object(p, n, &o) == 0) {
        need(o.glen + o.meta_len + o.len < n);
    } else if (type == DAEMON_DONE && relay_daemon_get_done(p, n, &d) == 0) {
        need(d.len < n);
    }
    relay_endpoint_dest_clear(&dest);
    relay_daemon_send_clear(&s);
    nk_buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size >= RELAY_DAEMON_HEADER) {
        enum relay_daemon_type type;
        size_t len;
        if (relay_daemon_header(data, &type, &len) < 0) {
            return 0;
        }
        data += RELAY_DAEMON_HEADER;
        size -= RELAY_DAEMON_HEADER;
        len = len < size ? len : size; /* a payload that is cut is still one */
        payload(type, data, len);
        data += len;
        size -= len;
    }
    return 0;
}
