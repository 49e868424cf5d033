/* SPDX-License-Identifier: MIT */
/* What the `netkit cert` commands share. */
#ifndef NK_TLS_CERT_CLI_H
#define NK_TLS_CERT_CLI_H

#include "base/cmd.h"
#include "base/json.h"
#include "tls/tls.h"

#define CERT_KEY_FILE "key.pem"
#define CERT_CERT_FILE "certificate.pem"

#define CERT_BACKDATE 300 /* seconds before now: clocks of peers may be a little slow */
#define CERT_DAY INT64_C(86400)

/* cert_ca_dir - where the authority is kept when nothing else is said: ca in the state directory.
 * out holds NK_PATH_MAX bytes. 0 or NK_ETOOBIG. */
int cert_ca_dir(struct nk_cmd_ctx *ctx, char *out);

/* cert_read - a certificate file into out (initialised here; clear it in any case). */
int cert_read(const char *path, struct nk_buf *out, struct nk_diag *diag);

/* cert_describe_file - the first certificate of a file. */
int cert_describe_file(const char *path, struct tls_cert_info *out, struct nk_diag *diag);

/* cert_write_pair - dir/key.pem (0600) and dir/certificate.pem (0644), both or neither; dir is
 * made. Without force an existing file of either name is -EEXIST. */
int cert_write_pair(const char *dir, bool force, const struct nk_secret *key,
                    const struct nk_buf *cert, struct nk_diag *diag);

/* cert_print - in words on stdout. cert_json - as the members of an open JSON object. */
void cert_print(const char *path, const struct tls_cert_info *info);
void cert_json(struct nk_json *j, const char *path, const struct tls_cert_info *info);

/* cert_tell - what a certificate that was just made and stands in path says, in words or, with dir
 * when it is not NULL, as JSON. cert_report - the same for one that was made with its key in dir,
 * which is audited. */
int cert_tell(struct nk_cmd_ctx *ctx, const char *dir, const char *path, const struct nk_buf *cert);
int cert_report(struct nk_cmd_ctx *ctx, const char *dir, const struct nk_buf *cert);

/* cert_warn - log what is doubtful about a certificate at this time. */
void cert_warn(struct nk_cmd_ctx *ctx, const char *path, const struct tls_cert_info *info);

/* cert_ask - one question on the terminal: *value (freed and replaced) keeps its default when the
 * answer is empty; "-" empties it. 0, NK_EUSAGE without a terminal, -ENOMEM. */
int cert_ask(const char *question, char **value, struct nk_diag *diag);

#endif
