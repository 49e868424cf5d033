/* SPDX-License-Identifier: MIT */
#include "relay/wire_pickle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/codec.h"

static struct relay_pickle *reader(void **state)
{
    return *state;
}

static int setup(void **state)
{
    *state = relay_pickle_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    relay_pickle_free(*state);
    return 0;
}

/* Hex with blanks between the parts. */
static size_t unhex(uint8_t *out, size_t max, const char *hex)
{
    char digits[2048];
    size_t n = 0;
    for (; *hex; hex++) {
        if (*hex != ' ') {
            assert_true(n < sizeof(digits) - 1);
            digits[n++] = *hex;
        }
    }
    ssize_t got = nk_hex_decode(out, max, digits, n, false);
    assert_true(got >= 0);
    return (size_t)got;
}

static int parse_hex(struct relay_pickle *k, const char *hex, struct relay_envelope *e)
{
    static const struct relay_envelope none;
    uint8_t *raw = malloc(1024), *exact;
    size_t n = unhex(raw, 1024, hex);
    exact = malloc(n ? n : 1); /* so that the sanitizer sees a read past the end */
    memcpy(exact, raw, n);
    const char *why = NULL;
    *e = none;
    int rc = relay_envelope_parse(k, exact, n, e, &why);
    assert_true(rc == 0 || why != NULL);
    if (rc == 0) { /* the names outlive this call only as a copy */
        static char names[4][64];
        static struct relay_dest dest[4];
        assert_true(e->ndest <= 4);
        for (size_t i = 0; i < e->ndest; i++) {
            assert_true(e->dest[i].len < sizeof(names[0]));
            dest[i] = e->dest[i];
            memcpy(names[i], e->dest[i].name, e->dest[i].len);
            dest[i].name = (const uint8_t *)names[i];
        }
        e->dest = dest;
    }
    free(exact);
    free(raw);
    return rc;
}

static void assert_dest(const struct relay_envelope *e, size_t i, const char *name, int64_t n)
{
    assert_true(i < e->ndest);
    assert_int_equal(e->dest[i].len, strlen(name));
    assert_memory_equal(e->dest[i].name, name, strlen(name));
    assert_true(e->dest[i].n == n);
}

/* What unmodified endpoints were seen to send. */
#define ACK1 "8004 950e00000000000000 28 4b01 8c0341434b94 4e4e 7494 2e"
#define HELLO_A "8004 951500000000000000 28 4b01 8c0548454c4c4f94 4e 8c0141948594 7494 2e"
#define OBJ_HI                                                                                     \
    "8004 952c00000000000000 28 4b02 8c034f424a94 7d94 8c014294 4affffffff 73 "                    \
    "4311 80049506000000000000008c02686994 2e 94 7494 2e"
#define NTF_B                                                                                      \
    "8004 951c00000000000000 28 4b02 8c034e544694 7d94 8c014294 4b01 73 43048004 4e2e 94 7494 2e"
#define HELLO_37 "8003 28 4b01 580500000048454c4c4f 7100 4e 580100000041 7101 85 7102 74 7103 2e"

static void test_transcript(void **state)
{
    struct relay_pickle *k = reader(state);
    struct relay_envelope e;
    assert_int_equal(parse_hex(k, ACK1, &e), 0);
    assert_int_equal(e.cmd, RELAY_CMD_ACK);
    assert_true(e.stamp == 1 && e.ndest == 0);
    assert_int_equal(parse_hex(k, HELLO_A, &e), 0);
    assert_int_equal(e.cmd, RELAY_CMD_HELLO);
    assert_int_equal(e.ndest, 1);
    assert_dest(&e, 0, "A", 0);
    assert_int_equal(parse_hex(k, HELLO_37, &e), 0);
    assert_int_equal(e.cmd, RELAY_CMD_HELLO);
    assert_dest(&e, 0, "A", 0);
    assert_int_equal(parse_hex(k, OBJ_HI, &e), 0);
    assert_int_equal(e.cmd, RELAY_CMD_OBJ);
    assert_true(e.stamp == 2 && e.obj_len == 17 && e.obj_off == 34);
    assert_dest(&e, 0, "B", -1);
    assert_int_equal(parse_hex(k, NTF_B, &e), 0);
    assert_int_equal(e.cmd, RELAY_CMD_NTF);
    assert_dest(&e, 0, "B", 1);
}

