/* SPDX-License-Identifier: MIT */
/* auth_cli - what `netkit hs auth ..` (tor) and `netkit hss auth-clients ..` (arti) share. */
#ifndef NK_HS_AUTH_CLI_H
#define NK_HS_AUTH_CLI_H

#include "base/cmd.h"
#include "hs/auth.h"
#include "hs/slug.h"

/* Which service, and what to do with its clients. */
struct hs_auth_conf {
    char *dir;                                          /* tor */
    char *service, *arti_state, *key_dir, *arti_config; /* arti */
    char *nickname;
    bool allow_public;
    int enabled; /* enum hs_auth_setting */
};

/* What a service's configuration says of restricting it. */
enum hs_auth_setting { HS_AUTH_UNKNOWN, HS_AUTH_ENABLED, HS_AUTH_NOT_ENABLED };

/* Rows of list, import, the commands that take a client away, and the others; for tor and arti. */
extern const struct nk_opt hs_auth_ctor_rows[], hs_auth_ctor_list_rows[],
    hs_auth_ctor_import_rows[], hs_auth_ctor_take_rows[];
extern const struct nk_opt hs_auth_arti_rows[], hs_auth_arti_list_rows[],
    hs_auth_arti_import_rows[];

/* The runs of the commands; which of the two they are shows in the rows that were given. */
int hs_auth_cmd_list(struct nk_cmd_ctx *ctx);
int hs_auth_cmd_import(struct nk_cmd_ctx *ctx);
int hs_auth_cmd_enable(struct nk_cmd_ctx *ctx);
int hs_auth_cmd_disable(struct nk_cmd_ctx *ctx);
int hs_auth_cmd_remove(struct nk_cmd_ctx *ctx);
int hs_auth_cmd_path(struct nk_cmd_ctx *ctx);

/* hs_auth_cmd_open - the service that the configuration names. NK_EUSAGE when it names none. */
int hs_auth_cmd_open(struct nk_cmd_ctx *ctx, struct hs_auth *a, enum hs_auth_intent intent);

/* hs_log_findings - a line of the log for each. */
void hs_log_findings(struct nk_log *log, const struct hs_findings *findings);

/*
 * hs_auth_load_public - a client's public key from a file (any form that holds one), from a folder
 * with such files (arti's form wins over tor's), from "-", or from the line itself; what a QR code
 * gives in capitals, too. A private key is refused: it has to stay with the client. When the source
 * is NAME.auth, name is set to NAME, else to "". Errors of nk_file_read and hs_format_read_as.
 */
int hs_auth_load_public(const char *from, uint8_t pub[HS_PUBLIC_KEY], char name[HS_SLUG_MAX + 1],
                        struct nk_log *log, struct nk_diag *diag);

#endif
