/* SPDX-License-Identifier: MIT */
/* relay_cost - what the relay benchmarks share: time, a process's time on a processor, the end. */
#ifndef NK_BENCH_RELAY_COST_H
#define NK_BENCH_RELAY_COST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

/* die - say what failed, with errno's text, and end. */
static inline void die(const char *what)
{
    fprintf(stderr, "relay benchmark: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* now_us - monotonic microseconds. */
static inline double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* cpu_ns - nanoseconds that a process has spent on a processor. */
static inline double cpu_ns(pid_t pid)
{
    char path[64];
    unsigned long long ns = 0;
    snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%llu", &ns) != 1) {
        die(path);
    }
    fclose(f);
    return (double)ns;
}

#endif
