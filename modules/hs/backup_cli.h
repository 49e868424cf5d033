/* SPDX-License-Identifier: MIT */
/* backup_cli - what `netkit hs backup` and `netkit hs restore` print alike: a row for a service. */
#ifndef NK_HS_BACKUP_CLI_H
#define NK_HS_BACKUP_CLI_H

#include "base/cmd.h"
#include "base/json.h"
#include "hs/backup.h"

#define HS_BACKUP_NICKNAME(conf, text)                                                             \
    {                                                                                              \
        .name = "nickname", .short_name = 'n', .type = NK_OPT_STRING,                              \
        .offset = NK_FIELD(conf, nickname), .arg = "NAME", .help = text                            \
    }

/* Rows that are being printed; out is j's. */
struct hs_backup_rows {
    struct nk_cmd_ctx *ctx;
    struct nk_buf out;
    struct nk_json j;
};

/* hs_backup_rows_begin - before the first row. */
void hs_backup_rows_begin(struct hs_backup_rows *r, struct nk_cmd_ctx *ctx);

/* hs_backup_row - with --json an object that is left open, to which the caller adds and which it
 * closes: true; else the beginning of a line, without its end: false. */
bool hs_backup_row(struct hs_backup_rows *r, const struct hs_backup_service *s);

/* hs_backup_rows_end - print the document; errors of hs_cli_put_json. */
int hs_backup_rows_end(struct hs_backup_rows *r);

#endif
