/* SPDX-License-Identifier: MIT */
#include "ssh/protect.h"

#include <sodium.h>
#include <string.h>

enum { AES_BLOCK = 16, CHACHA_BLOCK = 8, GCM_IV = 12 };

static bool has_aes(void)
{
    return crypto_aead_aes256gcm_is_available() == 1;
}

const struct ssh_cipher_type ssh_cipher_types[] = {
    {"aes256-gcm@openssh.com", 32, GCM_IV, AES_BLOCK, true, has_aes},
    {"chacha20-poly1305@openssh.com", 64, 0, CHACHA_BLOCK, true, NULL},
    {"aes128-gcm@openssh.com", 16, GCM_IV, AES_BLOCK, true, NULL},
    {"aes256-ctr", 32, AES_BLOCK, AES_BLOCK, false, NULL},
    {"aes192-ctr", 24, AES_BLOCK, AES_BLOCK, false, NULL},
    {"aes128-ctr", 16, AES_BLOCK, AES_BLOCK, false, NULL},
    {0}};

const struct ssh_mac_type ssh_mac_types[] = {{"hmac-sha2-512-etm@openssh.com", 64, 64, true},
                                             {"hmac-sha2-256-etm@openssh.com", 32, 32, true},
                                             {"hmac-sha2-512", 64, 64, false},
                                             {"hmac-sha2-256", 32, 32, false},
                                             {0}};

static bool is_name(const char *known, const void *name, size_t n)
{
    return strlen(known) == n && memcmp(known, name, n) == 0;
}

const struct ssh_cipher_type *ssh_cipher_find(const void *name, size_t n)
{
    for (const struct ssh_cipher_type *c = ssh_cipher_types; c->name; c++) {
        if (is_name(c->name, name, n)) {
            return !c->usable || c->usable() ? c : NULL;
        }
    }
    return NULL;
}

const struct ssh_mac_type *ssh_mac_find(const void *name, size_t n)
{
    for (const struct ssh_mac_type *m = ssh_mac_types; m->name; m++) {
        if (is_name(m->name, name, n)) {
            return m;
        }
    }
    return NULL;
}

int ssh_protect_new(const struct ssh_cipher_type *c, const struct ssh_mac_type *m,
                    const uint8_t *key, const uint8_t *iv, const uint8_t *mac_key,
                    struct ssh_protect **out)
{
    if (!c->aead) {
        return ssh_protect_ctr(c, m, key, iv, mac_key, out);
    }
    return c->iv ? ssh_protect_gcm(c, key, iv, out) : ssh_protect_chacha(key, out);
}

void ssh_protect_free(struct ssh_protect *t)
{
    if (t) {
        t->ops->release(t);
    }
}
