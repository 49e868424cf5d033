/* SPDX-License-Identifier: MIT */
/* hsc - what the `netkit hsc` commands share: selectors, questions, the public half as output. */
#ifndef NK_HS_HSC_H
#define NK_HS_HSC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cmd.h"
#include "base/json.h"
#include "base/onion.h"
#include "hs/key.h"
#include "hs/store.h"

enum hsc_generate { HSC_IF_NEEDED, HSC_NO };
enum hsc_pub_format { HSC_CTOR, HSC_ARTI };

/* Rows of the commands; each uses some. */
struct hsc_conf {
    char *hsid, *nickname, *keystore, *output, *key_type;
    int pub_format; /* enum hsc_pub_format */
    int generate;   /* enum hsc_generate */
    bool overwrite, batch, keep_old;
};

extern const char *const hsc_pub_formats[], *const hsc_generates[];

#define HSC_ROW(field) .offset = NK_FIELD(struct hsc_conf, field)
#define HSC_HSID                                                                                   \
    {                                                                                              \
        .name = "hsid", .type = NK_OPT_STRING, HSC_ROW(hsid), .arg = "ADDRESS",                    \
        .aliases = "onion-address", .help = "The service's address, with or without .onion"        \
    }
#define HSC_NICKNAME                                                                               \
    {                                                                                              \
        .name = "nickname", .type = NK_OPT_STRING, HSC_ROW(nickname), .arg = "NAME",               \
        .help = "What the service's owner shall call this client: names the .auth file, and "      \
                "chooses among keys in client/NAME/ADDRESS"                                        \
    }
#define HSC_KEYSTORE                                                                               \
    {                                                                                              \
        .name = "keystore", .short_name = 'k', .type = NK_OPT_STRING, HSC_ROW(keystore),           \
        .arg = "ID|DIR", .aliases = "keystore-id",                                                 \
        .help = "A [keystore ID] section, or a directory: arti's keystore or state directory, or " \
                "tor's ClientOnionAuthDir (arti:DIR and ctor:DIR say which)"                       \
    }
#define HSC_PUB_FORMAT                                                                             \
    {                                                                                              \
        .name = "pub-format", .type = NK_OPT_ENUM, HSC_ROW(pub_format), .arg = "FORMAT",           \
        .def = "ctor", .choices = hsc_pub_formats,                                                 \
        .help = "How the public half is written: the line descriptor:x25519:.. that tor and arti " \
                "take, or arti's public key format"                                                \
    }
#define HSC_OUTPUT(text)                                                                           \
    {                                                                                              \
        .name = "output", .short_name = 'o', .type = NK_OPT_STRING, HSC_ROW(output),               \
        .arg = "FILE|-", .help = text                                                              \
    }
#define HSC_OVERWRITE                                                                              \
    {                                                                                              \
        .name = "overwrite", .type = NK_OPT_FLAG, HSC_ROW(overwrite),                              \
        .help = "Replace the output file when it exists"                                           \
    }
#define HSC_KEY_TYPE                                                                               \
    {                                                                                              \
        .name = "key-type", .type = NK_OPT_STRING, HSC_ROW(key_type), .arg = "TYPE",               \
        .def = "service-discovery", .help = "Type of the key; see netkit hsc generate-key"         \
    }
#define HSC_BATCH                                                                                  \
    {                                                                                              \
        .name = "batch", .short_name = 'b', .type = NK_OPT_FLAG, HSC_ROW(batch),                   \
        .help = "Ask nothing: an address that is not given is read without a prompt, and "         \
                "everything is confirmed"                                                          \
    }
#define HSC_GENERATE(value)                                                                        \
    {                                                                                              \
        .name = "generate", .type = NK_OPT_ENUM, HSC_ROW(generate), .arg = "WHEN", .def = value,   \
        .choices = hsc_generates, .help = "Whether to make a key that is not there"                \
    }

/* A command at work. Zero it, and end it with hsc_end. */
struct hsc {
    struct nk_cmd_ctx *ctx;
    const struct hsc_conf *conf;
    const char *output; /* "-" is stdout */
    char own_output[HS_SLUG_MAX + sizeof(".auth")];
    uint8_t address[HS_PUBLIC_KEY];
    char address_text[NK_ONION_SIZE];
    struct hs_store store;
    char name[NK_PATH_MAX]; /* of the key's file in the store; "" when there is none */
    struct hs_client key;
};

/*
 * hsc_begin - check nickname, type (NULL: --key-type), address (NULL: --hsid, else it is asked for
 * on stdin), and the output file, which must not exist without --overwrite. output is where the
 * public half goes without --output; NULL: to a file named after the client or as arti would.
 */
int hsc_begin(struct hsc *h, struct nk_cmd_ctx *ctx, const char *type, const char *address,
              const char *output);

/* hsc_open - open the store, with --dry-run for reading only, and find the key's file. A store that
 * does not exist is like an empty one. */
int hsc_open(struct hsc *h, enum hs_store_access access);

/* hsc_load - read the key of h->name. */
int hsc_load(struct hsc *h);

/* hsc_missing - fill the diagnostic: there is no key. */
int hsc_missing(struct hsc *h);

/*
 * hsc_new - make a key and store it. Replaces that of h->name when there is one; kept (may be NULL)
 * as of hs_store_replace. The order: the public half goes to the disk without a name, then the
 * secret one is stored, then the public file gets its name. So when the secret half cannot be
 * stored, the output file is what it was before, whether there was one or not; and a key is never
 * stored before its public half could be written. With --dry-run nothing is written.
 */
int hsc_new(struct hsc *h, char *kept);

/* hsc_export - write the public half of h->key: to the output file, or to stdout. */
int hsc_export(struct hsc *h);

/* hsc_report - say what became of the key: as JSON, or in words unless the public half went to
 * stdout. `made`: it is a new one. */
int hsc_report(struct hsc *h, bool made, const char *kept);

/* hsc_confirm - ask on stderr until the answer is yes (0) or no (-ECANCELED). --batch and --yes
 * answer yes; --no-input and the end of the input are NK_EUSAGE. */
int hsc_confirm(struct hsc *h, const char *what);

/* hsc_end - close and wipe. Returns rc. */
int hsc_end(struct hsc *h, int rc);

/* hsc_type - is text one of the names of the only type of key there is? 0, or NK_EUSAGE with all of
 * them. */
int hsc_type(const char *text, struct nk_diag *diag);

#endif
