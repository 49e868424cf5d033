/* SPDX-License-Identifier: MIT */
#include "tor/proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tor/control_testkit.h"

enum { EVERY_SPLIT_MAX = 3000, LEAST_TRANSCRIPTS = 108, NAME_MAX_LEN = 100 };

static int some[8]; /* who waits */

static void feed(struct tor_proto *p, const void *bytes, size_t n)
{
    uint8_t *at;
    assert_int_equal(tor_proto_space(p, n, &at, NULL), 0);
    memcpy(at, bytes, n);
    tor_proto_filled(p, n);
}

static void say(struct tor_proto *p, const char *text)
{
    feed(p, text, strlen(text));
}

static void ask(struct tor_proto *p, void *who)
{
    assert_int_equal(tor_proto_send(p, who, "X", 1, NULL, 0, false, TOR_NEVER, NULL, NULL), 0);
}

static void start(struct tor_proto *p, size_t commands)
{
    tor_proto_init(p);
    for (size_t i = 0; i < commands; i++) {
        ask(p, &some[i]);
    }
}

static void text_is(const struct tor_message *m, size_t i, int code, char kind, const char *text)
{
    assert_true(i < m->reply.n);
    const struct tor_line *l = &m->reply.lines[i];
    assert_int_equal(l->code, code);
    assert_int_equal(l->kind, kind);
    assert_int_equal(l->len, strlen(text));
    assert_memory_equal(l->text, text, l->len);
}

static void data_is(const struct tor_message *m, size_t i, const char *data)
{
    const struct tor_line *l = &m->reply.lines[i];
    assert_non_null(l->data);
    assert_int_equal(l->data_len, strlen(data));
    assert_memory_equal(l->data, data, l->data_len);
}

static struct tor_message next(struct tor_proto *p, enum tor_message_kind kind, size_t lines)
{
    struct tor_message m;
    assert_int_equal(tor_proto_next(p, &m, NULL), 1);
    assert_int_equal(m.kind, kind);
    assert_int_equal(m.reply.n, lines);
    return m;
}

static void nothing(struct tor_proto *p)
{
    struct tor_message m;
    assert_int_equal(tor_proto_next(p, &m, NULL), 0);
}

static void broken(struct tor_proto *p, const char *text)
{
    struct tor_message m;
    struct nk_diag diag = {0};
    say(p, text);
    assert_int_equal(tor_proto_next(p, &m, &diag), NK_EPROTO);
    assert_true(diag.text[0]);
    assert_int_equal(tor_proto_next(p, &m, NULL), NK_EPROTO); /* and stays so */
    assert_int_equal(tor_proto_send(p, some, "X", 1, NULL, 0, false, 0, NULL, NULL), NK_EPROTO);
    tor_proto_clear(p);
}

/* Lines of all kinds in one reply. */
static void mixed_reply(void **state)
{
    struct tor_proto p;
    (void)state;
    start(&p, 1);
    say(&p, "250+ns/name/r0=\r\nr r0\r\ns Exit\r\n.\r\n250-version=1\r\n250+c=\r\n.\r\n250 OK\r\n");
    struct tor_message m = next(&p, TOR_REPLY, 4);
    assert_ptr_equal(m.who, &some[0]);
    text_is(&m, 0, 250, '+', "ns/name/r0=");
    data_is(&m, 0, "r r0\ns Exit\n");
    text_is(&m, 1, 250, '-', "version=1");
    assert_null(m.reply.lines[1].data);
    data_is(&m, 2, "");
    text_is(&m, 3, 250, ' ', "OK");
    nothing(&p);
    assert_int_equal(tor_proto_pending(&p), 0);
    tor_proto_clear(&p);
}

/* Codes may differ within one reply: each line is judged by its own. */
static void mixed_codes(void **state)
{
    struct tor_proto p;
    (void)state;
    start(&p, 1);
    say(&p, "250-300.1.1.1=x\r\n512-syntax error\r\n250 1.1.1.1=q.example\r\n");
    struct tor_message m = next(&p, TOR_REPLY, 3);
    assert_int_equal(m.reply.code, 250);
    text_is(&m, 1, 512, '-', "syntax error");
    tor_proto_clear(&p);
}

