/* SPDX-License-Identifier: MIT */
#include "tls/changed.h"

#include <string.h>
#include <sys/stat.h>

enum { SETTLE_MS = 1000 };

static void look(const struct tls_changed *c, struct tls_file_mark out[TLS_CHANGED_FILES])
{
    memset(out, 0, TLS_CHANGED_FILES * sizeof(*out));
    for (size_t i = 0; i < TLS_CHANGED_FILES; i++) {
        struct stat st;
        if (c->paths[i] && stat(c->paths[i], &st) == 0) {
            out[i] = (struct tls_file_mark){.dev = st.st_dev,
                                            .ino = st.st_ino,
                                            .size = (uint64_t)st.st_size,
                                            .modified_s = st.st_mtim.tv_sec,
                                            .modified_ns = st.st_mtim.tv_nsec,
                                            .changed_s = st.st_ctim.tv_sec,
                                            .changed_ns = st.st_ctim.tv_nsec};
        }
    }
}

static void on_timer(void *owner)
{
    struct tls_changed *c = owner;
    struct tls_file_mark now[TLS_CHANGED_FILES];
    bool settled = c->settling;
    look(c, now);
    settled = settled && memcmp(now, c->seen, sizeof(now)) == 0;
    c->settling = !settled && memcmp(now, c->known, sizeof(now)) != 0;
    memcpy(c->seen, now, sizeof(now));
    nk_timer_start(&c->timer, c->settling && c->every_ms > SETTLE_MS ? SETTLE_MS : c->every_ms);
    if (settled) {
        memcpy(c->known, now, sizeof(now));
        c->fn(c->owner);
    }
}

void tls_changed_init(struct tls_changed *c, struct nk_app *app, void (*fn)(void *owner),
                      void *owner)
{
    *c = (struct tls_changed){.fn = fn, .owner = owner};
    nk_timer_init(&c->timer, app, on_timer, c);
}

void tls_changed_watch(struct tls_changed *c, const char *const paths[TLS_CHANGED_FILES],
                       uint64_t every_ms)
{
    memcpy(c->paths, paths, sizeof(c->paths));
    c->every_ms = every_ms;
    c->settling = false;
    look(c, c->known);
    nk_timer_stop(&c->timer);
    if (every_ms > 0) {
        nk_timer_start(&c->timer, every_ms);
    }
}

void tls_changed_stop(struct tls_changed *c)
{
    nk_timer_stop(&c->timer);
}
