/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hs/qr.h"

int nk_test_hs_qr(void);

enum { QUIET = 4, MAX_SIZE = 40, LINE = 3 /* a version 3 code has 29 squares */ };

/* The squares of a drawn code; true is dark. Returns how many a row has. */
static size_t squares(const char *text, bool dark[MAX_SIZE + 1][MAX_SIZE])
{
    size_t row = 0, width = 0;
    while (*text) {
        size_t col = 0;
        for (; *text != '\n'; col++) {
            assert_true(col < MAX_SIZE && row + 1 < MAX_SIZE + 1);
            unsigned light = 0;
            if (*text == ' ') {
                text++;
            } else {
                assert_memory_equal(text, "\xe2\x96", 2);
                light = text[2] == '\x80' ? 1 : text[2] == '\x84' ? 2 : 3;
                text += 3;
            }
            dark[row][col] = !(light & 1);
            dark[row + 1][col] = !(light & 2);
        }
        assert_true(row == 0 || col == width);
        width = col;
        row += 2;
        text++;
    }
    return width;
}

/* The three squares in the corners by which a code is found (ISO/IEC 18004 section 6.3.3). */
static void check_finder(bool dark[MAX_SIZE + 1][MAX_SIZE], size_t top, size_t left)
{
    for (size_t y = 0; y < 7; y++) {
        for (size_t x = 0; x < 7; x++) {
            bool edge = y == 0 || y == 6 || x == 0 || x == 6;
            bool core = y >= 2 && y <= 4 && x >= 2 && x <= 4;
            assert_int_equal(dark[top + y][left + x], edge || core);
        }
    }
}

static void code_of_a_client(void **state)
{
    (void)state;
    bool dark[MAX_SIZE + 1][MAX_SIZE] = {{false}};
    struct nk_buf out;
    nk_buf_init(&out, 65536);
    assert_int_equal(hs_qr_print("DESCRIPTOR:X25519:"
                                 "NGGI3ODP7R4V22HQ2TPTDJPBRMUVXTQXGKUIJIG2E7KTVXWXQEQQ",
                                 false, &out, NULL),
                     0);
    size_t size = 17 + 4 * LINE;
    assert_int_equal(squares(nk_buf_str(&out), dark), size + 2 * QUIET);
    check_finder(dark, QUIET, QUIET);
    check_finder(dark, QUIET, QUIET + size - 7);
    check_finder(dark, QUIET + size - 7, QUIET);
    for (size_t i = 0; i < size + 2 * QUIET; i++) {
        for (size_t q = 0; q < QUIET; q++) {
            assert_false(dark[q][i] || dark[i][q]);
            assert_false(dark[size + QUIET + q][i] || dark[i][size + QUIET + q]);
        }
    }
    nk_buf_clear(&out);
}

static void colours_and_limits(void **state)
{
    (void)state;
    struct nk_diag diag = {0};
    struct nk_buf out;
    char longest[3000];
    nk_buf_init(&out, 65536);
    assert_int_equal(hs_qr_print("A", true, &out, &diag), 0);
    assert_memory_equal(nk_buf_str(&out), "\033[97;40m", 8);
    assert_non_null(strstr(nk_buf_str(&out), "\033[0m\n"));
    nk_buf_reset(&out);
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(hs_qr_print(longest, false, &out, &diag), NK_ETOOBIG);
    assert_int_equal(nk_buf_len(&out), 0);
    nk_buf_clear(&out);
    nk_buf_init(&out, 100);
    assert_int_equal(hs_qr_print("A", false, &out, &diag), NK_ETOOBIG);
    nk_buf_clear(&out);
}

int nk_test_hs_qr(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_of_a_client),
        cmocka_unit_test(colours_and_limits),
    };
    return cmocka_run_group_tests_name("hs/qr", tests, NULL, NULL);
}
