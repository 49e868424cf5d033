/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tor/event_testkit.h"
#include "tor/top.h"
#include "tor/wire.h"

int nk_test_tor_top(void);

struct fixture {
    struct tor_top *t;
    struct tor_screen s;
    struct nk_buf out;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    nk_buf_init(&f->out, 1 << 20);
    assert_int_equal(tor_top_new(&f->t), 0);
    assert_int_equal(tor_screen_size(&f->s, 30, 80), 0);
    snprintf(f->t->title, sizeof(f->t->title), "tor 1.2.3");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tor_top_free(f->t);
    tor_screen_clear(&f->s);
    nk_buf_clear(&f->out);
    free(f);
    return 0;
}

/* Every reply and event of the text, as the command would give them. */
static void feed(struct fixture *f, const char *text)
{
    struct tor_test_replies r;
    const struct tor_reply *one;
    tor_test_replies_init(&r, text, strlen(text));
    while ((one = tor_test_replies_next(&r))) {
        if (one->code >= TOR_EVENT) {
            assert_int_equal(tor_top_event(f->t, one), 0);
        } else {
            tor_top_past(f->t, one);
            assert_int_equal(tor_top_answer(f->t, one), 0);
        }
    }
    tor_test_replies_clear(&r);
}

static const char *picture(struct fixture *f)
{
    nk_buf_reset(&f->out);
    tor_top_draw(f->t, &f->s);
    assert_int_equal(tor_screen_text(&f->s, &f->out), 0);
    return nk_buf_str(&f->out);
}

static void has(struct fixture *f, const char *what)
{
    const char *shown = picture(f);
    if (!strstr(shown, what)) {
        fail_msg("'%s' is not in\n%s", what, shown);
    }
}

#define FP "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA~"
#define ANSWER                                                                                     \
    "250+circuit-status=\r\n"                                                                      \
    "7 BUILT " FP "one," FP "two BUILD_FLAGS=NEED_CAPACITY PURPOSE=GENERAL\r\n"                    \
    "8 LAUNCHED PURPOSE=HS_VANGUARDS\r\n.\r\n"                                                     \
    "250-stream-status=12 SUCCEEDED 7 example.com:443\r\n"                                         \
    "250-entry-guards=" FP "one up\r\n"                                                            \
    "250-uptime=3600\r\n250-traffic/read=2048\r\n250-traffic/written=1048576\r\n"                  \
    "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=85 TAG=x SUMMARY=\"Nearly "              \
    "\\\"there\\\"\"\r\n"                                                                          \
    "250 OK\r\n"

static void test_answer(void **state)
{
    struct fixture *f = *state;
    feed(f, ANSWER);
    has(f, "tor 1.2.3  up 1h");
    has(f, "85% Nearly ");
    has(f, "read 2 KiB  written 1 MiB  circuits 2  streams 1  guards 1");
    has(f, "7      BUILT      GENERAL            one,two");
    has(f, "8      LAUNCHED   HS_VANGUARDS");
    has(f, "12     SUCCEEDED  7      example.com:443");
    has(f, "one                    up");
}

static void test_events(void **state)
{
    struct fixture *f = *state;
    feed(f, ANSWER "650 CIRC 8 BUILT " FP "three PURPOSE=HS_VANGUARDS\r\n"
                   "650 CIRC 7 CLOSED " FP "one," FP "two PURPOSE=GENERAL REASON=FINISHED\r\n"
                   "650 STREAM 13 NEW 0 \033[2J.onion:80\r\n650 WARN Something is \033[31mred\r\n"
                   "650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n"
                   "650 BW 1024 2048\r\n650 NOSUCH whatever\r\n650 \r\n");
    has(f, "circuits 1  streams 2");
    has(f, "three");
    has(f, "100% Done");
    has(f, "read 1 KiB/s, most 1 KiB/s");
    has(f, "written 2 KiB/s");
    assert_int_equal(f->t->uptime, 3601);
    has(f, "WARN   Something is ?[31mred");
    assert_null(strchr(picture(f), 27));
    assert_null(strstr(picture(f), "one,two"));
}

static void test_graph(void **state)
{
    struct fixture *f = *state;
    feed(f, "250-bw-event-cache=0,0 512,10 1024,0\r\n250 OK\r\n");
    has(f, "most 1 KiB/s");
    has(f, "\xe2\x96\x88\n"); /* a full block at the right of the first half, nothing behind it */
    assert_int_equal(f->t->seconds_n, 3);
    for (int i = 0; i < 2 * TOR_TOP_SECONDS; i++) {
        feed(f, "650 BW 5 6\r\n650 NOTICE again\r\n");
    }
    has(f, "read 5 B/s, most 5 B/s");
    feed(f, "250-bw-event-cache=99999999999999999999999,x 7\r\n250 "
            "OK\r\n250-bw-event-cache=\r\n250 OK\r\n");
    has(f, "read 7 B/s");
}

static void test_sizes_and_panels(void **state)
{
    struct fixture *f = *state;
    char line[160];
    for (int i = 0; i < 200; i++) {
        snprintf(line, sizeof(line), "650 CIRC %d BUILT " FP "relay%d PURPOSE=GENERAL\r\n", i, i);
        feed(f, line);
    }
    has(f, "circuits (200, the newest");
    has(f, "relay199");
    assert_null(strstr(picture(f), "relay1 "));
    f->t->hidden[tor_top_key('c')] = true;
    assert_null(strstr(picture(f), "relay199"));
    f->t->paused = true;
    has(f, "PAUSED");
    assert_int_equal(tor_top_key('x'), -1);
    for (unsigned rows = 1; rows < 40; rows++) {
        for (unsigned columns = 1; columns < 130; columns += 7) {
            assert_int_equal(tor_screen_size(&f->s, rows, columns), 0);
            (void)picture(f);
        }
    }
}

static void test_recordings(void **state)
{
    struct fixture *f = *state;
    struct nk_buf b;
    nk_buf_init(&b, 16 << 20);
    FILE *in = fopen(TOR_RECORDINGS "/circuits-streams.rx.txt", "r");
    if (!in) {
        print_message("no " TOR_RECORDINGS ": skipped\n");
        skip();
    }
    uint8_t *room;
    assert_int_equal(nk_buf_reserve(&b, 1 << 20, &room), 0);
    nk_buf_commit(&b, fread(room, 1, 1 << 20, in));
    fclose(in);
    feed(f, nk_buf_str(&b));
    assert_true(tor_state_count(f->t->state, TOR_CIRCUITS) > 0);
    has(f, "BUILT");
    nk_buf_clear(&b);
}

int nk_test_tor_top(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_answer), TEST(test_events), TEST(test_graph),
                                       TEST(test_sizes_and_panels), TEST(test_recordings)};
    return cmocka_run_group_tests_name("tor/top", tests, NULL, NULL);
}
