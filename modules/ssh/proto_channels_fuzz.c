/* SPDX-License-Identifier: MIT */
/* The connection protocol with a server that says anything. Input: pieces of u8 length and payload;
 * length 0 lets us do something. */
#include <stdlib.h>
#include <string.h>

#include "ssh/proto_channels.h"
#include "ssh/sink_testkit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHANNELS = 4 };

struct world {
    struct ssh_kit_sink sink;
    struct ssh_channels *c;
    struct ssh_channel *ch[CHANNELS]; /* NULL: gone */
    unsigned n;
};

static void gone(void *owner, const struct ssh_channel *ch)
{
    struct world *w = owner;
    for (unsigned i = 0; i < CHANNELS; i++) {
        if (w->ch[i] == ch) {
            w->ch[i] = NULL;
        }
    }
}

static void on_failed(void *owner, struct ssh_channel *ch, uint32_t reason,
                      const struct nk_diag *why)
{
    (void)reason;
    (void)why;
    gone(owner, ch);
}

static void on_data(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n)
{
    (void)owner;
    if (n == 0 || n > SSH_DATA_MAX || !p) {
        abort();
    }
    if (kind == 0) {
        (void)ssh_channel_consumed(ch, n); /* the rest stays */
    }
}

static bool on_request(void *owner, struct ssh_channel *ch, struct ssh_str type,
                       struct ssh_str data)
{
    (void)owner;
    (void)ch;
    return type.n > data.n;
}

static void on_closed(void *owner, struct ssh_channel *ch, const struct nk_diag *why)
{
    (void)why;
    gone(owner, ch);
}

static const struct ssh_channel_ops ops = {
    .on_failed = on_failed, .on_data = on_data, .on_request = on_request, .on_closed = on_closed};

static void on_reply(void *owner, int ok, struct ssh_str data)
{
    (void)owner;
    (void)ok;
    (void)data;
}

static void on_incoming(void *owner, struct ssh_channel *ch, struct ssh_str type,
                        struct ssh_str data)
{
    struct world *w = owner;
    (void)data;
    for (unsigned i = 0; i < CHANNELS && type.n % 2; i++) {
        if (!w->ch[i]) {
            w->ch[i] = ch;
            (void)ssh_channel_accept(ch, &ops, w);
            return;
        }
    }
    (void)ssh_channel_refuse(ch, SSH_REFUSED_PROHIBITED, "no");
}

static void act(struct world *w)
{
    struct nk_diag diag;
    char text[] = "some text that is sent";
    const struct iovec iov = {text, sizeof(text)};
    struct ssh_channel **ch = &w->ch[w->n % CHANNELS];
    switch (w->n++ % 7) {
    case 0:
        if (!*ch) {
            (void)ssh_channel_open(w->c, "session", (struct ssh_str){0}, &ops, w, ch, &diag);
        }
        break;
    case 1:
        (void)(*ch ? ssh_channel_request(*ch, "exec", (struct ssh_str){0}, on_reply, w) : 0);
        break;
    case 2:
        (void)(*ch ? ssh_channel_writev(*ch, &iov, 1) : 0);
        break;
    case 3:
        (void)ssh_global_request(w->c, "x", (struct ssh_str){0}, on_reply, w);
        break;
    case 4:
        (void)(*ch ? ssh_channel_eof(*ch) : 0);
        break;
    case 5:
        (void)ssh_channels_writable(w->c, &diag);
        break;
    default:
        ssh_channel_close(*ch);
        *ch = NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {0};
    struct nk_diag diag = {0};
    struct nk_cur c;
    const struct ssh_channels_conf conf = {.owner = &w, .on_incoming = on_incoming};
    ssh_sink_init(&w.sink);
    if (ssh_channels_new(&conf, &w.sink.sink, &w.c) < 0) {
        abort();
    }
    act(&w);
    nk_cur_init(&c, data, size);
    for (int rc = 0; rc == 0 && nk_cur_left(&c) > 0;) {
        size_t n = nk_cur_u8(&c);
        const uint8_t *p = nk_cur_bytes(&c, n);
        if (n == 0) {
            act(&w);
        } else {
            rc = p ? ssh_channels_receive(w.c, p, n, &diag) : -1;
        }
    }
    diag.code = NK_ECLOSED;
    ssh_channels_end(w.c, &diag);
    for (unsigned i = 0; i < CHANNELS; i++) {
        if (w.ch[i]) {
            abort(); /* everybody was told */
        }
    }
    ssh_channels_free(w.c);
    ssh_sink_clear(&w.sink);
    return 0;
}
