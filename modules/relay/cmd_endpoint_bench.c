/* SPDX-License-Identifier: MIT */
/*
 * Two endpoints in one process and a relay between them: first one object at a time (latency), then
 * as many as it takes (throughput).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "relay/endpoint.h"
#include "relay/endpoint_progress.h"

#define SIZE_MOST ((int64_t)1 << 30)
#define NUMBER_LEAST sizeof(uint64_t) /* each object begins with its number */
#define WINDOW_BYTES ((size_t)16 << 20)
#define WINDOW_COUNT 16384
#define GROUP_TEXT 64

struct bench_conf {
    struct relay_endpoint_conf common;
    char *group;
    int64_t count, size;
    bool broadcast;
};

static const struct nk_opt opts[] = {
    {.name = "group",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct bench_conf, group),
     .arg = "GROUP",
     .flags = NK_OPT_CLI_ONLY,
     .help = "Group to use; nobody else may be in it; default: bench-PID"},
    {.name = "count",
     .short_name = 'n',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct bench_conf, count),
     .arg = "N",
     .def = "10000",
     .min = 1,
     .max = 1000000000,
     .flags = NK_OPT_CLI_ONLY,
     .help = "Objects for the throughput; a tenth of it, at most 10000, for the latency"},
    {.name = "size",
     .type = NK_OPT_SIZE,
     .offset = NK_FIELD(struct bench_conf, size),
     .arg = "SIZE",
     .def = "64",
     .min = NUMBER_LEAST,
     .max = SIZE_MOST,
     .flags = NK_OPT_CLI_ONLY,
     .help = "Bytes of an object"},
    {.name = "broadcast",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct bench_conf, broadcast),
     .flags = NK_OPT_CLI_ONLY,
     .help = "Broadcast them instead of producing and consuming them"},
    RELAY_ENDPOINT_NAME_ROW,
    RELAY_ENDPOINT_ROWS,
    NK_OPT_END};

enum phase { BENCH_CONNECT, BENCH_LATENCY, BENCH_FLOOD, BENCH_OVER };

struct bench {
    struct relay_endpoint_session session; /* its client receives */
    struct relay_endpoint_progress progress;
    const struct bench_conf *conf;
    struct relay_client *sender;
    struct relay_client_conf sender_conf;
    uint32_t group; /* the sender's handle */
    enum phase phase;
    uint8_t *object;
    uint64_t next, want; /* number of the next object to arrive; of the phase's last one */
    uint64_t sent;       /* numbers given out */
    uint64_t begun_ns;
    uint64_t *took_ns; /* of each round of the latency */
    size_t rounds;
    uint64_t flood_ns, last_settled, settled_ns;
};

static void fail(struct bench *x, int status, const char *text)
{
    struct nk_diag why = {0};
    (void)nk_fail(&why, status, "%s", text);
    relay_endpoint_end(&x->session, status, &why);
}

static void send_one(struct bench *x)
{
    const struct relay_client_publish p = {.group = x->group,
                                           .copies = x->conf->broadcast ? 0 : 1,
                                           .content = RELAY_CONTENT_PICKLE,
                                           .wrap = RELAY_WRAP_BYTES};
    x->sent++;
    memcpy(x->object, &x->sent, sizeof(x->sent));
    if (relay_client_publish(x->sender, &p, x->object, (size_t)x->conf->size, NULL) < 0) {
        fail(x, -ENOMEM, "an object could not be sent");
    }
}

static void fill(struct bench *x)
{
    while (x->phase == BENCH_FLOOD && x->sent < x->want &&
           relay_client_unsettled(x->sender) < WINDOW_COUNT &&
           relay_client_queued(x->sender) < WINDOW_BYTES) {
        send_one(x);
    }
}

static void begin_flood(struct bench *x)
{
    x->phase = BENCH_FLOOD;
    x->want += (uint64_t)x->conf->count;
    if (!x->conf->broadcast) {
        relay_client_credit(x->session.client, 0, (uint64_t)x->conf->count);
    }
    x->begun_ns = nk_now_ns(x->session.app);
    fill(x);
}

