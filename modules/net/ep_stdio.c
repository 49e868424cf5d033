/* SPDX-License-Identifier: MIT */
/*
 * stdio: - reads standard input, writes standard output. Both descriptors are moved away and
 * replaced by /dev/null, so that the end of the stream is the end of the output (nothing else holds
 * it open) and no other text can get between the data.
 */
#include <fcntl.h>
#include <unistd.h>

#include "core/registry.h"

/* A descriptor on which reads end at once and writes go nowhere; also where /dev is missing. */
static int open_nothing(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC), pair[2];
    if (fd >= 0) {
        return fd;
    }
    if (pipe2(pair, O_CLOEXEC) < 0) {
        return -errno;
    }
    close(pair[1]);
    return pair[0];
}

/* fd's description under a number above 2; fd itself becomes `nothing`. */
static int move_away(int fd, int nothing)
{
    enum { FIRST = 3 };
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST);
    if (moved < 0) {
        return -errno;
    }
    if (dup2(nothing, fd) < 0) {
        int rc = -errno;
        close(moved);
        return rc;
    }
    return moved;
}

static int stdio_dial(struct nk_app *app, const struct nk_ep_layer *layer, struct nk_stream **out,
                      struct nk_diag *diag)
{
    (void)layer;
    int nothing = open_nothing();
    if (nothing < 0) {
        return nk_fail_sys(diag, nothing, "stdio");
    }
    int in = move_away(STDIN_FILENO, nothing);
    int put = in < 0 ? in : move_away(STDOUT_FILENO, nothing);
    if (nothing > STDERR_FILENO) {
        close(nothing);
    }
    if (put < 0) {
        if (in >= 0) {
            close(in);
        }
        return nk_fail_sys(diag, put, "stdio: standard input or output");
    }
    return nk_stream_from_inherited(app, in, put, "stdio", out, diag);
}

static int stdio_check(const struct nk_ep_layer *layer, enum nk_ep_role role, struct nk_diag *diag)
{
    (void)role;
    return layer->body[0] ? nk_fail(diag, NK_ECONFIG, "nothing may follow 'stdio:'") : 0;
}

const struct nk_ep_driver nk_ep_stdio = {
    .scheme = "stdio",
    .summary = "Standard input and output",
    .body_help = "",
    .flags = NK_EP_CAN_CONNECT,
    .check = stdio_check,
    .dial = stdio_dial,
};
