/* SPDX-License-Identifier: MIT */
/*
 * conf - tor's configuration, typed by what tor itself says of its options (control-spec 3.1
 * SETCONF, 3.2 RESETCONF, 3.3 GETCONF, 3.9 "config/names" and "config/defaults").
 *
 * Names are compared without case, as tor does, but never abbreviated. A value is checked before it
 * is sent, so that a mistake names what the option takes; what only tor can know (ranges, what goes
 * together) is left to it. Times and sizes may be written in tor's units or in netkit's ("10
 * minutes", "10m", "1.5 GB", "64KiB"), all powers of 1024, and are sent as plain numbers.
 */
#ifndef TOR_CONF_H
#define TOR_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

/* X(enum, tor's word in config/names, what a value may be) */
#define TOR_CONF_TYPES(X)                                                                          \
    X(TOR_CONF_BOOLEAN, "Boolean", "0 or 1 (or no, off, false, yes, on, true)")                    \
    X(TOR_CONF_AUTOBOOL, "Boolean+Auto", "0, 1 or auto (or no, off, false, yes, on, true)")        \
    X(TOR_CONF_INTEGER, "Integer", "a whole number, 0 or more")                                    \
    X(TOR_CONF_SIGNED, "SignedInteger", "a whole number, which may be negative")                   \
    X(TOR_CONF_PORT, "Port", "a port number, 0 to 65535, or auto")                                 \
    X(TOR_CONF_SECONDS, "TimeInterval",                                                            \
      "a number of seconds, or one with a unit: second, minute, hour, day, week, month")           \
    X(TOR_CONF_MSECS, "TimeMsecInterval",                                                          \
      "a number of milliseconds, or one with a unit: msec, second, minute, hour, day, week")       \
    X(TOR_CONF_SIZE, "DataSize",                                                                   \
      "a number of bytes, or one with a unit: KB, MB, GB, TB, kbits, mbits, gbits, tbits")         \
    X(TOR_CONF_FLOAT, "Float", "a number such as 0.75")                                            \
    X(TOR_CONF_TIME, "Time", "a time in UTC such as 2030-01-31 12:00:00")                          \
    X(TOR_CONF_STRING, "String", "any text")                                                       \
    X(TOR_CONF_FILENAME, "Filename", "the name of a file where tor runs")                          \
    X(TOR_CONF_COMMAS, "CommaList", "words separated by commas")                                   \
    X(TOR_CONF_ROUTERS, "RouterList",                                                              \
      "relays separated by commas: $FINGERPRINT, nickname, {country}, address or address/bits")    \
    X(TOR_CONF_LINES, "LineList", "any text; give the option once for each line")                  \
    X(TOR_CONF_DEPENDENT, "Dependent", "any text; the option may be given several times")          \
    X(TOR_CONF_VIRTUAL, "Virtual", "nothing: it is the list of others, which can be set")          \
    X(TOR_CONF_OBSOLETE, "Obsolete", "nothing: tor ignores it")                                    \
    X(TOR_CONF_OTHER, "", "any text")

#define TOR_CONF_ENUM(name, word, takes) name,
enum tor_conf_type { TOR_CONF_TYPES(TOR_CONF_ENUM) };
#undef TOR_CONF_ENUM

struct tor_conf_option {
    const char *name; /* as tor spells it */
    const char *word; /* its type as tor spells it ("TOR_CONF_OTHER" has new ones) */
    const char *def;  /* default, as in config/defaults; NULL: none */
    enum tor_conf_type type;
};

/* All options of one tor, in the order of their names (without case). */
struct tor_conf_names {
    struct tor_conf_option *v;
    size_t n;
    struct nk_buf text; /* private: what the strings point into */
};

/* Bounds of what a tor may tell; 0.4.9 has 383 options in 10 KB, and defaults of 29 KB. */
#define TOR_CONF_NAMES_MOST 4096
#define TOR_CONF_TEXT_MAX (256 * 1024)

/* What a type takes, for messages and help; its word. */
const char *tor_conf_takes(enum tor_conf_type type);
enum tor_conf_type tor_conf_type_of(const char *word);

/* tor_conf_is_list - an option of this type may have several lines. */
bool tor_conf_is_list(enum tor_conf_type type);

/* tor_conf_is_service - a line of an onion service: all of them are one list, HiddenServiceOptions,
 * of which HiddenServiceDir begins a service. */
