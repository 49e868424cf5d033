/* SPDX-License-Identifier: MIT */
/*
 * format - every form in which keys of onion services and of their clients are written down.
 *
 * Reading finds out the form from the contents; a file's name, a form or a kind can be given where
 * the contents do not say enough. What is read is checked: addresses against their checksums,
 * public halves against secrets, points and scalars as key.h says; nothing is corrected. Writing
 * gives exactly the bytes that the program gives from which the form comes.
 *
 * Every reader's errors name the field and the reason, never the file (the caller adds it) and
 * never any secret.
 */
#ifndef NK_HS_FORMAT_H
#define NK_HS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "hs/key.h"

#define HS_FILE_MAX                                                                                \
    ((size_t)1048576)                 /* bytes of a file: mkp224o's have as many keys as it found  \
                                       */
#define HS_FORMAT_MAX ((size_t)16384) /* bytes that one key is written in, in any form */
#define HS_COMMENT_MAX 1023           /* bytes of a comment in OpenSSH's forms */

/* What a form can hold: a set of these. */
enum hs_holds {
    HS_HOLDS_IDENTITY = 1,
    HS_HOLDS_CLIENT = 2,
    HS_HOLDS_BOTH = 3,
    HS_HOLDS_SECRET = 4, /* the secret half; without it the form holds a public half */
    HS_HOLDS_SEED = 8    /* of identities: the seed, which is more than the secret half */
};

/*
 * X(constant, name, what it holds, extension of files, summary). An extension that is a whole name
 * does not begin with a dot.
 */
#define HS_FORMAT_LIST(X)                                                                          \
    X(HS_CTOR_SECRET, "ctor-secret", HS_HOLDS_IDENTITY | HS_HOLDS_SECRET, "hs_ed25519_secret_key", \
      "tor's secret key file, 96 bytes")                                                           \
    X(HS_CTOR_PUBLIC, "ctor-public", HS_HOLDS_IDENTITY, "hs_ed25519_public_key",                   \
      "tor's public key file, 64 bytes")                                                           \
    X(HS_HOSTNAME, "hostname", HS_HOLDS_IDENTITY, "hostname", "the onion address")                 \
    X(HS_ARTI_PRIVATE, "arti", HS_HOLDS_BOTH | HS_HOLDS_SECRET, "_private",                        \
      "a private key of arti's keystore, OpenSSH's container")                                     \
    X(HS_ARTI_PUBLIC, "arti-public", HS_HOLDS_BOTH, "_public", "arti's public key, one line")      \
    X(HS_OPENSSH, "openssh", HS_HOLDS_IDENTITY | HS_HOLDS_SECRET | HS_HOLDS_SEED, "_private",      \
      "an ssh-ed25519 private key of OpenSSH, taken as seed")                                      \
    X(HS_CONTROL, "control", HS_HOLDS_BOTH | HS_HOLDS_SECRET, ".txt",                              \
      "a key as tor's control port takes it: ED25519-V3:.. or x25519:..")                          \
    X(HS_YAML, "yaml", HS_HOLDS_IDENTITY | HS_HOLDS_SECRET, ".yaml",                               \
      "mkp224o -y: the three files of tor in base64")                                              \
    X(HS_YAML_RAW, "yaml-raw", HS_HOLDS_IDENTITY | HS_HOLDS_SECRET, ".yaml",                       \
      "mkp224o --rawyaml: the same without the tags of the files")                                 \
    X(HS_PEM, "pem", HS_HOLDS_BOTH | HS_HOLDS_SECRET | HS_HOLDS_SEED, ".pem",                      \
      "PKCS#8: an Ed25519 seed or an X25519 private key")                                          \
    X(HS_PEM_PUBLIC, "pem-public", HS_HOLDS_BOTH, ".pem", "SPKI: a public key of either kind")     \
    X(HS_AUTH, "auth", HS_HOLDS_CLIENT, ".auth",                                                   \
      "a client's public key for the service: descriptor:x25519:..")                               \
    X(HS_AUTH_PRIVATE, "auth-private", HS_HOLDS_CLIENT | HS_HOLDS_SECRET, ".auth_private",         \
      "a client's private key for tor: ADDRESS:descriptor:x25519:..")                              \
    X(HS_SEED_HEX, "seed", HS_HOLDS_IDENTITY | HS_HOLDS_SECRET | HS_HOLDS_SEED, ".txt",            \
      "an Ed25519 seed in hex (read: also in base64 or base32)")                                   \
    X(HS_HEX, "hex", HS_HOLDS_BOTH | HS_HOLDS_SECRET, ".txt", "the secret half in hex")            \
    X(HS_HEX_PUBLIC, "hex-public", HS_HOLDS_BOTH, ".txt", "the public half in hex")                \
    X(HS_BASE64, "base64", HS_HOLDS_BOTH | HS_HOLDS_SECRET, ".txt", "the secret half in base64")   \
    X(HS_BASE64_FILE, "base64-file", HS_HOLDS_IDENTITY | HS_HOLDS_SECRET, ".txt",                  \
      "tor's secret key file in base64")                                                           \
    X(HS_BASE64_PUBLIC, "base64-public", HS_HOLDS_BOTH, ".txt", "the public half in base64")       \
    X(HS_BASE32, "base32", HS_HOLDS_CLIENT | HS_HOLDS_SECRET, ".txt",                              \
      "a client's private key in base32")                                                          \
    X(HS_BASE32_PUBLIC, "base32-public", HS_HOLDS_BOTH, ".txt", "the public half in base32")       \
    X(HS_RAW, "raw", HS_HOLDS_BOTH | HS_HOLDS_SECRET, ".bin",                                      \
      "the secret half in binary, without a tag (read only when asked for)")

