/* SPDX-License-Identifier: MIT */
#include "hs/backup_cli.h"

#include <stdio.h>

#include "base/cli.h"
#include "base/onion.h"
#include "hs/key_cli.h"

void hs_backup_rows_begin(struct hs_backup_rows *r, struct nk_cmd_ctx *ctx)
{
    r->ctx = ctx;
    nk_buf_init(&r->out, 4 * HS_BACKUP_MAX);
    nk_json_init(&r->j, &r->out, true);
    nk_json_array(&r->j);
}

bool hs_backup_row(struct hs_backup_rows *r, const struct hs_backup_service *s)
{
    char address[NK_ONION_SIZE];
    nk_onion_format(address, s->identity.pub);
    if (r->ctx->globals->json) {
        nk_json_object(&r->j);
        nk_json_kv_str(&r->j, "name", s->name);
        nk_json_kv_str(&r->j, "address", address);
        return true;
    }
    printf("%s  %s  %zu client(s)", address, s->name, s->nclients);
    return false;
}

int hs_backup_rows_end(struct hs_backup_rows *r)
{
    nk_json_close(&r->j);
    if (r->ctx->globals->json) {
        return nk_cli_put_json(&r->j, &r->ctx->diag);
    }
    nk_buf_clear(&r->out);
    return 0;
}