static void event_forms(void **state)
{
    struct tor_proto p;
    (void)state;
    start(&p, 0);
    say(&p,
        "650 SIGNAL NEWNYM\r\n650-CONF_CHANGED\r\n650-ContactInfo=a b\r\n650-Nickname\r\n650 OK\r\n"
        "650+NEWCONSENSUS\r\nr a\r\n.\r\n650 OK\r\n");
    struct tor_message m = next(&p, TOR_REPLY_EVENT, 1);
    assert_null(m.who);
    text_is(&m, 0, 650, ' ', "SIGNAL NEWNYM");
    m = next(&p, TOR_REPLY_EVENT, 4);
    text_is(&m, 2, 650, '-', "Nickname");
    m = next(&p, TOR_REPLY_EVENT, 2);
    data_is(&m, 0, "r a\n");
    nothing(&p);
    tor_proto_clear(&p);
}

/* The form follows the content: the value is found in either. */
static void form_by_content(void **state)
{
    struct tor_proto p;
    struct tor_word w;
    (void)state;
    start(&p, 2);
    say(&p, "250-circuit-status=1 BUILT\r\n250 OK\r\n"
            "250+circuit-status=\r\n1 BUILT\r\n2 BUILT\r\n.\r\n250 OK\r\n");
    struct tor_message m = next(&p, TOR_REPLY, 2);
    assert_true(tor_reply_find(&m.reply, "circuit-status", &w));
    assert_true(w.value_len == 7 && memcmp(w.value, "1 BUILT", 7) == 0);
    m = next(&p, TOR_REPLY, 2);
    assert_true(tor_reply_find(&m.reply, "circuit-status", &w));
    assert_true(w.value_len == 16 && memcmp(w.value, "1 BUILT\n2 BUILT\n", 16) == 0);
    tor_proto_clear(&p);
}

static void dots(void **state)
{
    struct tor_proto p;
    (void)state;
    start(&p, 1);
    say(&p,
        "250+address-mappings/all=\r\n..foo bar\r\n...two bar\r\na.b\r\n..\r\n\r\n.\r\n250 OK\r\n");
    struct tor_message m = next(&p, TOR_REPLY, 2);
    data_is(&m, 0, ".foo bar\n..two bar\na.b\n.\n\n");
    tor_proto_clear(&p);
}

/* HS_DESC_CONTENT of a fetch that failed. */
static void empty_event(void **state)
{
    struct tor_proto p;
    (void)state;
    start(&p, 0);
    say(&p, "650+HS_DESC_CONTENT addr id $HSDir\r\n\r\n.\r\n650 OK\r\n");
    struct tor_message m = next(&p, TOR_REPLY_EVENT, 2);
    data_is(&m, 0, "\n");
    tor_proto_clear(&p);
}

/* Events stand between replies, also before the last one; replies come in order. */
static void pipelined(void **state)
{
    struct tor_proto p;
    (void)state;
    start(&p, 3);
    say(&p,
        "650 INFO a\r\n250 one\r\n650 INFO b\r\n650 INFO c\r\n250-x=1\r\n250 OK\r\n650 INFO d\r\n");
    next(&p, TOR_REPLY_EVENT, 1);
    assert_ptr_equal(next(&p, TOR_REPLY, 1).who, &some[0]);
    next(&p, TOR_REPLY_EVENT, 1);
    next(&p, TOR_REPLY_EVENT, 1);
    assert_ptr_equal(next(&p, TOR_REPLY, 2).who, &some[1]);
    next(&p, TOR_REPLY_EVENT, 1);
    nothing(&p);
    say(&p, "552 no\r\n");
    struct tor_message m = next(&p, TOR_REPLY, 1);
    assert_ptr_equal(m.who, &some[2]);
    assert_int_equal(m.reply.code, 552);
    tor_proto_clear(&p);
}

