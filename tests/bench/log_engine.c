/* SPDX-License-Identifier: MIT */
/*
 * What storing costs, in one process without sockets:
 *
 *     log_engine raw DIR SIZE BATCH SECONDS        the bound: BATCH records with checksums,
 *                                                  one write, one fdatasync, and again
 *     log_engine produce DIR SIZE WINDOW SECONDS   objects through the log engine, WINDOW
 *                                                  at a time not stored yet
 *     log_engine recover DIR SIZE MEGABYTES        how long opening a log of that size takes
 *
 * Prints one line: records per second, microseconds of processor time per record, records per
 * commit, mean microseconds of a commit's fdatasync; for recover: milliseconds, objects.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "core/app.h"
#include "relay/engine_log.h"
#include "relay/log_crc.h"

enum { TURN_MS = 100, FILE_BYTES = 64 * 1024 * 1024 };

struct bench {
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_group *group;
    struct relay_memory memory;
    struct relay_member *m;
    size_t size;
    uint64_t asked, done;
    int status;
};

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, int code)
{
    fprintf(stderr, "log_engine: %s: %s\n", what, nk_strerror(code));
    exit(1);
}

/* --- the bound -------------------------------------------------------------------------------- */

static int raw(const char *dir, size_t size, size_t batch, double limit)
{
    char path[1024];
    size_t record = size + RELAY_LOG_HEAD + RELAY_LOG_ENQUEUE_FIXED, n = 0;
    uint8_t *object = malloc(size), *out = malloc(record * batch);
    snprintf(path, sizeof(path), "%s/raw", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || !object || !out) {
        die(path, -errno);
    }
    memset(object, 'x', size);
    off_t at = 0;
    double synced = 0, cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), start = seconds(CLOCK_MONOTONIC),
           now;
    do {
        for (size_t i = 0; i < batch; i++) {
            uint8_t *p = out + i * record;
            memcpy(p + record - size, object, size);
            uint32_t crc = relay_crc32c(0, p + 8, record - 8);
            memcpy(p + 4, &crc, sizeof(crc));
        }
        if (pwrite(fd, out, record * batch, at) != (ssize_t)(record * batch)) {
            die("write", -errno);
        }
        double before = seconds(CLOCK_MONOTONIC);
        if (fdatasync(fd) < 0) {
            die("fdatasync", -errno);
        }
        synced += seconds(CLOCK_MONOTONIC) - before;
        n += batch;
        at += (off_t)(record * batch);
        if (at > FILE_BYTES) { /* as a new segment */
            close(fd);
            unlink(path);
            fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
            at = 0;
        }
        now = seconds(CLOCK_MONOTONIC);
    } while (now - start < limit);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    unlink(path);
    printf("%.0f %.2f %zu %.0f\n", (double)n / (now - start), cpu * 1e6 / (double)n, batch,
           synced * 1e6 / ((double)n / (double)batch));
    return 0;
}

/* --- the engine ------------------------------------------------------------------------------- */

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    (void)owner, (void)g, (void)o, (void)kind, (void)mark;
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct bench *b = owner;
    (void)token;
    b->done++;
    b->status = status < 0 ? status : b->status;
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

static void on_fatal(void *owner, int code)
{
    (void)owner;
    die("the log failed", code);
}

static void open_engine(struct bench *b, const char *dir)
{
    struct relay_groups_conf groups = {.max_groups = 100};
    struct nk_diag diag;
    b->groups = relay_groups_new(&groups);
    struct relay_engine_log_conf conf = {
        .app = b->app, .dir = dir, .groups = b->groups, .memory = &b->memory, .fatal = on_fatal};
    int rc = relay_engine_log(&conf, &b->engine, &diag);
    if (rc < 0) {
        die(diag.text, rc);
    }
    rc = relay_groups_get(b->groups, "bench", 5, &b->group);
    rc = rc < 0 ? rc : relay_engine_attach(b->engine, &ops, b, &b->m);
    if (rc < 0) {
        die("engine", rc);
    }
}

