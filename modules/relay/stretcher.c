/* SPDX-License-Identifier: MIT */
#include "relay/stretcher.h"

#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/work.h"
#include "relay/stretch.h"

enum { KEY = 32 };

/* A result, and for which relay and parameters. */
struct kept {
    uint8_t key[KEY]; /* zeros: a relay without one */
    struct relay_stretch_params params;
    struct nk_secret prs;
};

/* One run of Argon2id; belongs to the lane until it is dropped. */
struct job {
    struct relay_stretcher *owner; /* looked at on the loop only */
    struct nk_secret password;
    struct kept result;
    int status;
};

struct relay_stretcher {
    struct nk_app *app;
    struct nk_secret password;
    struct kept kept[RELAY_STRETCHER_KEPT];
    size_t next; /* to be replaced */
    struct nk_work *work;
    struct nk_defer ready; /* found is to be told */
    const struct kept *found;
    void (*done)(void *owner, int status, const uint8_t *prs);
    void *owner;
};

static void tell(struct relay_stretcher *s, int status, const uint8_t *prs)
{
    void (*done)(void *owner, int status, const uint8_t *prs) = s->done;
    s->done = NULL;
    done(s->owner, status, prs);
}

static void on_ready(void *owner)
{
    struct relay_stretcher *s = owner;
    tell(s, 0, s->found->prs.data);
}

int relay_stretcher_new(struct relay_stretcher **out, struct nk_app *app,
                        const struct nk_secret *password)
{
    struct relay_stretcher *s = calloc(1, sizeof(*s));
    if (!s || nk_secret_set(&s->password, password->data, password->len) < 0) {
        free(s);
        return -ENOMEM;
    }
    s->app = app;
    s->ready = (struct nk_defer){.fn = on_ready, .owner = s};
    *out = s;
    return 0;
}

void relay_stretcher_cancel(struct relay_stretcher *s)
{
    if (!s) {
        return;
    }
    nk_work_cancel(s->work);
    s->work = NULL;
    nk_app_defer_cancel(s->app, &s->ready);
    s->done = NULL;
}

void relay_stretcher_free(struct relay_stretcher *s)
{
    if (!s) {
        return;
    }
    relay_stretcher_cancel(s);
    for (size_t i = 0; i < RELAY_STRETCHER_KEPT; i++) {
        nk_secret_clear(&s->kept[i].prs);
    }
    nk_secret_clear(&s->password);
    free(s);
}

/* --- the job ---------------------------------------------------------------------------------- */

static void job_run(void *p)
{
    struct job *j = p;
    j->status =
        relay_stretch(&j->result.params, j->password.data, j->password.len, j->result.prs.data);
}

static void job_done(void *p)
{
    struct job *j = p;
    struct relay_stretcher *s = j->owner;
    s->work = NULL;
    if (j->status < 0) {
        tell(s, j->status, NULL);
        return;
    }
    struct kept *k = &s->kept[s->next];
    s->next = (s->next + 1) % RELAY_STRETCHER_KEPT;
    nk_secret_clear(&k->prs);
    *k = j->result;
    j->result.prs = (struct nk_secret){0};
    tell(s, 0, k->prs.data);
}

static void job_drop(void *p)
{
    struct job *j = p;
    nk_secret_clear(&j->password);
    nk_secret_clear(&j->result.prs);
    free(j);
}

static struct job *job_new(struct relay_stretcher *s, const struct kept *wanted)
{
    struct job *j = calloc(1, sizeof(*j));
    if (!j) {
        return NULL;
    }
    j->owner = s;
    j->result = *wanted;
    if (nk_secret_set(&j->password, s->password.data, s->password.len) < 0 ||
        nk_secret_alloc(&j->result.prs, RELAY_LOGIN_PRS) < 0) {
        job_drop(j);
        return NULL;
    }
    return j;
}

static bool same_params(const struct relay_stretch_params *a, const struct relay_stretch_params *b)
{
    return memcmp(a->salt, b->salt, sizeof(a->salt)) == 0 && a->mem_kib == b->mem_kib &&
           a->passes == b->passes;
}

static const struct kept *find(const struct relay_stretcher *s, const struct kept *wanted)
{
    for (size_t i = 0; i < RELAY_STRETCHER_KEPT; i++) {
        const struct kept *k = &s->kept[i];
        if (k->prs.len && memcmp(k->key, wanted->key, KEY) == 0 &&
            same_params(&k->params, &wanted->params)) {
            return k;
        }
    }
    return NULL;
}

int relay_stretcher_start(struct relay_stretcher *s, const uint8_t *relay_key,
                          const struct relay_stretch_params *params,
                          void (*done)(void *owner, int status, const uint8_t *prs), void *owner)
{
    static const struct nk_work_ops ops = {.run = job_run, .done = job_done, .drop = job_drop};
    struct kept wanted = {.params = *params};
    if (!relay_login_params_ok(params)) {
        return NK_EPROTO;
    }
    relay_stretcher_cancel(s);
    if (relay_key) {
        memcpy(wanted.key, relay_key, KEY);
    }
    s->found = find(s, &wanted);
    if (!s->found) {
        struct job *j = job_new(s, &wanted);
        int rc = j ? nk_work_submit(s->app, NK_LANE_CRYPTO, &ops, j, &s->work) : -ENOMEM;
        if (rc < 0) {
            if (j) {
                job_drop(j);
            }
            return rc;
        }
    } else {
        nk_app_defer(s->app, &s->ready);
    }
    s->done = done;
    s->owner = owner;
    return 0;
}
