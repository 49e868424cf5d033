/* SPDX-License-Identifier: MIT */
#include "tor/section.h"

#define IDLE_MAX (INT64_C(24) * 3600 * 1000)
#define ROW(field) .offset = NK_FIELD(struct tor_section_conf, field)

static const struct nk_opt rows[] = {
    {.name = "instance",
     .type = NK_OPT_ENUM,
     ROW(instance),
     .arg = "WHICH",
     .def = "auto",
     .choices = tor_kind_names,
     .help = "system: one that runs; global: the user's own, which netkit starts and shares; "
             "private: one for this process; auto: system, else global"},
    {.name = "control",
     .type = NK_OPT_STRING,
     ROW(access.control),
     .arg = "ADDR",
     .help = "Control port of the running one: HOST:PORT, PORT, a path or an endpoint"},
    {.name = "cookie-file",
     .type = NK_OPT_PATH,
     ROW(access.cookie_file),
     .arg = "FILE",
     .flags = NK_OPT_MAY_MISS,
     .help = "Its authentication cookie, where it is not at the path that tor names"},
    {.name = "password-file",
     .type = NK_OPT_PATH,
     ROW(access.password_file),
     .arg = "FILE",
     .help = "The password of the control port is the line in this file"},
    {.name = "data-dir",
     .type = NK_OPT_PATH,
     ROW(data_dir),
     .arg = "DIR",
     .flags = NK_OPT_MAY_MISS,
     .help = "Data directory of a private one; default: a temporary one"},
    {.name = "socks",
     .type = NK_OPT_STRING,
     ROW(socks),
     .arg = "auto|PORT|0|unix[:PATH]",
     .def = "auto",
     .help =
         "Where one of netkit's own offers SOCKS; auto: a free port, for the global one a socket"},
    {.name = "tor-binary",
     .type = NK_OPT_STRING,
     ROW(binary),
     .arg = "FILE",
     .def = "tor",
     .help = "The program for one of netkit's own"},
    {.name = "torrc",
     .type = NK_OPT_STRING,
     ROW(torrc),
     .arg = "LINE",
     .flags = NK_OPT_REPEAT,
     .help = "A further line of the configuration of one of netkit's own"},
    {.name = "user",
     .type = NK_OPT_STRING,
     ROW(user),
     .arg = "USER",
     .help = "Who one of netkit's own runs as, when root starts it"},
    {.name = "seed",
     .type = NK_OPT_PATH,
     ROW(seed),
     .arg = "DIR",
     .flags = NK_OPT_MAY_MISS,
     .help = "Data directory of another tor, whose knowledge of the network is copied"},
    {.name = "idle",
     .type = NK_OPT_DURATION,
     ROW(idle_ms),
     .arg = "TIME",
     .def = "1m",
     .min = 0,
     .max = IDLE_MAX,
     .help = "How long the global one goes on when nobody uses it any more"},
    NK_OPT_END};

const struct nk_section tor_section = {
    .name = "tor",
    .summary = "The tor that services use: a running one, or one that netkit starts",
    .opts = rows,
    .conf_size = sizeof(struct tor_section_conf),
};

void tor_section_launch(const struct tor_section_conf *conf, struct tor_launch_conf *out)
{
    *out = (struct tor_launch_conf){.binary = conf->binary,
                                    .data_dir = conf->data_dir,
                                    .socks = conf->socks,
                                    .user = conf->user,
                                    .torrc = &conf->torrc,
                                    .seed = conf->seed};
}

void tor_section_instance(const struct nk_conf *ini, struct tor_instance_conf *out,
                          struct tor_launch_conf *launch)
{
    const struct tor_section_conf *conf = ini ? nk_conf_get(ini, tor_section.name, NULL) : NULL;
    *out = (struct tor_instance_conf){.kind = TOR_AUTO};
    if (conf) {
        tor_section_launch(conf, launch);
        out->kind = (enum tor_kind)conf->instance;
        out->access = conf->access;
        out->launch = launch;
    }
}
