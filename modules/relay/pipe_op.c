/* SPDX-License-Identifier: MIT */
/* The requests of `netkit endpoint pipe`. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "relay/endpoint_meta.h"
#include "relay/pickle_json_in.h"
#include "relay/pipe.h"

#define COPIES_MAX 1000000000
#define DELAY_MAX ((int64_t)UINT32_MAX - 1)
#define PICKLE_GROWTH 3 /* a pickle against its JSON: "[1,2,3]" grows least, "[[],[]]" nothing */
#define JSON_GROWTH 6   /* JSON against itself: a character becomes \u00XX */
#define PICKLE_SLACK ((size_t)4096)

struct request {
    struct relay_pipe *x;
    const struct nk_json_value *root;
    struct pipe_id id;
    struct nk_diag diag;
};

static int bad(struct request *r, const char *text)
{
    return nk_fail(&r->diag, NK_EUSAGE, "%s", text);
}

static int get_id(struct request *r)
{
    const struct nk_json_value *v = nk_json_get(r->root, "id");
    size_t n;
    const char *s = nk_json_to_text(v, &n);
    if (!v) {
        return 0;
    }
    if (s) {
        r->id = (struct pipe_id){.given = true, .text = true, .n = n, .s = malloc(n + 1)};
        if (!r->id.s) {
            return -ENOMEM;
        }
        memcpy(r->id.s, s, n + 1);
        return 0;
    }
    if (nk_json_type(v) != NK_JSON_INT) {
        return bad(r, "id: a text or a number");
    }
    r->id = (struct pipe_id){.given = true, .number = nk_json_to_int(v)};
    return 0;
}

/* A number that may be missing. */
static int get_number(struct request *r, const char *key, int64_t def, int64_t min, int64_t max,
                      int64_t *out)
{
    const struct nk_json_value *v = nk_json_get(r->root, key);
    int64_t n = v ? nk_json_to_int(v) : def;
    if ((v && nk_json_type(v) != NK_JSON_INT) || n < min || n > max) {
        return nk_fail(&r->diag, NK_EUSAGE, "%s: a number from %lld to %lld", key, (long long)min,
                       (long long)max);
    }
    *out = n;
    return 0;
}

static int get_group(struct request *r, bool member, uint32_t *out)
{
    size_t n;
    const char *s = nk_json_to_text(nk_json_get(r->root, "group"), &n);
    if (!s || n == 0 || n > ENDPOINT_GROUP_MAX || strlen(s) != n) {
        return bad(r, "group: the name of a group");
    }
    int rc = relay_client_group(r->x->session.client, s, member, out);
    if (rc == NK_EUNSUPPORTED) {
        return bad(r, "on tlspyo's wire groups are joined at the start only: use --group");
    }
    return rc < 0 ? nk_fail_sys(&r->diag, rc, "group") : 0;
}

/* --- payloads --------------------------------------------------------------------------------- */

struct payload {
    uint8_t *data; /* malloc'd */
    size_t n;
    enum relay_client_wrap wrap;
};

static int take(struct nk_buf *b, struct payload *out)
{
    out->data = nk_buf_detach(b, &out->n);
    if (!out->data) {
        out->data = malloc(1);
        out->n = 0;
    }
    return out->data ? 0 : -ENOMEM;
}

static int from_base64(struct request *r, const char *s, size_t n, struct payload *out)
{
    uint8_t *data = malloc(n + 1);
    if (!data) {
        return -ENOMEM;
    }
    ssize_t got = nk_base64_decode(data, n + 1, s, n);
    if (got < 0) {
        free(data);
        return bad(r, "not base64");
    }
    out->data = data;
    out->n = (size_t)got;
    return 0;
}

static int from_value(struct request *r, const struct nk_json_value *v, struct payload *out)
{
    struct nk_buf b;
    nk_buf_init(&b, PICKLE_GROWTH * nk_buf_len(&r->x->line) + PICKLE_SLACK);
    int rc = relay_pickle_from_json(&b, v);
    rc = rc == NK_ETOOBIG ? bad(r, "value: nested too deeply") : rc;
    rc = rc < 0 ? rc : take(&b, out);
    nk_buf_clear(&b);
    return rc;
}

static int from_file(struct request *r, const char *path, struct payload *out)
{
    struct nk_buf b;
    nk_buf_init(&b, (size_t)r->x->conf->common.max_object);
    int rc = nk_file_read(path, 0, &b, &r->diag);
    rc = rc < 0 ? rc : take(&b, out);
    nk_buf_clear(&b);
    return rc;
}

static int from_text(const char *s, size_t n, struct payload *out)
{
    out->data = malloc(n + 1);
    if (!out->data) {
        return -ENOMEM;
    }
    memcpy(out->data, s, n);
    out->n = n;
    return 0;
}

