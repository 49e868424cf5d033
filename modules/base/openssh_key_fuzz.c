/* SPDX-License-Identifier: MIT */
/* OpenSSH keys, private and public: what can be read writes to text that reads as the same again;
 * nothing else reads past ends. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/onion.h"
#include "base/openssh_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct nk_openssh_type types[] = {
    {"ssh-ed25519", 1, 2}, {"x25519@spec.torproject.org", 1, 2}, {"ssh-rsa", 2, 6}};
#define NTYPES (sizeof(types) / sizeof(*types))

static void require(int what)
{
    if (!what) {
        abort();
    }
}

static void same(struct nk_openssh_str a, struct nk_openssh_str b)
{
    require(a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0));
}

static int read_binary(const void *p, size_t n, struct nk_openssh_key *k)
{
    struct nk_openssh_file f;
    int rc = nk_openssh_parse(p, n, &f, NULL);
    return rc < 0 ? rc : nk_openssh_parse_key(&f, f.inner.p, f.inner.n, types, NTYPES, k, NULL);
}

static void private_key(const uint8_t *data, size_t size)
{
    struct nk_buf bin, text, again;
    struct nk_openssh_key k, k2;
    nk_buf_init_secret(&bin, NK_OPENSSH_MAX);
    nk_buf_init_secret(&text, NK_OPENSSH_MAX * 2);
    nk_buf_init_secret(&again, NK_OPENSSH_MAX);
    if (nk_openssh_dearmor(data, size, &bin, NULL) < 0) {
        nk_buf_put(&bin, data, size);
    }
    if (nk_buf_len(&bin) && read_binary(nk_buf_ptr(&bin), nk_buf_len(&bin), &k) == 0 &&
        nk_openssh_write(&k, &text) == 0) {
        require(nk_openssh_dearmor(nk_buf_ptr(&text), nk_buf_len(&text), &again, NULL) == 0);
        require(read_binary(nk_buf_ptr(&again), nk_buf_len(&again), &k2) == 0);
        require(k.type == k2.type && k.check == k2.check);
        same(k.comment, k2.comment);
        for (unsigned i = 0; i < k.type->private_fields; i++) {
            same(k.private_field[i], k2.private_field[i]);
        }
    }
    nk_buf_clear(&again);
    nk_buf_clear(&text);
    nk_buf_clear(&bin);
}

static void public_key(const char *data, size_t size)
{
    struct nk_buf blob, text;
    struct nk_openssh_public k;
    nk_buf_init(&blob, NK_OPENSSH_MAX);
    nk_buf_init(&text, NK_OPENSSH_MAX * 2);
    if (nk_openssh_parse_public(data, size, types, NTYPES, &blob, &k, NULL) == 0) {
        require(nk_openssh_write_public(&k, &text) == 0);
    }
    nk_buf_clear(&text);
    nk_buf_clear(&blob);
}

static void address(const char *data, size_t size)
{
    uint8_t key[NK_ONION_KEY];
    char text[NK_ONION_SIZE];
    if (nk_onion_parse(key, data, size, NULL) == 0) {
        nk_onion_format(text, key);
        require(size >= NK_ONION_LABEL && strlen(text) == NK_ONION_SIZE - 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > NK_OPENSSH_MAX) {
        return 0;
    }
    private_key(data, size);
    public_key((const char *)data, size);
    address((const char *)data, size);
    return 0;
}