static void close_engine(struct bench *b)
{
    relay_engine_detach(b->engine, b->m);
    relay_group_unref(b->group);
    relay_engine_free(b->engine);
    relay_groups_free(b->groups);
}

static void ask(struct bench *b, const uint8_t *bytes)
{
    struct relay_object *o = relay_object_copy(&b->memory, bytes, b->size);
    struct relay_put put = {.copies = 1};
    int rc = o ? relay_engine_enqueue(b->engine, b->m, b->group, o, &put, ++b->asked) : -ENOMEM;
    if (rc < 0) {
        die("enqueue", rc);
    }
    relay_object_unref(o);
}

/* Until limit seconds have passed (or `objects` are stored, when that is not 0). */
static void produce(struct bench *b, size_t window, double limit, uint64_t objects)
{
    uint8_t *bytes = malloc(b->size);
    if (!bytes) {
        die("object", -ENOMEM);
    }
    memset(bytes, 'x', b->size);
    double start = seconds(CLOCK_MONOTONIC);
    while (objects ? b->asked < objects : seconds(CLOCK_MONOTONIC) - start < limit) {
        while (b->asked - b->done < window && (!objects || b->asked < objects)) {
            ask(b, bytes);
        }
        nk_app_turn(b->app, TURN_MS);
    }
    while (b->done < b->asked) {
        nk_app_turn(b->app, TURN_MS);
    }
    if (b->status < 0) {
        die("produce", b->status);
    }
    free(bytes);
}

static int run_produce(struct bench *b, const char *dir, size_t window, double limit)
{
    struct relay_log_stats s;
    open_engine(b, dir);
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), start = seconds(CLOCK_MONOTONIC);
    produce(b, window, limit, 0);
    double wall = seconds(CLOCK_MONOTONIC) - start;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    relay_engine_log_stats(b->engine, &s);
    printf("%.0f %.2f %.0f %llu\n", (double)b->done / wall, cpu * 1e6 / (double)b->done,
           (double)b->done / (double)s.commits, (unsigned long long)s.sync_us_mean);
    return 0;
}

static int run_recover(struct bench *b, const char *dir, size_t megabytes)
{
    uint64_t objects = (uint64_t)megabytes * 1000000 / b->size;
    open_engine(b, dir);
    produce(b, 4096, 0, objects);
    close_engine(b);
    while (nk_app_turn(b->app, TURN_MS)) { /* the indexes are written */
    }
    double start = seconds(CLOCK_MONOTONIC);
    open_engine(b, dir);
    double ms = (seconds(CLOCK_MONOTONIC) - start) * 1e3;
    struct relay_queue_stats s;
    relay_queue_stats(b->group, &s);
    printf("%.0f %llu\n", ms, (unsigned long long)s.queued);
    return s.queued == objects ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct bench b = {.size = argc > 3 ? strtoul(argv[3], NULL, 10) : 0};
    struct nk_app_conf conf = {0};
    if (argc < 5 || b.size == 0) {
        fprintf(stderr, "usage: log_engine raw|produce|recover DIR SIZE ..\n");
        return 2;
    }
    size_t n = strtoul(argv[4], NULL, 10);
    double limit = argc > 5 ? strtod(argv[5], NULL) : 2;
    if (nk_crypto_init() < 0 || nk_app_new(&b.app, &conf, NULL) < 0) {
        return 1;
    }
    int rc = 2;
    if (strcmp(argv[1], "raw") == 0) {
        rc = raw(argv[2], b.size, n, limit);
    } else if (strcmp(argv[1], "produce") == 0) {
        rc = run_produce(&b, argv[2], n, limit);
    } else if (strcmp(argv[1], "recover") == 0) {
        rc = run_recover(&b, argv[2], n);
    }
    fflush(stdout);
    _exit(rc);
}
