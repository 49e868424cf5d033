/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <string.h>

#include "base/secret.h"
#include "ssh/known_cli.h"

static const struct nk_opt opts[] = {SSH_KNOWN_FILE_ROW, NK_OPT_END};

static bool is_pattern(struct ssh_str hosts)
{
    for (size_t i = 0; i < hosts.n; i++) {
        if (strchr("*?!", hosts.p[i])) {
            return true;
        }
    }
    return false;
}

/* A line for each name; hashed ones, patterns and markers are left as they are. */
static int edit(void *arg, const struct ssh_known_line *l, struct nk_buf *out)
{
    char hashed[SSH_KNOWN_HASHED_SIZE];
    uint8_t salt[SSH_KNOWN_SALT];
    struct ssh_str rest, one;
    int rc = 0;
    (void)arg;
    if (!l || !l->entry || l->marker != SSH_KNOWN_PLAIN || ssh_known_hashed(l->hosts) ||
        is_pattern(l->hosts)) {
        return l != NULL;
    }
    rest = l->hosts;
    while (rc == 0 && ssh_names_next(&rest, &one)) {
        char name[SSH_KNOWN_NAME_SIZE];
        if (one.n >= sizeof(name)) {
            return NK_EFORMAT;
        }
        for (size_t i = 0; i <= one.n; i++) {
            name[i] = i < one.n ? (char)tolower(one.p[i]) : '\0';
        }
        nk_random(salt, sizeof(salt));
        ssh_known_hash(hashed, name, salt);
        const uint8_t *end = l->hosts.p + l->hosts.n;
        rc = nk_buf_puts(out, hashed);
        rc = rc < 0 ? rc : nk_buf_put(out, end, (size_t)(l->whole.p + l->whole.n - end));
        rc = rc < 0 ? rc : nk_buf_u8(out, '\n');
    }
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    char file[NK_PATH_MAX];
    int rc = ssh_known_cli_file(ctx, file);
    if (rc == 0) {
        rc = ssh_known_hosts_edit(file, ctx->globals->dry_run, edit, NULL, &ctx->diag);
    }
    return ssh_known_cli_done(ctx, file, rc);
}

extern const struct nk_cmd nk_cmd_ssh_key_known_hosts_hash;
const struct nk_cmd nk_cmd_ssh_key_known_hosts_hash = {
    .synopsis = "[-f FILE]",
    .summary = "Hash the names of hosts in a known_hosts file",
    .opts = opts,
    .conf_size = sizeof(struct ssh_known_conf),
    .min_args = 0,
    .max_args = 0,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
