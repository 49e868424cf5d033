/* SPDX-License-Identifier: MIT */
/* netkit config check: everything that can be known without starting anything. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "core/clock.h"
#include "service/config.h"
#include "tls/tls.h"

struct check {
    struct nk_cmd_ctx *ctx;
    size_t errors, warnings;
};

static void report(struct check *ck, bool warning, const char *where, const char *text)
{
    struct nk_buf b;
    nk_buf_init(&b, 8192);
    if (ck->ctx->globals->json) {
        struct nk_json j;
        nk_json_init(&j, &b, false);
        nk_json_object(&j);
        nk_json_kv_i64(&j, "schema", 1);
        nk_json_kv_str(&j, "level", warning ? "warning" : "error");
        nk_json_kv_str(&j, "where", where);
        nk_json_kv_str(&j, "message", text);
        nk_json_close(&j);
        nk_buf_puts(&b, "\n");
    } else {
        nk_buf_printf(&b, "%s: %s%s\n", where, warning ? "warning: " : "", text);
    }
    fwrite(nk_buf_ptr(&b), 1, nk_buf_len(&b), stderr);
    nk_buf_clear(&b);
    *(warning ? &ck->warnings : &ck->errors) += 1;
}

static bool holds_secret(const struct nk_conf_value *v)
{
    const char *name = v->row->name;
    size_t n = strlen(name);
    return (v->row->flags & NK_OPT_SECRET) || strcmp(name, "key") == 0 ||
           (n > 4 && strcmp(name + n - 4, "-key") == 0) || strstr(name, "password") != NULL;
}

/* A file that a value names: there, readable, and not open to others when it holds a secret. */
static void check_path(struct check *ck, const struct nk_conf_value *v)
{
    struct stat st;
    char text[1400], key[64];
    nk_opt_ini_name(key, sizeof(key), v->row);
    if (strcmp(v->text, "-") == 0) {
        return;
    }
    if (stat(v->text, &st) < 0) {
        snprintf(text, sizeof(text), "[%s] %s: %.1000s: %s", v->section, key, v->text,
                 nk_strerror(-errno));
        report(ck, false, v->where, text);
    } else if (S_ISREG(st.st_mode) && access(v->text, R_OK) < 0) {
        snprintf(text, sizeof(text), "[%s] %s: %.1000s is not readable", v->section, key, v->text);
        report(ck, false, v->where, text);
    } else if (S_ISREG(st.st_mode) && holds_secret(v)) {
        bool ours = st.st_uid == geteuid();
        if ((st.st_mode & (S_IWGRP | S_IWOTH)) || (ours && (st.st_mode & (S_IRWXG | S_IRWXO)))) {
            snprintf(text, sizeof(text), "[%s] %s: %.1000s has mode %04o (chmod 600)", v->section,
                     key, v->text, (unsigned)st.st_mode & 07777);
            report(ck, false, v->where, text);
        } else if (st.st_size == 0) {
            snprintf(text, sizeof(text), "[%s] %s: %.1000s is empty", v->section, key, v->text);
            report(ck, false, v->where, text);
        }
    }
}

static void check_paths(struct check *ck, const struct nk_conf *c)
{
    struct nk_conf_value v;
    for (size_t i = 0; nk_conf_value_at(c, i, &v); i++) {
        if (v.row->type == NK_OPT_PATH && v.origin != NK_FROM_DEFAULT && v.text &&
            !(v.row->flags & NK_OPT_MAY_MISS)) {
            check_path(ck, &v);
        }
    }
}

/* What a section says for a row, or NULL. */
static const char *value_of(const struct nk_conf *c, const struct nk_conf_value *of,
                            const char *row)
{
    struct nk_conf_value v;
    for (size_t i = 0; nk_conf_value_at(c, i, &v); i++) {
        bool same = strcmp(v.section, of->section) == 0 &&
                    (!v.name || (of->name && strcmp(v.name, of->name) == 0));
        if (same && strcmp(v.row->name, row) == 0) {
            return v.text;
        }
    }
    return NULL;
}

