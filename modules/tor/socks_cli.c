/* SPDX-License-Identifier: MIT */
#include "tor/socks_cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "core/app.h"
#include "tor/resolve.h"

enum {
    AT_ONCE = 32,       /* lookups under way; the others wait */
    JSON_MAX = 64 << 20 /* bytes of output: more words than a command line can have */
};

struct lookup_conf {
    struct tor_socks_cli_conf cli;
};

const struct nk_opt tor_socks_cli_opts[] = {TOR_SOCKS_CLI_ROWS(struct lookup_conf, cli),
                                            NK_OPT_END};

void tor_socks_cli_via(const struct tor_socks_cli_conf *c, struct tor_via_conf *out)
{
    *out = (struct tor_via_conf){.kind = (enum tor_kind)c->tor.kind,
                                 .access = c->tor.access,
                                 .socks = c->socks,
                                 .isolate = c->isolate};
}

int tor_socks_cli_check(struct nk_cmd_ctx *ctx, const struct tor_via_conf *via)
{
    int rc = tor_via_check(via, &ctx->diag);
    if (rc == NK_ECONFIG) {
        rc = ctx->diag.code = NK_EUSAGE;
    }
    return rc;
}

uint64_t tor_socks_cli_timeout(const struct nk_cmd_ctx *ctx)
{
    return ctx->globals->timeout_ms ? ctx->globals->timeout_ms : TOR_VIA_TIMEOUT_MS;
}

/* --- looking up ------------------------------------------------------------------------------- */

struct lookups;

struct word {
    struct lookups *all;
    struct tor_lookup *lookup;
    const char *text;
    char *answer; /* heap, or NULL */
    struct nk_diag why;
};

struct lookups {
    struct nk_app *app;
    struct tor_lookup_conf conf;
    struct word *words;
    size_t n, next, busy;
};

static void go_on(struct lookups *all);

static void on_answer(void *owner, int err, const char *answer, const struct nk_diag *why)
{
    struct word *w = owner;
    w->lookup = NULL;
    if (err < 0) {
        w->why = *why;
        w->why.code = err;
    } else if (!(w->answer = strdup(answer))) {
        nk_fail_sys(&w->why, -ENOMEM, "%s", w->text);
    }
    w->all->busy--;
    go_on(w->all);
}

static void go_on(struct lookups *all)
{
    while (all->next < all->n && all->busy < AT_ONCE) {
        struct word *w = &all->words[all->next++];
        int rc = tor_lookup_start(all->app, &all->conf, w->text, on_answer, w, &w->lookup, &w->why);
        w->why.code = rc;
        all->busy += rc == 0;
    }
    if (all->busy == 0) {
        nk_app_stop(all->app, 0);
    }
}

static void print_text(const struct lookups *all, const char *program)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct word *w = &all->words[i];
        if (w->answer && all->n == 1) {
            printf("%s\n", w->answer);
        } else if (w->answer) {
            printf("%s %s\n", w->text, w->answer);
        } else if (all->n > 1) {
            fprintf(stderr, "%s: %s\n", program, w->why.text);
        }
    }
}

static int print_json(const struct lookups *all, struct nk_diag *diag)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, JSON_MAX);
    nk_json_init(&j, &out, true);
    nk_json_array(&j);
    for (size_t i = 0; i < all->n; i++) {
        const struct word *w = &all->words[i];
        nk_json_object(&j);
        nk_json_kv_str(&j, all->conf.ptr ? "address" : "name", w->text);
        nk_json_kv_str(&j, all->conf.ptr ? "name" : "address", w->answer);
        if (!w->answer) {
            nk_json_kv_str(&j, "code", nk_err_name(w->why.code));
            nk_json_kv_str(&j, "error", w->why.text);
        }
        nk_json_close(&j);
    }
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    rc = rc < 0 ? rc : nk_buf_u8(&out, '\n');
    if (rc < 0) {
        nk_fail_sys(diag, rc, "JSON");
    } else if (fwrite(nk_buf_ptr(&out), 1, nk_buf_len(&out), stdout) != nk_buf_len(&out)) {
        rc = nk_fail(diag, NK_EOUTPUT, "standard output");
    }
    nk_buf_clear(&out);
    return rc;
}

/* The first word without an answer decides how the command ends. */
static int outcome(struct lookups *all, struct nk_diag *diag)
{
    for (size_t i = 0; i < all->n; i++) {
        if (!all->words[i].answer) {
            *diag = all->words[i].why;
            return diag->code;
        }
    }
    return 0;
}

static int look_up(struct nk_cmd_ctx *ctx, struct lookups *all)
{
    const struct nk_app_conf app_conf = {
        .log = ctx->log,
        .launcher = ctx->launcher,
        .state_dir = ctx->globals->state_dir,
        .ini = ctx->ini,
    };
    int rc = nk_app_new(&all->app, &app_conf, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    go_on(all);
    rc = all->busy > 0 ? nk_app_run(all->app) : 0;
    for (size_t i = 0; i < all->n; i++) {
        tor_lookup_cancel(all->words[i].lookup);
    }
    nk_app_free(all->app);
    if (rc == 0 && ctx->globals->json) {
        rc = print_json(all, &ctx->diag);
    } else if (rc == 0) {
        print_text(all, ctx->self->name);
    }
    return rc;
}

int tor_socks_cli_lookup(struct nk_cmd_ctx *ctx, bool ptr)
{
    const struct tor_socks_cli_conf *c = ctx->conf;
    struct lookups all = {.conf = {.allow_private = c->allow_private, .ptr = ptr},
                          .n = (size_t)ctx->argc};
    tor_socks_cli_via(c, &all.conf.via);
    all.conf.via.timeout_ms = tor_socks_cli_timeout(ctx);
    int rc = tor_socks_cli_check(ctx, &all.conf.via);
    if (rc < 0) {
        return rc;
    }
    all.words = calloc(all.n, sizeof(*all.words));
    if (!all.words) {
        return nk_fail_sys(&ctx->diag, -ENOMEM, "tor");
    }
    for (size_t i = 0; i < all.n; i++) {
        all.words[i] = (struct word){.all = &all, .text = ctx->argv[i]};
    }
    rc = look_up(ctx, &all);
    rc = rc < 0 ? rc : outcome(&all, &ctx->diag);
    for (size_t i = 0; i < all.n; i++) {
        free(all.words[i].answer);
    }
    free(all.words);
    return rc;
}
