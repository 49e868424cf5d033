/* SPDX-License-Identifier: MIT */
#include "tor/client_auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/onion.h"
#include "base/secret.h"
#include "core/app.h"
#include "tor/control.h"
#include "tor/control_testkit.h"

int nk_test_tor_client_auth(void);

/* A directory like the state directory, with a key, and a tor that plays along. */
struct one {
    struct tor_kit kit;
    struct tor_control *control;
    struct tor_control_watch watch;
    struct tor_access access;
    struct nk_app *app; /* with the configuration; in the kit's loop */
    struct nk_conf *ini;
    struct hs_client key;
    uint8_t service[HS_PUBLIC_KEY];
    char address[NK_ONION_SIZE], dir[64], file[160], line[256];
    bool ready, lost;
};

struct wait {
    struct tor_client_load l;
    struct tor_client_load *cancel;
    bool done;
    int err;
};

static void on_done(void *owner, int err, const struct nk_diag *why)
{
    struct wait *w = owner;
    assert_false(w->done);
    assert_int_equal(err < 0, why != NULL);
    w->done = true;
    w->err = err;
    if (w->cancel) {
        tor_client_load_cancel(w->cancel);
    }
}

static void on_state(void *owner, enum tor_control_state state, int err, const struct nk_diag *why)
{
    struct one *o = owner;
    (void)err;
    (void)why;
    o->ready = state == TOR_CONTROL_READY;
    o->lost = state == TOR_CONTROL_LOST;
}

static void write_key(struct one *o)
{
    struct hs_item item;
    struct nk_buf text;
    assert_int_equal(hs_client_new(&o->key), 0);
    nk_buf_init_secret(&text, HS_FORMAT_MAX);
    hs_item_from_client(&item, &o->key, o->service);
    assert_int_equal(hs_format_write(&item, HS_AUTH_PRIVATE, &text, NULL), 0);
    assert_int_equal(
        nk_file_write(o->file, NK_FILE_OVERWRITE, nk_buf_ptr(&text), nk_buf_len(&text), NULL), 0);
    nk_buf_clear(&text);
    nk_buf_init_secret(&text, HS_FORMAT_MAX);
    assert_int_equal(hs_format_write(&item, HS_CONTROL, &text, NULL), 0);
    snprintf(o->line, sizeof(o->line), "ONION_CLIENT_AUTH_ADD %.*s %s", NK_ONION_LABEL, o->address,
             nk_buf_str(&text));
    nk_buf_clear(&text);
    hs_item_wipe(&item);
}

static void begin(struct one *o)
{
    static const struct nk_section *const sections[] = {&hs_keystore_section, NULL};
    struct hs_identity service;
    char text[256];
    *o = (struct one){.ready = false};
    assert_int_equal(hs_identity_new(&service), 0);
    memcpy(o->service, service.pub, sizeof(o->service));
    nk_onion_format(o->address, o->service);
    snprintf(o->dir, sizeof(o->dir), "/tmp/nk-clientauth-XXXXXX");
    assert_non_null(mkdtemp(o->dir));
    snprintf(o->file, sizeof(o->file), "%s/some.auth_private", o->dir);
    write_key(o);
    snprintf(text, sizeof(text),
             "[keystore none]\ndir = %s/none\n[keystore mine]\ndir = %s\n"
             "format = ctor\n",
             o->dir, o->dir);
    const struct nk_conf_source src = {
        .text = text, .text_len = strlen(text), .sections = sections};
    assert_int_equal(nk_conf_load(&o->ini, &src, NULL), 0);
    tor_kit_listen(&o->kit);
    nk_app_set_ini(o->kit.app, o->ini);
    o->access.control = o->kit.address;
    const struct tor_control_conf conf = {
        .app = o->kit.app, .access = &o->access, .reconnect = true};
    assert_int_equal(tor_control_open(&o->control, &conf, NULL), 0);
    o->watch = (struct tor_control_watch){.fn = on_state, .owner = o};
    tor_control_watch(o->control, &o->watch);
    tor_kit_login(&o->kit);
    tor_kit_turn(&o->kit, &o->ready);
}

static void finish(struct one *o)
{
    unlink(o->file);
    assert_int_equal(rmdir(o->dir), 0);
    tor_control_close(o->control);
    tor_kit_close(&o->kit);
    nk_conf_free(o->ini);
    hs_client_wipe(&o->key);
}

static int load(struct one *o, const char *host, const char *file, struct wait *w)
{
    struct nk_diag diag;
    *w = (struct wait){.l = {.fn = on_done, .owner = w}};
    return tor_client_load(o->kit.app, o->control, host, file, &w->l, &diag);
}

