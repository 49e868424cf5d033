/* SPDX-License-Identifier: MIT */
#include "tor/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 256, /* of each set; a busy tor has some hundred circuits and streams */
    FNV_BASIS = 0x811c9dc5u,
    FNV_PRIME = 0x01000193u /* FNV-1a, 32 bits */
};

struct set {
    struct tor_item *first, *last;
    size_t count;
    uint32_t seen; /* number of the present snapshot */
    struct tor_item *bucket[BUCKETS];
};

struct tor_state {
    struct set set[TOR_SETS];
    size_t bytes;
    struct tor_traffic traffic;
};

struct tor_state *tor_state_new(void)
{
    return calloc(1, sizeof(struct tor_state));
}

const char *tor_set_key(enum tor_set set)
{
    static const char keys[TOR_SETS][24] = {"circuit-status", "stream-status", "orconn-status",
                                            "entry-guards", "address-mappings/all"};
    return keys[set];
}

/* --- items ----------------------------------------------------------------------------------- */

static uint32_t hash_of(const char *p, size_t n)
{
    uint32_t h = FNV_BASIS;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)p[i]) * FNV_PRIME;
    return h;
}

static struct tor_item *find(const struct set *set, const char *key, size_t len)
{
    uint32_t hash = hash_of(key, len);
    struct tor_item *it = set->bucket[hash % BUCKETS];
    while (it && (it->hash != hash || it->key_len != len || memcmp(it->text, key, len) != 0))
        it = it->chain;
    return it;
}

static void drop(struct tor_state *s, struct set *set, struct tor_item *it)
{
    struct tor_item **at = &set->bucket[it->hash % BUCKETS];
    while (*at != it)
        at = &(*at)->chain;
    *at = it->chain;
    if (it->prev)
        it->prev->next = it->next;
    else
        set->first = it->next;
    if (it->next)
        it->next->prev = it->prev;
    else
        set->last = it->prev;
    set->count--;
    s->bytes -= sizeof *it + it->size;
    free(it->text);
    free(it);
}

void tor_state_free(struct tor_state *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < TOR_SETS; i++) {
        while (s->set[i].first)
            drop(s, &s->set[i], s->set[i].first);
    }
    free(s);
}

/* Make room by forgetting the oldest item of the set that has most; never `keep`. */
static void bound(struct tor_state *s, const struct tor_item *keep)
{
    while (s->bytes > TOR_STATE_BYTES) {
        struct set *most = &s->set[0];
        for (size_t i = 1; i < TOR_SETS; i++)
            most = s->set[i].count > most->count ? &s->set[i] : most;
        struct tor_item *old = most->first == keep && keep ? keep->next : most->first;
        if (!old)
            return;
        drop(s, most, old);
        s->traffic.forgotten++;
    }
}

static struct tor_item *make(struct tor_state *s, struct set *set, const char *key, size_t len)
{
    struct tor_item *it = calloc(1, sizeof *it);
    char *text = it ? malloc(len) : NULL;
    if (!text) {
        free(it);
        return NULL;
    }
    memcpy(text, key, len);
    it->text = text;
    it->size = it->len = it->key_len = len;
    it->hash = hash_of(key, len);
    it->chain = set->bucket[it->hash % BUCKETS];
    set->bucket[it->hash % BUCKETS] = it;
    it->prev = set->last;
    if (set->last)
        set->last->next = it;
    else
        set->first = it;
    set->last = it;
    set->count++;
    s->bytes += sizeof *it + it->size;
    return it;
}

/* The item of line's first word gets that line. */
static int put(struct tor_state *s, enum tor_set which, const char *line, size_t len)
{
    struct set *set = &s->set[which];
    const char *space = memchr(line, ' ', len);
    size_t key_len = space ? (size_t)(space - line) : len;
    if (key_len == 0 || key_len > TOR_STATE_LINE)
        return 0;
    len = len > TOR_STATE_LINE ? TOR_STATE_LINE : len;
    struct tor_item *it = find(set, line, key_len);
    if (!it)
        it = make(s, set, line, key_len);
    if (!it)
        return -ENOMEM;
    it->seen = set->seen;
    if (len > it->size) {
        char *bigger = realloc(it->text, len);
        if (!bigger)
            return -ENOMEM;
        s->bytes += len - it->size;
        it->text = bigger;
        it->size = len;
    }
    memcpy(it->text, line, len);
    it->len = len;
    bound(s, it);
    return 0;
}