bool tor_conf_is_service(const struct tor_conf_option *o);
#define TOR_CONF_SERVICES "HiddenServiceOptions"

/*
 * tor_conf_names_read - from the values of GETINFO config/names ("NAME TYPE" a line) and
 * config/defaults ("NAME QUOTED" a line; NULL: not known). Lines that tor never writes are
 * NK_EPROTO. 0, NK_EPROTO, NK_ETOOBIG, -ENOMEM; on failure *out is empty. Free with
 * tor_conf_names_clear.
 */
int tor_conf_names_read(struct tor_conf_names *out, const char *names, size_t names_len,
                        const char *defaults, size_t defaults_len, struct nk_diag *diag);
void tor_conf_names_clear(struct tor_conf_names *n); /* a zeroed one is fine */

/* tor_conf_find - the option of that name (len characters), or NULL. */
const struct tor_conf_option *tor_conf_find(const struct tor_conf_names *n, const char *name,
                                            size_t len);

/* tor_conf_need - the same; NULL with NK_EUSAGE and the name that may have been meant in diag. */
const struct tor_conf_option *tor_conf_need(const struct tor_conf_names *n, const char *name,
                                            size_t len, struct nk_diag *diag);

/* tor_conf_check - append to out what has to be sent for this value of o. NK_EUSAGE, with what is
 * accepted in diag, when it is none of its type. */
int tor_conf_check(const struct tor_conf_option *o, const char *value, struct nk_buf *out,
                   struct nk_diag *diag);

/*
 * tor_conf_assign - append " Name=\"value\"" for each of the words KEY=VALUE to out, checked, in
 * the given order. bare: KEY alone is taken, too, and appended as it is (RESETCONF). An option that
 * holds one value may stand there once. NK_EUSAGE with diag; then out is unchanged.
 */
int tor_conf_assign(const struct tor_conf_names *n, char *const *words, size_t count, bool bare,
                    struct nk_buf *out, struct nk_diag *diag);

/* One line of a reply to GETCONF, of an event CONF_CHANGED, or of a torrc. */
struct tor_conf_line {
    const char *name; /* borrowed, name_len characters */
    size_t name_len;
    bool set; /* there is a value (it may be empty); else it is unset, or at its default */
};

/*
 * tor_conf_read - take "Name", "Name=value" or (quoted) "Name=\"value\"" apart; the value's bytes
 * go to value, whose old contents are dropped. quoted is false for CONF_CHANGED, whose values are
 * never quoted. 0, NK_EPROTO, NK_ETOOBIG, -ENOMEM.
 */
int tor_conf_read(const char *text, size_t len, bool quoted, struct tor_conf_line *out,
                  struct nk_buf *value, struct nk_diag *diag);

/* tor_conf_put_torrc - append the line of a torrc that sets name (name_len) to the n bytes at
 * value, which become readable units where the type has some and quoted where a torrc needs it. */
int tor_conf_put_torrc(struct nk_buf *out, const char *name, size_t name_len,
                       enum tor_conf_type type, const void *value, size_t n);

/*
 * tor_conf_put_json - the value as JSON: true, false, "auto", numbers (times in seconds or
 * milliseconds, sizes in bytes, also where tor wrote a unit), arrays of CommaList and RouterList,
 * else text.
 */
void tor_conf_put_json(struct nk_json *j, enum tor_conf_type type, const void *value, size_t n);

/* tor_conf_unit - "s", "ms", "bytes", or NULL: what the number of tor_conf_put_json counts. */
const char *tor_conf_unit(enum tor_conf_type type);

/* tor_conf_refused - what tor's answer `code` to SETCONF, RESETCONF, LOADCONF or SAVECONF (doing:
 * its name) means, into diag: 512, 513, 551, 552, 553. Returns the error: NK_EUSAGE for a value or
 * an option that tor does not take, NK_EAUTH for what it does not allow, else -EIO. */
int tor_conf_refused(const char *doing, int code, const char *text, size_t len,
                     struct nk_diag *diag);

/*
 * tor_conf_check_torrc - check the lines of a torrc (n bytes) by names and types; `where` names it
 * in messages. Lines that go on behind a backslash, and values in quotes, are left to tor.
 */
int tor_conf_check_torrc(const struct tor_conf_names *names, const char *where, const char *text,
                         size_t n, struct nk_diag *diag);

#endif
