/* SPDX-License-Identifier: MIT */
#include "tor/address.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "tor/wire.h"

int tor_address_unix(char *out, size_t max, const char *path)
{
    char text[TOR_ADDRESS_SIZE] = "unix:";
    size_t n = strlen(text);
    for (; *path; path++) {
        if (n + 4 > sizeof(text)) {
            return NK_ETOOBIG;
        }
        if (*path == ',' || *path == '%') {
            (void)snprintf(text + n, 4, "%%%02X", (unsigned)(unsigned char)*path);
            n += 3;
        } else {
            text[n++] = *path;
        }
    }
    text[n] = '\0';
    if (n >= max) {
        return NK_ETOOBIG;
    }
    memcpy(out, text, n + 1);
    return 0;
}

static int convert(char *out, size_t max, const char *name)
{
    static const struct {
        const char *any, *loopback;
    } hosts[] = {{"0.0.0.0:", "127.0.0.1:"}, {"[::]:", "[::1]:"}};
    const char *host = "";
    if (strncmp(name, "unix:", 5) == 0) {
        return tor_address_unix(out, max, name + 5);
    }
    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
        if (strncmp(name, hosts[i].any, strlen(hosts[i].any)) == 0) {
            host = hosts[i].loopback;
            name += strlen(hosts[i].any);
        }
    }
    if (strchr(name, ',') || strchr(name, '%') || !strchr(host[0] ? host : name, ':')) {
        return NK_EPROTO;
    }
    if (strlen(host) + strlen(name) + sizeof("tcp:") > max) {
        return NK_ETOOBIG;
    }
    (void)snprintf(out, max, "tcp:%s%s", host, name);
    return 0;
}

int tor_address_listener(char *out, size_t max, const char *text, size_t len)
{
    struct tor_words words;
    struct tor_word w;
    struct nk_buf name;
    tor_words_init(&words, text, len);
    if (!tor_words_next(&words, &w)) {
        if (words.bad || max < 1) {
            return NK_EPROTO;
        }
        out[0] = '\0';
        return 0;
    }
    nk_buf_init(&name, TOR_ADDRESS_SIZE);
    int rc = tor_word_put(&w, &name);
    const char *string = rc == 0 ? nk_buf_str(&name) : NULL;
    if (rc == 0) {
        rc = !string ? -ENOMEM : w.key ? NK_EPROTO : convert(out, max, string);
    }
    nk_buf_clear(&name);
    return rc;
}
