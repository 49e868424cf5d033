/* SPDX-License-Identifier: MIT */
#include "tor/edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "base/utf8.h"

#define COLUMNS_LEAST 20
#define COLUMNS_MOST 1000
#define CHOICES_SHOWN 200 /* more are counted */

enum { KEY_TAB = 9, KEY_RETURN = 13, KEY_ESCAPE = 27, KEY_BACKSPACE = 127 };
#define CTRL(letter) ((letter)-64)

struct tor_edit {
    struct tor_edit_conf conf;
    char line[TOR_EDIT_LINE_MAX + 1];
    size_t len, cursor;
    size_t left; /* first byte that is shown */
    size_t columns;
    char part[4]; /* a character whose bytes are not all there */
    size_t part_len;
    char escape[16]; /* a sequence that is not complete, from its ESC on */
    size_t escape_len;
    struct nk_strlist history;
    size_t recalled; /* index in the history; its size: the line itself */
    char *draft;     /* what stood there before the history was looked at */
    bool tabbed;     /* the last key was a Tab that could not add anything */
    struct tor_edit_choices choices;
};

/* --- text ----------------------------------------------------------------------------------- */

static size_t char_width(uint32_t cp)
{
    /* first and last of the wide ones (Unicode 15, East Asian Width W and F, by blocks) */
    static const uint32_t wide[][2] = {{0x1100, 0x115f},  {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},
                                       {0xf900, 0xfaff},  {0xfe30, 0xfe6f},   {0xff00, 0xff60},
                                       {0xffe0, 0xffe6},  {0x1f300, 0x1f64f}, {0x1f680, 0x1faff},
                                       {0x20000, 0x3fffd}};
    if ((cp >= 0x300 && cp <= 0x36f) || (cp >= 0x200b && cp <= 0x200d) ||
        (cp >= 0xfe00 && cp <= 0xfe0f)) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(wide) / sizeof(*wide); i++) {
        if (cp >= wide[i][0] && cp <= wide[i][1]) {
            return 2;
        }
    }
    return 1;
}

/* Length of the character at p, its columns in *width. */
static size_t char_at(const char *p, size_t n, size_t *width)
{
    uint32_t cp = 0;
    size_t len = nk_utf8_next((const uint8_t *)p, n, &cp);
    *width = len ? char_width(cp) : 1;
    return len ? len : 1;
}

size_t tor_text_width(const char *p, size_t n)
{
    size_t columns = 0, width;
    for (size_t i = 0; i < n; columns += width) {
        i += char_at(p + i, n - i, &width);
    }
    return columns;
}

size_t tor_text_fit(const char *p, size_t n, size_t columns)
{
    size_t i = 0, width;
    while (i < n) {
        size_t len = char_at(p + i, n - i, &width);
        if (width > columns) {
            break;
        }
        columns -= width;
        i += len;
    }
    return i;
}

/* --- the screen: what does not fit is not shown ---------------------------------------------- */

static void put(struct nk_buf *screen, const char *p, size_t n)
{
    (void)nk_buf_put(screen, p, n);
}

static void puts_to(struct nk_buf *screen, const char *s)
{
    put(screen, s, strlen(s));
}

/* The whole line again, moved so that the cursor is on the screen. */
static void draw(struct tor_edit *e, struct nk_buf *screen)
{
    const size_t prompt = tor_text_width(e->conf.prompt, strlen(e->conf.prompt));
    const size_t room = e->columns > prompt + 2 ? e->columns - prompt - 1 : 1;
    size_t width;
    if (e->cursor < e->left) {
        e->left = e->cursor;
    }
    size_t shown = tor_text_width(e->line + e->left, e->cursor - e->left);
    while (shown >= room) {
        e->left += char_at(e->line + e->left, e->len - e->left, &width);
        shown -= width;
    }
    puts_to(screen, "\r");
    puts_to(screen, e->conf.prompt);
    put(screen, e->line + e->left, tor_text_fit(e->line + e->left, e->len - e->left, room));
    const size_t column = prompt + shown;
    puts_to(screen, "\x1b[K\r");
    if (column > 0) {
        (void)nk_buf_printf(screen, "\x1b[%zuC", column);
    }
}

void tor_edit_hide(struct tor_edit *e, struct nk_buf *screen)
{
    (void)e;
    puts_to(screen, "\r\x1b[K");
}

