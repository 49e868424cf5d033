/* SPDX-License-Identifier: MIT */
/* How a control port is found and opened, and what is said when it is not. */
#include "tor/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/secret.h"
#include "tor/control.h"
#include "tor/control_testkit.h"

#define ZERO_HASH "3d1188024fd00a2a157e9850572bb3b26af8c149d2d21838c7bccc7fa83a8574"

struct one {
    struct tor_kit kit;
    struct tor_access access;
    struct tor_control *control;
    struct tor_control_watch watch;
    bool ready, closed;
    struct nk_diag why;
    uint8_t cookie[TOR_COOKIE_SIZE];
    char cookie_path[112], password_path[112];
};

static void on_state(void *owner, enum tor_control_state state, int err, const struct nk_diag *why)
{
    struct one *o = owner;
    o->ready = state == TOR_CONTROL_READY;
    o->closed = state == TOR_CONTROL_CLOSED;
    assert_true((err < 0) == (why != NULL));
    if (why) {
        assert_int_equal(why->code, err);
        o->why = *why;
    }
}

static void put_file(const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);
    close(fd);
}

static void begin(struct one *o)
{
    *o = (struct one){0};
    tor_kit_listen(&o->kit);
    o->access.control = o->kit.address;
    nk_random(o->cookie, sizeof(o->cookie));
    (void)snprintf(o->cookie_path, sizeof(o->cookie_path), "%s/a \"cookie\"", o->kit.dir);
    (void)snprintf(o->password_path, sizeof(o->password_path), "%s/password", o->kit.dir);
    put_file(o->cookie_path, o->cookie, sizeof(o->cookie));
    put_file(o->password_path, "se\"cr\\et\n", 9);
}

static void open_it(struct one *o)
{
    const struct tor_control_conf conf = {.app = o->kit.app, .access = &o->access};
    assert_int_equal(tor_control_open(&o->control, &conf, NULL), 0);
    o->watch = (struct tor_control_watch){.fn = on_state, .owner = o};
    tor_control_watch(o->control, &o->watch);
}

static void finish(struct one *o)
{
    tor_control_close(o->control);
    (void)unlink(o->cookie_path);
    (void)unlink(o->password_path);
    tor_kit_close(&o->kit);
}

/* The next connection asks how, and is told. */
static void info(struct one *o, const char *methods, const char *cookie_path)
{
    char text[400];
    struct nk_buf quoted;
    tor_kit_accept(&o->kit);
    tor_kit_expect(&o->kit, "PROTOCOLINFO 1");
    nk_buf_init(&quoted, 300);
    if (cookie_path) {
        assert_int_equal(nk_buf_puts(&quoted, " COOKIEFILE="), 0);
        assert_int_equal(tor_wire_quote_arg(&quoted, cookie_path, strlen(cookie_path)), 0);
    }
    (void)snprintf(text, sizeof(text),
                   "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=%s%s\r\n250-VERSION Tor=\"0.4.9.11\"\r\n"
                   "250-FUTURE x=\"y\"\r\n250 OK\r\n",
                   methods, cookie_path ? nk_buf_str(&quoted) : "");
    nk_buf_clear(&quoted);
    tor_kit_say(&o->kit, text);
}

/* Tor's side of AUTHCHALLENGE; its hash is wrong by `flip`. */
static void challenge(struct one *o, uint8_t flip, char want[NK_HEX_SIZE(TOR_HMAC_SIZE)])
{
    static const char prefix[] = "AUTHCHALLENGE SAFECOOKIE ";
    uint8_t nonce[TOR_NONCE_SIZE], mine[TOR_NONCE_SIZE], hash[TOR_HMAC_SIZE];
    char hash_hex[NK_HEX_SIZE(sizeof(hash))], mine_hex[NK_HEX_SIZE(sizeof(mine))], text[300];
    const char *line = tor_kit_line(&o->kit);
    assert_memory_equal(line, prefix, sizeof(prefix) - 1);
    const char *hex = line + sizeof(prefix) - 1;
    assert_int_equal(nk_hex_decode(nonce, sizeof(nonce), hex, strlen(hex), false), sizeof(nonce));
    nk_random(mine, sizeof(mine));
    tor_auth_hmac(hash, true, o->cookie, nonce, sizeof(nonce), mine, sizeof(mine));
    hash[0] ^= flip;
    nk_hex_encode(hash_hex, hash, sizeof(hash));
    nk_hex_encode(mine_hex, mine, sizeof(mine));
    (void)snprintf(text, sizeof(text), "250 AUTHCHALLENGE SERVERHASH=%s SERVERNONCE=%s\r\n",
                   hash_hex, mine_hex);
    tor_auth_hmac(hash, false, o->cookie, nonce, sizeof(nonce), mine, sizeof(mine));
    nk_hex_encode(want, hash, sizeof(hash));
    tor_kit_say(&o->kit, text);
}

