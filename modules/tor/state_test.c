/* SPDX-License-Identifier: MIT */
/* The picture of a tor: what events and snapshots do to it, and that it stays within its bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "tor/event_testkit.h"
#include "tor/state.h"

#define FP "1D6495019080099377AE0D5867C9A8DEE718102B"

enum {
    FILE_MAX = 1 << 20,
    DAY_CIRCUITS = 90000, /* a day of a busy client: one circuit a second that is never closed */
};

static void apply(struct tor_state *s, const char *text)
{
    struct tor_test_replies t;
    struct tor_event e;
    const struct tor_reply *r;
    tor_test_replies_init(&t, text, strlen(text));
    while ((r = tor_test_replies_next(&t)) != NULL) {
        assert_int_equal(tor_event_parse(&e, r), 0);
        assert_int_equal(tor_state_event(s, &e), 0);
    }
    tor_test_replies_clear(&t);
}

static void has(const struct tor_state *s, enum tor_set set, const char *key, const char *line)
{
    const struct tor_item *it = tor_state_find(s, set, key, strlen(key));
    if (!line) {
        assert_null(it);
        return;
    }
    assert_non_null(it);
    assert_int_equal(it->len, strlen(line));
    assert_memory_equal(it->text, line, it->len);
}

static void test_life(void **state)
{
    struct tor_state *s = tor_state_new();
    (void)state;
    apply(s, "650 CIRC 5 LAUNCHED PURPOSE=GENERAL\n650 CIRC 5 BUILT $" FP "~a PURPOSE=GENERAL\n");
    has(s, TOR_CIRCUITS, "5", "5 BUILT $" FP "~a PURPOSE=GENERAL");
    apply(s, "650 CIRC_MINOR 5 PURPOSE_CHANGED $" FP "~a PURPOSE=CONTROLLER OLD_PURPOSE=GENERAL\n"
             "650 CIRC_MINOR 6 PURPOSE_CHANGED $" FP "~a PURPOSE=X\n");
    has(s, TOR_CIRCUITS, "5", "5 BUILT $" FP "~a PURPOSE=CONTROLLER OLD_PURPOSE=GENERAL");
    has(s, TOR_CIRCUITS, "6", NULL);
    apply(s, "650 STREAM 9 NEW 0 x.example:80 SOURCE_ADDR=127.0.0.1:5 PURPOSE=USER NYM_EPOCH=0\n"
             "650 STREAM 9 SENTCONNECT 5 x.example:80 NYM_EPOCH=0\n"
             "650 STREAM 9 SUCCEEDED 5 x.example:80 NYM_EPOCH=0\n");
    has(s, TOR_STREAMS, "9",
        "9 SUCCEEDED 5 x.example:80 NYM_EPOCH=0 SOURCE_ADDR=127.0.0.1:5 PURPOSE=USER");
    apply(s, "650 CIRC_BW ID=5 READ=10 WRITTEN=3\n650 CIRC_BW ID=5 READ=1 WRITTEN=1\n"
             "650 STREAM_BW 9 4 7 2026-11-20T21:04:44.020683\n650 CIRC_BW ID=99 READ=1 WRITTEN=1\n"
             "650 BW 100 200\n650 BW 5 6\n");
    assert_int_equal(tor_state_find(s, TOR_CIRCUITS, "5", 1)->read, 11);
    assert_int_equal(tor_state_find(s, TOR_CIRCUITS, "5", 1)->written, 4);
    assert_int_equal(tor_state_find(s, TOR_STREAMS, "9", 1)->read, 7);
    assert_int_equal(tor_state_traffic(s).read, 5);
    assert_int_equal(tor_state_traffic(s).total_written, 206);
    apply(s, "650 STREAM 9 CLOSED 5 x.example:80 REASON=END\n650 CIRC 5 CLOSED REASON=FINISHED\n"
             "650 CIRC 77 FAILED REASON=X\n");
    assert_int_equal(tor_state_count(s, TOR_CIRCUITS) + tor_state_count(s, TOR_STREAMS), 0);
    assert_int_equal(tor_state_bytes(s), 0);
    tor_state_free(s);
}

