/* SPDX-License-Identifier: MIT */
/* What the broker costs, from /proc: time on processors and memory, of all its threads. */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker.h"

void die(const char *what)
{
    fprintf(stderr, "broker_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The scheduler's nanoseconds of one thread (proc(5), schedstat); 0 when it has just ended. */
static double thread_ns(pid_t pid, const char *tid)
{
    char path[320];
    unsigned long long ns = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, tid);
    FILE *f = fopen(path, "r");
    if (f) {
        if (fscanf(f, "%llu", &ns) != 1) {
            ns = 0;
        }
        fclose(f);
    }
    return (double)ns;
}

static DIR *threads_of(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    if (!d) {
        die("no such process");
    }
    return d;
}

double cpu_of(pid_t pid)
{
    DIR *d = threads_of(pid);
    double ns = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.') {
            ns += thread_ns(pid, e->d_name);
        }
    }
    closedir(d);
    return ns * 1e-9;
}

static void run_on(pid_t pid, const cpu_set_t *set)
{
    DIR *d = threads_of(pid);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.' && sched_setaffinity(atoi(e->d_name), sizeof(*set), set) < 0 &&
            errno != ESRCH) {
            die("sched_setaffinity");
        }
    }
    closedir(d);
}

void share_cpu(const struct load *o)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)sched_getcpu(), &set);
    run_on(getpid(), &set);
    run_on(o->pid, &set);
}

void free_cpu(const struct load *o)
{
    cpu_set_t set;
    memset(&set, 0xff, sizeof(set)); /* the kernel knows which there are */
    run_on(o->pid, &set);
}

long rss_of(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f) && sscanf(line, "VmRSS: %ld", &kib) != 1) {
    }
    if (f) {
        fclose(f);
    }
    return kib * 1024;
}
