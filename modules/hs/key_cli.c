/* SPDX-License-Identifier: MIT */
#include "hs/key_cli.h"

#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/onion.h"

#define FORM_NAME(constant, name, holds, extension, summary) name,
const char *const hs_from_names[] = {"auto", HS_FORMAT_LIST(FORM_NAME) NULL};
#undef FORM_NAME
const char *const hs_kind_names[] = {"any", "identity", "client", NULL};

int hs_cli_read(struct nk_cmd_ctx *ctx, const struct hs_in_conf *in, const char *path,
                struct hs_items *out)
{
    const struct hs_query q = {
        .path = path,
        .hints = {.format = (enum hs_format)(in->from - 1),
                  .kind = (enum hs_kind)in->kind,
                  .address = in->address},
        .service = in->service,
    };
    size_t before = out->n;
    int rc = hs_items_read(out, &q, &ctx->diag);
    if (rc == 0 && out->v[before].item.guessed) {
        nk_warn(ctx->log, "hs",
                "%s: taken as a client's private key; --from base32-public if it is a public one",
                path);
    }
    return rc;
}

bool hs_cli_address(char out[NK_ONION_SIZE], const struct hs_item *item)
{
    if (item->kind == HS_CLIENT && !item->has_address) {
        return false;
    }
    nk_onion_format(out, item->kind == HS_CLIENT ? item->address : item->identity.pub);
    return true;
}

static int to_stdout(struct nk_cmd_ctx *ctx, const struct nk_buf *b)
{
    const uint8_t *p = nk_buf_ptr(b);
    size_t n = nk_buf_len(b);
    bool terminal = isatty(STDOUT_FILENO) != 0;
    if (terminal && (memchr(p, 0, n) || !nk_utf8_valid(p, n))) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "the form is binary: write it to a file");
    }
    nk_cli_print(b);
    if (terminal && n && p[n - 1] != '\n') {
        struct nk_buf newline;
        nk_buf_init(&newline, 1);
        int rc = nk_buf_puts(&newline, "\n");
        nk_cli_print(&newline);
        nk_buf_clear(&newline);
        return rc;
    }
    return 0;
}

int hs_cli_write(struct nk_cmd_ctx *ctx, const char *path, bool secret, const struct nk_buf *b)
{
    if (strcmp(path, "-") == 0) {
        return to_stdout(ctx, b);
    }
    if (access(path, F_OK) == 0) { /* nk_file_write makes sure of it; this is for --dry-run */
        return nk_fail(&ctx->diag, -EEXIST, "%s exists, and stays as it is", path);
    }
    if (ctx->globals->dry_run) {
        return 0;
    }
    return nk_file_write(path, secret ? NK_FILE_SECRET : NK_FILE_PUBLIC, nk_buf_ptr(b),
                         nk_buf_len(b), &ctx->diag);
}
