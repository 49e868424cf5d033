/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_receive.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/app.h"
#include "relay/endpoint_files.h"
#include "relay/endpoint_progress.h"

#define OUTPUT_GROWTH 6 /* JSON of an object against its pickle: a control byte becomes \u00XX */
#define OUTPUT_SLACK ((size_t)1 << 20)
#define WRITE_BYTES ((size_t)256 << 10) /* formatted objects are written at once beyond this */
#define LEASES_FIRST 64
#define FILES_BYTES ((size_t)16 << 20) /* that wait for the disk: no more are read */
#define FILES_COUNT 4096

struct receiver {
    struct relay_endpoint_session session;
    struct relay_endpoint_progress progress;
    const struct relay_endpoint_receive *what;
    struct relay_endpoint_sink out;
    struct relay_value_doc doc;
    uint64_t items;
    size_t draining; /* groups whose drain is not over */
    struct nk_defer flush;
    struct relay_client_lease *lease; /* of what is formatted and not written */
    size_t nleases, cap;
    struct relay_endpoint_filing files; /* --format files */
    bool writing;                       /* the output is slow: on_drained follows */
    bool ending;                        /* no more objects; finish when everything is written */
};

static void write_out(struct receiver *x);

/* Take no more; what was formatted is written and acknowledged first. */
static void finish(struct receiver *x)
{
    x->ending = true;
    write_out(x);
}

/* Handles are the positions of the groups in what->groups; the demand names the same groups. */
static void ask(struct receiver *x)
{
    const struct relay_endpoint_receive *what = x->what;
    for (size_t i = 0; i < what->ndemand; i++) {
        int64_t n = what->demand[i].n;
        if (what->drain) {
            relay_client_drain(x->session.client, (uint32_t)i, n > 0 ? (uint64_t)n : 0);
            x->draining++;
        } else if (n > 0) {
            relay_client_credit(x->session.client, (uint32_t)i, (uint64_t)n);
        }
    }
}

static void on_alive(void *owner, bool again)
{
    (void)owner;
    (void)again;
}

static void on_group_drained(void *owner, uint32_t group)
{
    struct receiver *x = owner;
    (void)group;
    if (--x->draining == 0) {
        finish(x);
    }
}

/* Everything is with the kernel: now it may be acknowledged. */
static void written(struct receiver *x)
{
    for (size_t i = 0; i < x->nleases; i++) {
        relay_client_ack(x->session.client, &x->lease[i]);
    }
    x->writing = false;
    x->items += x->nleases;
    x->nleases = 0;
    if (x->ending && x->files.n == 0) {
        relay_client_finish(x->session.client);
    } else {
        relay_client_pause(x->session.client,
                           x->files.n >= FILES_COUNT || x->files.bytes >= FILES_BYTES);
    }
}

static void output_failed(struct receiver *x, int status)
{
    struct nk_diag why = {0};
    if (status == -EPIPE) { /* as if SIGPIPE had ended us: whoever read it wants no more */
        relay_endpoint_end(&x->session, NK_EXIT_SIGNAL + SIGPIPE, NULL);
        return;
    }
    (void)nk_fail(&why, NK_EOUTPUT, "cannot write the output: %s", nk_strerror(status));
    relay_endpoint_end(&x->session, NK_EOUTPUT, &why);
}

/* Everything that was formatted in this turn goes out with one write. */
static void write_out(struct receiver *x)
{
    if (x->writing) {
        return;
    }
    if (x->nleases == 0 && x->files.n > 0) {
        return; /* on_files follows */
    }
    int status = x->nleases > 0 ? relay_endpoint_sink_flush(&x->out) : 1;
    if (status == 0) {
        x->writing = true;
        relay_client_pause(x->session.client, true);
    } else if (status > 0) {
        written(x);
    } else {
        output_failed(x, status);
    }
}

static void on_flush(void *owner)
{
    struct receiver *x = owner;
    if (x->nleases > 0) {
        write_out(x);
    }
}

static void on_drained(void *owner, int status)
{
    struct receiver *x = owner;
    if (status < 0) {
        output_failed(x, status);
    } else if (x->writing) {
        written(x);
    }
}