static void out_of_order(void **state)
{
    static const char *const bad[] = {
        "250-x\r\n650 INFO within a reply\r\n",
        "650-CONF_CHANGED\r\n250 OK\r\n",
        "250 OK\r\n250 one too many\r\n",
        "hello\r\n",
        "250-x\r\n25\r\n",
        "\r\n",
        "650+X\r\nabc\r\n.\r\n250 OK\r\n",
    };
    struct tor_proto p;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tor_message m;
        start(&p, 1);
        if (strncmp(bad[i], "250 ", 4) == 0) {
            say(&p, "250 OK\r\n");
            assert_int_equal(tor_proto_next(&p, &m, NULL), 1);
            broken(&p, strchr(bad[i], '\n') + 1);
        } else {
            broken(&p, bad[i]);
        }
    }
}

/* A line may be long (tor's family lines are), but not endless; nor may a reply. */
static void long_lines(void **state)
{
    struct tor_proto p;
    struct tor_message m;
    size_t n = TOR_LINE_MAX;
    char *big = malloc(n);
    (void)state;
    assert_non_null(big);
    memset(big, 'x', n);
    start(&p, 2);
    say(&p, "250-family=");
    feed(&p, big, n - 11);
    nothing(&p);
    say(&p, "\r\n250 OK\r\n");
    m = next(&p, TOR_REPLY, 2);
    assert_int_equal(m.reply.lines[0].len, n - 4);
    say(&p, "250-");
    feed(&p, big, n - 2);
    assert_int_equal(tor_proto_next(&p, &m, NULL), NK_EPROTO);
    tor_proto_clear(&p);
    start(&p, 1);
    say(&p, "250+x=\r\n");
    int rc = 0;
    for (size_t fed = 0; rc == 0; fed += n / 4 + 2) {
        assert_true(fed <= TOR_REPLY_MAX + n);
        feed(&p, big, n / 4);
        say(&p, "\r\n");
        rc = tor_proto_next(&p, &m, NULL);
    }
    assert_int_equal(rc, NK_EPROTO);
    tor_proto_clear(&p);
    free(big);
}

/* Many short lines cost records, too. */
static void many_lines(void **state)
{
    struct tor_proto p;
    struct tor_message m;
    int rc = 0;
    (void)state;
    start(&p, 1);
    for (size_t i = 0; rc == 0; i++) {
        assert_true(i < TOR_REPLY_MAX / 40);
        say(&p, "250-\r\n250-\r\n250-\r\n250-\r\n");
        rc = tor_proto_next(&p, &m, NULL);
    }
    assert_int_equal(rc, NK_EPROTO);
    tor_proto_clear(&p);
}

/* What was large is given back. */
static void memory_shrinks(void **state)
{
    struct tor_proto p;
    static char line[1024];
    (void)state;
    memset(line, 'x', sizeof(line));
    start(&p, 1);
    for (int i = 0; i < 4000; i++) {
        say(&p, "250-");
        feed(&p, line, sizeof(line));
        say(&p, "\r\n");
        nothing(&p);
    }
    say(&p, "250 OK\r\n");
    next(&p, TOR_REPLY, 4001);
    nothing(&p);
    assert_true(p.in.cap == 0 && p.parts_cap == 0);
    ask(&p, some);
    say(&p, "250 OK\r\n");
    next(&p, TOR_REPLY, 1);
    tor_proto_clear(&p);
}

static void line_by_line(void **state)
{
    struct tor_proto p;
    (void)state;
    tor_proto_init(&p);
    assert_int_equal(tor_proto_send(&p, some, "X", 1, NULL, 0, true, TOR_NEVER, NULL, NULL), 0);
    ask(&p, &some[1]);
    say(&p, "250-a=1\r\n250+b=\r\n..dot\r\n\r\n.\r\n250 OK\r\n250 second\r\n");
    struct tor_message m = next(&p, TOR_REPLY_LINE, 1);
    assert_ptr_equal(m.who, some);
    text_is(&m, 0, 250, '-', "a=1");
    m = next(&p, TOR_REPLY_LINE, 1);
    text_is(&m, 0, 250, '+', "b=");
    m = next(&p, TOR_REPLY_LINE, 1);
    text_is(&m, 0, 250, '=', ".dot");
    m = next(&p, TOR_REPLY_LINE, 1);
    text_is(&m, 0, 250, '=', "");
    m = next(&p, TOR_REPLY, 1);
    text_is(&m, 0, 250, ' ', "OK");
    m = next(&p, TOR_REPLY, 1);
    assert_ptr_equal(m.who, &some[1]);
    tor_proto_clear(&p);
}

