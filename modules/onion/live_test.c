/* SPDX-License-Identifier: MIT */
/* Directories brought into force, on a control port that plays what each test tells it to. */
#include "onion/live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "onion/live_way.h"
#include "tor/control_testkit.h"

int nk_test_onion_live(void);

#define HSDIR "$F8D867EFE7EC94F9BA8E4536CFAE4C7696C118A5~a1"
#define OTHER "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead"
#define KEY "x25519:KCM9rMIL1aDMNoRKqXdml+VXp20uigt86wK8FFEEVEc="
#define NO_KEYS "250-ONION_CLIENT_AUTH_VIEW\r\n250 OK\r\n"

enum { TARGETS = 2, TEXT = 2048 };

struct scene {
    struct tor_kit kit;
    struct tor_access access;
    struct tor_control *control;
    struct tor_control_watch watch;
    char dir[32], service[48], keys[48], torrc[48];
    char label[NK_ONION_SIZE];
    struct hs_target targets_v[TARGETS]; /* a service, and keys of clients */
    struct hs_targets targets;
    struct hs_sight sights[TARGETS], seen[TARGETS];
    struct onion_client_keys known[TARGETS];
    struct nk_strlist ports;
    struct onion_live_conf conf;
    struct onion_live live;
    bool ready, applied, done;
    int error;
    struct nk_diag why;
};

static int on_applied(void *owner, struct nk_diag *diag)
{
    struct scene *o = owner;
    (void)diag;
    assert_false(o->applied);
    o->applied = true;
    return 0;
}

static void on_done(void *owner, int err, const struct nk_diag *why)
{
    struct scene *o = owner;
    assert_false(o->done);
    o->done = true;
    o->error = err;
    if (err < 0) {
        o->why = *why;
    }
}

static void on_state(void *owner, enum tor_control_state state, int err, const struct nk_diag *why)
{
    struct scene *o = owner;
    (void)err;
    (void)why;
    o->ready = state == TOR_CONTROL_READY;
}

static void put(const char *path, const void *p, size_t n)
{
    struct nk_diag diag;
    assert_int_equal(nk_file_write(path, NK_FILE_OVERWRITE, p, n, &diag), 0);
}

static void make_service(struct scene *o)
{
    char path[96];
    struct hs_identity key;
    uint8_t file[64] = "== ed25519v1-public: type0 ==";
    struct nk_diag diag;
    assert_int_equal(hs_identity_new(&key), 0);
    memcpy(file + 32, key.pub, 32);
    assert_int_equal(nk_mkdirs(o->service, &diag), 0);
    (void)snprintf(path, sizeof(path), "%s/hs_ed25519_public_key", o->service);
    put(path, file, sizeof(file));
    nk_onion_format(o->label, key.pub);
    o->label[NK_ONION_LABEL] = '\0';
    hs_identity_wipe(&key);
}

static void make_keys(struct scene *o)
{
    struct nk_diag diag;
    assert_int_equal(nk_mkdirs(o->keys, &diag), 0);
}

/* Connected; what is told comes later. */
static void begin(struct scene *o)
{
    struct nk_diag diag;
    memset(o, 0, sizeof(*o));
    (void)snprintf(o->dir, sizeof(o->dir), "/tmp/nk-live-XXXXXX");
    assert_non_null(mkdtemp(o->dir));
    (void)snprintf(o->service, sizeof(o->service), "%s/web", o->dir);
    (void)snprintf(o->keys, sizeof(o->keys), "%s/keys", o->dir);
    (void)snprintf(o->torrc, sizeof(o->torrc), "%s/torrc", o->dir);
    make_service(o);
    make_keys(o);
    o->targets_v[0] = (struct hs_target){.path = o->service, .service = true};
    o->targets_v[1] = (struct hs_target){.path = o->keys};
    o->targets = (struct hs_targets){.v = o->targets_v, .n = TARGETS};
    tor_kit_listen(&o->kit);
    o->access.control = o->kit.address;
    const struct tor_control_conf control = {.app = o->kit.app, .access = &o->access};
    assert_int_equal(tor_control_open(&o->control, &control, &diag), 0);
    o->watch = (struct tor_control_watch){.fn = on_state, .owner = o};
    tor_control_watch(o->control, &o->watch);
    o->conf = (struct onion_live_conf){.app = o->kit.app,
                                       .control = o->control,
                                       .targets = &o->targets,
                                       .sights = o->sights,
                                       .ports = &o->ports,
                                       .confirm_ms = 20000,
                                       .on_applied = on_applied,
                                       .on_done = on_done,
                                       .owner = o};
    tor_kit_login(&o->kit);
    tor_kit_turn(&o->kit, &o->ready);
}

