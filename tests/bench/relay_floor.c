/* SPDX-License-Identifier: MIT */
/*
 * relay_floor - what the kernel takes for one object at a time, whatever relay is between: a child
 * that only waits, receives and sends, in the same order and as many bytes as a relay does for
 * relay_load with a window of 1 over TCP. The rest of a relay's figure is its own.
 *
 *     relay_floor SECONDS
 *
 * Prints: messages per second, CPU of the child in microseconds per message.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "relay_cost.h"

/* bytes of a broadcast of 64, its delivery, and an ACK, with a header of 10 and a password of 24 */
enum { OBJECT = 138, DELIVERY = 130, ACK = 54, BUFFER = 131072 };

static char buffer[BUFFER];

static void put(int fd, size_t n)
{
    if (send(fd, buffer, n, MSG_NOSIGNAL) != (ssize_t)n) {
        die("send");
    }
}

/* Bytes that are there; ends the process when the peer has. */
static size_t get(int fd)
{
    ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n == 0) {
        _exit(0);
    }
    if (n < 0 && errno != EAGAIN) {
        die("recv");
    }
    return n > 0 ? (size_t)n : 0;
}

/* fd[0]: who sends; fd[1]: who receives. */
static void serve(const int fd[2])
{
    int set = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = i};
        epoll_ctl(set, EPOLL_CTL_ADD, fd[i], &ev);
    }
    for (;;) {
        struct epoll_event ev[16];
        int n = epoll_pwait(set, ev, 16, -1, NULL);
        size_t objects = 0;
        for (int i = 0; i < n; i++) {
            size_t got = get(fd[ev[i].data.fd]);
            objects += ev[i].data.fd == 0 ? got / OBJECT : 0;
        }
        if (objects) {
            put(fd[0], objects * ACK);
            put(fd[1], objects * DELIVERY);
        }
    }
}

static void tcp_pair(int out[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof(a);
    int one = 1, l = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(l, (struct sockaddr *)&a, len) < 0 || listen(l, 1) < 0 ||
        getsockname(l, (struct sockaddr *)&a, &len) < 0) {
        die("listen");
    }
    out[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(out[0], (struct sockaddr *)&a, len) < 0 || (out[1] = accept(l, NULL, NULL)) < 0) {
        die("connect");
    }
    close(l);
    for (int i = 0; i < 2; i++) {
        setsockopt(out[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
}

int main(int argc, char **argv)
{
    int from[2], to[2];
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    tcp_pair(from);
    tcp_pair(to);
    pid_t child = fork();
    if (child < 0) {
        die("fork");
    }
    if (child == 0) {
        close(from[0]);
        close(to[0]);
        serve((int[2]){from[1], to[1]});
    }
    close(from[1]);
    close(to[1]);
    double begin = now_us(), cpu = cpu_ns(child);
    unsigned long sent = 0, received = 0;
    while (now_us() < begin + seconds * 1e6) {
        if (sent == received) {
            sent++;
            put(from[0], OBJECT);
        }
        struct pollfd p[2] = {{.fd = from[0], .events = POLLIN}, {.fd = to[0], .events = POLLIN}};
        poll(p, 2, 1000);
        if (p[0].revents & POLLIN) {
            get(from[0]);
        }
        if ((p[1].revents & POLLIN) && get(to[0]) > 0) {
            received++;
            put(to[0], ACK);
        }
    }
    double used = cpu_ns(child) - cpu;
    printf("%.0f %.3f\n", (double)received / seconds, used / 1e3 / (double)received);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
