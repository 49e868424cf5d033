/* SPDX-License-Identifier: MIT */
#include "base/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/err.h"

int nk_crypto_init(void)
{
    return sodium_init() < 0 ? NK_EINTERNAL : 0; /* 1 means: was initialised already */
}

unsigned nk_process_harden(void)
{
    const struct rlimit none = {0, 0};
    /* Best effort: both fail only where they are forbidden from outside, and then nothing is lost
     * that we could restore. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &none);
    return (unsigned)umask(077);
}

/* New guarded memory in *out; NULL for n = 0. */
static int guarded(uint8_t **out, size_t n)
{
    if (n > NK_SECRET_MAX)
        return NK_ETOOBIG;
    uint8_t *data = NULL;
    if (n > 0) {
        data = sodium_malloc(n);
        if (!data)
            return -ENOMEM;
    }
    *out = data;
    return 0;
}

int nk_secret_set(struct nk_secret *s, const void *p, size_t n)
{
    uint8_t *data;
    int r = guarded(&data, n);
    if (r < 0)
        return r;
    if (n > 0)
        memcpy(data, p, n);
    nk_secret_clear(s); /* only now: p may point into s */
    s->data = data;
    s->len = n;
    return 0;
}

int nk_secret_alloc(struct nk_secret *s, size_t n)
{
    uint8_t *data;
    int r = guarded(&data, n);
    if (r < 0)
        return r;
    if (n > 0)
        memset(data, 0, n);
    nk_secret_clear(s);
    s->data = data;
    s->len = n;
    return 0;
}

void nk_secret_clear(struct nk_secret *s)
{
    sodium_free(s->data); /* wipes first; NULL is fine */
    s->data = NULL;
    s->len = 0;
}

bool nk_secret_eq(const struct nk_secret *s, const void *p, size_t n)
{
    if (s->len == 0 || n != s->len)
        return false;
    return sodium_memcmp(s->data, p, n) == 0;
}

void nk_wipe(void *p, size_t n)
{
    if (n > 0)
        sodium_memzero(p, n);
}

void nk_free_wiped(void *p, size_t n)
{
    if (p)
        nk_wipe(p, n);
    free(p);
}

void nk_random(void *p, size_t n)
{
    randombytes_buf(p, n);
}

uint32_t nk_random_u32(uint32_t bound)
{
    return randombytes_uniform(bound);
}
