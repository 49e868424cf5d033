/* SPDX-License-Identifier: MIT */
/*
 * The unit test program: `unit [PREFIX..]` runs the tests whose name begins with one of the
 * prefixes (all without any), `unit --part K/N` each N-th of all from the K-th on, `unit --list`
 * names them. The exit status is 0 if none failed; a prefix that names no test is an error.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sodium.h>

#include "unit.h"

static int selected(const char *name, int argc, char **argv)
{
    if (argc < 2) {
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        if (strncmp(name, argv[i], strlen(argv[i])) == 0) {
            return 1;
        }
    }
    return 0;
}

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int run_all(int argc, char **argv, int part, int parts)
{
    int ran = 0, failed = 0;
    for (const struct nk_unit_test *t = nk_unit_tests; t->name; t++) {
        if ((t - nk_unit_tests) % parts != part - 1 || !selected(t->name, argc, argv)) {
            continue;
        }
        double start = seconds();
        int rc = t->run();
        ran++;
        failed += rc != 0;
        fprintf(stderr, "%s %s (%.2f s)\n", rc ? "FAILED" : "passed", t->name, seconds() - start);
    }
    fprintf(stderr, "%d test files, %d failed\n", ran, failed);
    if (ran == 0 && argc > 1) {
        fputs("unit: no test has such a name; --list names them\n", stderr);
        return 2;
    }
    return failed != 0;
}

int main(int argc, char **argv)
{
    int part = 1, parts = 1;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (const struct nk_unit_test *t = nk_unit_tests; t->name; t++) {
            puts(t->name);
        }
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--part") == 0) {
        if (sscanf(argv[2], "%d/%d", &part, &parts) != 2 || part < 1 || parts < part) {
            fputs("unit: --part takes K/N\n", stderr);
            return 2;
        }
        argc = 1;
    }
    /* what the program itself does first */
    if (sodium_init() < 0) {
        return 70;
    }
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return run_all(argc, argv, part, parts);
}
