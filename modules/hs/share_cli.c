/* SPDX-License-Identifier: MIT */
#include "hs/share_cli.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "hs/invite.h"
#include "hs/qr.h"

enum {
    PICTURE_MAX = 1 << 20,
    ALWAYS = 1, /* of --color */
    NEVER = 2
};

int hs_share_print(struct nk_cmd_ctx *ctx, const char *line, bool qr, bool capitals)
{
    char text[HS_INVITE_MAX];
    struct nk_buf out;
    int color = ctx->globals->color;
    nk_buf_init(&out, PICTURE_MAX);
    snprintf(text, sizeof(text), "%s", line);
    for (char *c = text; capitals && *c; c++) {
        *c = (char)toupper((unsigned char)*c);
    }
    int rc = nk_buf_printf(&out, "%s\n", line);
    if (rc < 0) {
        nk_fail_sys(&ctx->diag, rc, "cannot write the line");
    } else if (qr) {
        bool drawn = color == ALWAYS || (color != NEVER && isatty(STDOUT_FILENO));
        rc = hs_qr_print(text, drawn, &out, &ctx->diag);
    }
    if (rc == 0) {
        nk_cli_print(&out);
    }
    nk_buf_clear(&out);
    return rc;
}
