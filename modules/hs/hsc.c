/* SPDX-License-Identifier: MIT */
#include "hs/hsc.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/codec.h"
#include "hs/auth.h"
#include "hs/format.h"
#include "hs/key_cli.h"
#include "hs/slug.h"
#include "hs/where.h"

enum { LINE_SIZE = 256 };

const char *const hsc_pub_formats[] = {"ctor", "arti", NULL};
const char *const hsc_generates[] = {"if-needed", "no", NULL};

/* --- words ------------------------------------------------------------------------------------ */

int hsc_type(const char *text, struct nk_diag *diag)
{
    static const char *const names[] = {"stealth", "hs-auth-stealth", "hs-auth-desc",
                                        "service-discovery"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            return 0;
        }
    }
    nk_fail(diag, NK_EUSAGE, "there is no type of key '%.40s'", text);
    nk_hint(diag, "there is one, with the names stealth, hs-auth-stealth, hs-auth-desc and "
                  "service-discovery");
    return NK_EUSAGE;
}

/* A line of standard input without its end, byte by byte: what follows is somebody else's. */
static int read_line(char line[LINE_SIZE], struct nk_diag *diag)
{
    size_t n = 0;
    for (;;) {
        char c;
        ssize_t got = read(STDIN_FILENO, &c, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return nk_fail_sys(diag, -errno, "standard input");
        }
        if (got == 0 && n == 0) {
            return nk_fail(diag, NK_EUSAGE, "the input ended before an answer");
        }
        if (got == 0 || c == '\n') {
            break;
        }
        if (n == LINE_SIZE - 1) {
            return nk_fail(diag, NK_EUSAGE, "the line on standard input is too long");
        }
        line[n++] = c;
    }
    line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = '\0';
    return 0;
}

static int ask(struct hsc *h, const char *question, char line[LINE_SIZE])
{
    struct nk_diag *diag = &h->ctx->diag;
    if (h->ctx->globals->no_input) {
        return nk_fail(diag, NK_EUSAGE, "'%s' needs an answer, and --no-input forbids to ask",
                       question);
    }
    if (!h->conf->batch) {
        fputs(question, stderr);
        fflush(stderr);
    }
    int rc = read_line(line, diag);
    if (!h->conf->batch && !isatty(STDIN_FILENO)) { /* nobody's return key has ended the line */
        fputc('\n', stderr);
    }
    return rc;
}

static int find_address(struct hsc *h, const char *text)
{
    char line[LINE_SIZE];
    struct nk_diag *diag = &h->ctx->diag;
    if (text && h->conf->hsid) {
        return nk_fail(diag, NK_EUSAGE, "the address is given twice");
    }
    text = text ? text : h->conf->hsid;
    if (!text) {
        int rc = ask(h, "Enter an onion address: ", line);
        if (rc < 0) {
            return rc;
        }
        text = line;
    }
    int rc = nk_onion_parse(h->address, text, strlen(text), diag);
    if (rc < 0) {
        return nk_fail_context(diag, "onion address '%.80s'", text);
    }
    nk_onion_format(h->address_text, h->address);
    return 0;
}

int hsc_confirm(struct hsc *h, const char *what)
{
    char question[LINE_SIZE], line[LINE_SIZE];
    if (h->conf->batch || h->ctx->globals->yes || h->ctx->globals->dry_run) {
        return 0;
    }
    snprintf(question, sizeof(question),
             "%s client restricted discovery key for %s? (type yes or no): ", what,
             h->address_text);
    for (;;) {
        int rc = ask(h, question, line);
        if (rc < 0) {
            nk_hint(&h->ctx->diag, "--yes answers it");
            return rc;
        }
        if (strcmp(line, "yes") == 0) {
            return 0;
        }
        if (strcasecmp(line, "no") == 0 || strcasecmp(line, "n") == 0) {
            return nk_fail(&h->ctx->diag, -ECANCELED, "nothing was changed: the answer was no");
        }
    }
}

/* --- the key ---------------------------------------------------------------------------------- */

static bool to_stdout(const struct hsc *h)
{
    return strcmp(h->output, "-") == 0;
}

/* In the working folder, as the design of arti's client authorization has it. */
static int name_output(struct hsc *h)
{
    if (h->conf->pub_format == HSC_ARTI) {
        snprintf(h->own_output, sizeof(h->own_output), HS_AUTH_ARTI_FILE);
    } else if (h->conf->nickname) {
        snprintf(h->own_output, sizeof(h->own_output), "%s.auth", h->conf->nickname);
    } else {
        return nk_fail(
            &h->ctx->diag, NK_EUSAGE,
            "--nickname, which names the file of the public half, or --output is needed");
    }
    h->output = h->own_output;
    return 0;
}

