/* SPDX-License-Identifier: MIT */
/* Counting the messages in what a broker sends. */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "relay/wire_native.h"

static size_t line(const uint8_t *p, size_t n)
{
    const uint8_t *e = memchr(p, '\n', n);
    return e ? (size_t)(e - p) + 1 : 0;
}

/* One thing at p: its length, 0 when it is not whole. *message: it is one of ours. */
static size_t nats_one(const uint8_t *p, size_t n, bool *message)
{
    size_t head = line(p, n);
    if (head && p[0] == 'M') {
        const char *q = (const char *)p + head - 2;
        while (q[-1] != ' ') {
            q--;
        }
        *message = true;
        return head + strtoul(q, NULL, 10) + 2;
    }
    return head;
}

static size_t resp_one(const uint8_t *p, size_t n, bool *message)
{
    size_t at = line(p, n);
    if (!at || p[0] != '*') {
        return at;
    }
    for (int i = 0; i < 3; i++) {
        size_t head = at < n ? line(p + at, n - at) : 0;
        if (!head) {
            return 0;
        }
        at += head + strtoul((const char *)p + at + 1, NULL, 10) + 2;
    }
    *message = true;
    return at;
}

static size_t mqtt_one(const uint8_t *p, size_t n, bool *message)
{
    size_t left = 0, i = 1;
    unsigned shift = 0;
    do {
        if (i >= n) {
            return 0;
        }
        left |= (size_t)(p[i] & 127) << shift;
        shift += 7;
    } while (p[i++] & 128);
    *message = (p[0] >> 4) == 3;
    return i + left;
}

static size_t nk_one(struct conn *c, const uint8_t *p, size_t n, bool *message)
{
    if (n < RELAY_NATIVE_HEAD) {
        return 0;
    }
    size_t len = RELAY_NATIVE_HEAD + (relay_native_get_u32(p) >> 8);
    *message = p[0] == RELAY_N_BROADCAST;
    if (p[0] == RELAY_N_WINDOW && n >= len) {
        c->window = relay_native_get_u64(p + RELAY_NATIVE_HEAD);
    }
    return len;
}

void count(struct load *o, struct conn *c)
{
    size_t at = 0;
    while (at < c->len) {
        const uint8_t *p = c->in + at;
        size_t n = c->len - at, len;
        bool message = false;
        switch (o->proto) {
        case NATS:
            len = nats_one(p, n, &message);
            break;
        case RESP:
            len = resp_one(p, n, &message);
            break;
        case MQTT:
            len = mqtt_one(p, n, &message);
            break;
        default:
            len = nk_one(c, p, n, &message);
        }
        if (len == 0 || len > n) {
            break;
        }
        c->got += message;
        at += len;
    }
    eat(c, at);
}
