/* SPDX-License-Identifier: MIT */
/* User authentication against a scripted server: what is asked, in which order, and what a server
 * may not do. */
#include "ssh/proto_auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ssh/packet.h"
#include "ssh/sink_testkit.h"
#include "torture.h"

int nk_test_ssh_proto_auth(void);

enum { BYTES = 256 * 1024, MODULUS = 256 };

struct fixture {
    struct ssh_kit_sink sink;
    struct ssh_auth_conf conf;
    struct ssh_auth *a;
    struct nk_buf in, out, banner, key, rsa;
    struct nk_diag diag;
};

static void on_banner(void *owner, const char *text)
{
    struct fixture *f = owner;
    assert_int_equal(nk_buf_puts(&f->banner, text), 0);
}

static struct ssh_str bytes_of(const struct nk_buf *b)
{
    return (struct ssh_str){.p = nk_buf_ptr(b), .n = nk_buf_len(b)};
}

static void open_it(struct fixture *f, const char *methods, bool skip_none)
{
    uint8_t bytes[MODULUS];
    *f = (struct fixture){.conf = {.user = "alice",
                                   .methods = methods,
                                   .session_id = ssh_kit_str("session"),
                                   .host_key = ssh_kit_str("HOSTKEY"),
                                   .skip_none = skip_none,
                                   .banner = on_banner,
                                   .owner = f}};
    ssh_sink_init(&f->sink);
    nk_buf_init(&f->in, BYTES);
    nk_buf_init(&f->out, BYTES);
    nk_buf_init(&f->banner, BYTES);
    nk_buf_init(&f->key, BYTES);
    nk_buf_init(&f->rsa, BYTES);
    memset(bytes, 0x7f, sizeof(bytes));
    ssh_kit_put(&f->key, "sx", "ssh-ed25519", (struct ssh_str){bytes, 32});
    ssh_kit_put(&f->rsa, "sxu", "ssh-rsa", ssh_kit_str("\1\1\1"), MODULUS + 1);
    bytes[0] = 0xff;
    ssh_kit_put(&f->rsa, "br", 0, (struct ssh_str){bytes, MODULUS});
    assert_int_equal(ssh_auth_new(&f->conf, &f->sink.sink, &f->a, &f->diag), 0);
}

static void close_it(struct fixture *f)
{
    ssh_auth_free(f->a);
    ssh_sink_clear(&f->sink);
    nk_buf_clear(&f->in);
    nk_buf_clear(&f->out);
    nk_buf_clear(&f->banner);
    nk_buf_clear(&f->key);
    nk_buf_clear(&f->rsa);
}

/* What the machine has sent next, as ssh_kit_put would say it. */
#define SENT(f, ...) assert_true(ssh_kit_next_is(&(f)->sink, &(f)->out, __VA_ARGS__))

#define GETS(f, ...)                                                                               \
    (nk_buf_reset(&(f)->in), ssh_kit_put(&(f)->in, __VA_ARGS__),                                   \
     ssh_auth_receive((f)->a, nk_buf_ptr(&(f)->in), nk_buf_len(&(f)->in), &(f)->diag))

#define WANTS(f, what) assert_int_equal(ssh_auth_want((f)->a), what)

#define REQUEST "bsss"
#define HEAD(method) 50, "alice", "ssh-connection", method

static void begin(struct fixture *f, const char *methods)
{
    assert_int_equal(ssh_auth_start(f->a, &f->diag), 0);
    SENT(f, "bs", 5, "ssh-userauth");
    SENT(f, REQUEST, HEAD("none"));
    WANTS(f, SSH_AUTH_SERVER);
    assert_int_equal(GETS(f, "bs", 6, "ssh-userauth"), 0);
    assert_int_equal(GETS(f, "bst", 51, methods, 0), 0);
}

static void sign(struct fixture *f, const char *alg)
{
    struct nk_buf s;
    nk_buf_init(&s, BYTES);
    ssh_kit_put(&s, "ss", alg, "made by nobody");
    assert_int_equal(ssh_auth_signed(f->a, bytes_of(&s), &f->diag), 0);
    nk_buf_clear(&s);
}