static int from_pickle(struct request *r, const char *s, size_t n, struct payload *out)
{
    struct relay_value_doc doc = {0};
    int rc = from_base64(r, s, n, out);
    rc = rc < 0 ? rc : relay_value_decode(&doc, out->data, out->n);
    relay_value_doc_clear(&doc);
    /* what is more than plain data is unsupported here, and fine */
    return rc == NK_EFORMAT && out->data ? bad(r, "pickle: it is none") : out->data ? 0 : rc;
}

static int get_payload(struct request *r, struct payload *out)
{
    static const char *const keys[] = {"value", "text", "base64", "file", "pickle"};
    const struct nk_json_value *found = NULL;
    size_t which = 0, many = 0, n;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct nk_json_value *v = nk_json_get(r->root, keys[i]);
        if (v) {
            found = v;
            which = i;
            many++;
        }
    }
    if (many != 1) {
        return bad(r, "exactly one of value, text, base64, file, pickle");
    }
    const char *s = nk_json_to_text(found, &n);
    if (which > 0 && !s) {
        return nk_fail(&r->diag, NK_EUSAGE, "%s: a text", keys[which]);
    }
    switch (which) {
    case 0:
        return from_value(r, found, out);
    case 1:
        out->wrap = RELAY_WRAP_STR;
        return from_text(s, n, out);
    case 2:
        out->wrap = RELAY_WRAP_BYTES;
        return from_base64(r, s, n, out);
    case 3:
        out->wrap = RELAY_WRAP_BYTES;
        return strlen(s) == n ? from_file(r, s, out) : bad(r, "file: a path");
    default:
        return from_pickle(r, s, n, out);
    }
}

/* --- metadata --------------------------------------------------------------------------------- */

static int add_header(struct request *r, const struct nk_json_value *name,
                      const struct nk_json_value *value, struct relay_endpoint_meta *m)
{
    size_t n, len;
    const char *s = nk_json_to_text(name, &n), *v = nk_json_to_text(value, &len);
    struct nk_buf line;
    if (!v) {
        return bad(r, "headers: each value is a text, or a list of texts");
    }
    if (memchr(s, '=', n)) {
        return bad(r, "headers: a name has no '='");
    }
    nk_buf_init(&line, RELAY_META_MAX);
    int rc = nk_buf_put(&line, s, n);
    rc = rc < 0 ? rc : nk_buf_u8(&line, '=');
    rc = rc < 0 || len == 0 ? rc : nk_buf_put(&line, v, len);
    rc = rc == NK_ETOOBIG ? bad(r, "headers: too long") : rc;
    rc = rc < 0 ? rc
                : relay_endpoint_meta_header(m, (const char *)nk_buf_ptr(&line), nk_buf_len(&line),
                                             &r->diag);
    nk_buf_clear(&line);
    return rc;
}

static int get_headers(struct request *r, struct relay_endpoint_meta *m)
{
    struct nk_json_walk w = {.of = nk_json_get(r->root, "headers")};
    const struct nk_json_value *v;
    int rc = 0;
    if (w.of && nk_json_type(w.of) != NK_JSON_OBJECT) {
        return bad(r, "headers: an object of texts");
    }
    while (rc == 0 && w.of && (v = nk_json_next(&w)) != NULL) {
        struct nk_json_walk list = {.of = v};
        const struct nk_json_value *one;
        if (nk_json_type(v) != NK_JSON_ARRAY) {
            rc = add_header(r, w.key, v, m);
            continue;
        }
        while (rc == 0 && (one = nk_json_next(&list)) != NULL) {
            rc = add_header(r, w.key, one, m);
        }
    }
    return rc;
}

static int get_meta(struct request *r, struct relay_endpoint_meta *m)
{
    const struct nk_json_value *reply = nk_json_get(r->root, "reply_to");
    const struct nk_json_value *id = nk_json_get(r->root, "correlation");
    size_t n;
    int64_t ttl;
    int rc = get_number(r, "ttl", 0, 0, INT64_MAX, &ttl);
    m->ttl_ms = rc == 0 ? (uint64_t)ttl : 0;
    if (rc == 0 && reply) {
        const char *s = nk_json_to_text(reply, &n);
        rc = s ? relay_endpoint_meta_reply_to(m, s, n, &r->diag) : bad(r, "reply_to: a text");
    }
    if (rc == 0 && id) {
        const char *s = nk_json_to_text(id, &n);
        rc = s ? relay_endpoint_meta_correlation(m, s, n, &r->diag) : bad(r, "correlation: a text");
    }
    return rc < 0 ? rc : get_headers(r, m);
}