/* A destination of two groups is written between MARK and SETITEMS; the object is BINBYTES. */
static void test_two_destinations(void **state)
{
    struct relay_envelope e;
    assert_int_equal(parse_hex(reader(state),
                               "8004 28 4b03 8c034f424a94 7d94 28 8c014294 4b01 8c014394 4b02 75 "
                               "4203000000616263 94 7494 2e",
                               &e),
                     0);
    assert_int_equal(e.ndest, 2);
    assert_dest(&e, 0, "B", 1);
    assert_dest(&e, 1, "C", 2);
    assert_int_equal(e.obj_len, 3);
}

/* A group called "OBJ" is the command's own string again: it arrives as BINGET. */
static void test_memo(void **state)
{
    struct relay_envelope e;
    assert_int_equal(parse_hex(reader(state),
                               "8004 28 4b03 8c034f424a94 7d94 6800 4b01 73 430161 94 7494 2e", &e),
                     0);
    assert_dest(&e, 0, "OBJ", 1);
    assert_int_equal(
        parse_hex(reader(state),
                  "8003 28 4b03 58030000004f424a 7200010000 7d 6a00010000 88 73 430161 742e", &e),
        0);
    assert_dest(&e, 0, "OBJ", 1); /* True counts as 1 */
}

static void test_groups_of_every_shape(void **state)
{
    static const char *const shapes[] = {
        "8c0141 8c0142 86",                          /* tuple */
        "5d94 28 8c014194 8c014294 65",              /* list */
        "5d 8c0141 61 8c0142 61",                    /* list, one by one */
        "8f94 28 8c0141 8c0142 90",                  /* set */
        "28 8c0141 8c0142 91",                       /* frozenset */
        "7d 28 8c0141 4e 8c0142 4b07 75",            /* dict: its keys */
        "28 8d0100000000000000 41 5801000000 42 74", /* the other string forms */
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        char hex[256];
        struct relay_envelope e;
        snprintf(hex, sizeof(hex), "8004 28 4b01 8c0548454c4c4f 4e %s 742e", shapes[i]);
        assert_int_equal(parse_hex(reader(state), hex, &e), 0);
        assert_int_equal(e.ndest, 2);
        assert_dest(&e, 0, "A", 0);
        assert_dest(&e, 1, "B", 0);
    }
    struct relay_envelope e;
    assert_int_equal(parse_hex(reader(state), "8004 28 4b01 8c0548454c4c4f 4e 4e 742e", &e), 0);
    assert_int_equal(e.ndest, 0); /* None */
    assert_int_equal(parse_hex(reader(state), "8004 28 4b01 8c0548454c4c4f 4e 29 742e", &e), 0);
    assert_int_equal(e.ndest, 0);
    assert_int_equal(parse_hex(reader(state), "8004 28 4b01 8c0548454c4c4f 4e 8c0141 742e", &e), 0);
    assert_dest(&e, 0, "A", 0); /* a bare string */
}

static void test_integers(void **state)
{
    static const struct {
        const char *hex;
        int64_t value;
    } ints[] = {{"4bff", 255},
                {"4dffff", 65535},
                {"4affffff7f", 2147483647},
                {"4a00000080", -2147483647 - 1},
                {"8a00", 0},
                {"8a01ff", -1},
                {"8a0400000080", -2147483647 - 1},
                {"8a050000008000", 2147483648},
                {"8a08ffffffffffffff7f", INT64_MAX},
                {"8a080000000000000080", INT64_MIN},
                {"88", 1},
                {"89", 0}};
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
        char hex[128];
        struct relay_envelope e;
        snprintf(hex, sizeof(hex), "8004 28 %s 8c0341434b 4e4e 742e", ints[i].hex);
        assert_int_equal(parse_hex(reader(state), hex, &e), 0);
        assert_true(e.stamp == ints[i].value);
    }
}

