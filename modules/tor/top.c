/* SPDX-License-Identifier: MIT */
#include "tor/top.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "tor/event.h"
#include "tor/wire.h"

#define GRAPH_ROWS 8 /* with its heading, where there is room */

static const struct {
    char key;
    const char *name;
    enum tor_set set;
} panels[TOR_PANELS] = {{'g', "bandwidth", TOR_SETS},
                        {'c', "circuits", TOR_CIRCUITS},
                        {'s', "streams", TOR_STREAMS},
                        {'e', "guards", TOR_GUARDS},
                        {'l', "log", TOR_SETS}};

int tor_top_key(char key)
{
    for (int i = 0; i < TOR_PANELS; i++) {
        if (panels[i].key == key) {
            return i;
        }
    }
    return -1;
}

int tor_top_new(struct tor_top **out)
{
    struct tor_top *t = calloc(1, sizeof(*t));
    if (!t || !(t->state = tor_state_new())) {
        free(t);
        return -ENOMEM;
    }
    *out = t;
    return 0;
}

void tor_top_free(struct tor_top *t)
{
    if (t) {
        tor_state_free(t->state);
        free(t);
    }
}

/* --- what comes ------------------------------------------------------------------------------ */

static void add_second(struct tor_top *t, uint64_t read, uint64_t written)
{
    const size_t i = t->seconds_n++ % TOR_TOP_SECONDS;
    t->seconds[i].read = read;
    t->seconds[i].written = written;
}

static void add_log(struct tor_top *t, const struct tor_event *e)
{
    const size_t i = t->log_n++ % TOR_TOP_LOG;
    const struct tor_value *text = tor_event_get(e, "message");
    const int n = snprintf(t->log[i].text, TOR_TOP_LINE, "%-7.*s", (int)e->name_len, e->name);
    if (n > 0 && n < TOR_TOP_LINE) {
        (void)tor_value_copy(t->log[i].text + n, TOR_TOP_LINE - (size_t)n, text);
    }
    t->log[i].style = tor_event_is(e, "ERR")    ? TOR_RED
                      : tor_event_is(e, "WARN") ? TOR_YELLOW
                                                : TOR_PLAIN;
}

/* "PROGRESS=100 TAG=done SUMMARY="Done"": of an event or of GETINFO status/bootstrap-phase. */
static void set_phase(struct tor_top *t, const char *line, size_t n)
{
    struct tor_words w;
    struct tor_word word;
    char progress[8] = "", summary[96] = "";
    tor_words_init(&w, line, n);
    while (tor_words_next(&w, &word)) {
        if (tor_word_key(&word, "PROGRESS")) {
            snprintf(progress, sizeof(progress), "%.*s%%",
                     (int)(word.value_len < 4 ? word.value_len : 4), word.value);
        } else if (tor_word_key(&word, "SUMMARY")) {
            const size_t len =
                word.value_len < sizeof(summary) ? word.value_len : sizeof(summary) - 1;
            memcpy(summary, word.value, len);
            summary[len] = 0;
        }
    }
    snprintf(t->phase, sizeof(t->phase), "%s %s", progress, summary);
}

int tor_top_event(struct tor_top *t, const struct tor_reply *event)
{
    struct tor_event e;
    if (tor_event_parse(&e, event) < 0) {
        return 0;
    }
    int rc = tor_state_event(t->state, &e);
    if (tor_event_is(&e, "BW")) {
        const struct tor_traffic now = tor_state_traffic(t->state);
        add_second(t, now.read, now.written);
        t->total_read += now.read;
        t->total_written += now.written;
        t->uptime++; /* one a second */
    } else if (tor_event_is(&e, "NOTICE") || tor_event_is(&e, "WARN") || tor_event_is(&e, "ERR")) {
        add_log(t, &e);
    } else if (tor_event_is(&e, "STATUS_CLIENT") &&
               tor_value_is(tor_event_get(&e, "action"), "BOOTSTRAP")) {
        set_phase(t, event->lines[0].text, event->lines[0].len);
    }
    return rc;
}

int tor_top_answer(struct tor_top *t, const struct tor_reply *reply)
{
    static const enum tor_set sets[] = {TOR_CIRCUITS, TOR_STREAMS, TOR_GUARDS};
    struct tor_word w;
    int rc = 0;
    for (size_t i = 0; i < sizeof(sets) / sizeof(*sets) && rc == 0; i++) {
        if (tor_reply_find(reply, tor_set_key(sets[i]), &w)) {
            rc = tor_state_snapshot(t->state, sets[i], w.value, w.value_len);
        }
    }
    if (tor_reply_find(reply, "uptime", &w)) {
        (void)tor_word_u64(&w, &t->uptime); /* what is no number changes nothing */
    }
    if (tor_reply_find(reply, "traffic/read", &w)) {
        (void)tor_word_u64(&w, &t->total_read);
    }
    if (tor_reply_find(reply, "traffic/written", &w)) {
        (void)tor_word_u64(&w, &t->total_written);
    }
    if (tor_reply_find(reply, "status/bootstrap-phase", &w)) {
        set_phase(t, w.value, w.value_len);
    }
    return rc;
}

