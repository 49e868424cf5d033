/* SPDX-License-Identifier: MIT */
/*
 * new_client - `--new-client NAME[=FILE]`: a pair of keys made where the service is, for a client
 * whose owner wants a file to load. Whoever makes the pair has seen the private half, so `netkit
 * hsc generate-key` at the client is better where that is possible.
 */
#ifndef NK_ONION_NEW_CLIENT_H
#define NK_ONION_NEW_CLIENT_H

#include "base/file.h"
#include "onion/clients.h"

struct onion_new_client {
    char name[HS_SLUG_MAX + 1];
    char file[NK_PATH_MAX];
    struct hs_client key;
};

/* Zero it. */
struct onion_new_clients {
    struct onion_new_client *v;
    size_t n;
};

/*
 * onion_new_clients_make - a pair for each word, its public half into `into`, which becomes
 * restricted; nothing is written. FILE is NAME.auth_private when it is not given, and must not
 * exist: -EEXIST. Words of version 2 in front, "basic:alice,bob" and "stealth:alice", are explained
 * in the log and mean the same. NK_EUSAGE for a bad name; errors of onion_clients_add.
 */
int onion_new_clients_make(struct onion_new_clients *l, const struct nk_strlist *words,
                           struct onion_clients *into, struct nk_log *log, struct nk_diag *diag);

/* onion_new_clients_write - each private half to its new file (0600), as tor's ClientOnionAuthDir
 * has it, for the service of that address. The first failure ends it. */
int onion_new_clients_write(const struct onion_new_clients *l, const uint8_t address[HS_PUBLIC_KEY],
                            struct nk_log *log, struct nk_diag *diag);

/* onion_new_clients_json - an array "new_clients" (name, file, line: the public half) into an open
 * object; nothing without any. */
void onion_new_clients_json(const struct onion_new_clients *l, struct nk_json *j);

/* onion_new_clients_print - how each file is used, appended. */
int onion_new_clients_print(const struct onion_new_clients *l, struct nk_buf *out);

/* onion_new_clients_clear - wipe and free. Safe twice. */
void onion_new_clients_clear(struct onion_new_clients *l);

#endif
