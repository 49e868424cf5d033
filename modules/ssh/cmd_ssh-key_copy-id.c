/* SPDX-License-Identifier: MIT */
/* netkit ssh-key copy-id: log in there with this key from now on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/file.h"
#include "core/app.h"
#include "core/signal.h"
#include "core/timer.h"
#include "ssh/config.h"
#include "ssh/copy_id.h"
#include "ssh/keyfile.h"
#include "ssh/pubfile.h"
#include "ssh/sftp_link.h"

enum { OUTPUT_MAX = 1024 * 1024 };

struct copy_conf {
    struct sftp_link_conf link;
};

/* clang-format off */
static const struct nk_opt opts[] = {
    {.name = "port", .short_name = 'p', .type = NK_OPT_INT, .arg = "PORT", .max = UINT16_MAX,
     .offset = NK_FIELD(struct copy_conf, link.port), .flags = NK_OPT_CLI_ONLY,
     .help = "Port of HOST"},
    {.name = "identity", .short_name = 'i', .type = NK_OPT_STRING, .arg = "KEY",
     .offset = NK_FIELD(struct copy_conf, link.dest.identities),
     .flags = NK_OPT_CLI_ONLY | NK_OPT_REPEAT,
     .help = "The key that is to be there: KEY.pub, or KEY where that is a public key"},
    {.name = "jump", .short_name = 'J', .type = NK_OPT_STRING, .arg = "HOST,..",
     .offset = NK_FIELD(struct copy_conf, link.dest.jump), .flags = NK_OPT_CLI_ONLY,
     .help = "Through these hosts, the first one first"},
    {.name = "option", .short_name = 'o', .type = NK_OPT_STRING, .arg = "KEYWORD=VALUE",
     .offset = NK_FIELD(struct copy_conf, link.dest.options),
     .flags = NK_OPT_CLI_ONLY | NK_OPT_REPEAT,
     .help = "A setting of ssh_config that comes before all files"},
    {.name = "ssh-config", .short_name = 'F', .type = NK_OPT_PATH, .arg = "FILE",
     .offset = NK_FIELD(struct copy_conf, link.dest.file), .choices = ssh_dest_no_file,
     .flags = NK_OPT_CLI_ONLY,
     .help = "This ssh_config file instead of the user's and the system's; none: no file"},
    {.name = "fingerprint", .type = NK_OPT_STRING, .arg = "SHA256:..",
     .offset = NK_FIELD(struct copy_conf, link.dest.pins), .flags = NK_OPT_CLI_ONLY | NK_OPT_REPEAT,
     .help = "The host's key is the one with this fingerprint (or MD5:..), whatever known_hosts "
             "says"},
    {.name = "password-file", .type = NK_OPT_PATH, .arg = "FILE",
     .offset = NK_FIELD(struct copy_conf, link.dest.password_file), .flags = NK_OPT_CLI_ONLY,
     .help = "The password is in this file"},
    NK_OPT_END};
/* clang-format on */

struct work {
    struct nk_cmd_ctx *ctx;
    struct nk_app *app;
    struct sftp_link link;
    struct nk_timer timeout;
    struct ssh_copy_id *copy;
    struct ssh_copy_key *keys;
    const char **names;
    size_t n;
};

/* --- the keys --------------------------------------------------------------------------------- */

/* NAME.pub, or NAME itself; never a private key. */
static int read_key(struct work *w, const char *name, struct ssh_copy_key *k)
{
    char path[NK_PATH_MAX];
    struct ssh_pubfile f;
    struct ssh_public pub;
    struct nk_diag *diag = &w->ctx->diag;
    (void)snprintf(path, sizeof(path), "%s.pub", name);
    if (ssh_keyfile_public(path, &f, diag) < 0) {
        int rc = ssh_keyfile_public(name, &f, diag);
        if (rc < 0) {
            return rc;
        }
    }
    const struct ssh_str blob = {nk_buf_ptr(&f.blob), nk_buf_len(&f.blob)};
    int rc = ssh_public_parse(blob, 1, &pub, diag);
    if (rc == 0 && pub.is_cert) {
        rc =
            nk_fail(diag, NK_EFORMAT, "%s is a certificate, which does not need to be there", name);
    }
    rc = rc < 0 ? rc : nk_buf_put(&k->blob, blob.p, blob.n);
    rc = rc < 0 ? rc : ssh_public_line(blob, f.comment, &k->line);
    ssh_pubfile_clear(&f);
    if (rc < 0 && !diag->code) {
        nk_fail_sys(diag, rc, "%s", name);
    }
    return rc;
}

/* Those of -i, or of the configuration where there is such a file. */
static int read_keys(struct work *w, const struct nk_strlist *given)
{
    const struct nk_strlist *l = given->n ? given : &w->link.config->identity_files;
    int rc = 0;
    w->keys = calloc(l->n + 1, sizeof(*w->keys));
    w->names = calloc(l->n + 1, sizeof(*w->names));
    if (!w->keys || !w->names) {
        return nk_fail_sys(&w->ctx->diag, -ENOMEM, "the keys");
    }
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        struct ssh_copy_key *k = &w->keys[w->n];
        nk_buf_init(&k->blob, SSH_BLOB_MAX);
        nk_buf_init(&k->line, 2 * SSH_KEY_FILE_MAX);
        w->names[w->n] = l->v[i];
        rc = read_key(w, l->v[i], k);
        w->n += rc == 0;
        rc = rc == -ENOENT && !given->n ? 0 : rc;
    }
    return rc < 0 ? rc
           : w->n > 0
               ? 0
               : nk_fail(&w->ctx->diag, NK_EUSAGE, "which key? There is none in ~/.ssh; -i FILE");
}

