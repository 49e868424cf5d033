/* SPDX-License-Identifier: MIT */
#include "relay/log_tool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/service.h"
#include "core/signal.h"
#include "relay/log_index.h"
#include "relay/relay.h"

static int take_lock(struct relay_log_tool *t, struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    struct stat st;
    if (stat(t->path, &st) < 0) {
        return nk_fail_sys(diag, -errno, "no log in %s", t->path);
    }
    if (nk_path_join(path, sizeof(path), t->path, "lock") < 0) {
        return nk_fail(diag, NK_ETOOBIG, "path too long: %s", t->path);
    }
    int rc = nk_lock_open(path, &t->lock, diag);
    if (rc == NK_ELOCKED) {
        nk_hint(diag, "stop the relay first");
    }
    return rc;
}

int relay_log_tool_open(struct relay_log_tool *t, struct nk_cmd_ctx *ctx)
{
    *t = (struct relay_log_tool){.dir = -1, .lock = -1};
    int rc =
        nk_service_dir(t->path, sizeof(t->path), ctx->globals->state_dir, relay_section.name, NULL);
    if (rc < 0) {
        return nk_fail(&ctx->diag, rc, "path too long: %s", ctx->globals->state_dir);
    }
    rc = take_lock(t, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = nk_signal_bus(); /* segments are mapped */
    if (rc < 0) {
        return nk_fail_sys(&ctx->diag, rc, "relay");
    }
    rc = t->dir = relay_log_dir_open(t->path, false, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = relay_log_list(t->dir, "log", &t->number, &t->n);
    if (rc == 0 && t->n == 0) {
        rc = -ENOENT;
    }
    return rc < 0 ? nk_fail_sys(&ctx->diag, rc, "no log in %s", t->path) : 0;
}

void relay_log_tool_close(struct relay_log_tool *t)
{
    free(t->number);
    if (t->dir >= 0) {
        close(t->dir);
    }
    if (t->lock >= 0) {
        close(t->lock);
    }
    *t = (struct relay_log_tool){.dir = -1, .lock = -1};
}

static int map_file(const struct relay_log_tool *t, uint64_t number, const char *suffix,
                    struct relay_log_mapping *m)
{
    int fd = relay_log_open_file(t->dir, number, suffix, false);
    int rc = fd < 0 ? fd : relay_log_mapping_open(m, fd, 0);
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

/* Is the index what would be made of the segment now? */
static enum relay_log_tool_index check_index(const struct relay_log_tool *t, uint64_t number,
                                             const struct relay_log_mapping *segment)
{
    struct relay_log_mapping m = {0};
    struct nk_buf idx;
    if (map_file(t, number, "idx", &m) < 0) {
        return RELAY_LOG_INDEX_NONE;
    }
    nk_buf_init(&idx, 2 * segment->n + RELAY_LOG_SEGMENT_HEAD + RELAY_LOG_CHECKPOINT_BYTES);
    bool same = relay_log_index_build(segment->p, segment->n, &idx) == 0 &&
                nk_buf_len(&idx) == m.n && memcmp(nk_buf_ptr(&idx), m.p, m.n) == 0;
    nk_buf_clear(&idx);
    relay_log_mapping_close(&m);
    return same ? RELAY_LOG_INDEX_GOOD : RELAY_LOG_INDEX_BAD;
}

int relay_log_tool_read(const struct relay_log_tool *t, size_t i,
                        struct relay_log_tool_segment *out,
                        void (*fn)(void *arg, const struct relay_log_record *r, size_t at),
                        void *arg)
{
    struct relay_log_mapping m = {0};
    struct relay_log_scan scan;
    struct relay_log_record r;
    unsigned version;
    size_t at;
    int rc = map_file(t, t->number[i], "log", &m);
    if (rc < 0) {
        return rc;
    }
    *out = (struct relay_log_tool_segment){.bytes = m.n};
    out->error = relay_log_segment_head_read(m.p, m.n, &out->head, &version);
    if (out->error == 0 && out->head.number != t->number[i]) {
        out->error = NK_EFORMAT;
    }
    if (out->error == 0) {
        relay_log_scan_init(&scan, m.p, m.n);
        while ((rc = relay_log_scan_next(&scan, &r, &at)) == 1) {
            out->records[r.type]++;
            if (fn) {
                fn(arg, &r, at);
            }
        }
        out->error = rc;
        out->good = scan.off;
        out->torn = rc < 0 && rc != NK_EVERSION && i + 1 == t->n && relay_log_torn(&scan);
        out->index = check_index(t, t->number[i], &m);
    }
    relay_log_mapping_close(&m);
    return 0;
}
