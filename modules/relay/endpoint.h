/* SPDX-License-Identifier: MIT */
/*
 * endpoint - what the `netkit endpoint` commands share: their common options, finding the relay,
 * its certificate and password, and one client connection run by a loop of its own.
 */
#ifndef NK_RELAY_ENDPOINT_H
#define NK_RELAY_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cmd.h"
#include "base/secret.h"
#include "core/timer.h"
#include "relay/client.h"
#include "relay/known.h"

struct nk_app;
struct nk_endpoint;
struct nk_signal;
struct tls_creds;

/* Common options; the first member of every endpoint command's configuration. */
struct relay_endpoint_conf {
    char *endpoint; /* --name: of [endpoint NAME], whose values stand for what is not given */
    char *connect;
    int connection; /* enum relay_endpoint_connection */
    char *ca;
    struct nk_strlist pin;
    char *name;
    bool tls12;
    char *password_file;
    char *identity, *login_key;
    char *client_cert, *client_key;
    bool allow_plain;
    int wire; /* enum relay_client_wire */
    int64_t header_size;
    uint64_t max_object;
    uint64_t retry_ms;
};

enum relay_endpoint_connection { ENDPOINT_AUTO, ENDPOINT_TLS, ENDPOINT_TCP };

/* Choices of --connection, in the order of enum relay_endpoint_connection. */
extern const char *const relay_endpoint_connections[];

/* Choices of --wire, in the order of enum relay_client_wire. */
extern const char *const relay_endpoint_wires[];

/* The rows of struct relay_endpoint_conf, for a command or section whose configuration begins with
 * it. */
extern const struct nk_opt relay_endpoint_rows[];
#define RELAY_ENDPOINT_ROWS NK_OPT_SHARED(relay_endpoint_rows)

/* The row of --name, for commands that do not speak to a daemon. */
#define RELAY_ENDPOINT_NAME_ROW                                                                    \
    {                                                                                              \
        .name = "name", .type = NK_OPT_STRING,                                                     \
        .offset = NK_FIELD(struct relay_endpoint_conf, endpoint), .arg = "NAME",                   \
        .flags = NK_OPT_CLI_ONLY,                                                                  \
        .help = "Take what is not given here about the relay from [endpoint NAME] in netkit.ini"   \
    }

/* --- finding the relay (endpoint_find.c) --- */

/*
 * relay_endpoint_named - conf, and, when it names an endpoint, the values of [endpoint NAME] for
 * every row that has its default, into *out; everything is borrowed from both. 0, NK_ECONFIG: there
 * is no such section, -ENOMEM.
 */
int relay_endpoint_named(const struct nk_cmd_ctx *ctx, const struct relay_endpoint_conf *conf,
                         struct relay_endpoint_conf *out, struct nk_diag *diag);

/* Where the relay is and how to trust it; strings are owned. */
struct relay_endpoint_target {
    char *connect;       /* endpoint string of a transport */
    char *ca;            /* PEM file, or NULL */
    char *name;          /* name to expect in the certificate, or NULL: the host connected to */
    char *password_file; /* path; NULL: none is needed (unix socket, native wire) */
    bool tls;
    unsigned header_size;
};

/*
 * relay_endpoint_find - fill *out from the options, then [relay] of the configuration, then the
 * state directory. Nothing is opened or connected. 0, NK_ECONFIG, NK_EUSAGE (options that exclude
 * each other), -ENOMEM; free with relay_endpoint_target_clear in any case.
 */
int relay_endpoint_find(const struct nk_cmd_ctx *ctx, const struct relay_endpoint_conf *conf,
                        struct relay_endpoint_target *out, struct nk_diag *diag);
void relay_endpoint_target_clear(struct relay_endpoint_target *t);

/* relay_endpoint_connect_to - the address to connect to for a relay that listens at `listen`:
 * wildcards become loopback, what only listeners understand is dropped. malloc'd, or NULL when
 * there is none.
 */
char *relay_endpoint_connect_to(const char *listen);

/* relay_endpoint_login_key - an OpenSSH file with an Ed25519 key, not encrypted, into out (64
 * bytes: seed, public key). NK_ECONFIG (what is wrong with it), NK_EBADMODE, NK_EFORMAT, -errno. */
int relay_endpoint_login_key(const char *path, struct nk_secret *out, struct nk_diag *diag);

/* --- destinations (endpoint_dest.c) --- */

/* "g", "g=N": a list of destinations; the groups are owned. */
struct relay_endpoint_dest {
    struct relay_wire_dest *v;
    size_t n;
};

#define ENDPOINT_GROUP_MAX 1024 /* bytes of a group's name on our command line */

