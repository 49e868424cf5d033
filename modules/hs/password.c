/* SPDX-License-Identifier: MIT */
#include "hs/password.h"

#include "base/ask.h"
#include "base/file.h"

static int check(const struct nk_secret *s, bool is_new, struct nk_diag *diag)
{
    if (s->len == 0) {
        return nk_fail(diag, NK_EUSAGE, "the password is empty");
    }
    if (s->len > HS_PASSWORD_MAX) {
        return nk_fail(diag, NK_EUSAGE, "the password is longer than %u bytes", HS_PASSWORD_MAX);
    }
    if (is_new && s->len < HS_PASSWORD_MIN) {
        return nk_fail(diag, NK_EUSAGE, "the password is shorter than %u characters",
                       HS_PASSWORD_MIN);
    }
    return 0;
}

static int check_new(void *arg, const struct nk_secret *s, struct nk_diag *diag)
{
    return check(s, *(const bool *)arg, diag);
}

int hs_password_get(const struct hs_password_conf *c, bool is_new, bool no_input,
                    struct nk_secret *out, struct nk_diag *diag)
{
    const struct nk_ask q = {.what = "password",
                             .question = "password of the backup: ",
                             .hint = "use --password-file or --password-fd",
                             .is_new = is_new,
                             .check = check_new,
                             .arg = &is_new};
    struct nk_secret s = {0};
    int rc;
    if (c->file && c->fd >= 0) {
        return nk_fail(diag, NK_EUSAGE, "--password-file and --password-fd exclude each other");
    }
    if (c->file) {
        rc = nk_file_read_secret(c->file, true, &s, diag);
    } else if (c->fd >= 0) {
        rc = nk_secret_line((int)c->fd, &s, diag);
    } else if (no_input) {
        rc = nk_fail(diag, NK_EUSAGE, "--no-input needs --password-file or --password-fd");
    } else {
        rc = nk_ask_secret(&q, &s, diag);
    }
    rc = rc < 0 ? rc : check(&s, is_new, diag);
    if (rc < 0) {
        nk_secret_clear(&s);
        return rc;
    }
    nk_secret_clear(out);
    *out = s;
    return 0;
}
