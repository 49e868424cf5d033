/* SPDX-License-Identifier: MIT */
#include "onion/upload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

int nk_test_onion_upload(void);

#define US "ctfcrj45uouc2im5roycufckebqviw7j363w5ch3veje5jmalk3bfzad"
#define OTHER "i2kfbgllhc354doi477jajhpkdr56vu4qbncagtidnkikznqbj57alqd"
#define DIR_A "$F8D867EFE7EC94F9BA8E4536CFAE4C7696C118A5~a1"
#define DIR_B "$7BB1E535F17CE448DDC280943B1A12A47F215179~r2"
#define NOW "FIh4nByUITpOwjD/oKpdo0TOVZyfRmmQO9unB/5FM7w"
#define NEXT "0Jn8VWWMxzgZkriL/D74H1e2UCFDpr+y5q/2dhnQ2oE"

static bool event(struct onion_upload *u, const char *text)
{
    return onion_upload_event(u, US, text, strlen(text));
}

static void check_progress(const struct onion_upload *u, unsigned done, unsigned total)
{
    unsigned d, t;
    onion_upload_progress(u, &d, &t);
    assert_int_equal(d, done);
    assert_int_equal(t, total);
}

static void both_created(struct onion_upload *u)
{
    onion_upload_init(u);
    assert_true(event(u, "HS_DESC CREATED " US " UNKNOWN UNKNOWN " NOW));
    assert_true(event(u, "HS_DESC CREATED " US " UNKNOWN UNKNOWN " NEXT));
}

/* One directory has both descriptors, and answers twice in the same words. */
static void check_multiset(void **state)
{
    struct onion_upload u;
    (void)state;
    both_created(&u);
    assert_true(onion_upload_reached(&u, ONION_WAIT_NONE));
    assert_false(onion_upload_reached(&u, ONION_WAIT_FIRST));
    assert_true(event(&u, "HS_DESC UPLOAD " US " UNKNOWN " DIR_A " " NOW " HSDIR_INDEX=00"));
    assert_true(event(&u, "HS_DESC UPLOADED " US " UNKNOWN " DIR_A));
    assert_true(onion_upload_reached(&u, ONION_WAIT_FIRST));
    assert_false(onion_upload_reached(&u, ONION_WAIT_ALL)); /* the other one has not begun */
    assert_true(event(&u, "HS_DESC UPLOAD " US " UNKNOWN " DIR_A " " NEXT));
    assert_true(event(&u, "HS_DESC UPLOAD " US " UNKNOWN " DIR_B " " NEXT));
    check_progress(&u, 1, 3);
    assert_true(event(&u, "HS_DESC UPLOADED " US " UNKNOWN " DIR_A));
    assert_false(onion_upload_reached(&u, ONION_WAIT_ALL));
    assert_true(event(&u, "HS_DESC FAILED " US " UNKNOWN " DIR_B " REASON=UPLOAD_REJECTED"));
    assert_true(onion_upload_reached(&u, ONION_WAIT_ALL));
    assert_string_equal(u.reason, "UPLOAD_REJECTED");
    check_progress(&u, 3, 3);
    assert_int_equal(u.uploaded, 2);
    assert_int_equal(u.failed, 1);
    assert_int_equal(u.started, 3);
}

/* Nothing but failures is not published. */
static void check_all_failed(void **state)
{
    struct onion_upload u;
    (void)state;
    onion_upload_init(&u);
    assert_true(event(&u, "HS_DESC UPLOAD " US " UNKNOWN " DIR_A " " NOW));
    assert_true(event(&u, "HS_DESC FAILED " US " UNKNOWN " DIR_A " REASON=UNEXPECTED"));
    assert_false(onion_upload_reached(&u, ONION_WAIT_FIRST));
    assert_false(onion_upload_reached(&u, ONION_WAIT_ALL));
}

/* A descriptor that is uploaded anew ends what is left of its batch before. */
static void check_again(void **state)
{
    struct onion_upload u;
    (void)state;
    onion_upload_init(&u);
    for (int i = 0; i < 1000; i++) {
        assert_true(event(&u, "HS_DESC UPLOAD " US " UNKNOWN " DIR_A " " NOW));
        assert_true(event(&u, "HS_DESC UPLOAD " US " UNKNOWN " DIR_B " " NOW));
        check_progress(&u, 0, 2);
        assert_true(event(&u, "HS_DESC UPLOADED " US " UNKNOWN " DIR_B));
    }
    assert_true(event(&u, "HS_DESC UPLOADED " US " UNKNOWN " DIR_A));
    assert_true(onion_upload_reached(&u, ONION_WAIT_ALL));
    assert_int_equal(u.started, 2000);
}

