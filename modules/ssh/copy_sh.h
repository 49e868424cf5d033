/* SPDX-License-Identifier: MIT */
/*
 * copy_sh - authorized_keys where there is no SFTP: what is said to one fixed script for the shell
 * there, and what it answers. Pure. Nothing that a user or a server chose is part of the command;
 * everything goes over its standard input and output:
 *
 *     we                      the script
 *     TOKEN \n ─────────────► whatever the shell's start files print, TOKEN \n,
 *                             the file as it is, TOKEN \n
 *     SIZE \n, SIZE bytes     copies the file, appends the bytes, checks that all of them came, and
 *     and the end ──────────► gives the copy the file's name; TOKEN \n
 *
 * TOKEN is random, so that no file has it. With the end instead of SIZE nothing is changed.
 */
#ifndef SSH_COPY_SH_H
#define SSH_COPY_SH_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum { SSH_COPY_TOKEN_SIZE = 33 /* 32 hex digits and the end */ };

/* What has come. */
enum ssh_copy_sh_step { SSH_COPY_NOISE, SSH_COPY_TEXT, SSH_COPY_WRITTEN };

struct ssh_copy_sh {
    char token[SSH_COPY_TOKEN_SIZE];
    enum ssh_copy_sh_step step; /* what is expected next */
    struct nk_buf in;           /* of it so far */
};

/* The command for "exec". */
extern const char ssh_copy_sh_command[];

/* ssh_copy_sh_init - with a new token; max: bytes that the file may have. ssh_copy_sh_clear. */
void ssh_copy_sh_init(struct ssh_copy_sh *s, size_t max);
void ssh_copy_sh_clear(struct ssh_copy_sh *s);

/* ssh_copy_sh_feed - n more bytes of what the script says. 1: the step has changed; after
 * SSH_COPY_TEXT the file is in text (which was empty), after SSH_COPY_WRITTEN it is done; call
 * again with n = 0 until 0, which means: wait for more. NK_ETOOBIG, -ENOMEM. */
int ssh_copy_sh_feed(struct ssh_copy_sh *s, const void *p, size_t n, struct nk_buf *text);

/* ssh_copy_sh_why - it has ended before it was done: NK_EUNSUPPORTED when the script never ran,
 * NK_EOUTPUT with what it said last when it did. */
int ssh_copy_sh_why(const struct ssh_copy_sh *s, struct nk_diag *diag);

#endif