static void expect_authenticate(struct one *o, const char *argument)
{
    char line[200];
    (void)snprintf(line, sizeof(line), "AUTHENTICATE %s", argument);
    tor_kit_expect(&o->kit, line);
}

static void hmac_vectors(void **state)
{
    static const uint8_t zero[32];
    uint8_t out[TOR_HMAC_SIZE];
    char hex[NK_HEX_SIZE(sizeof(out))];
    (void)state;
    tor_auth_hmac(out, true, zero, zero, 32, zero, 32);
    nk_hex_encode(hex, out, sizeof(out));
    assert_string_equal(hex, ZERO_HASH);
    tor_auth_hmac(out, false, zero, zero, 32, zero, 32);
    nk_hex_encode(hex, out, sizeof(out));
    assert_string_equal(hex, "e219bbb6012dd83bb787c2b3462ad9cacd2636ea51e2c708e8c0758d27bddc21");
}

/* Cookie, nonces and hashes of a session with a real tor. */
static void live_vector(void **state)
{
    struct nk_buf b;
    uint8_t v[5][32], out[TOR_HMAC_SIZE];
    static const char *const keys[] = {"'cookie': '", "'cn': '", "'sn': '", "'sh': '", "'ch': '"};
    (void)state;
    if (!tor_kit_transcript("safecookie-vector", &b)) {
        skip();
    }
    const char *text = nk_buf_str(&b);
    for (size_t i = 0; i < 5; i++) {
        const char *at = strstr(text, keys[i]);
        assert_non_null(at);
        assert_int_equal(nk_hex_decode(v[i], 32, at + strlen(keys[i]), 64, false), 32);
    }
    tor_auth_hmac(out, true, v[0], v[1], 32, v[2], 32);
    assert_memory_equal(out, v[3], 32);
    tor_auth_hmac(out, false, v[0], v[1], 32, v[2], 32);
    assert_memory_equal(out, v[4], 32);
    nk_buf_clear(&b);
}

static void safecookie(void **state)
{
    struct one o;
    char want[NK_HEX_SIZE(TOR_HMAC_SIZE)];
    (void)state;
    begin(&o);
    open_it(&o);
    info(&o, "COOKIE,SAFECOOKIE,HASHEDPASSWORD", o.cookie_path);
    challenge(&o, 0, want);
    expect_authenticate(&o, want);
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &o.ready);
    assert_string_equal(tor_control_version(o.control), "0.4.9.11");
    assert_string_equal(tor_control_method(o.control), "SAFECOOKIE");
    assert_string_equal(tor_control_place(o.control), o.kit.address);
    finish(&o);
}

/* What does not know the cookie gets nothing more: no other method either. */
static void impostor(void **state)
{
    struct one o;
    char want[NK_HEX_SIZE(TOR_HMAC_SIZE)];
    (void)state;
    begin(&o);
    o.access.password_file = o.password_path;
    open_it(&o);
    info(&o, "COOKIE,SAFECOOKIE,HASHEDPASSWORD,NULL", o.cookie_path);
    challenge(&o, 1, want);
    tor_kit_turn(&o.kit, &o.closed);
    assert_int_equal(o.why.code, NK_EVERIFY);
    tor_kit_idle(&o.kit);
    char byte;
    assert_int_equal(read(o.kit.fd, &byte, 1), 0);
    finish(&o);
}

static void malformed_challenge(void **state)
{
    static const char no_nonce[] = "250 AUTHCHALLENGE SERVERHASH=" ZERO_HASH " SERVERNONCE=\r\n";
    static const char *const answers[] = {
        "250 AUTHCHALLENGE\r\n",
        "250 OK\r\n",
        "250 AUTHCHALLENGE SERVERHASH=00 SERVERNONCE=00\r\n",
        no_nonce,
        "250-AUTHCHALLENGE SERVERHASH=zz\r\n250 OK\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct one o;
        begin(&o);
        open_it(&o);
        info(&o, "SAFECOOKIE", o.cookie_path);
        (void)tor_kit_line(&o.kit);
        tor_kit_say(&o.kit, answers[i]);
        tor_kit_turn(&o.kit, &o.closed);
        assert_int_equal(o.why.code, NK_EPROTO);
        finish(&o);
    }
}

