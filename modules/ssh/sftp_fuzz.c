/* SPDX-License-Identifier: MIT */
/* An SFTP server that says anything, to requests of every kind that follow one another. The first
 * byte is the size of the pieces in which the rest comes. */
#include <stdlib.h>
#include <string.h>

#include "ssh/proto_sftp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct user {
    struct ssh_sftp s;
    struct ssh_sftp_handle h;
    unsigned step;
};

static void ask(struct user *u);

static void reply(void *owner, const struct ssh_sftp_reply *r)
{
    struct user *u = owner;
    struct nk_cur names = r->names;
    struct ssh_sftp_attrs a;
    struct ssh_str name;
    struct nk_diag diag;
    volatile uint8_t last = r->data.n > 0 ? r->data.p[r->data.n - 1] : 0;
    (void)last;
    while (r->names.p && ssh_sftp_next_name(&names, &name, &a)) {
        (void)ssh_sftp_name_ok(name);
    }
    if (r->names.p && (names.failed || r->data.n > r->asked)) {
        abort(); /* it was checked before */
    }
    if (r->handle.n > 0) {
        u->h = r->handle;
    }
    (void)ssh_sftp_explain(r, &diag, "fuzz", "path");
    ask(u);
}

static void ask(struct user *u)
{
    const struct ssh_sftp_for me = {.fn = reply, .owner = u};
    nk_buf_reset(&u->s.out);
    switch (u->step++ % 6) {
    case 0:
        (void)ssh_sftp_open(&u->s, "f", SSH_SFTP_READ, NULL, me);
        break;
    case 1:
        (void)ssh_sftp_read(&u->s, &u->h, 0, 64, me);
        break;
    case 2:
        (void)ssh_sftp_of(&u->s, SSH_FXP_READDIR, &u->h, me);
        break;
    case 3:
        (void)ssh_sftp_path(&u->s, SSH_FXP_LSTAT, "f", me);
        break;
    case 4:
        (void)ssh_sftp_rename(&u->s, "f", "g", me);
        break;
    default:
        (void)ssh_sftp_path(&u->s, SSH_FXP_REALPATH, ".", me);
        break;
    }
}

static void ready(void *owner)
{
    ask(owner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct user u = {0};
    struct nk_diag diag;
    if (size < 1 || ssh_sftp_init(&u.s, ready, &u) < 0) {
        return 0;
    }
    size_t piece = (size_t)data[0] + 1, at = 1;
    int rc = 0;
    while (rc == 0 && at < size) {
        size_t n = size - at < piece ? size - at : piece;
        rc = ssh_sftp_feed(&u.s, data + at, n, &diag);
        at += n;
    }
    if (u.s.in.cap > 2 * (SSH_SFTP_PACKET_MAX + 4) || u.s.busy > SSH_SFTP_SLOTS) {
        abort();
    }
    ssh_sftp_clear(&u.s);
    return 0;
}
