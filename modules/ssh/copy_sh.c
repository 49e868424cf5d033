/* SPDX-License-Identifier: MIT */
#include "ssh/copy_sh.h"

#include <stdint.h>
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"

enum { SHOWN = 200 /* bytes of what the script says */ };

/* POSIX, for whatever shell the user has there: csh wants it in one line and without exclamation
 * marks. The link to a file elsewhere stays one; modes stay but for what would let others write. */
const char ssh_copy_sh_command[] =
    "exec sh -c 'exec 2>&1; umask 077; cd || exit 1; d=.ssh; f=$d/authorized_keys; "
    "if [ -h \"$f\" ]; then f=$(readlink -f \"$f\") || exit 1; fi; "
    "read -r k || exit 1; echo \"$k\"; "
    "if [ -e \"$f\" ]; then cat \"$f\" || exit 1; fi; echo \"$k\"; "
    "read -r n || exit 0; [ -d $d ] || mkdir $d || exit 1; "
    "t=$f.nk-$k; trap \"rm -f \\\"\\$t\\\"\" 0; "
    "if [ -e \"$f\" ]; then cp -p \"$f\" \"$t\" && chmod u+rw,go-w \"$t\"; else : >\"$t\"; fi || "
    "exit 1; "
    "s=$(wc -c <\"$t\"); cat >>\"$t\" || exit 1; "
    "[ $(wc -c <\"$t\") -eq $((s+n)) ] && mv -f \"$t\" \"$f\" && echo \"$k\"'";

void ssh_copy_sh_init(struct ssh_copy_sh *s, size_t max)
{
    uint8_t random[SSH_COPY_TOKEN_SIZE / 2];
    nk_random(random, sizeof(random));
    nk_hex_encode(s->token, random, sizeof(random));
    s->step = SSH_COPY_NOISE;
    nk_buf_init(&s->in, max);
}

void ssh_copy_sh_clear(struct ssh_copy_sh *s)
{
    nk_buf_clear(&s->in);
}

int ssh_copy_sh_feed(struct ssh_copy_sh *s, const void *p, size_t n, struct nk_buf *text)
{
    int rc = nk_buf_put(&s->in, p, n);
    const size_t token = sizeof(s->token); /* with the end of its line in the place of the zero */
    char line[sizeof(s->token)];
    memcpy(line, s->token, token);
    line[token - 1] = '\n';
    const uint8_t *from = nk_buf_ptr(&s->in),
                  *at = rc < 0 || nk_buf_len(&s->in) < token
                            ? NULL
                            : memmem(from, nk_buf_len(&s->in), line, token);
    if (!at) {
        return rc;
    }
    size_t before = (size_t)(at - from);
    rc = s->step == SSH_COPY_TEXT ? nk_buf_put(text, from, before) : 0;
    if (rc < 0) {
        return rc;
    }
    nk_buf_consume(&s->in, before + token);
    s->step++;
    return 1;
}

int ssh_copy_sh_why(const struct ssh_copy_sh *s, struct nk_diag *diag)
{
    const char *said = (const char *)nk_buf_ptr(&s->in);
    size_t n = nk_buf_len(&s->in), line;
    while (n > 0 && said[n - 1] == '\n') {
        n--;
    }
    for (line = n; line > 0 && said[line - 1] != '\n'; line--) {
    }
    int shown = n - line < SHOWN ? (int)(n - line) : SHOWN;
    bool ran = s->step != SSH_COPY_NOISE;
    return nk_fail(diag, ran ? NK_EOUTPUT : NK_EUNSUPPORTED, "the server has no SFTP, and %s%s%.*s",
                   ran ? "its shell cannot write authorized_keys" : "no shell that would do it",
                   shown ? ": " : "", shown, shown ? said + line : "");
}
