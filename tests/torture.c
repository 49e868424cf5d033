/* SPDX-License-Identifier: MIT */
#include "torture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#define LIVE_MAX 4096   /* allocations that one run may hold at the same time */
#define RUNS_MAX 100000 /* more allocations than any code under test has */

/* State of the thread that is being tortured. */
static _Thread_local struct {
    bool watching;   /* record what is allocated */
    bool counting;   /* let allocations fail */
    bool persistent; /* all from the n-th on, not only the n-th */
    bool inside;     /* a C library's calloc and realloc may call its malloc and free */
    bool overflow;   /* more than LIVE_MAX at once: leaks cannot be told */
    bool forgive;    /* free what is left behind */
    unsigned seen;   /* allocations counted in this run */
    unsigned fail_at;
    unsigned failed; /* allocations that were made to fail */
    size_t nlive;
    const void *live[LIVE_MAX];
} t;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__real_sodium_malloc(size_t n);
void __real_sodium_free(void *p);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void *__wrap_sodium_malloc(size_t n);
void __wrap_sodium_free(void *p);

static bool fails_now(void)
{
    if (!t.counting || t.inside)
        return false;
    t.seen++;
    if (t.seen != t.fail_at && !(t.persistent && t.seen > t.fail_at))
        return false;
    t.failed++;
    errno = ENOMEM;
    return true;
}

static void *remember(void *p)
{
    t.inside = false;
    if (!t.watching || !p)
        return p;
    if (t.nlive == LIVE_MAX)
        t.overflow = true;
    else
        t.live[t.nlive++] = p;
    return p;
}

static void forget(const void *p)
{
    for (size_t i = t.nlive; p && i-- > 0;) {
        if (t.live[i] == p) {
            t.live[i] = t.live[--t.nlive];
            return;
        }
    }
}

/* True when this call is one of the code under test, which then must call remember(). */
static bool enter(void)
{
    bool outermost = !t.inside;
    t.inside = true;
    return outermost;
}

void *__wrap_malloc(size_t n)
{
    if (fails_now())
        return NULL;
    return enter() ? remember(__real_malloc(n)) : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    if (fails_now())
        return NULL;
    return enter() ? remember(__real_calloc(n, size)) : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    if (fails_now())
        return NULL;
    if (!enter())
        return __real_realloc(p, n);
    forget(p);
    return remember(__real_realloc(p, n));
}

void __wrap_free(void *p)
{
    if (!t.inside)
        forget(p);
    __real_free(p);
}

/* The C library's own strdup would call its own malloc. */
char *__wrap_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = __wrap_malloc(len + 1);
    if (copy) {
        memcpy(copy, s, len);
        copy[len] = '\0';
    }
    return copy;
}

char *__wrap_strdup(const char *s)
{
    return __wrap_strndup(s, strlen(s));
}

void *__wrap_sodium_malloc(size_t n)
{
    if (fails_now())
        return NULL;
    return enter() ? remember(__real_sodium_malloc(n)) : __real_sodium_malloc(n);
}

void __wrap_sodium_free(void *p)
{
    forget(p);
    __real_sodium_free(p);
}

/* What libuv gets: a C library's realloc may call malloc, which is wrapped as well. */
static void *uv_side_malloc(size_t n)
{
    bool outermost = enter();
    void *p = __real_malloc(n);
    t.inside = !outermost;
    return p;
}

static void *uv_side_calloc(size_t n, size_t size)
{
    bool outermost = enter();
    void *p = __real_calloc(n, size);
    t.inside = !outermost;
    return p;
}

static void *uv_side_realloc(void *p, size_t n)
{
    bool outermost = enter();
    void *q = __real_realloc(p, n);
    t.inside = !outermost;
    return q;
}

void nk_torture_pause(void)
{
    t.counting = false;
}

void nk_torture_resume(void)
{
    t.counting = t.watching;
}

void nk_torture_forgive(void)
{
    t.forgive = true;
}

/* One run whose n-th allocation fails; true when it was the last one that is needed. */
static bool run_once(nk_torture_fn *fn, void *arg, unsigned n, bool persistent)
{
    memset(&t, 0, sizeof t);
    t.fail_at = n;
    t.persistent = persistent;
    t.watching = t.counting = true;
    int r = fn(arg);
    t.watching = t.counting = false;
    while (t.forgive && t.nlive > 0)
        __real_free((void *)(uintptr_t)t.live[--t.nlive]);
    const char *mode = persistent ? "all from allocation" : "allocation";
    if (t.overflow)
        fail_msg("more than %d allocations at the same time: raise LIVE_MAX", LIVE_MAX);
    if (t.nlive > 0)
        fail_msg("%zu allocations left behind when %s %u failed (returned %d)", t.nlive, mode, n,
                 r);
    if (t.failed == 0 && r != 0)
        fail_msg("returned %d though no allocation failed", r);
    if (t.failed > 0 && r != 0 && r != -ENOMEM)
        fail_msg("returned %d when %s %u failed", r, mode, n);
    return t.failed == 0;
}

/* libuv aborts where it cannot grow its table of descriptors or prepare itself, which it does with
 * the first loop: neither is tortured. */
static void spare_libuv(void)
{
    uv_loop_t loop;
    uv_replace_allocator(uv_side_malloc, uv_side_realloc, uv_side_calloc, __real_free);
    if (uv_loop_init(&loop) < 0 || uv_loop_close(&loop) < 0)
        fail_msg("no loop");
}

unsigned nk_torture(nk_torture_fn *fn, void *arg)
{
    return nk_torture_sparse(fn, arg, 1);
}

unsigned nk_torture_sparse(nk_torture_fn *fn, void *arg, unsigned step)
{
    const char *env = getenv("NK_TORTURE");
    if (env && strcmp(env, "full") == 0)
        step = 1;
    spare_libuv();
    unsigned count = 0;
    for (int persistent = 0; persistent < 2; persistent++) {
        unsigned n = 1;
        while (!run_once(fn, arg, n, persistent != 0)) {
            n += step;
            if (n > RUNS_MAX)
                fail_msg("more than %d allocations", RUNS_MAX);
        }
        count = n - 1;
    }
    if (count == 0)
        fail_msg("nothing was allocated: there is nothing to test");
    return count;
}
