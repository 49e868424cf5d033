/* SPDX-License-Identifier: MIT */
/*
 * buf - a growable byte buffer that knows its maximum at birth.
 *
 * Bytes live in [data + off, data + off + len). Consuming moves off; appending compacts or grows,
 * never beyond max. A buffer marked secret is wiped over its whole capacity whenever memory is
 * left.
 */
#ifndef NK_BASE_BUF_H
#define NK_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nk_buf {
    uint8_t *data;
    size_t off; /* first unread byte */
    size_t len; /* unread bytes */
    size_t cap; /* allocated bytes */
    size_t max; /* len never exceeds this */
    bool secret;
};

/* nk_buf_init - empty buffer that will hold at most max bytes (1..SIZE_MAX/4); allocates nothing.
 */
void nk_buf_init(struct nk_buf *b, size_t max);

/* nk_buf_init_secret - the same; old memory is wiped on growth and clear. */
void nk_buf_init_secret(struct nk_buf *b, size_t max);

/* nk_buf_clear - free (and wipe, if secret) the memory; the buffer stays usable, max is kept. */
void nk_buf_clear(struct nk_buf *b);

/* nk_buf_reset - drop the contents but keep the memory; wipes it when secret. */
void nk_buf_reset(struct nk_buf *b);

/*
 * nk_buf_reserve - make room for n more bytes and return in *out where they go (contiguous).
 * Returns 0, NK_ETOOBIG (would exceed max) or -ENOMEM; on failure nothing changes.
 * The pointer (never NULL on success) is valid until the next call on b. Call nk_buf_commit with
 * what was written.
 */
int nk_buf_reserve(struct nk_buf *b, size_t n, uint8_t **out);

/* nk_buf_commit - count n bytes (<= the reserved) as appended. */
void nk_buf_commit(struct nk_buf *b, size_t n);

/* nk_buf_put - append n bytes. Returns 0, NK_ETOOBIG or -ENOMEM; all or nothing. */
int nk_buf_put(struct nk_buf *b, const void *p, size_t n);

/* nk_buf_puts - append a C string without its terminator. Errors as nk_buf_put. */
int nk_buf_puts(struct nk_buf *b, const char *s);

/* nk_buf_u8/be16/be32/be64/le16/le32/le64 - append one integer. Errors as nk_buf_put. */
int nk_buf_u8(struct nk_buf *b, uint8_t v);
int nk_buf_be16(struct nk_buf *b, uint16_t v);
int nk_buf_be32(struct nk_buf *b, uint32_t v);
int nk_buf_be64(struct nk_buf *b, uint64_t v);
int nk_buf_le16(struct nk_buf *b, uint16_t v);
int nk_buf_le32(struct nk_buf *b, uint32_t v);
int nk_buf_le64(struct nk_buf *b, uint64_t v);

/* nk_buf_printf - append formatted text (not for secrets). Errors as nk_buf_put, or NK_EFORMAT when
 * the C library cannot format it. */
int nk_buf_printf(struct nk_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int nk_buf_vprintf(struct nk_buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/* nk_buf_consume - drop the first n (<= len) bytes; wiped when secret. */
void nk_buf_consume(struct nk_buf *b, size_t n);

/* nk_buf_str - terminate the contents with NUL (not counted) and return them, or NULL on -ENOMEM.
 */
const char *nk_buf_str(struct nk_buf *b);

/* nk_buf_detach - hand the memory to the caller (free(), after wiping when it is secret); *out_len
 * bytes at the returned pointer. NULL when empty. The buffer is empty afterwards. */
uint8_t *nk_buf_detach(struct nk_buf *b, size_t *out_len);

/* nk_buf_ptr / nk_buf_len - the unread bytes. The pointer is valid until the next call on b. */
static inline uint8_t *nk_buf_ptr(const struct nk_buf *b)
{
    return b->data ? b->data + b->off : NULL;
}
static inline size_t nk_buf_len(const struct nk_buf *b)
{
    return b->len;
}

#endif