/* Periods pass: the oldest descriptors are forgotten, whatever was left of them. */
static void check_periods(void **state)
{
    struct onion_upload u;
    char text[200];
    (void)state;
    onion_upload_init(&u);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(text, sizeof(text), "HS_DESC UPLOAD " US " UNKNOWN " DIR_A " D%d", i);
        assert_true(event(&u, text));
    }
    check_progress(&u, 0, ONION_UPLOAD_DESCRIPTORS);
    for (int i = 0; i < ONION_UPLOAD_DESCRIPTORS; i++) {
        assert_false(onion_upload_reached(&u, ONION_WAIT_ALL));
        assert_true(event(&u, "HS_DESC UPLOADED " US " UNKNOWN " DIR_A));
    }
    assert_true(onion_upload_reached(&u, ONION_WAIT_ALL));
}

static void check_ignored(void **state)
{
    static const char *const others[] = {
        "",
        "HS_DESC",
        "HS_DESC UPLOADED",
        "HS_DESC UPLOADED " US,
        "HS_DESC UPLOADED " US " UNKNOWN",
        "HS_DESC UPLOADED " US " UNKNOWN UNKNOWN",
        "HS_DESC UPLOADED " US " UNKNOWN $F8D8",
        "HS_DESC UPLOADED " OTHER " UNKNOWN " DIR_A,
        "HS_DESC_CONTENT UPLOADED " US " UNKNOWN " DIR_A,
        "HS_DESC UPLOAD " US " UNKNOWN " DIR_A,
        "HS_DESC CREATED " US " UNKNOWN UNKNOWN",
        "HS_DESC UPLOAD " US " UNKNOWN " DIR_A " " NOW NEXT,
        "HS_DESC REQUESTED " US " NO_AUTH " DIR_A " " NOW,
        "HS_DESC RECEIVED " US " NO_AUTH " DIR_A " " NOW,
        "HS_DESC FAILED " US " NO_AUTH " DIR_A " REASON=UPLOAD_REJECTED", /* of no upload */
    };
    struct onion_upload u, before;
    (void)state;
    onion_upload_init(&u);
    assert_true(event(&u, "HS_DESC UPLOAD " US " UNKNOWN " DIR_B " " NOW));
    before = u;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(event(&u, others[i]));
        assert_memory_equal(&u, &before, sizeof(u));
    }
    /* a download failed at a directory that we wait for */
    assert_false(event(&u, "HS_DESC FAILED " US " NO_AUTH " DIR_B " " NOW " REASON=NOT_FOUND"));
    assert_memory_equal(&u, &before, sizeof(u));
}

/* What tor 0.4.9.11 said of two services that shared all their directories. */
static void check_transcript(void **state)
{
    static const char path[] = "../shared/vectors/tor-transcripts/onion-service.rx.txt";
    struct onion_upload u, other;
    char line[1024];
    FILE *f = fopen(path, "r");
    (void)state;
    if (!f) {
        print_message("%s is not here: skipped\n", path);
        skip();
    }
    onion_upload_init(&u);
    onion_upload_init(&other);
    while (fgets(line, sizeof(line), f)) {
        size_t n = strcspn(line, "\r\n");
        if (strncmp(line, "650 HS_DESC ", 12) == 0) {
            assert_false(onion_upload_event(&u, US, line + 4, n - 4) &&
                         onion_upload_event(&other, OTHER, line + 4, n - 4));
            if (u.started == 12 && u.uploaded == 11) {
                assert_false(onion_upload_reached(&u, ONION_WAIT_ALL));
            }
            (void)onion_upload_event(&other, OTHER, line + 4, n - 4);
        }
    }
    (void)fclose(f);
    check_progress(&u, 12, 12);
    assert_true(onion_upload_reached(&u, ONION_WAIT_ALL));
    assert_int_equal(u.uploaded, 12);
}

int nk_test_onion_upload(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_multiset), cmocka_unit_test(check_all_failed),
        cmocka_unit_test(check_again),    cmocka_unit_test(check_periods),
        cmocka_unit_test(check_ignored),  cmocka_unit_test(check_transcript),
    };
    return cmocka_run_group_tests_name("onion/upload", tests, NULL, NULL);
}
