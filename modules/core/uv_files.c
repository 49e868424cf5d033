/* SPDX-License-Identifier: MIT */
/*
 * libuv's loop hands a request for a file that io_uring cannot serve back to libuv's own threads,
 * and so links all of its system calls for files. netkit makes no such requests (work.h is its way
 * to the disk); vendor/libs.sh has the loop call this instead.
 */
#include <uv.h>

extern void nk_uv_fs_post(uv_loop_t *loop, uv_fs_t *req);

/* The request fails, which its owner is told. */
void nk_uv_fs_post(uv_loop_t *loop, uv_fs_t *req)
{
    (void)loop;
    req->result = UV_ENOSYS;
    req->cb(req);
}
