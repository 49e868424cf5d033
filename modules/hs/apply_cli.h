/* SPDX-License-Identifier: MIT */
/* apply_cli - what `netkit hs apply` and `netkit hs watch` share. */
#ifndef NK_HS_APPLY_CLI_H
#define NK_HS_APPLY_CLI_H

#include "base/cmd.h"
#include "hs/preflight.h"
#include "hs/tor_process.h"

/* Which tor, and what becomes of services without clients; the rows are HS_APPLY_ROWS. */
struct hs_apply_conf {
    int64_t pid;
    char *pid_file;
    bool restrict_it, allow_public;
};

/* HS_APPLY_ROWS - its rows, for a configuration `conf` that has it as `member`. */
#define HS_APPLY_ROW(conf, member, field) .offset = NK_FIELD(conf, member.field)
#define HS_APPLY_ROWS(conf, member)                                                                \
    {.name = "pid",                                                                                \
     .type = NK_OPT_INT,                                                                           \
     HS_APPLY_ROW(conf, member, pid),                                                              \
     .arg = "N",                                                                                   \
     .min = 0,                                                                                     \
     .max = INT32_MAX,                                                                             \
     .help = "tor's process"},                                                                     \
        {.name = "pid-file",                                                                       \
         .type = NK_OPT_PATH,                                                                      \
         HS_APPLY_ROW(conf, member, pid_file),                                                     \
         .arg = "FILE",                                                                            \
         .flags = NK_OPT_MAY_MISS,                                                                 \
         .help = "The PidFile of its torrc instead"},                                              \
        {.name = "restrict",                                                                       \
         .type = NK_OPT_FLAG,                                                                      \
         HS_APPLY_ROW(conf, member, restrict_it),                                                  \
         .help = "A service that has no client is closed to everybody, even if it never had one: " \
                 "its lock is put there"},                                                         \
    {                                                                                              \
        .name = "allow-public", .type = NK_OPT_FLAG, HS_APPLY_ROW(conf, member, allow_public),     \
        .help = "A service that has no enabled client any more may be open to everybody"           \
    }

/* hs_apply_check - NK_EUSAGE when the two switches contradict each other. */
int hs_apply_check(const struct hs_apply_conf *c, struct nk_diag *diag);

/* hs_apply_empty - what the switches say of a service without clients; was_restricted: it was
 * closed until now, and stays so. */
enum hs_empty hs_apply_empty(const struct hs_apply_conf *c, bool was_restricted);

/* The directories, all of one owner. */
struct hs_targets {
    struct hs_target *v;
    size_t n;
    uid_t uid;
};

/* hs_targets_init - of the words; NK_EUSAGE when owners differ. Clear it in any case. */
int hs_targets_init(struct hs_targets *l, char *const *paths, size_t n, struct nk_diag *diag);
void hs_targets_clear(struct hs_targets *l);

/* hs_sight_json - what tor sees of a directory, as an object. */
void hs_sight_json(struct nk_json *j, const struct hs_target *t, const struct hs_sight *sight);

#endif
