/* SPDX-License-Identifier: MIT */
#include "relay/certshare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/secret.h"

static const struct relay_stretch_params params = {
    .salt = "0123456789abcde", .mem_kib = RELAY_STRETCH_KIB_MIN, .passes = 1};
static const uint8_t right[RELAY_LOGIN_PRS] = {1}, wrong[RELAY_LOGIN_PRS] = {2};
static const char pem[] = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";

struct pair {
    struct relay_certshare server, client;
    int server_rc, client_rc;
    size_t flip; /* this byte of all that travels is changed; SIZE_MAX: none */
    size_t moved;
};

/* Everything of from's output goes to `to`, in pieces of at most `step` bytes. */
static int pass(struct pair *p, struct relay_certshare *from, struct relay_certshare *to,
                size_t step)
{
    uint8_t waiting[RELAY_CERTSHARE_MAX + 256];
    size_t have = 0, used;
    int rc = RELAY_CERTSHARE_MORE;
    while (nk_buf_len(&from->out) && rc == RELAY_CERTSHARE_MORE) {
        size_t n = nk_buf_len(&from->out) < step ? nk_buf_len(&from->out) : step;
        memcpy(waiting + have, nk_buf_ptr(&from->out), n);
        for (size_t i = 0; i < n; i++, p->moved++) {
            waiting[have + i] ^= p->moved == p->flip;
        }
        nk_buf_consume(&from->out, n);
        have += n;
        rc = relay_certshare_input(to, waiting, have, &used);
        have -= used;
        memmove(waiting, waiting + used, have);
    }
    return rc;
}

static void run(struct pair *p, const uint8_t *client_prs, size_t step)
{
    p->moved = 0;
    relay_certshare_server_init(&p->server, &params, right, pem, strlen(pem));
    assert_int_equal(relay_certshare_client_init(&p->client), 0);
    p->server_rc = pass(p, &p->client, &p->server, step);
    p->client_rc = p->server_rc < 0 ? NK_ECLOSED : pass(p, &p->server, &p->client, step);
    if (p->client_rc == RELAY_CERTSHARE_STRETCH) {
        assert_memory_equal(&p->client.params, &params, sizeof(params));
        p->client_rc = relay_certshare_client_stretched(&p->client, client_prs);
        p->server_rc = pass(p, &p->client, &p->server, step);
    }
    if (p->server_rc == RELAY_CERTSHARE_MORE && p->client_rc == RELAY_CERTSHARE_MORE) {
        p->client_rc = pass(p, &p->server, &p->client, step);
    }
    if (p->client_rc == RELAY_CERTSHARE_DONE) {
        p->server_rc = pass(p, &p->client, &p->server, step);
    }
}

static void end(struct pair *p)
{
    relay_certshare_clear(&p->client);
    relay_certshare_clear(&p->server);
}

static void test_exchange(void **state)
{
    (void)state;
    struct pair p = {.flip = SIZE_MAX};
    for (size_t step = 1; step <= 301; step += 100) {
        run(&p, right, step);
        assert_int_equal(p.client_rc, RELAY_CERTSHARE_DONE);
        assert_int_equal(p.server_rc, RELAY_CERTSHARE_DONE);
        assert_int_equal(nk_buf_len(&p.client.cert), strlen(pem));
        assert_memory_equal(nk_buf_ptr(&p.client.cert), pem, strlen(pem));
        end(&p);
    }
}

static void test_wrong_password(void **state)
{
    (void)state;
    struct pair p = {.flip = SIZE_MAX};
    run(&p, wrong, 1000);
    assert_int_equal(p.client_rc, NK_EAUTH);
    assert_int_equal(nk_buf_len(&p.client.cert), 0);
    assert_int_equal(nk_buf_len(&p.client.out), 0); /* Ta is not given away */
    uint8_t zeros[RELAY_CPACE_TAG] = {0};
    size_t used;
    assert_int_equal(relay_certshare_input(&p.server, zeros, sizeof(zeros), &used), NK_EAUTH);
    assert_int_equal(relay_certshare_input(&p.server, zeros, sizeof(zeros), &used), NK_EPROTO);
    end(&p);
}

/* Whatever byte is changed on the way, above all one of the certificate: it is never accepted. The
 * salt and the parameters are no input of the exchange here, since the password comes stretched. */
static void test_every_byte(void **state)
{
    (void)state;
    struct pair p = {.flip = SIZE_MAX};
    run(&p, right, 1000);
    size_t total = p.moved, hello = strlen(RELAY_CERTSHARE_PREAMBLE) + 32, salt = hello + 1 + 32;
    end(&p);
    for (p.flip = 0; p.flip < total - RELAY_CPACE_TAG; p.flip++) {
        if (p.flip >= salt && p.flip < salt + RELAY_LOGIN_SALT + 8) {
            continue;
        }
        run(&p, right, 1000);
        if (p.client_rc == RELAY_CERTSHARE_DONE || nk_buf_len(&p.client.cert)) {
            fail_msg("byte %zu", p.flip);
        }
        end(&p);
    }
    for (; p.flip < total; p.flip++) { /* Ta: the server is not convinced */
        run(&p, right, 1000);
        assert_int_equal(p.server_rc, NK_EAUTH);
        end(&p);
    }
}

static void test_lengths(void **state)
{
    (void)state;
    uint8_t answer[RELAY_CPACE_SHARE + RELAY_CPACE_TAG + 4] = {0};
    static const uint8_t lengths[][4] = {{0}, {1, 0, 1, 0}, {255, 255, 255, 255}};
    for (size_t i = 0; i < 3; i++) {
        struct relay_certshare c;
        size_t used;
        assert_int_equal(relay_certshare_client_init(&c), 0);
        c.state = RELAY_CERTSHARE_ANSWER_STATE;
        memcpy(answer + sizeof(answer) - 4, lengths[i], 4);
        assert_int_equal(relay_certshare_input(&c, answer, sizeof(answer), &used), NK_EPROTO);
        relay_certshare_clear(&c);
    }
}

int nk_test_relay_certshare(void);
int nk_test_relay_certshare(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_wrong_password),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests_name("relay/certshare", tests, NULL, NULL);
}
