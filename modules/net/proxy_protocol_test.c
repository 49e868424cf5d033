/* SPDX-License-Identifier: MIT */
#include "net/proxy_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define V2 "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
#define V4_ADDRS "\xc0\x00\x02\x01\xc6\x33\x64\x07\xca\xfe\x01\xbb"

/* 192.0.2.1:51966 to 198.51.100.7:443, a checksum made by another implementation, a unique id, and
 * TLS 1.3 with a verified client "alice". */
static const uint8_t full[] = V2 "\x21\x11\x00\x34" V4_ADDRS "\x03\x00\x04\x88\xd7\xe8\xd3"
                                 "\x05\x00\x04id-1"
                                 "\x20\x00\x17\x07\x00\x00\x00\x00\x21\x00\x07TLSv1.3"
                                 "\x22\x00\x05"
                                 "alice";
enum { FULL = sizeof(full) - 1 };

/* Reads as from a stream on which more follows: never a byte too many. */
static int feed(const void *p, size_t n, struct net_proxy_header *h, size_t *used)
{
    struct nk_diag why = {0};
    ssize_t want;
    *used = 0;
    while ((want = net_proxy_want(p, *used, &why)) > 0) {
        if (*used + (size_t)want > n) {
            return NK_EAGAIN;
        }
        *used += (size_t)want;
    }
    int rc = want < 0 ? (int)want : net_proxy_read(p, *used, h, &why);
    assert_true(rc == 0 || (rc == NK_EPROTO && strncmp(why.text, "PROXY protocol: ", 16) == 0));
    return rc;
}

/* A client that goes on sending whatever it sends. */
static void must_refuse(const void *p, size_t n, struct net_proxy_header *h)
{
    char more[512];
    size_t used;
    assert_true(n + 128 <= sizeof(more));
    memset(more, 'x', sizeof(more));
    memcpy(more, p, n);
    assert_int_equal(feed(more, n + 128, h, &used), NK_EPROTO);
}

static void must_say(const struct net_proxy_header *h, const char *from, const char *to)
{
    char text[160];
    assert_true(h->known);
    assert_string_equal(nk_addr_format(text, sizeof(text), &h->from), from);
    assert_string_equal(nk_addr_format(text, sizeof(text), &h->to), to);
}

static void test_version1(void **state)
{
    (void)state;
    static const struct {
        const char *line, *from, *to; /* NULL: unknown */
    } good[] = {
        {"PROXY TCP4 192.0.2.1 198.51.100.7 51966 443\r\n", "192.0.2.1:51966", "198.51.100.7:443"},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535",
         "255.255.255.255:65535"},
        {"PROXY TCP4 1.1.1.1 1.1.1.1 0 1\r\n", "1.1.1.1:0", "1.1.1.1:1"},
        {"PROXY TCP6 2001:DB8::1 fe80::2 1 2\r\n", "[2001:db8::1]:1", "[fe80::2]:2"},
        {"PROXY TCP6 :: :: 1 2\r\n", "[::]:1", "[::]:2"},
        {"PROXY UNKNOWN\r\n", NULL, NULL},
        {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", NULL, NULL},
    };
    struct net_proxy_header h;
    char both[160];
    size_t used;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(both, sizeof(both), "%s%s", good[i].line, "\nGET / HTTP/1.0\r\n\r\n");
        assert_int_equal(feed(both, strlen(both), &h, &used), 0);
        assert_int_equal(used, strlen(good[i].line)); /* nothing of what follows */
        assert_int_equal(h.version, 1);
        if (good[i].from) {
            must_say(&h, good[i].from, good[i].to);
        } else {
            assert_false(h.known);
        }
        assert_int_equal(feed(both, used - 1, &h, &used), NK_EAGAIN);
    }
}

