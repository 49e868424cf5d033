/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "core/clock.h"
#include "tls/cert_cli.h"

enum { SOON = 30 * 86400, ANSWER_MAX = 256 };

int cert_ca_dir(struct nk_cmd_ctx *ctx, char *out)
{
    int rc = nk_path_join(out, NK_PATH_MAX, ctx->globals->state_dir, "ca");
    return rc < 0 ? nk_fail(&ctx->diag, rc, "the state directory's path is too long") : 0;
}

int cert_read(const char *path, struct nk_buf *out, struct nk_diag *diag)
{
    nk_buf_init_secret(out, TLS_PEM_MAX); /* people keep keys in the same file */
    return nk_file_read(path, 0, out, diag);
}

int cert_describe_file(const char *path, struct tls_cert_info *out, struct nk_diag *diag)
{
    struct nk_buf b;
    int rc = cert_read(path, &b, diag);
    if (rc == 0) {
        rc = tls_cert_describe(nk_buf_ptr(&b), nk_buf_len(&b), out, diag);
        if (rc < 0) {
            nk_fail_context(diag, "%s", path);
        }
    }
    nk_buf_clear(&b);
    return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

static int refuse_existing(const char *path, struct nk_diag *diag)
{
    if (access(path, F_OK) != 0) {
        return 0;
    }
    nk_fail(diag, -EEXIST, "%s exists", path);
    nk_hint(diag, "--force replaces it");
    return -EEXIST;
}

/* The key that was there before, to be put back when the certificate cannot be written. */
static int keep_old(const char *path, bool *had, struct nk_buf *old, struct nk_diag *diag)
{
    *had = access(path, F_OK) == 0;
    return *had ? nk_file_read(path, 0, old, diag) : 0;
}

int cert_write_pair(const char *dir, bool force, const struct nk_secret *key,
                    const struct nk_buf *cert, struct nk_diag *diag)
{
    char key_path[NK_PATH_MAX], cert_path[NK_PATH_MAX];
    unsigned flags = force ? (unsigned)NK_FILE_OVERWRITE : 0;
    struct nk_buf old;
    bool had = false;
    int rc = nk_mkdirs(dir, diag);
    if (rc < 0) {
        return rc;
    }
    if (nk_path_join(key_path, sizeof(key_path), dir, CERT_KEY_FILE) < 0 ||
        nk_path_join(cert_path, sizeof(cert_path), dir, CERT_CERT_FILE) < 0) {
        return nk_fail(diag, NK_ETOOBIG, "the path %.64s... is too long", dir);
    }
    nk_buf_init_secret(&old, NK_SECRET_MAX);
    if (!force && ((rc = refuse_existing(key_path, diag)) < 0 ||
                   (rc = refuse_existing(cert_path, diag)) < 0)) {
        return rc;
    }
    rc = keep_old(key_path, &had, &old, diag);
    if (rc == 0) {
        rc = nk_file_write(key_path, flags | NK_FILE_SECRET, key->data, key->len, diag);
    }
    if (rc == 0) {
        rc = nk_file_write(cert_path, flags | NK_FILE_PUBLIC, nk_buf_ptr(cert), nk_buf_len(cert),
                           diag);
        if (rc < 0 && had) {
            nk_file_write(key_path, NK_FILE_OVERWRITE | NK_FILE_SECRET, nk_buf_ptr(&old),
                          nk_buf_len(&old), NULL);
        } else if (rc < 0) {
            unlink(key_path);
        }
    }
    nk_buf_clear(&old);
    return rc;
}

/* --- showing ---------------------------------------------------------------------------------- */

void cert_print(const char *path, const struct tls_cert_info *info)
{
    char from[TLS_TIME_TEXT], to[TLS_TIME_TEXT], pin[TLS_PIN_TEXT];
    printf("%s\n", path);
    printf("  subject      %s\n", info->subject);
    printf("  issuer       %s%s\n", info->issuer, info->self_signed ? " (self-signed)" : "");
    printf("  names        %s\n", info->sans[0] ? info->sans : "none");
    printf("  valid        %s to %s\n", tls_format_time(from, info->not_before),
           tls_format_time(to, info->not_after));
    printf("  key          %s%s\n", info->key, info->ca ? ", CA" : "");
    printf("  serial       %s\n", info->serial);
    printf("  certificate  %s\n", tls_pin_format(pin, info->cert));
    printf("  pin          %s\n", tls_pin_format(pin, info->spki));
}

void cert_json(struct nk_json *j, const char *path, const struct tls_cert_info *info)
{
    char pin[TLS_PIN_TEXT];
    nk_json_kv_str(j, "file", path);
    nk_json_kv_str(j, "subject", info->subject);
    nk_json_kv_str(j, "issuer", info->issuer);
    nk_json_kv_bool(j, "self_signed", info->self_signed);
    nk_json_kv_bool(j, "ca", info->ca);
    nk_json_kv_str(j, "names", info->sans);
    nk_json_kv_i64(j, "not_before", info->not_before);
    nk_json_kv_i64(j, "not_after", info->not_after);
    nk_json_kv_str(j, "key", info->key);
    nk_json_kv_str(j, "serial", info->serial);
    nk_json_kv_str(j, "certificate_sha256", tls_pin_format(pin, info->cert));
    nk_json_kv_str(j, "pin", tls_pin_format(pin, info->spki));
}

int cert_tell(struct nk_cmd_ctx *ctx, const char *dir, const char *path, const struct nk_buf *cert)
{
    struct tls_cert_info info;
    struct nk_buf out;
    struct nk_json j;
    int rc = tls_cert_describe(nk_buf_ptr(cert), nk_buf_len(cert), &info, &ctx->diag);
    if (rc < 0 || !ctx->globals->json) {
        if (rc == 0) {
            cert_print(path, &info);
        }
        return rc;
    }
    nk_buf_init(&out, TLS_PEM_MAX);
    nk_json_init(&j, &out, true);
    nk_json_object(&j);
    if (dir) {
        nk_json_kv_str(&j, "directory", dir);
    }
    cert_json(&j, path, &info);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &ctx->diag);
}

