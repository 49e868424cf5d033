/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_print.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "core/stream.h"

const char *const relay_endpoint_formats[] = {"json", "text", "raw", "pickle", NULL};
const char *const relay_endpoint_receive_formats[] = {"json",   "text",  "raw",
                                                      "pickle", "files", NULL};

static bool is_octets(const struct relay_value *v)
{
    return v && (v->type == RELAY_VALUE_STR || v->type == RELAY_VALUE_BYTES);
}

/* "type":..,"value":"<base64>" */
static int put_base64(struct nk_json *j, const char *type, const uint8_t *p, size_t n)
{
    char *text = n < SIZE_MAX / 2 ? malloc(NK_BASE64_SIZE(n)) : NULL;
    if (!text) {
        return -ENOMEM;
    }
    nk_base64_encode(text, p, n, true);
    nk_json_kv_str(j, "type", type);
    nk_json_kv_str(j, "value", text);
    free(text);
    return 0;
}

/* "type":..,"value":.. of a pickle; v is NULL when it is not plain data. */
static int put_pickle(struct nk_json *j, const struct relay_value_doc *doc,
                      const struct relay_value *v, const uint8_t *pickle, size_t n)
{
    if (!v) {
        return put_base64(j, "pickle", pickle, n);
    }
    if (v->type == RELAY_VALUE_BYTES) {
        return put_base64(j, relay_value_type_name(v->type), v->u.s.p, v->u.s.n);
    }
    nk_json_kv_str(j, "type", relay_value_type_name(v->type));
    nk_json_key(j, "value");
    (void)relay_value_to_json(doc, v, j);
    return 0;
}

static int put_json(struct nk_buf *out, const struct relay_value_doc *doc,
                    const struct relay_value *v, const uint8_t *pickle, size_t n)
{
    struct nk_json j;
    nk_json_init(&j, out, false);
    nk_json_object(&j);
    int status = put_pickle(&j, doc, v, pickle, n);
    nk_json_close(&j);
    return status < 0 ? status : nk_json_end(&j);
}

/* --- deliveries of the native wire ------------------------------------------------------------ */

static const char *const kinds[] = {[RELAY_KIND_UNKNOWN] = "unknown",
                                    [RELAY_KIND_RETAINED] = "retained",
                                    [RELAY_KIND_BROADCAST] = "broadcast",
                                    [RELAY_KIND_ITEM] = "item"};

static void put_text_of(struct nk_json *j, const char *key, const struct relay_text *t)
{
    if (t->p) {
        nk_json_key(j, key);
        nk_json_strn(j, t->p, t->len);
    }
}

/* A header's name; its value follows behind the '='. */
static size_t name_length(const struct relay_text *t)
{
    const char *eq = memchr(t->p, '=', t->len);
    return eq ? (size_t)(eq - t->p) : t->len; /* relay_meta_get has seen to it that there is one */
}

static bool same_name(const struct relay_text *a, const struct relay_text *b)
{
    size_t n = name_length(a);
    return n == name_length(b) && memcmp(a->p, b->p, n) == 0;
}

/* The first header from `from` on that has the name of t, or `headers`. */
static unsigned find_name(const struct relay_client_object *d, const struct relay_text *t,
                          unsigned from)
{
    for (; from < d->meta->headers; from++) {
        struct relay_text other = relay_meta_header(d->meta_block, from);
        if (same_name(t, &other)) {
            break;
        }
    }
    return from;
}

static void put_header_value(struct nk_json *j, const struct relay_text *t)
{
    size_t n = name_length(t);
    nk_json_strn(j, n < t->len ? t->p + n + 1 : "", n < t->len ? t->len - n - 1 : 0);
}