/* Keys of the keystores: once for a connection, again for the next one. */
static void automatic(void **state)
{
    struct one o;
    struct wait a, b, c;
    char host[NK_ONION_SIZE + 8];
    (void)state;
    begin(&o);
    assert_int_equal(load(&o, "example.com", NULL, &a), 0);
    assert_int_equal(
        load(&o, "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion", NULL, &a),
        0); /* nobody gave us a key for this one */
    assert_int_equal(load(&o, o.address, NULL, &a), 1);
    snprintf(host, sizeof(host), "www.%s", o.address);
    assert_int_equal(load(&o, host, NULL, &b), 1); /* waits for the same answer */
    assert_int_equal(load(&o, o.address, NULL, &c), 1);
    tor_client_load_cancel(&c.l);
    tor_kit_expect(&o.kit, "SETEVENTS SIGNAL CONF_CHANGED");
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_expect(&o.kit, o.line);
    tor_kit_idle(&o.kit);
    assert_false(a.done || b.done);
    tor_kit_say(&o.kit, "252 Registered client and decrypted desc\r\n");
    tor_kit_turn(&o.kit, &a.done);
    assert_true(b.done && !c.done && a.err == 0 && b.err == 0);
    assert_int_equal(load(&o, o.address, NULL, &a), 0);
    tor_kit_say(&o.kit, "650 SIGNAL NEWNYM\r\n"); /* tor has dropped it */
    tor_kit_idle(&o.kit);
    assert_int_equal(load(&o, o.address, NULL, &a), 1);
    tor_kit_expect(&o.kit, o.line);
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &a.done);
    write_key(&o); /* hsc key rotate */
    assert_int_equal(load(&o, o.address, NULL, &a), 1);
    tor_kit_expect(&o.kit, o.line);
    tor_kit_say(&o.kit, "251 Client for onion existed and replaced\r\n");
    tor_kit_turn(&o.kit, &a.done);
    tor_kit_hangup(&o.kit);
    tor_kit_turn(&o.kit, &o.lost);
    tor_kit_login(&o.kit);
    tor_kit_expect(&o.kit, "SETEVENTS SIGNAL CONF_CHANGED");
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_turn(&o.kit, &o.ready);
    assert_int_equal(load(&o, o.address, NULL, &a), 1);
    tor_kit_expect(&o.kit, o.line);
    tor_kit_hangup(&o.kit);
    tor_kit_turn(&o.kit, &a.done); /* without the key: the connection says why it fails */
    assert_int_equal(a.err, 0);
    finish(&o);
}

static void refused(void **state)
{
    struct one o;
    struct wait a, b;
    (void)state;
    begin(&o);
    assert_int_equal(load(&o, o.address, NULL, &a), 1);
    assert_int_equal(load(&o, o.address, NULL, &b), 1);
    b.cancel = &a.l; /* b is told first */
    tor_kit_expect(&o.kit, "SETEVENTS SIGNAL CONF_CHANGED");
    tor_kit_say(&o.kit, "250 OK\r\n");
    tor_kit_expect(&o.kit, o.line);
    tor_kit_say(&o.kit, "512 Failed to decode x25519 private key\r\n");
    tor_kit_turn(&o.kit, &b.done);
    tor_kit_idle(&o.kit);
    assert_true(b.err == 0 && !a.done);
    assert_int_equal(load(&o, o.address, o.file, &a), 1); /* tried again, now as the user's */
    tor_kit_expect(&o.kit, o.line);
    tor_kit_say(&o.kit, "551 Internal error\r\n");
    tor_kit_turn(&o.kit, &a.done);
    assert_int_equal(a.err, NK_EFORMAT);
    assert_int_equal(load(&o, "example.com", o.file, &a), NK_EUSAGE);
    assert_int_equal(load(&o, o.address, "/nowhere/key", &a), -ENOENT);
    struct tor_control *control = o.control;
    o.control = NULL; /* SOCKS is all that is known */
    assert_int_equal(load(&o, o.address, o.file, &a), NK_EUSAGE);
    assert_int_equal(load(&o, o.address, NULL, &a), 0);
    o.control = control;
    finish(&o);
}

static void answers(void **state)
{
    static const struct {
        int code;
        bool permanent, ok, hint;
    } t[] = {{250, false, true, false},  {251, true, true, false},  {252, false, true, false},
             {512, false, false, false}, {551, true, false, false}, {552, false, false, false},
             {553, true, false, true},   {553, false, false, true}};
    (void)state;
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        const struct tor_line line = {.code = t[i].code, .kind = ' ', .text = "why", .len = 3};
        const struct tor_reply reply = {.code = t[i].code, .lines = &line, .n = 1};
        struct nk_diag diag = {0};
        assert_int_equal(tor_client_auth_error(&reply, t[i].permanent, &diag),
                         t[i].ok ? 0 : NK_EFORMAT);
        assert_int_equal(diag.hint[0] != '\0', t[i].hint);
    }
}

static int setup(void **state)
{
    (void)state;
    return nk_crypto_init();
}

int nk_test_tor_client_auth(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(automatic),
        cmocka_unit_test(refused),
        cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests_name("tor/client_auth", tests, setup, NULL);
}
