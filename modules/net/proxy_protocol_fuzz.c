/* SPDX-License-Identifier: MIT */
/* A header in exact pieces; what reads is written again and must read as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int what)
{
    if (!what) {
        abort();
    }
}

static void again(const struct net_proxy_header *h, int version)
{
    struct net_proxy_header back;
    struct nk_buf b;
    char want[160], got[160];
    nk_buf_init(&b, NET_PROXY_MAX);
    int rc = net_proxy_write(&b, version, &h->from, &h->to, h->tlvs, h->tlvs_len);
    if (rc == 0) {
        require(net_proxy_read(nk_buf_ptr(&b), nk_buf_len(&b), &back, NULL) == 0);
        bool ip = h->known && h->from.ss.ss_family != AF_UNIX;
        require(!ip || back.known);
        require(!ip || strcmp(nk_addr_format(want, sizeof(want), &h->from),
                              nk_addr_format(got, sizeof(got), &back.from)) == 0);
        require(version == 1 || back.tlvs_len == h->tlvs_len);
    }
    nk_buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct net_proxy_header h;
    struct nk_diag why = {0};
    size_t n = 0;
    ssize_t want;
    while ((want = net_proxy_want(data, n, &why)) > 0) {
        if ((size_t)want > size - n) {
            return 0;
        }
        n += (size_t)want;
        require(n <= NET_PROXY_MAX);
    }
    int rc = want < 0 ? (int)want : net_proxy_read(data, n, &h, &why);
    require(rc == 0 || (rc == NK_EPROTO && why.text[0]));
    if (rc == 0) {
        again(&h, 1);
        again(&h, 2);
    }
    return 0;
}
