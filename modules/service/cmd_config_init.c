/* SPDX-License-Identifier: MIT */
/* netkit config init [SECTION]: the commented netkit.ini that this program was built with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_info.h"
#include "base/packed.h"
#include "service/config.h"

#define CHAPTER "## " /* begins the first line of every section's chapter: "## relay: ..." */

static const char *next_line(const char *p)
{
    p += strcspn(p, "\n");
    return p + (*p == '\n');
}

/* Print the chapter of one section; false when there is none. */
static bool print_chapter(const char *text, const char *section)
{
    size_t n = strlen(section);
    for (const char *p = text; *p; p = next_line(p)) {
        const char *name = p + strlen(CHAPTER);
        if (strncmp(p, CHAPTER, strlen(CHAPTER)) != 0 || strncmp(name, section, n) != 0 ||
            name[n] != ':') {
            continue;
        }
        const char *end = next_line(p);
        while (*end && strncmp(end, CHAPTER, strlen(CHAPTER)) != 0) {
            end = next_line(end);
        }
        while (end > p + 1 && end[-1] == '\n' && end[-2] == '\n') {
            end--;
        }
        fwrite(p, 1, (size_t)(end - p), stdout);
        return true;
    }
    return false;
}

static int run(struct nk_cmd_ctx *ctx)
{
    char *text;
    int rc = nk_unpack(nk_build_info.default_ini, &text);
    if (rc < 0) {
        return nk_fail_sys(&ctx->diag, rc, "cannot expand the text");
    }
    if (ctx->argc == 0) {
        fputs(text, stdout);
    } else if (!print_chapter(text, ctx->argv[0])) {
        rc = nk_fail(&ctx->diag, NK_EUSAGE, "netkit.ini has no section '%.60s'", ctx->argv[0]);
        nk_hint(&ctx->diag, "'netkit config keys' lists the sections");
    }
    free(text);
    return rc;
}

const struct nk_cmd nk_cmd_config_init = {
    .synopsis = "[SECTION]",
    .summary = "Print a commented netkit.ini to start from",
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
