/* SPDX-License-Identifier: MIT */
/* CPace against the values of draft-irtf-cfrg-cpace-21 appendix B.3. */
#include "relay/cpace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "base/codec.h"

#define PRS "Password"
#define CI                                                                                         \
    "\x0b"                                                                                         \
    "A_initiator\x0b"                                                                              \
    "B_responder"
#define SID "7e4b4791d6a8ef019b936c79fb7f2c57"
#define G "222b6b195fe84b1652badb6f6a3ae3d24341e7306967f0b8115b40d5698c7e56"
#define YA_SCALAR "da3d23700a9e5699258aef94dc060dfda5ebb61f02a5ea77fad53f4ff0976d08"
#define YA "d6bac480f2c386c394efc7c47adb9925dcd2630b64f240c50f8d0eec482b9157"
#define YB_SCALAR "d2316b454718c35362d83d69df6320f38578ed5984651435e2949762d900b80d"
#define YB "3ea7e0b19560d7c0b0f5734f63b955286dfa8232b5ebe63324e2d9e7433f7258"
#define ISK                                                                                        \
    "b69effbf61b51d56401c0f65601abe428de8206feaaf0e32198896dcae7b35cd"                             \
    "2b38950a39dfd5d4a79164614c2984f7daa460b588c1e80c3fa2068af7900447"
#define NOT_A_POINT "2b3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c"

static void bytes(uint8_t *out, size_t n, const char *hex)
{
    assert_int_equal(nk_hex_decode(out, n, hex, strlen(hex), false), n);
}

static void assert_hex(const uint8_t *p, size_t n, const char *hex)
{
    uint8_t want[128];
    bytes(want, n, hex);
    assert_memory_equal(p, want, n);
}

static uint8_t *sid_bytes(uint8_t sid[16])
{
    bytes(sid, 16, SID);
    return sid;
}

static struct relay_cpace_inputs inputs(uint8_t sid[16])
{
    return (struct relay_cpace_inputs){.prs = {PRS, strlen(PRS)},
                                       .ci = {CI, strlen(CI)},
                                       .sid = {sid_bytes(sid), 16},
                                       .ad_a = {"ADa", 3},
                                       .ad_b = {"ADb", 3}};
}

static void start(struct relay_cpace *c, const struct relay_cpace_inputs *in, const char *hex)
{
    uint8_t scalar[RELAY_CPACE_SCALAR];
    bytes(scalar, sizeof(scalar), hex);
    assert_int_equal(relay_cpace_start(c, in, scalar), 0);
}

static void test_draft_vectors(void **state)
{
    (void)state;
    uint8_t sid[16], g[RELAY_CPACE_SHARE];
    struct relay_cpace_inputs in = inputs(sid);
    struct relay_cpace a, b;
    struct relay_cpace_result ra, rb;
    relay_cpace_generator(g, &in);
    assert_hex(g, sizeof(g), G);
    start(&a, &in, YA_SCALAR);
    start(&b, &in, YB_SCALAR);
    assert_hex(a.share, sizeof(a.share), YA);
    assert_hex(b.share, sizeof(b.share), YB);
    assert_int_equal(relay_cpace_finish(&a, &in, RELAY_CPACE_A, b.share, &ra), 0);
    assert_int_equal(relay_cpace_finish(&b, &in, RELAY_CPACE_B, a.share, &rb), 0);
    assert_hex(ra.isk, sizeof(ra.isk), ISK);
    assert_memory_equal(&ra, &rb, sizeof(ra));
}

/* §10.4, put together from libsodium's own pieces. */
static void test_confirmation_tags(void **state)
{
    (void)state;
    uint8_t sid[16], key[64], text[8 + 16 + 64], message[1 + 32 + 1 + 3], want[64];
    struct relay_cpace_inputs in = inputs(sid);
    struct relay_cpace a;
    struct relay_cpace_result r;
    uint8_t yb[RELAY_CPACE_SHARE];
    start(&a, &in, YA_SCALAR);
    bytes(yb, sizeof(yb), YB);
    assert_int_equal(relay_cpace_finish(&a, &in, RELAY_CPACE_A, yb, &r), 0);
    memcpy(text, "CPaceMac", 8);
    memcpy(text + 8, sid, 16);
    memcpy(text + 24, r.isk, 64);
    crypto_hash_sha512(key, text, sizeof(text));
    message[0] = 32;
    message[33] = 3;
    memcpy(message + 1, a.share, 32);
    memcpy(message + 34, "ADa", 3);
    crypto_auth_hmacsha512_state h;
    crypto_auth_hmacsha512_init(&h, key, sizeof(key));
    crypto_auth_hmacsha512_update(&h, message, sizeof(message));
    crypto_auth_hmacsha512_final(&h, want);
    assert_memory_equal(r.tag_a, want, sizeof(want));
    assert_memory_not_equal(r.tag_b, want, sizeof(want));
}