static void fast_path(void **state)
{
    (void)state;
    struct fixture f;
    struct ssh_auth_to_sign t;
    int cookie;
    open_it(&f, NULL, true);
    assert_int_equal(ssh_auth_ext(f.a, ssh_kit_str("ssh-ed25519"), true), 0);
    assert_int_equal(ssh_auth_start(f.a, &f.diag), 0);
    SENT(&f, "bs", 5, "ssh-userauth");
    WANTS(&f, SSH_AUTH_CREDENTIAL);
    assert_int_equal(ssh_auth_method(f.a), SSH_AUTH_PUBLICKEY);
    assert_int_equal(ssh_auth_key(f.a, bytes_of(&f.key), true, &cookie, &f.diag), 0);
    WANTS(&f, SSH_AUTH_SIGNATURE);
    ssh_auth_to_sign(f.a, &t);
    assert_ptr_equal(t.key, &cookie);
    assert_string_equal(t.alg->name, "ssh-ed25519");
    nk_buf_reset(&f.in);
    ssh_kit_put(&f.in, "s" REQUEST "tsxs", "session", HEAD("publickey-hostbound-v00@openssh.com"),
                1, "ssh-ed25519", bytes_of(&f.key), "HOSTKEY");
    assert_int_equal(t.data.n, nk_buf_len(&f.in));
    assert_memory_equal(t.data.p, nk_buf_ptr(&f.in), t.data.n);
    sign(&f, "ssh-ed25519");
    nk_buf_reset(&f.in);
    ssh_kit_put(&f.in, "ss", "ssh-ed25519", "made by nobody");
    SENT(&f, REQUEST "tsxsx", HEAD("publickey-hostbound-v00@openssh.com"), 1, "ssh-ed25519",
         bytes_of(&f.key), "HOSTKEY", bytes_of(&f.in));
    WANTS(&f, SSH_AUTH_SERVER);
    assert_int_equal(GETS(&f, "bs", 6, "ssh-userauth"), 0);
    assert_int_equal(GETS(&f, "b", 52), 0);
    WANTS(&f, SSH_AUTH_DONE);
    assert_int_equal(GETS(&f, "b", 52), NK_EPROTO);
    close_it(&f);
}

static void query_first(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f, NULL, false);
    begin(&f, "publickey,password,gssapi-with-mic");
    assert_int_equal(ssh_auth_methods(f.a), SSH_AUTH_PUBLICKEY | SSH_AUTH_PASSWORD);
    assert_int_equal(ssh_auth_key(f.a, bytes_of(&f.key), false, NULL, &f.diag), 0);
    SENT(&f, REQUEST "tsx", HEAD("publickey"), 0, "ssh-ed25519", bytes_of(&f.key));
    assert_int_equal(GETS(&f, "bst", 51, "publickey,password", 0), 0);
    WANTS(&f, SSH_AUTH_CREDENTIAL);
    assert_int_equal(ssh_auth_key(f.a, bytes_of(&f.key), false, NULL, &f.diag), 0);
    SENT(&f, REQUEST "tsx", HEAD("publickey"), 0, "ssh-ed25519", bytes_of(&f.key));
    assert_int_equal(GETS(&f, "bsx", 60, "ssh-ed25519", bytes_of(&f.key)), 0);
    WANTS(&f, SSH_AUTH_SIGNATURE);
    assert_int_equal(ssh_auth_not_signed(f.a, &f.diag), 0);
    assert_int_equal(ssh_auth_next_method(f.a, &f.diag), 0);
    assert_int_equal(ssh_auth_method(f.a), SSH_AUTH_PASSWORD);
    assert_int_equal(ssh_auth_key(f.a, bytes_of(&f.key), false, NULL, &f.diag), NK_EUSAGE);
    assert_int_equal(ssh_auth_password(f.a, "secret", 6, &f.diag), 0);
    SENT(&f, REQUEST "ts", HEAD("password"), 0, "secret");
    assert_int_equal(GETS(&f, "b", 52), 0);
    close_it(&f);
}