static void finish(struct scene *o)
{
    onion_live_close(&o->live);
    onion_live_close(&o->live);
    for (size_t i = 0; i < TARGETS; i++) {
        onion_client_keys_clear(&o->known[i]);
    }
    tor_control_unwatch(&o->watch);
    tor_control_close(o->control);
    tor_kit_close(&o->kit);
    assert_int_equal(nk_remove_tree(o->dir), 0);
}

/* The questions in front: what tor has. %s is our directory, our label. */
struct world {
    bool in_conf, in_torrc, offline, up;
    const char *detached; /* a label, or NULL: ours */
};

static void answer(struct scene *o, const struct world *w)
{
    char text[TEXT];
    struct nk_diag diag;
    int n = snprintf(text, sizeof(text), "SocksPort 0\n%s%s\n",
                     w->in_torrc ? "HiddenServiceDir " : "", w->in_torrc ? o->service : "");
    put(o->torrc, text, (size_t)n);
    assert_int_equal(onion_live_open(&o->live, &o->conf, &diag), 0);
    tor_kit_expect(&o->kit, "SETEVENTS HS_DESC");
    tor_kit_expect(&o->kit, "GETCONF HiddenServiceOptions");
    tor_kit_say(&o->kit, "250 OK\r\n");
    (void)snprintf(text, sizeof(text), "250-HiddenServiceDir=%s\r\n250 HiddenServicePort=80\r\n",
                   w->in_conf ? o->service : "/other");
    tor_kit_say(&o->kit, text);
    tor_kit_expect(&o->kit, "GETCONF ClientOnionAuthDir DisableNetwork");
    (void)snprintf(text, sizeof(text), "250-ClientOnionAuthDir\r\n250 DisableNetwork=%d\r\n",
                   w->offline);
    tor_kit_say(&o->kit, text);
    tor_kit_expect(&o->kit, "GETINFO onions/detached config-file status/circuit-established "
                            "circuit-status");
    (void)snprintf(text, sizeof(text),
                   "250-onions/detached=%s\r\n250-config-file=%s\r\n"
                   "250-status/circuit-established=%d\r\n"
                   "250+circuit-status=\r\n1 BUILT HS_STATE=HSSI_ESTABLISHED REND_QUERY=" OTHER
                   "\r\n2 BUILT HS_STATE=%s REND_QUERY=%s\r\n.\r\n250 OK\r\n",
                   w->detached ? w->detached : o->label, o->torrc, !w->offline,
                   w->up ? "HSSI_ESTABLISHED" : "HSSI_CONNECTING", o->label);
    tor_kit_say(&o->kit, text);
}

static void say_event(struct scene *o, const char *action)
{
    char text[TEXT];
    (void)snprintf(text, sizeof(text), "650 HS_DESC %s %s UNKNOWN " HSDIR "%s\r\n", action,
                   o->label,
                   strcmp(action, "UPLOAD") == 0   ? " D1"
                   : strcmp(action, "FAILED") == 0 ? " REASON=UPLOAD_REJECTED"
                                                   : "");
    tor_kit_say(&o->kit, text);
}

static void view(struct scene *o, const char *reply)
{
    tor_kit_expect(&o->kit, "ONION_CLIENT_AUTH_VIEW");
    tor_kit_say(&o->kit, reply);
}

static void expect_end(struct scene *o, int error, const char *word)
{
    tor_kit_turn(&o->kit, &o->done);
    if (o->error != error || !strstr(o->why.text, word)) {
        fail_msg("%d %s, not %d %s", o->error, o->why.text, error, word);
    }
    finish(o);
}

