/* SPDX-License-Identifier: MIT */
/*
 * log - one line per event on stderr: text, JSON or journal form; levels per module.
 *
 * The level is tested before the arguments of information and debugging are evaluated; those of
 * warnings, errors and audits always are. Bytes that came from a peer are passed as arguments and
 * are escaped, so no event can forge another. Security events have a stable id
 * (auth.ok, auth.fail, acl.deny, trust.new, trust.changed, key.created, reload, ...) and a counter
 * of the same name. Secrets are never logged.
 *
 *     text     2026-11-20T23:15:00.123Z warn relay: wrong password event=auth.fail peer=10.0.0.7:99
 *     json     {"ts":"...","level":"warn","module":"relay","event":"...","peer":"...","msg":"..."}
 *     journal  <4>relay: wrong password event=auth.fail peer=10.0.0.7:99
 *
 * event and peer appear only when given; in text the peer is always the last token.
 */
#ifndef NK_BASE_LOG_H
#define NK_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

enum nk_level { NK_LOG_ERROR, NK_LOG_WARN, NK_LOG_INFO, NK_LOG_DEBUG, NK_LOG_TRACE };
enum nk_log_format { NK_LOG_AUTO, NK_LOG_TEXT, NK_LOG_JSON, NK_LOG_JOURNAL };

struct nk_log;

/* nk_log_new - a log that writes to fd (normally 2, not closed). AUTO picks journal when
 * $JOURNAL_STREAM matches fd, else text. NULL when memory is missing. */
struct nk_log *nk_log_new(int fd, enum nk_log_format format, enum nk_level level);
void nk_log_free(struct nk_log *log);

/* nk_log_set_level - level of one module ("relay"), or of all when module is NULL. At most 32
 * modules; more is NK_ELIMIT. */
int nk_log_set_level(struct nk_log *log, const char *module, enum nk_level level);

/* nk_log_on - is this level of this module written? log may be NULL: then nothing is. */
bool nk_log_on(const struct nk_log *log, const char *module, enum nk_level level);

/* nk_log_write - one event. `event` is a stable id ("auth.fail") or NULL; `peer` may be NULL. Use
 * the macros. Lines longer than 4 KiB are cut. One write(2) per line, which never waits: a line
 * that cannot be written whole is counted (nk_log_lost). Needs no memory; keeps errno. */
void nk_log_write(struct nk_log *log, const char *module, enum nk_level level, const char *event,
                  const char *peer, const char *fmt, ...)
    __attribute__((cold, format(printf, 6, 7)));

/* nk_log_diag - write text and hint of diag at `level`. */
void nk_log_diag(struct nk_log *log, const char *module, enum nk_level level,
                 const struct nk_diag *diag);

/* nk_log_count - how often event `id` happened; 0 for unknown ids. At most 128 ids are counted.
 * nk_log_lost - lines lost. */
uint64_t nk_log_count(const struct nk_log *log, const char *id);
uint64_t nk_log_lost(const struct nk_log *log);

/* nk_log_short_name - privacy form of a host, onion address or peer for levels above debug:
 * "abcd..wxyz.onion", unchanged when debug is on for module. Writes to out (max), returns out. */
char *nk_log_short_name(const struct nk_log *log, const char *module, char *out, size_t max,
                        const char *name);

#define NK_LOG_(log, module, level, event, peer, ...)                                              \
    do {                                                                                           \
        if (nk_log_on((log), (module), (level)))                                                   \
            nk_log_write((log), (module), (level), (event), (peer), __VA_ARGS__);                  \
    } while (0)
/* These are written nearly always: one call is shorter than asking first. */
#define nk_error(log, module, ...)                                                                 \
    nk_log_write((log), (module), NK_LOG_ERROR, NULL, NULL, __VA_ARGS__)
#define nk_warn(log, module, ...)                                                                  \
    nk_log_write((log), (module), NK_LOG_WARN, NULL, NULL, __VA_ARGS__)
#define nk_info(log, module, ...) NK_LOG_(log, module, NK_LOG_INFO, NULL, NULL, __VA_ARGS__)
#define nk_debug(log, module, ...) NK_LOG_(log, module, NK_LOG_DEBUG, NULL, NULL, __VA_ARGS__)
/* A security event: always counted, also when its level is not written. */
#define nk_audit(log, module, level, event, peer, ...)                                             \
    nk_log_write((log), (module), (level), (event), (peer), __VA_ARGS__)

#endif
