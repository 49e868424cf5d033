/* SPDX-License-Identifier: MIT */
/* The requests of `netkit endpoint pipe`. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "relay/pickle_json_in.h"
#include "relay/pipe.h"

#define COPIES_MAX 1000000000
#define DELAY_MAX ((int64_t)UINT32_MAX - 1)
#define PICKLE_GROWTH 3 /* a pickle against its JSON: "[1,2,3]" grows least, "[[],[]]" nothing */
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

/* --- requests --------------------------------------------------------------------------------- */

static int remember(struct request *r, uint32_t group, uint64_t number, struct pipe_sent *take_note)
{
    take_note->group = group;
    take_note->number = number;
    take_note->id = r->id;
    r->id = (struct pipe_id){0};
    *r->x->sent_end = take_note;
    r->x->sent_end = &take_note->next;
    return 0;
}

static int do_send(struct request *r, bool produce)
{
    struct relay_client_publish p = {.content = RELAY_CONTENT_PICKLE};
    struct payload load = {0};
    int64_t copies = 0, ttl = 0;
    uint64_t number;
    int rc = get_group(r, false, &p.group);
    rc = rc < 0 || !produce ? rc : get_number(r, "copies", 1, 1, COPIES_MAX, &copies);
    rc = rc < 0 ? rc : get_number(r, "ttl", 0, 0, INT64_MAX, &ttl);
    rc = rc < 0 ? rc : get_payload(r, &load);
    struct pipe_sent *note = rc == 0 && r->id.given ? calloc(1, sizeof(*note)) : NULL;
    rc = rc == 0 && r->id.given && !note ? -ENOMEM : rc;
    if (rc < 0) {
        free(load.data);
        return rc;
    }
    p.copies = (uint64_t)copies;
    p.ttl_ms = (uint64_t)ttl;
    p.wrap = load.wrap;
    rc = relay_client_publish_take(r->x->session.client, &p, load.data, load.n, &number);
    if (rc < 0) {
        free(note);
        return nk_fail_sys(&r->diag, rc, "not sent");
    }
    return note ? remember(r, p.group, number, note) : 0;
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