static void begin_round(struct bench *x)
{
    x->begun_ns = nk_now_ns(x->session.app);
    send_one(x);
}

/* Both are there. */
static void begin(struct bench *x)
{
    if (x->phase != BENCH_CONNECT || !relay_client_alive(x->session.client) ||
        !relay_client_alive(x->sender)) {
        return;
    }
    x->phase = BENCH_LATENCY;
    x->want = x->rounds;
    if (!x->conf->broadcast) {
        relay_client_credit(x->session.client, 0, x->rounds);
    }
    begin_round(x);
}

static void maybe_over(struct bench *x)
{
    if (x->phase == BENCH_FLOOD && x->next == x->want && relay_client_unsettled(x->sender) == 0) {
        x->phase = BENCH_OVER;
        x->settled_ns = nk_now_ns(x->session.app) - x->begun_ns;
        relay_client_finish(x->session.client); /* which reports its end */
    }
}

/* The object's bytes stand behind a pickle's head and before its last byte, or alone. */
static bool is_number(const struct bench *x, const struct relay_client_object *d, uint64_t number)
{
    size_t size = (size_t)x->conf->size;
    size_t at = d->len > size ? d->len - size - 1 : 0;
    uint64_t got = 0;
    if (d->len >= size) {
        memcpy(&got, d->data + at, sizeof(got));
    }
    return got == number;
}

static void on_object(void *owner, const struct relay_client_object *d)
{
    struct bench *x = owner;
    relay_client_ack(x->session.client, &d->lease);
    if (d->kind == RELAY_KIND_RETAINED) {
        return;
    }
    if (!is_number(x, d, x->next + 1)) {
        fail(x, NK_EPROTO, "another object arrived than was sent: is somebody else in this group?");
        return;
    }
    x->next++;
    uint64_t now = nk_now_ns(x->session.app);
    if (x->phase == BENCH_LATENCY) {
        x->took_ns[x->next - 1] = now - x->begun_ns;
        if (x->next == x->want) {
            begin_flood(x);
        } else {
            begin_round(x);
        }
    } else if (x->next == x->want) {
        x->flood_ns = now - x->begun_ns;
        maybe_over(x);
    }
}

static void on_alive(void *owner, bool again)
{
    (void)again;
    begin(owner);
}

static void on_progress(void *owner)
{
    struct bench *x = owner;
    fill(x);
    maybe_over(x);
}

static void on_end(void *owner, int status, const struct nk_diag *why)
{
    struct bench *x = owner;
    relay_endpoint_end(&x->session, status, why);
}

static void on_stop(void *owner, bool timed_out)
{
    struct bench *x = owner;
    if (timed_out && x->phase == BENCH_CONNECT) {
        fail(x, -ETIMEDOUT, "no connection to the relay in time (do both sides agree on TLS?)");
    } else if (timed_out) {
        fail(x, -ETIMEDOUT, "not everything arrived in time");
    } else {
        relay_endpoint_end(&x->session, NK_EXIT_SIGNAL + x->session.signum, NULL);
    }
}

static const struct relay_client_ops receiver_ops = {
    .on_alive = on_alive, .on_object = on_object, .on_end = on_end};
static const struct relay_client_ops sender_ops = {
    .on_alive = on_alive, .on_progress = on_progress, .on_end = on_end};

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static double microseconds(const struct bench *x, unsigned permille)
{
    size_t at = (size_t)(x->rounds - 1) * permille / 1000;
    return (double)x->took_ns[at] / 1e3;
}

