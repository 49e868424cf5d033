/* SPDX-License-Identifier: MIT */
/* The identification of both sides (RFC 4253 4.2). */
#include <string.h>

#include "base/codec.h"
#include "ssh/transport_impl.h"

static bool starts(const uint8_t *p, size_t n, const char *with)
{
    size_t len = strlen(with);
    return n >= len && memcmp(p, with, len) == 0;
}

static int too_long(struct nk_diag *diag)
{
    return nk_fail(diag, NK_EPROTO, "the server's identification is too long");
}

/* n bytes of a line without its end. */
static int check_ident(struct ssh_transport *t, const uint8_t *p, size_t n, struct nk_diag *diag)
{
    char shown[SSH_SAID_MAX];
    bool fine = starts(p, n, "SSH-2.0-") || starts(p, n, "SSH-1.99-"); /* RFC 4253 5.1 */
    for (size_t i = 0; i < n; i++) {
        fine = fine && p[i] >= ' ' && p[i] <= '~';
    }
    if (!fine) {
        return nk_fail(diag, NK_EPROTO, "the server's identification %s is none of SSH 2",
                       nk_escape(shown, sizeof(shown), p, n));
    }
    memcpy(t->server, p, n);
    t->server[n] = '\0';
    t->since = t->now;
    ssh_transport_set(t, SSH_T_KEXINIT);
    ssh_transport_say(t, SSH_TRACE_IDENT, p, n);
    return 1;
}

static int other_line(struct ssh_transport *t, const uint8_t *p, size_t n, struct nk_diag *diag)
{
    if (++t->lines > SSH_PRE_IDENT_LINES) {
        return nk_fail(diag, NK_EPROTO, "the server sends much, but no identification");
    }
    if (n > 0) {
        nk_escape(t->said, sizeof(t->said), p, n);
        ssh_transport_say(t, SSH_TRACE_LINE, p, n);
    }
    return 1;
}

int ssh_ident_take(struct ssh_transport *t, struct nk_diag *diag)
{
    size_t n = nk_buf_len(&t->in);
    const uint8_t *p = nk_buf_ptr(&t->in);
    const uint8_t *lf = n > 0 ? memchr(p, '\n', n) : NULL;
    size_t whole = lf ? (size_t)(lf - p) + 1 : n;
    bool ident = n > 0 && starts(p, whole, "SSH-");
    if (whole > (ident ? SSH_IDENT_MAX : SSH_PRE_IDENT_LINE)) {
        return too_long(diag);
    }
    if (!lf) {
        return 0;
    }
    size_t text = whole - 1;
    text -= text > 0 && p[text - 1] == '\r';
    int rc = ident ? check_ident(t, p, text, diag) : other_line(t, p, text, diag);
    nk_buf_consume(&t->in, whole);
    return rc;
}