/* --- what happens ----------------------------------------------------------------------------- */

static void stop(void *owner, int rc, const struct nk_diag *why)
{
    struct work *w = owner;
    if (rc < 0) {
        w->ctx->diag = *why;
    }
    nk_app_stop(w->app, rc);
}

static int shell(void *owner, const char *command, struct nk_stream **out, struct nk_diag *diag)
{
    struct work *w = owner;
    nk_debug(w->ctx->log, "ssh", "there is no SFTP: the shell there is to do it");
    return sftp_link_exec(&w->link, command, out, diag);
}

static void on_ready(void *owner, struct nk_stream *take_stream)
{
    struct work *w = owner;
    const struct ssh_copy_id_conf conf = {.keys = w->keys,
                                          .n = w->n,
                                          .dry_run = w->ctx->globals->dry_run,
                                          .shell = shell,
                                          .done = stop,
                                          .owner = w};
    int rc = ssh_copy_id_start(&w->copy, &conf, take_stream);
    if (rc < 0) {
        struct nk_diag why;
        nk_fail_sys(&why, rc, "cannot begin");
        stop(w, rc, &why);
    }
}

static void on_timeout(void *owner)
{
    struct work *w = owner;
    struct nk_diag why;
    stop(w, nk_fail(&why, -ETIMEDOUT, "not done within the time allowed"), &why);
}

static int report(struct work *w)
{
    const bool dry = w->ctx->globals->dry_run;
    struct nk_buf out;
    struct nk_json j;
    char print[SSH_FINGERPRINT_SIZE];
    int rc = 0;
    nk_buf_init(&out, OUTPUT_MAX);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_key(&j, "keys");
    nk_json_array(&j);
    if (!w->ctx->globals->json) {
        nk_buf_reset(&out);
    }
    for (size_t i = 0; rc == 0 && i < w->n; i++) {
        const struct ssh_copy_key *k = &w->keys[i];
        ssh_fingerprint_sha256((struct ssh_str){nk_buf_ptr(&k->blob), nk_buf_len(&k->blob)}, print);
        if (w->ctx->globals->json) {
            nk_json_object(&j);
            nk_json_kv_str(&j, "file", w->names[i]);
            nk_json_kv_str(&j, "fingerprint", print);
            nk_json_kv_bool(&j, "added", k->added && !dry);
            nk_json_kv_bool(&j, "missing", k->added && dry);
            nk_json_close(&j);
        } else {
            rc = nk_buf_printf(&out, "%s %s: %s\n", w->names[i], print,
                               !k->added ? "is there already"
                               : dry     ? "would be added"
                                         : "added");
        }
    }
    if (w->ctx->globals->json) {
        nk_json_close(&j);
        nk_json_close(&j);
        rc = nk_cli_put_json(&j, &w->ctx->diag);
    } else if (rc == 0) {
        nk_cli_print(&out);
    }
    nk_buf_clear(&out);
    return rc;
}

static int go(struct work *w)
{
    struct nk_cmd_ctx *ctx = w->ctx;
    const struct copy_conf *c = ctx->conf;
    const struct nk_app_conf app = {
        .log = ctx->log, .launcher = ctx->launcher, .state_dir = ctx->globals->state_dir};
    struct sftp_link_conf link = c->link;
    int rc = nk_app_new(&w->app, &app, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    link.dest.identities = (struct nk_strlist){0}; /* not those that we log in with */
    w->link = (struct sftp_link){
        .ctx = ctx, .app = w->app, .ready = on_ready, .failed = stop, .owner = w};
    nk_timer_init(&w->timeout, w->app, on_timeout, w);
    if (ctx->globals->timeout_ms > 0) {
        nk_timer_start(&w->timeout, ctx->globals->timeout_ms);
    }
    rc = nk_signal_oneshot_guard(w->app);
    rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "signals")
                : sftp_link_open(&w->link, &link, ctx->argv[0], &ctx->diag);
    rc = rc < 0 ? rc : read_keys(w, &c->link.dest.identities);
    return rc < 0 ? rc : nk_app_run(w->app);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct work w = {.ctx = ctx};
    int rc = go(&w);
    rc = rc < 0 ? rc : report(&w);
    if (w.app) {
        nk_timer_stop(&w.timeout);
        ssh_copy_id_free(w.copy);
        sftp_link_close(&w.link);
        nk_app_free(w.app);
    }
    for (size_t i = 0; w.keys && i <= w.n; i++) {
        nk_buf_clear(&w.keys[i].blob);
        nk_buf_clear(&w.keys[i].line);
    }
    free(w.keys);
    free(w.names);
    return rc;
}

extern const struct nk_cmd nk_cmd_ssh_key_copy_id;
const struct nk_cmd nk_cmd_ssh_key_copy_id = {
    .synopsis = "[-i KEY].. [-p PORT] [-J HOST,..] [-o OPTION].. [USER@]HOST [--dry-run] [--json]",
    .summary = "Add public keys to authorized_keys of a host",
    .opts = opts,
    .conf_size = sizeof(struct copy_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_EXEC | NK_CMD_NO_CONFIG,
    .run = run,
};
