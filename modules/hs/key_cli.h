/* SPDX-License-Identifier: MIT */
/* What the `netkit hs` commands on keys share. */
#ifndef NK_HS_KEY_CLI_H
#define NK_HS_KEY_CLI_H

#include <stdbool.h>

#include "base/cmd.h"
#include "base/json.h"
#include "base/onion.h"
#include "hs/items.h"

#define HS_JSON_MAX ((size_t)67108864) /* bytes of a document with many keys */

/* Rows that say what is read; a command's configuration has them as its first member `in`. */
struct hs_in_conf {
    int from; /* index of hs_from_names: 0, or 1 + enum hs_format */
    int kind; /* enum hs_kind */
    char *address, *service;
};

extern const char *const hs_from_names[], *const hs_kind_names[];

#define HS_IN_ROW(member) .offset = NK_FIELD(struct hs_in_conf, member)
#define HS_FROM_OPT                                                                                \
    {                                                                                              \
        .name = "from", .type = NK_OPT_ENUM, HS_IN_ROW(from), .arg = "FORM", .def = "auto",        \
        .choices = hs_from_names, .help = "Form of what is read; found out from the contents"      \
    }
#define HS_KIND_OPT                                                                                \
    {                                                                                              \
        .name = "kind", .type = NK_OPT_ENUM, HS_IN_ROW(kind), .arg = "KIND", .def = "any",         \
        .choices = hs_kind_names,                                                                  \
        .help = "Whose keys are read, where the contents do not say or there are several"          \
    }
#define HS_ADDRESS_OPT                                                                             \
    {                                                                                              \
        .name = "address", .short_name = 'a', .type = NK_OPT_STRING, HS_IN_ROW(address),           \
        .arg = "ADDRESS",                                                                          \
        .help = "The service: chooses among several keys, and says whose a client's key is"        \
    }
#define HS_SERVICE_OPT                                                                             \
    {                                                                                              \
        .name = "service", .short_name = 'n', .type = NK_OPT_STRING, HS_IN_ROW(service),           \
        .arg = "NAME", .help = "Of the services in arti's keystore, the one that is read"          \
    }

/* hs_cli_read - the keys that an argument names, with a warning for what had to be guessed. */
int hs_cli_read(struct nk_cmd_ctx *ctx, const struct hs_in_conf *in, const char *path,
                struct hs_items *out);

/* hs_cli_address - the service's address of a key, into out; false for a client's key that does not
 * say it. */
bool hs_cli_address(char out[NK_ONION_SIZE], const struct hs_item *item);

/*
 * hs_cli_write - write the contents to a new file, 0600 when they are secret, or to standard output
 * for "-". What exists is -EEXIST and stays. Bytes that are no text are not written to a terminal;
 * a text gets its newline there. With --dry-run no file is written.
 */
int hs_cli_write(struct nk_cmd_ctx *ctx, const char *path, bool secret, const struct nk_buf *b);

#endif
