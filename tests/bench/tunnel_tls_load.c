/* SPDX-License-Identifier: MIT */
/*
 * tunnel_tls_load - new TLS 1.3 connections to a server in front of `tunnel_tcp_load serve`, by
 * OpenSSL:
 *
 *     tunnel_tls_load PORT SECONDS full|resumed CA [CERT KEY]
 *
 * One at a time; each is verified and gets an answer. Prints connections per second, their number,
 * and how many were resumed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static SSL_SESSION *session; /* the newest ticket's */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "tunnel_tls_load: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int on_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = s;
    return 1;
}

static int dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        die("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* 1 when it was resumed. */
static int one(SSL_CTX *ctx, int port, bool resume)
{
    char answer[4];
    size_t got = 0;
    int fd = dial(port), n = 1;
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    SSL_set1_host(ssl, "srv.test");
    SSL_set_tlsext_host_name(ssl, "srv.test");
    if (resume && session) {
        SSL_set_session(ssl, session);
    }
    if (SSL_connect(ssl) != 1 || SSL_write(ssl, "eping", 5) != 5) {
        die("handshake");
    }
    while (got < sizeof(answer) &&
           (n = SSL_read(ssl, answer + got, (int)(sizeof(answer) - got))) > 0) {
        got += (size_t)n;
    }
    if (got < sizeof(answer)) {
        die("no answer");
    }
    int resumed = SSL_session_reused(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
    return resumed;
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 7) {
        fputs("usage: tunnel_tls_load PORT SECONDS full|resumed CA [CERT KEY]\n", stderr);
        return 2;
    }
    bool resume = strcmp(argv[3], "resumed") == 0;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    if (SSL_CTX_load_verify_locations(ctx, argv[4], NULL) != 1 ||
        (argc == 7 && (SSL_CTX_use_certificate_chain_file(ctx, argv[5]) != 1 ||
                       SSL_CTX_use_PrivateKey_file(ctx, argv[6], SSL_FILETYPE_PEM) != 1))) {
        die("certificates");
    }
    double start = now(), seconds = atof(argv[2]);
    unsigned long done = 0, resumed = 0;
    do {
        resumed += (unsigned long)one(ctx, atoi(argv[1]), resume);
        done++;
    } while (now() - start < seconds);
    printf("%.0f %lu %lu\n", (double)done / (now() - start), done, resumed);
    return 0;
}
