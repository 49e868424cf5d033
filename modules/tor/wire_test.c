/* SPDX-License-Identifier: MIT */
#include "tor/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct nk_buf fresh(void)
{
    struct nk_buf b;
    nk_buf_init(&b, TOR_COMMAND_MAX * 3);
    return b;
}

#define IS(b, text) is_text(b, text, sizeof(text) - 1)

static void is_text(struct nk_buf *b, const char *text, size_t n)
{
    assert_int_equal(nk_buf_len(b), n);
    assert_true(n == 0 || memcmp(nk_buf_ptr(b), text, n) == 0);
    nk_buf_clear(b);
}

static void status_lines(void **state)
{
    struct tor_line l = {0};
    (void)state;
    assert_int_equal(tor_wire_status("250-version=1", 13, &l, NULL), 0);
    assert_int_equal(l.code, 250);
    assert_true(l.kind == '-' && l.len == 9 && memcmp(l.text, "version=1", 9) == 0 && !l.data);
    assert_int_equal(tor_wire_status("650+", 4, &l, NULL), 0);
    assert_true(l.code == 650 && l.kind == '+' && l.len == 0);
    static const char *const bad[] = {
        "",       "2",      "250",     "25x ok",  "050 ok",
        "750 ok", "250=ok", "250\tok", " 250 ok", "HTTP/1.1 400 Bad Request"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(tor_wire_status(bad[i], strlen(bad[i]), &l, NULL), NK_EPROTO);
    }
    assert_int_equal(tor_wire_undot("", 0), 0);
    assert_int_equal(tor_wire_undot("a.", 2), 0);
    assert_int_equal(tor_wire_undot(".", 1), -1);
    assert_int_equal(tor_wire_undot("..", 2), 1);
}

static int put(struct nk_buf *b, const char *line, const char *data)
{
    return tor_wire_put_command(b, line, strlen(line), data, data ? strlen(data) : 0, NULL);
}

static void commands(void **state)
{
    struct nk_buf b = fresh();
    (void)state;
    assert_int_equal(put(&b, "GETINFO version", NULL), 0);
    IS(&b, "GETINFO version\r\n");
    assert_int_equal(put(&b, "LOADCONF", "SocksPort 0\n.dot\n..\r\n\nlast"), 0);
    IS(&b, "+LOADCONF\r\nSocksPort 0\r\n..dot\r\n...\r\n\r\nlast\r\n.\r\n");
    assert_int_equal(put(&b, "LOADCONF", ""), 0);
    IS(&b, "+LOADCONF\r\n.\r\n");
    assert_int_equal(put(&b, "LOADCONF", ".\n"), 0);
    IS(&b, "+LOADCONF\r\n..\r\n.\r\n");
}

static void refused_commands(void **state)
{
    struct nk_buf b = fresh();
    struct nk_diag diag;
    (void)state;
    static const char *const bad[] = {
        "",
        "  \t",
        "GETINFO version\r\nSIGNAL SHUTDOWN",
        "GETINFO version\n",
        "\rGETINFO",
        "+GETINFO version",
        /* what tor 0.4.9 does not answer */
        "ADD_ONION NEW:BEST Port=80 ClientAuth=alice",
        "add_onion NEW:BEST clientauth=alice:xyz Port=80",
        " ADD_ONION\tNEW:BEST\tClientAuth=bob",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(put(&b, bad[i], NULL), NK_EUSAGE);
        assert_int_equal(nk_buf_len(&b), 0);
    }
    assert_int_equal(tor_wire_put_command(&b, "GETINFO\0x", 9, NULL, 0, NULL), NK_EUSAGE);
    assert_int_equal(put(&b, "HSPOST", "x\n"), NK_EUSAGE);
    assert_int_equal(put(&b, "hspost SERVER=abc", "x\n"), NK_EUSAGE);
    assert_int_equal(tor_wire_put_command(&b, "LOADCONF", 8, "a\0b", 3, NULL), NK_EUSAGE);
    assert_int_equal(tor_wire_put_command(&b, "ADD_ONION ClientAuth=x", 22, NULL, 0, &diag),
                     NK_EUSAGE);
    assert_non_null(strstr(diag.hint, "ClientAuthV3"));
    /* and what only looks like it */
    assert_int_equal(put(&b, "ADD_ONION NEW:BEST Flags=V3Auth ClientAuthV3=abc", NULL), 0);
    assert_int_equal(put(&b, "SETCONF x=ClientAuth=", NULL), 0);
    assert_int_equal(put(&b, "ADD_ONIONS ClientAuth=x", NULL), 0);
    assert_int_equal(put(&b, "HSPOST HSADDRESS=abc", "x\n"), 0);
    nk_buf_clear(&b);
}

