/* SPDX-License-Identifier: MIT */
/*
 * broker_load nk|nats|resp|mqtt MODE PORT PID [NAME=VALUE]..
 *
 * MODE                                              prints
 *   thr        one publisher, n subscribers         deliveries/s, CPU ns per delivery, MB/s
 *   ping       a message there and back             p50 and p99 in us, CPU us per message
 *   idle       n subscribers that do nothing        bytes of memory for each
 *   connect    n connections                        CPU us for each
 *   handshake  the same, with TLS                   CPU us for each
 *   resume     the same, with the session before    CPU us for each
 *
 * CPU and memory are the broker's (process PID). NAME: size, n, seconds, ahead (messages that the
 * publisher may be ahead of the slowest subscriber), one-cpu=1 (broker and load share a processor),
 * tls=1, cert and key (of the client), password (a file).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"

static void usage(void)
{
    fprintf(stderr, "usage: broker_load nk|nats|resp|mqtt thr|ping|idle|connect|handshake|resume "
                    "PORT PID [NAME=VALUE]..\n");
    exit(2);
}

static void read_password(struct load *o, const char *path)
{
    char text[1024] = "";
    FILE *f = fopen(path, "r");
    if (!f || !fgets(text, sizeof(text), f)) {
        die(path);
    }
    fclose(f);
    text[strcspn(text, "\n")] = 0;
    if (nk_secret_set(&o->password, text, strlen(text)) < 0) {
        die("password");
    }
}

static void use_tls(struct load *o)
{
    o->tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(o->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(o->tls, 1);
    SSL_CTX_set_default_read_buffer_len(o->tls, BATCH);
}

static void option(struct load *o, const char *name, const char *value)
{
    if (strcmp(name, "size") == 0) {
        o->size = strtoul(value, NULL, 10);
    } else if (strcmp(name, "n") == 0) {
        o->n = atoi(value);
    } else if (strcmp(name, "seconds") == 0) {
        o->seconds = strtod(value, NULL);
    } else if (strcmp(name, "ahead") == 0) {
        o->ahead = strtoul(value, NULL, 10);
    } else if (strcmp(name, "one-cpu") == 0) {
        o->one_cpu = atoi(value) != 0;
    } else if (strcmp(name, "password") == 0) {
        read_password(o, value);
    } else if (strcmp(name, "cert") == 0) {
        o->cert = value;
    } else if (strcmp(name, "key") == 0) {
        o->key = value;
    } else if (strcmp(name, "tls") != 0) {
        usage();
    } else if (atoi(value) != 0) {
        use_tls(o);
    }
}

static void run(struct load *o, const char *mode)
{
    bool handshake = strcmp(mode, "handshake") == 0, resume = strcmp(mode, "resume") == 0;
    if (strcmp(mode, "thr") == 0) {
        throughput(o);
    } else if (strcmp(mode, "ping") == 0) {
        latency(o);
    } else if (strcmp(mode, "idle") == 0) {
        idle(o);
    } else if (!o->tls && strcmp(mode, "connect") == 0) {
        connections(o);
    } else if (o->tls && (handshake || resume)) {
        handshakes(o, resume);
    } else {
        usage();
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"nk", "nats", "resp", "mqtt"};
    struct load o = {.size = 64, .n = 1, .seconds = 2, .ahead = 1};
    int proto = -1;
    if (sodium_init() < 0) {
        die("sodium");
    }
    for (int i = 0; argc > 4 && i < 4; i++) {
        proto = strcmp(argv[1], names[i]) == 0 ? i : proto;
    }
    if (proto < 0) {
        usage();
    }
    o.proto = (enum proto)proto;
    o.port = atoi(argv[3]);
    o.pid = atoi(argv[4]);
    for (int i = 5; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) {
            usage();
        }
        *value++ = 0;
        option(&o, argv[i], value);
    }
    if (o.tls && o.cert &&
        (SSL_CTX_use_certificate_chain_file(o.tls, o.cert) != 1 ||
         SSL_CTX_use_PrivateKey_file(o.tls, o.key ? o.key : o.cert, SSL_FILETYPE_PEM) != 1)) {
        die(o.cert);
    }
    run(&o, argv[2]);
    return 0;
}
