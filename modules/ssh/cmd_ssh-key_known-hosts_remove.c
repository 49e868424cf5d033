/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ssh/known_cli.h"

static const struct nk_opt opts[] = {SSH_KNOWN_FILE_ROW, SSH_KNOWN_PORT_ROW, NK_OPT_END};

struct removal {
    const char *name, *file;
};

/* The line without the name: what is left of it goes to out. 1: it stays as it is. */
static int without(const struct removal *r, const struct ssh_known_line *l, struct nk_buf *out)
{
    struct ssh_str rest = l->hosts, one;
    const size_t before = nk_buf_len(out);
    bool named = false;
    int rc = 0;
    while (rc == 0 && ssh_names_next(&rest, &one)) {
        if (one.n == strlen(r->name) && strncasecmp((const char *)one.p, r->name, one.n) == 0) {
            named = true;
        } else {
            rc = nk_buf_len(out) > before ? nk_buf_u8(out, ',') : 0;
            rc = rc < 0 ? rc : nk_buf_put(out, one.p, one.n);
        }
    }
    if (rc == 0 && named && nk_buf_len(out) > before) {
        const uint8_t *end = l->hosts.p + l->hosts.n;
        rc = nk_buf_put(out, end, (size_t)(l->whole.p + l->whole.n - end));
        rc = rc < 0 ? rc : nk_buf_u8(out, '\n');
    } else if (!named) {
        out->len = before;
        fprintf(stderr, "%s:%u: a pattern includes the host; the line stays\n", r->file, l->number);
    }
    return rc < 0 ? rc : !named;
}

static int edit(void *arg, const struct ssh_known_line *l, struct nk_buf *out)
{
    const struct removal *r = arg;
    if (!l || !l->entry || l->marker != SSH_KNOWN_PLAIN || !ssh_known_matches(l->hosts, r->name)) {
        return l != NULL;
    }
    return ssh_known_hashed(l->hosts) ? 0 : without(r, l, out);
}

static int run(struct nk_cmd_ctx *ctx)
{
    char name[SSH_KNOWN_NAME_SIZE], file[NK_PATH_MAX];
    struct removal r = {name, file};
    int rc = ssh_known_cli_name(ctx, ctx->argv[0], name);
    rc = rc < 0 ? rc : ssh_known_cli_file(ctx, file);
    if (rc == 0) {
        rc = ssh_known_hosts_edit(file, ctx->globals->dry_run, edit, &r, &ctx->diag);
    }
    rc = rc == 0 ? nk_fail(&ctx->diag, -ENOENT, "%s has no key of %s", file, name) : rc;
    return ssh_known_cli_done(ctx, file, rc);
}

extern const struct nk_cmd nk_cmd_ssh_key_known_hosts_remove;
const struct nk_cmd nk_cmd_ssh_key_known_hosts_remove = {
    .synopsis = "[-f FILE] [-p PORT] HOST",
    .summary = "Forget the keys of a host",
    .opts = opts,
    .conf_size = sizeof(struct ssh_known_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
