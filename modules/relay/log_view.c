/* SPDX-License-Identifier: MIT */
/*
 * What is in the log, as objects: segments are mapped, never read. The pages belong to the system,
 * which can take them back whenever it needs the memory.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "relay/log_impl.h"

static void unmap(void *arg, uint8_t *bytes, size_t len)
{
    (void)arg;
    munmap(bytes, len);
}

/* The first n bytes of the file, which may be longer than it is as yet. */
static struct relay_object *map(const struct relay_log *log, int fd, size_t n)
{
    void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    struct relay_object *o = relay_object_map(log->conf.memory, p, n, 0, unmap, NULL);
    if (!o) {
        munmap(p, n);
    }
    return o;
}

struct relay_object *relay_log_map(struct relay_log *log, uint64_t segment)
{
    const struct relay_log_part *part = relay_log_state_part_find(&log->state, segment);
    int fd = part ? relay_log_open_file(log->dir, segment, "log", false) : -ENOENT;
    if (fd < 0) {
        return NULL;
    }
    struct relay_object *o = map(log, fd, (size_t)part->bytes);
    close(fd);
    return o;
}

/* Of the newest segment; it is mapped as long as it can become, so that this is done once. */
static struct relay_object *newest(struct relay_log *log)
{
    const struct relay_log_part *part = &log->state.part[log->state.nparts - 1];
    struct relay_log_view *v = &log->view;
    if (!v->object || v->segment != part->number || v->object->len < part->bytes) {
        uint64_t n = log->conf.segment_bytes;
        relay_log_view_clear(log);
        v->object = map(log, log->fd, (size_t)(part->bytes > n ? part->bytes : n));
        v->segment = part->number;
    }
    return v->object;
}

/* Where seq is, or would be. They are asked for in the order in which they were counted. */
static size_t find(struct relay_log *log, const struct relay_log_group *g, uint64_t seq)
{
    struct relay_log_view *v = &log->view;
    bool there = v->next < g->items.n && relay_log_items_at(&g->items, v->next)->first == seq;
    size_t i = there ? v->next : relay_log_items_find(&g->items, seq);
    v->next = i + 1;
    return i;
}

struct relay_object *relay_log_view(struct relay_log *log, const struct relay_log_group *g,
                                    uint64_t seq)
{
    size_t i = find(log, g, seq);
    const struct relay_log_item *it = i < g->items.n ? relay_log_items_at(&g->items, i) : NULL;
    if (!it || it->first > seq || it->segment != log->state.part[log->state.nparts - 1].number) {
        return NULL;
    }
    struct relay_object *whole = newest(log);
    struct relay_object *o = whole ? relay_object_slice(whole, (size_t)it->off, it->len) : NULL;
    if (o) {
        o->flags = it->flags;
    }
    return o;
}

void relay_log_view_clear(struct relay_log *log)
{
    relay_object_unref(log->view.object);
    log->view.object = NULL;
}
