/* SPDX-License-Identifier: MIT */
/* Every allocation of base fails once, and from then on: errors are returned, nothing leaks. */
#include "torture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/endpoint.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"

#define WRONG 1

static int buffer_work(struct nk_buf *b)
{
    int r = 0;
    for (int i = 0; i < 100 && r == 0; i++) {
        size_t before = nk_buf_len(b);
        r = nk_buf_printf(b, "line %d\n", i);
        if (r < 0 && nk_buf_len(b) != before)
            return WRONG; /* all or nothing */
        if (i % 10 == 9 && r == 0)
            nk_buf_consume(b, 30);
    }
    if (r == 0 && !nk_buf_str(b))
        r = -ENOMEM;
    if (r == 0 && memcmp(nk_buf_ptr(b) + nk_buf_len(b) - 8, "line 99\n", 8) != 0)
        return WRONG;
    return r;
}

static int buffer_once(void *arg)
{
    struct nk_buf b;
    const bool *secret = arg;
    if (*secret)
        nk_buf_init_secret(&b, 4096);
    else
        nk_buf_init(&b, 4096);
    int r = buffer_work(&b);
    nk_buf_clear(&b);
    return r;
}

static void buffers(void **state)
{
    (void)state;
    bool secret = false;
    assert_true(nk_torture(buffer_once, &secret) >= 2);
    secret = true;
    assert_true(nk_torture(buffer_once, &secret) >= 2);
}

static int detach_once(void *arg)
{
    (void)arg;
    struct nk_buf b;
    size_t n;
    nk_buf_init(&b, 100);
    int r = nk_buf_puts(&b, "detached");
    uint8_t *p = nk_buf_detach(&b, &n);
    if (r == 0 && (n != 8 || memcmp(p, "detached", 8) != 0))
        r = WRONG;
    free(p);
    return r;
}

static void detaching(void **state)
{
    (void)state;
    nk_torture(detach_once, NULL);
}

static int secret_once(void *arg)
{
    (void)arg;
    struct nk_secret s = {0};
    int r = nk_secret_set(&s, "first", 5);
    if (r == 0) {
        r = nk_secret_set(&s, "second", 6);
        if (r < 0 && !nk_secret_eq(&s, "first", 5))
            r = WRONG; /* unchanged on failure */
    }
    if (r == 0) {
        r = nk_secret_alloc(&s, 32);
        if (r < 0 && !nk_secret_eq(&s, "second", 6))
            r = WRONG;
    }
    nk_secret_clear(&s);
    return r;
}

static void secrets(void **state)
{
    (void)state;
    assert_int_equal(nk_torture(secret_once, NULL), 3);
}

static int endpoint_once(void *arg)
{
    (void)arg;
    struct nk_ep_text t = {.nparams = 7};
    int r = nk_ep_text_parse(&t, "tls+tcp:host:1,ca=/a,tls.pin=x%2Cy", NULL);
    if (r < 0)
        return t.nparams == 7 ? r : WRONG;
    if (t.nparams != 2 || strcmp(t.params[1].value, "x,y") != 0)
        r = WRONG;
    nk_ep_text_clear(&t);
    return r;
}

static void endpoints(void **state)
{
    (void)state;
    nk_torture(endpoint_once, NULL);
}

static int json_once(void *arg)
{
    (void)arg;
    struct nk_buf b;
    struct nk_json j;
    nk_buf_init(&b, 10000);
    nk_json_init(&j, &b, true);
    nk_json_object(&j);
    nk_json_key(&j, "list");
    nk_json_array(&j);
    for (int i = 0; i < 100; i++)
        nk_json_i64(&j, i);
    nk_json_close(&j);
    nk_json_kv_str(&j, "last", "x");
    nk_json_close(&j);
    int r = nk_json_end(&j);
    if (r == 0 && memcmp(nk_buf_ptr(&b) + nk_buf_len(&b) - 13, "\"last\": \"x\"\n}", 13) != 0)
        r = WRONG;
    nk_buf_clear(&b);
    return r;
}

static void json(void **state)
{
    (void)state;
    assert_true(nk_torture(json_once, NULL) >= 3);
}

/* A log that exists needs no memory for a line. */
static int log_once(void *arg)
{
    const int *fd = arg;
    char line[300];
    struct nk_log *log = nk_log_new(fd[1], NK_LOG_JSON, NK_LOG_INFO);
    if (!log)
        return -ENOMEM;
    nk_audit(log, "m", NK_LOG_INFO, "auth.ok", "peer", "%0100d", 1);
    ssize_t n = read(fd[0], line, sizeof line);
    int r = n > 100 && nk_log_lost(log) == 0 ? 0 : WRONG;
    nk_log_free(log);
    return r;
}

static void logs(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(nk_torture(log_once, fd), 2);
    close(fd[0]);
    close(fd[1]);
}

static int file_once(void *arg)
{
    const char *path = arg;
    struct nk_secret s = {0};
    int r = nk_file_write(path, NK_FILE_OVERWRITE, "secret\n", 7, NULL);
    if (r == 0)
        r = nk_file_read_secret(path, true, &s, NULL);
    if (r == 0 && !nk_secret_eq(&s, "secret", 6))
        r = WRONG;
    nk_secret_clear(&s);
    return r;
}

static void files(void **state)
{
    (void)state;
    char dir[] = "/tmp/nk-torture-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    assert_int_equal(nk_path_join(path, sizeof path, dir, "f"), 0);
    assert_true(nk_torture(file_once, path) >= 2);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

int nk_test_base_torture(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers),   cmocka_unit_test(detaching), cmocka_unit_test(secrets),
        cmocka_unit_test(endpoints), cmocka_unit_test(json),      cmocka_unit_test(logs),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests_name("base/torture", tests, NULL, NULL);
}
