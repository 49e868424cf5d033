/* SPDX-License-Identifier: MIT */
/*
 * session - a program, shell or subsystem on the server (RFC 4254 6) on our standard descriptors:
 * with or without a terminal, its exit status or signal passed on.
 */
#ifndef SSH_SESSION_H
#define SSH_SESSION_H

#include "ssh/config.h"
#include "ssh/proto_channels.h"

struct nk_app;
struct ssh_program;

enum { SSH_EXIT_FAILED = 255 /* what ssh(1) ends with when it did not work */ };

struct ssh_program_conf {
    struct nk_app *app;
    struct nk_log *log;              /* may be NULL */
    const struct ssh_config *config; /* SetEnv, SendEnv, EscapeChar; borrowed until the end */
    const char *command;             /* NULL: a shell; borrowed until the session is open */
    bool subsystem;                  /* the command is the name of one */
    bool terminal;                   /* with a pty; ours becomes raw where stdin is one */
    bool no_stdin;
    /* Once, later: status 0..255, 128 + signal, or SSH_EXIT_FAILED with why (else why is NULL).
     * Everything that came was written. ssh_program_close is still owed. */
    void (*done)(void *owner, int status, const struct nk_diag *why);
    void *owner;
};

/* ssh_program_open - over a connection that is logged in. 0; errors of the standard descriptors,
 * of ssh_channel_open, -ENOMEM. */
int ssh_program_open(struct ssh_channels *c, const struct ssh_program_conf *conf,
                     struct ssh_program **out, struct nk_diag *diag);

/* ssh_program_close - end it now; the terminal is as it was before. done is not called any more.
 * NULL is fine. */
void ssh_program_close(struct ssh_program *s);

#endif