static int check_output(const struct hsc *h)
{
    const char *path = h->output;
    if (to_stdout(h) || h->conf->overwrite || access(path, F_OK) != 0) {
        return 0;
    }
    nk_fail(&h->ctx->diag, -EEXIST, "%s already exists", path);
    nk_hint(&h->ctx->diag, "move it, or run again with --overwrite");
    return -EEXIST;
}

int hsc_begin(struct hsc *h, struct nk_cmd_ctx *ctx, const char *type, const char *address,
              const char *output)
{
    h->ctx = ctx;
    h->conf = ctx->conf;
    h->output = h->conf->output ? h->conf->output : output;
    h->store.place.fd = -1;
    const char *key_type = type ? type : h->conf->key_type;
    int rc = key_type ? hsc_type(key_type, &ctx->diag) : 0;
    if (rc == 0 && h->conf->nickname) {
        rc = hs_slug_check("nickname", h->conf->nickname, &ctx->diag);
    }
    rc = rc == 0 && !h->output ? name_output(h) : rc;
    rc = rc < 0 ? rc : check_output(h);
    return rc < 0 ? rc : find_address(h, address);
}

int hsc_open(struct hsc *h, enum hs_store_access access)
{
    struct hs_where where;
    struct nk_cmd_ctx *ctx = h->ctx;
    int rc =
        hs_where_find(&where, h->conf->keystore, ctx->ini, ctx->globals->state_dir, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = hs_store_open(&h->store, where.kind, where.dir,
                       ctx->globals->dry_run ? HS_STORE_READ : access, &ctx->diag);
    if (rc == -ENOENT && (access != HS_STORE_CREATE || ctx->globals->dry_run)) {
        memcpy(h->store.place.path, where.dir, sizeof(where.dir)); /* for what is said of it */
        return 0;
    }
    if (rc < 0) {
        return rc;
    }
    if (h->store.in_use && access != HS_STORE_READ) {
        nk_warn(ctx->log, "hsc", "an arti runs on %s: it reads this key when it needs it next",
                where.dir);
    }
    rc = hs_store_find(&h->store, h->address, h->conf->nickname, h->name, &ctx->diag);
    return rc == -ENOENT ? 0 : rc;
}

int hsc_load(struct hsc *h)
{
    return hs_store_read(&h->store, h->name, h->address, &h->key, &h->ctx->diag);
}

int hsc_missing(struct hsc *h)
{
    nk_fail(&h->ctx->diag, -ENOENT, "there is no client key for %s in %s", h->address_text,
            h->store.place.path);
    nk_hint(&h->ctx->diag, "--generate=if-needed, or 'netkit hsc generate-key stealth --hsid ..', "
                           "makes one");
    return -ENOENT;
}

static int write_public(const struct hsc *h, struct nk_buf *out)
{
    struct hs_item item;
    struct hs_client public = {0};
    memcpy(public.pub, h->key.pub, sizeof(public.pub));
    hs_item_from_client(&item, &public, NULL);
    enum hs_format format = h->conf->pub_format == HSC_ARTI ? HS_ARTI_PUBLIC : HS_AUTH;
    return hs_format_write(&item, format, out, &h->ctx->diag);
}

static unsigned output_flags(const struct hsc *h)
{
    return NK_FILE_PUBLIC | (h->conf->overwrite ? NK_FILE_OVERWRITE : 0u);
}

int hsc_export(struct hsc *h)
{
    struct nk_buf b;
    const struct nk_globals *g = h->ctx->globals;
    nk_buf_init(&b, HS_FORMAT_MAX);
    int rc = write_public(h, &b);
    bool ended = nk_buf_len(&b) > 0 && nk_buf_ptr(&b)[nk_buf_len(&b) - 1] == '\n';
    if (rc == 0 && to_stdout(h)) {
        rc = ended ? 0 : nk_buf_puts(&b, "\n");
        if (rc == 0 && !g->json) { /* JSON has it as a member */
            nk_cli_print(&b);
        }
    } else if (rc == 0 && !g->dry_run) {
        rc = nk_file_write(h->output, output_flags(h), nk_buf_ptr(&b), nk_buf_len(&b),
                           &h->ctx->diag);
    }
    nk_buf_clear(&b);
    return rc;
}

static int draft_public(const struct hsc *h, struct nk_file_draft *draft)
{
    struct nk_buf b;
    nk_buf_init(&b, HS_FORMAT_MAX);
    int rc = write_public(h, &b);
    rc = rc < 0 ? rc
                : nk_file_draft(draft, h->output, output_flags(h), nk_buf_ptr(&b), nk_buf_len(&b),
                                &h->ctx->diag);
    nk_buf_clear(&b);
    return rc;
}

static int store_key(struct hsc *h, char *kept)
{
    struct nk_diag *diag = &h->ctx->diag;
    char print[HS_FINGERPRINT_SIZE];
    bool replace = h->name[0] != '\0';
    int rc = replace ? hs_store_replace(&h->store, h->name, h->address, &h->key, h->conf->keep_old,
                                        kept, diag)
                     : hs_store_add(&h->store, h->address, &h->key, h->name, diag);
    if (rc == 0) {
        hs_client_fingerprint(print, h->key.pub);
        nk_audit(h->ctx->log, "hsc", NK_LOG_INFO, "key.created", NULL, "%s/%s fingerprint=%s",
                 h->store.place.path, h->name, print);
    }
    return rc;
}

int hsc_new(struct hsc *h, char *kept)
{
    struct nk_file_draft draft = {.dir = -1};
    const bool dry = h->ctx->globals->dry_run, file = !to_stdout(h);
    int rc = hs_client_new(&h->key);
    if (rc < 0) {
        return nk_fail_sys(&h->ctx->diag, rc, "new key");
    }
    rc = file && !dry ? draft_public(h, &draft) : 0;
    rc = rc < 0 || dry ? rc : store_key(h, kept);
    if (rc < 0) {
        nk_file_discard(&draft);
    } else if (draft.dir >= 0) {
        rc = nk_file_publish(&draft, &h->ctx->diag);
        if (rc < 0) {
            nk_hint(&h->ctx->diag, "the key is kept; 'netkit hsc export-pubkey --hsid ..' writes "
                                   "its public half");
        }
    }
    return rc < 0 || file ? rc : hsc_export(h);
}

/* --- what is said ----------------------------------------------------------------------------- */

static int report_json(struct hsc *h, bool made, const char *kept, const char *path)
{
    struct nk_buf out, line;
    struct nk_json j;
    char print[HS_FINGERPRINT_SIZE];
    nk_buf_init(&out, HS_JSON_MAX);
    nk_buf_init(&line, HS_FORMAT_MAX);
    int rc = write_public(h, &line);
    size_t n = nk_buf_len(&line);
    hs_client_fingerprint(print, h->key.pub);
    nk_json_init(&j, &out, true);
    nk_json_object(&j);
    nk_json_kv_str(&j, "address", h->address_text);
    nk_json_kv_str(&j, "fingerprint", print);
    nk_json_key(&j, "public");
    nk_json_strn(&j, nk_buf_ptr(&line), n > 0 && nk_buf_ptr(&line)[n - 1] == '\n' ? n - 1 : n);
    nk_json_kv_bool(&j, "new", made);
    nk_json_kv_str(&j, "keystore", hs_store_name(h->store.kind));
    nk_json_kv_str(&j, "file", path);
    nk_json_kv_str(&j, "public_file", to_stdout(h) ? NULL : h->output);
    nk_json_kv_str(&j, "replaced", kept && *kept ? kept : NULL);
    nk_json_close(&j);
    nk_buf_clear(&line);
    if (rc < 0) {
        nk_buf_clear(&out);
        return rc;
    }
    return nk_cli_put_json(&j, &h->ctx->diag);
}

int hsc_report(struct hsc *h, bool made, const char *kept)
{
    char path[NK_PATH_MAX], print[HS_FINGERPRINT_SIZE];
    if (!*h->name || nk_path_join(path, sizeof(path), h->store.place.path, h->name) < 0) {
        snprintf(path, sizeof(path), "%s", h->store.place.path); /* --dry-run has no file */
    }
    if (h->ctx->globals->json) {
        return report_json(h, made, kept, path);
    }
    if (to_stdout(h)) {
        return 0;
    }
    hs_client_fingerprint(print, h->key.pub);
    printf("service      %s\n", h->address_text);
    printf("fingerprint  %s\n", print);
    printf("private      %s%s\n", path, made ? "" : " (was there)");
    printf("public       %s (for the service's owner)\n", h->output);
    if (kept && *kept) {
        printf("replaced     %s\n", kept);
    }
    return 0;
}

int hsc_end(struct hsc *h, int rc)
{
    hs_client_wipe(&h->key);
    hs_store_close(&h->store);
    return rc;
}