static void check_reload(void **state)
{
    const struct world w = {.in_conf = true, .in_torrc = true, .up = true, .detached = OTHER};
    struct scene o;
    unsigned done, total;
    (void)state;
    begin(&o);
    answer(&o, &w);
    tor_kit_expect(&o.kit, "SIGNAL RELOAD");
    say_event(&o, "UPLOAD");
    tor_kit_say(&o.kit, "250 OK\r\n");
    view(&o, NO_KEYS);
    view(&o, NO_KEYS);
    tor_kit_turn(&o.kit, &o.applied);
    assert_false(o.done);
    onion_live_progress(&o.live, &done, &total);
    assert_int_equal(done, 0);
    assert_int_equal(total, 1);
    say_event(&o, "UPLOADED");
    tor_kit_turn(&o.kit, &o.done);
    assert_int_equal(o.live.v[0].way, ONION_LIVE_RELOAD);
    assert_int_equal(o.live.v[1].way, ONION_LIVE_KEYS);
    expect_end(&o, 0, "");

    /* nothing has changed, so that nothing is waited for */
    begin(&o);
    answer(&o, &w);
    tor_kit_expect(&o.kit, "SIGNAL RELOAD");
    tor_kit_say(&o.kit, "250 OK\r\n");
    view(&o, NO_KEYS);
    view(&o, NO_KEYS);
    expect_end(&o, 0, "");

    begin(&o);
    answer(&o, &w);
    tor_kit_expect(&o.kit, "SIGNAL RELOAD");
    tor_kit_say(&o.kit, "552 no\r\n");
    expect_end(&o, NK_EFORMAT, "552");
}

/* Lines that only SETCONF has made are not dropped. */
static void check_setconf(void **state)
{
    const struct world w = {.in_conf = true, .up = true, .detached = OTHER};
    struct scene o;
    char line[TEXT];
    (void)state;
    begin(&o);
    answer(&o, &w);
    (void)snprintf(line, sizeof(line), "SETCONF HiddenServiceDir=\"%s\" HiddenServicePort=\"80\"",
                   o.service);
    tor_kit_expect(&o.kit, line);
    tor_kit_say(&o.kit, "250 OK\r\n");
    view(&o, NO_KEYS);
    view(&o, NO_KEYS);
    expect_end(&o, 0, "");

    /* a reload is needed, and would drop /other */
    const struct world fresh = {.in_torrc = true, .detached = OTHER};
    begin(&o);
    answer(&o, &fresh);
    expect_end(&o, NK_ECONFIG, "/other");
}

static void check_unconfirmed(void **state)
{
    static const struct world cases[] = {
        {.in_conf = true, .in_torrc = true, .up = true, .detached = OTHER},
        {.in_conf = true, .in_torrc = true, .detached = OTHER}, /* it has never been up */
        {.in_conf = true, .in_torrc = true, .offline = true, .detached = OTHER}};
    static const char *const words[] = {"in time", "in time", "DisableNetwork"};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scene o;
        begin(&o);
        o.conf.confirm_ms = cases[i].offline ? 20000 : 20;
        answer(&o, &cases[i]);
        tor_kit_expect(&o.kit, "SIGNAL RELOAD");
        if (cases[i].up) {
            say_event(&o, "UPLOAD");
        }
        tor_kit_say(&o.kit, "250 OK\r\n");
        view(&o, NO_KEYS);
        view(&o, NO_KEYS);
        tor_kit_turn(&o.kit, &o.done);
        assert_true(o.applied);
        expect_end(&o, -ETIMEDOUT, words[i]);
    }
}

/* The user hears why nothing was uploaded. */
static void check_refused(void **state)
{
    static const struct world w = {
        .in_conf = true, .in_torrc = true, .up = true, .detached = OTHER};
    struct scene o;
    (void)state;
    begin(&o);
    o.conf.confirm_ms = 20;
    answer(&o, &w);
    tor_kit_expect(&o.kit, "SIGNAL RELOAD");
    say_event(&o, "UPLOAD");
    say_event(&o, "FAILED");
    tor_kit_say(&o.kit, "250 OK\r\n");
    view(&o, NO_KEYS);
    view(&o, NO_KEYS);
    tor_kit_turn(&o.kit, &o.done);
    assert_non_null(strstr(o.why.hint, "1 answered UPLOAD_REJECTED"));
    expect_end(&o, -ETIMEDOUT, "in time");
}

