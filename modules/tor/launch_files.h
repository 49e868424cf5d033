/* SPDX-License-Identifier: MIT */
/* launch_files - the directories and files of a tor of ours, and what it is seeded with; for
 * launch.c. These calls block on disk. */
#ifndef TOR_LAUNCH_FILES_H
#define TOR_LAUNCH_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/file.h"
#include "tor/launch.h"

#define TOR_SOCKET_PATH 108 /* of sockaddr_un, terminator included */

struct tor_launch_files {
    char dir[TOR_SOCKET_PATH];
    char control[TOR_SOCKET_PATH], socks[TOR_SOCKET_PATH];
    char torrc[NK_PATH_MAX], defaults[NK_PATH_MAX], data[NK_PATH_MAX];
    char next[NK_PATH_MAX]; /* takes torrc's place when the network is enabled */
    bool become;            /* tor runs as uid and gid */
    uid_t uid;
    gid_t gid;
    bool temporary; /* dir is ours to remove */
    int lock;       /* with temporary: what holds it (scratch.h) */
    bool fresh;     /* data was made now */
};

/* tor_launch_files_make - directories, then torrc and an empty file of defaults. Nothing is left on
 * failure, but for a data directory that conf names. Errors of tor_launch_start. */
int tor_launch_files_make(struct tor_launch_files *f, const struct tor_launch_conf *conf,
                          const char *state_dir, struct nk_diag *diag);

/* tor_launch_files_enabled - from now on a reload reads that the network is enabled. 0 or -errno.
 */
int tor_launch_files_enabled(const struct tor_launch_files *f);

/* tor_launch_files_remove - the temporary directory, if there is one. */
void tor_launch_files_remove(const struct tor_launch_files *f);

/* tor_launch_files_close - it is held no more, and not ours to remove. */
void tor_launch_files_close(struct tor_launch_files *f);

/* tor_launch_seed - copy what the tor of data directory `from` knows of the network (certificates,
 * consensus, microdescriptors) to `to`, unless that has a newer consensus. On any thread. 1 when
 * something was copied, 0, or -errno: then `to` is still good to start with. */
int tor_launch_seed(const char *from, const char *to);

#endif
