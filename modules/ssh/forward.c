/* SPDX-License-Identifier: MIT */
#include "ssh/forward.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/err.h"

enum { PARTS = 4 };

/* Some of the text, without the brackets around an address. */
struct part {
    const char *p;
    size_t n;
    bool path;
};

/* The next part, up to a colon that is not within brackets, or a space; NULL: malformed. */
static const char *next_part(const char *s, struct part *out)
{
    *out = (struct part){.p = s, .path = *s == '/'};
    if (*s == '[') {
        const char *end = strchr(s, ']');
        if (!end || (end[1] && !strchr(": \t", end[1]))) {
            return NULL;
        }
        *out = (struct part){.p = s + 1, .n = (size_t)(end - s - 1)};
        return end + 1;
    }
    out->n = strcspn(s, ": \t");
    return s + out->n;
}

/* The parts of the text: how many, or 0. */
static int split(const char *text, struct part v[PARTS])
{
    int n = 0;
    while (n < PARTS) {
        text = next_part(text, &v[n]);
        if (!text) {
            return 0;
        }
        n++;
        if (!*text) {
            return n;
        }
        text += *text == ':' ? 1 : strspn(text, " \t");
    }
    return 0;
}

static bool read_port(const struct part *w, uint16_t *out)
{
    char text[6];
    uint64_t v;
    if (w->n == 0 || w->n >= sizeof(text) || w->path) {
        return false;
    }
    memcpy(text, w->p, w->n);
    text[w->n] = '\0';
    bool is = nk_parse_u64(text, &v) == 0 && v <= UINT16_MAX;
    *out = is ? (uint16_t)v : 0;
    return is;
}

static int keep(char **out, const struct part *w)
{
    *out = strndup(w->p, w->n);
    return *out ? 0 : -ENOMEM;
}

/* One end, of the next one or two parts: a path, a port alone (where that is enough), or a host and
 * a port. How many were used; 0: it is none. */
static int read_end(struct ssh_forward_end *e, const struct part *v, int n, bool port_alone)
{
    if (n >= 1 && v[0].path) {
        int rc = keep(&e->path, &v[0]);
        return rc < 0 ? rc : 1;
    }
    if (port_alone && read_port(&v[0], &e->port)) {
        return 1;
    }
    if (n >= 2 && read_port(&v[1], &e->port)) {
        int rc = keep(&e->host, &v[0]);
        return rc < 0 ? rc : 2;
    }
    return 0;
}

static void end_clear(struct ssh_forward_end *e)
{
    free(e->path);
    free(e->host);
}

bool ssh_forward_is_socks(const struct ssh_forward *f)
{
    return !f->connect.path && !f->connect.host;
}

/* Listening ends may leave out the address: of "1:2:3" and "1:2" the count of the parts tells. */
static int parse(struct ssh_forward *f, const struct part *v, int n)
{
    bool bind = !v[0].path && n != 1 && (n == 4 || (n == 3 && v[2].path) || n == 2);
    if (n == 2 && v[1].path) {
        bind = false;
    }
    int used = read_end(&f->listen, v, n, !bind);
    if (used <= 0) {
        return used;
    }
    if (used == n) { /* SOCKS */
        return f->kind != SSH_FORWARD_LOCAL && !(f->kind == SSH_FORWARD_DYNAMIC && v[0].path) ? n
                                                                                              : 0;
    }
    int more =
        f->kind == SSH_FORWARD_DYNAMIC ? 0 : read_end(&f->connect, v + used, n - used, false);
    return more < 0 ? more : used + more;
}

static bool is_complete(const struct ssh_forward *f)
{
    bool port = f->listen.path || f->listen.port || f->kind == SSH_FORWARD_REMOTE;
    return port && (!f->connect.host || (f->connect.host[0] && f->connect.port));
}

int ssh_forwards_add(struct ssh_forwards *l, enum ssh_forward_kind kind, const char *text,
                     struct nk_diag *diag)
{
    struct ssh_forward f = {.kind = kind};
    struct part v[PARTS];
    int n = split(text, v), rc = n ? parse(&f, v, n) : 0;
    if (rc >= 0 && (rc != n || n == 0 || !is_complete(&f))) {
        rc = nk_fail(diag, NK_EUSAGE, "'%s' is no forwarding", text);
        nk_hint(diag, "[address:]port:host:port, or paths of sockets");
    } else if (rc >= 0) {
        rc = l->n >= SSH_FORWARDS_MAX ? nk_fail(diag, NK_ELIMIT, "too many forwardings") : 0;
    }
    struct ssh_forward *grown = rc < 0 ? NULL : realloc(l->v, (l->n + 1) * sizeof(*grown));
    if (rc == 0 && !grown) {
        rc = -ENOMEM;
    }
    if (rc == -ENOMEM) {
        nk_fail_sys(diag, rc, "forwarding");
    }
    if (rc < 0) {
        end_clear(&f.listen);
        end_clear(&f.connect);
        return rc;
    }
    l->v = grown;
    l->v[l->n++] = f;
    return 0;
}

void ssh_forwards_clear(struct ssh_forwards *l)
{
    for (size_t i = 0; i < l->n; i++) {
        end_clear(&l->v[i].listen);
        end_clear(&l->v[i].connect);
    }
    free(l->v);
    *l = (struct ssh_forwards){0};
}

void ssh_forwards_pop(struct ssh_forwards *l)
{
    l->n--;
    end_clear(&l->v[l->n].listen);
    end_clear(&l->v[l->n].connect);
}

static int put_end(const struct ssh_forward_end *e, struct nk_buf *out)
{
    if (e->path) {
        return nk_buf_puts(out, e->path);
    }
    return e->host ? nk_buf_printf(out, "[%s]:%u", e->host, e->port)
                   : nk_buf_printf(out, "%u", e->port);
}

int ssh_forward_put(const struct ssh_forward *f, struct nk_buf *out)
{
    int rc = put_end(&f->listen, out);
    if (f->kind != SSH_FORWARD_DYNAMIC) {
        rc = rc < 0 ? rc : nk_buf_puts(out, " ");
        rc = rc < 0                    ? rc
             : ssh_forward_is_socks(f) ? nk_buf_puts(out, "[socks]:0")
                                       : put_end(&f->connect, out);
    }
    return rc;
}
