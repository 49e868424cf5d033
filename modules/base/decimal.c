/* SPDX-License-Identifier: MIT */
#include "base/decimal.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* 10^19 < 2^64, and 5^27 < 2^63: with such numbers the arithmetic below is exact until its one
 * rounding, which is the compiler's from 128 bits to a double. */
#define MAX_DIGITS 19
#define MAX_POWER 27

__extension__ typedef unsigned __int128 u128;

/* A number as it is written: digits * 10^power. */
struct decimal {
    uint64_t digits;
    int power;
    bool negative;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits from s on, each of which multiplies by ten and changes the power by step. NULL when there
 * are too many. */
static const char *read_digits(const char *s, struct decimal *d, int step)
{
    for (; is_digit(*s); s++, d->power += step) {
        if (d->digits >= UINT64_C(1000000000000000000)) /* it has MAX_DIGITS */
            return NULL;
        d->digits = d->digits * 10 + (uint64_t)(*s - '0');
    }
    return s;
}

/* The exponent at s, if there is one, is added to the power. NULL when it is large. */
static const char *read_exponent(const char *s, struct decimal *d)
{
    if (*s != 'e' && *s != 'E')
        return s;
    const char *p = s + 1;
    bool negative = *p == '-';
    if (negative || *p == '+')
        p++;
    if (!is_digit(*p))
        return s;
    int n = 0;
    for (; is_digit(*p); p++) {
        n = n * 10 + (*p - '0');
        if (n > MAX_POWER + MAX_DIGITS)
            return NULL;
    }
    d->power += negative ? -n : n;
    return p;
}

/* Where the number at s ends; NULL when it is not one of the plain ones. */
static const char *read_plain(const char *s, struct decimal *d)
{
    d->negative = *s == '-';
    s += d->negative;
    if (!is_digit(*s) || (*s == '0' && !is_digit(s[1]) && s[1] != '.')) /* and not "0x" */
        return NULL;
    s = read_digits(s, d, 0);
    if (s && *s == '.')
        s = is_digit(s[1]) ? read_digits(s + 1, d, -1) : NULL;
    return s ? read_exponent(s, d) : NULL;
}

static uint64_t power_of_5(unsigned n)
{
    uint64_t power = 1;
    for (uint64_t base = 5; n; n >>= 1, base *= base) {
        if (n & 1)
            power *= base;
    }
    return power;
}

/* digits * 10^power = digits * 5^power * 2^power, of which the last is exact. */
static double value_of(const struct decimal *d)
{
    if (d->digits == 0)
        return 0;
    if (d->power >= 0)
        return ldexp((double)((u128)d->digits * power_of_5((unsigned)d->power)), d->power);
    uint64_t divisor = power_of_5((unsigned)-d->power);
    int shift = 63 + __builtin_clzll(d->digits);
    u128 n = (u128)d->digits << shift; /* 2^126 or more, so that q has 64 bits or more */
    u128 q = n / divisor;
    q |= q * divisor != n; /* what is left counts for the rounding, below all other bits */
    return ldexp((double)q, d->power - shift);
}

double nk_strtod(const char *text, char **end)
{
    struct decimal d = {0};
    const char *stop = read_plain(text, &d);
    if (!stop || d.power > MAX_POWER || d.power < -MAX_POWER)
        return strtod(text, end);
    if (end)
        *end = (char *)(uintptr_t)stop;
    double v = value_of(&d);
    return d.negative ? -v : v;
}
