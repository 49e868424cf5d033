/* SPDX-License-Identifier: MIT */
/* service_engine - the engine that the configuration of a relay names. */
#ifndef NK_RELAY_SERVICE_ENGINE_H
#define NK_RELAY_SERVICE_ENGINE_H

#include "base/json.h"
#include "relay/engine.h"
#include "relay/publishers.h"
#include "relay/relay.h"

struct relay_service_engine {
    struct nk_app *app;
    const struct relay_conf *conf;
    struct relay_groups *groups;
    struct relay_memory *memory;
    struct relay_publishers *publishers;
    void (*fatal)(void *owner, int code); /* the disk failed: the relay should end */
    void *owner;
};

/* relay_service_engine_check - can that engine do what the rest of conf wants? 0 or NK_ECONFIG. */
int relay_service_engine_check(const struct relay_conf *conf, struct nk_diag *diag);

/* relay_service_engine_open - open it; the log lies in the relay's folder, which is locked. 0 or
 * negative, with diag. */
int relay_service_engine_open(const struct relay_service_engine *conf, struct relay_engine **out,
                              struct nk_diag *diag);

/* relay_service_engine_status - what the log has to say, as an object "log"; nothing for another
 * engine. */
void relay_service_engine_status(const struct relay_engine *e, struct nk_json *out);

#endif
