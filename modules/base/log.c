/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/json.h"

#define LINE_MAX_BYTES 4096 /* a line is never longer; also the most a pipe takes in one piece */
#define MODULES_MAX 32
#define EVENTS_MAX 128 /* distinct event ids that are counted */
#define NAME_MAX_BYTES 32

struct module_level {
    char name[NAME_MAX_BYTES];
    enum nk_level level;
};

struct event_count {
    char id[NAME_MAX_BYTES];
    uint64_t n;
};

struct nk_log {
    int fd;
    enum nk_log_format format;
    enum nk_level level;
    size_t nmodules;
    struct module_level modules[MODULES_MAX];
    size_t nevents;
    struct event_count events[EVENTS_MAX];
    uint64_t lost;
    struct nk_buf line; /* allocated once, so that logging never needs memory */
};

/* One event on its way to a line. */
struct record {
    const char *module;
    enum nk_level level;
    const char *event;
    const char *peer;
    const char *msg; /* formatted, not yet escaped */
    char ts[96];     /* 24 bytes; the rest is for years that no clock shows */
};

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};

/* sd-daemon(3): the priorities of syslog. */
static const char level_priority[] = {'3', '4', '6', '7', '7'};

/* systemd.exec(5): $JOURNAL_STREAM is "DEVICE:INODE" of the stream that goes to the journal. */
static bool goes_to_journal(int fd)
{
    const char *env = getenv("JOURNAL_STREAM");
    struct stat st;
    char mine[48];
    if (!env || fstat(fd, &st) < 0)
        return false;
    snprintf(mine, sizeof mine, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(mine, env) == 0;
}

struct nk_log *nk_log_new(int fd, enum nk_log_format format, enum nk_level level)
{
    struct nk_log *log = calloc(1, sizeof *log);
    uint8_t *unused;
    if (!log)
        return NULL;
    nk_buf_init(&log->line, LINE_MAX_BYTES);
    if (nk_buf_reserve(&log->line, LINE_MAX_BYTES, &unused) < 0) {
        free(log);
        return NULL;
    }
    if (format == NK_LOG_AUTO)
        format = goes_to_journal(fd) ? NK_LOG_JOURNAL : NK_LOG_TEXT;
    log->fd = fd;
    log->format = format;
    log->level = level;
    return log;
}

void nk_log_free(struct nk_log *log)
{
    if (!log)
        return;
    nk_buf_clear(&log->line);
    free(log);
}

int nk_log_set_level(struct nk_log *log, const char *module, enum nk_level level)
{
    if (!module) {
        log->level = level;
        log->nmodules = 0;
        return 0;
    }
    size_t i = 0;
    while (i < log->nmodules && strcmp(log->modules[i].name, module) != 0)
        i++;
    if (i == MODULES_MAX || strlen(module) >= NAME_MAX_BYTES)
        return NK_ELIMIT;
    if (i == log->nmodules) {
        memcpy(log->modules[i].name, module, strlen(module) + 1);
        log->nmodules++;
    }
    log->modules[i].level = level;
    return 0;
}

bool nk_log_on(const struct nk_log *log, const char *module, enum nk_level level)
{
    if (!log)
        return false;
    for (size_t i = 0; i < log->nmodules; i++) {
        if (strcmp(log->modules[i].name, module) == 0)
            return level <= log->modules[i].level;
    }
    return level <= log->level;
}

static struct event_count *find_event(const struct nk_log *log, const char *id)
{
    for (size_t i = 0; i < log->nevents; i++) {
        if (strncmp(log->events[i].id, id, NAME_MAX_BYTES - 1) == 0)
            return (struct event_count *)&log->events[i];
    }
    return NULL;
}

static void count_event(struct nk_log *log, const char *id)
{
    struct event_count *e = find_event(log, id);
    if (!e) {
        if (log->nevents == EVENTS_MAX)
            return;
        e = &log->events[log->nevents++];
        snprintf(e->id, sizeof e->id, "%s", id);
    }
    e->n++;
}

uint64_t nk_log_count(const struct nk_log *log, const char *id)
{
    const struct event_count *e = log ? find_event(log, id) : NULL;
    return e ? e->n : 0;
}

uint64_t nk_log_lost(const struct nk_log *log)
{
    return log ? log->lost : 0;
}

/* RFC 3339, UTC, milliseconds. */
static void timestamp(char *out, size_t max)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    snprintf(out, max, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
}

/* The last token of a text line: escaped, and without spaces, so that nothing in it can look like a
 * further field. */
static void put_peer(struct nk_buf *line, const char *peer)
{
    char text[256];
    char part[2] = "";
    nk_escape(text, sizeof text, peer, strlen(peer));
    nk_buf_puts(line, " peer=");
    for (const char *p = text; *p; p++) {
        part[0] = *p;
        nk_buf_puts(line, *p == ' ' ? "\\x20" : part);
    }
}

#define TAIL_ROOM 1200 /* event and peer: 256 bytes of peer may become four times as many */

static void text_line(struct nk_log *log, const struct record *r)
{
    struct nk_buf *line = &log->line;
    char msg[LINE_MAX_BYTES - TAIL_ROOM];
    if (log->format == NK_LOG_JOURNAL)
        nk_buf_printf(line, "<%c>", level_priority[r->level]);
    else
        nk_buf_printf(line, "%s %s ", r->ts, level_names[r->level]);
    nk_escape(msg, sizeof msg, r->msg, strlen(r->msg));
    nk_buf_printf(line, "%.31s: %s", r->module, msg);
    if (r->event)
        nk_buf_printf(line, " event=%.31s", r->event);
    if (r->peer)
        put_peer(line, r->peer);
    nk_buf_puts(line, "\n");
}

static int json_object(struct nk_buf *line, const struct record *r, size_t msg_len, size_t peer_len)
{
    struct nk_json j;
    nk_buf_reset(line);
    nk_json_init(&j, line, false);
    nk_json_object(&j);
    nk_json_kv_str(&j, "ts", r->ts);
    nk_json_kv_str(&j, "level", level_names[r->level]);
    nk_json_kv_str(&j, "module", r->module);
    if (r->event)
        nk_json_kv_str(&j, "event", r->event);
    if (r->peer) {
        nk_json_key(&j, "peer");
        nk_json_strn(&j, r->peer, peer_len);
    }
    nk_json_key(&j, "msg");
    nk_json_strn(&j, r->msg, msg_len);
    nk_json_close(&j);
    int end = nk_json_end(&j);
    return end < 0 ? end : nk_buf_puts(line, "\n");
}

/* Escaping can make a text up to six times longer: shorten until the line fits. */
static int json_line(struct nk_log *log, const struct record *r)
{
    size_t msg_len = strlen(r->msg);
    size_t peer_len = r->peer ? strnlen(r->peer, 256) : 0;
    int end = json_object(&log->line, r, msg_len, peer_len);
    while (end == NK_ETOOBIG && msg_len + peer_len > 0) {
        msg_len /= 2;
        if (msg_len < 64)
            peer_len /= 2;
        end = json_object(&log->line, r, msg_len, peer_len);
    }
    return end;
}

/* One write(2) per line; a line that cannot be written whole now is lost, never waited for. */
static void write_line(struct nk_log *log)
{
    size_t n = nk_buf_len(&log->line);
    ssize_t r;
    do {
        r = write(log->fd, nk_buf_ptr(&log->line), n);
    } while (r < 0 && errno == EINTR);
    if (r < 0 || (size_t)r != n)
        log->lost++;
}

static void write_record(struct nk_log *log, struct record *r)
{
    int saved_errno = errno;
    int end = 0;
    timestamp(r->ts, sizeof r->ts);
    nk_buf_reset(&log->line);
    if (log->format == NK_LOG_JSON)
        end = json_line(log, r);
    else
        text_line(log, r);
    if (end == 0)
        write_line(log);
    else
        log->lost++;
    errno = saved_errno;
}

void nk_log_write(struct nk_log *log, const char *module, enum nk_level level, const char *event,
                  const char *peer, const char *fmt, ...)
{
    if (!log)
        return;
    if (event)
        count_event(log, event);
    if (!nk_log_on(log, module, level))
        return;
    char msg[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    if (n < 0) {
        log->lost++;
        return;
    }
    struct record r = {.module = module, .level = level, .event = event, .peer = peer, .msg = msg};
    write_record(log, &r);
}

void nk_log_diag(struct nk_log *log, const char *module, enum nk_level level,
                 const struct nk_diag *diag)
{
    if (!nk_log_on(log, module, level))
        return;
    if (diag->hint[0])
        nk_log_write(log, module, level, NULL, NULL, "%s (hint: %s)", diag->text, diag->hint);
    else
        nk_log_write(log, module, level, NULL, NULL, "%s", diag->text);
}

#define KEEP 4 /* bytes shown of each end of a shortened name */

/* Length of the host in "host", "host:port" or "[v6]:port". */
static size_t host_length(const char *name)
{
    if (*name == '[') {
        const char *end = strchr(name, ']');
        return end ? (size_t)(end - name) + 1 : strlen(name);
    }
    const char *colon = strchr(name, ':');
    if (!colon || strchr(colon + 1, ':'))
        return strlen(name); /* no port, or a bare IPv6 address */
    return (size_t)(colon - name);
}

static bool is_private_to_us(const char *name)
{
    return strncmp(name, "127.", 4) == 0 || strncmp(name, "localhost", 9) == 0 ||
           strncmp(name, "[::1]", 5) == 0 || strcmp(name, "::1") == 0 ||
           strncmp(name, "unix:", 5) == 0 || strncmp(name, "pid ", 4) == 0;
}

char *nk_log_short_name(const struct nk_log *log, const char *module, char *out, size_t max,
                        const char *name)
{
    static const char onion[] = ".onion";
    size_t host = host_length(name);
    if (nk_log_on(log, module, NK_LOG_DEBUG) || is_private_to_us(name)) {
        snprintf(out, max, "%s", name);
        return out;
    }
    size_t label = host;
    const char *start = name;
    if (host >= sizeof onion - 1 &&
        strncmp(name + host - (sizeof onion - 1), onion, sizeof onion - 1) == 0) {
        label -= sizeof onion - 1;
        for (size_t i = 0; i < label; i++) { /* names before the onion label are dropped */
            if (name[i] == '.')
                start = name + i + 1;
        }
    }
    size_t len = label - (size_t)(start - name);
    if (len <= 2 * KEEP + 2)
        snprintf(out, max, "%s", start);
    else
        snprintf(out, max, "%.*s..%s", KEEP, start, start + len - KEEP);
    return out;
}