static int keep_lease(struct receiver *x, const struct relay_client_lease *l)
{
    if (x->nleases == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : LEASES_FIRST;
        struct relay_client_lease *v = realloc(x->lease, cap * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        x->lease = v;
        x->cap = cap;
    }
    x->lease[x->nleases++] = *l;
    return 0;
}

static void cannot_print(struct receiver *x, int status, size_t len)
{
    struct nk_diag why = {0};
    (void)nk_fail_sys(&why, status, "cannot print an object of %zu bytes", len);
    relay_endpoint_end(&x->session, status, &why);
}

/* --- files ------------------------------------------------------------------------------------ */

/* They are on the disk: say so, then acknowledge. */
static void on_files(void *owner, struct relay_endpoint_file *take_list)
{
    struct receiver *x = owner;
    int status = 0;
    while (take_list) {
        struct relay_endpoint_file *f = take_list;
        take_list = f->next;
        status = status < 0 ? status : relay_endpoint_file_print(f, &x->out.pending);
        status = status < 0 ? status : keep_lease(x, &f->lease);
        relay_endpoint_file_free(f);
    }
    if (status < 0) {
        cannot_print(x, status, 0);
    } else {
        write_out(x);
    }
}

static void on_files_failed(void *owner, const struct nk_diag *why)
{
    struct receiver *x = owner;
    relay_endpoint_end(&x->session, why->code, why);
}

static int put_file(struct receiver *x, const struct relay_client_object *d, const char *group)
{
    struct relay_endpoint_file *f;
    int status = relay_endpoint_file_new(&f, &x->doc, d, group, x->session.ctx->globals->json);
    status = status < 0 ? status : relay_endpoint_filing_add(&x->files, f);
    if (status == 0 && (x->files.n >= FILES_COUNT || x->files.bytes >= FILES_BYTES)) {
        relay_client_pause(x->session.client, true);
    }
    return status;
}

/* --- the connection's events ------------------------------------------------------------------ */

static void on_object(void *owner, const struct relay_client_object *d)
{
    struct receiver *x = owner;
    const char *group = relay_client_group_name(x->session.client, d->group);
    if (x->ending) {
        return; /* without an acknowledgement it goes to somebody else */
    }
    if (x->what->only_demanded && d->kind != RELAY_KIND_ITEM && d->kind != RELAY_KIND_UNKNOWN) {
        relay_client_ack(x->session.client, &d->lease); /* a broadcast: seen, not wanted */
        return;
    }
    int status = 0;
    if (x->what->dir) {
        status = put_file(x, d, group);
    } else {
        status =
            relay_endpoint_format_delivery(&x->out.pending, x->what->format, &x->doc, d, group);
        status = status == 0 ? keep_lease(x, &d->lease) : status;
    }
    if (status < 0) {
        cannot_print(x, status, d->len);
        return;
    }
    if (x->what->max_items > 0 && x->items + x->nleases + x->files.n >= x->what->max_items) {
        finish(x);
    } else if (x->what->dir) {
        return; /* on_files follows */
    } else if (nk_buf_len(&x->out.pending) >= WRITE_BYTES) {
        write_out(x);
    } else {
        nk_app_defer(x->session.app, &x->flush);
    }
}

static void on_lost(void *owner, const struct nk_diag *why, uint64_t again_ms)
{
    struct receiver *x = owner;
    relay_endpoint_lost(&x->session, why, again_ms);
}

static void on_end(void *owner, int status, const struct nk_diag *why)
{
    struct receiver *x = owner;
    relay_endpoint_end(&x->session, status, why);
}

static void on_stop(void *owner, bool timed_out)
{
    struct receiver *x = owner;
    struct nk_diag why = {0};
    if (timed_out && x->what->max_items > 0) {
        (void)nk_fail(&why, -ETIMEDOUT, "%llu of %llu objects arrived in time",
                      (unsigned long long)x->items, (unsigned long long)x->what->max_items);
        relay_endpoint_end(&x->session, why.code, &why);
    } else if (timed_out && !relay_client_alive(x->session.client)) {
        (void)nk_fail(&why, -ETIMEDOUT, "%s: no connection", x->session.target.connect);
        relay_endpoint_end(&x->session, why.code, &why);
    } else if (timed_out || x->session.signum == SIGTERM) {
        /* the asked-for end of an endless command */
        if (relay_client_alive(x->session.client)) {
            finish(x);
        } else {
            relay_endpoint_end(&x->session, 0, NULL);
        }
    } else {
        relay_endpoint_end(&x->session, NK_EXIT_SIGNAL + x->session.signum, NULL);
    }
}

static const struct relay_client_ops client_ops = {.on_alive = on_alive,
                                                   .on_object = on_object,
                                                   .on_drained = on_group_drained,
                                                   .on_lost = on_lost,
                                                   .on_end = on_end};

static int start(struct receiver *x, struct nk_cmd_ctx *ctx)
{
    const struct relay_endpoint_receive *what = x->what;
    const struct relay_endpoint_plan plan = {.conf = what->conf,
                                             .groups = what->groups,
                                             .ngroups = what->ngroups,
                                             .reconnect = what->follow,
                                             .ops = &client_ops,
                                             .on_stop = on_stop,
                                             .owner = x};
    int status = relay_endpoint_files_check(what->format, what->dir, &ctx->diag);
    status = status < 0 ? status : relay_endpoint_start(&x->session, ctx, &plan);
    if (status < 0) {
        return status;
    }
    x->flush = (struct nk_defer){.fn = on_flush, .owner = x};
    x->files = (struct relay_endpoint_filing){
        .on_written = on_files, .on_failed = on_files_failed, .owner = x};
    relay_endpoint_filing_open(&x->files, x->session.app, what->dir);
    ask(x);
    size_t max = (size_t)what->conf->max_object;
    max = max > SIZE_MAX / (2 * OUTPUT_GROWTH) ? max : max * OUTPUT_GROWTH;
    return relay_endpoint_sink_open(&x->out, x->session.app, STDOUT_FILENO, max + OUTPUT_SLACK,
                                    on_drained, x, &ctx->diag);
}

int relay_endpoint_receive(struct nk_cmd_ctx *ctx, const struct relay_endpoint_receive *what)
{
    struct receiver x = {.what = what};
    int status = start(&x, ctx);
    if (status == 0) {
        relay_endpoint_progress_start(&x.progress, &x.session, false);
        status = relay_endpoint_run(&x.session);
    }
    relay_endpoint_progress_stop(&x.progress);
    if (status == 0 && what->drain && x.items == 0 && ctx->globals->json) {
        status = fputs("[]\n", stdout) < 0 || fflush(stdout) != 0 ? NK_EOUTPUT : 0;
    }
    if (x.flush.fn) {
        nk_app_defer_cancel(x.session.app, &x.flush);
    }
    relay_endpoint_filing_close(&x.files);
    relay_endpoint_sink_close(&x.out);
    relay_endpoint_stop(&x.session);
    free(x.lease);
    relay_value_doc_clear(&x.doc);
    return status;
}
