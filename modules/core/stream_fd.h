/* SPDX-License-Identifier: MIT */
/* stream_fd - inside core: streams over one descriptor. */
#ifndef NK_CORE_STREAM_FD_H
#define NK_CORE_STREAM_FD_H

#include "core/stream.h"

/* nk_stream_over_fd - as nk_stream_from_fd, with flags of core/watch.h; takes fd only on success.
 * -EPERM when the fd cannot be polled. */
int nk_stream_over_fd(struct nk_app *app, int fd, unsigned watch_flags, const char *name,
                      struct nk_stream **out);

/* nk_stream_over_file - what epoll refuses, one direction, through lane disk; takes fd only on
 * success. NK_CONNECTED is queued. */
int nk_stream_over_file(struct nk_app *app, int fd, bool writing, struct nk_stream **out);

/* nk_stream_join - read from take_in, write to take_out (both connected; closed also on failure).
 */
int nk_stream_join(struct nk_app *app, struct nk_stream *take_in, struct nk_stream *take_out,
                   struct nk_stream **out);

#endif