/* Every opcode outside the table, at a place where a value could stand. */
static void test_other_opcodes(void **state)
{
    static const char allowed[] = "\x80\x95.(N\x88\x89KMJ\x8a\x8cX\x8d"
                                  "CB\x8e\x94qrhj)\x85\x86\x87t}su]ae\x8f\x90\x91";
    int refused = 0;
    for (unsigned op = 0; op < 256; op++) {
        if (memchr(allowed, (int)op, sizeof(allowed) - 1)) {
            continue;
        }
        char hex[128];
        struct relay_envelope e;
        snprintf(hex, sizeof(hex), "8004 28 4b01 8c0341434b 4e %02x 0000000000000000 742e", op);
        assert_int_equal(parse_hex(reader(state), hex, &e), NK_EPROTO);
        refused++;
    }
    assert_int_equal(refused, 256 - 36);
}

static void test_malformed(void **state)
{
    static const char *const bad[] = {
        "8004 2e",                                              /* nothing */
        "8004 4b01 2e",                                         /* no tuple */
        "8004 4b01 8c0341434b 4e 87 2e",                        /* three */
        "8004 28 4b01 8c0341434b 4e4e4e 742e",                  /* five */
        "8004 28 4b01 8c0341434b 4e4e 742e 2e",                 /* bytes after STOP */
        "8004 4e 28 4b01 8c0341434b 4e4e 742e",                 /* two values at STOP */
        "8004 28 28 4b01 8c0341434b 4e4e 742e",                 /* an open MARK */
        "8004 28 4b01 8c0341434b 4e4e 742e 00",                 /* a byte after STOP */
        "8004 28 8c0131 8c0341434b 4e4e 742e",                  /* stamp is a string */
        "8004 28 4b01 4303 41434b 4e4e 742e",                   /* command is bytes */
        "8004 28 8a09 000000000000000001 8c0341434b 4e4e 742e", /* 72 bits */
        "8004 28 4b01 8c02c328 4e4e 742e",                      /* not UTF-8 */
        "8004 28 4b01 8cff41 4e4e 742e",                        /* string beyond the end */
        "8004 28 4b01 8dffffffffffffffff 41 4e4e 742e",
        "8004 28 4b01 8c034f424a 4e 430161 742e",                  /* OBJ without dict */
        "8004 28 4b01 8c034f424a 7d 8c0142 4b01 73 8c0161 742e",   /* object is str */
        "8004 28 4b01 8c034f424a 7d 4b01 4b01 73 430161 742e",     /* group is a number */
        "8004 28 4b01 8c034f424a 7d 8c0142 8c0142 73 430161 742e", /* number is a str */
        "8004 28 4b01 8c034f424a 7d 28 8c0142 75 430161 742e",     /* key without value */
        "8004 28 4b01 8c0548454c4c4f 4e 4b01 742e",                /* groups are a number */
        "8004 28 4b01 8c0548454c4c4f 4e 4b0185 742e",              /* a group is a number */
        "8004 28 4b01 8c0548454c4c4f 4e 8c014185 85 742e",         /* nested */
        "8004 28 4b01 8c0548454c4c4f 4e 5d 5d 61 742e",
        "8004 73 2e", /* SETITEM on nothing */
        "8004 8c0141 4b01 73 2e",
        "8004 85 2e",
        "8004 86 2e",
        "8004 87 2e",
        "8004 74 2e",
        "8004 75 2e",
        "8004 65 2e",
        "8004 61 2e",
        "8004 90 2e",
        "8004 91 2e",
        "8004 94 2e",
        "8004 7100 2e",
        "8004 6800 2e",
        "8004 28 4b01 8c0341434b 5d94 6802 742e",               /* a container from the memo */
        "8004 4e 72ffffffff 2e",                                /* memo slot out of bounds */
        "8004 95ffffffffffffffff 28 4b01 8c0341434b 4e4e 742e", /* FRAME longer than the payload */
        "8004 28282828 28 2e",                                  /* MARKs without end */
        "8004 28 4b01 8004 8c0341434b 4e4e 742e",               /* PROTO in the middle */
        "8004 28 4b01 8c034f424a 7d 5d 28 8c0142 65 8c0142 4b01 73 430161 742e",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct relay_envelope e;
        assert_int_equal(parse_hex(reader(state), bad[i], &e), NK_EPROTO);
        assert_true(e.ndest == 0 && e.stamp == 0); /* untouched */
    }
}

