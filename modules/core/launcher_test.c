/* SPDX-License-Identifier: MIT */
/* The launcher trusts nothing that comes through its socket. What it starts is in process_test.c.
 */
#include "core/launcher.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/launch_wire.h"
#include "core/launcher_internal.h"

int nk_test_core_launcher(void);

static void refuses(const struct launch_request *r, const char *text, size_t n)
{
    struct nk_launcher *l;
    char message[sizeof(*r) + 64] = {0};
    assert_int_equal(nk_launcher_start(&l, NULL), 0);
    memcpy(message, r, sizeof(*r));
    memcpy(message + sizeof(*r), text, n);
    assert_int_equal(send(l->fd, message, sizeof(*r) + n, MSG_NOSIGNAL), (ssize_t)(sizeof(*r) + n));
    assert_int_equal(recv(l->fd, message, sizeof(message), 0), 0); /* it hangs up and ends */
    nk_launcher_free(l);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
}

static void malformed_requests(void **state)
{
    (void)state;
    const struct launch_request good = {.kind = LAUNCH_START,
                                        .id = 9,
                                        .argc = 1,
                                        .nfds = 3,
                                        .bytes = 10,
                                        .fds = {LAUNCH_FD_NULL, LAUNCH_FD_NULL, LAUNCH_FD_NULL}};
    struct launch_request r = good;
    r.kind = 77;
    refuses(&r, "/bin/true", 10);
    r = good;
    refuses(&r, "/bin/true", 9); /* length differs */
    r.bytes = 9;
    refuses(&r, "/bin/true", 9); /* not ended by NUL */
    r = good;
    r.argc = 2;
    refuses(&r, "/bin/true", 10); /* fewer strings than announced */
    r = good;
    r.bytes = 12;
    refuses(&r, "/bin/true\0x", 12); /* more strings */
    r = good;
    r.argc = NK_PROCESS_ARGS + 1;
    refuses(&r, "/bin/true", 10);
    r = good;
    r.envc = UINT32_MAX;
    refuses(&r, "/bin/true", 10);
    r = good;
    r.argc = 0;
    refuses(&r, "/bin/true", 10);
    r = good;
    r.nfds = NK_PROCESS_FDS + 1;
    refuses(&r, "/bin/true", 10);
    r = good;
    r.nfds = 2;
    refuses(&r, "/bin/true", 10);
    r = good;
    r.fds[1] = 0; /* no descriptor came along */
    refuses(&r, "/bin/true", 10);
    r = good;
    r.fds[1] = -3;
    refuses(&r, "/bin/true", 10);
}

int nk_test_core_launcher(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(malformed_requests)};
    return cmocka_run_group_tests_name("core/launcher", tests, NULL, NULL);
}
