/* SPDX-License-Identifier: MIT */
/*
 * client_dir - tor's directory of keys as a client (ClientOnionAuthDir): one .auth_private file for
 * each service. Two for one service stop tor at its start, and kill a running one at SIGHUP.
 */
#ifndef NK_HS_CLIENT_DIR_H
#define NK_HS_CLIENT_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "hs/store.h"

#define HS_CLIENT_DIR_SUFFIX ".auth_private"

/* hs_client_dir_is_key - does tor read a file of that name? */
bool hs_client_dir_is_key(const char *name);

/*
 * hs_client_dir_address - the service that tor takes the text for: the 32 bytes in its first field,
 * whatever the checksum behind them, the case, and a ".onion". false when there are none.
 */
bool hs_client_dir_address(const void *text, size_t len, uint8_t address[HS_PUBLIC_KEY]);

/* hs_client_dir_list - as hs_store_list. An entry whose file cannot be read has a problem, and an
 * address all the same when tor would see one. */
int hs_client_dir_list(const struct hs_place *p, struct hs_client_entries *out,
                       struct nk_diag *diag);

/* hs_client_dir_name - the name that tor itself gives to the file for a service. */
void hs_client_dir_name(char out[NK_PATH_MAX], const uint8_t address[HS_PUBLIC_KEY]);

#endif
