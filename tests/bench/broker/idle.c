/* SPDX-License-Identifier: MIT */
/* n subscribers that do nothing: prints the bytes of memory that one of them costs the broker. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker.h"

enum { SETTLE_S = 4 }; /* brokers give back what the handshakes took */

void idle(struct load *o)
{
    struct conn *first = dial(o, 0);
    subscribe(o, first, "bench.i");
    sleep(SETTLE_S);
    long before = rss_of(o->pid);
    for (int i = 1; i <= o->n; i++) {
        struct conn *c = dial(o, i);
        subscribe(o, c, "bench.i");
        free(c->in);
    }
    sleep(SETTLE_S);
    printf("%ld\n", (rss_of(o->pid) - before) / o->n);
}
