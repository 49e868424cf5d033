/* SPDX-License-Identifier: MIT */
/* Endpoint strings: whatever parses keeps its promises, and host:port of its body as well. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int what)
{
    if (!what)
        abort();
}

static void check(const struct nk_ep_text *t)
{
    require(t->layers >= 1 && t->layers <= NK_EP_MAX_LAYERS && t->body != NULL);
    for (size_t i = 0; i < t->layers; i++)
        require(t->scheme[i][0] != '\0' && strlen(t->scheme[i]) <= NK_EP_MAX_SCHEME);
    require(t->nparams <= NK_EP_MAX_PARAMS);
    for (size_t i = 0; i < t->nparams; i++) {
        require(t->params[i].key[0] != '\0');
        for (const char *p = t->params[i].value; *p; p++)
            require((unsigned char)*p >= 0x20 && *p != 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct nk_ep_text t;
    struct nk_diag diag;
    char host[64];
    uint16_t port;
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (nk_ep_text_parse(&t, text, &diag) == 0) {
        check(&t);
        if (nk_ep_host_port(t.body, host, sizeof host, &port, 0, &diag) == 0)
            require(strlen(host) < sizeof host);
        nk_ep_text_clear(&t);
    } else {
        require(strlen(diag.text) > 0);
    }
    nk_ep_host_port(text, host, sizeof host, &port, 22, &diag);
    if (nk_ep_twisted_hint(text, &diag))
        require(strlen(diag.hint) > 0);
    free(text);
    return 0;
}