/* The section's certificate: does it parse, does the key belong to it, when does it end? */
static void check_certificate(struct check *ck, const struct nk_conf *c,
                              const struct nk_conf_value *cert)
{
    const struct tls_creds_conf conf = {.role = TLS_SERVER,
                                        .cert = cert->text,
                                        .key = value_of(c, cert, "key"),
                                        .ca = value_of(c, cert, "client-ca")};
    struct tls_creds *creds;
    struct nk_diag diag = {0};
    char text[512], what[400];
    if (tls_creds_new(&creds, &conf, &diag) < 0) {
        snprintf(text, sizeof(text), "[%s] %s", cert->section, diag.text);
        report(ck, false, cert->where, text);
        return;
    }
    if (tls_creds_warnings(creds, nk_wall_s(NULL), what, sizeof(what))) {
        snprintf(text, sizeof(text), "[%s] cert: %s", cert->section, what);
        report(ck, true, cert->where, text);
    }
    tls_creds_unref(creds);
}

static void check_certificates(struct check *ck, const struct nk_conf *c)
{
    struct nk_conf_value v;
    for (size_t i = 0; nk_conf_value_at(c, i, &v); i++) {
        if (v.row->type == NK_OPT_PATH && strcmp(v.row->name, "cert") == 0 && v.text &&
            v.origin != NK_FROM_DEFAULT) {
            check_certificate(ck, c, &v);
        }
    }
}

static void check_listeners(struct check *ck, const struct nk_conf *c)
{
    struct nk_conf_value a, b;
    char text[1400];
    for (size_t i = 0; nk_conf_value_at(c, i, &a); i++) {
        for (size_t k = 0; k < i && a.row->type == NK_OPT_LISTEN && a.text; k++) {
            bool got = nk_conf_value_at(c, k, &b);
            if (got && b.row->type == NK_OPT_LISTEN && b.text && strcmp(a.text, b.text) == 0) {
                snprintf(text, sizeof(text), "[%s] listens on %.1000s, and so does [%s] (%.100s)",
                         a.section, a.text, b.section, b.where);
                report(ck, false, a.where, text);
            }
        }
    }
}

static int verdict(struct check *ck, const struct nk_conf *c)
{
    const char *path = c && nk_conf_path(c) ? nk_conf_path(c) : "no configuration file";
    if (ck->ctx->globals->json) {
        printf("{\"schema\":1,\"errors\":%zu,\"warnings\":%zu}\n", ck->errors, ck->warnings);
    } else if (!ck->ctx->globals->quiet) {
        if (ck->errors) {
            fprintf(stderr, "%s: %zu error%s\n", path, ck->errors, ck->errors == 1 ? "" : "s");
        } else {
            printf("%s: ok\n", path);
        }
    }
    return ck->errors ? NK_EXIT_CONFIG : 0;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct check ck = {ctx, 0, 0};
    struct nk_conf *c;
    int rc = service_config_load(ctx, &c);
    if (!c) {
        return rc;
    }
    const struct nk_conf_problem *p;
    nk_cli_report_problems(NULL, c, ctx->globals->json);
    for (size_t i = 0; (p = nk_conf_problem_at(c, i)) != NULL; i++) {
        *(p->warning ? &ck.warnings : &ck.errors) += 1;
    }
    if (rc == 0) {
        check_paths(&ck, c);
        check_listeners(&ck, c);
        if (ck.errors == 0) {
            check_certificates(&ck, c); /* missing files were reported as such */
        }
    }
    rc = verdict(&ck, c);
    nk_conf_free(c);
    return rc;
}

const struct nk_cmd nk_cmd_config_check = {
    .synopsis = "[-c FILE] [-C SECTION.KEY=VALUE]..",
    .summary = "Check the configuration without starting anything",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
