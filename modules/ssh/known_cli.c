/* SPDX-License-Identifier: MIT */
#include "ssh/known_cli.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/codec.h"
#include "base/json.h"
#include "ssh/pubkey.h"

#define OUTPUT_MAX (8 * SSH_KNOWN_FILE_MAX)

enum { PASSWD_MAX = 4096 /* bytes of an entry */ };

int ssh_known_cli_file(struct nk_cmd_ctx *ctx, char out[NK_PATH_MAX])
{
    const struct ssh_known_conf *c = ctx->conf;
    char entry[PASSWD_MAX];
    struct passwd user, *found = NULL;
    const char *home = getenv("HOME");
    if (!c->file && (!home || *home != '/')) {
        bool is = getpwuid_r(geteuid(), &user, entry, sizeof(entry), &found) == 0 && found;
        home = is ? user.pw_dir : "/";
    }
    int n = c->file ? snprintf(out, NK_PATH_MAX, "%s", c->file)
                    : snprintf(out, NK_PATH_MAX, "%s/.ssh/known_hosts", home);
    return n < NK_PATH_MAX ? 0 : nk_fail(&ctx->diag, NK_ETOOBIG, "the file's path is too long");
}

bool ssh_known_cli_host(const char *arg, uint16_t port, char host[SSH_KNOWN_HOST_MAX + 1],
                        uint16_t *out)
{
    uint64_t given = port;
    size_t n = strlen(arg);
    const char *end = *arg == '[' ? strchr(arg, ']') : NULL;
    if (end) {
        if (end[1] && (end[1] != ':' || nk_parse_u64(end + 2, &given) < 0)) {
            return false;
        }
        arg++;
        n = (size_t)(end - arg);
    }
    if (given < 1 || given > UINT16_MAX || n > SSH_KNOWN_HOST_MAX) {
        return false;
    }
    memcpy(host, arg, n);
    host[n] = '\0';
    *out = (uint16_t)given;
    return true;
}

int ssh_known_cli_name(struct nk_cmd_ctx *ctx, const char *arg, char out[SSH_KNOWN_NAME_SIZE])
{
    const struct ssh_known_conf *c = ctx->conf;
    char host[SSH_KNOWN_HOST_MAX + 1];
    uint16_t port;
    bool fine =
        ssh_known_cli_host(arg, (uint16_t)c->port, host, &port) && ssh_known_name(out, host, port);
    return fine ? 0 : nk_fail(&ctx->diag, NK_EUSAGE, "'%s' cannot be the name of a host", arg);
}

/* --- printing --------------------------------------------------------------------------------- */

static const char *const markers[] = {NULL, "cert-authority", "revoked"};

struct show {
    struct nk_buf *out;
    struct nk_json json;
    bool is_json;
    const char *file;
    unsigned found, broken;
};

static void put_json(struct nk_json *j, const struct ssh_known_line *l, const char *print)
{
    struct ssh_str rest = l->hosts, one;
    bool hashed = ssh_known_hashed(l->hosts);
    nk_json_object(j);
    nk_json_kv_u64(j, "line", l->number);
    nk_json_kv_str(j, "marker", markers[l->marker]);
    nk_json_key(j, "hosts");
    nk_json_array(j);
    while (!hashed && ssh_names_next(&rest, &one)) {
        nk_json_strn(j, one.p, one.n);
    }
    nk_json_close(j);
    nk_json_kv_bool(j, "hashed", hashed);
    nk_json_key(j, "type");
    nk_json_strn(j, l->type.p, l->type.n);
    nk_json_kv_str(j, "fingerprint", print);
    nk_json_key(j, "key");
    nk_json_strn(j, l->key.p, l->key.n);
    nk_json_key(j, "comment");
    nk_json_strn(j, l->comment.p, l->comment.n);
    nk_json_close(j);
}

static int put_text(const struct show *s, const struct ssh_known_line *l, const char *print)
{
    char hosts[512], type[64], comment[256];
    nk_escape(hosts, sizeof(hosts), l->hosts.p, l->hosts.n);
    nk_escape(type, sizeof(type), l->type.p, l->type.n);
    nk_escape(comment, sizeof(comment), l->comment.p, l->comment.n);
    return nk_buf_printf(s->out, "%u  %s%s%s%s  %s  %s%s%s\n", l->number, l->marker ? "@" : "",
                         l->marker ? markers[l->marker] : "", l->marker ? " " : "", hosts, type,
                         print, *comment ? "  " : "", comment);
}