void tor_top_past(struct tor_top *t, const struct tor_reply *reply)
{
    struct tor_word w;
    if (!tor_reply_find(reply, "bw-event-cache", &w)) {
        return;
    }
    for (const char *p = w.value, *end = p + w.value_len;
         p < end;) { /* "READ,WRITTEN READ,WRITTEN" */
        uint64_t v[2] = {0, 0};
        for (int i = 0; p < end && *p != ' '; p++) {
            if (*p == ',') {
                i = 1;
            } else if (*p >= '0' && *p <= '9' && v[i] < UINT64_MAX / 100) {
                v[i] = v[i] * 10 + (uint64_t)(*p - '0');
            }
        }
        add_second(t, v[0], v[1]);
        p += p < end;
    }
}

/* --- the picture ----------------------------------------------------------------------------- */

static void heading(struct tor_screen *s, unsigned row, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void heading(struct tor_screen *s, unsigned row, const char *fmt, ...)
{
    char text[TOR_TOP_LINE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    tor_screen_put(s, row, 0, s->columns, TOR_BOLD, text, strlen(text));
}

/* One half of the graph: the last seconds as columns of eighths, the newest at the right. */
static void half_graph(const struct tor_top *t, struct tor_screen *s, unsigned row, unsigned rows,
                       unsigned column, unsigned width, bool written)
{
    static const char blocks[9][4] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                      "\u2585", "\u2586", "\u2587", "\u2588"};
    char now[32], top[32];
    const size_t kept = t->seconds_n < TOR_TOP_SECONDS ? t->seconds_n : TOR_TOP_SECONDS;
    const size_t shown = kept < width ? kept : width;
    uint64_t most = 0, last = 0;
    for (size_t i = t->seconds_n - shown; i < t->seconds_n; i++) {
        last = written ? t->seconds[i % TOR_TOP_SECONDS].written
                       : t->seconds[i % TOR_TOP_SECONDS].read;
        most = last > most ? last : most;
    }
    tor_screen_printf(s, row, column, TOR_BOLD, "%s %s/s, most %s/s", written ? "written" : "read",
                      nk_format_size(now, sizeof(now), last),
                      nk_format_size(top, sizeof(top), most));
    const unsigned height = rows - 1;
    for (size_t i = 0; i < shown; i++) {
        const size_t at = (t->seconds_n - shown + i) % TOR_TOP_SECONDS;
        const uint64_t v = written ? t->seconds[at].written : t->seconds[at].read;
        unsigned eighths = (unsigned)((double)v / (double)(most ? most : 1) * height * 8 + 0.5);
        for (unsigned k = 0; k < height && eighths > 0; k++) {
            const unsigned part = eighths > 8 ? 8 : eighths;
            tor_screen_put(s, row + height - k, column + width - (unsigned)(shown - i), 1,
                           written ? TOR_BLUE : TOR_GREEN, blocks[part], 3);
            eighths -= part;
        }
    }
}

static void graph(const struct tor_top *t, struct tor_screen *s, unsigned row, unsigned rows)
{
    const unsigned half = s->columns / 2;
    if (half > 1 && rows > 1) {
        half_graph(t, s, row, rows, 0, half - 1, false);
        half_graph(t, s, row, rows, half, s->columns - half, true);
    }
}

/* A field of an item in at most width columns (fewer are filled up). */
static unsigned field(struct tor_screen *s, unsigned row, unsigned column, unsigned width,
                      enum tor_style style, const struct tor_event *e, const char *name)
{
    const struct tor_value *v = tor_event_get(e, name);
    struct nk_buf text;
    nk_buf_init(&text, TOR_STATE_LINE * 4);
    if (v && tor_value_text(v, &text) == 0) {
        tor_screen_put(s, row, column, width, style, (const char *)nk_buf_ptr(&text),
                       nk_buf_len(&text));
    }
    nk_buf_clear(&text);
    return column + width + 1;
}

static void item_row(struct tor_screen *s, unsigned row, enum tor_set set,
                     const struct tor_item *item)
{
    struct tor_event e;
    unsigned column = 2;
    char in[32], out[32];
    if (!tor_item_read(set, item, &e)) {
        return;
    }
    const struct tor_value *status = tor_event_get(&e, "status");
    const bool good = tor_value_is(status, "BUILT") || tor_value_is(status, "SUCCEEDED") ||
                      tor_value_is(status, "up");
    const enum tor_style style = good ? TOR_GREEN : TOR_YELLOW;
    const unsigned bytes = s->columns > 60 ? 22 : 0,
                   room = s->columns > bytes ? s->columns - bytes : 0;
    if (set == TOR_GUARDS) {
        column = field(s, row, column, 22, TOR_PLAIN, &e, "name");
        column = field(s, row, column, 16, style, &e, "status");
        (void)field(s, row, column, 32, TOR_DIM, &e, "since");
        return;
    }
    column = field(s, row, column, 6, TOR_PLAIN, &e, "id");
    column = field(s, row, column, 10, style, &e, "status");
    column = field(s, row, column, set == TOR_CIRCUITS ? 18 : 6, TOR_DIM, &e,
                   set == TOR_CIRCUITS ? "purpose" : "circuit");
    (void)field(s, row, column, room > column ? room - column : 0, TOR_PLAIN, &e,
                set == TOR_CIRCUITS ? "path" : "target");
    if (bytes && (item->read || item->written)) {
        tor_screen_printf(s, row, room + 1, TOR_DIM, "%s / %s",
                          nk_format_size(in, sizeof(in), item->read),
                          nk_format_size(out, sizeof(out), item->written));
    }
}

/* The newest items that fit, oldest first as tor lists them. */
static void items(const struct tor_top *t, struct tor_screen *s, unsigned row, unsigned rows,
                  enum tor_panel panel)
{
    const enum tor_set set = panels[panel].set;
    size_t n = tor_state_count(t->state, set), room = rows - 1;
    const struct tor_item *item = tor_state_first(t->state, set);
    heading(s, row, n > room ? "%s (%zu, the newest %zu)" : "%s (%zu)", panels[panel].name, n,
            room);
    for (; item && n > room; n--) {
        item = item->next;
    }
    for (; item; item = item->next) {
        item_row(s, ++row, set, item);
    }
}

static void log_lines(const struct tor_top *t, struct tor_screen *s, unsigned row, unsigned rows)
{
    const size_t kept = t->log_n < TOR_TOP_LOG ? t->log_n : TOR_TOP_LOG;
    const size_t shown = kept < rows - 1 ? kept : rows - 1;
    heading(s, row, "log");
    for (size_t i = t->log_n - shown; i < t->log_n; i++) {
        const char *text = t->log[i % TOR_TOP_LOG].text;
        tor_screen_put(s, ++row, 2, s->columns, t->log[i % TOR_TOP_LOG].style, text, strlen(text));
    }
}

/* How many rows a panel would like to have. */
static unsigned wanted(const struct tor_top *t, int panel)
{
    if (t->hidden[panel]) {
        return 0;
    }
    if (panel == TOR_PANEL_GRAPH) {
        return GRAPH_ROWS;
    }
    const size_t lines =
        panel == TOR_PANEL_LOG ? TOR_TOP_LOG : tor_state_count(t->state, panels[panel].set);
    return 1 + (unsigned)(lines < TOR_SCREEN_ROWS_MOST ? lines : TOR_SCREEN_ROWS_MOST);
}

/* Rows for each panel: a small share first, then what is left to those that want more, in order. */
static void divide(const struct tor_top *t, unsigned rows, unsigned out[TOR_PANELS])
{
    enum { SHARE = 3 };
    for (int i = 0; i < TOR_PANELS; i++) {
        const unsigned share = wanted(t, i) < SHARE ? wanted(t, i) : SHARE;
        out[i] = share <= rows ? share : 0;
        rows -= out[i];
    }
    for (int i = 0; i < TOR_PANELS; i++) {
        const unsigned more = out[i] ? wanted(t, i) - out[i] : 0;
        const unsigned given = more < rows ? more : rows;
        out[i] += given;
        rows -= given;
    }
}

void tor_top_draw(const struct tor_top *t, struct tor_screen *s)
{
    unsigned share[TOR_PANELS], row = 2;
    char up[32], in[32], out[32];
    tor_screen_blank(s);
    tor_screen_printf(s, 0, 0, TOR_REVERSE, "%s  up %s  %s%s  %s", t->title,
                      nk_format_duration(up, sizeof(up), t->uptime * 1000), t->phase,
                      t->paused ? "  PAUSED" : "", t->place);
    tor_screen_fill(s, 0, 0, TOR_REVERSE);
    tor_screen_printf(
        s, 1, 0, TOR_PLAIN, "read %s  written %s  circuits %zu  streams %zu  guards %zu",
        nk_format_size(in, sizeof(in), t->total_read),
        nk_format_size(out, sizeof(out), t->total_written), tor_state_count(t->state, TOR_CIRCUITS),
        tor_state_count(t->state, TOR_STREAMS), tor_state_count(t->state, TOR_GUARDS));
    divide(t, s->rows > 3 ? s->rows - 3 : 0, share);
    for (int i = 0; i < TOR_PANELS; i++) {
        if (share[i] == 0) {
            continue;
        }
        if (i == TOR_PANEL_GRAPH) {
            graph(t, s, row, share[i]);
        } else if (i == TOR_PANEL_LOG) {
            log_lines(t, s, row, share[i]);
        } else {
            items(t, s, row, share[i], (enum tor_panel)i);
        }
        row += share[i];
    }
    if (s->rows > 3) {
        tor_screen_printf(
            s, s->rows - 1, 0, TOR_DIM, "%s",
            t->notice[0] ? t->notice : "q quit  n new identity  p pause  show or hide: g c s e l");
    }
}
