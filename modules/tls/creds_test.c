/* SPDX-License-Identifier: MIT */
/* Credentials by themselves: what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tls/tls_testkit.h"

int nk_test_tls_creds(void);

enum { DAY = 86400 };

/* Certificates are made once. */
struct fixture {
    struct kit_cert ca, leaf, client;
};

static int set_up(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));
    kit_cert_make(&x->ca, "test CA", NULL, -DAY, DAY, NULL, true);
    kit_cert_make(&x->leaf, "server", "DNS:srv.test", -DAY, DAY, &x->ca, false);
    kit_cert_make(&x->client, "alice", NULL, -DAY, DAY, &x->ca, false);
    *state = x;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *x = *state;
    kit_cert_clear(&x->ca);
    kit_cert_clear(&x->leaf);
    kit_cert_clear(&x->client);
    free(x);
    return 0;
}

static void test_bad_creds(void **state)
{
    struct fixture *x = *state;
    struct tls_creds *c;
    struct nk_diag diag;
    const char *badpin[] = {"sha256:zz"};
    struct tls_creds_conf bad[] = {
        {.role = TLS_SERVER},
        {.role = TLS_SERVER, .cert_text = kit_cert_pem(&x->leaf)},
        {.role = TLS_SERVER,
         .cert_text = kit_cert_pem(&x->leaf),
         .key_text = kit_key_pem(&x->client)},
        {.role = TLS_SERVER, .cert_text = "junk", .key_text = kit_key_pem(&x->client)},
        {.role = TLS_SERVER, .cert_text = "", .key_text = kit_key_pem(&x->client)},
        {.role = TLS_CLIENT, .ca_text = ""},
        {.role = TLS_CLIENT,
         .ca_text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        {.role = TLS_CLIENT, .ca_text = kit_cert_pem(&x->ca), .pins = badpin, .npins = 1},
        {.role = TLS_CLIENT, .ca_text = kit_cert_pem(&x->ca), .key_text = kit_key_pem(&x->ca)},
        {.role = TLS_CLIENT, .ca = "/nonexistent/ca.pem"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&diag, 0, sizeof(diag));
        int rc = tls_creds_new(&c, &bad[i], &diag);
        if (rc >= 0 || diag.code != rc || diag.text[0] == 0) {
            fail_msg("case %zu: %d %s", i, rc, diag.text);
        }
    }
}

int nk_test_tls_creds(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_creds),
    };
    return cmocka_run_group_tests_name("tls/creds", tests, set_up, tear_down);
}
