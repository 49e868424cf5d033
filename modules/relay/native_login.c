/* SPDX-License-Identifier: MIT */
/* How often a native login may be tried: the answer to the first message of the password method
 * tells its sender whether a guess was right, so it is counted, and delayed, before it is given. */
#include <stdlib.h>

#include "core/clock.h"
#include "relay/native.h"

/* The first password message of this login that came, and the answer that waits. */
struct relay_native_attempt {
    struct nk_timer timer;
    bool waiting;
};

static void on_timer(void *owner)
{
    struct relay_conn *c = owner;
    relay_native_of(c)->attempt->waiting = false;
    relay_hub_touch(c->hub); /* which asks relay_native_attempt_over */
}

bool relay_native_attempt_wait(struct relay_conn *c, const struct relay_native_head *h,
                               const uint8_t *payload)
{
    struct relay_native_session *s = relay_native_of(c);
    if (h->type != RELAY_N_AUTH || !s->login || s->login->state != RELAY_LOGIN_SERVER_FIRST ||
        h->len == 0 || payload[0] != RELAY_LOGIN_PASSWORD || s->attempt) {
        return s->attempt && s->attempt->waiting;
    }
    s->attempt = calloc(1, sizeof(*s->attempt));
    if (!s->attempt) {
        relay_native_no_memory(c);
        return true;
    }
    nk_timer_init(&s->attempt->timer, c->hub->conf.app, on_timer, c);
    uint64_t ms =
        relay_guard_attempt(c->hub->guard, &c->arrival->guest, nk_now_ms(c->hub->conf.app));
    if (ms == 0) {
        return false;
    }
    s->attempt->waiting = true;
    nk_timer_start(&s->attempt->timer, ms);
    relay_conn_stall(c);
    return true;
}

bool relay_native_attempt_over(const struct relay_native_session *s)
{
    return !s->attempt || !s->attempt->waiting;
}

void relay_native_attempt_end(struct relay_conn *c, bool forgive)
{
    struct relay_native_session *s = relay_native_of(c);
    if (!s->attempt) {
        return;
    }
    if (!forgive && s->login && s->login->state == RELAY_LOGIN_SERVER_CONFIRM) {
        c->hub->count.auth_fail++;
        nk_audit(c->hub->log, "relay", relay_hub_may_log(c->hub) ? NK_LOG_WARN : NK_LOG_TRACE,
                 "auth.fail", c->peer, "went away when it had heard the answer to its guess");
    }
    nk_timer_stop(&s->attempt->timer);
    free(s->attempt);
    s->attempt = NULL;
    if (forgive && c->arrival && c->arrival->guest.address) {
        relay_guard_forgive(c->hub->guard, &c->arrival->guest);
    }
}
