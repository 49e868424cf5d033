/* SPDX-License-Identifier: MIT */
/* The commands that change who is authorized. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "hs/auth_cli.h"
#include "hs/key_cli.h"

enum { ANSWER_MAX = 8192 };

struct state {
    bool restricted;
    size_t clients;
};

static int look(const struct hs_auth *a, struct state *out, struct hs_findings *findings,
                struct nk_diag *diag)
{
    struct hs_auth_list l;
    int rc = hs_auth_list_read(&l, a, findings, diag);
    if (rc == 0) {
        *out = (struct state){l.restricted, l.counted};
        hs_auth_list_clear(&l);
    }
    return rc;
}

static int print(struct nk_cmd_ctx *ctx, const struct hs_auth *a, const char *name,
                 const char *done, const struct state *now)
{
    struct nk_buf out;
    struct nk_json j;
    if (!ctx->globals->json) {
        printf("%s: %s%s; %zu client%s authorized\n", name,
               ctx->globals->dry_run ? "would be " : "", done, now->clients,
               now->clients == 1 ? "" : "s");
        return 0;
    }
    nk_buf_init(&out, ANSWER_MAX);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_str(&j, "directory", a->base.path);
    nk_json_kv_str(&j, "client", name);
    nk_json_kv_str(&j, "done", done);
    nk_json_kv_bool(&j, "dry_run", ctx->globals->dry_run);
    nk_json_kv_u64(&j, "authorized", now->clients);
    nk_json_kv_bool(&j, "restricted", now->restricted);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &ctx->diag);
}

/* Everything that a keeper should know about what just changed. */
static void explain(struct nk_cmd_ctx *ctx, const struct hs_auth *a, const struct state *was,
                    const struct state *now)
{
    const char *place = a->base.path;
    if (ctx->globals->dry_run || ctx->globals->quiet) {
        return;
    }
    if (a->kind == HS_AUTH_ARTI) {
        if (was->clients == 0 && now->clients > 0) {
            nk_info(ctx->log, "hs", "arti reads %s when it is one of restricted_discovery.key_dirs",
                    a->on.path);
        }
        return;
    }
    if (!was->restricted && now->restricted) {
        nk_warn(ctx->log, "hs",
                "%s was open to everybody; after tor's next reload only its clients "
                "find it",
                place);
    } else if (was->restricted && !now->restricted) {
        nk_warn(ctx->log, "hs", "%s is open to everybody after tor's next reload", place);
    } else if (now->restricted && now->clients == 0) {
        nk_warn(ctx->log, "hs", "%s has no client left: nobody finds it ('%s' keeps it closed)",
                place, HS_AUTH_LOCK);
    }
    nk_info(ctx->log, "hs",
            "tor takes it over at its next reload: netkit hs apply %s --pid-file ..", place);
}

/* What one of the commands does with the open place. */
typedef int change_fn(struct hs_auth *a, const char *name, const uint8_t *pub,
                      struct nk_diag *diag);

struct job {
    change_fn *fn;
    const char *name, *done;
    const uint8_t *pub; /* of an import */
    bool take;          /* it takes a client away */
};

static int run_change(struct nk_cmd_ctx *ctx, const struct job *job)
{
    const struct hs_auth_conf *c = ctx->conf;
    struct hs_findings before = {0}, after = {0};
    struct state was = {0}, now = {0};
    struct hs_auth a;
    int rc = hs_auth_cmd_open(ctx, &a, HS_AUTH_CHANGE);
    if (rc < 0) {
        return rc;
    }
    rc = look(&a, &was, &before, &ctx->diag);
    rc = rc < 0 ? rc : job->fn(&a, job->name, job->pub, &ctx->diag);
    rc = rc < 0 ? rc : look(&a, &now, &after, &ctx->diag);
    if (rc == 0 && job->take && c->allow_public && now.clients == 0 && a.kind == HS_AUTH_CTOR &&
        (rc = hs_auth_unlock(&a, &ctx->diag)) == 0) {
        hs_findings_clear(&after);
        rc = look(&a, &now, &after, &ctx->diag);
    }
    if (rc == 0) {
        hs_log_findings(ctx->log, &after);
        explain(ctx, &a, &was, &now);
        if (!a.dry) {
            nk_audit(ctx->log, "hs", NK_LOG_INFO, "trust.changed", NULL, "client %s %s: %s",
                     job->name, job->done, a.base.path);
        }
        rc = print(ctx, &a, job->name, job->done, &now);
    }
    hs_findings_clear(&before);
    hs_findings_clear(&after);
    hs_auth_close(&a);
    return rc;
}

static int import(struct hs_auth *a, const char *name, const uint8_t *pub, struct nk_diag *diag)
{
    return hs_auth_import(a, name, pub, diag);
}

static int enable(struct hs_auth *a, const char *name, const uint8_t *pub, struct nk_diag *diag)
{
    (void)pub;
    return hs_auth_enable(a, name, diag);
}

static int disable(struct hs_auth *a, const char *name, const uint8_t *pub, struct nk_diag *diag)
{
    (void)pub;
    return hs_auth_disable(a, name, diag);
}

static int take_away(struct hs_auth *a, const char *name, const uint8_t *pub, struct nk_diag *diag)
{
    (void)pub;
    return hs_auth_remove(a, name, diag);
}

int hs_auth_cmd_import(struct nk_cmd_ctx *ctx)
{
    const struct hs_auth_conf *c = ctx->conf;
    uint8_t pub[HS_PUBLIC_KEY];
    char name[HS_SLUG_MAX + 1];
    int rc = hs_auth_load_public(ctx->argv[0], pub, name, ctx->log, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    const struct job job = {
        .fn = import, .name = c->nickname ? c->nickname : name, .done = "imported", .pub = pub};
    if (!*job.name) {
        nk_fail(&ctx->diag, NK_EUSAGE, "--nickname is missing: what is the client called?");
        return NK_EUSAGE;
    }
    return run_change(ctx, &job);
}

int hs_auth_cmd_enable(struct nk_cmd_ctx *ctx)
{
    const struct job job = {.fn = enable, .name = ctx->argv[0], .done = "enabled"};
    return run_change(ctx, &job);
}

int hs_auth_cmd_disable(struct nk_cmd_ctx *ctx)
{
    const struct job job = {.fn = disable, .name = ctx->argv[0], .done = "disabled", .take = true};
    return run_change(ctx, &job);
}

/* Somebody at a terminal is asked; scripts have to say --yes. */
static int confirm(struct nk_cmd_ctx *ctx)
{
    char answer[8] = "";
    if (ctx->globals->yes || ctx->globals->dry_run) {
        return 0;
    }
    if (ctx->globals->no_input || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        nk_fail(&ctx->diag, NK_EUSAGE, "a removed key is gone: say --yes if you mean it");
        nk_hint(&ctx->diag, "disable keeps it");
        return NK_EUSAGE;
    }
    fprintf(stderr, "remove the key of client %s: sure? [y/N] ", ctx->argv[0]);
    if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y')) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "nothing was removed");
    }
    return 0;
}

int hs_auth_cmd_remove(struct nk_cmd_ctx *ctx)
{
    const struct job job = {.fn = take_away, .name = ctx->argv[0], .done = "removed", .take = true};
    int rc = confirm(ctx);
    return rc < 0 ? rc : run_change(ctx, &job);
}
