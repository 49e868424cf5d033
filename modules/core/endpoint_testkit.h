/* SPDX-License-Identifier: MIT */
/* endpoint_testkit - for tests: what endpoint strings name, or the test has failed. */
#ifndef NK_CORE_ENDPOINT_TESTKIT_H
#define NK_CORE_ENDPOINT_TESTKIT_H

#include "core/registry.h"

/* nk_kit_listen - as nk_listen; the end may be open. nk_kit_dial - as nk_dial. */
struct nk_listener *nk_kit_listen(struct nk_app *app, const char *text, nk_accept_fn *fn,
                                  void *owner);
struct nk_stream *nk_kit_dial(struct nk_app *app, const char *text, nk_stream_event_fn *fn,
                              void *owner);

#endif
