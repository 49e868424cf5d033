/* SPDX-License-Identifier: MIT */
#include "relay/service_engine.h"

#include <string.h>

#include "base/file.h"
#include "core/app.h"
#include "core/signal.h"
#include "relay/engine_log.h"

/* What a record can hold, but for what the relay adds: twice 64 KiB for pickling or metadata, and
 * for where a dead letter comes from. */
#define LOG_OBJECT_MAX (RELAY_LOG_BODY_MAX - RELAY_LOG_FIXED_MAX - 2 * 65536)

int relay_service_engine_check(const struct relay_conf *conf, struct nk_diag *diag)
{
    if (conf->engine == RELAY_ENGINE_LOG && conf->max_object > LOG_OBJECT_MAX) {
        return nk_fail(diag, NK_ECONFIG,
                       "relay: 'max_object' is larger than what engine = log can store (%zu bytes)",
                       LOG_OBJECT_MAX);
    }
    return 0;
}

static int open_log(const struct relay_service_engine *c, struct relay_engine **out,
                    struct nk_diag *diag)
{
    char dir[NK_PATH_MAX];
    const char *state = nk_app_state_dir(c->app);
    if (!state) {
        return nk_fail(diag, NK_ECONFIG, "relay: engine = log needs a state directory");
    }
    int rc = nk_service_dir(dir, sizeof(dir), state, relay_section.name, NULL);
    if (rc < 0) {
        return nk_fail(diag, rc, "path too long: %s", state);
    }
    rc = nk_signal_bus(); /* segments are mapped */
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "relay");
    }
    struct relay_engine_log_conf conf = {.app = c->app,
                                         .dir = dir,
                                         .groups = c->groups,
                                         .memory = c->memory,
                                         .publishers = c->publishers,
                                         .sync = (enum relay_log_sync_mode)c->conf->sync,
                                         .sync_ms = c->conf->sync_interval,
                                         .quarantine = c->conf->log_damage != 0,
                                         .grace_ms = c->conf->session_grace,
                                         .fatal = c->fatal,
                                         .owner = c->owner};
    return relay_engine_log(&conf, out, diag);
}

int relay_service_engine_open(const struct relay_service_engine *conf, struct relay_engine **out,
                              struct nk_diag *diag)
{
    if (conf->conf->engine == RELAY_ENGINE_LOG) {
        return open_log(conf, out, diag);
    }
    int rc = relay_engine_memory(conf->app, out);
    return rc < 0 ? nk_fail_sys(diag, rc, "relay") : 0;
}

void relay_service_engine_status(const struct relay_engine *e, struct nk_json *out)
{
    struct relay_log_stats s;
    if (strcmp(e->ops->name, "log") != 0) {
        return;
    }
    relay_engine_log_stats(e, &s);
    nk_json_key(out, "log");
    nk_json_object(out);
    nk_json_kv_u64(out, "segments", s.segments);
    nk_json_kv_u64(out, "bytes", s.bytes);
    nk_json_kv_u64(out, "live_bytes", s.live_bytes);
    nk_json_kv_u64(out, "commits", s.commits);
    nk_json_kv_u64(out, "records", s.records);
    nk_json_kv_u64(out, "syncs", s.syncs);
    nk_json_kv_u64(out, "sync_us_mean", s.sync_us_mean);
    nk_json_kv_u64(out, "sync_us_max", s.sync_us_max);
    nk_json_kv_u64(out, "compacted", s.compacted);
    nk_json_kv_u64(out, "refused", s.refused);
    nk_json_kv_u64(out, "scrubbed", s.scrubbed);
    nk_json_kv_u64(out, "scrubbed_bytes", s.scrubbed_bytes);
    nk_json_kv_u64(out, "damaged", s.damaged);
    nk_json_kv_bool(out, "full", s.full);
    nk_json_close(out);
}
