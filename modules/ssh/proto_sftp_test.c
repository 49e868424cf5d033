/* SPDX-License-Identifier: MIT */
/* An SFTP client against servers that are written down here, honest and other ones. */
#include "ssh/proto_sftp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

int nk_test_ssh_proto_sftp(void);

enum { LOG_MAX = 64 };

/* A client, what it was told, and what the server is about to say. */
struct client {
    struct ssh_sftp s;
    struct nk_buf server;
    struct nk_diag diag;
    int ready, replies;
    struct ssh_sftp_reply last;
    char log[LOG_MAX]; /* the owner's letters, in the order of replies */
    char names[LOG_MAX];
    uint8_t data[LOG_MAX];
};

struct asker {
    struct client *c;
    char letter;
};

static void on_ready(void *owner)
{
    struct client *c = owner;
    c->ready++;
}

static void on_reply(void *owner, const struct ssh_sftp_reply *r)
{
    struct asker *a = owner;
    struct client *c = a->c;
    struct nk_cur names = r->names;
    struct ssh_str name;
    c->log[c->replies++ % LOG_MAX] = a->letter;
    c->last = *r;
    if (r->data.n > 0 && r->data.n <= LOG_MAX) {
        memcpy(c->data, r->data.p, r->data.n);
    }
    while (r->names.p && ssh_sftp_next_name(&names, &name, NULL)) {
        strncat(c->names, (const char *)name.p, name.n);
        strcat(c->names, ";");
    }
}

static struct ssh_sftp_for by(struct asker *a)
{
    return (struct ssh_sftp_for){.fn = on_reply, .owner = a};
}

static void open_client(struct client *c)
{
    memset(c, 0, sizeof(*c));
    nk_buf_init(&c->server, 1 << 20);
    assert_int_equal(ssh_sftp_init(&c->s, on_ready, c), 0);
}

static void close_client(struct client *c)
{
    nk_buf_clear(&c->server);
    ssh_sftp_clear(&c->s);
}

/* A packet of the server: its type and id (or version) and the rest. */
static void say(struct client *c, uint8_t type, uint32_t id, const void *rest, size_t n)
{
    assert_int_equal(nk_buf_be32(&c->server, (uint32_t)(n + 5)), 0);
    assert_int_equal(nk_buf_u8(&c->server, type), 0);
    assert_int_equal(nk_buf_be32(&c->server, id), 0);
    assert_int_equal(nk_buf_put(&c->server, rest, n), 0);
}

#define SAY(c, type, id, text) say(c, type, id, text, sizeof(text) - 1)

static void say_status(struct client *c, uint32_t id, uint32_t status, const char *message)
{
    struct nk_buf b;
    nk_buf_init(&b, 256);
    assert_int_equal(nk_buf_be32(&b, status), 0);
    assert_int_equal(ssh_put_text(&b, message), 0);
    assert_int_equal(ssh_put_text(&b, "en"), 0);
    say(c, SSH_FXP_STATUS, id, nk_buf_ptr(&b), nk_buf_len(&b));
    nk_buf_clear(&b);
}

/* All that the server has said, in pieces of so many bytes. */
static int hear(struct client *c, size_t piece)
{
    int rc = 0;
    while (rc == 0 && nk_buf_len(&c->server) > 0) {
        size_t n = nk_buf_len(&c->server) < piece ? nk_buf_len(&c->server) : piece;
        uint8_t *copy = malloc(n); /* so that reading beyond is seen */
        assert_non_null(copy);
        memcpy(copy, nk_buf_ptr(&c->server), n);
        rc = ssh_sftp_feed(&c->s, copy, n, &c->diag);
        free(copy);
        nk_buf_consume(&c->server, n);
    }
    return rc;
}

/* The next packet that the client sent: type and id, and the rest in *rest. */
static uint8_t sent(struct client *c, uint32_t *id, struct nk_cur *rest)
{
    nk_cur_init(rest, nk_buf_ptr(&c->s.out), nk_buf_len(&c->s.out));
    uint32_t n = nk_cur_be32(rest);
    *rest = nk_cur_sub(rest, n);
    uint8_t type = nk_cur_u8(rest);
    *id = nk_cur_be32(rest);
    assert_false(rest->failed);
    nk_buf_consume(&c->s.out, 4 + n); /* the bytes stay where they are until the next request */
    return type;
}

