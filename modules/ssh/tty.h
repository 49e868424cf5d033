/* SPDX-License-Identifier: MIT */
/* tty - the user's terminal: questions without echo, raw mode for a remote terminal, its size. */
#ifndef SSH_TTY_H
#define SSH_TTY_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

/*
 * ssh_tty_ask - ask on /dev/tty; the answer, without its end of line, to *out. Blocks, but not for
 * signals (-EINTR); ^C and ^D without an answer are -ECANCELED. The terminal is as before in every
 * case. NK_EUSAGE: there is no terminal.
 */
int ssh_tty_ask(const char *prompt, bool echo, struct nk_secret *out, struct nk_diag *diag);

/* ssh_tty_say - a line for the user on stderr (best effort). */
void ssh_tty_say(const char *text);

/* A terminal in raw mode. */
struct ssh_tty_raw {
    struct termios before;
    int fd;
    bool on;
};

/* ssh_tty_raw_on - every key goes to the other side. 0 or -errno. ssh_tty_raw_off - as it was
 * before; idempotent. */
int ssh_tty_raw_on(struct ssh_tty_raw *t, int fd);
void ssh_tty_raw_off(struct ssh_tty_raw *t);

/* ssh_tty_size - columns, rows and pixels of a terminal, in the order of RFC 4254 6.2; zeros where
 * nobody knows. */
void ssh_tty_size(int fd, uint32_t size[4]);

/* ssh_tty_put_modes - append the encoded terminal modes of RFC 4254 8 (not as a string): what fd
 * has, and speeds. */
int ssh_tty_put_modes(int fd, struct nk_buf *out);

#endif
