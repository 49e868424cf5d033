/* SPDX-License-Identifier: MIT */
/* section - [tor] of netkit.ini: which tor the services of netkit use, and how one of netkit's own
 * is started. */
#ifndef TOR_SECTION_H
#define TOR_SECTION_H

#include <stdint.h>

#include "base/conf.h"
#include "base/opt.h"
#include "tor/access.h"
#include "tor/instance.h"
#include "tor/launch.h"

struct tor_section_conf {
    int instance; /* enum tor_kind */
    struct tor_access access;
    char *data_dir, *socks, *binary, *user, *seed;
    struct nk_strlist torrc;
    uint64_t idle_ms; /* how long the global one outlives its last user */
};

extern const struct nk_section tor_section;

/* What `netkit run` makes of it: the instance is held, ready at 100 %. */
struct nk_service_type;
extern const struct nk_service_type tor_service;

/* tor_section_launch - the part of it that is about a tor of netkit's own. Borrows from conf. */
void tor_section_launch(const struct tor_section_conf *conf, struct tor_launch_conf *out);

/* tor_section_instance - the instance that [tor] means, into out; the launch part into *launch,
 * which out points to. ini may be NULL, and have no such section: AUTO. Borrows from ini. */
void tor_section_instance(const struct nk_conf *ini, struct tor_instance_conf *out,
                          struct tor_launch_conf *launch);

#endif
