/* SPDX-License-Identifier: MIT */
/* conn_impl - what conn.c (bytes and time) and conn_login.c (questions and answers) share. */
#ifndef SSH_CONN_IMPL_H
#define SSH_CONN_IMPL_H

#include "core/app.h"
#include "core/timer.h"
#include "ssh/conn.h"
#include "ssh/sign.h"

struct ssh_conn {
    struct ssh_sink sink; /* first; the transport's, and what is written leaves with this turn */
    struct ssh_conn_conf conf;
    struct nk_log *log;
    struct nk_stream *s;
    struct ssh_transport *t;
    struct ssh_auth *auth;   /* from the first key exchange to login */
    struct ssh_channels *ch; /* from login on */
    struct ssh_private *key; /* offered last, when it was one with its private half */
    struct ssh_sign *sign;   /* by that key, in the work pool */
    struct nk_timer timer;
    struct nk_defer turn; /* the end of the turn: what was asked for from outside */
    uint64_t deadline, ch_due, due;
    unsigned interest;
    const char *method;  /* of the login that succeeded */
    struct nk_work *kex; /* a step of a key exchange that is under way */
    struct nk_diag why;
    int rc;     /* why it is over */
    int answer; /* about the host key */
    struct nk_diag refusal;
    bool connected, deaf; /* deaf: nothing can be written any more, what came is still read */
    bool busy;            /* called by the loop: the memory stays until that returns */
    bool over, told, closed;
    bool hurry;  /* connect_ms was asked for */
    bool paused; /* too much output: the server is not read */
    bool host_asked, host_answered;
    bool asked;      /* a question of the login is with the application */
    bool first_key;  /* conf.key was not tried yet */
    bool plain_next; /* the key's certificate was offered: the key itself is next */
    bool ext_new;    /* an EXT_INFO that the login does not know of yet */
};

/* ssh_conn_fail - it is over; the application is told at the end of the turn. */
void ssh_conn_fail(struct ssh_conn *c, int rc, const struct nk_diag *why);

/* ssh_conn_later - look at everything again at the end of this turn. */
void ssh_conn_later(struct ssh_conn *c);

/* ssh_conn_begin_login - the first key exchange is done. */
void ssh_conn_begin_login(struct ssh_conn *c);

/* ssh_conn_login_message - SERVICE_ACCEPT or 50..79. As ssh_transport_ops.payload. */
int ssh_conn_login_message(struct ssh_conn *c, const uint8_t *p, size_t n, struct nk_diag *diag);

/* ssh_conn_ask - the questions of the login that nobody was asked yet. */
void ssh_conn_ask(struct ssh_conn *c);

/* ssh_conn_logged_in - channels may be opened. 0 or -ENOMEM. */
int ssh_conn_logged_in(struct ssh_conn *c, struct nk_diag *diag);

/* ssh_conn_forget_login - give back what the login had. */
void ssh_conn_forget_login(struct ssh_conn *c);

/* ssh_conn_login_clock - the server's time runs (again). */
void ssh_conn_login_clock(struct ssh_conn *c);

#endif
