/* SPDX-License-Identifier: MIT */
#include "tor/events.h"

#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "tor/control.h"

enum state { NEW, ASKED, ON, REFUSED };
enum { SHOWN = 160 };

static void on_turn_end(void *owner)
{
    tor_events_flush(owner);
}

void tor_events_init(struct tor_events *e, struct nk_app *app, struct tor_control *control)
{
    *e = (struct tor_events){.app = app, .control = control};
    e->later = (struct nk_defer){.fn = on_turn_end, .owner = e};
}

/* The set is another one. */
static void change(struct tor_events *e)
{
    e->changed = true;
    if (e->conn) {
        nk_app_defer(e->app, &e->later);
    }
}

int tor_events_add(struct tor_events *e, struct tor_subscription *s)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    if (!s->event[0] || s->event[strspn(s->event, letters)]) {
        return NK_EUSAGE;
    }
    s->control = e->control;
    s->next = NULL;
    s->prev = e->last;
    if (e->last) {
        e->last->next = s;
    } else {
        e->first = s;
    }
    e->last = s;
    s->state = NEW;
    change(e);
    return 0;
}

void tor_events_remove(struct tor_events *e, struct tor_subscription *s)
{
    if (e->walk == s) {
        e->walk = s->next;
    }
    if (e->first == s) {
        e->first = s->next;
    } else {
        s->prev->next = s->next;
    }
    if (e->last == s) {
        e->last = s->prev;
    } else {
        s->next->prev = s->prev;
    }
    s->next = s->prev = NULL;
    s->control = NULL;
    change(e);
}

void tor_events_close(struct tor_events *e)
{
    tor_events_lost(e);
    while (e->first) {
        tor_events_remove(e, e->first);
    }
    nk_app_defer_cancel(e->app, &e->later);
}

void tor_events_lost(struct tor_events *e)
{
    tor_request_cancel(&e->request);
    nk_app_defer_cancel(e->app, &e->later);
    e->conn = NULL;
    for (struct tor_subscription *s = e->first; s; s = s->next) {
        s->state = s->state == REFUSED ? REFUSED : NEW;
    }
}

void tor_events_ready(struct tor_events *e, struct tor_conn *conn)
{
    e->conn = conn;
    e->changed = e->first != NULL;
    tor_events_flush(e);
}

/* --- SETEVENTS -------------------------------------------------------------------------------- */

/* Tell those that were asked for: they are on, or (err) those of the event `only`, or all when that
 * is NULL, are refused. */
static void asked(struct tor_events *e, int err, const char *only, size_t n,
                  const struct nk_diag *why)
{
    e->walk = e->first;
    while (e->walk) {
        struct tor_subscription *s = e->walk;
        e->walk = s->next;
        if (s->state != ASKED) {
            continue;
        }
        bool meant = !only || (strlen(s->event) == n && memcmp(s->event, only, n) == 0);
        s->state = err == 0 ? ON : meant ? REFUSED : NEW;
        if ((err == 0 || meant) && s->on_ready) {
            s->on_ready(s->owner, err, why);
        }
    }
}

/* The name in: Unrecognized event "NAME" */
static const char *refused_name(const struct tor_reply *reply, size_t *n)
{
    const struct tor_line *l = &reply->lines[reply->n - 1];
    const char *open = l->len ? memchr(l->text, '"', l->len) : NULL;
    const char *end = l->text + l->len;
    const char *close = open ? memchr(open + 1, '"', (size_t)(end - open) - 1) : NULL;
    *n = close ? (size_t)(close - open) - 1 : 0;
    return close ? open + 1 : NULL;
}

static void on_setevents(void *owner, int err, const struct tor_reply *reply,
                         const struct nk_diag *why)
{
    struct tor_events *e = owner;
    struct nk_diag diag = {0};
    char shown[SHOWN];
    (void)why;
    if (err < 0) {
        return; /* tor_events_lost comes */
    }
    if (reply->code == TOR_OK) {
        asked(e, 0, NULL, 0, NULL);
    } else {
        size_t n;
        const char *name = refused_name(reply, &n);
        const struct tor_line *l = &reply->lines[0];
        (void)nk_fail(&diag, NK_EUNSUPPORTED, "tor refuses SETEVENTS: %s",
                      nk_escape(shown, sizeof(shown), l->text, l->len));
        asked(e, NK_EUNSUPPORTED, name, n, &diag);
        e->changed = true;
    }
    tor_events_flush(e);
}

/* Whether an earlier one has the same name and is asked for. */
static bool is_repeated(const struct tor_events *e, const struct tor_subscription *s)
{
    for (const struct tor_subscription *p = e->first; p != s; p = p->next) {
        if (p->state != REFUSED && strcmp(p->event, s->event) == 0) {
            return true;
        }
    }
    return false;
}

static int ask(struct tor_events *e)
{
    struct nk_buf line;
    nk_buf_init(&line, TOR_COMMAND_MAX);
    int rc = nk_buf_puts(&line, "SETEVENTS");
    for (struct tor_subscription *s = e->first; rc == 0 && s; s = s->next) {
        if (s->state != REFUSED && !is_repeated(e, s)) {
            rc = nk_buf_printf(&line, " %s", s->event);
        }
    }
    const char *text = rc == 0 ? nk_buf_str(&line) : NULL;
    rc = rc == 0 && !text ? -ENOMEM : rc;
    tor_request_cancel(&e->request); /* the new answer says it for the earlier ones, too */
    e->request = (struct tor_request){.fn = on_setevents, .owner = e};
    rc = rc < 0 ? rc : tor_conn_send(e->conn, &e->request, text, NULL, 0, NULL);
    nk_buf_clear(&line);
    return rc;
}

void tor_events_flush(struct tor_events *e)
{
    if (!e->changed || !e->conn || ask(e) < 0) {
        return; /* no memory, or too many commands wait: the next call tries again */
    }
    e->changed = false;
    for (struct tor_subscription *s = e->first; s; s = s->next) {
        s->state = s->state == NEW ? ASKED : s->state;
    }
}

/* --- events ------------------------------------------------------------------------------------
 */

void tor_events_give(struct tor_events *e, const struct tor_reply *event)
{
    const struct tor_line *l = &event->lines[0];
    const char *space = l->len ? memchr(l->text, ' ', l->len) : NULL;
    size_t n = space ? (size_t)(space - l->text) : l->len;
    e->walk = e->first;
    while (e->walk) {
        struct tor_subscription *s = e->walk;
        e->walk = s->next;
        if (strlen(s->event) == n && memcmp(s->event, l->text, n) == 0) {
            s->fn(s->owner, event);
        }
    }
}