void tor_edit_show(struct tor_edit *e, struct nk_buf *screen)
{
    draw(e, screen);
}

/* --- changes -------------------------------------------------------------------------------- */

static void replace(struct tor_edit *e, size_t from, size_t to, const char *p, size_t n)
{
    if (e->len - (to - from) + n > TOR_EDIT_LINE_MAX) {
        return;
    }
    memmove(e->line + from + n, e->line + to, e->len - to + 1);
    memcpy(e->line + from, p, n);
    e->len = e->len - (to - from) + n;
    e->cursor = from + n;
}

static void set_line(struct tor_edit *e, const char *text)
{
    size_t n = strlen(text);
    n = n > TOR_EDIT_LINE_MAX ? TOR_EDIT_LINE_MAX : n;
    nk_wipe(e->line, sizeof(e->line));
    memcpy(e->line, text, n);
    e->len = e->cursor = n;
    e->left = 0;
}

static size_t before(const struct tor_edit *e)
{
    size_t at = e->cursor;
    while (at > 0 && (e->line[--at] & 0xc0) == 0x80) {
    }
    return at;
}

static size_t after(const struct tor_edit *e)
{
    size_t at = e->cursor + (e->cursor < e->len);
    while (at < e->len && (e->line[at] & 0xc0) == 0x80) {
        at++;
    }
    return at;
}

static size_t word_before(const struct tor_edit *e)
{
    size_t at = e->cursor;
    while (at > 0 && e->line[at - 1] == ' ') {
        at--;
    }
    while (at > 0 && e->line[at - 1] != ' ') {
        at--;
    }
    return at;
}

static size_t word_after(const struct tor_edit *e)
{
    size_t at = e->cursor;
    at += strspn(e->line + at, " ");
    return at + strcspn(e->line + at, " ");
}

/* --- history -------------------------------------------------------------------------------- */

static void forget_draft(struct tor_edit *e)
{
    if (e->draft) {
        nk_free_wiped(e->draft, strlen(e->draft));
        e->draft = NULL;
    }
    e->recalled = e->history.n;
}

static void recall(struct tor_edit *e, bool older)
{
    if (older ? e->recalled == 0 : e->recalled >= e->history.n) {
        return;
    }
    if (e->recalled == e->history.n) {
        e->draft = strdup(e->line);
    }
    e->recalled = older ? e->recalled - 1 : e->recalled + 1;
    if (e->recalled < e->history.n) {
        set_line(e, e->history.v[e->recalled]);
    } else {
        set_line(e, e->draft ? e->draft : "");
        forget_draft(e);
    }
}

int tor_edit_remember(struct tor_edit *e, const char *line)
{
    struct nk_strlist *h = &e->history;
    if (!*line || (h->n > 0 && strcmp(h->v[h->n - 1], line) == 0)) {
        return 0;
    }
    if (h->n == TOR_EDIT_HISTORY_MOST) {
        free(h->v[0]);
        memmove(h->v, h->v + 1, --h->n * sizeof(*h->v));
    }
    int rc = nk_strlist_add(h, line, strlen(line));
    e->recalled = h->n;
    return rc;
}

const struct nk_strlist *tor_edit_history(const struct tor_edit *e)
{
    return &e->history;
}

/* --- completion ----------------------------------------------------------------------------- */

void tor_edit_offer(struct tor_edit_choices *c, const char *word, const char *typed, size_t n)
{
    if (c->n < TOR_EDIT_CHOICES_MOST && strncasecmp(word, typed, n) == 0 && strlen(word) >= n) {
        c->v[c->n++] = word;
    }
}

/* How many characters all choices begin with, without regard to case. */
static size_t common(const struct tor_edit_choices *c)
{
    size_t n = strlen(c->v[0]);
    for (size_t i = 1; i < c->n; i++) {
        size_t k = 0;
        while (k < n && strncasecmp(c->v[0] + k, c->v[i] + k, 1) == 0) {
            k++;
        }
        n = k;
    }
    return n;
}

