/* SPDX-License-Identifier: MIT */
#include "relay/client_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/wire_tlspyo.h"

#define HEADER 10
#define ROOM ((size_t)64 << 20)
#define QUIET_TURNS 20

/* --- the owner -------------------------------------------------------------------------------- */

static struct client_note *note(struct client_kit *k, char what)
{
    assert_true(k->notes < CLIENT_KIT_NOTES);
    struct client_note *n = &k->note[k->notes++];
    memset(n, 0, sizeof(*n));
    n->what = what;
    return n;
}

static void on_alive(void *owner, bool again)
{
    note(owner, 'A')->again = again;
}

static void on_object(void *owner, const struct relay_client_object *d)
{
    struct client_kit *k = owner;
    struct client_note *n = note(k, 'O');
    n->d = *d;
    n->group = d->group;
    n->len = d->len;
    memcpy(n->text, d->data, d->len < sizeof(n->text) - 1 ? d->len : sizeof(n->text) - 1);
    n->d.data = NULL;
    n->d.meta = NULL;
    n->d.meta_block = NULL;
    if (k->ack) {
        relay_client_ack(k->client, &d->lease);
    }
}

static void on_settled(void *owner, uint32_t group, uint64_t first, uint64_t last, int status)
{
    struct client_note *n = note(owner, 'S');
    n->group = group;
    n->first = first;
    n->last = last;
    n->status = status;
}

static void on_lease_lost(void *owner, const struct relay_client_lease *l)
{
    struct client_note *n = note(owner, 'G');
    n->group = l->group;
    n->first = n->last = l->seq;
}

static void on_purged(void *owner, uint32_t group, int status)
{
    struct client_note *n = note(owner, 'P');
    n->group = group;
    n->status = status;
}

static void on_drained(void *owner, uint32_t group)
{
    note(owner, 'D')->group = group;
}

static void on_lost(void *owner, const struct nk_diag *why, uint64_t again_ms)
{
    struct client_note *n = note(owner, 'L');
    (void)again_ms;
    n->status = why->code;
    snprintf(n->text, sizeof(n->text), "%.*s", (int)sizeof(n->text) - 1, why->text);
}

static void on_end(void *owner, int status, const struct nk_diag *why)
{
    struct client_note *n = note(owner, 'E');
    n->status = status;
    if (why) {
        snprintf(n->text, sizeof(n->text), "%.*s", (int)sizeof(n->text) - 1, why->hint);
    }
}

static const struct relay_client_ops ops = {.on_alive = on_alive,
                                            .on_object = on_object,
                                            .on_settled = on_settled,
                                            .on_drained = on_drained,
                                            .on_lease_lost = on_lease_lost,
                                            .on_purged = on_purged,
                                            .on_lost = on_lost,
                                            .on_end = on_end};

/* --- the relay's end ----------------------------------------------------------------------------
 */

static void flush(struct client_kit *k)
{
    while (k->s && nk_buf_len(&k->out) > 0) {
        ssize_t n = nk_stream_write(k->s, nk_buf_ptr(&k->out), nk_buf_len(&k->out));
        if (n <= 0) {
            return;
        }
        nk_buf_consume(&k->out, (size_t)n);
    }
}

static void on_stream(void *owner, struct nk_stream *s, unsigned events)
{
    struct client_kit *k = owner;
    uint8_t *room;
    if (events & NK_WRITABLE) {
        flush(k);
    }
    while (events & NK_READABLE && !k->ended && k->s == s) {
        assert_int_equal(nk_buf_reserve(&k->in, 65536, &room), 0);
        ssize_t n = nk_stream_read(s, room, 65536);
        if (n == NK_EAGAIN) {
            return;
        }
        if (n <= 0) {
            k->ended = true;
            nk_stream_interest(s, 0);
            return;
        }
        nk_buf_commit(&k->in, (size_t)n);
    }
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct client_kit *k = owner;
    (void)l;
    nk_stream_close(k->s);
    k->s = take_s;
    k->accepted++;
    k->ended = false;
    nk_buf_reset(&k->in);
    nk_buf_reset(&k->out);
    nk_stream_own(take_s, on_stream, k);
    nk_stream_interest(take_s, NK_READABLE | NK_WRITABLE);
}

void client_kit_listen(struct client_kit *k)
{
    assert_int_equal(nk_listen(k->app, k->at, on_accept, k, &k->listener, NULL), 0);
}

void client_kit_refuse(struct client_kit *k)
{
    nk_listener_close(k->listener);
    k->listener = NULL;
}

void client_kit_open(struct client_kit *k, const char *listen)
{
    const struct nk_app_conf conf = {.test_endpoints = true, .clock_scale = CLIENT_KIT_CLOCK};
    memset(k, 0, sizeof(*k));
    assert_int_equal(nk_app_new(&k->app, &conf, NULL), 0);
    assert_int_equal(nk_endpoint_parse(listen, NK_EP_LISTEN, &k->at, NULL), 0);
    client_kit_listen(k);
    nk_buf_init(&k->in, ROOM);
    nk_buf_init(&k->out, ROOM);
    assert_int_equal(nk_secret_set(&k->password, "pw", 2), 0);
    k->pickle = relay_pickle_new();
    assert_non_null(k->pickle);
    k->conf = (struct relay_client_conf){.where = "mem:relay",
                                         .password = &k->password,
                                         .header_size = HEADER,
                                         .max_object = (size_t)1 << 20,
                                         .reconnect = true,
                                         .trust = RELAY_TRUST_LOCAL};
    struct nk_endpoint *to;
    assert_int_equal(nk_endpoint_parse("mem:relay", NK_EP_CONNECT, &to, NULL), 0);
    k->conf.connect = to;
}