static void test_version1_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "GET / HTTP/1.1\r\n",
        "PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
        "PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
        "PROXY TCP4 1.1.1.1\t1.1.1.1 1 1 1\r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.256 1 1\r\n",
        "PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n",
        "PROXY TCP4 ::1 ::1 1 1\r\n",
        "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
        "PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n",
        "PROXY TCP 1.1.1.1 1.1.1.1 1 1\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY unknown\r\n",
        "proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
        "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n",
        "PROXY UNKNOWN\n\r\n",
    };
    struct net_proxy_header h = {.version = 7};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        must_refuse(lines[i], strlen(lines[i]), &h);
    }
    /* a NUL in an address is not its end */
    static const char nul[] = "PROXY TCP4 1.1.1.1\0 1.1.1.1 1 1\r\n";
    must_refuse(nul, sizeof(nul) - 1, &h);
    assert_int_equal(h.version, 7); /* untouched */
    /* 107 bytes with the line's end, and one more */
    char line[128];
    size_t used;
    snprintf(line, sizeof(line), "PROXY UNKNOWN %091d\r\n", 0);
    assert_int_equal(feed(line, strlen(line), &h, &used), 0);
    snprintf(line, sizeof(line), "PROXY UNKNOWN %092d\r\n", 0);
    must_refuse(line, strlen(line), &h);
    /* also where all of it is there at once */
    struct nk_diag why;
    assert_int_equal(net_proxy_want((const uint8_t *)line, strlen(line), &why), NK_EPROTO);
    assert_int_equal(net_proxy_read((const uint8_t *)line, strlen(line), &h, &why), NK_EPROTO);
}

static void test_version2(void **state)
{
    (void)state;
    struct net_proxy_header h;
    struct net_proxy_tlv t, cn;
    uint8_t both[FULL + 5];
    size_t used;
    memcpy(both, full, FULL);
    memcpy(both + FULL, "hello", 5);
    assert_int_equal(feed(both, sizeof(both), &h, &used), 0);
    assert_int_equal(used, FULL);
    assert_int_equal(h.version, 2);
    must_say(&h, "192.0.2.1:51966", "198.51.100.7:443");
    assert_true(net_proxy_find(h.tlvs, h.tlvs_len, NET_PROXY_UNIQUE_ID, &t));
    assert_memory_equal(t.value, "id-1", 4);
    assert_true(net_proxy_find(h.tlvs, h.tlvs_len, NET_PROXY_SSL, &t));
    assert_true(net_proxy_find(t.value + 5, t.len - 5u, NET_PROXY_SSL_CN, &cn));
    assert_int_equal(cn.len, 5);
    assert_memory_equal(cn.value, "alice", 5);
    assert_false(net_proxy_find(h.tlvs, h.tlvs_len, NET_PROXY_ALPN, &t));
    for (size_t n = 0; n < FULL; n++) {
        assert_int_equal(feed(full, n, &h, &used), NK_EAGAIN);
    }
    /* any flipped bit behind the lengths breaks the checksum */
    for (size_t i = 16; i < FULL; i++) {
        i += i == 28; /* with another type there is no checksum */
        memcpy(both, full, FULL);
        both[i] ^= 0x10;
        assert_int_equal(feed(both, FULL, &h, &used), NK_EPROTO);
    }
}

#define CASE(text) text, sizeof(text) - 1

static void test_version2_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *p;
        size_t n;
        bool known;
        size_t tlvs;
    } good[] = {
        {CASE(V2 "\x20\x00\x00\x00"), false, 0},
        {CASE(V2 "\x20\xff\x00\x03\x01\x02\x03"), false, 0}, /* LOCAL: all is ignored */
        {CASE(V2 "\x21\x00\x00\x00"), false, 0},
        {CASE(V2 "\x21\x00\x00\x05\x02\x00\x02"
                 "ab"),
         false, 5},
        {CASE(V2 "\x21\x12\x00\x0c" V4_ADDRS), false, 0}, /* datagrams are not this connection */
        {CASE(V2 "\x21\x11\x00\x0f" V4_ADDRS "\xe0\x00\x00"), true, 3},
    };
    struct net_proxy_header h;
    size_t used;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(feed(good[i].p, good[i].n, &h, &used), 0);
        assert_int_equal(used, good[i].n);
        assert_int_equal(h.known, good[i].known);
        assert_int_equal(h.tlvs_len, good[i].tlvs);
    }
}