/* Each method that tor refuses is followed by the next one, on a connection of its own. */
static void every_method(void **state)
{
    static const char methods[] = "NULL,HASHEDPASSWORD,COOKIE,SAFECOOKIE,OTHER";
    struct one o;
    char hex[NK_HEX_SIZE(TOR_HMAC_SIZE)];
    (void)state;
    begin(&o);
    o.access.password_file = o.password_path;
    open_it(&o);
    info(&o, methods, o.cookie_path);
    challenge(&o, 0, hex);
    expect_authenticate(&o, hex);
    tor_kit_say(&o.kit, "515 Authentication failed: no\r\n");
    info(&o, methods, o.cookie_path);
    nk_hex_encode(hex, o.cookie, sizeof(o.cookie));
    expect_authenticate(&o, hex);
    tor_kit_say(&o.kit, "515 Authentication failed: no\r\n");
    info(&o, methods, o.cookie_path);
    expect_authenticate(&o, "\"se\\\"cr\\\\et\"");
    tor_kit_say(&o.kit, "515 Authentication failed: no\r\n");
    info(&o, methods, o.cookie_path);
    tor_kit_expect(&o.kit, "AUTHENTICATE");
    tor_kit_say(&o.kit, "515 Authentication failed: last\r\n");
    tor_kit_turn(&o.kit, &o.closed);
    assert_int_equal(o.why.code, NK_EAUTH);
    assert_non_null(strstr(o.why.text, "the cookie: Authentication failed: no"));
    finish(&o);
}

/* Without a cookie to read, the password is used on the same connection. */
static void cookie_missing(void **state)
{
    struct one o;
    char missing[160];
    (void)state;
    begin(&o);
    (void)snprintf(missing, sizeof(missing), "%s/not-there", o.kit.dir);
    o.access.password_file = o.password_path;
    open_it(&o);
    info(&o, "COOKIE,SAFECOOKIE,HASHEDPASSWORD", missing);
    expect_authenticate(&o, "\"se\\\"cr\\\\et\"");
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &o.ready);
    assert_string_equal(tor_control_method(o.control), "HASHEDPASSWORD");
    finish(&o);
    begin(&o);
    (void)snprintf(missing, sizeof(missing), "%s/not-there", o.kit.dir);
    open_it(&o);
    info(&o, "COOKIE,SAFECOOKIE,HASHEDPASSWORD", missing);
    tor_kit_turn(&o.kit, &o.closed);
    assert_int_equal(o.why.code, NK_EAUTH);
    assert_non_null(strstr(o.why.text, missing));
    assert_non_null(strstr(o.why.hint, "--password-file"));
    finish(&o);
}

static void nothing_to_offer(void **state)
{
    struct one o;
    (void)state;
    begin(&o);
    open_it(&o);
    info(&o, "HASHEDPASSWORD", NULL);
    tor_kit_turn(&o.kit, &o.closed);
    assert_int_equal(o.why.code, NK_EAUTH);
    assert_non_null(strstr(o.why.hint, "--password-file"));
    finish(&o);
    begin(&o);
    open_it(&o);
    info(&o, "PIGEON", NULL);
    tor_kit_turn(&o.kit, &o.closed);
    assert_int_equal(o.why.code, NK_EAUTH);
    finish(&o);
}

/* A control port may name any file: only what can be a cookie is read, and what is in it is only
 * given away when it is one for all we know. */
static void hostile_cookie_files(void **state)
{
    struct one o;
    char path[160], link[160], fifo[160];
    uint8_t cookie[TOR_COOKIE_SIZE] = {7}, bytes[64] = {0};
    struct nk_diag diag;
    (void)state;
    begin(&o);
    (void)snprintf(path, sizeof(path), "%s/key", o.kit.dir);
    (void)snprintf(link, sizeof(link), "%s/link", o.kit.dir);
    (void)snprintf(fifo, sizeof(fifo), "%s/fifo", o.kit.dir);
    for (size_t n = 0; n <= 64; n++) {
        put_file(path, bytes, n);
        assert_int_equal(tor_cookie_read(path, false, cookie, &diag), n == 32 ? 0 : NK_EBADMODE);
        assert_int_equal(cookie[0], n < 32 ? 7 : 0);
    }
    put_file(path, bytes, 32);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(tor_cookie_read(link, false, cookie, &diag), NK_EBADMODE);
    assert_int_equal(tor_cookie_read(link, true, cookie, &diag), 0);
    assert_int_equal(tor_cookie_read(fifo, false, cookie, &diag), NK_EBADMODE);
    assert_int_equal(tor_cookie_read(o.kit.dir, false, cookie, &diag), NK_EBADMODE);
    assert_int_equal(tor_cookie_read("key", false, cookie, &diag), NK_EBADMODE);
    open_it(&o);
    info(&o, "COOKIE", path);
    tor_kit_turn(&o.kit, &o.closed);
    assert_int_equal(o.why.code, NK_EVERIFY);
    assert_non_null(strstr(o.why.text, path));
    (void)unlink(path);
    (void)unlink(link);
    (void)unlink(fifo);
    finish(&o);
}

