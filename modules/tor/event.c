/* SPDX-License-Identifier: MIT */
#include "tor/event.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

/* The positional fields of each event, as "name:kind" with commas between (control-spec §4.1.1 to
 * §4.1.29); keywords have their types in `keywords`, whatever the event is. The lines of GETINFO
 * (§3.9) stand at the end, in lower case. */
static const struct {
    const char *name;
    const char *fields;
} events[] = {
    {"CIRC", "id:i,status:e,path:p"},
    {"STREAM", "id:i,status:e,circuit:i,target:s"},
    {"CIRC_BW", ""},
    {"STREAM_BW", "id:i,written:n,read:n,time:t"},
    {"BW", "read:n,written:n"},
    {"CONN_BW", ""},
    {"CELL_STATS", ""},
    {"ORCONN", "target:r,status:e"},
    {"CIRC_MINOR", "id:i,change:e,path:p"},
    {"DEBUG", "message:m"},
    {"INFO", "message:m"},
    {"NOTICE", "message:m"},
    {"WARN", "message:m"},
    {"ERR", "message:m"},
    {"NEWDESC", "relays:w"},
    {"ADDRMAP", "address:s,new_address:s,expiry:s"},
    {"AUTHDIR_NEWDESCS", "action:e,message:s,descriptor:s"},
    {"DESCCHANGED", ""},
    {"STATUS_GENERAL", "severity:e,action:e"},
    {"STATUS_CLIENT", "severity:e,action:e"},
    {"STATUS_SERVER", "severity:e,action:e"},
    {"GUARD", "type:e,name:r,status:e"},
    {"NS", ""},
    {"NEWCONSENSUS", ""},
    {"CLIENTS_SEEN", ""},
    {"BUILDTIMEOUT_SET", "type:e"},
    {"SIGNAL", "signal:e"},
    {"CONF_CHANGED", ""},
    {"TB_EMPTY", "bucket:s"},
    {"TRANSPORT_LAUNCHED", "type:e,name:s,address:s,port:n"},
    {"HS_DESC", "action:e,address:s,auth_type:e,hsdir:r,descriptor_id:s"},
    {"HS_DESC_CONTENT", "address:s,descriptor_id:s,hsdir:r"},
    {"NETWORK_LIVENESS", "status:e"},
    {"PT_LOG", ""},
    {"PT_STATUS", ""},
    {"circuit-status", "id:i,status:e,path:p"},
    {"stream-status", "id:i,status:e,circuit:i,target:s"},
    {"orconn-status", "target:r,status:e"},
    {"entry-guards", "name:r,status:e,since:s"},
    {"address-mappings", "address:s,new_address:s,expiry:s"},
};
#define NEVENTS (sizeof events / sizeof events[0])

/* Types of the keywords that are not plain text, sorted by strcmp. */
static const struct {
    char name[22];
    char kind;
} keywords[] = {
    {"ABANDONED_RATE", TOR_FLOAT},
    {"ALPHA", TOR_FLOAT},
    {"BUILD_FLAGS", TOR_LIST},
    {"CACHED", TOR_BOOL},
    {"CIRC", TOR_ID},
    {"CLOSE_MS", TOR_INT},
    {"CLOSE_RATE", TOR_FLOAT},
    {"CONFLUX_RTT", TOR_INT},
    {"COUNT", TOR_INT},
    {"CUTOFF_QUANTILE", TOR_FLOAT},
    {"CWND", TOR_INT},
    {"CountrySummary", TOR_COUNTS},
    {"DELIVERED_READ", TOR_INT},
    {"DELIVERED_WRITTEN", TOR_INT},
    {"EXPIRES", TOR_TIME},
    {"HOPS", TOR_INT},
    {"ID", TOR_ID},
    {"IPVersions", TOR_COUNTS},
    {"ISO_FIELDS", TOR_LIST},
    {"InboundAdded", TOR_COUNTS},
    {"InboundRemoved", TOR_COUNTS},
    {"InboundTime", TOR_COUNTS},
    {"LAST", TOR_INT},
    {"MIN_RTT", TOR_INT},
    {"NCIRCS", TOR_INT},
    {"NYM_EPOCH", TOR_INT},
    {"OLD_TIME_CREATED", TOR_TIME},
    {"OVERHEAD_READ", TOR_INT},
    {"OVERHEAD_WRITTEN", TOR_INT},
    {"OutboundAdded", TOR_COUNTS},
    {"OutboundRemoved", TOR_COUNTS},
    {"OutboundTime", TOR_COUNTS},
    {"PROGRESS", TOR_INT},
    {"READ", TOR_INT},
    {"REPLICA", TOR_INT},
    {"RTT", TOR_INT},
    {"SESSION_GROUP", TOR_INT},
    {"SS", TOR_BOOL},
    {"STREAMID", TOR_ID},
    {"TIME", TOR_TIME},
    {"TIMEOUT_MS", TOR_INT},
    {"TIMEOUT_RATE", TOR_FLOAT},
    {"TIME_CREATED", TOR_TIME},
    {"TOTAL_TIMES", TOR_INT},
    {"TimeStarted", TOR_TIME},
    {"WRITTEN", TOR_INT},
    {"XM", TOR_INT},
    {"error", TOR_BOOL},
};

