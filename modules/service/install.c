/* SPDX-License-Identifier: MIT */
#include "service/install.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "service/manpage.h"

#define PUBLIC_DIR 0755 /* man pages are for everybody, in spite of our umask */

/* Where each shell looks for the script. */
static const char *const completion_files[] = {"netkit", "_netkit", "netkit.fish"};

/* Makes path and its missing parents, readable by all. */
static int make_dirs(const char *path, struct nk_diag *diag)
{
    char part[NK_PATH_MAX];
    struct stat st;
    for (size_t n = 1; n <= strlen(path); n++) {
        if (path[n] != '/' && path[n] != '\0') {
            continue;
        }
        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        if (mkdir(part, PUBLIC_DIR) == 0) {
            if (chmod(part, PUBLIC_DIR) < 0) {
                return nk_fail_sys(diag, -errno, "%s", part);
            }
        } else if (stat(part, &st) < 0) {
            return nk_fail_sys(diag, -errno, "%s", part);
        }
    }
    return 0;
}

static int put_or_drop(struct links *l, const char *dir, const char *name, struct nk_buf *text,
                       int rc, bool remove)
{
    if (rc == 0 && remove) {
        links_drop_file(l, dir, name);
    } else if (rc == 0) {
        links_put_file(l, dir, name, nk_buf_ptr(text), nk_buf_len(text));
    }
    nk_buf_clear(text);
    return rc;
}

static int one_page(struct links *l, const char *dir, const struct nk_cmd_entry *entry, bool remove)
{
    char name[NK_CLI_MAX_NAME + 32];
    struct nk_buf text;
    int n =
        snprintf(name, sizeof(name), "netkit%s%s.1", entry ? "-" : "", entry ? entry->name : "");
    for (int i = 0; i < n; i++) {
        name[i] = name[i] == ' ' ? '-' : name[i];
    }
    nk_buf_init(&text, SERVICE_TEXT_MAX);
    return put_or_drop(l, dir, name, &text, service_man_page(&text, entry), remove);
}

/* DIR/man1/netkit.1, netkit-relay.1, ... */
static int man_pages(struct links *l, const char *man, bool remove, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX] = "";
    int rc = nk_path_join(dir, sizeof(dir), man, "man1");
    if (rc == 0 && !remove && !l->dry_run) {
        rc = make_dirs(dir, diag);
    }
    rc = rc < 0 ? rc : one_page(l, dir, NULL, remove);
    for (size_t i = 0; i < nk_cmd_count && rc == 0; i++) {
        if (!(nk_cmd_table[i].cmd->flags & NK_CMD_HIDDEN)) {
            rc = one_page(l, dir, &nk_cmd_table[i], remove);
        }
    }
    return rc;
}

static int completions(struct links *l, const char *dir, bool remove, struct nk_diag *diag)
{
    int rc = remove || l->dry_run ? 0 : make_dirs(dir, diag);
    for (int i = 0; i < 3 && rc == 0; i++) { /* one per shell */
        struct nk_buf text;
        nk_buf_init(&text, SERVICE_TEXT_MAX);
        rc = put_or_drop(l, dir, completion_files[i], &text, service_completion(&text, i), remove);
    }
    return rc;
}

int install_all(struct nk_cmd_ctx *ctx, const struct install_conf *conf, bool remove)
{
    struct links l = {.dir = ctx->argv[0],
                      .prefix = conf->prefix,
                      .relative = conf->relative,
                      .hard = conf->hard,
                      .force = conf->force,
                      .dry_run = ctx->globals->dry_run,
                      .quiet = ctx->globals->quiet,
                      .name = ctx->self->name};
    if (strchr(conf->prefix, '/')) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--prefix: a prefix contains no '/'");
    }
    int rc = links_init(&l, ctx->program, &ctx->diag);
    if (rc < 0) {
        nk_cli_report(l.name, &ctx->diag, ctx->globals->json);
        return NK_EXIT_FAILED;
    }
    for (size_t i = 0; links_default[i]; i++) {
        if (remove) {
            links_remove(&l, links_default[i]);
        } else if (links_exists(links_default[i])) {
            links_add(&l, links_default[i]);
        }
    }
    rc = conf->man ? man_pages(&l, conf->man, remove, &ctx->diag) : 0;
    if (rc == 0 && conf->completion) {
        rc = completions(&l, conf->completion, remove, &ctx->diag);
    }
    return rc < 0 ? rc : l.failed ? NK_EXIT_FAILED : 0;
}