static void test_cut_everywhere(void **state)
{
    uint8_t raw[256];
    size_t n = unhex(raw, sizeof(raw), OBJ_HI);
    for (size_t cut = 2; cut < n; cut++) {
        uint8_t *part = malloc(cut);
        memcpy(part, raw, cut);
        struct relay_envelope e;
        const char *why = NULL;
        assert_int_equal(relay_envelope_parse(reader(state), part, cut, &e, &why), NK_EPROTO);
        assert_non_null(why);
        free(part);
    }
}

/* tlspyo's own test of serializers puts "header" in front of the pickle. */
static void test_foreign_serializer(void **state)
{
    static const char *const foreign[] = {"",
                                          "80",
                                          "68656164657280045d942e",
                                          "8001 2e",
                                          "8006 2e",
                                          "7b226122 3a31 7d",
                                          "28 4b01 742e"};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        struct relay_envelope e;
        assert_int_equal(parse_hex(reader(state), foreign[i], &e), NK_EUNSUPPORTED);
    }
}

/* HELLO ("000", "001", ...): as many groups as one frame may name, and one more. */
static int parse_many(struct relay_pickle *k, unsigned count, bool dict, size_t *ndest)
{
    struct nk_buf b;
    nk_buf_init(&b, 1 << 20);
    const char *start = dict ? "\x80\x04(K\x01\x8c\x03NTF}(" : "\x80\x04(K\x01\x8c\x05HELLON(";
    assert_int_equal(nk_buf_puts(&b, start), 0);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(nk_buf_printf(&b, "\x8c\x06%06u", i), 0);
        if (dict) {
            assert_int_equal(nk_buf_put(&b, "K\x01", 2), 0);
            if (i % 1000 == 999) { /* Python writes dicts in batches of 1000 */
                assert_int_equal(nk_buf_puts(&b, "u("), 0);
            }
        }
    }
    assert_int_equal(nk_buf_puts(&b, dict ? "uNt." : "tt."), 0);
    struct relay_envelope e = {0};
    const char *why = NULL;
    int rc = relay_envelope_parse(k, nk_buf_ptr(&b), nk_buf_len(&b), &e, &why);
    *ndest = e.ndest;
    nk_buf_clear(&b);
    return rc;
}

static void test_many_groups(void **state)
{
    size_t n;
    for (int dict = 0; dict < 2; dict++) {
        assert_int_equal(parse_many(reader(state), RELAY_ENVELOPE_GROUPS, dict, &n), 0);
        assert_int_equal(n, RELAY_ENVELOPE_GROUPS);
        assert_int_equal(parse_many(reader(state), RELAY_ENVELOPE_GROUPS + 1, dict, &n), NK_EPROTO);
        assert_int_equal(parse_many(reader(state), 20000, dict, &n), NK_EPROTO);
    }
}

static void assert_bytes(const uint8_t *got, size_t n, const char *hex)
{
    uint8_t want[64];
    size_t len = unhex(want, sizeof(want), hex);
    assert_int_equal(n, len);
    assert_memory_equal(got, want, len);
}

static void test_writing(void **state)
{
    (void)state;
    uint8_t b[64];
    assert_bytes(b, relay_pickle_hello(b, 1), "8003 4a01000000 580500000048454c4c4f 4e 87 2e");
    assert_bytes(b, relay_pickle_ack(b, 0x01020304), "8003 4a04030201 580300000041434b 4e 87 2e");
    assert_bytes(b, relay_pickle_ack(b, -1), "8003 4affffffff 580300000041434b 4e 87 2e");
    assert_bytes(b, relay_pickle_ack(b, INT64_C(0x80000000)),
                 "8003 8a080000008000000000 580300000041434b 4e 87 2e");
    assert_bytes(b, relay_pickle_ping(b, 77), "8003 4a4d000000 580400000050494e47 4e 87 2e");
    assert_bytes(b, relay_pickle_obj_head(b, 7, 17), "8003 4a07000000 58030000004f424a 4211000000");
    assert_bytes(b, relay_pickle_obj_head(b, 7, UINT64_C(0x100000000)),
                 "8004 4a07000000 58030000004f424a 8e0000000001000000");
}

int nk_test_relay_wire_pickle(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_transcript, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_destinations, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memo, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups_of_every_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(test_integers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_opcodes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_everywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_serializer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_groups, setup, teardown),
        cmocka_unit_test(test_writing),
    };
    return cmocka_run_group_tests_name("relay/wire_pickle", tests, NULL, NULL);
}