/* B.3.11: what does not decode, and the identity. Also our own share, from a mirror. */
static void test_bad_shares(void **state)
{
    (void)state;
    uint8_t sid[16], share[RELAY_CPACE_SHARE];
    static const struct relay_cpace_result wiped;
    struct relay_cpace_inputs in = inputs(sid);
    struct relay_cpace a;
    struct relay_cpace_result r;
    start(&a, &in, YA_SCALAR);
    bytes(share, sizeof(share), NOT_A_POINT);
    memset(&r, 1, sizeof(r));
    assert_int_equal(relay_cpace_finish(&a, &in, RELAY_CPACE_A, share, &r), NK_EAUTH);
    assert_memory_equal(&r, &wiped, sizeof(r));
    memset(share, 0, sizeof(share));
    assert_int_equal(relay_cpace_finish(&a, &in, RELAY_CPACE_A, share, &r), NK_EAUTH);
    assert_int_equal(relay_cpace_finish(&a, &in, RELAY_CPACE_A, a.share, &r), NK_EAUTH);
    memset(share, 0xff, sizeof(share)); /* not canonical */
    assert_int_equal(relay_cpace_finish(&a, &in, RELAY_CPACE_A, share, &r), NK_EAUTH);
}

/* Every input matters to the result. */
static void test_inputs_matter(void **state)
{
    (void)state;
    for (int which = 0; which < 5; which++) {
        uint8_t sid[16], other_sid[16];
        struct relay_cpace_inputs in = inputs(sid), other = inputs(other_sid);
        struct relay_cpace a, b;
        struct relay_cpace_result ra, rb;
        other_sid[15] ^= which == 0;
        if (which == 1) {
            other.prs.p = "passWord";
        } else if (which == 2) {
            other.ci.n--;
        } else if (which == 3) {
            other.ad_a.n--;
        } else if (which == 4) {
            other.ad_b = (struct relay_cpace_bytes){NULL, 0};
        }
        start(&a, &in, YA_SCALAR);
        start(&b, &other, YB_SCALAR);
        assert_int_equal(relay_cpace_finish(&a, &in, RELAY_CPACE_A, b.share, &ra), 0);
        assert_int_equal(relay_cpace_finish(&b, &other, RELAY_CPACE_B, a.share, &rb), 0);
        assert_memory_not_equal(ra.isk, rb.isk, sizeof(ra.isk));
        assert_memory_not_equal(ra.tag_a, rb.tag_a, sizeof(ra.tag_a));
        assert_memory_not_equal(ra.tag_b, rb.tag_b, sizeof(ra.tag_b));
    }
}

/* Around the lengths at which the padding ends and LEB128 takes a second byte (A.1.2): the
 * generator must differ for each, and the longest must not be read beyond. */
static void test_long_passwords(void **state)
{
    (void)state;
    static uint8_t long_text[300];
    uint8_t sid[16], g[RELAY_CPACE_SHARE], last[RELAY_CPACE_SHARE] = {0};
    struct relay_cpace_inputs in = inputs(sid);
    in.prs.p = long_text;
    for (in.prs.n = 0; in.prs.n <= sizeof(long_text); in.prs.n++) {
        relay_cpace_generator(g, &in);
        assert_memory_not_equal(g, last, sizeof(g));
        memcpy(last, g, sizeof(g));
    }
}

static void test_zero_scalar(void **state)
{
    (void)state;
    static const uint8_t zero[RELAY_CPACE_SCALAR];
    uint8_t sid[16];
    struct relay_cpace_inputs in = inputs(sid);
    struct relay_cpace a;
    assert_int_equal(relay_cpace_start(&a, &in, zero), NK_EINTERNAL);
    start(&a, &in, YA_SCALAR);
    relay_cpace_clear(&a);
    assert_memory_equal(a.scalar, zero, sizeof(zero));
}

int nk_test_relay_cpace(void);
int nk_test_relay_cpace(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draft_vectors),  cmocka_unit_test(test_confirmation_tags),
        cmocka_unit_test(test_bad_shares),     cmocka_unit_test(test_inputs_matter),
        cmocka_unit_test(test_long_passwords), cmocka_unit_test(test_zero_scalar),
    };
    return cmocka_run_group_tests_name("relay/cpace", tests, NULL, NULL);
}