#define HS_FORMAT_ENUM(constant, name, holds, extension, summary) constant,
enum hs_format { HS_FORMAT_LIST(HS_FORMAT_ENUM) HS_FORMATS, HS_DETECT = -1 };
#undef HS_FORMAT_ENUM

enum hs_kind { HS_ANY_KIND, HS_IDENTITY, HS_CLIENT };

/* A key that was read, or that is to be written; wipe with hs_item_wipe. */
struct hs_item {
    enum hs_kind kind; /* which of the two keys below is in use; never HS_ANY_KIND */
    enum hs_format format;
    struct hs_identity identity;
    struct hs_client client;
    bool has_address; /* of a client: the service's address is known */
    uint8_t address[HS_PUBLIC_KEY];
    bool guessed; /* the contents would also have been a key of another kind or half */
    char comment[HS_COMMENT_MAX + 1]; /* of OpenSSH's forms, and written to them only; UTF-8 */
};

/* What a reader may rely on besides the contents. {.format = HS_DETECT} relies on nothing. */
struct hs_hints {
    enum hs_format format; /* HS_DETECT to find out */
    enum hs_kind kind;     /* HS_ANY_KIND to find out */
    const char *name;      /* the file's name, with or without directories, or NULL */
    const char *address;   /* of several keys in one file, the service's that is wanted; or NULL */
};

/* What is known of a form: static; NULL for HS_DETECT. */
struct hs_format_info {
    const char *name;
    unsigned holds; /* enum hs_holds */
    const char *extension;
    const char *summary;
};
const struct hs_format_info *hs_format_info(enum hs_format f);

/* hs_format_by_name - the form called so ("ctor-secret"), or HS_DETECT. */
enum hs_format hs_format_by_name(const char *name);

/*
 * hs_format_read - the key in len bytes; name is the file's, as a hint, or NULL. *out is set on
 * success only. NK_EFORMAT: malformed, or a key that must not be used; NK_EUNSUPPORTED: a form that
 * is known and not supported (an encrypted key, another algorithm); NK_EVERSION: an address of
 * another version; NK_ETOOBIG; -ENOMEM.
 */
int hs_format_read(const void *bytes, size_t len, const char *name, struct hs_item *out,
                   struct nk_diag *diag);

/* hs_format_read_as - the same with everything that is known about the bytes. */
int hs_format_read_as(const void *bytes, size_t len, const struct hs_hints *hints,
                      struct hs_item *out, struct nk_diag *diag);

