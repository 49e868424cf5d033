/* SPDX-License-Identifier: MIT */
/*
 * event - tor's asynchronous events (control-spec §4.1) and the lines of GETINFO that have the same
 * fields (circuit-status, stream-status, orconn-status, entry-guards, address-mappings/...), read
 * with one table: which positional fields an event has, and of which type each field is.
 *
 * Nothing is refused for being new: events and keywords that the table does not know are kept, as
 * text. A parsed event borrows from the bytes it was parsed from; nothing is allocated.
 */
#ifndef TOR_EVENT_H
#define TOR_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "tor/wire.h"

/* Values of one event; what is more stays unread, and `cut` says so. tor's longest has 25. */
#define TOR_EVENT_VALUES 64

/* Types of fields: the letter in the table; what it is, and what in JSON. */
enum tor_value_kind {
    TOR_TEXT = 's',   /* string */
    TOR_ID = 'i',     /* circuit, stream, connection: 1 to 16 letters and digits; string */
    TOR_ENUM = 'e',   /* one of an open set of words; string */
    TOR_INT = 'n',    /* decimal integer; number */
    TOR_FLOAT = 'f',  /* number */
    TOR_BOOL = 'b',   /* YES|NO, 1|0; true, false */
    TOR_TIME = 't',   /* UTC; string "2026-11-20T21:04:41.890905Z" */
    TOR_LIST = 'l',   /* words with commas between; array of strings */
    TOR_COUNTS = 'c', /* relay:2,create2:1 or v4=0,v6=0; object of numbers */
    TOR_RELAY = 'r',  /* $FINGERPRINT~nickname (§2.4 LongName); object, or string for other text */
    TOR_PATH = 'p',   /* such with commas between; array */
    TOR_RELAYS = 'w', /* all the other words of the line; array */
    TOR_REST = 'm'    /* the rest of the line as it is: a log message; string */
};

/* One field of an event. */
struct tor_value {
    const char *name; /* as in the table, or the keyword as tor writes it; not terminated */
    uint8_t name_len;
    bool keyword; /* KEY=VALUE, not a position */
    bool quoted;  /* text is what stood between quotes, escapes not undone yet */
    char kind;    /* enum tor_value_kind */
    const char *text;
    size_t len;
};

struct tor_event {
    const char *name; /* "CIRC", "circuit-status"; not terminated when it is not known */
    size_t name_len;
    bool known;
    bool cut;
    const struct tor_reply *reply; /* NULL: a single line */
    size_t n;
    struct tor_value v[TOR_EVENT_VALUES];
};

/*
 * tor_event_parse - read an event as the connection delivers it (code 650). out borrows from r.
 * Returns 0, or NK_EFORMAT when it does not even begin with a word (out is not to be used then).
 * A value that does not fit its type is no error: it is given as text.
 */
int tor_event_parse(struct tor_event *out, const struct tor_reply *r);

/* tor_event_parse_line - read one line of an answer to GETINFO `key`: "circuit-status",
 * "stream-status", "orconn-status", "entry-guards", "address-mappings/all". Returns as
 * tor_event_parse; out borrows from both texts. */
int tor_event_parse_line(struct tor_event *out, const char *key, const char *line, size_t len);

/* tor_event_is - is this the event of that name? */
bool tor_event_is(const struct tor_event *e, const char *name);

/* tor_value_name - the field's name in JSON: lower case, an underscore where a word begins inside
 * ("OutboundQueue" is "outbound_queue"). out has TOR_NAME_MAX bytes; longer names are cut. */
#define TOR_NAME_MAX 64
void tor_value_name(char *out, const struct tor_value *v);

/* tor_event_get - the first field called `name`, either as JSON has it ("build_flags", "id") or as
 * tor writes it ("BUILD_FLAGS"); NULL when there is none. */
const struct tor_value *tor_event_get(const struct tor_event *e, const char *name);

/* tor_value_is - is the value exactly this text? false for NULL. */
bool tor_value_is(const struct tor_value *v, const char *text);

/* tor_value_copy - the value, escapes undone, into out (max bytes, always terminated, cut when
 * longer; what has a wrong escape stays as it is). "" for NULL. Returns false for NULL and
 * when it was cut. */
bool tor_value_copy(char *out, size_t max, const struct tor_value *v);

/* tor_value_u64 - the value as a number; 0 for NULL and for what is no number. */
uint64_t tor_value_u64(const struct tor_value *v);

#define TOR_FINGERPRINT 40 /* hex digits of a relay's identity */

/* A relay as tor writes it: "$FP~nick", "$FP", "nick". */
struct tor_relay_name {
    const char *fingerprint; /* 40 hex digits, or NULL; not terminated */
    const char *nickname;    /* or NULL; not terminated */
    size_t nickname_len;
};

/* tor_relay_name_read - split one. True when it is one of the three forms. */
bool tor_relay_name_read(struct tor_relay_name *out, const char *text, size_t len);

/* A walk over words with `sep` between them (a PATH, a LIST): set text and len, then call
 * tor_split_next until it is false. */
struct tor_split {
    const char *text;
    size_t len;
    const char *word; /* out */
    size_t word_len;
};
bool tor_split_next(struct tor_split *s, char sep);

/*
 * tor_event_json - append the fields to the object that is open in j: "event" (when `name`), then
 * every field by its name in lower case with underscores. Of events with several lines also:
 * CONF_CHANGED "changes": [{"key","value" (null: reset)}], NS and NEWCONSENSUS "relays" (ns.h),
 * others "data". Returns 0 or the writer's error.
 */
int tor_event_json(const struct tor_event *e, bool name, struct nk_json *j);

/* tor_event_text - append one readable line without its end: the name, the positional fields, then
 * key=value; paths as nicknames. Control bytes are escaped. Returns 0 or the buffer's error. */
int tor_event_text(const struct tor_event *e, struct nk_buf *out);

/* tor_value_json / tor_value_text - one value alone, as the two functions above show it. */
int tor_value_json(const struct tor_value *v, struct nk_json *j);
int tor_value_text(const struct tor_value *v, struct nk_buf *out);

/* A condition on a field: "status=BUILT", "purpose!=GENERAL", "target~.onion", with '|' between
 * alternatives of = and ~. A list or path matches when one of its members does; a relay by its
 * fingerprint (with or without '$') or its nickname. A field that is absent is empty text. */
struct tor_filter {
    char name[32];
    bool negate;
    bool contains;
    const char *value; /* borrowed */
};

/* tor_filter_parse - read one; text must outlive it. 0, or NK_EUSAGE with the accepted forms. */
int tor_filter_parse(struct tor_filter *out, const char *text, struct nk_diag *diag);

/* tor_filter_match - does the event fulfil it? */
bool tor_filter_match(const struct tor_filter *f, const struct tor_event *e);

#endif
