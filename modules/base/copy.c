/* SPDX-License-Identifier: MIT */
/*
 * memcpy and memmove of the released program, in place of musl's: on x86-64 those are `rep movsq`,
 * which starts slowly (some 30 ns for a few bytes) and crawls where source or destination is not
 * aligned (a record behind its header of 5 bytes never is): a fifth of the speed of these. They are
 * linked before libc's archive and so serve everything in the program. Other machines and glibc
 * have good ones. Both functions are C11 7.24.2's; nothing here depends on the processor's model.
 *
 * Up to 128 bytes everything is loaded before anything is stored, in pieces that overlap in the
 * middle, so there is no loop and no order to observe. Beyond that a loop moves 64 bytes at a time
 * in the direction in which an overlap does no harm; the 64 bytes at its far end are loaded before
 * it begins, because it may overwrite them, and stored after it.
 */
#include <string.h>

#if defined(__x86_64__) && !defined(__GLIBC__)

#include <stdint.h>

#if defined(__clang__)
#define NO_CALLS __attribute__((no_builtin("memcpy", "memmove", "memset")))
#else
#define NO_CALLS __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

/* As wide as every x86-64 can load, from any address, whatever type lies there. */
typedef long long vec __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t word8 __attribute__((aligned(1), may_alias));
typedef uint32_t word4 __attribute__((aligned(1), may_alias));
typedef uint16_t word2 __attribute__((aligned(1), may_alias));

enum { VEC = 16, STEP = 4 * VEC, SMALL = 2 * STEP };

struct step {
    vec v[4];
};

static inline struct step load(const char *s)
{
    return (struct step){{*(const vec *)s, *(const vec *)(s + VEC), *(const vec *)(s + 2 * VEC),
                          *(const vec *)(s + 3 * VEC)}};
}

static inline void store(char *d, struct step a)
{
    *(vec *)d = a.v[0];
    *(vec *)(d + VEC) = a.v[1];
    *(vec *)(d + 2 * VEC) = a.v[2];
    *(vec *)(d + 3 * VEC) = a.v[3];
}

/* The first and the last `size` bytes of n, which are all when n <= 2 * size. */
#define BOTH_ENDS(type, size)                                                                      \
    do {                                                                                           \
        type first = *(const type *)s, last = *(const type *)(s + n - (size));                     \
        *(type *)d = first;                                                                        \
        *(type *)(d + n - (size)) = last;                                                          \
    } while (0)

static inline void move_tiny(char *d, const char *s, size_t n)
{
    if (n >= 8) {
        BOTH_ENDS(word8, 8);
    } else if (n >= 4) {
        BOTH_ENDS(word4, 4);
    } else if (n >= 2) {
        BOTH_ENDS(word2, 2);
    } else if (n == 1) {
        *d = *s;
    }
}

static inline void move_small(char *d, const char *s, size_t n)
{
    if (n < VEC) {
        move_tiny(d, s, n);
    } else if (n <= 2 * VEC) {
        BOTH_ENDS(vec, VEC);
    } else if (n <= STEP) {
        vec a = *(const vec *)s, b = *(const vec *)(s + VEC);
        vec y = *(const vec *)(s + n - 2 * VEC), z = *(const vec *)(s + n - VEC);
        *(vec *)d = a;
        *(vec *)(d + VEC) = b;
        *(vec *)(d + n - 2 * VEC) = y;
        *(vec *)(d + n - VEC) = z;
    } else {
        struct step first = load(s), last = load(s + n - STEP);
        store(d, first);
        store(d + n - STEP, last);
    }
}

/* n > STEP; d before s, or no overlap. */
static inline void move_up(char *d, const char *s, size_t n)
{
    struct step last = load(s + n - STEP);
    for (size_t i = 0; i < n - STEP; i += STEP) {
        store(d + i, load(s + i));
    }
    store(d + n - STEP, last);
}

/* n > STEP; d behind s, or no overlap. */
static inline void move_down(char *d, const char *s, size_t n)
{
    struct step first = load(s);
    for (size_t i = n; i > STEP; i -= STEP) {
        store(d + i - STEP, load(s + i - STEP));
    }
    store(d, first);
}

NO_CALLS void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    if (n <= SMALL) {
        move_small(to, from, n);
    } else {
        move_up(to, from, n);
    }
    return to;
}

NO_CALLS void *memmove(void *to, const void *from, size_t n)
{
    if (n <= SMALL) {
        move_small(to, from, n);
    } else if ((uintptr_t)to - (uintptr_t)from >= n) {
        move_up(to, from, n);
    } else {
        move_down(to, from, n);
    }
    return to;
}

#else

_Static_assert(sizeof(char) == 1, "libc's own are used; a translation unit is not empty (C11 6.9)");

#endif