static void too_large_commands(void **state)
{
    static char line[TOR_COMMAND_MAX + 2];
    struct nk_buf b = fresh();
    (void)state;
    memset(line, '.', sizeof(line) - 1);
    assert_int_equal(put(&b, "x", NULL), 0);
    assert_int_equal(tor_wire_put_command(&b, line, TOR_COMMAND_MAX + 1, NULL, 0, NULL),
                     NK_ETOOBIG);
    assert_int_equal(tor_wire_put_command(&b, line, TOR_COMMAND_MAX - 1, NULL, 0, NULL),
                     NK_ETOOBIG);
    assert_int_equal(tor_wire_put_command(&b, "x", 1, line, TOR_COMMAND_MAX - 3, NULL), NK_ETOOBIG);
    assert_int_equal(nk_buf_len(&b), 3);
    assert_int_equal(tor_wire_put_command(&b, line, TOR_COMMAND_MAX - 2, NULL, 0, NULL), 0);
    nk_buf_clear(&b);
}

/* AUTHENTICATE's quotes: a backslash before quote and backslash, all else as it is. */
static void quotes_of_auth(void **state)
{
    struct nk_buf b = fresh();
    (void)state;
    assert_int_equal(tor_wire_quote_auth(&b, "secret \"x\" \\ \xc3\xa9", 15), 0);
    IS(&b, "\"secret \\\"x\\\" \\\\ \xc3\xa9\"");
    assert_int_equal(tor_wire_quote_auth(&b, "", 0), 0);
    IS(&b, "\"\"");
    assert_int_equal(tor_wire_quote_auth(&b, "\t", 1), 0);
    IS(&b, "\"\t\"");
    assert_int_equal(tor_wire_quote_auth(&b, "a\nb", 3), NK_EUSAGE);
    assert_int_equal(tor_wire_quote_auth(&b, "a\rb", 3), NK_EUSAGE);
    assert_int_equal(tor_wire_quote_auth(&b, "a\0b", 3), NK_EUSAGE);
    assert_int_equal(nk_buf_len(&b), 0);
    nk_buf_clear(&b);
}

/* The quotes of arguments: C escapes. */
static void quotes_of_arguments(void **state)
{
    struct nk_buf b = fresh();
    (void)state;
    assert_int_equal(tor_wire_quote_arg(&b, "tab\there nl\nx\r \"q\" \\ \x01\x7f \xc3\xa9", 26), 0);
    IS(&b, "\"tab\\there nl\\nx\\r \\\"q\\\" \\\\ \\001\\177 \xc3\xa9\"");
    assert_int_equal(tor_wire_quote_arg(&b, "a\0b", 3), NK_EUSAGE);
    assert_int_equal(nk_buf_len(&b), 0);
    nk_buf_clear(&b);
}

static int unquote(struct nk_buf *b, const char *text, size_t *used)
{
    return tor_wire_unquote(text, strlen(text), b, used, NULL);
}

/* Strings from tor: bytes, octal for what is not ASCII. */
static void unquoting(void **state)
{
    struct nk_buf b = fresh();
    size_t used = 0;
    (void)state;
    const char *path = "\"/var/tnet/we\\\"ird \\\\dir \\303\\251/control_auth_cookie\" rest";
    assert_int_equal(unquote(&b, path, &used), 0);
    assert_int_equal(used, strlen(path) - 5);
    IS(&b, "/var/tnet/we\"ird \\dir \xc3\xa9/control_auth_cookie");
    assert_int_equal(unquote(&b, "\"\\n\\t\\r\\'\\x41\\1012\\7x\\377\"", &used), 0);
    IS(&b, "\n\t\r'AA2\7x\xff");
    assert_int_equal(unquote(&b, "\"\"", &used), 0);
    assert_int_equal(used, 2);
    IS(&b, "");
    static const char *const bad[] = {"",          "x",         "\"",      "\"abc",
                                      "\"abc\\\"", "\"\\q\"",   "\"\\0\"", "\"\\400\"",
                                      "\"\\x4\"",  "\"\\x00\"", "\"abc\\"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(unquote(&b, bad[i], &used), NK_EPROTO);
        assert_int_equal(nk_buf_len(&b), 0);
    }
    assert_int_equal(tor_wire_unquote("\"a\0b\"", 5, &b, NULL, NULL), NK_EPROTO);
    assert_int_equal(used, 2);
    nk_buf_clear(&b);
}

/* GETCONF: quoted only where it begins with a quote, else everything to the end of the line. */
static void values(void **state)
{
    struct nk_buf b = fresh();
    (void)state;
    assert_int_equal(tor_wire_value(" lead trail ", 12, &b, NULL), 0);
    IS(&b, " lead trail ");
    assert_int_equal(tor_wire_value("\"a \\\"quoted\\\" back\\\\slash # hash\"", 34, &b, NULL), 0);
    IS(&b, "a \"quoted\" back\\slash # hash");
    assert_int_equal(tor_wire_value("", 0, &b, NULL), 0);
    assert_int_equal(tor_wire_value("\"x", 2, &b, NULL), NK_EPROTO);
    nk_buf_clear(&b);
}

