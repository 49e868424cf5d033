/* SPDX-License-Identifier: MIT */
/*
 * conn_testkit - a whole connection over a socket, for tests: the application on one side, which
 * logs in with a password, opens a channel and sends `total` bytes; on the other a server in the
 * same loop, which sends back what comes. Everything below says how they misbehave.
 */
#ifndef SSH_CONN_TESTKIT_H
#define SSH_CONN_TESTKIT_H

#include "core/app.h"
#include "ssh/conn.h"
#include "ssh/transport_testkit.h"

/* Where the application closes the connection from. */
enum ssh_world_place {
    SSH_WORLD_NOWHERE,
    SSH_WORLD_IN_HOST_KEY,
    SSH_WORLD_IN_CREDENTIAL,
    SSH_WORLD_IN_OPEN,
    SSH_WORLD_IN_CHANNEL,
    SSH_WORLD_IN_DATA,
    SSH_WORLD_IN_CLOSED,
    SSH_WORLD_PLACES
};

struct ssh_world {
    struct ssh_kit k;
    struct nk_app *app;
    struct ssh_conn *conn;
    struct ssh_conn_conf conf;
    int fd;     /* the server's */
    size_t cut; /* bytes after which the server's end is closed; 0: never */
    size_t sent;
    bool deaf;          /* the server does not read */
    bool only_password; /* refuse everything else */
    bool silent;        /* never answer the login */
    bool late;          /* the application answers in the next turn */
    enum ssh_world_place leave;
    int wait; /* milliseconds that a turn may take */
    /* what came of it */
    unsigned host_keys, questions, opens, closes, channel_ends;
    bool asked, was_closed;
    int rc;
    struct nk_diag why;
    size_t came, wrote, total;
    struct ssh_channel *ch;
    uint32_t peer; /* the client's number of the channel */
};

/* ssh_world_init - nothing is open; set what is to be different. ssh_world_open - both sides. 0 or
 * the error. */
void ssh_world_init(struct ssh_world *w);
int ssh_world_open(struct ssh_world *w);

/* ssh_world_turn - one turn of everybody; false when it is over. ssh_world_run - until then. */
bool ssh_world_turn(struct ssh_world *w);
void ssh_world_run(struct ssh_world *w);

/* ssh_world_receive, ssh_world_send - the server's half of a turn. ssh_world_hang_up - it ends. */
void ssh_world_receive(struct ssh_world *w);
void ssh_world_send(struct ssh_world *w);
void ssh_world_hang_up(struct ssh_world *w);

/* ssh_world_close - the connection; waits for its work beside the loop. ssh_world_clear -
 * everything. */
void ssh_world_close(struct ssh_world *w);
void ssh_world_clear(struct ssh_world *w);

#endif
