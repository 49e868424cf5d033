/* SPDX-License-Identifier: MIT */
/* Values of options: what a type accepts, and how a value is shown. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/utc.h"
#include "tor/conf.h"
#include "tor/wire.h"

/* Units: tor's words first, then netkit's. Of time in milliseconds, of size in bits, so that both
 * are whole numbers. Tor counts 30 days to a month, and powers of 1024. Each first word is shown.
 */
struct unit {
    const char *words; /* singular (or only one), plural, others */
    uint64_t factor;
};

static const struct unit times[] = {
    {"msec msec millisecond milliseconds ms", 1},
    {"second seconds s sec secs", 1000},
    {"minute minutes m min mins", 60000},
    {"hour hours h", 3600000},
    {"day days d", 86400000},
    {"week weeks w", 604800000},
    {"month months", 2592000000},
    {NULL, 0},
};

static const struct unit sizes[] = {
    {"bytes bytes byte b", 8},
    {"KB KB kbyte kbytes kilobyte kilobytes kib k", UINT64_C(8) << 10},
    {"MB MB mbyte mbytes megabyte megabytes mib m", UINT64_C(8) << 20},
    {"GB GB gbyte gbytes gigabyte gigabytes gib g", UINT64_C(8) << 30},
    {"TB TB terabyte terabytes tbyte tbytes tib t", UINT64_C(8) << 40},
    {"kbits kbits kbit kilobit kilobits", UINT64_C(1) << 10},
    {"mbits mbits mbit megabit megabits", UINT64_C(1) << 20},
    {"gbits gbits gbit gigabit gigabits", UINT64_C(1) << 30},
    {"tbits tbits tbit terabit terabits", UINT64_C(1) << 40},
    {NULL, 0},
};

/* How a type counts: its units, the factor of a bare number, how many units are shown. */
struct scale {
    const struct unit *units;
    uint64_t base;
    size_t first, shown; /* units that may be shown: no months, no bits */
    const char *unit;
};

static const struct scale *scale_of(enum tor_conf_type type)
{
    static const struct scale seconds = {times, 1000, 1, 6, "s"};
    static const struct scale msecs = {times, 1, 0, 6, "ms"};
    static const struct scale bytes = {sizes, 8, 0, 5, "bytes"};
    switch (type) {
    case TOR_CONF_SECONDS:
        return &seconds;
    case TOR_CONF_MSECS:
        return &msecs;
    case TOR_CONF_SIZE:
        return &bytes;
    default:
        return NULL;
    }
}

const char *tor_conf_unit(enum tor_conf_type type)
{
    const struct scale *s = scale_of(type);
    return s ? s->unit : NULL;
}

/* The i-th of the words; its length in *n, 0 behind the last one. */
static const char *word_at(const char *words, size_t i, size_t *n)
{
    while (i-- > 0 && *words) {
        words += strcspn(words, " ");
        words += strspn(words, " ");
    }
    *n = strcspn(words, " ");
    return words;
}

static uint64_t unit_factor(const struct unit *u, const char *word)
{
    for (; u->words; u++) {
        size_t n;
        for (size_t i = 0; word_at(u->words, i, &n)[0]; i++) {
            if (strlen(word) == n && strncasecmp(word_at(u->words, i, &n), word, n) == 0) {
                return u->factor;
            }
        }
    }
    return 0;
}

#define FRACTION_LIMIT 1000000000 /* nine digits behind the point are enough */

/* "1.5 hours" in whole units of the type. false: not one, too large, or not whole. */
static bool parse_scaled(const struct scale *s, const char *text, uint64_t *out)
{
    uint64_t whole = 0, part = 0, ten = 1, factor = s->base, total;
    const char *p = text + strspn(text, " ");
    if (*p < '0' || *p > '9') {
        return false;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole)) {
            return false;
        }
    }
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++) {
            if (ten >= FRACTION_LIMIT) {
                return false;
            }
            part = part * 10 + (uint64_t)(*p - '0');
            ten *= 10;
        }
    }
    p += strspn(p, " ");
    if (*p && (factor = unit_factor(s->units, p)) == 0) {
        return false;
    }
    if (__builtin_mul_overflow(whole, factor, &total) ||
        __builtin_add_overflow(total, (uint64_t)((double)part / (double)ten * (double)factor + 0.5),
                               &total)) {
        return false;
    }
    if (s->units == times && total % s->base) { /* half a second where seconds are counted */
        return false;
    }
    *out = total / s->base;
    return true;
}