static void check_other_services(void **state)
{
    static const struct world detached = {.up = true}, none = {.detached = OTHER};
    struct scene o;
    (void)state;
    begin(&o);
    answer(&o, &detached);
    expect_end(&o, NK_EUSAGE, "which ports");
    begin(&o);
    answer(&o, &none);
    expect_end(&o, -ENOENT, "no service of");
}

/* Keys that went since the time before are taken from tor, if they are the ones that it has. What
 * tor was told already is left alone. */
static void check_keys(void **state)
{
    const struct world w = {.in_conf = true, .in_torrc = true, .up = true, .detached = OTHER};
    static const char has[] =
        "250-ONION_CLIENT_AUTH_VIEW\r\n250-CLIENT " OTHER " " KEY "\r\n250 OK\r\n";
    char path[96];
    struct scene o;
    struct nk_diag diag;
    (void)state;
    begin(&o);
    (void)snprintf(path, sizeof(path), "%s/a.auth_private", o.keys);
    static const char file[] =
        OTHER ":descriptor:x25519:fart3lgcbpk2btbwqrfks53gs7svpj3nf2faw7hlak6biuiekrdq";
    put(path, file, 56 + sizeof(":descriptor:x25519:") - 1 + 52);
    assert_int_equal(onion_client_keys_dir(&o.known[1], o.keys, &diag), 0);
    assert_int_equal(o.known[1].n, 1);
    assert_int_equal(unlink(path), 0);
    o.conf.known = o.known;
    o.conf.seen = o.seen;
    memset(o.seen[1].digest, 1, sizeof(o.seen[1].digest));
    answer(&o, &w);
    view(&o, has);
    tor_kit_expect(&o.kit, "ONION_CLIENT_AUTH_REMOVE " OTHER);
    tor_kit_say(&o.kit, "250 OK\r\n");
    view(&o, NO_KEYS);
    tor_kit_turn(&o.kit, &o.done);
    assert_int_equal(o.live.v[0].way, ONION_LIVE_UNKNOWN);
    assert_int_equal(o.live.v[1].removed, 1);
    assert_int_equal(o.known[1].n, 0);
    expect_end(&o, 0, "");
}

static void check_torrc(void **state)
{
    static const char text[] = "# HiddenServiceDir /no\n"
                               "  hiddenservicedir\t/a b # one\r\n"
                               "HiddenServiceDir \"/q \\\"x\\\" # no comment\"\n"
                               "HiddenServiceDirGroupReadable 1\n"
                               "HiddenServiceDir /last";
    char dir[] = "/tmp/nk-live-XXXXXX", path[64];
    struct nk_strlist l = {0};
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/torrc", dir);
    assert_int_equal(onion_live_torrc(path, &l), -ENOENT);
    put(path, text, sizeof(text) - 1);
    assert_int_equal(onion_live_torrc(path, &l), 0);
    assert_int_equal(l.n, 3);
    assert_string_equal(l.v[0], "/a b");
    assert_string_equal(l.v[1], "/q \"x\" # no comment");
    assert_string_equal(l.v[2], "/last");
    put(path, "%include /etc/tor/*\n", 20);
    assert_int_equal(onion_live_torrc(path, &l), NK_EUNSUPPORTED);
    put(path, "HiddenServiceDir \"/a\n", 21);
    assert_int_equal(onion_live_torrc(path, &l), NK_EPROTO);
    nk_strlist_clear(&l);
    assert_true(onion_live_same_dir("/tmp/", "/tmp/."));
    assert_true(onion_live_same_dir("/nowhere", "/nowhere"));
    assert_false(onion_live_same_dir("/nowhere", "/tmp"));
    assert_int_equal(nk_remove_tree(dir), 0);
}

int nk_test_onion_live(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_reload),         cmocka_unit_test(check_setconf),
        cmocka_unit_test(check_unconfirmed),    cmocka_unit_test(check_refused),
        cmocka_unit_test(check_other_services), cmocka_unit_test(check_keys),
        cmocka_unit_test(check_torrc),
    };
    return cmocka_run_group_tests_name("onion/live", tests, NULL, NULL);
}