static void other_key_accepted(void **state)
{
    (void)state;
    static const char *const algs[] = {"ssh-ed25519", "ssh-rsa"};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        open_it(&f, NULL, false);
        begin(&f, "publickey");
        assert_int_equal(ssh_auth_key(f.a, bytes_of(&f.key), false, NULL, &f.diag), 0);
        assert_int_equal(GETS(&f, "bsx", 60, algs[i], bytes_of(i ? &f.key : &f.rsa)), NK_EPROTO);
        close_it(&f);
    }
}

static const char *rsa_alg(struct fixture *f, const char *sig_algs)
{
    struct ssh_auth_to_sign t;
    if (sig_algs) {
        assert_int_equal(ssh_auth_ext(f->a, ssh_kit_str(sig_algs), false), 0);
    }
    assert_int_equal(ssh_auth_key(f->a, bytes_of(&f->rsa), true, NULL, &f->diag), 0);
    ssh_auth_to_sign(f->a, &t);
    return t.alg->name;
}

static void rsa(void **state)
{
    (void)state;
    static const struct {
        const char *list, *alg;
    } rows[] = {{"ssh-ed25519,rsa-sha2-256,ssh-rsa", "rsa-sha2-256"},
                {"rsa-sha2-256,rsa-sha2-512", "rsa-sha2-512"},
                {"ssh-ed25519,ecdsa-sha2-nistp521rsa-sha2-512,rsa-sha2-256", "rsa-sha2-256"},
                {"\x01\xff,,,", "rsa-sha2-512"},
                {"", "rsa-sha2-512"},
                {NULL, "rsa-sha2-512"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        open_it(&f, NULL, false);
        begin(&f, "publickey");
        assert_string_equal(rsa_alg(&f, rows[i].list), rows[i].alg);
        close_it(&f);
    }
    struct fixture f; /* the server did not say: the other one is tried too */
    open_it(&f, NULL, false);
    begin(&f, "publickey");
    (void)rsa_alg(&f, NULL);
    sign(&f, "rsa-sha2-512");
    assert_int_equal(GETS(&f, "bst", 51, "publickey", 0), 0);
    WANTS(&f, SSH_AUTH_SIGNATURE);
    struct ssh_auth_to_sign t;
    ssh_auth_to_sign(f.a, &t);
    assert_string_equal(t.alg->name, "rsa-sha2-256");
    sign(&f, "ssh-rsa"); /* an agent that does not know better */
    WANTS(&f, SSH_AUTH_CREDENTIAL);
    close_it(&f);
}

static void allowed_algorithms(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f, NULL, false);
    ssh_auth_free(f.a);
    f.conf.sig_algs = "rsa-sha2-256,rsa-sha2-512";
    assert_int_equal(ssh_auth_new(&f.conf, &f.sink.sink, &f.a, &f.diag), 0);
    begin(&f, "publickey");
    assert_int_equal(ssh_auth_key(f.a, bytes_of(&f.key), true, NULL, &f.diag), NK_EUNSUPPORTED);
    WANTS(&f, SSH_AUTH_CREDENTIAL);
    assert_string_equal(rsa_alg(&f, NULL), "rsa-sha2-256");
    close_it(&f);
}

static void expired_password(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f, "password", false);
    begin(&f, "password");
    assert_int_equal(ssh_auth_password(f.a, "old", 3, &f.diag), 0);
    assert_int_equal(GETS(&f, "bss", 60, "Change\x1b it", ""), NK_EAUTH);
    assert_non_null(strstr(f.diag.text, "expired: Change? it"));
    close_it(&f);
}