/* Nobody waits any more: the reply is taken out of the way, at whatever point. */
static void forgotten(void **state)
{
    struct tor_proto p;
    uint64_t id;
    (void)state;
    for (int when = 0; when < 3; when++) {
        tor_proto_init(&p);
        assert_int_equal(tor_proto_send(&p, some, "X", 1, NULL, 0, false, TOR_NEVER, &id, NULL), 0);
        ask(&p, &some[1]);
        if (when == 0) {
            tor_proto_forget(&p, id);
        }
        say(&p, "250-a=1\r\n");
        nothing(&p);
        if (when == 1) {
            tor_proto_forget(&p, id);
        }
        say(&p, "250+b=\r\nx\r\n");
        nothing(&p);
        if (when == 2) {
            tor_proto_forget(&p, id);
        }
        say(&p, "y\r\n.\r\n250-c=2\r\n250 OK\r\n650 INFO x\r\n250-z=1\r\n250 second\r\n");
        next(&p, TOR_REPLY_EVENT, 1);
        struct tor_message m = next(&p, TOR_REPLY, 2);
        assert_ptr_equal(m.who, &some[1]);
        tor_proto_forget(&p, id); /* long gone */
        tor_proto_clear(&p);
    }
}

static void deadlines(void **state)
{
    struct tor_proto p;
    (void)state;
    tor_proto_init(&p);
    assert_true(tor_proto_deadline(&p) == TOR_NEVER);
    assert_int_equal(tor_proto_send(&p, some, "X", 1, NULL, 0, false, 100, NULL, NULL), 0);
    assert_int_equal(tor_proto_send(&p, some, "X", 1, NULL, 0, false, 50, NULL, NULL), 0);
    assert_true(tor_proto_deadline(&p) == 100);
    say(&p, "250 OK\r\n");
    next(&p, TOR_REPLY, 1);
    assert_true(tor_proto_deadline(&p) == 100); /* it cannot come before the first */
    tor_proto_clear(&p);
}

static void the_end(void **state)
{
    struct tor_proto p;
    struct tor_message m;
    (void)state;
    start(&p, 2);
    say(&p, "250 OK\r\n");
    next(&p, TOR_REPLY, 1);
    assert_int_equal(tor_proto_end(&p, NULL), NK_ECLOSED);
    assert_ptr_equal(tor_proto_take(&p), &some[1]);
    assert_null(tor_proto_take(&p));
    tor_proto_clear(&p);
    static const char *const cut[] = {"2", "250-x\r\n", "250+x\r\nab\r\n", "650 INF"};
    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
        start(&p, 1);
        say(&p, cut[i]);
        assert_int_equal(tor_proto_next(&p, &m, NULL), 0);
        assert_int_equal(tor_proto_end(&p, NULL), NK_ETRUNC);
        tor_proto_clear(&p);
    }
}

static void too_many_wait(void **state)
{
    struct tor_proto p;
    (void)state;
    tor_proto_init(&p);
    for (size_t i = 0; i < TOR_PENDING_MAX; i++) {
        ask(&p, some);
    }
    assert_int_equal(tor_proto_send(&p, some, "X", 1, NULL, 0, false, 0, NULL, NULL), NK_ELIMIT);
    say(&p, "250 OK\r\n");
    next(&p, TOR_REPLY, 1);
    ask(&p, some);
    assert_int_equal(tor_proto_send(&p, some, "X\n", 2, NULL, 0, false, 0, NULL, NULL), NK_ELIMIT);
    assert_int_equal(tor_proto_pending(&p), TOR_PENDING_MAX);
    tor_proto_clear(&p);
}