/* What was quoted comes back, whatever the bytes. */
static void round_trip(void **state)
{
    char all[255];
    struct nk_buf b = fresh(), back = fresh();
    size_t used = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(all); i++) {
        all[i] = (char)(i + 1);
    }
    assert_int_equal(tor_wire_quote_arg(&b, all, sizeof(all)), 0);
    assert_int_equal(
        tor_wire_unquote((const char *)nk_buf_ptr(&b), nk_buf_len(&b), &back, &used, NULL), 0);
    assert_int_equal(used, nk_buf_len(&b));
    is_text(&back, all, sizeof(all));
    nk_buf_clear(&b);
}

static struct tor_words over(const char *text)
{
    struct tor_words w;
    tor_words_init(&w, text, strlen(text));
    return w;
}

static void next_is(struct tor_words *w, const char *key, const char *value, bool quoted)
{
    struct tor_word word;
    assert_true(tor_words_next(w, &word));
    assert_true(key ? tor_word_key(&word, key) : !word.key);
    assert_int_equal(word.value_len, strlen(value));
    assert_memory_equal(word.value, value, word.value_len);
    assert_true(word.quoted == quoted);
}

static void words(void **state)
{
    struct tor_words w =
        over("BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"a \\\"b\\\" c\" \"local time\" "
             "$AB~nick,$CD X= [::1]:80 1=2");
    struct tor_word word;
    struct nk_buf b = fresh();
    uint64_t n = 0;
    (void)state;
    next_is(&w, NULL, "BOOTSTRAP", false);
    assert_true(tor_words_next(&w, &word));
    assert_int_equal(tor_word_u64(&word, &n), 0);
    assert_int_equal(n, 5);
    next_is(&w, "TAG", "conn", false);
    assert_true(tor_words_next(&w, &word));
    assert_true(word.quoted && tor_word_key(&word, "SUMMARY"));
    assert_int_equal(tor_word_put(&word, &b), 0);
    IS(&b, "a \"b\" c");
    assert_int_equal(tor_word_u64(&word, &n), NK_EFORMAT);
    next_is(&w, NULL, "local time", true);
    next_is(&w, NULL, "$AB~nick,$CD", false);
    next_is(&w, "X", "", false);
    next_is(&w, NULL, "[::1]:80", false);
    next_is(&w, "1", "2", false);
    assert_false(tor_words_next(&w, &word));
    assert_false(w.bad);
    assert_true(tor_word_is(&(struct tor_word){.value = "NOTICE", .value_len = 6}, "NOTICE"));
    assert_false(tor_word_is(&(struct tor_word){.value = "NOTICE", .value_len = 6}, "NOTIC"));
}

static void bad_words(void **state)
{
    static const char *const bad[] = {"A=\"x",      "A=\"x\"y", "\"x\\\"", "a\tb",
                                      "A=\"x\ty\"", "\x7f",     "A=x\x01"};
    struct tor_word word;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tor_words w = over(bad[i]);
        while (tor_words_next(&w, &word)) {
        }
        assert_true(w.bad);
        assert_false(tor_words_next(&w, &word));
    }
    struct tor_words w;
    tor_words_init(&w, "a\0b", 3);
    assert_false(tor_words_next(&w, &word));
    assert_true(w.bad);
}

static struct tor_line line_of(const char *text, const char *data)
{
    return (struct tor_line){.code = 250,
                             .kind = '-',
                             .text = text,
                             .len = strlen(text),
                             .data = data,
                             .data_len = data ? strlen(data) : 0};
}

/* CONF_CHANGED does not quote, and a reset option has no '='; a block's value is its data. */
static void pairs(void **state)
{
    const struct tor_line lines[] = {line_of("ContactInfo=a b=c", NULL), line_of("Nickname", NULL),
                                     line_of("ns/all=", "r x\ns y\n"), line_of("ExitNodes=", NULL)};
    const struct tor_reply reply = {.code = 250, .lines = lines, .n = 4};
    struct tor_word w;
    (void)state;
    assert_true(tor_line_pair(&lines[0], &w));
    assert_true(tor_word_key(&w, "ContactInfo") && w.value_len == 5);
    assert_false(tor_line_pair(&lines[1], &w));
    assert_true(tor_word_key(&w, "Nickname") && !w.value);
    assert_true(tor_reply_find(&reply, "NS/ALL", &w));
    assert_int_equal(w.value_len, 8);
    assert_true(tor_reply_find(&reply, "ExitNodes", &w));
    assert_true(w.value && w.value_len == 0);
    assert_false(tor_reply_find(&reply, "Nickname", &w));
}

int nk_test_tor_wire(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_lines),     cmocka_unit_test(commands),
        cmocka_unit_test(refused_commands), cmocka_unit_test(too_large_commands),
        cmocka_unit_test(quotes_of_auth),   cmocka_unit_test(quotes_of_arguments),
        cmocka_unit_test(unquoting),        cmocka_unit_test(values),
        cmocka_unit_test(round_trip),       cmocka_unit_test(words),
        cmocka_unit_test(bad_words),        cmocka_unit_test(pairs),
    };
    return cmocka_run_group_tests_name("tor/wire", tests, NULL, NULL);
}