static int show_line(struct show *s, const struct ssh_known_line *l)
{
    char print[SSH_FINGERPRINT_SIZE];
    struct nk_buf blob;
    const char *problem = l->problem;
    int rc = 0;
    if (!l->entry && !problem) {
        return 0;
    }
    nk_buf_init(&blob, SSH_BLOB_MAX);
    if (!problem) {
        rc = ssh_known_key(l, &blob);
        problem = rc == NK_EFORMAT || rc == NK_ETOOBIG ? "the key is malformed" : NULL;
        rc = problem ? 0 : rc;
    }
    if (problem) {
        fprintf(stderr, "%s:%u: %s\n", s->file, l->number, problem);
        s->broken++;
    } else if (rc == 0) {
        ssh_fingerprint_sha256((struct ssh_str){nk_buf_ptr(&blob), nk_buf_len(&blob)}, print);
        s->found++;
        if (s->is_json) {
            put_json(&s->json, l, print);
        } else {
            rc = put_text(s, l, print);
        }
    }
    nk_buf_clear(&blob);
    return rc;
}

static int show_all(struct show *s, const struct nk_buf *text, const char *name)
{
    struct ssh_known_reader r;
    struct ssh_known_line l;
    int rc = 0;
    ssh_known_read(&r, nk_buf_ptr(text), nk_buf_len(text));
    while (rc == 0 && ssh_known_next(&r, &l)) {
        if (!name || (l.entry && ssh_known_matches(l.hosts, name))) {
            rc = show_line(s, &l);
        }
    }
    return rc;
}

static int show_json(struct show *s, const struct nk_buf *text, const char *name)
{
    struct nk_json *j = &s->json;
    nk_json_init(j, s->out, true);
    s->is_json = true;
    nk_json_object(j);
    nk_json_kv_str(j, "file", s->file);
    nk_json_key(j, "entries");
    nk_json_array(j);
    int rc = show_all(s, text, name);
    nk_json_close(j);
    nk_json_close(j);
    rc = rc < 0 ? rc : nk_json_end(j);
    return rc < 0 ? rc : nk_buf_puts(s->out, "\n");
}

int ssh_known_cli_show(struct nk_cmd_ctx *ctx, const char *name)
{
    char file[NK_PATH_MAX];
    struct nk_buf text, out;
    struct show s = {.out = &out, .file = file};
    int rc = ssh_known_cli_file(ctx, file);
    nk_buf_init(&text, SSH_KNOWN_FILE_MAX);
    nk_buf_init(&out, OUTPUT_MAX);
    rc = rc < 0 ? rc : nk_file_read(file, 0, &text, &ctx->diag);
    if (rc == 0) {
        rc = ctx->globals->json ? show_json(&s, &text, name) : show_all(&s, &text, name);
        if (rc == 0) {
            nk_cli_print(&out);
            rc = s.broken || (name && !s.found) ? NK_EXIT_FAILED : 0;
        } else {
            nk_fail_sys(&ctx->diag, rc, "%s", file);
        }
    }
    nk_buf_clear(&text);
    nk_buf_clear(&out);
    return rc;
}

int ssh_known_cli_done(struct nk_cmd_ctx *ctx, const char *file, int changes)
{
    struct nk_buf out;
    struct nk_json j;
    int rc;
    if (changes < 0) {
        return changes;
    }
    nk_buf_init(&out, 8 * (size_t)NK_PATH_MAX);
    if (ctx->globals->json) {
        nk_json_init(&j, &out, false);
        nk_json_object(&j);
        nk_json_kv_str(&j, "file", file);
        nk_json_kv_i64(&j, "changes", changes);
        nk_json_close(&j);
        rc = nk_json_end(&j);
        rc = rc < 0 ? rc : nk_buf_puts(&out, "\n");
    } else {
        rc = nk_buf_printf(&out, "%s: %d line%s\n", file, changes, changes == 1 ? "" : "s");
    }
    if (rc == 0) {
        nk_cli_print(&out);
    }
    nk_buf_clear(&out);
    return rc < 0 ? nk_fail_sys(&ctx->diag, rc, "the output") : 0;
}
