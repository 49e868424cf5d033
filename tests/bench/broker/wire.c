/* SPDX-License-Identifier: MIT */
/* Greetings, subscriptions and messages, as each broker wants them. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "broker.h"
#include "relay/wire_native.h"

void until_tls(struct load *o, struct conn *c)
{
    if (o->proto == NATS) {
        until(c, "\n"); /* INFO */
    }
    if (o->tls) {
        start_tls(o, c);
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

static void greet(struct load *o, struct conn *c, int id)
{
    char b[256];
    until_tls(o, c);
    switch (o->proto) {
    case NK:
        nk_login(o, c);
        break;
    case NATS:
        snprintf(b, sizeof(b),
                 "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":%s}\r\nPING\r\n",
                 o->tls ? "true" : "false");
        put(c, b, strlen(b));
        until(c, "PONG\r\n");
        break;
    case RESP:
        break;
    case MQTT:
        memcpy(b, "\x10\x14\0\4MQTT\4\2\0\0\0\x08", 14);
        snprintf(b + 14, 9, "id%06d", id);
        put(c, b, 22);
        need(c, 4);
        eat(c, 4);
        break;
    }
}

struct conn *dial(struct load *o, int id)
{
    struct conn *c = dial_tcp(o);
    greet(o, c, id);
    return c;
}

void subscribe(struct load *o, struct conn *c, const char *name)
{
    char b[256];
    switch (o->proto) {
    case NK:
        nk_open(o, c, name, true);
        break;
    case NATS:
        put(c, b, (size_t)snprintf(b, sizeof(b), "SUB %s 1\r\nPING\r\n", name));
        until(c, "PONG\r\n");
        break;
    case RESP:
        put(c, b, (size_t)snprintf(b, sizeof(b), "SUBSCRIBE %s\r\n", name));
        until(c, ":1\r\n");
        break;
    case MQTT:
        memcpy(b, "\x82\0\0\1\0", 5);
        b[1] = (char)(5 + strlen(name));
        b[5] = (char)strlen(name);
        memcpy(b + 6, name, strlen(name));
        b[6 + strlen(name)] = 0;
        put(c, b, 7 + strlen(name));
        need(c, 5);
        eat(c, 5);
        break;
    }
}

size_t publish(struct load *o, uint8_t *p, const char *name)
{
    char *s = (char *)p;
    size_t n = 0;
    if (o->proto == NK) {
        struct relay_native_head h = {.type = RELAY_N_BROADCAST,
                                      .len = (uint32_t)o->size,
                                      .group = o->group,
                                      .seq = ++o->seq};
        relay_native_put_head(p, &h);
        memset(p + RELAY_NATIVE_HEAD, 'x', o->size);
        return RELAY_NATIVE_HEAD + o->size;
    }
    if (o->proto == NATS) {
        n = (size_t)sprintf(s, "PUB %s %zu\r\n", name, o->size);
    } else if (o->proto == RESP) {
        n = (size_t)sprintf(s, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(name), name,
                            o->size);
    } else {
        size_t left = 2 + strlen(name) + o->size;
        p[n++] = 0x30;
        do {
            p[n++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
            left >>= 7;
        } while (left);
        p[n++] = 0;
        p[n++] = (uint8_t)strlen(name);
        memcpy(p + n, name, strlen(name));
        n += strlen(name);
    }
    memset(p + n, 'x', o->size);
    n += o->size;
    if (o->proto != MQTT) {
        memcpy(p + n, "\r\n", 2);
        n += 2;
    }
    return n;
}