static void test_version2_refused(void **state)
{
    (void)state;
    static const struct {
        const char *p;
        size_t n;
    } wrong[] = {
        {CASE(V2 "\x31\x11\x00\x0c" V4_ADDRS)}, /* version 3 */
        {CASE(V2 "\x11\x11\x00\x0c" V4_ADDRS)},
        {CASE(V2 "\x22\x11\x00\x0c" V4_ADDRS)}, /* no such command */
        {CASE(V2 "\x21\x10\x00\x0c" V4_ADDRS)}, /* nor families and protocols */
        {CASE(V2 "\x21\x13\x00\x0c" V4_ADDRS)},
        {CASE(V2 "\x21\x01\x00\x0c" V4_ADDRS)},
        {CASE(V2 "\x21\x41\x00\x0c" V4_ADDRS)},
        {CASE(V2 "\x21\x11\x00\x0b\xc0\x00\x02\x01\xc6\x33\x64\x07\xca\xfe\x01")},
        {CASE(V2 "\x21\x21\x00\x0c" V4_ADDRS)},
        {CASE(V2 "\x21\x11\x00\x0e" V4_ADDRS "\x01\x00")}, /* half a field */
        {CASE(V2 "\x21\x11\x00\x10" V4_ADDRS "\x01\x00\x02x")},
        {CASE(V2 "\x21\x11\x00\x12" V4_ADDRS "\x03\x00\x03\x00\x00\x00")}, /* checksums */
        {CASE(V2 "\x21\x11\x00\x13" V4_ADDRS "\x03\x00\x04\x00\x00\x00\x00")},
        {CASE(V2 "\x21\x11\x00\x13" V4_ADDRS "\x20\x00\x04\x01\x00\x00\x00")}, /* about TLS */
        {CASE(V2 "\x21\x11\x00\x18" V4_ADDRS "\x20\x00\x09\x01\x00\x00\x00\x00\x22\x00\x02x")},
        {CASE(V2 "\x21\x11\x1f\xf1")}, /* 8193 bytes */
        {CASE("\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0b")},
    };
    struct net_proxy_header h;
    size_t used;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        must_refuse(wrong[i].p, wrong[i].n, &h);
    }
    uint8_t id[16 + 12 + 3 + 129] = V2 "\x21\x11\x00\x90" V4_ADDRS "\x05\x00\x81";
    assert_int_equal(feed(id, sizeof(id), &h, &used), NK_EPROTO);
    id[15]--, id[30]--;
    assert_int_equal(feed(id, sizeof(id), &h, &used), 0);
}

