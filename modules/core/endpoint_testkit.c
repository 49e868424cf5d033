/* SPDX-License-Identifier: MIT */
#include "core/endpoint_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct nk_endpoint *parse(const char *text, enum nk_ep_role role)
{
    struct nk_endpoint *ep = NULL;
    struct nk_diag why = {0};
    if (nk_endpoint_parse(text, role, &ep, &why) < 0) {
        fail_msg("%s: %s", text, why.text);
    }
    return ep;
}

struct nk_listener *nk_kit_listen(struct nk_app *app, const char *text, nk_accept_fn *fn,
                                  void *owner)
{
    struct nk_endpoint *ep = parse(text, NK_EP_LISTEN_OPEN);
    struct nk_listener *l = NULL;
    struct nk_diag why = {0};
    if (nk_listen(app, ep, fn, owner, &l, &why) < 0) {
        fail_msg("%s: %s", text, why.text);
    }
    nk_endpoint_free(ep);
    return l;
}

struct nk_stream *nk_kit_dial(struct nk_app *app, const char *text, nk_stream_event_fn *fn,
                              void *owner)
{
    struct nk_endpoint *ep = parse(text, NK_EP_CONNECT);
    struct nk_stream *s = NULL;
    struct nk_diag why = {0};
    if (nk_dial(app, ep, fn, owner, &s, &why) < 0) {
        fail_msg("%s: %s", text, why.text);
    }
    nk_endpoint_free(ep);
    return s;
}