static void interactive(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f, "keyboard-interactive,password", false);
    begin(&f, "publickey,password,keyboard-interactive");
    assert_int_equal(ssh_auth_method(f.a), SSH_AUTH_INTERACTIVE);
    assert_int_equal(ssh_auth_interactive(f.a, &f.diag), 0);
    SENT(&f, REQUEST "ss", HEAD("keyboard-interactive"), "", "");
    assert_int_equal(
        GETS(&f, "bsssustst", 60, "Two", "a\r\nb", "", 2u, "Pass\x1bword: ", 0, "Code\n", 1), 0);
    WANTS(&f, SSH_AUTH_ANSWERS);
    const struct ssh_auth_prompts *p = ssh_auth_prompts(f.a);
    assert_int_equal(p->n, 2);
    assert_string_equal(p->name, "Two");
    assert_string_equal(p->instruction, "a\nb");
    assert_string_equal(p->text[0], "Pass?word: ");
    assert_string_equal(p->text[1], "Code ");
    assert_false(p->echo[0]);
    assert_true(p->echo[1]);
    const struct ssh_str answers[] = {ssh_kit_str("x"), ssh_kit_str("123456")};
    assert_int_equal(ssh_auth_answer(f.a, answers, &f.diag), 0);
    SENT(&f, "buss", 61, 2u, "x", "123456");
    assert_int_equal(GETS(&f, "bsssu", 60, "", "Thanks", "", 0u), 0);
    SENT(&f, "bu", 61, 0u);
    assert_string_equal(nk_buf_str(&f.banner), "Thanks");
    assert_int_equal(GETS(&f, "bst", 51, "password", 1), 0);
    assert_true(ssh_auth_partial(f.a));
    assert_int_equal(ssh_auth_method(f.a), SSH_AUTH_PASSWORD);
    close_it(&f);
}

static void no_answer(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f, NULL, false);
    begin(&f, "keyboard-interactive,password");
    assert_int_equal(ssh_auth_interactive(f.a, &f.diag), 0);
    assert_int_equal(GETS(&f, "bsssust", 60, "", "", "", 1u, "?", 0), 0);
    assert_int_equal(ssh_auth_no_answer(f.a, &f.diag), 0);
    assert_int_equal(ssh_auth_method(f.a), SSH_AUTH_PASSWORD);
    assert_int_equal(ssh_auth_next_method(f.a, &f.diag), NK_EAUTH);
    assert_non_null(strstr(f.diag.text, "(keyboard-interactive,password)"));
    close_it(&f);
}

static void tries(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f, NULL, false);
    begin(&f, "publickey,password");
    unsigned keys = 0;
    while (ssh_auth_method(f.a) == SSH_AUTH_PUBLICKEY) { /* one try stays for the password */
        assert_int_equal(ssh_auth_key(f.a, bytes_of(&f.key), false, NULL, &f.diag), 0);
        assert_int_equal(GETS(&f, "bst", 51, "publickey,password", 0), 0);
        keys++;
    }
    assert_int_equal(keys, SSH_AUTH_TRIES_DEFAULT - 1);
    assert_int_equal(ssh_auth_password(f.a, "no", 2, &f.diag), 0);
    assert_int_equal(GETS(&f, "bst", 51, "publickey,password", 0), NK_EAUTH);
    close_it(&f);
}

static void banners(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f, NULL, false);
    begin(&f, "password");
    assert_int_equal(GETS(&f, "bss", 53,
                          "Hello\r\n\x1b[2J\xc2\x9b"
                          "1m \xff\tw\xc3\xa4r",
                          "en"),
                     0);
    assert_string_equal(nk_buf_str(&f.banner), "Hello\n?[2J?1m ? w\xc3\xa4r");
    char big[SSH_AUTH_BANNER_MAX];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    int rc = 0, sent = 1;
    for (; rc == 0 && sent < 2 * SSH_AUTH_BANNERS_MAX; sent++) {
        rc = GETS(&f, "bss", 53, big, "");
        assert_true(nk_buf_len(&f.banner) <= SSH_AUTH_BANNER_MAX);
    }
    assert_int_equal(rc, NK_EPROTO);
    assert_int_equal(sent, SSH_AUTH_BANNERS_MAX + 1);
    close_it(&f);
}