static void list_choices(struct tor_edit *e, struct nk_buf *screen)
{
    const struct tor_edit_choices *c = &e->choices;
    size_t widest = 1;
    for (size_t i = 0; i < c->n; i++) {
        size_t n = strlen(c->v[i]);
        widest = n > widest ? n : widest;
    }
    const size_t across = e->columns / (widest + 2) ? e->columns / (widest + 2) : 1;
    for (size_t i = 0; i < c->n && i < CHOICES_SHOWN; i++) {
        puts_to(screen, i % across == 0 ? "\r\n" : "  ");
        puts_to(screen, c->v[i]);
        for (size_t k = strlen(c->v[i]); k < widest && i % across + 1 < across; k++) {
            puts_to(screen, " ");
        }
    }
    if (c->n > CHOICES_SHOWN) {
        (void)nk_buf_printf(screen, "\r\nand %zu more", c->n - CHOICES_SHOWN);
    }
    puts_to(screen, "\r\n");
}

static void complete(struct tor_edit *e, struct nk_buf *screen)
{
    struct tor_edit_choices *c = &e->choices;
    c->n = 0;
    c->from = e->cursor;
    e->conf.complete(e->conf.owner, e->line, e->cursor, c);
    if (c->n == 0 || c->from > e->cursor) {
        puts_to(screen, "\a");
        return;
    }
    const size_t n = common(c), typed = e->cursor - c->from;
    const bool again = e->tabbed;
    if (n >= typed) {
        replace(e, c->from, e->cursor, c->v[0], n);
    }
    if (c->n == 1 && c->v[0][n - (n > 0)] != '/' && c->v[0][n - (n > 0)] != '=') {
        replace(e, e->cursor, e->cursor, " ", 1);
    } else if (c->n > 1 && n <= typed) {
        e->tabbed = true; /* shown by the second Tab that adds nothing */
        if (again) {
            list_choices(e, screen);
        } else {
            puts_to(screen, "\a");
        }
    }
}

/* --- keys ----------------------------------------------------------------------------------- */

/* Keys that move or remove; the same for control characters and for sequences. */
static void act(struct tor_edit *e, int key)
{
    switch (key) {
    case CTRL('A'):
        e->cursor = 0;
        break;
    case CTRL('B'):
        e->cursor = before(e);
        break;
    case CTRL('D'):
        replace(e, e->cursor, after(e), "", 0);
        break;
    case CTRL('E'):
        e->cursor = e->len;
        break;
    case CTRL('F'):
        e->cursor = after(e);
        break;
    case CTRL('H'):
    case KEY_BACKSPACE:
        replace(e, before(e), e->cursor, "", 0);
        break;
    case CTRL('K'):
        replace(e, e->cursor, e->len, "", 0);
        break;
    case CTRL('N'):
        recall(e, false);
        break;
    case CTRL('P'):
        recall(e, true);
        break;
    case CTRL('U'):
        replace(e, 0, e->cursor, "", 0);
        break;
    case CTRL('W'):
        replace(e, word_before(e), e->cursor, "", 0);
        break;
    case 'b':
        e->cursor = word_before(e);
        break;
    case 'f':
        e->cursor = word_after(e);
        break;
    default:
        break;
    }
}

/* A sequence is complete: what it does. */
static void act_escape(struct tor_edit *e)
{
    static const struct {
        const char *sequence; /* behind ESC */
        int key;
    } keys[] = {
        {"b", 'b'},         {"f", 'f'},         {"[D", CTRL('B')},  {"[C", CTRL('F')},
        {"[A", CTRL('P')},  {"[B", CTRL('N')},  {"[H", CTRL('A')},  {"[F", CTRL('E')},
        {"OD", CTRL('B')},  {"OC", CTRL('F')},  {"OA", CTRL('P')},  {"OB", CTRL('N')},
        {"OH", CTRL('A')},  {"OF", CTRL('E')},  {"[1~", CTRL('A')}, {"[4~", CTRL('E')},
        {"[7~", CTRL('A')}, {"[8~", CTRL('E')}, {"[3~", CTRL('D')}, {"[1;5D", 'b'},
        {"[1;5C", 'f'},     {"[1;3D", 'b'},     {"[1;3C", 'f'},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        if (strlen(keys[i].sequence) == e->escape_len - 1 &&
            memcmp(keys[i].sequence, e->escape + 1, e->escape_len - 1) == 0) {
            act(e, keys[i].key);
        }
    }
}