static void test_others(void **state)
{
    struct tor_state *s = tor_state_new();
    (void)state;
    apply(s, "650 ORCONN $" FP "~a LAUNCHED ID=3\n650 ORCONN $" FP "~a CONNECTED ID=3\n"
             "650 GUARD ENTRY $" FP "~a NEW\n650 GUARD ENTRY $" FP "~a UP\n650 GUARD OTHER x UP\n"
             "650 ADDRMAP a.example 1.2.3.4 NEVER CACHED=\"YES\"\n"
             "650 ADDRMAP b.example 1.2.3.4 NEVER CACHED=\"NO\"\n650 GUARD ENTRY\n650 CIRC\n");
    has(s, TOR_ORCONNS, "$" FP "~a", "$" FP "~a CONNECTED ID=3");
    has(s, TOR_GUARDS, "$" FP "~a", "$" FP "~a up");
    has(s, TOR_MAPPINGS, "a.example", "a.example 1.2.3.4 NEVER");
    has(s, TOR_MAPPINGS, "b.example", NULL);
    apply(s, "650 ORCONN $" FP "~a CLOSED ID=3\n650 GUARD ENTRY $" FP "~a DROPPED\n");
    assert_int_equal(tor_state_count(s, TOR_ORCONNS) + tor_state_count(s, TOR_GUARDS), 0);
    tor_state_free(s);
}

/* A reconnect: what the new snapshot does not list is gone; late events end at the same picture. */
static void test_snapshots(void **state)
{
    static const char first[] = "1 BUILT $" FP "~a PURPOSE=GENERAL\n2 EXTENDED PURPOSE=GENERAL\n";
    static const char second[] = "2 BUILT $" FP "~a PURPOSE=GENERAL";
    struct tor_state *s = tor_state_new();
    (void)state;
    assert_int_equal(tor_state_snapshot(s, TOR_CIRCUITS, first, sizeof first - 1), 0);
    assert_int_equal(tor_state_count(s, TOR_CIRCUITS), 2);
    apply(s, "650 CIRC 3 LAUNCHED\n");
    assert_int_equal(tor_state_snapshot(s, TOR_CIRCUITS, second, sizeof second - 1), 0);
    assert_int_equal(tor_state_count(s, TOR_CIRCUITS), 1);
    has(s, TOR_CIRCUITS, "2", second);
    apply(s, "650 CIRC 3 EXTENDED $" FP "~a\n650 CIRC 3 CLOSED\n650 CIRC 2 EXTENDED\n"
             "650 CIRC 2 BUILT $" FP "~a PURPOSE=GENERAL\n");
    assert_int_equal(tor_state_count(s, TOR_CIRCUITS), 1);
    has(s, TOR_CIRCUITS, "2", second);
    assert_int_equal(tor_state_snapshot(s, TOR_CIRCUITS, "", 0), 0);
    assert_int_equal(tor_state_count(s, TOR_CIRCUITS), 0);
    tor_state_free(s);
}

/* A day of circuits and streams whose ends were never seen. */
static void test_bound(void **state)
{
    struct tor_state *s = tor_state_new();
    char line[512];
    (void)state;
    for (unsigned i = 1; i <= DAY_CIRCUITS; i++) {
        (void)snprintf(line, sizeof line,
                       "650 CIRC %u BUILT $" FP "~a,$" FP "~b,$" FP "~c PURPOSE=GENERAL\n"
                       "650 STREAM %u NEW 0 host%u.example:443 SOURCE_ADDR=127.0.0.1:%u\n"
                       "650 ADDRMAP h%u 1.2.3.4 NEVER CACHED=\"YES\"\n",
                       i, i, i, i % 60000, i);
        apply(s, line);
        assert_true(tor_state_bytes(s) <= TOR_STATE_BYTES);
    }
    assert_true(tor_state_count(s, TOR_CIRCUITS) > 500);
    assert_true(tor_state_traffic(s).forgotten > DAY_CIRCUITS);
    (void)snprintf(line, sizeof line, "%u", DAY_CIRCUITS);
    assert_non_null(tor_state_find(s, TOR_CIRCUITS, line, strlen(line))); /* the oldest went */
    assert_null(tor_state_find(s, TOR_CIRCUITS, "1", 1));
    tor_state_free(s);
}

