/* SPDX-License-Identifier: MIT */
/* stream_fd - inside core: streams over one descriptor. */
#ifndef NK_CORE_STREAM_FD_H
#define NK_CORE_STREAM_FD_H

#include "core/stream.h"

/* nk_stream_over_fd - as nk_stream_from_fd, with flags of core/watch.h; takes fd only on success.
 * -EPERM when the fd cannot be polled. */
int nk_stream_over_fd(struct nk_app *app, int fd, unsigned watch_flags, const char *name,
                      struct nk_stream **out);

#endif