void client_kit_close(struct client_kit *k)
{
    relay_client_close(k->client);
    nk_stream_close(k->s);
    nk_listener_close(k->listener);
    nk_app_free(k->app);
    nk_endpoint_free(k->at);
    nk_endpoint_free((struct nk_endpoint *)(uintptr_t)k->conf.connect);
    nk_buf_clear(&k->in);
    nk_buf_clear(&k->out);
    nk_secret_clear(&k->password);
    relay_pickle_free(k->pickle);
    free(k->frame);
}

void client_kit_client(struct client_kit *k)
{
    assert_int_equal(relay_client_open(k->app, &k->conf, &ops, k, &k->client), 0);
}

void client_kit_turn(struct client_kit *k)
{
    (void)nk_app_turn(k->app, 2);
}

void client_kit_accept(struct client_kit *k)
{
    unsigned before = k->accepted;
    for (int i = 0; k->accepted == before; i++) {
        assert_true(i < CLIENT_KIT_TURNS);
        client_kit_turn(k);
    }
}

void client_kit_hang_up(struct client_kit *k)
{
    nk_stream_close(k->s);
    k->s = NULL;
}

void client_kit_send(struct client_kit *k, const void *p, size_t n)
{
    assert_int_equal(nk_buf_put(&k->out, p, n), 0);
    flush(k);
}

void client_kit_read(struct client_kit *k, size_t n)
{
    for (int i = 0; nk_buf_len(&k->in) < n; i++) {
        assert_true(i < CLIENT_KIT_TURNS && !k->ended);
        client_kit_turn(k);
    }
}

const struct client_note *client_kit_expect(struct client_kit *k, char what)
{
    for (int i = 0; k->seen == k->notes; i++) {
        assert_true(i < CLIENT_KIT_TURNS);
        client_kit_turn(k);
    }
    const struct client_note *n = &k->note[k->seen++];
    if (n->what != what) {
        print_message("%c instead of %c: %d %s\n", n->what, what, n->status, n->text);
    }
    assert_int_equal(n->what, what);
    return n;
}

void client_kit_quiet(struct client_kit *k)
{
    size_t bytes = nk_buf_len(&k->in);
    for (int i = 0; i < QUIET_TURNS; i++) {
        (void)nk_app_turn(k->app, 0);
    }
    assert_int_equal(k->seen, k->notes);
    assert_int_equal(nk_buf_len(&k->in), bytes);
}

/* --- tlspyo's wire ------------------------------------------------------------------------------
 */

/* Take the next frame out of k->in. */
static const struct relay_envelope *next_command(struct client_kit *k)
{
    const struct relay_frames frames = {
        .header_size = HEADER, .password = &k->password, .max_payload = ROOM};
    uint64_t payload = 0;
    int head = 0;
    client_kit_read(k, 1);
    while ((head = relay_frame_head(&frames, nk_buf_ptr(&k->in), nk_buf_len(&k->in), &payload)) ==
           0) {
        client_kit_read(k, nk_buf_len(&k->in) + 1);
    }
    assert_true(head > 0);
    client_kit_read(k, (size_t)head + payload);
    free(k->frame);
    k->frame = malloc(payload);
    memcpy(k->frame, nk_buf_ptr(&k->in) + head, payload);
    nk_buf_consume(&k->in, (size_t)head + payload);
    assert_int_equal(
        relay_envelope_parse(k->pickle, k->frame, payload, &k->env, &(const char *){0}), 0);
    return &k->env;
}

const struct relay_envelope *client_kit_command(struct client_kit *k, enum relay_command cmd)
{
    do {
        (void)next_command(k);
    } while (k->env.cmd == RELAY_CMD_ACK);
    assert_int_equal(k->env.cmd, cmd);
    return &k->env;
}

void client_kit_acked(struct client_kit *k, int64_t stamp)
{
    (void)next_command(k);
    assert_int_equal(k->env.cmd, RELAY_CMD_ACK);
    assert_int_equal(k->env.stamp, stamp);
}

static void send_frame(struct client_kit *k, const void *payload, size_t n)
{
    uint8_t head[HEADER];
    relay_frame_header(head, HEADER, n);
    client_kit_send(k, head, HEADER);
    client_kit_send(k, payload, n);
}

uint32_t client_kit_hello(struct client_kit *k)
{
    uint8_t b[RELAY_HELLO_LEN];
    send_frame(k, b, relay_pickle_hello(b, ++k->stamp));
    return k->stamp;
}

void client_kit_ack(struct client_kit *k, int64_t stamp)
{
    uint8_t b[RELAY_ACK_MAX];
    send_frame(k, b, relay_pickle_ack(b, stamp));
}

uint32_t client_kit_object(struct client_kit *k, const char *text)
{
    uint8_t b[RELAY_OBJ_HEAD_MAX + 256];
    size_t len = strlen(text), n = relay_pickle_obj_head(b, ++k->stamp, len);
    assert_true(len < 200);
    memcpy(b + n, text, len);
    memcpy(b + n + len, RELAY_OBJ_TAIL, RELAY_OBJ_TAIL_LEN);
    send_frame(k, b, n + len + RELAY_OBJ_TAIL_LEN);
    return k->stamp;
}

void client_kit_login(struct client_kit *k)
{
    client_kit_accept(k);
    uint32_t stamp = client_kit_hello(k);
    client_kit_acked(k, stamp);
    client_kit_ack(k, client_kit_command(k, RELAY_CMD_HELLO)->stamp);
    client_kit_ack(k, client_kit_command(k, RELAY_CMD_NTF)->stamp);
    (void)client_kit_expect(k, 'A');
}
