/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/tls_testkit.h"

enum { KIT_SANS = 8 };

void kit_cert_make(struct kit_cert *out, const char *cn, const char *sans, int64_t from, int64_t to,
                   const struct kit_cert *issuer, bool ca)
{
    const char *list[KIT_SANS];
    char *copy = sans ? strdup(sans) : NULL, *save = NULL;
    struct tls_cert_spec spec = {.cn = cn, .sans = list, .ca = ca};
    struct nk_diag diag = {0};
    int64_t now = (int64_t)time(NULL);
    memset(out, 0, sizeof(*out));
    nk_buf_init(&out->cert, 65536);
    for (char *s = copy ? strtok_r(copy, ",", &save) : NULL; s; s = strtok_r(NULL, ",", &save)) {
        assert_true(spec.nsans < KIT_SANS);
        list[spec.nsans++] = s;
    }
    spec.not_before = now + from;
    spec.not_after = now + to;
    if (issuer) {
        spec.issuer_cert = kit_cert_pem((struct kit_cert *)(uintptr_t)issuer);
        spec.issuer_key = &issuer->key;
    }
    int rc = tls_cert_generate(&spec, &out->key, &out->cert, &diag);
    if (rc != 0) {
        fail_msg("%s", diag.text);
    }
    free(copy);
}

const char *kit_cert_pem(struct kit_cert *c)
{
    return nk_buf_str(&c->cert);
}

const char *kit_key_pem(struct kit_cert *c)
{
    struct nk_secret z = {0};
    if (c->key.len == 0 || c->key.data[c->key.len - 1] != 0) {
        assert_int_equal(nk_secret_alloc(&z, c->key.len + 1), 0);
        memcpy(z.data, c->key.data, c->key.len);
        nk_secret_clear(&c->key);
        c->key = z;
    }
    return (const char *)c->key.data;
}

void kit_cert_clear(struct kit_cert *c)
{
    nk_secret_clear(&c->key);
    nk_buf_clear(&c->cert);
}