static void put_json(struct nk_json *j, const struct nk_json_value *v)
{
    struct nk_json_walk w = {.of = v};
    const struct nk_json_value *item;
    const char *s;
    size_t n;
    switch (nk_json_type(v)) {
    case NK_JSON_NULL:
        nk_json_null(j);
        break;
    case NK_JSON_BOOL:
        nk_json_bool(j, nk_json_to_bool(v));
        break;
    case NK_JSON_INT:
        nk_json_i64(j, nk_json_to_int(v));
        break;
    case NK_JSON_UINT:
        nk_json_u64(j, nk_json_to_uint(v));
        break;
    case NK_JSON_DOUBLE:
        nk_json_f64(j, nk_json_to_double(v));
        break;
    case NK_JSON_STRING:
        s = nk_json_to_text(v, &n);
        nk_json_strn(j, s, n);
        break;
    case NK_JSON_ARRAY:
    case NK_JSON_OBJECT:
        if (j->depth >= NK_JSON_DEPTH) {
            j->error = NK_ETOOBIG;
            return;
        }
        (nk_json_type(v) == NK_JSON_ARRAY ? nk_json_array : nk_json_object)(j);
        while (j->error == 0 && (item = nk_json_next(&w)) != NULL) {
            if (w.key) {
                nk_json_key(j, nk_json_to_text(w.key, NULL));
            }
            put_json(j, item);
        }
        nk_json_close(j);
        break;
    }
}

/* A value that is sent as JSON is its text. */
static int value_as_json(struct request *r, const struct nk_json_value *v, struct payload *load)
{
    struct nk_json j;
    struct nk_buf b;
    nk_buf_init(&b, JSON_GROWTH * nk_buf_len(&r->x->line) + PICKLE_SLACK);
    nk_json_init(&j, &b, false);
    put_json(&j, v);
    int rc = j.error == NK_ETOOBIG ? bad(r, "value: nested too deeply") : nk_json_end(&j);
    free(load->data);
    load->data = NULL;
    rc = rc < 0 ? rc : take(&b, load);
    nk_buf_clear(&b);
    return rc;
}

/* "content": what the data are marked as, instead of the Python object that others get. */
static int get_content(struct request *r, struct payload *load, struct relay_client_publish *p)
{
    static const char *const names[] = {[RELAY_CONTENT_BYTES] = "bytes",
                                        [RELAY_CONTENT_TEXT] = "text",
                                        [RELAY_CONTENT_JSON] = "json",
                                        [RELAY_CONTENT_PICKLE] = "pickle"};
    const struct nk_json_value *v = nk_json_get(r->root, "content");
    const char *s = nk_json_to_text(v, NULL);
    p->wrap = load->wrap;
    if (!v) {
        return 0;
    }
    for (unsigned i = 0; s && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(s, names[i]) == 0) {
            p->content = (enum relay_content)i;
            p->wrap = RELAY_WRAP_NONE;
            if (i == RELAY_CONTENT_JSON && nk_json_get(r->root, "value")) {
                return value_as_json(r, nk_json_get(r->root, "value"), load);
            }
            bool pickle = load->wrap == RELAY_WRAP_NONE;
            bool text = i == RELAY_CONTENT_TEXT || i == RELAY_CONTENT_JSON;
            if (pickle != (i == RELAY_CONTENT_PICKLE)) {
                return bad(r, "content: pickle goes with value and pickle, bytes and text do not");
            }
            return text && !nk_utf8_valid(load->data, load->n) ? bad(r, "content: not UTF-8") : 0;
        }
    }
    return bad(r, "content: one of bytes, text, json, pickle");
}

/* --- requests --------------------------------------------------------------------------------- */

static void remember(struct request *r, uint32_t group, uint64_t number,
                     struct pipe_sent *take_note)
{
    take_note->group = group;
    take_note->number = number;
    take_note->id = r->id;
    r->id = (struct pipe_id){0};
    *r->x->sent_end = take_note;
    r->x->sent_end = &take_note->next;
}

/* Publish; load belongs to the client afterwards. */
static int publish(struct request *r, const struct relay_client_publish *p, struct payload *load)
{
    uint64_t number;
    struct pipe_sent *note = r->id.given ? calloc(1, sizeof(*note)) : NULL;
    if (r->id.given && !note) {
        return -ENOMEM;
    }
    uint8_t *data = load->data;
    load->data = NULL;
    int rc = relay_client_publish_take(r->x->session.client, p, data, load->n, &number);
    if (rc < 0) {
        free(note);
        return nk_fail_sys(&r->diag, rc, "not sent");
    }
    if (note) {
        remember(r, p->group, number, note);
    }
    return 0;
}

