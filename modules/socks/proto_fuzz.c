/* SPDX-License-Identifier: MIT */
/* Both sides of the negotiation against a hostile peer: the first byte chooses the side, what it
 * asks for and the size of the pieces, the rest is what the peer sends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "socks/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int what)
{
    if (!what) {
        abort();
    }
}

static void begin(struct socks_proto *p, uint8_t how)
{
    const struct socks_login login = {(const uint8_t *)"u", (const uint8_t *)"p", 1, 1};
    struct socks_ask ask = {.command = SOCKS_CONNECT,
                            .login = how & 2 ? &login : NULL,
                            .login_only = (how & 4) != 0,
                            .pipeline = (how & 8) != 0};
    if (how & 1) {
        socks_proto_server(p, (how & 2) != 0, NULL);
        return;
    }
    require(socks_addr_set(&ask.addr, "example.com", 80, NULL) == 0);
    socks_proto_client(p, &ask);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct socks_proto p;
    struct nk_diag why = {0};
    size_t at = 1, want, n;
    int rc = 0;
    if (size == 0) {
        return 0;
    }
    begin(&p, data[0]);
    size_t piece = 1 + (data[0] >> 4) * 17u;
    while (rc == 0 && at < size) {
        uint8_t *room = socks_proto_room(&p, &want);
        n = want < piece ? want : piece;
        n = n < size - at ? n : size - at;
        if (n == 0) {
            break;
        }
        require(room + want <= p.in + sizeof(p.in));
        memcpy(room, data + at, n);
        at += n;
        rc = socks_proto_got(&p, n, &why);
        require((rc < 0) == (p.state == SOCKS_FAILED));
        require(rc == 0 || why.text[0] != '\0');
        (void)socks_proto_out(&p, &n);
        require(n <= SOCKS_OUT_MAX);
        socks_proto_sent(&p, n < 3 ? n : 3);
    }
    if (p.state == SOCKS_AWAIT_ANSWER) {
        require(p.addr.type != SOCKS_NAME || socks_name_ok(p.addr.host, strlen(p.addr.host)));
        socks_proto_answer(&p, data[size - 1]);
        require(p.state == (data[size - 1] ? SOCKS_FAILED : SOCKS_OPEN));
    }
    socks_proto_clear(&p);
    return 0;
}
