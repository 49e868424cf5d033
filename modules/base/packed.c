/* SPDX-License-Identifier: MIT */
#include "base/packed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/cmd.h"
#include "base/err.h"

enum {
    WINDOW_BITS = 15, /* RFC 1951 section 2: distances up to 32 KiB */
    KEY_MAX = 128     /* "\f" NAME "\n" */
};

struct target {
    char *text;
    size_t n, max;
};

/* All of the data is there from the beginning. */
static unsigned no_more(void *arg, z_const unsigned char **p)
{
    (void)arg;
    (void)p;
    return 0;
}

static int take(void *arg, unsigned char *p, unsigned n)
{
    struct target *t = arg;
    if (n > t->max - t->n) {
        return 1;
    }
    memcpy(t->text + t->n, p, n);
    t->n += n;
    return 0;
}

static int inflate_all(const struct nk_packed *p, struct target *t, unsigned char *window)
{
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)p->data, .avail_in = p->packed};
    if (inflateBackInit(&z, WINDOW_BITS, window) != Z_OK) {
        return -ENOMEM;
    }
    int rc = inflateBack(&z, no_more, NULL, take, t);
    inflateBackEnd(&z);
    return rc == Z_STREAM_END && t->n == t->max ? 0 : NK_EFORMAT;
}

int nk_unpack(const struct nk_packed *p, char **out)
{
    unsigned char *window = malloc((size_t)1 << WINDOW_BITS);
    struct target t = {.text = malloc((size_t)p->len + 1), .max = p->len};
    int rc = window && t.text ? inflate_all(p, &t, window) : -ENOMEM;
    free(window);
    if (rc < 0) {
        free(t.text);
        return rc;
    }
    t.text[t.n] = '\0';
    *out = t.text;
    return 0;
}

int nk_cmd_text_get(struct nk_cmd_text *out, const struct nk_cmd_entry *entry)
{
    char key[KEY_MAX];
    *out = (struct nk_cmd_text){.description = entry->cmd->description,
                                .examples = entry->cmd->examples};
    if (out->description || out->examples) {
        return 0;
    }
    int rc = nk_unpack(&nk_cmd_texts, &out->memory);
    if (rc < 0) {
        return rc;
    }
    snprintf(key, sizeof(key), "\f%s\n", entry->name);
    char *text = strstr(out->memory, key);
    if (!text) {
        return 0;
    }
    text += strlen(key);
    text[strcspn(text, "\f")] = '\0';
    char *examples = strchr(text, '\v');
    if (examples) {
        *examples++ = '\0';
    }
    out->description = *text ? text : NULL;
    out->examples = examples;
    return 0;
}

void nk_cmd_text_clear(struct nk_cmd_text *t)
{
    free(t->memory);
    memset(t, 0, sizeof(*t));
}
