/* SPDX-License-Identifier: MIT */
/* Events as JSON: each field by its kind; what does not fit its kind is a string. */
#include <stdlib.h>
#include <string.h>

#include "tor/event.h"
#include "tor/ns.h"

#define NUMBER_MAX 24 /* longest number that is read: 64 bits, or a fraction */

/* The number in len bytes, as text with its end. False when it cannot be one. */
static bool number_text(char *out, const char *text, size_t len)
{
    if (len == 0 || len >= NUMBER_MAX)
        return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return strspn(out, "+-.0123456789eE") == len;
}

static bool read_int(const char *text, size_t len, int64_t *out)
{
    char num[NUMBER_MAX], *end;
    if (!number_text(num, text, len) || num[0] == '+')
        return false;
    errno = 0;
    *out = strtoll(num, &end, 10);
    return errno == 0 && end == num + len;
}

static bool put_number(struct nk_json *j, const struct tor_value *v)
{
    int64_t i;
    if (v->kind == TOR_INT) {
        if (!read_int(v->text, v->len, &i))
            return false;
        nk_json_i64(j, i);
        return true;
    }
    char num[NUMBER_MAX], *end;
    if (!number_text(num, v->text, v->len))
        return false;
    double d = strtod(num, &end);
    if (end != num + v->len)
        return false;
    nk_json_f64(j, d);
    return true;
}

static bool put_bool(struct nk_json *j, const struct tor_value *v)
{
    bool yes = tor_value_is(v, "YES") || tor_value_is(v, "yes") || tor_value_is(v, "1");
    if (!yes && !tor_value_is(v, "NO") && !tor_value_is(v, "no") && !tor_value_is(v, "0"))
        return false;
    nk_json_bool(j, yes);
    return true;
}

/* ISOTime, with a space or T inside and perhaps a fraction (control-spec §2.4). */
static bool put_time(struct nk_json *j, const struct tor_value *v)
{
    static const char form[] = "dddd-dd-dd dd:dd:dd";
    enum { DATE = 10, LEN = sizeof form - 1, FRACTION = 10 };
    char out[LEN + FRACTION + 2];
    if (v->len < LEN || v->len > LEN + FRACTION)
        return false;
    for (size_t i = 0; i < v->len; i++) {
        char want = i < LEN ? form[i] : i == LEN ? '.' : 'd';
        char c = i == DATE && v->text[i] == 'T' ? ' ' : v->text[i];
        if (want == 'd' ? c < '0' || c > '9' : c != want)
            return false;
    }
    memcpy(out, v->text, v->len);
    out[DATE] = 'T';
    out[v->len] = 'Z';
    nk_json_strn(j, out, v->len + 1);
    return true;
}

static void put_relay(struct nk_json *j, const char *text, size_t len)
{
    struct tor_relay_name relay;
    if (!tor_relay_name_read(&relay, text, len) || !relay.fingerprint) {
        nk_json_strn(j, text, len);
        return;
    }
    nk_json_object(j);
    nk_json_key(j, "fingerprint");
    nk_json_strn(j, relay.fingerprint, TOR_FINGERPRINT);
    nk_json_key(j, "nickname");
    if (relay.nickname)
        nk_json_strn(j, relay.nickname, relay.nickname_len);
    else
        nk_json_null(j);
    nk_json_close(j);
}

static void put_list(struct nk_json *j, const struct tor_value *v)
{
    struct tor_split s = {.text = v->text, .len = v->len};
    nk_json_array(j);
    while (tor_split_next(&s, v->kind == TOR_RELAYS ? ' ' : ',')) {
        if (v->kind == TOR_LIST)
            nk_json_strn(j, s.word, s.word_len);
        else if (s.word_len > 0)
            put_relay(j, s.word, s.word_len);
    }
    nk_json_close(j);
}

/* "relay:2,create2:1"; false when a member is no such pair. */
static bool put_counts(struct nk_json *j, const struct tor_value *v)
{
    char key[TOR_NAME_MAX];
    for (int write = 0; write < 2; write++) { /* first look whether it is one */
        struct tor_split s = {.text = v->text, .len = v->len};
        if (write)
            nk_json_object(j);
        while (tor_split_next(&s, ',')) {
            size_t n = 0;
            while (n < s.word_len && s.word[n] != ':' && s.word[n] != '=')
                n++;
            int64_t count;
            if (n == 0 || n + 1 >= s.word_len || n >= sizeof key ||
                !read_int(s.word + n + 1, s.word_len - n - 1, &count))
                return false;
            memcpy(key, s.word, n);
            key[n] = '\0';
            if (write)
                nk_json_kv_i64(j, key, count);
        }
    }
    nk_json_close(j);
    return true;
}