static void report(struct bench *x)
{
    static const char *const wires[] = {[RELAY_CLIENT_AUTO] = "?",
                                        [RELAY_CLIENT_NATIVE] = "native",
                                        [RELAY_CLIENT_TLSPYO] = "tlspyo"};
    struct relay_client_state state;
    const double seconds = (double)x->flood_ns / 1e9, count = (double)x->conf->count;
    relay_client_state(x->session.client, &state);
    qsort(x->took_ns, x->rounds, sizeof(*x->took_ns), by_value);
    if (x->session.ctx->globals->json) {
        printf("{\"schema\":1,\"wire\":\"%s\",\"tls\":%s,\"mode\":\"%s\",\"size\":%" PRId64
               ",\"count\":%" PRId64 ",\"latency_rounds\":%zu,\"latency_us\":{\"p50\":%.1f,"
               "\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f},\"objects_per_s\":%.0f,"
               "\"bytes_per_s\":%.0f,\"seconds\":%.6f,\"acknowledged_seconds\":%.6f}\n",
               wires[state.wire], x->session.target.tls ? "true" : "false",
               x->conf->broadcast ? "broadcast" : "produce", x->conf->size, x->conf->count,
               x->rounds, microseconds(x, 500), microseconds(x, 900), microseconds(x, 990),
               microseconds(x, 1000), count / seconds, count * (double)x->conf->size / seconds,
               seconds, (double)x->settled_ns / 1e9);
        return;
    }
    printf("relay        %s, %s wire, %s\n", x->session.target.connect, wires[state.wire],
           x->session.target.tls ? "TLS" : "no TLS");
    printf("objects      %s, %" PRId64 " bytes each\n",
           x->conf->broadcast ? "broadcast" : "produced and consumed", x->conf->size);
    printf("latency      p50 %.1f us, p90 %.1f us, p99 %.1f us, max %.1f us (%zu rounds)\n",
           microseconds(x, 500), microseconds(x, 900), microseconds(x, 990), microseconds(x, 1000),
           x->rounds);
    printf("throughput   %.0f objects/s, %.1f MB/s (%" PRId64 " objects)\n", count / seconds,
           count * (double)x->conf->size / seconds / 1e6, x->conf->count);
    printf("time         %.3f s until the last one arrived, %.3f s until all were acknowledged\n",
           seconds, (double)x->settled_ns / 1e9);
}

static int start(struct bench *x, struct nk_cmd_ctx *ctx, const char *const *group)
{
    const struct relay_endpoint_plan plan = {.conf = &x->conf->common,
                                             .groups = group,
                                             .ngroups = 1,
                                             .ops = &receiver_ops,
                                             .on_stop = on_stop,
                                             .owner = x};
    x->rounds = (size_t)(x->conf->count / 10 < 1 ? 1 : x->conf->count / 10);
    x->rounds = x->rounds > 10000 ? 10000 : x->rounds;
    x->object = calloc(1, (size_t)x->conf->size);
    x->took_ns = calloc(x->rounds, sizeof(*x->took_ns));
    if (!x->object || !x->took_ns) {
        return -ENOMEM;
    }
    int rc = relay_endpoint_start(&x->session, ctx, &plan);
    if (rc < 0) {
        return rc;
    }
    x->sender_conf = x->session.client_conf;
    x->sender_conf.groups = NULL;
    x->sender_conf.ngroups = 0;
    rc = relay_client_open(x->session.app, &x->sender_conf, &sender_ops, x, &x->sender);
    return rc < 0 ? rc : relay_client_group(x->sender, group[0], false, &x->group);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct bench x = {.conf = ctx->conf};
    char name[GROUP_TEXT];
    (void)snprintf(name, sizeof(name), "bench-%ld", (long)getpid());
    const char *group = x.conf->group ? x.conf->group : name;
    int rc = start(&x, ctx, &group);
    if (rc == 0) {
        relay_endpoint_progress_start(&x.progress, &x.session, false);
        x.progress.total = ((uint64_t)x.conf->count + x.rounds) * (uint64_t)x.conf->size;
        rc = relay_endpoint_run(&x.session);
    }
    relay_endpoint_progress_stop(&x.progress);
    if (rc == 0) {
        report(&x);
    }
    relay_client_close(x.sender);
    relay_endpoint_stop(&x.session);
    free(x.object);
    free(x.took_ns);
    return rc;
}

const struct nk_cmd nk_cmd_endpoint_bench = {
    .synopsis = "[-n N] [--size SIZE] [--broadcast] [--group GROUP]",
    .summary = "Measure latency and throughput of a relay",
    .opts = opts,
    .conf_size = sizeof(struct bench_conf),
    .run = run,
};
