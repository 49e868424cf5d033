/* SPDX-License-Identifier: MIT */
/* What the readers and writers of the forms share; for format*.c only. */
#ifndef NK_HS_FORMAT_IMPL_H
#define NK_HS_FORMAT_IMPL_H

#include "hs/format.h"

/* What a reader reads. */
struct hs_source {
    const uint8_t *p; /* all bytes */
    size_t n;
    const char *text; /* the same without white space at both ends */
    size_t len;
    enum hs_format format; /* asked for, or found out; never HS_DETECT inside readers */
    bool asked;            /* the form was asked for, not found out */
    enum hs_kind kind;     /* asked for, or HS_ANY_KIND */
    const char *address;   /* asked for, or NULL */
};

/*
 * Readers set *out, which is all zero before, including its format and kind; what they set is
 * dropped when they fail. Writers may leave part of their output when they fail; what the form
 * holds has been checked to be there, but for a service's address.
 */
typedef int hs_reader(const struct hs_source *src, struct hs_item *out, struct nk_diag *diag);
typedef int hs_writer(const struct hs_item *item, enum hs_format format, struct nk_buf *out,
                      struct nk_diag *diag);

#define HS_READER(f) int f(const struct hs_source *src, struct hs_item *out, struct nk_diag *diag)
#define HS_WRITER(f)                                                                               \
    int f(const struct hs_item *item, enum hs_format format, struct nk_buf *out,                   \
          struct nk_diag *diag)

/* Which forms they are for stands in format.c. */
hs_reader hs_ctor_read, hs_arti_read, hs_arti_public_read, hs_control_read, hs_pem_read,
    hs_auth_read, hs_text_read, hs_raw_read;
hs_writer hs_ctor_write, hs_arti_write, hs_arti_public_write, hs_control_write, hs_yaml_write,
    hs_pem_write, hs_auth_write, hs_text_write, hs_raw_write;

/* hs_yaml_each - the only form that may have several keys, so that it has no reader: each is called
 * for every record that src asks for. NK_EFORMAT when there is none. */
int hs_yaml_each(const struct hs_source *src, hs_item_fn *each, void *arg, struct nk_diag *diag);

/* hs_control_found - is this a line with a key of the control port in it? */
bool hs_control_found(const char *s, size_t len);

/* hs_text_found - is the text nothing but the encoding of as many bytes as a key has? The form, or
 * HS_DETECT. */
enum hs_format hs_text_found(const char *s, size_t len);

enum { HS_CTOR_TAG = 32, HS_CTOR_SECRET_BYTES = 96, HS_CTOR_PUBLIC_BYTES = 64 }; /* bytes */

/* hs_ctor_tagged - does it begin as one of tor's tagged key files? */
bool hs_ctor_tagged(const void *p, size_t n);

/* hs_ctor_parse_secret, hs_ctor_parse_public - the bytes of tor's files. NK_EFORMAT. */
int hs_ctor_parse_secret(const uint8_t *p, size_t n, struct hs_identity *k, struct nk_diag *diag);
int hs_ctor_parse_public(const uint8_t *p, size_t n, struct hs_identity *k, struct nk_diag *diag);

/* hs_ctor_put_secret, hs_ctor_put_public - fill in the bytes of tor's files. */
void hs_ctor_put_secret(uint8_t out[HS_CTOR_SECRET_BYTES], const struct hs_identity *k);
void hs_ctor_put_public(uint8_t out[HS_CTOR_PUBLIC_BYTES], const struct hs_identity *k);

/* hs_put_base64, hs_put_hex, hs_put_base32 - append an encoding of at most HS_CTOR_SECRET_BYTES
 * bytes, base64 with padding; what was on the way is wiped. Errors as nk_buf_put. */
int hs_put_base64(struct nk_buf *out, const void *p, size_t n);
int hs_put_hex(struct nk_buf *out, const void *p, size_t n);
int hs_put_base32(struct nk_buf *out, const void *p, size_t n);

/* hs_is_space - white space as tor and arti both trim it. hs_trim - drop it at both ends. */
bool hs_is_space(char c);
void hs_trim(const char **s, size_t *n);

/* hs_starts - does the text begin with prefix, in either case? */
bool hs_starts(const char *s, size_t n, const char *prefix);

/* hs_words - cut the text into at most max words between white space; returns how many there are,
 * which may be more. */
struct hs_word {
    const char *s;
    size_t n;
};
size_t hs_words(const char *s, size_t n, struct hs_word *out, size_t max);

#endif