static int put_string(struct nk_json *j, const struct tor_value *v)
{
    if (!v->quoted || !memchr(v->text, '\\', v->len)) {
        nk_json_strn(j, v->text, v->len);
        return 0;
    }
    struct nk_buf plain;
    nk_buf_init(&plain, v->len);
    const struct tor_word w = {.value = v->text, .value_len = v->len, .quoted = true};
    int rc = tor_word_put(&w, &plain);
    if (rc == 0)
        nk_json_strn(j, nk_buf_ptr(&plain), nk_buf_len(&plain));
    else /* an escape that tor does not have: as it is */
        nk_json_strn(j, v->text, v->len);
    nk_buf_clear(&plain);
    return rc == -ENOMEM ? rc : 0;
}

int tor_value_json(const struct tor_value *v, struct nk_json *j)
{
    bool done = false;
    switch ((enum tor_value_kind)v->kind) {
    case TOR_INT:
    case TOR_FLOAT:
        done = put_number(j, v);
        break;
    case TOR_BOOL:
        done = put_bool(j, v);
        break;
    case TOR_TIME:
        done = put_time(j, v);
        break;
    case TOR_COUNTS:
        done = put_counts(j, v);
        break;
    case TOR_LIST:
    case TOR_PATH:
    case TOR_RELAYS:
        put_list(j, v);
        done = true;
        break;
    case TOR_RELAY:
        put_relay(j, v->text, v->len);
        done = true;
        break;
    case TOR_TEXT:
    case TOR_ID:
    case TOR_ENUM:
    case TOR_REST:
        break;
    }
    return done ? 0 : put_string(j, v);
}

/* Whether an earlier field has that name; the first one of a name is the one that is written. */
static bool repeated(const struct tor_event *e, size_t i, const char *name)
{
    for (size_t k = 0; k < i; k++) {
        if (e->v[k].name_len != e->v[i].name_len)
            continue;
        char other[TOR_NAME_MAX];
        tor_value_name(other, &e->v[k]);
        if (strcmp(name, other) == 0)
            return true;
    }
    return strcmp(name, "event") == 0;
}

/* CONF_CHANGED (§4.1.18): "Key=value", unquoted, or "Key" when it was reset. */
static void put_changes(struct nk_json *j, const struct tor_reply *r)
{
    nk_json_key(j, "changes");
    nk_json_array(j);
    for (size_t i = 1; i < r->n; i++) {
        struct tor_word pair;
        bool set = tor_line_pair(&r->lines[i], &pair);
        if (r->lines[i].kind == ' ') /* "650 OK" */
            continue;
        nk_json_object(j);
        nk_json_key(j, "key");
        nk_json_strn(j, pair.key, pair.key_len);
        nk_json_key(j, "value");
        if (set)
            nk_json_strn(j, pair.value, pair.value_len);
        else
            nk_json_null(j);
        nk_json_close(j);
    }
    nk_json_close(j);
}

static void put_relays(struct nk_json *j, const struct tor_line *l)
{
    struct tor_ns_walk walk;
    struct tor_ns relay;
    tor_ns_begin(&walk, l->data, l->data_len);
    nk_json_key(j, "relays");
    nk_json_array(j);
    while (tor_ns_next(&walk, &relay)) {
        nk_json_object(j);
        tor_ns_json(&relay, j);
        nk_json_close(j);
    }
    nk_json_close(j);
}

/* What is not in the first line. */
static void put_lines(const struct tor_event *e, struct nk_json *j)
{
    const struct tor_reply *r = e->reply;
    bool ns = tor_event_is(e, "NS") || tor_event_is(e, "NEWCONSENSUS");
    if (tor_event_is(e, "CONF_CHANGED")) {
        put_changes(j, r);
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        if (r->lines[i].kind == '+' && r->lines[i].data) {
            if (ns) {
                put_relays(j, &r->lines[i]);
            } else {
                nk_json_key(j, "data");
                nk_json_strn(j, r->lines[i].data, r->lines[i].data_len);
            }
            return; /* no event has two */
        }
    }
}

int tor_event_json(const struct tor_event *e, bool name, struct nk_json *j)
{
    int rc = 0;
    if (name) {
        nk_json_key(j, "event");
        nk_json_strn(j, e->name, e->name_len);
    }
    for (size_t i = 0; i < e->n && rc == 0; i++) {
        char key[TOR_NAME_MAX];
        tor_value_name(key, &e->v[i]);
        if (repeated(e, i, key))
            continue;
        nk_json_key(j, key);
        rc = tor_value_json(&e->v[i], j);
    }
    if (rc == 0 && e->cut)
        nk_json_kv_bool(j, "cut", true);
    if (rc == 0 && e->reply)
        put_lines(e, j);
    return rc < 0 ? rc : j->error;
}
