/* SPDX-License-Identifier: MIT */
#include "ssh/channels_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void on_open(void *owner, struct ssh_channel *ch, struct ssh_str data)
{
    struct ssh_ckit_seen *s = owner;
    s->opened++;
    assert_ptr_equal(s->ch, ch);
    assert_int_equal(data.n, 0);
}

static void on_failed(void *owner, struct ssh_channel *ch, uint32_t reason,
                      const struct nk_diag *why)
{
    struct ssh_ckit_seen *s = owner;
    s->failed++;
    s->reason = reason;
    s->code = why ? why->code : 0;
    ssh_channel_close(ch); /* harmless */
}

static void on_data(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n)
{
    struct ssh_ckit_seen *s = owner;
    assert_true(n > 0);
    assert_int_equal(nk_buf_put(kind == SSH_EXTENDED_STDERR ? &s->err : &s->data, p, n), 0);
    if (s->close_on_data) {
        ssh_channel_close(ch);
    }
}

static void on_eof(void *owner, struct ssh_channel *ch)
{
    struct ssh_ckit_seen *s = owner;
    s->eof++;
    assert_ptr_equal(s->ch, ch);
}

static void on_writable(void *owner, struct ssh_channel *ch)
{
    struct ssh_ckit_seen *s = owner;
    s->writable++;
    assert_ptr_equal(s->ch, ch);
}

static bool on_request(void *owner, struct ssh_channel *ch, struct ssh_str type,
                       struct ssh_str data)
{
    struct ssh_ckit_seen *s = owner;
    s->requests++;
    assert_ptr_equal(s->ch, ch);
    return ssh_str_is(type, "exit-status") && data.n == 4;
}

static void on_closed(void *owner, struct ssh_channel *ch, const struct nk_diag *why)
{
    struct ssh_ckit_seen *s = owner;
    s->closed++;
    s->code = why ? why->code : 0;
    if (s->close_on_closed) {
        ssh_channel_close(ch);
    }
}

static void on_keep(void *owner, struct ssh_channel *ch)
{
    struct ssh_ckit_seen *s = owner;
    s->keeps++;
    assert_ptr_equal(s->ch, ch);
}

const struct ssh_channel_ops ssh_ckit_ops = {.on_open = on_open,
                                             .on_failed = on_failed,
                                             .on_data = on_data,
                                             .on_keep = on_keep,
                                             .on_eof = on_eof,
                                             .on_writable = on_writable,
                                             .on_request = on_request,
                                             .on_closed = on_closed};

void ssh_ckit_reply(void *owner, int ok, struct ssh_str data)
{
    struct ssh_ckit_seen *s = owner;
    s->replies++;
    s->last_reply = ok;
    (void)data;
}

static size_t room(void *owner)
{
    const struct ssh_ckit *f = owner;
    return f->room;
}

static void on_incoming(void *owner, struct ssh_channel *ch, struct ssh_str type,
                        struct ssh_str data)
{
    struct ssh_ckit *f = owner;
    assert_true(ssh_str_is(type, "forwarded-tcpip"));
    assert_int_equal(data.n, 3);
    f->incoming = ch;
}

static bool on_global(void *owner, struct ssh_str type, struct ssh_str data)
{
    struct ssh_ckit *f = owner;
    (void)data;
    f->globals++;
    return ssh_str_is(type, "hostkeys-00@openssh.com");
}

void ssh_ckit_open(struct ssh_ckit *f)
{
    *f = (struct ssh_ckit){.room = SIZE_MAX};
    const struct ssh_channels_conf conf = {.owner = f,
                                           .room = room,
                                           .on_incoming = on_incoming,
                                           .on_global = on_global,
                                           .keepalive_ms = 15000};
    ssh_sink_init(&f->sink);
    nk_buf_init(&f->in, SSH_CKIT_BYTES);
    nk_buf_init(&f->out, SSH_CKIT_BYTES);
    for (int i = 0; i < 3; i++) {
        nk_buf_init(&f->seen[i].data, SSH_CKIT_BYTES);
        nk_buf_init(&f->seen[i].err, SSH_CKIT_BYTES);
    }
    assert_int_equal(ssh_channels_new(&conf, &f->sink.sink, &f->c), 0);
    ssh_channels_now(f->c, 1000);
}

void ssh_ckit_close(struct ssh_ckit *f)
{
    ssh_channels_free(f->c);
    ssh_sink_clear(&f->sink);
    nk_buf_clear(&f->in);
    nk_buf_clear(&f->out);
    for (int i = 0; i < 3; i++) {
        nk_buf_clear(&f->seen[i].data);
        nk_buf_clear(&f->seen[i].err);
    }
}

struct ssh_channel *ssh_ckit_opened(struct ssh_ckit *f, unsigned i, uint32_t window,
                                    uint32_t packet)
{
    struct ssh_ckit_seen *s = &f->seen[i];
    assert_int_equal(
        ssh_channel_open(f->c, "session", (struct ssh_str){0}, &ssh_ckit_ops, s, &s->ch, &f->diag),
        0);
    assert_true(ssh_kit_next_is(&f->sink, &f->out, "bsuuu", 90, "session", i,
                                (unsigned)SSH_WINDOW_START, (unsigned)SSH_DATA_MAX));
    assert_int_equal(SSH_CKIT_GETS(f, "buuuu", 91, i, 100 + i, window, packet), 0);
    assert_int_equal(s->opened, 1);
    return s->ch;
}

ssize_t ssh_ckit_write(struct ssh_channel *ch, const char *text)
{
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    return ssh_channel_writev(ch, &iov, 1);
}
