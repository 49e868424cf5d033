/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tor/conf.h"

int nk_test_tor_conf(void);

#define ROOT "../shared/vectors/tor-transcripts/"

static const char names[] =
    "SocksPort Dependent\nHiddenServiceOptions Virtual\nHiddenServiceDir Dependent\n"
    "ContactInfo String\nMaxCircuitDirtiness TimeInterval\nBandwidthRate DataSize\n"
    "TokenBucketRefillInterval TimeMsecInterval\nSafeSocks Boolean\nExitNodes RouterList\n"
    "ClientPreferIPv6ORPort Boolean+Auto\nNumCPUs Integer\nPathBias SignedInteger\n"
    "LearnRate Float\nLongLivedPorts CommaList\nDataDirectory Filename\nOldPort Port\n"
    "Since Time\nLog LineList\nNewThing Marvellous\nGone Obsolete\n";
static const char defaults[] =
    "MaxCircuitDirtiness \"10 minutes\"\nLog \"notice stdout\"\nNotKnown \"1\"\n";

struct fixture {
    struct tor_conf_names n;
    struct nk_buf out;
    struct nk_diag diag;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    nk_buf_init(&f->out, 1 << 20);
    assert_int_equal(
        tor_conf_names_read(&f->n, names, strlen(names), defaults, strlen(defaults), NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tor_conf_names_clear(&f->n);
    nk_buf_clear(&f->out);
    free(f);
    return 0;
}

/* What check makes of a value; NULL when it refuses. */
static const char *checked(struct fixture *f, const char *name, const char *value)
{
    const struct tor_conf_option *o = tor_conf_find(&f->n, name, strlen(name));
    assert_non_null(o);
    nk_buf_reset(&f->out);
    int rc = tor_conf_check(o, value, &f->out, &f->diag);
    if (rc < 0) {
        assert_int_equal(rc, NK_EUSAGE);
        assert_int_equal(nk_buf_len(&f->out), 0);
        assert_non_null(strstr(f->diag.text, o->name));
        assert_non_null(strstr(f->diag.text, "it takes"));
        return NULL;
    }
    return nk_buf_str(&f->out);
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    struct tor_conf_names n;
    assert_int_equal(f->n.n, 20);
    assert_string_equal(tor_conf_find(&f->n, "socksPORT", 9)->name, "SocksPort");
    assert_null(tor_conf_find(&f->n, "Socks", 5));
    assert_null(tor_conf_find(&f->n, "SocksPortX", 10));
    assert_string_equal(tor_conf_find(&f->n, "maxcircuitdirtiness", 19)->def, "10 minutes");
    assert_null(tor_conf_find(&f->n, "ContactInfo", 11)->def);
    assert_int_equal(tor_conf_find(&f->n, "NewThing", 8)->type, TOR_CONF_OTHER);
    assert_null(tor_conf_need(&f->n, "sockprt", 7, &f->diag));
    assert_string_equal(f->diag.text, "tor has no option 'sockprt'");
    assert_string_equal(f->diag.hint, "did you mean SocksPort?");
    assert_null(tor_conf_need(&f->n, "qqqqqqqqqqqqq", 13, &f->diag));
    assert_non_null(strstr(f->diag.hint, "conf keys"));
    assert_int_equal(tor_conf_names_read(&n, "", 0, NULL, 0, &f->diag), NK_EPROTO);
    assert_int_equal(tor_conf_names_read(&n, "A\"b String\n", 11, NULL, 0, &f->diag), NK_EPROTO);
    assert_int_equal(tor_conf_names_read(&n, "A\r\n", 3, "A \"x", 4, &f->diag), NK_EPROTO);
    assert_int_equal(tor_conf_names_read(&n, "A\n", 2, "A x\0y\n", 6, &f->diag), NK_EPROTO);
    assert_null(n.v);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *name, *value, *sent; /* NULL: refused */
    } rows[] = {
        {"SafeSocks", "0", "0"},
        {"SafeSocks", "Yes", "1"},
        {"SafeSocks", "off", "0"},
        {"SafeSocks", "2", NULL},
        {"SafeSocks", "", NULL},
        {"SafeSocks", "auto", NULL},
        {"ClientPreferIPv6ORPort", "AUTO", "AUTO"},
        {"ClientPreferIPv6ORPort", "true", "1"},
        {"ClientPreferIPv6ORPort", "-1", NULL},
        {"NumCPUs", "32", "32"},
        {"NumCPUs", "18446744073709551615", "18446744073709551615"},
        {"NumCPUs", "-1", NULL},
        {"NumCPUs", "32.0", NULL},
        {"PathBias", "-1", "-1"},
        {"PathBias", "abc", NULL},
        {"LearnRate", "0.75", "0.75"},
        {"LearnRate", "-1", "-1"},
        {"LearnRate", "nan", NULL},
        {"LearnRate", "inf", NULL},
        {"LearnRate", "0x1p3", NULL},
        {"LearnRate", "0.5x", NULL},
        {"OldPort", "auto", "auto"},
        {"OldPort", "65535", "65535"},
        {"OldPort", "65536", NULL},
        {"Since", "2030-01-31 12:00:00", "2030-01-31 12:00:00"},
        {"Since", "2030-01-31", NULL},
        {"MaxCircuitDirtiness", "600", "600"},
        {"MaxCircuitDirtiness", "10 minutes", "600"},
        {"MaxCircuitDirtiness", "10minutes", "600"},
        {"MaxCircuitDirtiness", "1 HOUR", "3600"},
        {"MaxCircuitDirtiness", "1.5 hours", "5400"},
        {"MaxCircuitDirtiness", "1 month", "2592000"},
        {"MaxCircuitDirtiness", " 10  minutes", "600"},
        {"MaxCircuitDirtiness", "10m", "600"},
        {"MaxCircuitDirtiness", "10 minutes ", NULL},
        {"MaxCircuitDirtiness", "-5", NULL},
        {"MaxCircuitDirtiness", "0.5 seconds", NULL},
        {"MaxCircuitDirtiness", "1 year", NULL},
        {"MaxCircuitDirtiness", "", NULL},
        {"MaxCircuitDirtiness", "abc", NULL},
        {"MaxCircuitDirtiness", "18446744073709551616", NULL},
        {"MaxCircuitDirtiness", "1.1234567890", NULL},
        {"TokenBucketRefillInterval", "100 msec", "100"},
        {"TokenBucketRefillInterval", "50", "50"},
        {"TokenBucketRefillInterval", "0.5 seconds", "500"},
        {"BandwidthRate", "1 GB", "1073741824"},
        {"BandwidthRate", "1.5 MB", "1572864"},
        {"BandwidthRate", "100 kilobits", "12800"},
        {"BandwidthRate", "1 mbit", "131072"},
        {"BandwidthRate", "64KiB", "65536"},
        {"BandwidthRate", "80000 B", "80000"},
        {"BandwidthRate", "1 furlong", NULL},
        {"BandwidthRate", "99999999999999999999 TB", NULL},
        {"BandwidthRate", "9999999999 TB", NULL},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *got = checked(f, rows[i].name, rows[i].value);
        if (rows[i].sent && got) {
            assert_string_equal(got, rows[i].sent);
        } else if (rows[i].sent || got) {
            fail_msg("%s=%s gives %s", rows[i].name, rows[i].value, got ? got : f->diag.text);
        }
    }
}

static void test_relays(void **state)
{
    static const char *const good[] = {"",
                                       "{de}",
                                       "{DE},{fr}",
                                       "{??}",
                                       "{A1}",
                                       "nick",
                                       "nick, nick2",
                                       "nick,,nick2",
                                       "*",
                                       "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                       "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA~nick",
                                       "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=nick",
                                       "192.0.2.0/24",
                                       "192.0.2.1",
                                       "255.0.0.0/255.0.0.0",
                                       "[2001:db8::]/32",
                                       "2001:db8::/32"};
    static const char *const bad[] = {
        "bad nick!",           "{xyz}",      "{de", "$AAAA", "!nick",    "twentyletterslongname",
        "192.0.2.1-192.0.2.9", "192.0.2.1/", "/24", "[::1",  "nick;nick"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_string_equal(checked(f, "ExitNodes", good[i]), good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_null(checked(f, "ExitNodes", bad[i]));
    }
}

static void assigned(struct fixture *f, const char *a, const char *b, bool bare, const char *want)
{
    char *words[] = {(char *)(uintptr_t)a, (char *)(uintptr_t)b};
    nk_buf_reset(&f->out);
    assert_int_equal(nk_buf_puts(&f->out, "SETCONF"), 0);
    int rc = tor_conf_assign(&f->n, words, b ? 2 : 1, bare, &f->out, &f->diag);
    assert_int_equal(rc, want ? 0 : NK_EUSAGE);
    assert_string_equal(nk_buf_str(&f->out), want ? want : "SETCONF");
}

static void test_assign(void **state)
{
    struct fixture *f = *state;
    assigned(f, "contactinfo=a \"quoted\" back\\slash # hash", NULL, false,
             "SETCONF ContactInfo=\"a \\\"quoted\\\" back\\\\slash # hash\"");
    assigned(f, "ContactInfo=", NULL, false, "SETCONF ContactInfo=\"\"");
    assigned(f, "MaxCircuitDirtiness=1 hour", "socksport=9050", false,
             "SETCONF MaxCircuitDirtiness=\"3600\" SocksPort=\"9050\"");
    assigned(f, "SocksPort=1", "SocksPort=2", false, "SETCONF SocksPort=\"1\" SocksPort=\"2\"");
    assigned(f, "ContactInfo=a", "contactINFO=b", false, NULL);
    assert_non_null(strstr(f->diag.text, "twice"));
    assigned(f, "ContactInfo", NULL, true, "SETCONF ContactInfo");
    assigned(f, "ContactInfo", NULL, false, NULL);
    assert_non_null(strstr(f->diag.text, "no value"));
    assigned(f, "SafeSocks=1", "SafeSock=1", false, NULL);
    assigned(f, "=1", NULL, false, NULL);
    assigned(f, "HiddenServiceOptions=x", NULL, false, NULL);
    assert_non_null(strstr(f->diag.text, "list of others"));
    assigned(f, "Gone=x", NULL, false, NULL);
    assigned(f, "Log=a\nSETCONF Nickname=x", NULL, false, "SETCONF Log=\"a\\nSETCONF Nickname=x\"");
}

static void test_read(void **state)
{
    static const struct {
        const char *text;
        bool quoted;
        const char *name;
        bool set;
        const char *value;
    } rows[] = {
        {"ContactInfo", true, "ContactInfo", false, ""},
        {"ExitNodes=", true, "ExitNodes", true, ""},
        {"ContactInfo=\"utf \\303\\251\"", true, "ContactInfo", true, "utf \303\251"},
        {"ContactInfo= lead trail ", true, "ContactInfo", true, " lead trail "},
        {"ContactInfo=a b", false, "ContactInfo", true, "a b"},
        {"ContactInfo=\"raw", false, "ContactInfo", true, "\"raw"},
        {"Log=notice file a=b", true, "Log", true, "notice file a=b"},
    };
    struct fixture *f = *state;
    struct tor_conf_line line;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(
            tor_conf_read(rows[i].text, strlen(rows[i].text), rows[i].quoted, &line, &f->out, NULL),
            0);
        assert_int_equal(line.name_len, strlen(rows[i].name));
        assert_memory_equal(line.name, rows[i].name, line.name_len);
        assert_int_equal(line.set, rows[i].set);
        assert_string_equal(nk_buf_str(&f->out), rows[i].value);
    }
    assert_int_equal(tor_conf_read("A=\"x", 4, true, &line, &f->out, &f->diag), NK_EPROTO);
    assert_int_equal(tor_conf_read("=x", 2, true, &line, &f->out, &f->diag), NK_EPROTO);
    assert_int_equal(tor_conf_read("a b=x", 5, true, &line, &f->out, &f->diag), NK_EPROTO);
}

static const char *torrc(struct fixture *f, enum tor_conf_type type, const char *value)
{
    nk_buf_reset(&f->out);
    assert_int_equal(tor_conf_put_torrc(&f->out, "X", 1, type, value, strlen(value)), 0);
    return nk_buf_str(&f->out);
}

static void test_torrc(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(torrc(f, TOR_CONF_SECONDS, "600"), "X 10 minutes\n");
    assert_string_equal(torrc(f, TOR_CONF_SECONDS, "60"), "X 1 minute\n");
    assert_string_equal(torrc(f, TOR_CONF_SECONDS, "0"), "X 0 seconds\n");
    assert_string_equal(torrc(f, TOR_CONF_SECONDS, "61"), "X 61 seconds\n");
    assert_string_equal(torrc(f, TOR_CONF_SECONDS, "2592000"), "X 30 days\n");
    assert_string_equal(torrc(f, TOR_CONF_MSECS, "1000"), "X 1 second\n");
    assert_string_equal(torrc(f, TOR_CONF_MSECS, "100"), "X 100 msec\n");
    assert_string_equal(torrc(f, TOR_CONF_SIZE, "1073741824"), "X 1 GB\n");
    assert_string_equal(torrc(f, TOR_CONF_SIZE, "80000"), "X 80000 bytes\n");
    assert_string_equal(torrc(f, TOR_CONF_SIZE, "12345678901234567890123"),
                        "X 12345678901234567890123\n");
    assert_string_equal(torrc(f, TOR_CONF_STRING, "plain text"), "X plain text\n");
    assert_string_equal(torrc(f, TOR_CONF_STRING, "a # b"), "X \"a # b\"\n");
    assert_string_equal(torrc(f, TOR_CONF_STRING, ""), "X \"\"\n");
    assert_string_equal(torrc(f, TOR_CONF_STRING, " x\x1b[31m"), "X \" x\\033[31m\"\n");
}

static const char *json(struct fixture *f, enum tor_conf_type type, const char *value)
{
    struct nk_json j;
    nk_buf_reset(&f->out);
    nk_json_init(&j, &f->out, false);
    nk_json_array(&j);
    tor_conf_put_json(&j, type, value, strlen(value));
    nk_json_close(&j);
    assert_int_equal(nk_json_end(&j), 0);
    return nk_buf_str(&f->out);
}

static void test_json(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(json(f, TOR_CONF_BOOLEAN, "1"), "[true]");
    assert_string_equal(json(f, TOR_CONF_AUTOBOOL, "auto"), "[\"auto\"]");
    assert_string_equal(json(f, TOR_CONF_AUTOBOOL, "0"), "[false]");
    assert_string_equal(json(f, TOR_CONF_SECONDS, "600"), "[600]");
    assert_string_equal(json(f, TOR_CONF_SECONDS, "10 minutes"), "[600]");
    assert_string_equal(json(f, TOR_CONF_MSECS, "100 msec"), "[100]");
    assert_string_equal(json(f, TOR_CONF_SIZE, "0 bytes"), "[0]");
    assert_string_equal(json(f, TOR_CONF_INTEGER, "18446744073709551615"),
                        "[18446744073709551615]");
    assert_string_equal(json(f, TOR_CONF_SIGNED, "-1"), "[-1]");
    assert_string_equal(json(f, TOR_CONF_FLOAT, "0.25"), "[0.25]");
    assert_string_equal(json(f, TOR_CONF_FLOAT, "nan"), "[\"nan\"]");
    assert_string_equal(json(f, TOR_CONF_PORT, "auto"), "[\"auto\"]");
    assert_string_equal(json(f, TOR_CONF_COMMAS, "a,b"), "[[\"a\",\"b\"]]");
    assert_string_equal(json(f, TOR_CONF_ROUTERS, ""), "[[]]");
    assert_string_equal(json(f, TOR_CONF_LINES, "a,b"), "[\"a,b\"]");
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tor_conf_refused("SETCONF", 513, "bad", 3, &f->diag), NK_EUSAGE);
    assert_string_equal(f->diag.text,
                        "SETCONF: a value is not acceptable; nothing was changed (513 bad)");
    assert_int_equal(tor_conf_refused("SETCONF", 553, "no", 2, &f->diag), NK_EAUTH);
    assert_non_null(strstr(f->diag.hint, "restart"));
    assert_int_equal(tor_conf_refused("SAVECONF", 551, "x", 1, &f->diag), -EIO);
    assert_int_equal(tor_conf_refused("SETCONF", 599, "x", 1, &f->diag), -EIO);
}