int cert_report(struct nk_cmd_ctx *ctx, const char *dir, const struct nk_buf *cert)
{
    char path[NK_PATH_MAX], pin[TLS_PIN_TEXT];
    uint8_t spki[TLS_HASH];
    int rc = tls_hash_cert(nk_buf_ptr(cert), nk_buf_len(cert), NULL, spki, &ctx->diag);
    if (rc < 0 || nk_path_join(path, sizeof(path), dir, CERT_CERT_FILE) < 0) {
        return rc;
    }
    nk_audit(ctx->log, "cert", NK_LOG_INFO, "key.created", NULL, "%s pin=%s", path,
             tls_pin_format(pin, spki));
    return cert_tell(ctx, dir, path, cert);
}

void cert_warn(struct nk_cmd_ctx *ctx, const char *path, const struct tls_cert_info *info)
{
    char when[TLS_TIME_TEXT];
    int64_t now = nk_wall_s(NULL);
    if (info->not_after - now < SOON) {
        nk_warn(ctx->log, "cert", "%s %s on %s", path,
                info->not_after < now ? "expired" : "expires",
                tls_format_time(when, info->not_after));
    }
    if (info->not_before > now) {
        nk_warn(ctx->log, "cert", "%s is not valid before %s", path,
                tls_format_time(when, info->not_before));
    }
    if (info->weak) {
        nk_warn(ctx->log, "cert", "%s: an %s key is too weak; peers refuse RSA below 2048 bits",
                path, info->key);
    }
    if (!info->ca && info->sans[0] == 0) {
        nk_warn(ctx->log, "cert", "%s has no alternative names; most clients look at nothing else",
                path);
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

int cert_ask(const char *question, char **value, struct nk_diag *diag)
{
    char answer[ANSWER_MAX];
    FILE *tty = fopen("/dev/tty", "r+e");
    if (!tty) {
        return nk_fail(diag, NK_EUSAGE, "--ask needs a terminal");
    }
    fprintf(tty, "%s [%s]: ", question, *value ? *value : "");
    fflush(tty);
    char *line = fgets(answer, sizeof(answer), tty);
    fclose(tty);
    if (!line || !strchr(line, '\n')) {
        return nk_fail(diag, NK_EUSAGE, "no answer to '%s', or one of more than %d bytes", question,
                       ANSWER_MAX - 2);
    }
    line[strcspn(line, "\r\n")] = 0;
    if (*line == 0) {
        return 0;
    }
    char *copy = strcmp(line, "-") == 0 ? NULL : strdup(line);
    if (!copy && strcmp(line, "-") != 0) {
        return -ENOMEM;
    }
    free(*value);
    *value = copy;
    return 0;
}
