/* SPDX-License-Identifier: MIT */
/* registry_internal - a checked endpoint as registry.c builds and dial.c uses it. */
#ifndef NK_CORE_REGISTRY_INTERNAL_H
#define NK_CORE_REGISTRY_INTERNAL_H

#include "core/registry.h"

#define NK_EP_HOST_MAX 256 /* longest host name is 253 bytes (RFC 1035 §2.3.4), brackets, NUL */

/* One more than can be written: a filter alone brings its own transport. */
#define NK_EP_LAYERS (NK_EP_MAX_LAYERS + 1)

struct nk_endpoint {
    unsigned refs;
    enum nk_ep_role role; /* NK_EP_CONNECT or NK_EP_LISTEN */
    bool open;            /* the outermost layer's end is left to each connection */
    char *text;
    struct nk_ep_text parsed;
    size_t n;
    struct nk_ep_layer layers[NK_EP_LAYERS]; /* [0] outermost, [n-1] the transport */
    void *conf[NK_EP_LAYERS];                /* the same memory as layers[i].conf */
    char host[NK_EP_LAYERS][NK_EP_HOST_MAX];
};

/* nk_endpoint_ref - one more owner; each calls nk_endpoint_free. */
struct nk_endpoint *nk_endpoint_ref(struct nk_endpoint *ep);

#endif
