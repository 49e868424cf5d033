/* SPDX-License-Identifier: MIT */
/*
 * The part of the TLS record benchmark that is the same for every library: a client writes, a
 * server on the same thread reads, through memory; the rate is application bytes per second of CPU
 * time, encryption and decryption together.
 */
#ifndef NK_BENCH_TLS_RECORD_H
#define NK_BENCH_TLS_RECORD_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIPE_SIZE (64u * 1024)
/* the most that mbedTLS puts into one TLS 1.3 record */
#define BLOCK_MAX 16383u
#define CPU_SECONDS 0.3

/* One direction of the memory connection. */
struct pipe {
    unsigned char data[PIPE_SIZE];
    size_t start, end;
};

static size_t pipe_put(struct pipe *p, const unsigned char *data, size_t len)
{
    if (p->start == p->end) {
        p->start = p->end = 0;
    }
    if (len > PIPE_SIZE - p->end) {
        len = PIPE_SIZE - p->end;
    }
    memcpy(p->data + p->end, data, len);
    p->end += len;
    return len;
}

static size_t pipe_get(struct pipe *p, unsigned char *data, size_t len)
{
    if (len > p->end - p->start) {
        len = p->end - p->start;
    }
    memcpy(data, p->data + p->start, len);
    p->start += len;
    return len;
}

static double cpu_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what, long code)
{
    fprintf(stderr, "tls_record: %s: %ld\n", what, code);
    exit(1);
}

/* Sends one block from client to server and checks that it arrived. */
typedef void send_block_fn(void *session, const unsigned char *block, size_t len);

/* Prints "SUITE SIZE MB/s" for the block sizes of the benchmark. */
static void measure(const char *suite, send_block_fn *send_block, void *session)
{
    static const size_t sizes[] = {64, 512, 4096, BLOCK_MAX};
    static unsigned char block[BLOCK_MAX];
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i], total = 0;
        double start, used;
        send_block(session, block, size); /* warm */
        start = cpu_seconds();
        do {
            for (int n = 0; n < 200; n++) {
                send_block(session, block, size);
                total += size;
            }
            used = cpu_seconds() - start;
        } while (used < CPU_SECONDS);
        printf("%s %zu %.1f\n", suite, size, (double)total / used / 1e6);
    }
}

#endif