/* ESC x, ESC [ numbers letter, ESC O letter. Longer ones are dropped. */
static void take_escape(struct tor_edit *e, char c)
{
    if (e->escape_len < sizeof(e->escape)) {
        e->escape[e->escape_len++] = c;
    }
    const bool opened = e->escape_len == 2 && (c == '[' || c == 'O');
    const bool goes_on = e->escape_len > 2 && (c < 0x40 || c > 0x7e);
    if (!opened && !goes_on) {
        act_escape(e);
        e->escape_len = 0;
    }
}

/* A byte of a character: inserted once it is whole; what is malformed or no text is dropped. */
static void take_text(struct tor_edit *e, char c)
{
    uint32_t cp;
    if ((c & 0xc0) != 0x80) { /* a new one begins: whatever was there has been cut off */
        e->part_len = 0;
    }
    e->part[e->part_len++] = c;
    size_t len = nk_utf8_next((const uint8_t *)e->part, e->part_len, &cp);
    if (len > 0 && !nk_utf8_control(cp)) {
        replace(e, e->cursor, e->cursor, e->part, len);
    }
    if (len > 0 || e->part_len == sizeof(e->part)) {
        e->part_len = 0;
    }
}

static enum tor_edit_result take(struct tor_edit *e, char c, struct nk_buf *screen)
{
    const bool tabbed = e->tabbed;
    e->tabbed = false;
    if (e->escape_len > 0) {
        take_escape(e, c);
        return TOR_EDIT_MORE;
    }
    switch (c) {
    case KEY_RETURN:
    case '\n':
        return TOR_EDIT_LINE;
    case CTRL('C'):
        return TOR_EDIT_CANCEL;
    case CTRL('Z'):
        return TOR_EDIT_STOP;
    case CTRL('D'):
        if (e->len == 0) {
            return TOR_EDIT_END;
        }
        break;
    case CTRL('L'):
        puts_to(screen, "\x1b[H\x1b[2J");
        break;
    case KEY_ESCAPE:
        e->escape[e->escape_len++] = c;
        return TOR_EDIT_MORE;
    case KEY_TAB:
        e->tabbed = tabbed;
        if (e->conf.complete) {
            complete(e, screen);
        }
        return TOR_EDIT_MORE;
    default:
        break;
    }
    if ((unsigned char)c >= 0x20 && c != KEY_BACKSPACE) {
        take_text(e, c);
    } else {
        act(e, c);
    }
    return TOR_EDIT_MORE;
}

enum tor_edit_result tor_edit_feed(struct tor_edit *e, const void *p, size_t n, size_t *used,
                                   struct nk_buf *screen)
{
    const char *bytes = p;
    enum tor_edit_result result = TOR_EDIT_MORE;
    *used = 0;
    while (*used < n && result == TOR_EDIT_MORE) {
        result = take(e, bytes[(*used)++], screen);
    }
    if (result == TOR_EDIT_LINE || result == TOR_EDIT_CANCEL || result == TOR_EDIT_END) {
        e->cursor = e->len; /* the whole end of the line stays on the screen */
    }
    draw(e, screen);
    if (result == TOR_EDIT_CANCEL) {
        puts_to(screen, "^C");
    }
    if (result == TOR_EDIT_LINE || result == TOR_EDIT_CANCEL || result == TOR_EDIT_END) {
        puts_to(screen, "\r\n");
    }
    return result;
}

/* --- its life ------------------------------------------------------------------------------- */

int tor_edit_new(struct tor_edit **out, const struct tor_edit_conf *conf)
{
    struct tor_edit *e = calloc(1, sizeof(*e));
    if (!e) {
        return -ENOMEM;
    }
    e->conf = *conf;
    e->columns = 80;
    *out = e;
    return 0;
}

void tor_edit_free(struct tor_edit *e)
{
    if (e) {
        forget_draft(e);
        nk_strlist_clear(&e->history);
        nk_free_wiped(e, sizeof(*e));
    }
}

void tor_edit_columns(struct tor_edit *e, unsigned columns)
{
    e->columns = columns < COLUMNS_LEAST  ? COLUMNS_LEAST
                 : columns > COLUMNS_MOST ? COLUMNS_MOST
                                          : columns;
}

void tor_edit_start(struct tor_edit *e, struct nk_buf *screen)
{
    forget_draft(e);
    set_line(e, "");
    e->part_len = e->escape_len = 0;
    e->tabbed = false;
    draw(e, screen);
}

const char *tor_edit_text(const struct tor_edit *e)
{
    return e->line;
}