static bool same(const char *a, size_t n, const char *b)
{
    return strlen(b) == n && memcmp(a, b, n) == 0;
}

static char keyword_kind(const char *name, size_t len)
{
    size_t from = 0, to = sizeof keywords / sizeof keywords[0];
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int order = strncmp(name, keywords[mid].name, len);
        if (order == 0 && keywords[mid].name[len] != '\0')
            order = -1;
        if (order == 0)
            return keywords[mid].kind;
        if (order < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return TOR_TEXT;
}

/* Reads the values of one line behind the event's name. */
struct reader {
    struct tor_event *e;
    const char *fields; /* what is left of the table's positional fields */
};

static struct tor_value *add(struct tor_event *e, const char *name, size_t name_len, char kind)
{
    if (e->n == TOR_EVENT_VALUES || name_len > UINT8_MAX) {
        e->cut = true;
        return NULL;
    }
    struct tor_value *v = &e->v[e->n++];
    *v = (struct tor_value){.name = name, .name_len = (uint8_t)name_len, .kind = kind};
    return v;
}

/* The next positional field of the table; behind the last one "words". */
static struct tor_value *add_position(struct reader *r)
{
    if (*r->fields == '\0')
        return add(r->e, "words", sizeof "words" - 1, TOR_RELAYS);
    const char *colon = strchr(r->fields, ':');
    struct tor_value *v = add(r->e, r->fields, (size_t)(colon - r->fields), colon[1]);
    r->fields = colon[2] == ',' ? colon + 3 : colon + 2;
    return v;
}

static void set_rest(struct tor_value *v, const char *text, const char *end)
{
    while (text < end && *text == ' ')
        text++;
    if (v) {
        v->text = text;
        v->len = (size_t)(end - text);
    }
}

static void read_words(struct reader *r, const char *text, size_t len)
{
    const char *end = text + len;
    struct tor_words words;
    tor_words_init(&words, text, len);
    while (text < end) {
        struct tor_word w;
        if (!tor_words_next(&words, &w)) {
            if (words.bad) /* keep it, as it is */
                set_rest(add(r->e, "rest", sizeof "rest" - 1, TOR_REST), text, end);
            return;
        }
        bool keyword = w.key != NULL;
        struct tor_value *v =
            keyword ? add(r->e, w.key, w.key_len, keyword_kind(w.key, w.key_len)) : add_position(r);
        if (!v)
            return;
        v->keyword = keyword;
        v->quoted = w.quoted;
        v->text = w.value;
        v->len = w.value_len;
        if (v->kind == TOR_RELAYS) { /* all the others, whatever they look like */
            v->quoted = false;
            set_rest(v, text, end);
            return;
        }
        text = words.p;
    }
}

static void read_line(struct tor_event *e, const char *fields, const char *text, size_t len)
{
    struct reader r = {e, fields};
    size_t n = strlen(fields);
    if (n > 0 && fields[n - 1] == TOR_REST)
        set_rest(add_position(&r), text, text + len);
    else
        read_words(&r, text, len);
}

/* Whose row `name` is; NULL fields: of nobody. */
static const char *find_event(struct tor_event *e, const char *name, size_t len)
{
    e->name = name;
    e->name_len = len;
    for (size_t i = 0; i < NEVENTS; i++) {
        if (events[i].name[0] == name[0] && same(name, len, events[i].name)) {
            e->known = true;
            return events[i].fields;
        }
    }
    return "";
}

static void begin(struct tor_event *e, const struct tor_reply *r)
{
    e->reply = r;
    e->known = e->cut = false;
    e->n = 0;
}

int tor_event_parse(struct tor_event *out, const struct tor_reply *r)
{
    if (r->n == 0 || r->lines[0].len == 0)
        return NK_EFORMAT;
    const char *text = r->lines[0].text;
    size_t len = r->lines[0].len;
    const char *space = memchr(text, ' ', len);
    size_t name_len = space ? (size_t)(space - text) : len;
    if (name_len == 0)
        return NK_EFORMAT;
    begin(out, r);
    const char *fields = find_event(out, text, name_len);
    read_line(out, fields, text + name_len, len - name_len);
    return 0;
}

int tor_event_parse_line(struct tor_event *out, const char *key, const char *line, size_t len)
{
    if (len == 0)
        return NK_EFORMAT;
    begin(out, NULL);
    const char *slash = strchr(key, '/');
    const char *fields = find_event(out, key, slash ? (size_t)(slash - key) : strlen(key));
    read_line(out, fields, line, len);
    return 0;
}

bool tor_event_is(const struct tor_event *e, const char *name)
{
    return same(e->name, e->name_len, name);
}

bool tor_value_is(const struct tor_value *v, const char *text)
{
    return v && same(v->text, v->len, text);
}

uint64_t tor_value_u64(const struct tor_value *v)
{
    const struct tor_word w = {.value = v ? v->text : NULL, .value_len = v ? v->len : 0};
    uint64_t n = 0;
    return v && tor_word_u64(&w, &n) == 0 ? n : 0;
}

bool tor_value_copy(char *out, size_t max, const struct tor_value *v)
{
    out[0] = '\0';
    if (!v)
        return false;
    struct nk_buf plain;
    nk_buf_init(&plain, SIZE_MAX / 4);
    const struct tor_word w = {.value = v->text, .value_len = v->len, .quoted = v->quoted};
    const char *text = v->text;
    size_t len = v->len;
    if (v->quoted && memchr(text, '\\', len) && tor_word_put(&w, &plain) == 0) {
        text = (const char *)nk_buf_ptr(&plain);
        len = nk_buf_len(&plain);
    }
    bool whole = len < max;
    len = whole ? len : max - 1;
    if (len > 0)
        memcpy(out, text, len);
    out[len] = '\0';
    nk_buf_clear(&plain);
    return whole;
}

static bool is_hex(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool digit = p[i] >= '0' && p[i] <= '9';
        if (!digit && !((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f'))
            return false;
    }
    return true;
}

/* Nicknames are 1 to 19 letters and digits (dir-spec §2.1.1). */
#define NICKNAME_MAX 19
static bool is_nickname(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool digit = p[i] >= '0' && p[i] <= '9';
        if (!digit && !((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'z'))
            return false;
    }
    return n > 0 && n <= NICKNAME_MAX;
}

bool tor_relay_name_read(struct tor_relay_name *out, const char *text, size_t len)
{
    *out = (struct tor_relay_name){NULL, NULL, 0};
    if (len > 0 && text[0] == '$') {
        if (len <= TOR_FINGERPRINT || !is_hex(text + 1, TOR_FINGERPRINT))
            return false;
        out->fingerprint = text + 1;
        text += 1 + TOR_FINGERPRINT;
        len -= 1 + TOR_FINGERPRINT;
        if (len == 0)
            return true;
        if (*text != '~' && *text != '=') /* '=': the name is registered; older than 0.3 */
            return false;
        text++;
        len--;
    }
    out->nickname = text;
    out->nickname_len = len;
    return is_nickname(text, len);
}

bool tor_split_next(struct tor_split *s, char sep)
{
    if (s->len == 0)
        return false;
    const char *at = memchr(s->text, sep, s->len);
    s->word = s->text;
    s->word_len = at ? (size_t)(at - s->text) : s->len;
    size_t used = s->word_len + (at ? 1 : 0);
    s->text += used;
    s->len -= used;
    return true;
}
