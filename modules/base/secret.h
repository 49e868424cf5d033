/* SPDX-License-Identifier: MIT */
/*
 * secret - guarded memory for long-term secrets, wiping and constant-time comparison.
 *
 * sodium_malloc memory has four mappings per allocation and fails near 16,000 of them, so it is for
 * long-term secrets only (private keys, passwords, ticket keys); per-connection keys live in the
 * heap and are wiped with nk_wipe when freed.
 */
#ifndef NK_BASE_SECRET_H
#define NK_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A long-term secret in guarded memory. `len` bytes at `data`; data is NULL when empty. */
struct nk_secret {
    uint8_t *data;
    size_t len;
};

#define NK_SECRET_MAX (64 * 1024) /* largest secret this project handles: a PEM private key */

/* nk_crypto_init - initialise libsodium; call once before anything else. 0 or NK_EINTERNAL. */
int nk_crypto_init(void);

/* nk_process_harden - no core dumps (PR_SET_DUMPABLE 0, RLIMIT_CORE 0), umask 077. Best effort.
 * Returns the umask that was in force, for files that are not ours but the user's. */
unsigned nk_process_harden(void);

/* nk_secret_set - copy n bytes (0..NK_SECRET_MAX) from p to new guarded memory; the old contents
 * are wiped and freed. Returns 0, NK_ETOOBIG or -ENOMEM (then s is unchanged). The caller wipes p.
 */
int nk_secret_set(struct nk_secret *s, const void *p, size_t n);

/* nk_secret_alloc - guarded memory of n zero bytes to be filled in place. Errors as above. */
int nk_secret_alloc(struct nk_secret *s, size_t n);

/* nk_secret_clear - wipe and free; safe on a zeroed struct and twice. */
void nk_secret_clear(struct nk_secret *s);

/* nk_secret_eq - constant-time comparison with n bytes at p. An empty secret equals nothing. The
 * time depends on n and s->len only. */
bool nk_secret_eq(const struct nk_secret *s, const void *p, size_t n);

/* nk_wipe - overwrite n bytes so that the compiler cannot drop it. */
void nk_wipe(void *p, size_t n);

/* nk_free_wiped - wipe n bytes at p and free(p); p may be NULL. */
void nk_free_wiped(void *p, size_t n);

/* nk_random - n bytes from the system's generator. Never fails after nk_crypto_init. */
void nk_random(void *p, size_t n);

/* nk_random_u32 - a uniform value in [0, bound), bound >= 1. */
uint32_t nk_random_u32(uint32_t bound);

#endif
