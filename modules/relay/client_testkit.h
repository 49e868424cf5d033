/* SPDX-License-Identifier: MIT */
/*
 * client_testkit - a relay that a test plays by hand, over mem: streams, and an owner that notes
 * what a client tells it.
 */
#ifndef NK_RELAY_CLIENT_TESTKIT_H
#define NK_RELAY_CLIENT_TESTKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/app.h"
#include "core/listener.h"
#include "core/registry.h"
#include "core/stream.h"
#include "relay/client.h"
#include "relay/wire_pickle.h"

#define CLIENT_KIT_CLOCK 100 /* how many times faster time runs */
#define CLIENT_KIT_TURNS 5000
#define CLIENT_KIT_NOTES 4096

/* What a client told its owner, in order. */
struct client_note {
    char what; /* Alive, Object, Settled, Drained, Gone (a lease), Purged, Lost, End */
    uint32_t group;
    uint64_t first, last; /* Settled; Gone: the lease's number, twice */
    int status;
    struct relay_client_object d; /* Object: its data are a copy in `text` */
    char text[64];
    size_t len; /* of the object */
    bool again; /* Alive */
};

struct client_kit {
    struct nk_app *app;
    struct nk_endpoint *at;
    struct nk_listener *listener;
    struct nk_secret password;
    struct relay_client_conf conf; /* of the client; change it before client_kit_client */
    struct relay_client *client;
    struct client_note note[CLIENT_KIT_NOTES];
    size_t notes, seen;
    bool ack; /* acknowledge objects as they come */
    /* the relay's end */
    struct nk_stream *s;
    unsigned accepted;
    bool ended; /* the client sent its end of stream, or reset */
    struct nk_buf in, out;
    struct relay_pickle *pickle;
    struct relay_envelope env; /* the last command; points into `frame` */
    uint8_t *frame;
    uint32_t stamp;
};

/* client_kit_open - listen at `listen` ("mem:relay", with parameters if wanted). */
void client_kit_open(struct client_kit *k, const char *listen);
void client_kit_close(struct client_kit *k);

/* client_kit_client - open the client of k->conf. */
void client_kit_client(struct client_kit *k);

/* client_kit_turn - let the loop turn once. client_kit_accept - until a new connection is there. */
void client_kit_turn(struct client_kit *k);
void client_kit_accept(struct client_kit *k);

/* client_kit_hang_up - end the connection from the relay's side. client_kit_refuse - no new ones,
 * until client_kit_listen. */
void client_kit_hang_up(struct client_kit *k);
void client_kit_refuse(struct client_kit *k);
void client_kit_listen(struct client_kit *k);

/* client_kit_send - bytes from the relay. client_kit_read - wait until n bytes from the client are
 * there; they stay in k->in. */
void client_kit_send(struct client_kit *k, const void *p, size_t n);
void client_kit_read(struct client_kit *k, size_t n);

/* client_kit_expect - wait for the next note and check what it is. */
const struct client_note *client_kit_expect(struct client_kit *k, char what);

/* client_kit_quiet - some turns in which nothing comes, neither a note nor a byte. */
void client_kit_quiet(struct client_kit *k);

/* --- tlspyo's wire --- */

/* client_kit_command - the next command that is no ACK. */
const struct relay_envelope *client_kit_command(struct client_kit *k, enum relay_command cmd);

/* client_kit_acked - wait for an ACK from the client and check its stamp. */
void client_kit_acked(struct client_kit *k, int64_t stamp);

/* client_kit_hello, _ack, _object - say something; hello and object return the stamp. */
uint32_t client_kit_hello(struct client_kit *k);
void client_kit_ack(struct client_kit *k, int64_t stamp);
uint32_t client_kit_object(struct client_kit *k, const char *text);

/* client_kit_login - accept, greet, and let the client in. */
void client_kit_login(struct client_kit *k);

#endif
