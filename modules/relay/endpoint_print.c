/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_print.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "core/stream.h"

const char *const relay_endpoint_formats[] = {"json", "text", "raw", "pickle", NULL};

static bool is_octets(const struct relay_value *v)
{
    return v && (v->type == RELAY_VALUE_STR || v->type == RELAY_VALUE_BYTES);
}

/* {"type":..,"value":"<base64>"} */
static int put_base64_record(struct nk_json *j, const char *type, const uint8_t *p, size_t n)
{
    char *text = n < SIZE_MAX / 2 ? malloc(NK_BASE64_SIZE(n)) : NULL;
    if (!text) {
        return -ENOMEM;
    }
    nk_base64_encode(text, p, n, true);
    nk_json_object(j);
    nk_json_kv_str(j, "type", type);
    nk_json_kv_str(j, "value", text);
    nk_json_close(j);
    free(text);
    return nk_json_end(j);
}

static int put_json(struct nk_buf *out, const struct relay_value_doc *doc,
                    const struct relay_value *v, const uint8_t *pickle, size_t n)
{
    struct nk_json j;
    nk_json_init(&j, out, false);
    if (!v) {
        return put_base64_record(&j, "pickle", pickle, n);
    }
    if (v->type == RELAY_VALUE_BYTES) {
        return put_base64_record(&j, relay_value_type_name(v->type), v->u.s.p, v->u.s.n);
    }
    nk_json_object(&j);
    nk_json_kv_str(&j, "type", relay_value_type_name(v->type));
    nk_json_key(&j, "value");
    (void)relay_value_to_json(doc, v, &j);
    nk_json_close(&j);
    return nk_json_end(&j);
}

static int put_text(struct nk_buf *out, const struct relay_value_doc *doc,
                    const struct relay_value *v, const uint8_t *pickle, size_t n)
{
    struct nk_json j;
    if (!v) {
        return put_json(out, doc, NULL, pickle, n);
    }
    if (is_octets(v)) {
        return nk_buf_put(out, v->u.s.p, v->u.s.n);
    }
    nk_json_init(&j, out, false);
    (void)relay_value_to_json(doc, v, &j);
    return nk_json_end(&j);
}

int relay_endpoint_format_object(struct nk_buf *out, enum relay_endpoint_format format,
                                 struct relay_value_doc *doc, const uint8_t *pickle, size_t n)
{
    size_t before = nk_buf_len(out);
    const struct relay_value *v = NULL;
    int status = 0;
    if (format != ENDPOINT_PICKLE) {
        status = relay_value_decode(doc, pickle, n);
        v = relay_value_root(doc); /* NULL for what is not plain data: it is passed on as it is */
    }
    if (status == -ENOMEM) {
        return status;
    }
    switch (format) {
    case ENDPOINT_JSON:
        status = put_json(out, doc, v, pickle, n);
        break;
    case ENDPOINT_TEXT:
        status = put_text(out, doc, v, pickle, n);
        break;
    default:
        status = is_octets(v) ? nk_buf_put(out, v->u.s.p, v->u.s.n) : nk_buf_put(out, pickle, n);
        break;
    }
    if (status == 0 && (format == ENDPOINT_JSON || format == ENDPOINT_TEXT)) {
        status = nk_buf_u8(out, '\n');
    }
    if (status < 0) {
        out->len = before;
    }
    return status;
}

static void on_event(void *owner, struct nk_stream *stream, unsigned events)
{
    struct relay_endpoint_sink *s = owner;
    int status = 0;
    if (events & NK_CLOSED) {
        status = nk_stream_error(stream, NULL);
        status = status < 0 ? status : -EPIPE;
    } else if (events & NK_WRITABLE && s->waiting) {
        status = relay_endpoint_sink_flush(s);
        if (status == 0) {
            return;
        }
    } else {
        return;
    }
    s->on_drained(s->owner, status < 0 ? status : 0);
}

static void adopt(struct relay_endpoint_sink *s, size_t max, void (*on_drained)(void *, int),
                  void *owner)
{
    nk_buf_init(&s->pending, max);
    s->on_drained = on_drained;
    s->owner = owner;
    nk_stream_own(s->stream, on_event, s);
    nk_stream_interest(s->stream, NK_WRITABLE);
}

int relay_endpoint_sink_open(struct relay_endpoint_sink *s, struct nk_app *app, int fd, size_t max,
                             void (*on_drained)(void *, int), void *owner, struct nk_diag *diag)
{
    struct stat st;
    int copy = fstat(fd, &st) < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        return nk_fail_sys(diag, -errno, "cannot write to descriptor %d", fd);
    }
    int status = nk_stream_from_inherited(app, -1, copy, "stdout", &s->stream, diag);
    if (status < 0) {
        s->stream = NULL;
        return status;
    }
    adopt(s, max, on_drained, owner);
    s->check = !S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode);
    return 0;
}

int relay_endpoint_sink_pipe(struct relay_endpoint_sink *s, struct nk_app *app, int take_fd,
                             size_t max, void (*on_drained)(void *, int), void *owner)
{
    int status = nk_stream_from_fd(app, take_fd, "stdin of a program", &s->stream);
    if (status < 0) {
        s->stream = NULL;
        return status;
    }
    adopt(s, max, on_drained, owner);
    return 0;
}

int relay_endpoint_sink_flush(struct relay_endpoint_sink *s)
{
    ssize_t n = 0;
    s->waiting = false;
    while (nk_buf_len(&s->pending) > 0 && n >= 0) {
        n = nk_stream_write(s->stream, nk_buf_ptr(&s->pending), nk_buf_len(&s->pending));
        if (n > 0) {
            nk_buf_consume(&s->pending, (size_t)n);
        }
    }
    if (n >= 0 && s->check) {
        n = nk_stream_write(s->stream, "", 0);
    }
    if (n == NK_EAGAIN) {
        s->waiting = true;
        return 0;
    }
    return n < 0 ? (int)n : 1;
}

void relay_endpoint_sink_close(struct relay_endpoint_sink *s)
{
    nk_stream_close(s->stream);
    nk_buf_clear(&s->pending);
    *s = (struct relay_endpoint_sink){0};
}
