/* SPDX-License-Identifier: MIT */
/* client_dial - inside ssh: the way to a host, and who its jump host is. */
#ifndef SSH_CLIENT_DIAL_H
#define SSH_CLIENT_DIAL_H

#include "ssh/config.h"

struct nk_app;
struct nk_stream;
struct nk_strlist;

/*
 * ssh_client_dial - a stream to config's host: TCP, or its ProxyCommand. The command is split into
 * words and started without a shell; one that needs a shell is refused (NK_ECONFIG). Whoever gets
 * the stream sets its owner. Errors of nk_dial. env ("NAME=VALUE") and cwd are for that program;
 * both may be NULL.
 */
int ssh_client_dial(struct nk_app *app, const struct ssh_config *config,
                    const struct nk_strlist *env, const char *cwd, struct nk_stream **out,
                    struct nk_diag *diag);

/*
 * ssh_jump_config - the settings of the last host in a list of jump hosts
 * ("[user@]host[:port],.."), with those before it as its own jump hosts. file: as -F. 0 with *out,
 * NK_EUSAGE, errors of ssh_config_load.
 */
int ssh_jump_config(const char *list, const char *file, struct nk_log *log, struct ssh_config **out,
                    struct nk_diag *diag);

/* ssh_put_encoded - append a part of an endpoint string; what means something there is encoded. 0,
 * -ENOMEM, NK_ETOOBIG. */
int ssh_put_encoded(struct nk_buf *b, const char *s);

#endif
