/* SPDX-License-Identifier: MIT */
/* The stream contract (core/stream.h) between the two sides of SOCKS, over other streams. */
#include "net/conform_testkit.h"

static const struct nk_conform_row rows[] = {
    {.name = "socks5+tcp",
     .listen = "socks5+tcp:127.0.0.1:0",
     .suffix = ",to=far.example:80",
     .refused = "socks5+tcp:127.0.0.1:1,to=far.example:80"},
    {.name = "socks5 alone, pipelined",
     .listen = "socks5:localhost:0",
     .suffix = ",to=[2001:db8::1]:80,pipeline=yes",
     .refused = "socks5:localhost:1,to=far.example:80"},
    {.name = "socks5 with a user, tiny windows",
     .listen = "socks5+tcp:127.0.0.1:0,sndbuf=4096,rcvbuf=2048",
     .suffix = ",sndbuf=4096,rcvbuf=2048,to=192.0.2.1:80,user=alice"},
    {.name = "socks5+unix",
     .listen = "socks5+unix:@netkit-socks-conform-$$",
     .suffix = ",to=far.example:80",
     .refused = "socks5+unix:@netkit-socks-nobody-$$,to=far.example:80"},
    {.name = "socks5+mem",
     .listen = "socks5+mem:x",
     .suffix = ",to=far.example:80",
     .refused = "socks5+mem:nobody,to=far.example:80"},
    {.name = "socks5+mem, tiny",
     .listen = "socks5+mem:x,capacity=7,chunk=3",
     .suffix = ",capacity=5,to=far.example:80,user=alice",
     .flags = NK_CONFORM_TINY},
};

int nk_test_socks_conform(void);
int nk_test_socks_conform(void)
{
    return nk_conform_run("socks/conform", rows, sizeof(rows) / sizeof(rows[0]), NULL);
}