/* The user's own file, where tor names one that is not here (another container). */
static void named_cookie(void **state)
{
    struct one o;
    char want[NK_HEX_SIZE(TOR_HMAC_SIZE)];
    (void)state;
    begin(&o);
    o.access.cookie_file = o.cookie_path;
    open_it(&o);
    info(&o, "COOKIE,SAFECOOKIE", "/run/tor/elsewhere.authcookie");
    challenge(&o, 0, want);
    expect_authenticate(&o, want);
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &o.ready);
    finish(&o);
}

/* Path, owner, group, mode and what to do. */
static void denied(void **state)
{
    struct one o;
    struct nk_diag diag = {0};
    (void)state;
    begin(&o);
    assert_int_equal(chmod(o.cookie_path, 0640), 0);
    assert_int_equal(tor_access_denied(o.cookie_path, R_OK, "CookieAuthFileGroupReadable 1", &diag),
                     -EACCES);
    assert_non_null(strstr(diag.text, o.cookie_path));
    assert_non_null(strstr(diag.text, "mode 0640"));
    assert_non_null(strstr(diag.text, "owner "));
    assert_non_null(strstr(diag.text, "group "));
    assert_non_null(strstr(diag.hint, "adduser"));
    assert_int_equal(chmod(o.cookie_path, 0600), 0);
    assert_int_equal(tor_access_denied(o.cookie_path, R_OK, "CookieAuthFileGroupReadable 1", &diag),
                     -EACCES);
    assert_non_null(strstr(diag.text, "mode 0600"));
    assert_non_null(strstr(diag.hint, "CookieAuthFileGroupReadable 1"));
    finish(&o);
}

static void places(void **state)
{
    static const struct {
        const char *given, *place;
    } cases[] = {{"9051", "tcp:127.0.0.1:9051"},
                 {"localhost:9051", "tcp:localhost:9051"},
                 {"[::1]:9051", "tcp:[::1]:9051"},
                 {"/run/tor/control", "unix:/run/tor/control"},
                 {"/a,b%c", "unix:/a%2Cb%25c"},
                 {"unix:/x", "unix:/x"},
                 {"tls+tcp:h:1,pin=x", "tls+tcp:h:1,pin=x"},
                 {"tcp:h:9", "tcp:h:9"}};
    struct tor_access access = {0};
    char out[128], small[8];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char given[64];
        (void)snprintf(given, sizeof(given), "%s", cases[i].given);
        access.control = given;
        assert_int_equal(tor_access_place(&access, 0, out, sizeof(out)), 0);
        assert_string_equal(out, cases[i].place);
        assert_int_equal(tor_access_place(&access, 1, out, sizeof(out)), -ENOENT);
        assert_int_equal(tor_access_place(&access, 0, small, sizeof(small)),
                         strlen(cases[i].place) < sizeof(small) ? 0 : NK_ETOOBIG);
    }
    access.control = NULL;
    assert_int_equal(tor_access_place(&access, 0, out, sizeof(out)), 0);
    assert_string_equal(out, "unix:/run/tor/control");
    size_t n = 1;
    while (tor_access_place(&access, n, out, sizeof(out)) == 0) {
        n++;
    }
    assert_true(n == 3 || n == 4);
    assert_string_equal(out, "tcp:127.0.0.1:9151");
}

static int setup(void **state)
{
    (void)state;
    return nk_crypto_init();
}

int nk_test_tor_auth(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_vectors),
        cmocka_unit_test(live_vector),
        cmocka_unit_test(safecookie),
        cmocka_unit_test(impostor),
        cmocka_unit_test(malformed_challenge),
        cmocka_unit_test(every_method),
        cmocka_unit_test(cookie_missing),
        cmocka_unit_test(nothing_to_offer),
        cmocka_unit_test(hostile_cookie_files),
        cmocka_unit_test(named_cookie),
        cmocka_unit_test(denied),
        cmocka_unit_test(places),
    };
    return cmocka_run_group_tests_name("tor/auth", tests, setup, NULL);
}