static void test_long_line(void **state)
{
    static char text[3 * TOR_STATE_LINE];
    struct tor_state *s = tor_state_new();
    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "7 BUILT ", 8);
    assert_int_equal(tor_state_snapshot(s, TOR_CIRCUITS, text, sizeof text), 0);
    assert_int_equal(tor_state_find(s, TOR_CIRCUITS, "7", 1)->len, TOR_STATE_LINE);
    memset(text, 'y', sizeof text); /* a name of that length is nobody's */
    assert_int_equal(tor_state_snapshot(s, TOR_CIRCUITS, text, sizeof text), 0);
    assert_int_equal(tor_state_count(s, TOR_CIRCUITS), 0);
    tor_state_free(s);
}

/* What tor sent while it made, used and closed circuits, then its own list of them. */
static void test_recording(void **state)
{
    static const char name[] = TOR_RECORDINGS "/circuits-streams.rx.txt";
    struct tor_state *s = tor_state_new();
    struct nk_buf file;
    struct tor_test_replies t;
    struct nk_diag diag;
    const struct tor_reply *r;
    size_t lists = 0;
    (void)state;
    if (access(name, R_OK) != 0) {
        print_message("no %s: the recorded session is not replayed\n", name);
        tor_state_free(s);
        return;
    }
    nk_buf_init(&file, FILE_MAX);
    assert_int_equal(nk_file_read(name, 0, &file, &diag), 0);
    tor_test_replies_init(&t, nk_buf_ptr(&file), nk_buf_len(&file));
    while ((r = tor_test_replies_next(&t)) != NULL) {
        struct tor_event e;
        struct tor_word list;
        if (r->lines[0].code >= TOR_EVENT) {
            assert_int_equal(tor_event_parse(&e, r), 0);
            assert_int_equal(tor_state_event(s, &e), 0);
        } else if (tor_reply_find(r, "circuit-status", &list)) {
            struct tor_split lines = {.text = list.value, .len = list.value_len};
            size_t n = 0;
            while (tor_split_next(&lines, '\n')) { /* what had a line in an event is as listed */
                const char *space = memchr(lines.word, ' ', lines.word_len);
                size_t id = (size_t)(space - lines.word);
                const struct tor_item *it = tor_state_find(s, TOR_CIRCUITS, lines.word, id);
                if (it) {
                    const char *end = memchr(it->text + id + 1, ' ', it->len - id - 1);
                    assert_memory_equal(it->text, lines.word, (size_t)(end - it->text));
                }
                n += it != NULL;
            }
            assert_int_equal(n, tor_state_count(s, TOR_CIRCUITS)); /* and nothing else is there */
            assert_true(n > 3);
            assert_int_equal(tor_state_snapshot(s, TOR_CIRCUITS, list.value, list.value_len), 0);
            lists++;
        }
    }
    assert_true(lists > 0);
    tor_test_replies_clear(&t);
    nk_buf_clear(&file);
    tor_state_free(s);
}

int nk_test_tor_state(void);
int nk_test_tor_state(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),      cmocka_unit_test(test_others),
        cmocka_unit_test(test_snapshots), cmocka_unit_test(test_bound),
        cmocka_unit_test(test_long_line), cmocka_unit_test(test_recording),
    };
    return cmocka_run_group_tests_name("tor/state", tests, NULL, NULL);
}