static bool parse_bool(const char *text, bool *out)
{
    static const char *const no[] = {"0", "no", "off", "false"};
    static const char *const yes[] = {"1", "yes", "on", "true"};
    for (size_t i = 0; i < 4; i++) {
        if (strcasecmp(text, no[i]) == 0 || strcasecmp(text, yes[i]) == 0) {
            *out = strcasecmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool parse_float(const char *text, double *out)
{
    char *end;
    if (!(*text >= '0' && *text <= '9') && *text != '-' && *text != '.') { /* no nan, no inf */
        return false;
    }
    *out = strtod(text, &end);
    return end != text && *end == 0 && isfinite(*out) && !strpbrk(text, "xX");
}

static bool is_time(const char *text)
{
    int64_t at;
    return !strpbrk(text, "TZ") && nk_parse_utc(text, &at) == 0;
}

/* --- relays --------------------------------------------------------------------------------- */

#define FINGERPRINT_DIGITS 40
#define NICKNAME_MAX 19

static bool all_of(const char *p, size_t n, const char *set)
{
    for (size_t i = 0; i < n; i++) {
        if (!strchr(set, p[i])) {
            return false;
        }
    }
    return true;
}

#define DIGITS "0123456789"
#define HEX_DIGITS DIGITS "abcdefABCDEF"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* "192.0.2.0/24", "[2001:db8::]/32": the address; the mask may be bits or an address. */
static bool is_network(const char *p, size_t n)
{
    char text[64];
    uint8_t ip[16];
    const char *slash = memchr(p, '/', n);
    size_t len = slash ? (size_t)(slash - p) : n;
    if (slash && (n == len + 1 || !all_of(slash + 1, n - len - 1, DIGITS "."))) {
        return false;
    }
    if (len > 2 && p[0] == '[' && p[len - 1] == ']') {
        p++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof(text)) {
        return false;
    }
    memcpy(text, p, len);
    text[len] = 0;
    return inet_pton(AF_INET, text, ip) == 1 || inet_pton(AF_INET6, text, ip) == 1;
}

static bool is_relay(const char *p, size_t n)
{
    if (n == 0 || (n == 1 && *p == '*')) {
        return true;
    }
    if (p[0] == '{') {
        return n == 4 && p[3] == '}' && (all_of(p + 1, 2, LETTERS DIGITS) || !memcmp(p, "{??}", 4));
    }
    if (n <= NICKNAME_MAX && all_of(p, n, LETTERS DIGITS)) {
        return true;
    }
    size_t dollar = p[0] == '$';
    if (n >= FINGERPRINT_DIGITS + dollar && all_of(p + dollar, FINGERPRINT_DIGITS, HEX_DIGITS)) {
        p += FINGERPRINT_DIGITS + dollar;
        n -= FINGERPRINT_DIGITS + dollar;
        return n == 0 || ((*p == '=' || *p == '~') && n <= 1 + NICKNAME_MAX && n > 1 &&
                          all_of(p + 1, n - 1, LETTERS DIGITS));
    }
    return is_network(p, n);
}

static bool are_relays(const char *text)
{
    for (;;) {
        text += strspn(text, " ");
        size_t n = strcspn(text, ","), len = n;
        while (len > 0 && text[len - 1] == ' ') {
            len--;
        }
        if (!is_relay(text, len)) {
            return false;
        }
        if (!text[n]) {
            return true;
        }
        text += n + 1;
    }
}

/* --- check ---------------------------------------------------------------------------------- */

/* 1: what has to be sent is in out; 0: the text is to be sent as it is; -1: not of the type. */
static int check_number(enum tor_conf_type type, const char *text, struct nk_buf *out, int *rc)
{
    const struct scale *s = scale_of(type);
    uint64_t u;
    int64_t i;
    double d;
    bool b;
    switch (type) {
    case TOR_CONF_AUTOBOOL:
    case TOR_CONF_PORT:
        if (strcasecmp(text, "auto") == 0) {
            return 0;
        }
        if (type == TOR_CONF_PORT) {
            return nk_parse_u64(text, &u) == 0 && u <= 65535 ? 0 : -1;
        }
        /* fallthrough */
    case TOR_CONF_BOOLEAN:
        if (!parse_bool(text, &b)) {
            return -1;
        }
        *rc = nk_buf_puts(out, b ? "1" : "0");
        return 1;
    case TOR_CONF_INTEGER:
        return nk_parse_u64(text, &u) == 0 ? 0 : -1;
    case TOR_CONF_SIGNED:
        return nk_parse_i64(text, &i) == 0 ? 0 : -1;
    case TOR_CONF_FLOAT:
        return parse_float(text, &d) ? 0 : -1;
    default:
        if (!s || !parse_scaled(s, text, &u)) {
            return -1;
        }
        *rc = nk_buf_printf(out, "%" PRIu64, u);
        return 1;
    }
}

int tor_conf_check(const struct tor_conf_option *o, const char *value, struct nk_buf *out,
                   struct nk_diag *diag)
{
    int rc = 0, fits;
    switch (o->type) {
    case TOR_CONF_STRING:
    case TOR_CONF_FILENAME:
    case TOR_CONF_COMMAS:
    case TOR_CONF_LINES:
    case TOR_CONF_DEPENDENT:
    case TOR_CONF_OTHER:
        fits = 0;
        break;
    case TOR_CONF_VIRTUAL:
    case TOR_CONF_OBSOLETE:
        fits = -1;
        break;
    case TOR_CONF_ROUTERS:
        fits = are_relays(value) ? 0 : -1;
        break;
    case TOR_CONF_TIME:
        fits = is_time(value) ? 0 : -1;
        break;
    default:
        fits = check_number(o->type, value, out, &rc);
        break;
    }
    if (fits < 0) {
        nk_fail(diag, NK_EUSAGE, "%s: '%s' is not accepted; it takes %s", o->name, value,
                tor_conf_takes(o->type));
        if (!*value) {
            nk_hint(diag, "'netkit tor conf reset %s' gives it its default", o->name);
        }
        return NK_EUSAGE;
    }
    rc = fits == 0 ? nk_buf_puts(out, value) : rc;
    return rc < 0 ? nk_fail_sys(diag, rc, "%s", o->name) : 0;
}

/* --- show ----------------------------------------------------------------------------------- */

/* A value that fits here, with its end. Longer ones are no numbers. */
static const char *as_text(char out[64], const void *value, size_t n)
{
    if (n == 0 || n >= 64) {
        return "";
    }
    memcpy(out, value, n);
    out[n] = 0;
    return out;
}

/* A torrc ends a bare value at '#' and strips it, and reads quotes and backslashes. */
static bool needs_quotes(const char *p, size_t n)
{
    if (n == 0 || p[0] == '"' || p[0] == ' ' || p[n - 1] == ' ' || p[n - 1] == '\\') {
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f || p[i] == '#') {
            return true;
        }
    }
    return !nk_utf8_valid(p, n);
}

/* The largest unit that leaves a whole number: "10 minutes", "1 GB". */
static int put_scaled(struct nk_buf *out, const struct scale *s, uint64_t v)
{
    size_t best = s->first, n;
    for (size_t i = s->first; i < s->shown; i++) {
        const uint64_t per = s->units[i].factor / s->base;
        best = v > 0 && v % per == 0 ? i : best;
    }
    const uint64_t per = s->units[best].factor / s->base;
    const char *word = word_at(s->units[best].words, v / per == 1 ? 0 : 1, &n);
    return nk_buf_printf(out, "%" PRIu64 " %.*s", v / per, (int)n, word);
}

int tor_conf_put_torrc(struct nk_buf *out, const char *name, size_t name_len,
                       enum tor_conf_type type, const void *value, size_t n)
{
    const struct scale *s = scale_of(type);
    char text[64];
    uint64_t v;
    int rc = nk_buf_put(out, name, name_len);
    rc = rc < 0 ? rc : nk_buf_puts(out, " ");
    if (rc == 0 && s && nk_parse_u64(as_text(text, value, n), &v) == 0) {
        rc = put_scaled(out, s, v);
    } else if (rc == 0 && needs_quotes(value, n)) {
        rc = tor_wire_quote_arg(out, value, n);
    } else if (rc == 0) {
        rc = nk_buf_put(out, value, n);
    }
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

static void put_commas(struct nk_json *j, const char *p, size_t n)
{
    nk_json_array(j);
    for (const char *end = n > 0 ? p + n : p; n > 0 && p <= end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end;
        nk_json_strn(j, p, (size_t)(stop - p));
        p = stop + 1;
    }
    nk_json_close(j);
}

void tor_conf_put_json(struct nk_json *j, enum tor_conf_type type, const void *value, size_t n)
{
    char text[64];
    const char *s = as_text(text, value, n);
    const struct scale *scale = scale_of(type);
    uint64_t u;
    int64_t i;
    double d;
    if (type == TOR_CONF_COMMAS || type == TOR_CONF_ROUTERS) {
        put_commas(j, value, n);
    } else if ((type == TOR_CONF_BOOLEAN || type == TOR_CONF_AUTOBOOL) && s[0] && !s[1]) {
        nk_json_bool(j, s[0] != '0');
    } else if (scale && parse_scaled(scale, s, &u)) {
        nk_json_u64(j, u);
    } else if ((type == TOR_CONF_INTEGER || type == TOR_CONF_PORT) && nk_parse_u64(s, &u) == 0) {
        nk_json_u64(j, u);
    } else if (type == TOR_CONF_SIGNED && nk_parse_i64(s, &i) == 0) {
        nk_json_i64(j, i);
    } else if (type == TOR_CONF_FLOAT && parse_float(s, &d)) {
        nk_json_f64(j, d);
    } else {
        nk_json_strn(j, value ? value : "", n);
    }
}
