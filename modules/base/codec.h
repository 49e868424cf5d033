/* SPDX-License-Identifier: MIT */
/*
 * codec - text encodings: hex, base64, base32, percent, UTF-8, numbers with units.
 *
 * Encoders write a terminating NUL and need the sizes given by the *_SIZE macros. Decoders are
 * strict: no white space, canonical padding, exact length; they return the number of bytes or
 * NK_EFORMAT / NK_ETOOBIG, and leave the output untouched on failure.
 */
#ifndef NK_BASE_CODEC_H
#define NK_BASE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NK_HEX_SIZE(n) ((n)*2 + 1)
#define NK_BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
#define NK_BASE32_SIZE(n) (((n)*8 + 4) / 5 + 1)

/* nk_hex_encode - lower-case hex of n bytes; constant time in the data. out holds NK_HEX_SIZE(n).
 */
void nk_hex_encode(char *out, const void *p, size_t n);

/* nk_hex_decode - decode len hex digits (either case; colons between bytes are accepted when
 * colons is true) into out of size max. Returns bytes or NK_EFORMAT / NK_ETOOBIG. */
ssize_t nk_hex_decode(uint8_t *out, size_t max, const char *s, size_t len, bool colons);

/* nk_base64_encode - standard alphabet (RFC 4648 §4), with padding when pad. Constant time. */
void nk_base64_encode(char *out, const void *p, size_t n, bool pad);

/* nk_base64_decode - padding optional, otherwise strict (RFC 4648 §4); constant time in the data.
 */
ssize_t nk_base64_decode(uint8_t *out, size_t max, const char *s, size_t len);

/* nk_base32_encode - lower-case, no padding (RFC 4648 §6), as in onion addresses. */
void nk_base32_encode(char *out, const void *p, size_t n);

/* nk_base32_decode - either case, no padding; trailing bits must be zero. */
ssize_t nk_base32_decode(uint8_t *out, size_t max, const char *s, size_t len);

/* nk_percent_decode - decode %XX of s (len bytes) into out (max bytes, NUL added). %00 and control
 * bytes are refused. Returns the length without NUL, NK_EFORMAT or NK_ETOOBIG. */
ssize_t nk_percent_decode(char *out, size_t max, const char *s, size_t len);

/* nk_utf8_valid - true when the n bytes are well-formed UTF-8 (RFC 3629; no surrogates). */
bool nk_utf8_valid(const void *p, size_t n);

/* nk_escape - printable form of n bytes for logs and terminals: control bytes, backslash and
 * invalid UTF-8 become \xNN. Writes at most max bytes with NUL, "..." marks a cut. Returns out. */
char *nk_escape(char *out, size_t max, const void *p, size_t n);

/* nk_parse_u64 - decimal digits only, the whole string. 0 or NK_EFORMAT. */
int nk_parse_u64(const char *s, uint64_t *out);

/* nk_parse_i64 - the same with an optional leading '-'. */
int nk_parse_i64(const char *s, int64_t *out);

/* nk_parse_size - "4096", "64k", "64KiB", "1MB": k/M/G/T with optional iB are powers of 1024, with
 * B (kB, MB) powers of 1000. Whole string. 0 or NK_EFORMAT (overflow included). */
int nk_parse_size(const char *s, uint64_t *out);

/* nk_parse_duration - "250ms", "15s", "2m", "1h", "3d", or a bare number of seconds; result in
 * milliseconds. 0 or NK_EFORMAT. */
int nk_parse_duration(const char *s, uint64_t *out_ms);

/* nk_format_size / nk_format_duration - short human forms ("64 KiB", "1.5 MiB", "2m 5s"). */
char *nk_format_size(char *out, size_t max, uint64_t bytes);
char *nk_format_duration(char *out, size_t max, uint64_t ms);

/* nk_suggest - the entry of names[0..n) nearest to `word` by Damerau-Levenshtein distance (at most
 * 2 and at most a third of its length), or NULL. */
const char *nk_suggest(const char *word, const char *const *names, size_t n);

#endif