static void floods(void **state)
{
    (void)state;
    struct fixture f;
    open_it(&f, NULL, false);
    begin(&f, "keyboard-interactive");
    assert_int_equal(ssh_auth_interactive(f.a, &f.diag), 0);
    assert_int_equal(GETS(&f, "bsssu", 60, "", "", "", 1000000u), NK_EPROTO);
    close_it(&f);

    open_it(&f, NULL, false);
    begin(&f, "keyboard-interactive");
    assert_int_equal(ssh_auth_interactive(f.a, &f.diag), 0);
    int rc = 0, n = 0;
    for (; rc == 0 && n < 1000; n++) {
        rc = GETS(&f, "bsssu", 60, "", "", "", 0u);
    }
    assert_int_equal(rc, NK_EPROTO);
    assert_int_equal(n, SSH_AUTH_ROUNDS_MAX + 1);
    close_it(&f);

    open_it(&f, NULL, false);
    begin(&f, "password");
    rc = 0;
    for (n = 0; rc == 0 && n < 1000; n++) { /* never enough */
        assert_int_equal(ssh_auth_password(f.a, "p", 1, &f.diag), 0);
        rc = GETS(&f, "bst", 51, "password", 1);
    }
    assert_int_equal(rc, NK_EPROTO);
    close_it(&f);
}

/* Every message, in every state in which the server may not send it. */
static void out_of_place(void **state)
{
    (void)state;
    for (int st = 0; st < 6; st++) {
        static const char *const allowed[] = {"\6\65",     "\63\64\65", "\65",
                                              "\63\74\65", "\65",       "\63\64\74\65"};
        for (int number = 0; number < 256; number++) {
            struct fixture f;
            if (number && strchr(allowed[st], number)) {
                continue;
            }
            open_it(&f, NULL, false);
            if (st == 0) {
                assert_int_equal(ssh_auth_start(f.a, &f.diag), 0);
            } else {
                begin(&f, "publickey,password,keyboard-interactive");
            }
            if (st == 1) {
                assert_int_equal(ssh_auth_next_method(f.a, &f.diag), 0);
                assert_int_equal(ssh_auth_next_method(f.a, &f.diag), 0);
                assert_int_equal(ssh_auth_password(f.a, "x", 1, &f.diag), 0);
                if (number == 60) { /* a wish for a new password, malformed here */
                    close_it(&f);
                    continue;
                }
            } else if (st == 3) {
                assert_int_equal(ssh_auth_key(f.a, bytes_of(&f.key), false, NULL, &f.diag), 0);
            } else if (st == 4) {
                assert_int_equal(ssh_auth_key(f.a, bytes_of(&f.key), true, NULL, &f.diag), 0);
            } else if (st == 5) {
                assert_int_equal(ssh_auth_next_method(f.a, &f.diag), 0);
                assert_int_equal(ssh_auth_interactive(f.a, &f.diag), 0);
            }
            assert_int_equal(GETS(&f, "b", number), NK_EPROTO);
            assert_int_equal(GETS(&f, "b", 52), NK_EPROTO); /* it is over */
            close_it(&f);
        }
    }
}

static void malformed(void **state)
{
    (void)state;
    struct fixture f;
    static const uint8_t good[] = "\63\0\0\0\10password\0";
    for (size_t n = 1; n < sizeof(good); n++) {
        open_it(&f, NULL, false);
        begin(&f, "password");
        assert_int_equal(ssh_auth_password(f.a, "x", 1, &f.diag), 0);
        int rc = ssh_auth_receive(f.a, good, n, &f.diag);
        assert_int_equal(rc, n == sizeof(good) - 1 ? 0 : NK_EPROTO);
        close_it(&f);
    }
}

/* Some servers leave the service's name out; others that say something say it right. */
static void accepted(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct fixture f;
        open_it(&f, NULL, false);
        assert_int_equal(ssh_auth_start(f.a, &f.diag), 0);
        int rc = i == 0   ? GETS(&f, "b", 6)
                 : i == 1 ? GETS(&f, "bs", 6, "ssh-connection")
                 : i == 2 ? GETS(&f, "bu", 6, 100u)
                          : GETS(&f, "bss", 6, "ssh-userauth", "");
        assert_int_equal(rc, i == 0 ? 0 : NK_EPROTO);
        close_it(&f);
    }
}