static int check_torrc(struct fixture *f, const char *text)
{
    return tor_conf_check_torrc(&f->n, "torrc", text, strlen(text), &f->diag);
}

static void test_check_torrc(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        check_torrc(f,
                    "# comment\n\n%include /etc/tor/d\nSafeSocks 1 # yes\n+Log notice stdout\n"
                    "/ExitNodes\n  maxcircuitdirtiness\t10 minutes  \nContactInfo \"a # b\"\r\n"),
        0);
    assert_int_equal(check_torrc(f, "ContactInfo a \\\n NoOption 1 \\\n x\nSafeSocks 0"), 0);
    assert_int_equal(check_torrc(f, "SafeSocks 1\nSafeSocks perhaps\n"), NK_EUSAGE);
    assert_memory_equal(f->diag.text, "torrc:2: SafeSocks: 'perhaps'", 28);
    assert_int_equal(check_torrc(f, "\n\nSafeSoks 1\n"), NK_EUSAGE);
    assert_string_equal(f->diag.text, "torrc:3: tor has no option 'SafeSoks'");
    assert_int_equal(check_torrc(f, ""), 0);
}

/* --- what tor 0.4.9.11 told ----------------------------------------------------------------- */

/* The value of a reply "250+KEY=" in a transcript; skips where there is none. */
static const char *transcript(struct nk_buf *b, const char *path, size_t *n)
{
    nk_buf_init(b, 1 << 20);
    if (nk_file_read(path, 0, b, NULL) < 0) {
        print_message("%s is not there: skipped\n", path);
        skip();
    }
    const char *text = nk_buf_str(b), *from = strchr(text, '\n') + 1,
               *end = strstr(from, "\r\n.\r\n");
    assert_non_null(end);
    *n = (size_t)(end + 2 - from);
    return from;
}