/* What is written reads as the same, in both versions. */
static void test_writes(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *line; /* as texts; the header of version 1 */
        const char *as_from, *as_to;  /* as read from version 2; NULL: unknown */
    } rows[] = {
        {"127.0.0.1:1", "10.0.0.1:65535", "PROXY TCP4 127.0.0.1 10.0.0.1 1 65535\r\n",
         "127.0.0.1:1", "10.0.0.1:65535"},
        {"[::1]:1", "[2001:db8::1]:2", "PROXY TCP6 ::1 2001:db8::1 1 2\r\n", "[::1]:1",
         "[2001:db8::1]:2"},
        {"127.0.0.1:1", "[::1]:2", "PROXY TCP6 ::ffff:127.0.0.1 ::1 1 2\r\n", "127.0.0.1:1",
         "[::1]:2"},
        {"unix:uid=0", "unix:/run/x", "PROXY UNKNOWN\r\n", "unix:", "unix:/run/x"},
        {"pid 12", "circuit 9", "PROXY UNKNOWN\r\n", NULL, NULL},
        {"", ":", "PROXY UNKNOWN\r\n", NULL, NULL},
        {"1.2.3.4:99999", "[::1:2", "PROXY UNKNOWN\r\n", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nk_addr from, to;
        struct net_proxy_header h;
        struct nk_buf b;
        nk_buf_init(&b, NET_PROXY_MAX);
        (void)net_proxy_addr(rows[i].from, &from); /* the rows say what becomes of others */
        (void)net_proxy_addr(rows[i].to, &to);
        assert_int_equal(net_proxy_write(&b, 1, &from, &to, NULL, 0), 0);
        assert_string_equal(nk_buf_str(&b), rows[i].line);
        nk_buf_reset(&b);
        assert_int_equal(net_proxy_write(&b, 2, &from, &to, "\xe0\x00\x01x", 4), 0);
        assert_int_equal(net_proxy_read(nk_buf_ptr(&b), nk_buf_len(&b), &h, NULL), 0);
        assert_int_equal(h.tlvs_len, 4);
        if (rows[i].as_from) {
            must_say(&h, rows[i].as_from, rows[i].as_to);
        } else {
            assert_false(h.known);
        }
        nk_buf_clear(&b);
    }
}

static void test_writes_fields(void **state)
{
    (void)state;
    struct net_proxy_header h;
    struct net_proxy_tlv t, inner;
    struct nk_buf own, out;
    const struct net_proxy_tls tls = {.cert = true, .version = "TLSv1.3", .cn = "bob"};
    nk_buf_init(&own, NET_PROXY_MAX);
    nk_buf_init(&out, NET_PROXY_MAX);
    assert_int_equal(net_proxy_read(full, FULL, &h, NULL), 0);
    assert_int_equal(net_proxy_put_tls(&own, &tls), 0);
    assert_int_equal(net_proxy_put_others(&own, h.tlvs, h.tlvs_len), 0);
    assert_int_equal(net_proxy_write(&out, 2, &h.from, &h.to, nk_buf_ptr(&own), nk_buf_len(&own)),
                     0);
    /* its checksum is right, the id went through, and what is said about TLS is ours */
    assert_int_equal(net_proxy_read(nk_buf_ptr(&out), nk_buf_len(&out), &h, NULL), 0);
    must_say(&h, "192.0.2.1:51966", "198.51.100.7:443");
    assert_true(net_proxy_find(h.tlvs, h.tlvs_len, NET_PROXY_CRC32C, &t));
    assert_true(net_proxy_find(h.tlvs, h.tlvs_len, NET_PROXY_UNIQUE_ID, &t));
    assert_true(net_proxy_find(h.tlvs, h.tlvs_len, NET_PROXY_SSL, &t));
    assert_memory_equal(t.value, "\x07\0\0\0\0", 5);
    assert_true(net_proxy_find(t.value + 5, t.len - 5u, NET_PROXY_SSL_CN, &inner));
    assert_memory_equal(inner.value, "bob", 3);
    const uint8_t *rest = t.value + t.len;
    assert_false(net_proxy_find(rest, (size_t)(h.tlvs + h.tlvs_len - rest), NET_PROXY_SSL, &t));
    nk_buf_reset(&out);
    static const uint8_t big[NET_PROXY_MAX];
    assert_int_equal(net_proxy_write(&out, 2, &h.from, &h.to, big, sizeof(big)), NK_ETOOBIG);
    assert_int_equal(nk_buf_len(&out), 0);
    nk_buf_clear(&own);
    nk_buf_clear(&out);
}

int nk_test_net_proxy_protocol(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version1),         cmocka_unit_test(test_version1_refused),
        cmocka_unit_test(test_version2),         cmocka_unit_test(test_version2_kinds),
        cmocka_unit_test(test_version2_refused), cmocka_unit_test(test_writes),
        cmocka_unit_test(test_writes_fields),
    };
    return cmocka_run_group_tests_name("net/proxy_protocol", tests, NULL, NULL);
}