static void usage(void **state)
{
    (void)state;
    struct fixture f;
    struct ssh_auth *a = NULL;
    open_it(&f, NULL, false);
    assert_int_equal(ssh_auth_password(f.a, "x", 1, &f.diag), NK_EUSAGE);
    assert_int_equal(ssh_auth_interactive(f.a, &f.diag), NK_EUSAGE);
    assert_int_equal(ssh_auth_no_answer(f.a, &f.diag), NK_EUSAGE);
    assert_int_equal(ssh_auth_not_signed(f.a, &f.diag), NK_EUSAGE);
    begin(&f, "password");
    char big[SSH_AUTH_PASSWORD_MAX + 1] = {0};
    assert_int_equal(ssh_auth_password(f.a, big, sizeof(big), &f.diag), NK_ETOOBIG);
    WANTS(&f, SSH_AUTH_CREDENTIAL);
    f.sink.fail = -ENOMEM;
    assert_int_equal(ssh_auth_password(f.a, "x", 1, &f.diag), -ENOMEM);
    f.conf.user = "";
    assert_int_equal(ssh_auth_new(&f.conf, &f.sink.sink, &a, &f.diag), NK_EUSAGE);
    f.conf.user = "a\nb";
    assert_int_equal(ssh_auth_new(&f.conf, &f.sink.sink, &a, &f.diag), NK_EUSAGE);
    f.conf.user = "a";
    f.conf.methods = "gssapi-with-mic,hostbased";
    assert_int_equal(ssh_auth_new(&f.conf, &f.sink.sink, &a, &f.diag), NK_EUSAGE);
    assert_null(a);
    close_it(&f);
}

/* A login with a password, every allocation of the machine failing once. */
static int login(void *arg)
{
    struct fixture *f = arg;
    struct ssh_auth *a;
    struct nk_diag diag = {0};
    static const uint8_t accept[] = "\6\0\0\0\14ssh-userauth", list[] = "\63\0\0\0\10password\0",
                         banner[] = "\65\0\0\0\2hi\0\0\0\0", done[] = "\64";
    int rc = ssh_auth_new(&f->conf, &f->sink.sink, &a, &diag);
    if (rc < 0) {
        return rc;
    }
    rc = ssh_auth_start(a, &diag);
    rc = rc < 0 ? rc : ssh_auth_receive(a, accept, sizeof(accept) - 1, &diag);
    rc = rc < 0 ? rc : ssh_auth_receive(a, banner, sizeof(banner) - 1, &diag);
    rc = rc < 0 ? rc : ssh_auth_receive(a, list, sizeof(list) - 1, &diag);
    rc = rc < 0 ? rc : ssh_auth_password(a, "secret", 6, &diag);
    rc = rc < 0 ? rc : ssh_auth_receive(a, done, 1, &diag);
    rc = rc < 0 ? rc : ssh_auth_want(a) == SSH_AUTH_DONE ? 0 : 1;
    ssh_auth_free(a);
    return rc;
}

static int drop_begin(struct ssh_sink *s, size_t max, uint8_t **payload)
{
    (void)s;
    static _Thread_local uint8_t room[1024];
    *payload = room;
    return max <= sizeof(room) ? 0 : NK_ETOOBIG;
}

static void drop_end(struct ssh_sink *s, uint8_t *payload, size_t n)
{
    (void)s;
    (void)payload;
    (void)n;
}

static void allocations(void **state)
{
    (void)state;
    static const struct ssh_sink_ops drop = {drop_begin, drop_end};
    struct fixture f;
    open_it(&f, NULL, false);
    f.sink.sink.ops = &drop;
    f.conf.banner = NULL;
    assert_true(nk_torture(login, &f) >= 4);
    close_it(&f);
}

int nk_test_ssh_proto_auth(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_path),
        cmocka_unit_test(query_first),
        cmocka_unit_test(other_key_accepted),
        cmocka_unit_test(rsa),
        cmocka_unit_test(allowed_algorithms),
        cmocka_unit_test(expired_password),
        cmocka_unit_test(interactive),
        cmocka_unit_test(no_answer),
        cmocka_unit_test(tries),
        cmocka_unit_test(banners),
        cmocka_unit_test(floods),
        cmocka_unit_test(out_of_place),
        cmocka_unit_test(malformed),
        cmocka_unit_test(accepted),
        cmocka_unit_test(usage),
        cmocka_unit_test(allocations),
    };
    return cmocka_run_group_tests_name("ssh/proto_auth", tests, NULL, NULL);
}