static int do_send(struct request *r, bool produce)
{
    struct relay_client_publish p = {.content = RELAY_CONTENT_PICKLE};
    struct relay_endpoint_meta meta = {0};
    struct payload load = {0};
    int64_t copies = 0;
    int rc = get_group(r, false, &p.group);
    rc = rc < 0 || !produce ? rc : get_number(r, "copies", 1, 1, COPIES_MAX, &copies);
    rc = rc < 0 ? rc : get_meta(r, &meta);
    rc = rc < 0 ? rc : get_payload(r, &load);
    rc = rc < 0 ? rc : get_content(r, &load, &p);
    if (rc == 0) {
        p.copies = (uint64_t)copies;
        relay_endpoint_meta_publish(&meta, &p);
        rc = publish(r, &p, &load);
    }
    free(load.data);
    relay_endpoint_meta_clear(&meta);
    return rc;
}

static int do_produce(struct request *r)
{
    return do_send(r, true);
}

static int do_broadcast(struct request *r)
{
    return do_send(r, false);
}

static int do_join(struct request *r)
{
    uint32_t group;
    return get_group(r, true, &group);
}

static int do_notify(struct request *r)
{
    uint32_t group;
    int64_t n;
    int rc = get_number(r, "n", 1, -1, COPIES_MAX, &n);
    rc = rc < 0 ? rc : get_group(r, true, &group);
    if (rc == 0 && n < 0) {
        relay_client_drain(r->x->session.client, group, 0);
    } else if (rc == 0) {
        relay_client_credit(r->x->session.client, group, (uint64_t)n);
    }
    return rc;
}

static int get_lease(struct request *r, struct pipe_lease **out)
{
    int64_t number;
    if (!nk_json_get(r->root, "lease")) {
        return bad(r, "lease: the number of an object");
    }
    int rc = get_number(r, "lease", 0, 1, INT64_MAX, &number);
    *out = rc == 0 ? pipe_find_lease(r->x, (uint64_t)number) : NULL;
    return rc == 0 && !*out ? bad(r, "lease: not held, or lost") : rc;
}

static int do_ack(struct request *r)
{
    struct pipe_lease *l;
    int rc = get_lease(r, &l);
    if (rc == 0) {
        relay_client_ack(r->x->session.client, &l->lease);
        l->done = true;
        pipe_forget_leases(r->x);
    }
    return rc;
}

static int do_nack(struct request *r)
{
    struct pipe_lease *l;
    int64_t delay;
    int rc = get_number(r, "delay", 0, 0, DELAY_MAX, &delay);
    rc = rc < 0 ? rc : get_lease(r, &l);
    bool dead = nk_json_to_bool(nk_json_get(r->root, "dead"));
    if (rc == 0) {
        rc = relay_client_nack(r->x->session.client, &l->lease,
                               dead ? RELAY_NATIVE_DEAD : (uint32_t)delay);
        l->done = rc == 0;
        pipe_forget_leases(r->x);
    }
    return rc;
}

static int do_extend(struct request *r)
{
    struct pipe_lease *l;
    int64_t ms;
    int rc = get_number(r, "ms", 0, 0, DELAY_MAX, &ms);
    rc = rc < 0 ? rc : get_lease(r, &l);
    return rc < 0 ? rc : relay_client_extend(r->x->session.client, &l->lease, (uint32_t)ms);
}

static int do_flush(struct request *r)
{
    r->x->flushing = true;
    r->x->flush = r->id;
    r->id = (struct pipe_id){0};
    return 0;
}

static int dispatch(struct request *r)
{
    static const struct {
        const char *name;
        int (*run)(struct request *r);
    } ops[] = {{"produce", do_produce}, {"broadcast", do_broadcast},
               {"join", do_join},       {"notify", do_notify},
               {"ack", do_ack},         {"nack", do_nack},
               {"extend", do_extend},   {"flush", do_flush}};
    const char *op = nk_json_to_text(nk_json_get(r->root, "op"), NULL);
    int rc = get_id(r);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; op && i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (strcmp(op, ops[i].name) == 0) {
            return ops[i].run(r);
        }
    }
    return bad(r, "op: one of produce, broadcast, join, notify, ack, nack, extend, flush");
}

void pipe_request(struct relay_pipe *x, const uint8_t *p, size_t n)
{
    struct request r = {.x = x};
    struct nk_json_doc *doc = NULL;
    int rc = nk_json_parse(&doc, p, n, &r.diag);
    if (rc == 0) {
        r.root = nk_json_root(doc);
        rc = dispatch(&r);
    }
    if (rc < 0) {
        struct nk_json j;
        pipe_begin(x, &j, "error");
        nk_json_kv_u64(&j, "line", x->lines);
        nk_json_kv_str(&j, "error", r.diag.text[0] ? r.diag.text : nk_strerror(rc));
        pipe_put_id(&j, &r.id);
        pipe_end(x, &j);
    }
    pipe_id_clear(&r.id);
    nk_json_doc_free(doc);
}
