/* SPDX-License-Identifier: MIT */
/*
 * known_text - the text of known_relays (known.h says what it looks like), pure: find the line
 * about a relay, and write the text anew with another one in its place.
 */
#ifndef NK_RELAY_KNOWN_TEXT_H
#define NK_RELAY_KNOWN_TEXT_H

#include "base/buf.h"
#include "relay/known.h"

#define RELAY_KNOWN_MAGIC "netkit-known-relays " /* the version follows */

/* One line, without its end; points into the text. */
struct relay_known_line {
    const char *p; /* NULL: none */
    size_t n;
};

/* What is to be remembered. */
struct relay_known_lesson {
    const char *where;
    const uint8_t *key; /* RELAY_KNOWN_KEY bytes */
    int64_t now;        /* seconds since 1970 */
};

/*
 * relay_known_text_find - look where ("host:port") up in the file's text; path is for messages. 0
 * with *out and *line, the line about it; -ENOENT; NK_EFORMAT (names the line), NK_EVERSION. Lines
 * behind the one that was found are not looked at.
 */
int relay_known_text_find(const struct nk_buf *text, const char *path, const char *where,
                          struct relay_known *out, struct relay_known_line *line,
                          struct nk_diag *diag);

/* relay_known_text_write - append the text to out with the new entry in place of old, or at its
 * end. old points into text. 0, -ENOMEM, NK_ETOOBIG. */
int relay_known_text_write(struct nk_buf *out, const struct nk_buf *text,
                           struct relay_known_line old, const struct relay_known_lesson *l);

#endif