/* --- what tor really said ----------------------------------------------------------------------
 */

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ b[i]) * 0x100000001b3u; /* FNV-1a */
    }
    return (h ^ n) * 0x100000001b3u;
}

struct seen {
    size_t replies, events;
    uint64_t hash;
};

static void take(struct tor_proto *p, struct seen *seen)
{
    struct tor_message m;
    struct nk_diag diag = {0};
    int rc;
    while ((rc = tor_proto_next(p, &m, &diag)) == 1) {
        seen->replies += m.kind == TOR_REPLY ? 1 : 0;
        seen->events += m.kind == TOR_REPLY_EVENT ? 1 : 0;
        for (size_t i = 0; i < m.reply.n; i++) {
            const struct tor_line *l = &m.reply.lines[i];
            seen->hash = mix(seen->hash, &l->code, sizeof(l->code));
            seen->hash = mix(seen->hash, &l->kind, 1);
            seen->hash = mix(seen->hash, l->text, l->len);
            seen->hash = mix(seen->hash, l->data, l->data_len);
        }
    }
    if (rc < 0) {
        print_message("%s\n", diag.text);
    }
    assert_int_equal(rc, 0);
}

/* The commands of NAME.tx: blocks count once. */
static size_t count_commands(const struct nk_buf *tx)
{
    const char *p = (const char *)nk_buf_ptr(tx), *end = p + nk_buf_len(tx);
    size_t n = 0;
    bool data = false;
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((lf ? lf : end) - p);
        len -= len > 0 && p[len - 1] == '\r' ? 1 : 0;
        n += data ? 0 : 1;
        data = data ? tor_wire_undot(p, len) >= 0 : len > 0 && p[0] == '+';
        p = lf ? lf + 1 : end;
    }
    return n;
}

/* The same bytes in pieces: first `first`, then `step` at a time. */
static struct seen replay(const struct nk_buf *rx, size_t commands, size_t first, size_t step)
{
    struct tor_proto p;
    struct seen seen = {0};
    tor_proto_init(&p);
    for (size_t i = 0; i < commands; i++) {
        ask(&p, some);
    }
    for (size_t at = 0, n = first; at < nk_buf_len(rx); at += n, n = step) {
        n = n < nk_buf_len(rx) - at ? n : nk_buf_len(rx) - at;
        feed(&p, nk_buf_ptr(rx) + at, n);
        take(&p, &seen);
    }
    tor_proto_clear(&p);
    return seen;
}

static void replay_file(const char *name)
{
    char path[NAME_MAX_LEN + 8];
    struct nk_buf rx, tx;
    (void)snprintf(path, sizeof(path), "%s.rx", name);
    assert_true(tor_kit_transcript(path, &rx));
    (void)snprintf(path, sizeof(path), "%s.tx", name);
    assert_true(tor_kit_transcript(path, &tx));
    size_t commands = count_commands(&tx), all = nk_buf_len(&rx);
    struct seen whole = replay(&rx, commands, all, all);
    /* tor leaves +HSPOST without an address unanswered: every later reply would be taken for it */
    bool silent = strcmp(name, "hspost-no-address") == 0;
    assert_int_equal(whole.replies + (silent ? 1 : 0), commands);
    static const size_t steps[] = {1, 2, 3, 7, 1000};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct seen s = replay(&rx, commands, steps[i], steps[i]);
        assert_memory_equal(&s, &whole, sizeof(s));
    }
    for (size_t at = 1; all <= EVERY_SPLIT_MAX && at < all; at++) {
        struct seen s = replay(&rx, commands, at, all);
        assert_memory_equal(&s, &whole, sizeof(s));
    }
    nk_buf_clear(&rx);
    nk_buf_clear(&tx);
}

