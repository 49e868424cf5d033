/* SPDX-License-Identifier: MIT */
#include "service/control.h"

#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/control.h"
#include "core/service.h"
#include "core/service_changes.h"

struct service_control {
    struct nk_app *app;
    struct nk_service_group *group;
    struct nk_control *socket;
};

/* --- requests --------------------------------------------------------------------------------- */

static int answer_status(struct service_control *k, struct nk_buf *out)
{
    struct nk_json json;
    nk_json_init(&json, out, true);
    nk_json_object(&json);
    nk_services_status(k->group, &json);
    nk_json_close(&json);
    int rc = nk_json_end(&json);
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

static int answer_health(struct service_control *k, struct nk_buf *out)
{
    static const char *const names[] = {
        [NK_PHASE_STARTING] = "starting",
        [NK_PHASE_READY] = "ready",
        [NK_PHASE_DRAINING] = "draining",
    };
    return nk_buf_printf(out, "%s\n", names[nk_services_phase(k->group)]);
}

static int put_changes(struct nk_buf *out, const struct nk_changes *changes)
{
    char text[NK_CHANGE_TEXT];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < changes->n; i++) {
        rc = nk_buf_printf(out, "%s\n", nk_change_format(text, &changes->v[i]));
    }
    return rc < 0 || !changes->more ? rc : nk_buf_printf(out, "%zu more changes\n", changes->more);
}

static int put_changes_json(struct nk_buf *out, const struct nk_changes *changes)
{
    struct nk_json json;
    nk_json_init(&json, out, true);
    nk_json_object(&json);
    nk_changes_json(changes, &json);
    nk_json_close(&json);
    int rc = nk_json_end(&json);
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

static int answer_reload(struct service_control *k, bool json, struct nk_buf *out,
                         struct nk_diag *diag)
{
    const struct nk_changes *changes = nk_services_changes(k->group);
    int rc = nk_services_reload(k->group, diag);
    if (rc < 0) {
        return diag->text[0] ? rc : nk_fail(diag, rc, "see the log");
    }
    return json ? put_changes_json(out, changes) : put_changes(out, changes);
}

static int answer_loglevel(struct service_control *k, char *const *words, size_t n,
                           struct nk_diag *diag)
{
    static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
    for (size_t i = 0; n >= 2 && n <= 3 && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(words[n - 1], names[i]) == 0) {
            return nk_log_set_level(nk_app_log(k->app), n == 3 ? words[1] : NULL, (enum nk_level)i);
        }
    }
    return nk_fail(diag, NK_EUSAGE, "a level is one of error, warn, info, debug, trace");
}

static void on_request(void *owner, struct nk_control_call *call, size_t n, char *const *words)
{
    struct service_control *k = owner;
    struct nk_diag diag = {0};
    int rc;
    if (n == 1 && strcmp(words[0], "status") == 0) {
        rc = answer_status(k, nk_control_body(call));
    } else if (n == 1 && strcmp(words[0], "health") == 0) {
        rc = answer_health(k, nk_control_body(call));
    } else if (strcmp(words[0], "reload") == 0 &&
               (n == 1 || (n == 2 && strcmp(words[1], "json") == 0))) {
        rc = answer_reload(k, n == 2, nk_control_body(call), &diag);
    } else if (n == 1 && strcmp(words[0], "stop") == 0) {
        nk_control_stay(call);
        nk_services_stop(k->group);
        rc = 0;
    } else if (strcmp(words[0], "loglevel") == 0) {
        rc = answer_loglevel(k, words, n, &diag);
    } else {
        rc = nk_fail(&diag, NK_EUSAGE, "no such request");
    }
    nk_control_done(call, rc, &diag);
}

/* --- the socket ------------------------------------------------------------------------------- */

int service_control_open(struct nk_app *app, struct nk_service_group *group,
                         struct service_control **out, struct nk_diag *diag)
{
    struct service_control *k = calloc(1, sizeof(*k));
    if (!k) {
        return nk_fail_sys(diag, -ENOMEM, "control socket");
    }
    k->app = app;
    k->group = group;
    int rc = nk_control_open(app, nk_app_state_dir(app), on_request, k, &k->socket, diag);
    if (rc < 0) {
        free(k);
        return rc;
    }
    *out = k;
    return 0;
}

void service_control_close(struct service_control *k)
{
    if (k) {
        nk_control_close(k->socket);
        free(k);
    }
}

/* --- the client's side ------------------------------------------------------------------------ */

static struct nk_control_ask ask_of(const struct nk_cmd_ctx *ctx, const char *const *words,
                                    size_t n, uint64_t timeout_ms)
{
    return (struct nk_control_ask){.dir = ctx->globals->state_dir,
                                   .who = "'netkit run'",
                                   .words = words,
                                   .n = n,
                                   .timeout_ms = timeout_ms};
}

int service_control_ask(struct nk_cmd_ctx *ctx, const char *const *words, size_t n,
                        uint64_t timeout_ms, struct nk_buf *out)
{
    const struct nk_control_ask ask = ask_of(ctx, words, n, timeout_ms);
    return nk_control_ask(&ask, out, &ctx->diag);
}

int service_control_run(struct nk_cmd_ctx *ctx, const char *const *words, size_t n,
                        uint64_t timeout_ms)
{
    uint64_t limit = ctx->globals->timeout_ms ? ctx->globals->timeout_ms : timeout_ms;
    const struct nk_control_ask ask = ask_of(ctx, words, n, limit);
    return nk_control_show(ctx, &ask);
}
