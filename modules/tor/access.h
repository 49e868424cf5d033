/* SPDX-License-Identifier: MIT */
/* access - how to get at a control port: where it is, the cookie, and what to say when it is there
 * but not for us. */
#ifndef TOR_ACCESS_H
#define TOR_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TOR_COOKIE_SIZE 32 /* control-spec 3.5; anything else is no cookie */

/* Which tor is meant. */
enum tor_kind {
    TOR_AUTO,   /* a running one if there is one, else GLOBAL */
    TOR_SYSTEM, /* a running one, found by struct tor_access */
    TOR_GLOBAL, /* the user's own, started by netkit and shared by its processes */
    TOR_PRIVATE /* one of this process alone, in a temporary directory */
};

/* Where a control port is and what opens it. The strings are borrowed. */
struct tor_access {
    char *control;       /* endpoint string, HOST:PORT, PORT or a path; NULL: the usual places */
    char *cookie_file;   /* instead of the path that tor names; may be a symbolic link */
    char *password_file; /* its line is the password */
};

/* tor_access_place - the i-th place to try, as an endpoint string into out (max bytes): what
 * access->control says, else /run/tor/control, /var/run/tor/control (where it is another file),
 * 127.0.0.1:9051 and 127.0.0.1:9151. 0, -ENOENT past the last one, NK_ETOOBIG. */
int tor_access_place(const struct tor_access *access, size_t i, char *out, size_t max);

/*
 * tor_cookie_read - the 32 bytes of a cookie file into out; anything but a regular file of exactly
 * that size is refused, so that a control port cannot have other files read for it. named: the user
 * named the file, so that it may be a symbolic link; else path must be absolute and none.
 * NK_EBADMODE, NK_EAUTH (there is none), -EACCES as tor_access_denied says it, -errno. out is
 * untouched on failure.
 */
int tor_cookie_read(const char *path, bool named, uint8_t out[TOR_COOKIE_SIZE],
                    struct nk_diag *diag);

/*
 * tor_access_denied - path could not be opened for lack of permission: which file or directory on
 * the way it is, its owner, group and mode, and what to do. how is R_OK for a file and W_OK for a
 * socket; torrc_line is the option that opens it to the group ("CookieAuthFileGroupReadable 1").
 * Returns -EACCES.
 */
int tor_access_denied(const char *path, int how, const char *torrc_line, struct nk_diag *diag);

#endif
