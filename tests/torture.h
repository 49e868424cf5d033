/* SPDX-License-Identifier: MIT */
/*
 * torture - make the n-th memory allocation of a piece of code fail, for every n.
 *
 * The unit test program is linked with the linker's --wrap for malloc, calloc, realloc, strdup,
 * strndup, sodium_malloc and their free functions. While a torture runs, allocations of its thread
 * are counted and recorded; outside of one the wrappers only pass on.
 */
#ifndef NK_TESTS_TORTURE_H
#define NK_TESTS_TORTURE_H

#include <stdbool.h>

/*
 * One run of the code: from a clean state do the work, check the result, give everything back.
 * Returns 0 when the work succeeded (and its result was right), else its negative error. Must not
 * use cmocka's assertions: they leave by a long jump; report a wrong result as 1.
 */
typedef int nk_torture_fn(void *arg);

/*
 * nk_torture - run fn again and again: first with only the 1st, then only the 2nd, ... allocation
 * failing (transient), then with all from the n-th on failing (persistent), until a run needs fewer
 * than n. Fails the cmocka test when a run without a failed allocation does not return 0, when a
 * run with one returns anything but 0 or -ENOMEM (0: it did without that memory), when a run
 * leaves memory allocated, or when no allocation ever happened. Returns how many there were.
 */
unsigned nk_torture(nk_torture_fn *fn, void *arg);

/* nk_torture_sparse - the same for code that is slow or allocates much: only every step-th
 * allocation, unless the environment has NK_TORTURE=full. */
unsigned nk_torture_sparse(nk_torture_fn *fn, void *arg, unsigned step);

/* nk_torture_pause / nk_torture_resume - for use inside fn: allocations in between do not fail and
 * do not count (set-up that is not under test). They are still watched for leaks. */
void nk_torture_pause(void);
void nk_torture_resume(void);

/* nk_torture_forgive - for use inside fn: what this run leaves behind is a library's fault (it says
 * which one in a comment); it is freed instead of failing the test. */
void nk_torture_forgive(void);

#endif
