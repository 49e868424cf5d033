/* SPDX-License-Identifier: MIT */
#include "tor/output.h"

#include <stdio.h>
#include <string.h>

/* What tor 0.3 to 0.4.9 says when it cannot start, most telling first. */
static const struct {
    const char *part; /* of the line */
    int code;
    const char *hint;
} known[] = {
    {"another Tor process is running with the same data directory", NK_ELOCKED,
     "end the other one, or give another --data-dir"},
    {"Address already in use", -EADDRINUSE,
     "who uses it: 'ss -ltnp'; --socks auto takes a free port, --socks unix needs none"},
    {"is not owned by this user", NK_EBADMODE,
     "give another --data-dir, or start netkit as its owner"},
    {"Permissions on directory", NK_EBADMODE, "chmod 700"},
    {"Error setting groups", -EPERM, "--user needs root"},
    {"Could not bind to ", -EACCES, "ports below 1024 need a privilege; --socks auto needs none"},
    {"Unknown option '", NK_ECONFIG,
     "this tor has no such option ('tor --list-torrc-options' has them all)"},
    {"Failed to parse/validate config: ", NK_ECONFIG, "see the --torrc lines"},
    {"create private data directory", -EACCES, "give another --data-dir"},
    {"access private data directory", -EACCES, "give another --data-dir"},
    {"Permission denied", -EACCES, ""},
};

static const char config_prefix[] = "Failed to parse/validate config: ";

void tor_output_init(struct tor_output *o, void (*on_line)(void *, enum nk_level, const char *),
                     void *owner)
{
    *o = (struct tor_output){.on_line = on_line, .owner = owner};
}

bool tor_output_listens(const char *text)
{
    return strncmp(text, "Opened Control listener", 23) == 0;
}

/* "Nov 21 09:19:51.376 [warn] text"; what comes from elsewhere (a library's complaint) has no such
 * head. */
static enum nk_level split(const char *line, const char **text)
{
    static const struct {
        const char *mark;
        enum nk_level level;
    } marks[] = {{" [err] ", NK_LOG_ERROR},
                 {" [warn] ", NK_LOG_WARN},
                 {" [notice] ", NK_LOG_INFO},
                 {" [info] ", NK_LOG_DEBUG},
                 {" [debug] ", NK_LOG_TRACE}};
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        const char *at = strstr(line, marks[i].mark);
        if (at && at - line < 32) {
            *text = at + strlen(marks[i].mark);
            return marks[i].level;
        }
    }
    *text = line;
    return NK_LOG_WARN;
}

static void on_line(struct tor_output *o)
{
    const char *text;
    o->line[o->len] = '\0';
    enum nk_level level = split(o->line, &text);
    if (level <= NK_LOG_WARN && text[0]) {
        char *place = o->kept[o->nkept++ % TOR_OUTPUT_KEPT];
        memcpy(place, text, strlen(text) + 1);
    }
    if (o->on_line) {
        o->on_line(o->owner, level, text);
    }
}

void tor_output_feed(struct tor_output *o, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n') {
            on_line(o);
            o->len = 0;
        } else if (o->len + 1 < sizeof(o->line)) {
            o->line[o->len++] = (unsigned char)p[i] < ' ' || p[i] == 0x7f ? '?' : p[i];
        }
    }
}

/* The last kept line that has this part, or NULL. */
static const char *find(const struct tor_output *o, const char *part)
{
    const size_t n = o->nkept < TOR_OUTPUT_KEPT ? o->nkept : TOR_OUTPUT_KEPT;
    for (size_t i = 1; i <= n; i++) {
        const char *line = o->kept[(o->nkept - i) % TOR_OUTPUT_KEPT];
        if (strstr(line, part)) {
            return line;
        }
    }
    return NULL;
}

int tor_output_explain(const struct tor_output *o, struct nk_diag *diag)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        const char *line = find(o, known[i].part);
        if (line) {
            const char *text = strstr(line, config_prefix);
            nk_fail(diag, known[i].code, "tor: %s", text ? text + sizeof(config_prefix) - 1 : line);
            if (known[i].hint[0]) {
                nk_hint(diag, "%s", known[i].hint);
            }
            return known[i].code;
        }
    }
    const char *last = find(o, "");
    return last ? nk_fail(diag, NK_ECLOSED, "tor: %s", last) : 0;
}
