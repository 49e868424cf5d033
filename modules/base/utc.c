/* SPDX-License-Identifier: MIT */
#include "base/utc.h"

#include <stdio.h>
#include <time.h>

#include "base/err.h"

enum { TM_YEAR = 1900, YEAR_MAX = 9999 };

bool nk_format_utc(char out[NK_UTC_SIZE], int64_t seconds)
{
    const time_t t = (time_t)seconds;
    struct tm tm;
    out[0] = '\0';
    if (!gmtime_r(&t, &tm) || tm.tm_year < -TM_YEAR || tm.tm_year > YEAR_MAX - TM_YEAR) {
        return false;
    }
    snprintf(out, NK_UTC_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ",
             (unsigned)(tm.tm_year + TM_YEAR) % (YEAR_MAX + 1), (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100);
    return true;
}

/* The parts in their order: how many digits, least and most, what follows. */
static const struct part {
    uint8_t digits;
    uint8_t least;
    uint16_t most;
    char end[3]; /* one of them */
} parts[] = {
    {4, 0, YEAR_MAX, "-"}, {2, 1, 12, "-"}, {2, 1, 31, "T "},
    {2, 0, 23, ":"},       {2, 0, 59, ":"}, {2, 0, 60, "Z"}, /* 60: a leap second */
};
enum { PARTS = sizeof(parts) / sizeof(*parts) };

static const char *take_part(const char *p, const struct part *part, int *out)
{
    unsigned n = 0;
    for (*out = 0; n < part->digits && *p >= '0' && *p <= '9'; n++) {
        *out = *out * 10 + (*p++ - '0');
    }
    return n > 0 && *out >= part->least && *out <= part->most ? p : NULL;
}

int nk_parse_utc(const char *text, int64_t *out)
{
    int v[PARTS];
    const char *p = text;
    for (int i = 0; i < PARTS; i++) {
        p = take_part(p, &parts[i], &v[i]);
        if (!p) {
            return NK_EFORMAT;
        }
        if (*p && (*p == parts[i].end[0] || *p == parts[i].end[1])) {
            p++;
        } else if (*p || i != PARTS - 1) {
            return NK_EFORMAT;
        }
    }
    if (*p) {
        return NK_EFORMAT;
    }
    struct tm tm = {.tm_year = v[0] - TM_YEAR,
                    .tm_mon = v[1] - 1,
                    .tm_mday = v[2],
                    .tm_hour = v[3],
                    .tm_min = v[4],
                    .tm_sec = v[5]};
    *out = (int64_t)timegm(&tm);
    return 0;
}
