/* SPDX-License-Identifier: MIT */
/* The table of unit tests that build.sh generates from the names of the *_test.c files. */
#ifndef NK_TESTS_UNIT_H
#define NK_TESTS_UNIT_H

struct nk_unit_test {
    const char *name; /* "base/buf" for modules/base/buf_test.c; NULL ends the table */
    int (*run)(void); /* runs one cmocka group: the number of failures, or negative */
};

extern const struct nk_unit_test nk_unit_tests[];

#endif