/* A name that stands there several times has a list of values: JSON names a member once. */
static void put_headers(struct nk_json *j, const struct relay_client_object *d)
{
    char name[RELAY_META_HEADER_MAX + 1];
    nk_json_key(j, "headers");
    nk_json_object(j);
    for (unsigned i = 0; i < d->meta->headers; i++) {
        struct relay_text t = relay_meta_header(d->meta_block, i);
        unsigned next = find_name(d, &t, i + 1);
        if (find_name(d, &t, 0) < i) {
            continue;
        }
        memcpy(name, t.p, name_length(&t));
        name[name_length(&t)] = '\0';
        nk_json_key(j, name);
        bool list = next < d->meta->headers;
        if (list) {
            nk_json_array(j);
        }
        put_header_value(j, &t);
        for (; next < d->meta->headers; next = find_name(d, &t, next + 1)) {
            struct relay_text more = relay_meta_header(d->meta_block, next);
            put_header_value(j, &more);
        }
        if (list) {
            nk_json_close(j);
        }
    }
    nk_json_close(j);
}

void relay_endpoint_json_origin(struct nk_json *j, const struct relay_client_object *d,
                                const char *group)
{
    nk_json_kv_str(j, "group", group);
    nk_json_kv_str(j, "kind", kinds[d->kind]);
    if (d->seq > 0) {
        nk_json_kv_u64(j, "seq", d->seq);
    }
    if (d->kind == RELAY_KIND_ITEM) {
        nk_json_kv_u64(j, "tries", d->tries);
    }
    if (!d->meta) {
        return;
    }
    if (d->meta->has_expires) {
        nk_json_kv_u64(j, "expires_ms", d->meta->expires_ms);
    }
    put_text_of(j, "reply_to", &d->meta->reply_to);
    put_text_of(j, "correlation", &d->meta->correlation);
    put_text_of(j, "original_group", &d->meta->origin);
    put_text_of(j, "reason", &d->meta->reason);
    if (d->meta->headers > 0) {
        put_headers(j, d);
    }
}

int relay_endpoint_json_content(struct nk_json *j, struct relay_value_doc *doc,
                                const struct relay_client_object *d)
{
    bool text = d->content == RELAY_CONTENT_TEXT || d->content == RELAY_CONTENT_JSON;
    if (d->content == RELAY_CONTENT_PICKLE) {
        int status = relay_value_decode(doc, d->data, d->len);
        return status == -ENOMEM ? status
                                 : put_pickle(j, doc, relay_value_root(doc), d->data, d->len);
    }
    if (!text || !nk_utf8_valid(d->data, d->len)) {
        return put_base64(j, "bytes", d->data, d->len);
    }
    nk_json_kv_str(j, "type", d->content == RELAY_CONTENT_JSON ? "json" : "str");
    nk_json_key(j, "value");
    nk_json_strn(j, d->data, d->len);
    return 0;
}

int relay_endpoint_format_delivery(struct nk_buf *out, enum relay_endpoint_format format,
                                   struct relay_value_doc *doc, const struct relay_client_object *d,
                                   const char *group)
{
    struct nk_json j;
    size_t before = nk_buf_len(out);
    int status = 0;
    if (d->lease.wire != RELAY_CLIENT_NATIVE ||
        (d->content == RELAY_CONTENT_PICKLE && format != ENDPOINT_JSON)) {
        return relay_endpoint_format_object(out, format, doc, d->data, d->len);
    }
    if (format == ENDPOINT_JSON) {
        nk_json_init(&j, out, false);
        nk_json_object(&j);
        relay_endpoint_json_origin(&j, d, group);
        status = relay_endpoint_json_content(&j, doc, d);
        nk_json_close(&j);
        status = status < 0 ? status : nk_json_end(&j);
    } else {
        status = nk_buf_put(out, d->data, d->len);
    }
    if (status == 0 && (format == ENDPOINT_JSON || format == ENDPOINT_TEXT)) {
        status = nk_buf_u8(out, '\n');
    }
    if (status < 0) {
        out->len = before;
    }
    return status;
}

/* --- pickles ---------------------------------------------------------------------------------- */

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