/* What hs_format_each calls for each key; an error ends it. The item is borrowed and wiped. */
typedef int hs_item_fn(void *arg, const struct hs_item *item);

/* hs_format_each - as hs_format_read_as, for a file that may have several keys (mkp224o's YAML):
 * each is called for every one that the hints ask for, once all of them were found to be good. */
int hs_format_each(const void *bytes, size_t len, const struct hs_hints *hints, hs_item_fn *each,
                   void *arg, struct nk_diag *diag);

/*
 * hs_format_write - append the key in a form to out, a secret buffer when the form holds secrets.
 * NK_EUNSUPPORTED, with the reason, when the item does not have what the form holds: a secret half,
 * a seed, a service's address, or a key of the right kind. NK_ETOOBIG, -ENOMEM. out is as before on
 * failure.
 */
int hs_format_write(const struct hs_item *item, enum hs_format f, struct nk_buf *out,
                    struct nk_diag *diag);

/*
 * hs_format_load - read a file, or standard input for "-", and the key in it. A file that has a
 * secret half must be safe (NK_FILE_SECRET of base/file.h); one that has a public half only need
 * not be. hints may be NULL; its name is taken from path. Errors of nk_file_read and
 * hs_format_read_as; diag names the file.
 */
int hs_format_load(const char *path, const struct hs_hints *hints, struct hs_item *out,
                   struct nk_diag *diag);

/* hs_format_load_each - hs_format_each of a file, as hs_format_load reads it. An error of each is
 * returned as it is. */
int hs_format_load_each(const char *path, const struct hs_hints *hints, hs_item_fn *each, void *arg,
                        struct nk_diag *diag);

/* Items of one key. */
void hs_item_from_identity(struct hs_item *out, const struct hs_identity *k);
void hs_item_from_client(struct hs_item *out, const struct hs_client *k,
                         const uint8_t *address /* HS_PUBLIC_KEY bytes or NULL */);

/* hs_item_pub - the public key, of whichever kind. */
const uint8_t *hs_item_pub(const struct hs_item *item);

/* hs_item_has_secret - is the secret half there? */
bool hs_item_has_secret(const struct hs_item *item);

/* hs_item_wipe - overwrite the item. */
void hs_item_wipe(struct hs_item *item);

/* --- the lines of client authorization (rend-spec-v3 appendix F; used by checks, too) ----------
 */

#define HS_AUTH_LINE_MAX ((size_t)512) /* bytes of such a file; a line has 131 at most */

/* What tor takes and arti does not, or the other way round. */
struct hs_auth_oddities {
    bool upper_key; /* the key is in upper case: arti's way, tor takes it */
    bool
        upper_address; /* .auth_private: tor takes it, but finds it by other ways of writing only */
    bool trailing_bits; /* bits behind the key that are not zero: tor takes it, arti does not */
    bool spaces;        /* around the fields: tor takes it, arti does not */
    bool crlf;          /* the line ends in CR LF */
    bool suffix;        /* .auth_private: ".onion" behind the address; its manual forbids it */
};

/*
 * hs_auth_line_parse - the contents of an .auth file: one line "descriptor:x25519:KEY", as tor or
 * arti takes it; odd may be NULL. pub is checked as hs_client_from_public does. NK_EFORMAT with the
 * field and the reason; pub and *odd are untouched then.
 */
int hs_auth_line_parse(const void *text, size_t len, uint8_t pub[HS_PUBLIC_KEY],
                       struct hs_auth_oddities *odd, struct nk_diag *diag);

/* hs_auth_private_line_parse - the same for an .auth_private file: "ADDRESS:descriptor:x25519:KEY".
 * tor does not check the address's checksum; here it must be right. The caller wipes secret. */
int hs_auth_private_line_parse(const void *text, size_t len, uint8_t address[HS_PUBLIC_KEY],
                               uint8_t secret[HS_CLIENT_SECRET], struct hs_auth_oddities *odd,
                               struct nk_diag *diag);

#endif
