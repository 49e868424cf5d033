/* SPDX-License-Identifier: MIT */
/*
 * registry - endpoint strings become streams and listeners.
 *
 * A driver is registered by its file name: ep_tcp.c defines nk_ep_tcp. Filters wrap whatever is
 * below them. Everything about a string is checked by nk_endpoint_parse, without side effects; only
 * then is it dialled or listened on.
 */
#ifndef NK_CORE_REGISTRY_H
#define NK_CORE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include "base/endpoint.h"
#include "base/err.h"
#include "base/opt.h"
#include "core/listener.h"
#include "core/stream.h"

struct nk_app;
struct nk_endpoint;

/* With an open end, the place to connect to may be left to each connection: a listener that its
 * clients tell it (socks5:), a connector that is told (tor: without a host). For callers that can
 * bring the two together; drivers only see the first two. */
enum nk_ep_role {
    NK_EP_CONNECT = 1,
    NK_EP_LISTEN = 2,
    NK_EP_OPEN_END = 4,
    NK_EP_CONNECT_OPEN = NK_EP_CONNECT | NK_EP_OPEN_END,
    NK_EP_LISTEN_OPEN = NK_EP_LISTEN | NK_EP_OPEN_END
};
enum nk_ep_flags {
    NK_EP_CAN_CONNECT = 1,
    NK_EP_CAN_LISTEN = 2,
    NK_EP_FILTER = 4, /* wraps a lower layer */
    NK_EP_EXEC = 8,   /* needs the launcher */
    NK_EP_TEST = 16,  /* mem: only dialled and listened on when nk_app_conf.test_endpoints is set */
    NK_EP_TELLS_TARGET = 32, /* listeners: the peers say where to connect (NK_Q_TARGET) */
    NK_EP_PUBLIC = 64        /* listeners: always reached from elsewhere (onion:) */
};

/* One checked layer of an endpoint, as drivers see it. */
struct nk_ep_layer {
    const struct nk_ep_driver *driver;
    const char *body;      /* transports: raw body; filters: "" */
    const void *conf;      /* the driver's parameters, conf_size bytes */
    const char *peer_host; /* host of the transport below (for certificate names), or NULL */
    const char *whole;     /* the endpoint string that the layer is of */
    const struct nk_target *target;  /* dial and wrap, open end: connect there; else NULL */
    const struct nk_ep_layer *below; /* filters: the next layer; transports: NULL */
    void *known;                     /* what the driver's learn has made, or NULL */
};

