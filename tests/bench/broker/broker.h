/* SPDX-License-Identifier: MIT */
/*
 * What the files of broker_load share: the same load for different brokers, from one thread.
 *
 *     main.c        arguments                       native.c      login and groups of netkit's wire
 *     process.c     the broker's CPU and memory     throughput.c  one publisher, n subscribers
 *     bytes.c       plain and TLS connections       latency.c     a message to oneself
 *     wire.c        greetings, messages             idle.c        memory of idle subscribers
 *     parse.c       counting what arrives           handshake.c   what a connection costs
 */
#ifndef NK_BENCH_BROKER_H
#define NK_BENCH_BROKER_H

#include <openssl/ssl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "relay/login_client.h"

enum proto { NK, NATS, RESP, MQTT };
enum { READ = 512 * 1024, BATCH = 128 * 1024 };

struct conn {
    int fd;
    SSL *ssl;
    uint8_t *in;
    size_t len;
    uint64_t got;    /* messages */
    uint64_t window; /* nk: bytes that may be published */
};

struct load {
    enum proto proto;
    int port, n;
    pid_t pid;
    size_t size;
    double seconds;
    uint64_t ahead;
    bool one_cpu;
    SSL_CTX *tls;
    const char *cert, *key; /* of the client, or NULL */
    SSL_SESSION *session;   /* the newest */
    struct nk_secret password;
    uint8_t prs[RELAY_LOGIN_PRS];
    bool stretched;
    uint32_t group;
    uint64_t seq, published; /* nk */
};

/*
 * process.c: all threads together. cpu_of: seconds. share_cpu: broker and load run on one processor
 * until free_cpu. Waking the other is then a switch of tasks; on two processors a virtual machine
 * adds tens of us to each way, and how many depends on where its scheduler and ours have put them.
 */
void die(const char *what) __attribute__((noreturn));
double now(void);
double cpu_of(pid_t pid);
long rss_of(pid_t pid);
void share_cpu(const struct load *o);
void free_cpu(const struct load *o);

/* bytes.c. wr takes what it can, -1 and EAGAIN when that is nothing; put waits. more: read once,
 * true when something came. need: wait for n bytes; until: take all up to the end of word. */
ssize_t wr(struct conn *c, const void *p, size_t n);
void put(struct conn *c, const void *p, size_t n);
bool more(struct conn *c);
void need(struct conn *c, size_t n);
void eat(struct conn *c, size_t n);
void until(struct conn *c, const char *word);
void start_tls(struct load *o, struct conn *c);
struct conn *dial_tcp(struct load *o);
void hang_up(struct conn *c);

/* native.c */
void nk_login(struct load *o, struct conn *c);
void nk_open(struct load *o, struct conn *c, const char *name, bool member);

/* wire.c. dial: connected and greeted. publish: one message at p, returns its length. */
void until_tls(struct load *o, struct conn *c);
struct conn *dial(struct load *o, int id);
void subscribe(struct load *o, struct conn *c, const char *name);
size_t publish(struct load *o, uint8_t *p, const char *name);

/* parse.c: count and take the messages that have come. */
void count(struct load *o, struct conn *c);

/* The modes. */
void throughput(struct load *o);
void latency(struct load *o);
void idle(struct load *o);
void connections(struct load *o);
void handshakes(struct load *o, bool resume);

#endif