static void test_real_names(void **state)
{
    struct nk_buf a, b;
    size_t a_len, b_len, n_defaults = 0;
    const char *real = transcript(&a, ROOT "getinfo-config_names.rx.txt", &a_len);
    const char *values = transcript(&b, ROOT "getinfo-config_defaults.rx.txt", &b_len);
    struct tor_conf_names n;
    struct fixture *f = *state;
    assert_int_equal(tor_conf_names_read(&n, real, a_len, values, b_len, &f->diag), 0);
    assert_int_equal(n.n, 383);
    for (size_t i = 0; i < n.n; i++) {
        assert_true(n.v[i].type != TOR_CONF_OTHER);
        if (n.v[i].def && n.v[i].def[0]) { /* what tor itself takes must be taken here */
            nk_buf_reset(&f->out);
            assert_int_equal(tor_conf_check(&n.v[i], n.v[i].def, &f->out, &f->diag), 0);
            n_defaults++;
        }
    }
    assert_true(n_defaults > 200);
    assert_string_equal(tor_conf_find(&n, "socksport", 9)->name, "SocksPort");
    tor_conf_names_clear(&n);
    nk_buf_clear(&a);
    nk_buf_clear(&b);
}

int nk_test_tor_conf(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_names),       TEST(test_numbers),   TEST(test_relays), TEST(test_assign),
        TEST(test_read),        TEST(test_torrc),     TEST(test_json),   TEST(test_refused),
        TEST(test_check_torrc), TEST(test_real_names)};
    return cmocka_run_group_tests_name("tor/conf", tests, NULL, NULL);
}