static void transcripts(void **state)
{
    struct nk_buf readme;
    (void)state;
    if (!tor_kit_transcript("safecookie-vector", &readme)) {
        skip();
    }
    nk_buf_clear(&readme);
    DIR *dir = opendir(TOR_KIT_TRANSCRIPTS);
    struct dirent *e;
    int n = 0;
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        const char *end = strstr(e->d_name, ".rx.txt");
        char name[NAME_MAX_LEN];
        if (end) {
            (void)snprintf(name, sizeof(name), "%.*s", (int)(end - e->d_name), e->d_name);
            replay_file(name);
            n++;
        }
    }
    closedir(dir);
    assert_true(n >= LEAST_TRANSCRIPTS);
}

/* Whether text is anywhere in the memory of the input, used or not. */
static bool remembers(const struct tor_proto *p, const char *text)
{
    return p->in.data && memmem(p->in.data, p->in.cap, text, strlen(text)) != NULL;
}

static void ask_secret(struct tor_proto *p, const char *line, void *who, bool by_line)
{
    assert_int_equal(
        tor_proto_send(p, who, line, strlen(line), NULL, 0, by_line, TOR_NEVER, NULL, NULL), 0);
}

/* What tor sends before and after private keys may stay in memory, they may not. */
static void keys_are_wiped(void **state)
{
    struct tor_proto p;
    (void)state;
    start(&p, 1);
    ask_secret(&p, "ONION_CLIENT_AUTH_VIEW", &some[1], false);
    ask_secret(&p, "add_onion NEW:ED25519-V3 Port=80", &some[2], true);
    ask(&p, &some[3]);
    say(&p, "250 first\r\n250-CLIENT x25519:PRIVATE-A\r\n");
    next(&p, TOR_REPLY, 1);
    nothing(&p);
    assert_true(remembers(&p, "PRIVATE-A"));
    say(&p, "250 OK\r\n250-PrivateKey=PRIVATE-B\r\n250 OK\r\n250 PUBLIC\r\n");
    next(&p, TOR_REPLY, 2);
    assert_true(remembers(&p, "PRIVATE-A"));
    next(&p, TOR_REPLY_LINE, 1);
    assert_false(remembers(&p, "PRIVATE-A"));
    assert_true(remembers(&p, "PRIVATE-B"));
    next(&p, TOR_REPLY, 1);
    assert_false(remembers(&p, "PRIVATE-B"));
    next(&p, TOR_REPLY, 1);
    nothing(&p);
    assert_true(remembers(&p, "PUBLIC"));
    tor_proto_clear(&p);
}

/* The same for a reply that nobody waits for any more, and while the memory grows. */
static void forgotten_keys_are_wiped(void **state)
{
    struct tor_proto p;
    uint64_t id;
    (void)state;
    start(&p, 0);
    assert_int_equal(tor_proto_send(&p, some, "ONION_CLIENT_AUTH_VIEW", 22, NULL, 0, false,
                                    TOR_NEVER, &id, NULL),
                     0);
    say(&p, "250-CLIENT x25519:PRIVATE");
    nothing(&p);
    tor_proto_forget(&p, id);
    say(&p, "\r\n");
    nothing(&p);
    assert_true(p.in.cap > 0 && !remembers(&p, "PRIVATE"));
    say(&p, "250 OK\r\n");
    nothing(&p);
    assert_int_equal(tor_proto_pending(&p), 0);
    assert_false(p.in.secret);
    tor_proto_clear(&p);
}

int nk_test_tor_proto(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixed_reply),
        cmocka_unit_test(mixed_codes),
        cmocka_unit_test(event_forms),
        cmocka_unit_test(form_by_content),
        cmocka_unit_test(dots),
        cmocka_unit_test(empty_event),
        cmocka_unit_test(pipelined),
        cmocka_unit_test(out_of_order),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(many_lines),
        cmocka_unit_test(memory_shrinks),
        cmocka_unit_test(line_by_line),
        cmocka_unit_test(forgotten),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(the_end),
        cmocka_unit_test(too_many_wait),
        cmocka_unit_test(transcripts),
        cmocka_unit_test(keys_are_wiped),
        cmocka_unit_test(forgotten_keys_are_wiped),
    };
    return cmocka_run_group_tests_name("tor/proto", tests, NULL, NULL);
}