static void forget(struct tor_state *s, enum tor_set which, const struct tor_value *key)
{
    struct tor_item *it = key ? find(&s->set[which], key->text, key->len) : NULL;
    if (it)
        drop(s, &s->set[which], it);
}

int tor_state_snapshot(struct tor_state *s, enum tor_set which, const char *text, size_t n)
{
    struct set *set = &s->set[which];
    struct tor_split lines = {.text = text, .len = n};
    int rc = 0;
    set->seen++;
    while (rc == 0 && tor_split_next(&lines, '\n')) {
        if (lines.word_len > 0)
            rc = put(s, which, lines.word, lines.word_len);
    }
    struct tor_item *next;
    for (struct tor_item *it = set->first; rc == 0 && it; it = next) {
        next = it->next;
        if (it->seen != set->seen)
            drop(s, set, it);
    }
    return rc;
}

/* --- events ---------------------------------------------------------------------------------- */

/* The text of an event from its value v on. */
static void rest_from(const struct tor_event *e, const struct tor_value *v, const char **p,
                      size_t *n)
{
    const struct tor_line *l = &e->reply->lines[0];
    *p = v->text;
    *n = l->len - (size_t)(v->text - l->text);
}

/* A keyword that only the first event of a stream has: kept from the line before. */
static void carry(struct nk_buf *line, const struct tor_event *now, const struct tor_event *before,
                  const char *key)
{
    const struct tor_value *v = tor_event_get(before, key);
    if (!v || tor_event_get(now, key) || v->quoted)
        return;
    (void)nk_buf_printf(line, " %s=%.*s", key, (int)v->len, v->text); /* else it is cut there */
}

/* CIRC and STREAM have the form of their set's lines (control-spec §4.1.1, §4.1.2). */
static int put_event(struct tor_state *s, enum tor_set which, const struct tor_event *e)
{
    const struct tor_value *id = tor_event_get(e, "id");
    const char *text;
    size_t n;
    if (!id || id->quoted)
        return 0;
    rest_from(e, id, &text, &n);
    const struct tor_item *it = find(&s->set[which], id->text, id->len);
    struct tor_event before;
    if (which != TOR_STREAMS || !it || !tor_item_read(which, it, &before))
        return put(s, which, text, n);
    struct nk_buf line;
    nk_buf_init(&line, TOR_STATE_LINE);
    int rc = nk_buf_put(&line, text, n < TOR_STATE_LINE ? n : TOR_STATE_LINE);
    carry(&line, e, &before, "SOURCE_ADDR");
    carry(&line, e, &before, "PURPOSE");
    rc = rc < 0 ? rc : put(s, which, (const char *)nk_buf_ptr(&line), nk_buf_len(&line));
    nk_buf_clear(&line);
    return rc;
}

/* CIRC_MINOR has the circuit's line with the kind of change where its status is (§4.1.15). */
static int put_minor(struct tor_state *s, const struct tor_event *e)
{
    const struct tor_value *id = tor_event_get(e, "id"), *change = tor_event_get(e, "change");
    const struct tor_item *it = id ? find(&s->set[TOR_CIRCUITS], id->text, id->len) : NULL;
    struct tor_event before;
    if (!it || !change || !tor_item_read(TOR_CIRCUITS, it, &before))
        return 0;
    const struct tor_value *status = tor_event_get(&before, "status");
    const char *text;
    size_t n;
    struct nk_buf line;
    rest_from(e, change, &text, &n);
    nk_buf_init(&line, TOR_STATE_LINE);
    int rc = nk_buf_put(&line, id->text, id->len);
    rc = rc < 0 ? rc : nk_buf_u8(&line, ' ');
    rc = rc < 0 || !status ? rc : nk_buf_put(&line, status->text, status->len);
    size_t skip = change->len < n ? change->len : n;
    rc = rc < 0 ? rc : nk_buf_put(&line, text + skip, n - skip);
    rc = rc < 0 ? rc : put(s, TOR_CIRCUITS, (const char *)nk_buf_ptr(&line), nk_buf_len(&line));
    nk_buf_clear(&line);
    return rc == NK_ETOOBIG ? 0 : rc;
}

