/* SPDX-License-Identifier: MIT */
/* What an idle TLS stream holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include <mbedtls/platform.h>

#include "tls/filter.h"
#include "tls/tls_testkit.h"

int nk_test_tls_filter_memory(void);

enum { COUNT_HEADER = 16, IDLE_LIMIT = 5120 };

static size_t counted; /* bytes that mbedTLS holds */

static void *count_calloc(size_t n, size_t size)
{
    size_t *p = calloc(1, COUNT_HEADER + n * size);
    if (!p) {
        return NULL;
    }
    *p = n * size;
    counted += n * size;
    return (char *)p + COUNT_HEADER;
}

static void count_free(void *p)
{
    if (p) {
        size_t *q = (size_t *)(void *)((char *)p - COUNT_HEADER);
        counted -= *q;
        free(q);
    }
}

/* Everything that an idle connection holds: the stream and what mbedTLS has allocated for it. Both
 * ends live here, so both are counted, with certificates on both sides. */
static void test_idle_memory(void **state)
{
    struct kit_fixture *x = *state;
    struct kit_rig r;
    struct tls_creds_conf sc = kit_server_conf(x), cc = kit_client_conf(x);
    sc.ca_text = kit_cert_pem(&x->ca);
    cc.cert_text = kit_cert_pem(&x->client);
    cc.key_text = kit_key_pem(&x->client);
    mbedtls_platform_set_calloc_free(count_calloc, count_free);
    kit_rig_new(&r, &sc, &cc);
    kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE); /* PSA's store of keys is everybody's */
    assert_true(kit_run(r.app, kit_both_connected, &r));
    kit_rig_disconnect(&r);
    tls_park_pool_clear(tls_io_parking(tls_io_get(r.app)));
    size_t before = counted;
    kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE);
    assert_true(kit_run(r.app, kit_both_connected, &r));
    kit_peer_send(&r.server, "hello", 5);
    kit_peer_send(&r.client, "hello", 5);
    assert_true(kit_run(r.app, kit_got_both, &r));
    for (int i = 0; i < 5; i++) {
        nk_app_turn(r.app, 0);
    }
    struct tls_stream *s = (struct tls_stream *)r.server.s, *c = (struct tls_stream *)r.client.s;
    assert_true(s->park.parked && c->park.parked);
    assert_null(s->in.p);
    assert_null(s->out.p);
    assert_null(s->attempt);
    tls_park_pool_clear(tls_io_parking(s->io)); /* spares belong to the app, not to a connection */
    size_t both = counted - before + 2 * sizeof(struct tls_stream);
    print_message("idle: %zu bytes for both ends, of which the streams %zu each\n", both,
                  sizeof(struct tls_stream));
    assert_true(both <= IDLE_LIMIT + IDLE_LIMIT);
    size_t client_side = counted;
    nk_stream_close(r.server.s);
    r.server.s = NULL;
    size_t server = client_side - counted + sizeof(struct tls_stream);
    print_message("idle: server end %zu bytes, client end %zu\n", server, both - server);
    assert_true(server <= IDLE_LIMIT);
    assert_true(both - server <= IDLE_LIMIT);
    kit_rig_disconnect(&r);
    kit_rig_free(&r);
    mbedtls_platform_set_calloc_free(calloc, free);
}

int nk_test_tls_filter_memory(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_idle_memory)};
    return cmocka_run_group_tests_name("tls/filter_memory", tests, kit_set_up, kit_tear_down);
}