/*
 * relay_endpoint_dest_parse - read texts "GROUP" or "GROUP=N" (N after the last '=', digits with an
 * optional '-'; anything else belongs to the name). Without N it is def. Numbers outside of
 * min..max and 0 are refused, equal groups too. NK_EUSAGE, -ENOMEM; free with
 * relay_endpoint_dest_clear.
 */
int relay_endpoint_dest_parse(const char *const *texts, size_t n, int64_t def, int64_t min,
                              int64_t max, struct relay_endpoint_dest *out, struct nk_diag *diag);
void relay_endpoint_dest_clear(struct relay_endpoint_dest *d);

/* relay_endpoint_groups_check - names for HELLO: not too long, none twice. 0 or NK_EUSAGE. */
int relay_endpoint_groups_check(const struct nk_strlist *groups, struct nk_diag *diag);

/* --- a connection with a loop of its own (endpoint.c) --- */

struct relay_endpoint_session {
    struct nk_cmd_ctx *ctx;
    struct nk_app *app;
    struct relay_endpoint_target target;
    struct nk_secret password, login_key;
    struct tls_creds *creds;
    struct nk_endpoint *connect;
    /* endpoint_trust.c */
    enum relay_trust trust; /* what the TLS handshake proves */
    bool has_known;         /* this relay's key was learnt by a login with the password */
    struct relay_known known;
    char where[RELAY_KNOWN_WHERE]; /* how known_relays names it; "" = it is not to be remembered */
    struct relay_client_conf client_conf;
    struct relay_client *client;
    struct nk_signal *term, *interrupt;
    struct nk_timer timeout;
    void (*on_stop)(void *owner, bool timed_out); /* --timeout passed, or SIGTERM/SIGINT came */
    void *owner;
    int signum; /* that came */
    bool stopping;
};

/* What a command wants of its session. */
struct relay_endpoint_plan {
    const struct relay_endpoint_conf *conf;
    const char *const *groups; /* to join; borrowed */
    size_t ngroups;
    bool reconnect;
    enum relay_client_doubt doubt;
    const struct relay_client_ops *ops; /* on_alive and on_object get `owner` */
    void (*on_stop)(void *owner, bool timed_out);
    void *owner;
};

/* relay_endpoint_prepare - the first half of relay_endpoint_start, for a loop and a client of
 * somebody else's: find, load, check, and fill s->client_conf, which points into *s. ctx needs ini,
 * globals (state_dir) and log only. relay_endpoint_stop must be called in any case. */
int relay_endpoint_prepare(struct relay_endpoint_session *s, struct nk_cmd_ctx *ctx,
                           const struct relay_endpoint_plan *plan);

/* relay_endpoint_start - find, load, check and begin to connect. On failure the error is in
 * ctx->diag; relay_endpoint_stop must be called in any case. on_stop is called once; a second
 * signal ends the loop at once. */
int relay_endpoint_start(struct relay_endpoint_session *s, struct nk_cmd_ctx *ctx,
                         const struct relay_endpoint_plan *plan);

/* relay_endpoint_end - leave the loop with this result (0, a negative code with its diag, or a
 * positive exit status). For ops->on_end and whenever the command knows its result. */
void relay_endpoint_end(struct relay_endpoint_session *s, int status, const struct nk_diag *why);

/* relay_endpoint_run - turn the loop until relay_endpoint_end; returns its status. */
int relay_endpoint_run(struct relay_endpoint_session *s);

/* relay_endpoint_stop - close and free everything; safe on a zeroed session. */
void relay_endpoint_stop(struct relay_endpoint_session *s);

/* --- trust (endpoint_trust.c) --- */

/*
 * relay_endpoint_trust - credentials for TLS, and what they prove. By --pin, by a certificate file,
 * or by a key that the user wrote into known_relays: then the handshake authenticates the relay.
 * Else, on the native wire, by the password: any certificate will do for the handshake, and the key
 * is remembered after the login. --wire tlspyo asks the system's authorities instead.
 */
int relay_endpoint_trust(struct relay_endpoint_session *s, const struct relay_endpoint_conf *conf,
                         struct nk_diag *diag);

/* relay_endpoint_trust_conf - what s->client_conf has to say about it. */
void relay_endpoint_trust_conf(struct relay_endpoint_session *s,
                               const struct relay_endpoint_conf *conf);

/* relay_endpoint_lost - for ops->on_lost: tell on the log that the connection is gone and when we
 * try again. The owner must be the session. */
void relay_endpoint_lost(struct relay_endpoint_session *s, const struct nk_diag *why,
                         uint64_t again_ms);

#endif
