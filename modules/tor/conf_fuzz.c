/* SPDX-License-Identifier: MIT */
/* What a tor tells of its options, and a torrc: anything may stand there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tor/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const struct tor_conf_option *o, const struct nk_buf *value)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, 1 << 20);
    (void)tor_conf_put_torrc(&out, o->name, strlen(o->name), o->type, nk_buf_ptr(value),
                             nk_buf_len(value));
    nk_buf_reset(&out);
    nk_json_init(&j, &out, false);
    nk_json_array(&j);
    tor_conf_put_json(&j, o->type, nk_buf_ptr(value), nk_buf_len(value));
    nk_json_close(&j);
    if (nk_json_end(&j) < 0) {
        abort();
    }
    nk_buf_clear(&out);
}

/* Three parts, each ended by a 0xff: config/names, config/defaults, lines of GETCONF. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *end = p + size;
    const char *a = size ? memchr(p, 0xff, size) : NULL;
    const char *b = a ? memchr(a + 1, 0xff, (size_t)(end - a - 1)) : NULL;
    struct tor_conf_names n;
    struct tor_conf_line line;
    struct nk_buf value;
    if (!b || tor_conf_names_read(&n, p, (size_t)(a - p), a + 1, (size_t)(b - a - 1), NULL) < 0) {
        return 0;
    }
    nk_buf_init(&value, 1 << 20);
    (void)tor_conf_check_torrc(&n, "torrc", b + 1, (size_t)(end - b - 1), NULL);
    for (const char *s = b + 1; s < end;) {
        const char *eol = memchr(s, '\n', (size_t)(end - s));
        size_t len = (size_t)((eol ? eol : end) - s);
        if (tor_conf_read(s, len, true, &line, &value, NULL) == 0) {
            const struct tor_conf_option *o = tor_conf_find(&n, line.name, line.name_len);
            show(o ? o : &n.v[0], &value);
        }
        s += len + 1;
    }
    nk_buf_clear(&value);
    tor_conf_names_clear(&n);
    return 0;
}
