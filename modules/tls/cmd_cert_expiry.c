/* SPDX-License-Identifier: MIT */
/* netkit cert expiry: how long certificates are still valid. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cli.h"
#include "base/file.h"
#include "core/clock.h"
#include "tls/cert_cli.h"

struct expiry_conf {
    int64_t warn;
};

static const struct nk_opt opts[] = {{.name = "warn",
                                      .type = NK_OPT_INT,
                                      .offset = NK_FIELD(struct expiry_conf, warn),
                                      .arg = "DAYS",
                                      .def = "30",
                                      .min = 0,
                                      .max = 36500,
                                      .help = "Fail when one has fewer days left"},
                                     NK_OPT_END};

/* One run. */
struct list {
    struct nk_cmd_ctx *ctx;
    struct nk_json *json;
    const char *path;
    int64_t now, warn;
    unsigned certs, soon;
};

/* Whole days, rounded down: -1 is expired. */
static int64_t days_left(int64_t end, int64_t now)
{
    int64_t left = end - now;
    return left >= 0 ? left / CERT_DAY : -((-left + CERT_DAY - 1) / CERT_DAY);
}

static int on_cert(void *owner, const struct tls_cert_info *info)
{
    struct list *l = owner;
    int64_t days = days_left(info->not_after, l->now);
    char when[TLS_TIME_TEXT];
    l->certs++;
    l->soon += days < l->warn;
    if (l->ctx->globals->json) {
        nk_json_object(l->json);
        nk_json_kv_str(l->json, "file", l->path);
        nk_json_kv_str(l->json, "subject", info->subject);
        nk_json_kv_str(l->json, "names", info->sans);
        nk_json_kv_i64(l->json, "not_after", info->not_after);
        nk_json_kv_i64(l->json, "days", days);
        nk_json_kv_bool(l->json, "ok", days >= l->warn);
        nk_json_close(l->json);
    } else if (!l->ctx->globals->quiet) {
        printf("%6" PRId64 " days  %s  %s  %s\n", days, tls_format_time(when, info->not_after),
               l->path, info->subject);
    }
    return 0;
}

/* Of a directory only files that hold a certificate count: keys may lie there too. */
static int look_at(struct list *l, const char *path, bool in_dir)
{
    struct nk_diag *diag = &l->ctx->diag;
    struct nk_buf b;
    l->path = path;
    int rc = cert_read(path, &b, diag);
    if (rc < 0 && in_dir) {
        nk_warn(l->ctx->log, "cert", "%s", diag->text);
        rc = 0;
    } else if (rc == 0 && (!in_dir || (nk_buf_len(&b) > 0 &&
                                       memmem(nk_buf_ptr(&b), nk_buf_len(&b), "BEGIN CERTIFICATE-",
                                              strlen("BEGIN CERTIFICATE-"))))) {
        rc = tls_cert_describe_all(nk_buf_ptr(&b), nk_buf_len(&b), on_cert, l, diag);
        if (rc < 0) {
            nk_fail_context(diag, "%s", path);
        }
    }
    nk_buf_clear(&b);
    l->path = NULL;
    return rc;
}

static int look_into(struct list *l, const char *dir)
{
    struct nk_diag *diag = &l->ctx->diag;
    struct dirent **names;
    char path[NK_PATH_MAX];
    struct stat st;
    int n = scandir(dir, &names, NULL, alphasort), rc = 0;
    if (n < 0) {
        return nk_fail_sys(diag, -errno, "%s", dir);
    }
    for (int i = 0; i < n; i++) {
        if (rc == 0 && nk_path_join(path, sizeof(path), dir, names[i]->d_name) == 0 &&
            stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= (off_t)TLS_PEM_MAX) {
            rc = look_at(l, path, true);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct expiry_conf *c = ctx->conf;
    struct nk_buf out;
    struct nk_json j;
    struct list l = {.ctx = ctx, .json = &j, .now = nk_wall_s(NULL), .warn = c->warn};
    struct stat st;
    int rc = 0;
    nk_buf_init(&out, TLS_PEM_MAX);
    nk_json_init(&j, &out, true);
    nk_json_array(&j);
    for (int i = 0; i < ctx->argc && rc == 0; i++) {
        bool dir = stat(ctx->argv[i], &st) == 0 && S_ISDIR(st.st_mode);
        rc = dir ? look_into(&l, ctx->argv[i]) : look_at(&l, ctx->argv[i], false);
    }
    nk_json_close(&j);
    if (rc == 0 && l.certs == 0) { /* what is not there does not last */
        rc = nk_fail(&ctx->diag, -ENOENT, "no certificate found");
    }
    if (rc == 0 && ctx->globals->json) {
        rc = nk_cli_put_json(&j, &ctx->diag);
    } else {
        nk_buf_clear(&out);
    }
    return rc < 0 || l.soon == 0 ? rc
                                 : nk_fail(&ctx->diag, NK_ELIMIT,
                                           "%u of %u certificates have fewer than %d days left",
                                           l.soon, l.certs, (int)c->warn);
}

extern const struct nk_cmd nk_cmd_cert_expiry;
const struct nk_cmd nk_cmd_cert_expiry = {
    .synopsis = "[--warn DAYS] FILE|DIR..",
    .summary = "List how many days certificates are still valid",
    .opts = opts,
    .conf_size = sizeof(struct expiry_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