#define OPENSSH                                                                                    \
    "\0\0\0\x18posix-rename@openssh.com\0\0\0\x01"                                                 \
    "1\0\0\0\x11"                                                                                  \
    "fsync@openssh.com\0\0\0\x01"                                                                  \
    "1\0\0\0\x12limits@openssh.com\0\0\0\x01"                                                      \
    "1\0\0\0\x14"                                                                                  \
    "lsetstat@openssh.com\0\0\0\x01"                                                               \
    "1"

#define LIMITS "\0\0\0\0\0\4\0\0\0\0\0\0\0\3\xfc\0\0\0\0\0\0\3\xfc\0\0\0\0\0\0\0\3\xfb"

/* As far as ready, with a server that has no extensions. */
static void greet(struct client *c)
{
    uint32_t version;
    struct nk_cur rest;
    open_client(c);
    assert_int_equal(sent(c, &version, &rest), SSH_FXP_INIT);
    assert_int_equal(version, 3);
    assert_true(nk_cur_done(&rest));
    SAY(c, SSH_FXP_VERSION, 3, "");
    assert_int_equal(hear(c, 4096), 0);
    assert_int_equal(c->ready, 1);
}

static void greet_openssh(struct client *c, size_t piece)
{
    uint32_t id;
    struct nk_cur rest;
    open_client(c);
    assert_int_equal(sent(c, &id, &rest), SSH_FXP_INIT);
    SAY(c, SSH_FXP_VERSION, 3, OPENSSH);
    assert_int_equal(hear(c, piece), 0);
    assert_int_equal(c->ready, 0);
    struct asker a = {c, 'a'};
    assert_int_equal(ssh_sftp_path(&c->s, SSH_FXP_STAT, "x", by(&a)), NK_ECLOSED);
    assert_int_equal(sent(c, &id, &rest), SSH_FXP_EXTENDED);
    assert_true(ssh_str_is(ssh_cur_string(&rest), "limits@openssh.com") && nk_cur_done(&rest));
    SAY(c, SSH_FXP_EXTENDED_REPLY, id, LIMITS);
    assert_int_equal(hear(c, piece), 0);
    assert_int_equal(c->ready, 1);
}

static void test_begin(void **state)
{
    struct client c;
    (void)state;
    greet(&c);
    assert_int_equal(c.s.read_max, 32768);
    assert_false(c.s.posix_rename || c.s.fsync);
    struct ssh_sftp_handle h = {.n = 1};
    struct asker a = {&c, 'a'};
    assert_int_equal(ssh_sftp_of(&c.s, SSH_FXP_EXTENDED, &h, by(&a)), NK_EUNSUPPORTED);
    close_client(&c);
    for (size_t piece = 1; piece < 200; piece++) {
        greet_openssh(&c, piece);
        assert_int_equal(c.s.read_max, 261120);
        assert_int_equal(c.s.write_max, 261120);
        assert_true(c.s.posix_rename && c.s.fsync);
        close_client(&c);
    }
}

