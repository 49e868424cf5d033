/* SPDX-License-Identifier: MIT */
/* A message to a subject of one's own, one after the other. Prints p50 and p99 in us, and the
 * broker's CPU in us per message. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker.h"

enum { SAMPLES = 200000, MESSAGE_MAX = 65536 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double one(struct load *o, struct conn *c, struct conn *p)
{
    uint8_t b[MESSAGE_MAX];
    uint64_t before = c->got;
    size_t len = publish(o, b, "bench.p");
    o->published += len;
    double t = now();
    put(p, b, len);
    while (c->got == before) {
        if (!more(c)) {
            poll(&(struct pollfd){.fd = c->fd, .events = POLLIN}, 1, 1000);
        }
        count(o, c);
    }
    t = now() - t;
    if (p != c && more(p)) {
        p->len = 0;
    }
    return t;
}

void latency(struct load *o)
{
    double *sample = calloc(SAMPLES, sizeof(*sample));
    struct conn *c = dial(o, 0), *p = o->proto == RESP ? dial(o, 1) : c;
    size_t n = 0;
    subscribe(o, c, "bench.p");
    if (o->one_cpu) {
        share_cpu(o);
    }
    double cpu = cpu_of(o->pid);
    for (double end = now() + o->seconds; now() < end && n < SAMPLES; n++) {
        if (o->proto == NK && o->published + MESSAGE_MAX > c->window) {
            break;
        }
        sample[n] = one(o, c, p);
    }
    cpu = cpu_of(o->pid) - cpu;
    free_cpu(o);
    qsort(sample, n, sizeof(*sample), by_value);
    printf("%.1f %.1f %.2f\n", sample[n / 2] * 1e6, sample[n * 99 / 100] * 1e6,
           cpu * 1e6 / (double)n);
    free(sample);
}
