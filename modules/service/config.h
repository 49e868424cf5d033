/* SPDX-License-Identifier: MIT */
/* config - what the `netkit config` verbs share. */
#ifndef NK_SERVICE_CONFIG_H
#define NK_SERVICE_CONFIG_H

#include "base/cli.h"

#define SERVICE_CONFIG_MAX (4 * 1024 * 1024) /* bound of any generated text */

/* service_config_load - the configuration as any command would get it, endpoint strings checked, no
 * side effects. As nk_conf_load: *out is set unless memory is missing. */
int service_config_load(struct nk_cmd_ctx *ctx, struct nk_conf **out);

/* service_section_title - "relay" or "group NAME" into out; name NULL writes the placeholder. */
char *service_section_title(char *out, size_t max, const struct nk_section *s, const char *name);

#endif
