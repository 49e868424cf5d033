/* SPDX-License-Identifier: MIT */
/*
 * known_hosts - files that say which host has which key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT):
 *
 *     [@cert-authority | @revoked] HOSTS TYPE BASE64 [COMMENT]
 *
 * HOSTS are patterns with * and ?, separated by commas; one with ! before it excludes. Or it is one
 * hashed name, "|1|SALT|HMAC-SHA1". A port other than 22 is part of the name: "[host]:port". Names
 * are compared without regard to case. Addresses that names resolve to are neither looked up nor
 * written (CheckHostIP): they say nothing that the key does not say better.
 *
 * Files are read and written for a moment, on the calling thread. Writers lock the file (flock) and
 * make sure that they have the one which has that name. A symbolic link is read through, but not
 * written through. The names "none" and "/dev/null" are files without lines, and what is added to
 * them is gone.
 */
#ifndef SSH_KNOWN_HOSTS_H
#define SSH_KNOWN_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "ssh/wire.h"

#define SSH_KNOWN_FILE_MAX ((size_t)16 * 1024 * 1024) /* bytes of a file */

enum {
    SSH_PORT = 22,
    SSH_KNOWN_HOST_MAX = 1024, /* bytes of a host's name */
    SSH_KNOWN_NAME_SIZE = SSH_KNOWN_HOST_MAX + 9,
    SSH_KNOWN_SALT = 20,
    SSH_KNOWN_HASHED_SIZE = 64 /* "|1|", two times 28 characters, "|" and the end */
};

enum ssh_known_marker { SSH_KNOWN_PLAIN, SSH_KNOWN_CA, SSH_KNOWN_REVOKED };

/* One line; borrowed from the text. */
struct ssh_known_line {
    unsigned number;      /* from 1 on */
    struct ssh_str whole; /* without its end */
    bool entry;           /* false: empty, a comment, or malformed; the rest is not set then */
    const char *problem;  /* what is malformed, or NULL */
    enum ssh_known_marker marker;
    struct ssh_str hosts, type, key, comment; /* as they are written */
};

/* What is left of a text. */
struct ssh_known_reader {
    const uint8_t *p, *end;
    unsigned number;
};

/* ssh_known_read - begin with the first of n bytes. ssh_known_next - the next line; false at the
 * end. */
void ssh_known_read(struct ssh_known_reader *r, const void *p, size_t n);
bool ssh_known_next(struct ssh_known_reader *r, struct ssh_known_line *out);

/* ssh_known_name - what a host is called there: in lower case, with its port when that is not 22; a
 * host that is "[host]:port" already, as an alias may be, stays so with SSH_PORT. false when it is
 * empty, too long, or has bytes that do not belong into a name. */
bool ssh_known_name(char out[SSH_KNOWN_NAME_SIZE], const char *host, uint16_t port);

/* ssh_known_matches - do HOSTS include this name (as ssh_known_name gives it)? */
bool ssh_known_matches(struct ssh_str hosts, const char *name);

/* ssh_known_hashed - are HOSTS a hashed name? ssh_known_single - does HOSTS name one host only,
 * hashed or not? */
bool ssh_known_hashed(struct ssh_str hosts);
bool ssh_known_single(struct ssh_str hosts);

/* ssh_known_hash - the hashed form of a name. */
void ssh_known_hash(char out[SSH_KNOWN_HASHED_SIZE], const char *name,
                    const uint8_t salt[SSH_KNOWN_SALT]);

/* ssh_known_key - append the key of an entry, a blob, to out. 0, -ENOMEM; NK_EFORMAT: no base64, or
 * the blob does not begin with TYPE. */
int ssh_known_key(const struct ssh_known_line *l, struct nk_buf *out);

/* ssh_pattern_match - pattern with * and ? against all of text; fold: letters in either case.
 * ssh_pattern_list - the same for patterns separated by commas: 1 when one matches, -1 when one
 * with ! before it does, else 0. */
bool ssh_pattern_match(struct ssh_str pattern, const char *text, bool fold);
int ssh_pattern_list(struct ssh_str patterns, const char *text, bool fold);

/* --- what is known of one host ---------------------------------------------------------------- */

/* A key, or an authority, that some file has for the host. */
struct ssh_known_key {
    const char *file; /* of those that were given */
    unsigned number;  /* of its line */
    enum ssh_known_marker marker;
    bool portless; /* found under the name without the port */
    bool single;   /* its line is about this name only */
    bool hashed;
    uint8_t *blob;
    size_t n;
};

struct ssh_known_hosts {
    char name[SSH_KNOWN_NAME_SIZE], portless[SSH_KNOWN_NAME_SIZE]; /* "" when it is the same */
    struct ssh_known_key *v;
    size_t n;
    unsigned malformed; /* lines, in all files */
};

/*
 * ssh_known_hosts_load - add what the files have for the host (out->name is set by the first call).
 * A file that is not there is empty. Malformed lines are warned about by number, and left out; keys
 * of types that netkit does not know are left out with a debug line. 0; NK_EUSAGE: a name that
 * cannot be; errors of nk_file_read, -ENOMEM. Clear out in every case.
 */
int ssh_known_hosts_load(struct ssh_known_hosts *out, const char *host, uint16_t port,
                         const char *const *files, size_t nfiles, struct nk_log *log,
                         struct nk_diag *diag);
void ssh_known_hosts_clear(struct ssh_known_hosts *k);

/* --- changing a file -------------------------------------------------------------------------- */

/* ssh_known_put - append the line for a key to out; comment may be NULL. hash: the name is hashed,
 * with a salt of its own. 0, -ENOMEM, NK_ETOOBIG. */
int ssh_known_put(struct nk_buf *out, enum ssh_known_marker marker, const char *name, bool hash,
                  struct ssh_str blob, const char *comment);

/*
 * ssh_known_hosts_append - write whole lines to the end of the file, in one go; a last line without
 * its end gets it first. A new file is 0600, its directory 0700 when that is new too. NK_ELOCKED:
 * somebody else keeps it locked; -ELOOP: a symbolic link; other -errno.
 */
int ssh_known_hosts_append(const char *file, const void *lines, size_t n, struct nk_diag *diag);

/* What becomes of a line: 1 it stays, 0 it goes, or an error, which ends it all. What is appended
 * to out stands in its place; line NULL: at the end of the file. */
typedef int ssh_known_edit_fn(void *arg, const struct ssh_known_line *line, struct nk_buf *out);

/*
 * ssh_known_hosts_edit - write the file anew, as a whole and only when something changed; it keeps
 * its mode and owner. dry: nothing is written. Returns the number of lines that went (replaced ones
 * too) or came at the end; -ENOENT, NK_EFORMAT (no text), errors of the above, of fn, and of
 * nk_file_write.
 */
int ssh_known_hosts_edit(const char *file, bool dry, ssh_known_edit_fn *fn, void *arg,
                         struct nk_diag *diag);

#endif
