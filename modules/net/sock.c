/* SPDX-License-Identifier: MIT */
#include "net/sock.h"

int net_listen_error(struct nk_diag *diag, int code, const char *where)
{
    nk_fail_sys(diag, code, "%s", where);
    switch (code) {
    case -EADDRINUSE:
        nk_hint(diag, "another program listens there; 'ss -lxtnp' shows which");
        break;
    case -EACCES:
        nk_hint(diag,
                "ports below 1024 need root or CAP_NET_BIND_SERVICE, paths a writable folder");
        break;
    case -EADDRNOTAVAIL:
        nk_hint(diag, "this machine has no such address; 'ip address' shows them");
        break;
    default:
        break;
    }
    return code;
}

int net_connect_error(struct nk_diag *diag, int code, const char *where)
{
    nk_fail_sys(diag, code, "%s", where);
    switch (code) {
    case -ECONNREFUSED:
        nk_hint(diag, "nothing listens there");
        break;
    case -ENOENT:
        nk_hint(diag, "there is no such socket: is the other program running?");
        break;
    case -ETIMEDOUT:
        nk_hint(diag, "no answer: a firewall may drop the packets, or the address is wrong");
        break;
    case -ENETUNREACH:
    case -EHOSTUNREACH:
        nk_hint(diag, "there is no route to that address");
        break;
    default:
        break;
    }
    return code;
}
