/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_task.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_GROWTH 6 /* JSON of an object against its pickle: a control byte becomes \u00XX */
#define INPUT_SLACK ((size_t)1 << 20)
#define TEXT_MAX ((size_t)48 << 10) /* all variables: a program start has room for 64 KiB */

static const char *const kinds[] = {[RELAY_KIND_UNKNOWN] = "unknown",
                                    [RELAY_KIND_RETAINED] = "retained",
                                    [RELAY_KIND_BROADCAST] = "broadcast",
                                    [RELAY_KIND_ITEM] = "item"};
static const char *const contents[] = {[RELAY_CONTENT_BYTES] = "bytes",
                                       [RELAY_CONTENT_TEXT] = "text",
                                       [RELAY_CONTENT_JSON] = "json",
                                       [RELAY_CONTENT_PICKLE] = "pickle"};

/* What a program never inherits: our own configuration, and what speaks to a supervisor. */
static bool inherited(const char *var)
{
    static const char *const never[] = {"LISTEN_", "NOTIFY_SOCKET=", "WATCHDOG_", "OBJECT_"};
    if (strncmp(var, "NETKIT_", 7) == 0) {
        const char *eq = strchr(var, '='), *sep = strstr(var, "__");
        return !sep || (eq && sep > eq);
    }
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (strncmp(var, never[i], strlen(never[i])) == 0) {
            return false;
        }
    }
    return true;
}

/* "OBJECT_NAME=" and n bytes and NUL; what has a NUL in it is left out. */
static int put_var(struct nk_buf *b, const char *name, const void *p, size_t n)
{
    if (!p || memchr(p, 0, n)) {
        return 0;
    }
    int status = nk_buf_printf(b, "OBJECT_%s=", name);
    status = status == 0 ? nk_buf_put(b, p, n) : status;
    return status == 0 ? nk_buf_u8(b, 0) : status;
}

static int put_header(struct nk_buf *b, struct relay_text t)
{
    char name[sizeof("HEADER_") + RELAY_META_HEADER_MAX] = "HEADER_";
    const char *eq = memchr(t.p, '=', t.len);
    size_t n = eq ? (size_t)(eq - t.p) : 0, at = strlen(name);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)t.p[i];
        name[at++] = (char)(c < 0x80 && isalnum(c) ? toupper(c) : '_');
    }
    name[at] = '\0';
    return n > 0 ? put_var(b, name, eq + 1, t.len - n - 1) : 0;
}

static int put_meta(struct nk_buf *b, const struct relay_client_object *d)
{
    const struct relay_meta *m = d->meta;
    int status = put_var(b, "REPLY_TO", m->reply_to.p, m->reply_to.len);
    status = status == 0 ? put_var(b, "CORRELATION", m->correlation.p, m->correlation.len) : status;
    status = status == 0 ? put_var(b, "ORIGIN", m->origin.p, m->origin.len) : status;
    status = status == 0 ? put_var(b, "REASON", m->reason.p, m->reason.len) : status;
    if (status == 0 && m->has_expires) {
        status = nk_buf_printf(b, "OBJECT_EXPIRES=%" PRIu64, m->expires_ms);
        status = status == 0 ? nk_buf_u8(b, 0) : status;
    }
    for (unsigned i = 0; i < m->headers && status == 0; i++) {
        status = put_header(b, relay_meta_header(d->meta_block, i));
    }
    return status;
}

static int put_vars(struct nk_buf *b, const struct relay_client_object *d, const char *group)
{
    int status = put_var(b, "GROUP", group, group ? strlen(group) : 0);
    status = status == 0 ? put_var(b, "KIND", kinds[d->kind], strlen(kinds[d->kind])) : status;
    status = status == 0 ? put_var(b, "CONTENT", contents[d->content], strlen(contents[d->content]))
                         : status;
    if (status == 0 && d->seq > 0) {
        status = nk_buf_printf(b, "OBJECT_SEQ=%" PRIu64, d->seq);
        status = status == 0 ? nk_buf_u8(b, 0) : status;
    }
    status = status == 0 ? nk_buf_printf(b, "OBJECT_TRIES=%u", d->tries) : status;
    status = status == 0 ? nk_buf_u8(b, 0) : status;
    return status == 0 && d->meta ? put_meta(b, d) : status;
}

/* The array for exec: what is inherited, then ours. */
static int make_env(struct relay_endpoint_task *t)
{
    size_t n = 0, own = 0;
    const char *text = (const char *)nk_buf_ptr(&t->text);
    size_t len = nk_buf_len(&t->text);
    while (environ[n]) {
        n++;
    }
    for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
        own++;
    }
    t->env = calloc(n + own + 1, sizeof(*t->env));
    if (!t->env) {
        return -ENOMEM;
    }
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (inherited(environ[i])) {
            t->env[k++] = environ[i];
        }
    }
    for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
        t->env[k++] = (char *)(uintptr_t)(text + at);
    }
    return 0;
}

static int keep_reply(struct relay_endpoint_task *t, const struct relay_meta *m)
{
    if (!m || !m->reply_to.p || memchr(m->reply_to.p, 0, m->reply_to.len)) {
        return 0;
    }
    t->correlation_len = m->correlation.len;
    if (m->correlation.len > 0) {
        memcpy(t->correlation, m->correlation.p, m->correlation.len);
    }
    t->reply_to = strndup(m->reply_to.p, m->reply_to.len);
    return t->reply_to ? 0 : -ENOMEM;
}

int relay_endpoint_task_new(struct relay_endpoint_task **out, enum relay_endpoint_format format,
                            struct relay_value_doc *doc, const struct relay_client_object *d,
                            const char *group)
{
    struct relay_endpoint_task *t = calloc(1, sizeof(*t));
    if (!t) {
        return -ENOMEM;
    }
    t->lease = d->lease;
    t->tries = d->tries;
    t->len = d->len;
    nk_buf_init(&t->input, d->len > SIZE_MAX / (8 * (size_t)INPUT_GROWTH)
                               ? SIZE_MAX / 8
                               : d->len * INPUT_GROWTH + INPUT_SLACK);
    nk_buf_init(&t->text, TEXT_MAX);
    int status = relay_endpoint_format_delivery(&t->input, format, doc, d, group);
    status = status == 0 ? put_vars(&t->text, d, group) : status;
    status = status == 0 ? make_env(t) : status;
    status = status == 0 ? keep_reply(t, d->meta) : status;
    if (status < 0) {
        relay_endpoint_task_free(t);
        return status;
    }
    *out = t;
    return 0;
}

void relay_endpoint_task_free(struct relay_endpoint_task *t)
{
    if (t) {
        nk_buf_clear(&t->input);
        nk_buf_clear(&t->text);
        free(t->env);
        free(t->reply_to);
        free(t);
    }
}

void relay_endpoint_task_put(struct relay_endpoint_tasks *q, struct relay_endpoint_task *t)
{
    t->next = NULL;
    *q->last = t;
    q->last = &t->next;
    q->n++;
    q->bytes += t->len;
}

struct relay_endpoint_task *relay_endpoint_task_take(struct relay_endpoint_tasks *q)
{
    struct relay_endpoint_task *t = q->first;
    q->first = t->next;
    if (!q->first) {
        q->last = &q->first;
    }
    q->n--;
    q->bytes -= t->len;
    return t;
}