struct nk_ep_driver {
    const char *scheme;
    const char *summary;
    const char *body_help; /* "HOST:PORT" */
    unsigned flags;
    const char *over;            /* filters: transport when used alone (tls: = tls+tcp:) */
    const struct nk_opt *params; /* rows of key=value parameters, or NULL */
    size_t conf_size;
    /* check body and parameters; no side effects (files may be looked at, nothing resolved). */
    int (*check)(const struct nk_ep_layer *layer, enum nk_ep_role role, struct nk_diag *diag);
    /* after check: read the files that are read once for each string, for dial and listen to find
     * in layer->known; a reload parses strings again. forget frees it. Both or none. */
    int (*learn)(const struct nk_ep_layer *layer, enum nk_ep_role role, void **known,
                 struct nk_diag *diag);
    void (*forget)(void *known);
    /* as a listener: do only peers get through who prove who they are (a client's certificate)?
     * NULL: everybody does. */
    bool (*knows_peers)(const struct nk_ep_layer *layer);
    /* filters, as a listener: the transport listens at local ("tcp:ADDRESS:PORT", "unix:..."),
     * which the string need not say (fd:). An error ends it again. May be NULL. */
    int (*bound)(const struct nk_ep_layer *layer, const char *local, struct nk_diag *diag);
    /* as a connector: is the end left to each dial? check allows it then. NULL: never. */
    bool (*open_end)(const struct nk_ep_layer *layer);
    /* host part of the body for layers above, written to out; 0 or -ENOENT. */
    int (*host)(const struct nk_ep_layer *layer, char *out, size_t max);
    /* transports: begin to connect; the stream is born connecting. */
    int (*dial)(struct nk_app *app, const struct nk_ep_layer *layer, struct nk_stream **out,
                struct nk_diag *diag);
    /* transports: bind and listen now. */
    int (*listen)(struct nk_app *app, const struct nk_ep_layer *layer, nk_accept_fn *fn,
                  void *owner, struct nk_listener **out, struct nk_diag *diag);
    /* filters: per-listener or per-dial state, shared by the streams wrapped later (certificates);
     * may be NULL. `release` is called once, when the listener closes or right after the dial:
     * streams live on, so each holds a reference of its own. The layer is only valid during the
     * call. */
    int (*prepare)(struct nk_app *app, const struct nk_ep_layer *layer, enum nk_ep_role role,
                   void **state, struct nk_diag *diag);
    void (*release)(void *state);
    /* filters: read the files of a listener's state again; on error it stays as it was. May be
     * NULL. */
    int (*refresh)(void *state, struct nk_diag *diag);
    /* filters: put a stream over take_lower (owned from then on, also on failure). */
    int (*wrap)(struct nk_app *app, const struct nk_ep_layer *layer, void *state,
                enum nk_ep_role role, struct nk_stream *take_lower, struct nk_stream **out,
                struct nk_diag *diag);
};

extern const struct nk_ep_driver *const nk_ep_table[]; /* generated, sorted by scheme */
extern const size_t nk_ep_count;

/* nk_ep_driver_find - driver of a scheme, or NULL. */
const struct nk_ep_driver *nk_ep_driver_find(const char *scheme);

/* nk_endpoint_parse - parse and check text for a role. Errors name the layer, the key and what is
 * possible. Free with nk_endpoint_free. */
int nk_endpoint_parse(const char *text, enum nk_ep_role role, struct nk_endpoint **out,
                      struct nk_diag *diag);
void nk_endpoint_free(struct nk_endpoint *ep);

/* nk_endpoint_open - is the end left to each connection: a listener whose streams answer
 * NK_Q_TARGET, a connector that needs nk_dial_to? Only with NK_EP_OPEN_END. */
bool nk_endpoint_open(const struct nk_endpoint *ep);

/* nk_endpoint_check - parse and throw away; the hook for nk_conf_load. Ends may be open. */
int nk_endpoint_check(const char *text, bool listen, struct nk_diag *diag);

/* nk_endpoint_layer - layer i (0 = outermost), or NULL. nk_endpoint_text - the string. */
const struct nk_ep_layer *nk_endpoint_layer(const struct nk_endpoint *ep, size_t i);
const char *nk_endpoint_text(const struct nk_endpoint *ep);

/* nk_dial - connect. The stream is born connecting: fn gets NK_CONNECTED or NK_CLOSED later. ep is
 * not needed after the call. Immediate failures (no such program, no launcher) are returned. */
int nk_dial(struct nk_app *app, const struct nk_endpoint *ep, nk_stream_event_fn *fn, void *owner,
            struct nk_stream **out, struct nk_diag *diag);

/* nk_dial_to - the same with an end that was left open (nk_endpoint_open): connect to target, which
 * is copied. NULL target, or one for an endpoint that has an end of its own: NK_ECONFIG. */
int nk_dial_to(struct nk_app *app, const struct nk_endpoint *ep, const struct nk_target *target,
               nk_stream_event_fn *fn, void *owner, struct nk_stream **out, struct nk_diag *diag);

/* nk_listen - bind and listen now. fn gets streams with all filters on (still handshaking). ep is
 * not needed after the call. */
int nk_listen(struct nk_app *app, const struct nk_endpoint *ep, nk_accept_fn *fn, void *owner,
              struct nk_listener **out, struct nk_diag *diag);

#endif