/* A server whose limits are none, or one that refuses to tell them. */
static void test_limits(void **state)
{
    struct client c;
    struct nk_cur rest;
    uint32_t id;
    (void)state;
    for (int refuses = 0; refuses < 2; refuses++) {
        open_client(&c);
        (void)sent(&c, &id, &rest);
        SAY(&c, SSH_FXP_VERSION, 3, OPENSSH);
        assert_int_equal(hear(&c, 4096), 0);
        (void)sent(&c, &id, &rest);
        if (refuses) {
            say_status(&c, id, SSH_FX_OP_UNSUPPORTED, "");
        } else {
            SAY(&c, SSH_FXP_EXTENDED_REPLY, id,
                "\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        }
        assert_int_equal(hear(&c, 4096), 0);
        assert_int_equal(c.ready, 1);
        assert_int_equal(c.s.read_max, refuses ? 32768 : SSH_SFTP_DATA_MAX);
        assert_int_equal(c.s.write_max, 32768);
        close_client(&c);
    }
}

#define STAT_REPLY "\0\0\0\x0f\0\0\0\1\0\0\0\2\0\0\3\xe8\0\0\0\5\0\0\x81\xa4\0\0\0\7\0\0\0\x08"
#define NAME_REPLY                                                                                 \
    "\0\0\0\2\0\0\0\1a\0\0\0\3l a\0\0\0\4\0\0\x81\xa4\0\0\0\2..\0\0\0\0\x80\0\0\0\0\0\0\1"         \
    "\0\0\0\1x\0\0\0\1y"

/* Replies out of order, to requests that were sent together. */
static void pipelined(size_t piece)
{
    struct client c;
    struct nk_cur rest;
    uint32_t id[4];
    greet(&c);
    struct asker a = {&c, 'a'}, b = {&c, 'b'}, d = {&c, 'd'}, e = {&c, 'e'};
    struct ssh_sftp_handle h = {.n = 3, .bytes = "abc"};
    assert_int_equal(ssh_sftp_path(&c.s, SSH_FXP_STAT, "/x", by(&a)), 0);
    assert_int_equal(ssh_sftp_read(&c.s, &h, 7, 5, by(&b)), 0);
    assert_int_equal(ssh_sftp_of(&c.s, SSH_FXP_READDIR, &h, by(&d)), 0);
    assert_int_equal(ssh_sftp_of(&c.s, SSH_FXP_CLOSE, &h, by(&e)), 0);
    assert_int_equal(c.s.busy, 4);
    assert_int_equal(sent(&c, &id[0], &rest), SSH_FXP_STAT);
    assert_true(ssh_str_is(ssh_cur_string(&rest), "/x") && nk_cur_done(&rest));
    assert_int_equal(sent(&c, &id[1], &rest), SSH_FXP_READ);
    assert_true(ssh_str_is(ssh_cur_string(&rest), "abc"));
    assert_true(nk_cur_be64(&rest) == 7 && nk_cur_be32(&rest) == 5 && nk_cur_done(&rest));
    assert_int_equal(sent(&c, &id[2], &rest), SSH_FXP_READDIR);
    assert_int_equal(sent(&c, &id[3], &rest), SSH_FXP_CLOSE);
    say_status(&c, id[3], SSH_FX_OK, "");
    SAY(&c, SSH_FXP_NAME, id[2], NAME_REPLY);
    SAY(&c, SSH_FXP_DATA, id[1], "\0\0\0\4data");
    SAY(&c, SSH_FXP_ATTRS, id[0], STAT_REPLY);
    assert_int_equal(hear(&c, piece), 0);
    assert_string_equal(c.log, "edba");
    assert_string_equal(c.names, "a;..;");
    assert_memory_equal(c.data, "data", 4);
    assert_int_equal(c.last.attrs.size, (1ull << 32) + 2);
    assert_int_equal(c.last.attrs.uid, 1000);
    assert_int_equal(c.last.attrs.mode, 0100644);
    assert_int_equal(c.last.attrs.mtime, 8);
    assert_int_equal(c.s.busy, 0);
    close_client(&c);
}

static void test_pipelined(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 260; piece++) {
        pipelined(piece);
    }
}

static void test_requests(void **state)
{
    struct client c;
    struct nk_cur rest;
    uint32_t id;
    (void)state;
    greet_openssh(&c, 4096);
    struct asker a = {&c, 'a'};
    struct ssh_sftp_attrs attrs = {
        .has = SSH_SFTP_HAS_MODE | SSH_SFTP_HAS_TIMES, .mode = 0600, .atime = 1, .mtime = 2};
    assert_int_equal(ssh_sftp_open(&c.s, "f", SSH_SFTP_WRITE | SSH_SFTP_CREATE, &attrs, by(&a)), 0);
    assert_int_equal(sent(&c, &id, &rest), SSH_FXP_OPEN);
    assert_true(ssh_str_is(ssh_cur_string(&rest), "f"));
    assert_int_equal(nk_cur_be32(&rest), 10);
    struct ssh_sftp_attrs got = ssh_cur_attrs(&rest);
    assert_true(nk_cur_done(&rest));
    assert_memory_equal(&got, &attrs, sizeof(got));
    assert_int_equal(ssh_sftp_rename(&c.s, "f", "g", by(&a)), 0);
    assert_int_equal(sent(&c, &id, &rest), SSH_FXP_EXTENDED);
    assert_true(ssh_str_is(ssh_cur_string(&rest), "posix-rename@openssh.com"));
    assert_true(ssh_str_is(ssh_cur_string(&rest), "f"));
    assert_true(ssh_str_is(ssh_cur_string(&rest), "g") && nk_cur_done(&rest));
    struct ssh_sftp_handle h = {.n = 2, .bytes = "hh"};
    uint8_t *room;
    assert_int_equal(ssh_sftp_write_begin(&c.s, &h, 100, &room), 0);
    memcpy(room, "12345", 5);
    ssh_sftp_write_end(&c.s, &h, 1ull << 40, room, 5, by(&a));
    assert_int_equal(sent(&c, &id, &rest), SSH_FXP_WRITE);
    assert_true(ssh_str_is(ssh_cur_string(&rest), "hh") && nk_cur_be64(&rest) == 1ull << 40);
    assert_true(ssh_str_is(ssh_cur_string(&rest), "12345") && nk_cur_done(&rest));
    say_status(&c, id, 77, "no room\x1b[2J");
    assert_int_equal(hear(&c, 3), 0);
    assert_int_equal(c.last.rc, -EIO);
    assert_int_equal(c.last.offset, 1ull << 40);
    assert_int_equal(ssh_sftp_write_begin(&c.s, &h, c.s.write_max + 1, &room), NK_ETOOBIG);
    assert_int_equal(ssh_sftp_read(&c.s, &h, 0, 0, by(&a)), NK_ETOOBIG);
    close_client(&c);
}

/* Slots and the buffer end; what comes back makes room again. */
static void test_full(void **state)
{
    struct client c;
    struct nk_cur rest;
    uint32_t id = 0, old;
    (void)state;
    greet_openssh(&c, 4096);
    struct asker a = {&c, 'a'};
    struct ssh_sftp_handle h = {.n = 1};
    for (int i = 0; i < SSH_SFTP_SLOTS; i++) {
        assert_int_equal(ssh_sftp_read(&c.s, &h, 0, 1, by(&a)), 0);
    }
    assert_int_equal(ssh_sftp_read(&c.s, &h, 0, 1, by(&a)), NK_EAGAIN);
    (void)sent(&c, &old, &rest);
    say_status(&c, old, SSH_FX_EOF, "");
    assert_int_equal(hear(&c, 4096), 0);
    assert_true(c.last.rc == NK_ECLOSED && c.last.status == SSH_FX_EOF);
    assert_int_equal(ssh_sftp_read(&c.s, &h, 0, 1, by(&a)), 0);
    say_status(&c, old, SSH_FX_EOF, ""); /* its slot is somebody else's now */
    assert_int_equal(hear(&c, 4096), NK_EPROTO);
    assert_int_equal(ssh_sftp_read(&c.s, &h, 0, 1, by(&a)), NK_ECLOSED);
    assert_int_equal(ssh_sftp_feed(&c.s, (const uint8_t *)"", 1, &c.diag), NK_ECLOSED);
    close_client(&c);
    greet_openssh(&c, 4096);
    uint8_t *room;
    int rc, n = 0;
    while ((rc = ssh_sftp_write_begin(&c.s, &h, c.s.write_max, &room)) == 0) {
        memset(room, 0, c.s.write_max);
        ssh_sftp_write_end(&c.s, &h, 0, room, c.s.write_max, by(&a));
        n++;
    }
    assert_int_equal(rc, NK_EAGAIN);
    assert_int_equal(n, 4);
    assert_int_equal(sent(&c, &id, &rest), SSH_FXP_WRITE);
    assert_int_equal(ssh_sftp_write_begin(&c.s, &h, c.s.write_max, &room), 0);
    close_client(&c);
}

static void test_paths(void **state)
{
    struct client c;
    (void)state;
    greet(&c);
    struct asker a = {&c, 'a'};
    char *path = malloc(SSH_SFTP_PACKET_MAX + 1);
    assert_non_null(path);
    memset(path, 'x', SSH_SFTP_PACKET_MAX);
    path[SSH_SFTP_PACKET_MAX] = 0;
    assert_int_equal(ssh_sftp_path(&c.s, SSH_FXP_STAT, path, by(&a)), NK_ETOOBIG);
    free(path);
    assert_int_equal(nk_buf_len(&c.s.out), 0);
    close_client(&c);
    static const char *const bad[] = {"", ".", "..", "a/b", "/", "../x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ssh_str s = {(const uint8_t *)bad[i], strlen(bad[i])};
        assert_false(ssh_sftp_name_ok(s));
    }
    assert_false(ssh_sftp_name_ok((struct ssh_str){(const uint8_t *)"a\0b", 3}));
    assert_true(ssh_sftp_name_ok((struct ssh_str){(const uint8_t *)"...", 3}));
    uint8_t name[SSH_SFTP_NAME_MAX + 1];
    memset(name, 'x', sizeof(name));
    assert_true(ssh_sftp_name_ok((struct ssh_str){name, SSH_SFTP_NAME_MAX}));
    assert_false(ssh_sftp_name_ok((struct ssh_str){name, sizeof(name)}));
}

/* Beginnings that are refused. */
static void begins(const char *bytes, size_t n, int expected)
{
    for (size_t piece = 1; piece <= n; piece++) {
        struct client c;
        open_client(&c);
        assert_int_equal(nk_buf_put(&c.server, bytes, n), 0);
        assert_int_equal(hear(&c, piece), expected);
        assert_int_equal(c.ready, 0);
        assert_true(c.s.in.cap <= 64); /* nothing is kept for a length alone */
        close_client(&c);
    }
}

#define BEGINS(bytes, expected) begins(bytes, sizeof(bytes) - 1, expected)

static void test_hostile_begin(void **state)
{
    (void)state;
    BEGINS("\0\0\0\5\2\0\0\0\2", NK_EVERSION);
    BEGINS("\0\0\0\5\2\0\0\0\6", NK_EPROTO);
    BEGINS("\0\0\0\5\x65\0\0\0\3", NK_EPROTO);
    BEGINS("\0\0\0\4\2\0\0\3", NK_EPROTO);
    BEGINS("\0\0\0\0\2\0\0\0\3", NK_EPROTO);
    BEGINS("\0\4\0\1\2\0\0\0\3", NK_EPROTO);
    BEGINS("\xff\xff\xff\xff", NK_EPROTO);
    BEGINS("\0\0\0\x0a\2\0\0\0\3\0\0\0\1x", NK_EPROTO);
    BEGINS("\0\0\0\x09\2\0\0\0\3\xff\xff\xff\xff", NK_EPROTO);
    BEGINS("This account is not available.\n", NK_EPROTO);
}

/* What a server answers, in vain, to one request of each kind: 0 READ of 4 bytes, 1 STAT, 2 OPEN,
 * 3 READDIR, 4 REMOVE. */
static void answers(int kind, uint8_t type, const char *rest, size_t n)
{
    for (size_t piece = 1; piece <= n + 9; piece += piece < 16 ? 1 : 7) {
        struct client c;
        struct nk_cur cur;
        uint32_t id;
        greet(&c);
        struct asker a = {&c, 'a'};
        struct ssh_sftp_handle h = {.n = 1};
        int rc = kind == 0   ? ssh_sftp_read(&c.s, &h, 0, 4, by(&a))
                 : kind == 1 ? ssh_sftp_path(&c.s, SSH_FXP_STAT, "x", by(&a))
                 : kind == 2 ? ssh_sftp_open(&c.s, "x", SSH_SFTP_READ, NULL, by(&a))
                 : kind == 3 ? ssh_sftp_of(&c.s, SSH_FXP_READDIR, &h, by(&a))
                             : ssh_sftp_path(&c.s, SSH_FXP_REMOVE, "x", by(&a));
        assert_int_equal(rc, 0);
        (void)sent(&c, &id, &cur);
        say(&c, type, id, rest, n);
        assert_int_equal(hear(&c, piece), NK_EPROTO);
        assert_int_equal(c.replies, 0);
        assert_true(c.diag.text[0]);
        close_client(&c);
    }
}

#define ANSWERS(kind, type, rest) answers(kind, type, rest, sizeof(rest) - 1)

static void test_hostile_replies(void **state)
{
    static char handle[4 + SSH_SFTP_HANDLE_MAX + 1] = "\0\0\1\1";
    (void)state;
    ANSWERS(0, SSH_FXP_DATA, "\0\0\0\5abcde"); /* more than asked for */
    ANSWERS(0, SSH_FXP_DATA, "\0\0\0\0");      /* nothing: it would be asked for ever */
    ANSWERS(0, SSH_FXP_DATA, "\0\0\0\4abc");   /* less than announced */
    ANSWERS(0, SSH_FXP_DATA, "\0\0\0\4abcd!"); /* more than announced */
    ANSWERS(0, SSH_FXP_STATUS, "\0\0\0\0\0\0\0\0\0\0\0\0"); /* success without data */
    ANSWERS(0, SSH_FXP_HANDLE, "\0\0\0\1h");
    ANSWERS(0, SSH_FXP_EXTENDED_REPLY, LIMITS);
    ANSWERS(0, SSH_FXP_VERSION, "");
    ANSWERS(1, SSH_FXP_ATTRS, "\0\0\0\1\0\0\0\0\0\0\0");
    ANSWERS(1, SSH_FXP_ATTRS, "\0\0\1\0");                           /* attributes of version 4 */
    ANSWERS(1, SSH_FXP_ATTRS, "\x80\0\0\0\xff\xff\xff\xff\0\0\0\0"); /* four thousand million */
    ANSWERS(1, SSH_FXP_STATUS, "\0\0\0");
    answers(2, SSH_FXP_HANDLE, handle, sizeof(handle));
    ANSWERS(2, SSH_FXP_STATUS, "\0\0\0\0");
    ANSWERS(3, SSH_FXP_NAME, "\xff\xff\xff\xff\0\0\0\1a\0\0\0\0\0\0\0\0");
    ANSWERS(3, SSH_FXP_NAME, "\0\0\0\1\0\0\0\1a\0\0\0\0\0\0\0\0!");
    ANSWERS(3, SSH_FXP_NAME, "\0\0\0\1\0\0\0\xff");
    ANSWERS(4, SSH_FXP_NAME, "\0\0\0\0");
    ANSWERS(4, SSH_FXP_STATUS, "\0\0\0\0\0\0\0\0\0\0\0\0!");
}

static void test_status(void **state)
{
    struct client c;
    struct nk_cur cur;
    uint32_t id;
    (void)state;
    greet(&c);
    struct asker a = {&c, 'a'};
    assert_int_equal(ssh_sftp_path(&c.s, SSH_FXP_STAT, "x", by(&a)), 0);
    (void)sent(&c, &id, &cur);
    SAY(&c, SSH_FXP_STATUS, id, "\0\0\0\2"); /* as old servers say it */
    assert_int_equal(hear(&c, 1), 0);
    assert_int_equal(ssh_sftp_explain(&c.last, &c.diag, "cannot read", "x"), -ENOENT);
    assert_string_equal(c.diag.text, "cannot read: x: No such file or directory");
    struct ssh_sftp_reply r = {.rc = -EIO, .message = {(const uint8_t *)"No\x1b[2J", 6}};
    assert_int_equal(ssh_sftp_explain(&r, &c.diag, "cannot read", "x"), -EIO);
    assert_string_equal(c.diag.text, "cannot read: x: No?[2J");
    close_client(&c);
}

int nk_test_ssh_proto_sftp(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begin),         cmocka_unit_test(test_limits),
        cmocka_unit_test(test_pipelined),     cmocka_unit_test(test_requests),
        cmocka_unit_test(test_full),          cmocka_unit_test(test_paths),
        cmocka_unit_test(test_hostile_begin), cmocka_unit_test(test_hostile_replies),
        cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests_name("ssh/proto_sftp", tests, NULL, NULL);
}
