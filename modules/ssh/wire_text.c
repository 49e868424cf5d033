/* SPDX-License-Identifier: MIT */
#include "ssh/wire_text.h"

#include "base/err.h"
#include "base/utf8.h"

/* What stands for the character at p (n bytes left); *used: bytes of it. 0: it may stay. */
static char replaced(const uint8_t *p, size_t n, bool lines, size_t *used)
{
    uint32_t cp;
    size_t len = nk_utf8_next(p, n, &cp);
    *used = len > 0 ? len : 1;
    if (len > 0 && !nk_utf8_control(cp)) {
        return 0;
    }
    if (*p == '\r' && n > 1 && p[1] == '\n') {
        *used = 2;
    }
    if (*p == '\n' || *p == '\r') {
        return lines ? '\n' : ' ';
    }
    return *p == '\t' ? ' ' : '?';
}

int ssh_put_harmless(struct nk_buf *b, struct ssh_str text, bool lines)
{
    int rc = 0;
    size_t used;
    for (size_t at = 0; at < text.n && rc == 0; at += used) {
        char c = replaced(text.p + at, text.n - at, lines, &used);
        rc = c ? nk_buf_put(b, &c, 1) : nk_buf_put(b, text.p + at, used);
    }
    return rc == NK_ETOOBIG ? 0 : rc;
}