/* "ENTRY name STATUS" (§4.1.14) as the line "name status" of entry-guards. */
static int put_guard(struct tor_state *s, const struct tor_event *e)
{
    static const struct {
        char event[8], status[16];
    } words[] = {{"UP", "up"},
                 {"DOWN", "down"},
                 {"NEW", "never-connected"},
                 {"BAD", "unusable"},
                 {"GOOD", "up"}};
    const struct tor_value *name = tor_event_get(e, "name"), *status = tor_event_get(e, "status");
    char line[128];
    if (!tor_value_is(tor_event_get(e, "type"), "ENTRY") || !status || name->len > sizeof line / 2)
        return 0;
    if (tor_value_is(status, "DROPPED"))
        forget(s, TOR_GUARDS, name);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!tor_value_is(status, words[i].event))
            continue;
        int n = snprintf(line, sizeof line, "%.*s %s", (int)name->len, name->text, words[i].status);
        return put(s, TOR_GUARDS, line, (size_t)n);
    }
    return 0;
}

/* Only what tor keeps is in address-mappings. */
static int put_mapping(struct tor_state *s, const struct tor_event *e)
{
    const struct tor_value *from = tor_event_get(e, "address");
    const char *text;
    size_t n;
    if (!from || from->quoted || !tor_value_is(tor_event_get(e, "CACHED"), "YES"))
        return 0;
    rest_from(e, from, &text, &n);
    const char *keyword = memmem(text, n, " CACHED=", strlen(" CACHED="));
    return put(s, TOR_MAPPINGS, text, keyword ? (size_t)(keyword - text) : n);
}

static void count(struct tor_state *s, enum tor_set which, const struct tor_event *e)
{
    const struct tor_value *id = tor_event_get(e, which == TOR_STREAMS ? "id" : "ID");
    struct tor_item *it = id ? find(&s->set[which], id->text, id->len) : NULL;
    if (it) {
        it->read += tor_value_u64(tor_event_get(e, which == TOR_STREAMS ? "read" : "READ"));
        it->written +=
            tor_value_u64(tor_event_get(e, which == TOR_STREAMS ? "written" : "WRITTEN"));
    }
}

static bool over(const struct tor_event *e)
{
    const struct tor_value *status = tor_event_get(e, "status");
    return tor_value_is(status, "CLOSED") || tor_value_is(status, "FAILED");
}

static int life(struct tor_state *s, enum tor_set which, const struct tor_event *e)
{
    if (!over(e))
        return put_event(s, which, e);
    forget(s, which, tor_event_get(e, "id"));
    return 0;
}

static int orconn(struct tor_state *s, const struct tor_event *e)
{
    const struct tor_value *name = tor_event_get(e, "target");
    const char *text;
    size_t n;
    if (over(e))
        forget(s, TOR_ORCONNS, name);
    if (!name || name->quoted || over(e))
        return 0;
    rest_from(e, name, &text, &n);
    return put(s, TOR_ORCONNS, text, n);
}

int tor_state_event(struct tor_state *s, const struct tor_event *e)
{
    if (!e->reply)
        return 0;
    if (tor_event_is(e, "CIRC"))
        return life(s, TOR_CIRCUITS, e);
    if (tor_event_is(e, "STREAM"))
        return life(s, TOR_STREAMS, e);
    if (tor_event_is(e, "CIRC_MINOR"))
        return put_minor(s, e);
    if (tor_event_is(e, "ORCONN"))
        return orconn(s, e);
    if (tor_event_is(e, "GUARD"))
        return put_guard(s, e);
    if (tor_event_is(e, "ADDRMAP"))
        return put_mapping(s, e);
    if (tor_event_is(e, "CIRC_BW"))
        count(s, TOR_CIRCUITS, e);
    else if (tor_event_is(e, "STREAM_BW"))
        count(s, TOR_STREAMS, e);
    if (tor_event_is(e, "BW")) {
        s->traffic.read = tor_value_u64(tor_event_get(e, "read"));
        s->traffic.written = tor_value_u64(tor_event_get(e, "written"));
        s->traffic.total_read += s->traffic.read;
        s->traffic.total_written += s->traffic.written;
    }
    return 0;
}

/* --- questions ------------------------------------------------------------------------------- */

const struct tor_item *tor_state_first(const struct tor_state *s, enum tor_set set)
{
    return s->set[set].first;
}

const struct tor_item *tor_state_find(const struct tor_state *s, enum tor_set set, const char *key,
                                      size_t len)
{
    return find(&s->set[set], key, len);
}

bool tor_item_read(enum tor_set set, const struct tor_item *item, struct tor_event *out)
{
    return tor_event_parse_line(out, tor_set_key(set), item->text, item->len) == 0;
}

size_t tor_state_count(const struct tor_state *s, enum tor_set set)
{
    return s->set[set].count;
}

size_t tor_state_bytes(const struct tor_state *s)
{
    return s->bytes;
}

struct tor_traffic tor_state_traffic(const struct tor_state *s)
{
    return s->traffic;
}
