/* SPDX-License-Identifier: MIT */
#include "ssh/key_cli.h"

#include <stdio.h>
#include <string.h>

#include "base/ask.h"
#include "base/cli.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/utc.h"
#include "core/clock.h"
#include "ssh/host_policy.h"

enum { TIME_TEXT = 32, SHOWN = 256 };

int ssh_cli_passphrase(const struct ssh_pass_conf *c, struct nk_secret *out, struct nk_diag *diag)
{
    if (c->file && c->fd >= 0) {
        return nk_fail(diag, NK_EUSAGE, "--passphrase-file and --passphrase-fd exclude each other");
    }
    int rc = c->file      ? nk_file_read_secret(c->file, true, out, diag)
             : c->fd >= 0 ? nk_secret_line((int)c->fd, out, diag)
                          : 0;
    if (rc == 0 && (c->file || c->fd >= 0) && (out->len == 0 || out->len > SSH_PASSPHRASE_MAX)) {
        nk_secret_clear(out);
        rc = nk_fail(diag, NK_EUSAGE, "a passphrase has 1 to %d bytes", SSH_PASSPHRASE_MAX);
    }
    return rc;
}

/* --- describing ------------------------------------------------------------------------------- */

/* A row of a description: of the JSON object, or of the text. */
static void row(struct nk_json *j, const char *name, const char *value)
{
    char shown[SHOWN];
    if (j) {
        nk_json_kv_str(j, name, value);
    } else if (value) {
        printf("  %-12s %s\n", name, nk_escape(shown, sizeof(shown), value, strlen(value)));
    }
}

static void row_of(struct nk_json *j, const char *name, struct ssh_str s)
{
    char text[SHOWN];
    row(j, name, nk_escape(text, sizeof(text), s.p, s.n));
}

/* Seconds since 1970; `open` is what an end that is none is called. */
static void row_time(struct nk_json *j, const char *name, uint64_t seconds, const char *open)
{
    char text[TIME_TEXT];
    if (seconds == 0 || seconds > INT64_MAX || !nk_format_utc(text, (int64_t)seconds)) {
        snprintf(text, sizeof(text), "%s", open);
    }
    row(j, name, text);
}

/* The names of a list of names, or of names and values, with commas. */
static void row_list(struct nk_json *j, const char *name, struct ssh_str list, bool values)
{
    char text[SHOWN] = "", one[SHOWN];
    struct nk_cur c;
    nk_cur_init(&c, list.p, list.n);
    while (!c.failed && nk_cur_left(&c) > 0) {
        struct ssh_str s = ssh_cur_string(&c);
        size_t at = strlen(text);
        if (values) {
            (void)ssh_cur_string(&c);
        }
        snprintf(text + at, sizeof(text) - at, "%s%s", at ? "," : "",
                 nk_escape(one, sizeof(one), s.p, s.n));
    }
    row(j, name, *text ? text : NULL);
}

static void describe_cert(const struct ssh_public *k, struct nk_json *j)
{
    /* what OpenSSH's servers know */
    static const char *const known[] = {"force-command", "source-address", "verify-required", NULL};
    char print[SSH_FINGERPRINT_SIZE], serial[TIME_TEXT];
    struct nk_diag diag;
    const struct ssh_cert *t = &k->cert;
    int rc = ssh_cert_check(k, t->use, (uint64_t)nk_wall_s(NULL), known, 0, &diag);
    snprintf(serial, sizeof(serial), "%llu", (unsigned long long)t->serial);
    row(j, "certificate",
        t->use == SSH_CERT_USER   ? "user"
        : t->use == SSH_CERT_HOST ? "host"
                                  : "unknown");
    row_of(j, "id", t->id);
    row(j, "serial", serial);
    row_list(j, "principals", t->principals, false);
    row_time(j, "from", t->after, "always");
    row_time(j, "until", t->before, "forever");
    row_list(j, "critical", t->critical, true);
    row_list(j, "extensions", t->extensions, true);
    ssh_fingerprint_sha256(t->ca, print);
    row(j, "authority", print);
    row(j, "valid", rc < 0 ? diag.text : "yes");
}

static void describe_public(const struct ssh_public *k, struct nk_json *j)
{
    char print[SSH_FINGERPRINT_SIZE], bits[TIME_TEXT];
    struct nk_buf blob;
    row(j, "type", k->type->name);
    snprintf(bits, sizeof(bits), "%u", ssh_public_bits(k));
    if (j) {
        nk_json_kv_u64(j, "bits", ssh_public_bits(k));
    } else {
        row(j, "bits", bits);
    }
    nk_buf_init(&blob, SSH_BLOB_MAX);
    if (ssh_plain_put(k, &blob) == 0) {
        struct ssh_str s = {nk_buf_ptr(&blob), nk_buf_len(&blob)};
        ssh_fingerprint_sha256(s, print);
        row(j, "sha256", print);
        ssh_fingerprint_md5(s, print);
        row(j, "md5", print);
    }
    nk_buf_clear(&blob);
    if (k->is_cert) {
        describe_cert(k, j);
    }
}

void ssh_cli_describe(const struct ssh_cli_key *about, const struct ssh_public *k,
                      struct nk_json *j)
{
    char name[SHOWN];
    if (j) {
        nk_json_object(j);
        nk_json_kv_str(j, "file", about->file);
    } else {
        printf("%s\n", nk_escape(name, sizeof(name), about->file, strlen(about->file)));
    }
    row(j, "kind",
        about->is_private ? "private key"
        : k && k->is_cert ? "certificate"
                          : "public key");
    row(j, "form", about->form);
    if (k) {
        describe_public(k, j);
    }
    row(j, "comment", about->comment && *about->comment ? about->comment : NULL);
    row(j, "encrypted", about->cipher && strcmp(about->cipher, "none") == 0 ? "no" : about->cipher);
    row(j, "problem", about->problem);
    if (j) {
        nk_json_close(j);
    }
}
