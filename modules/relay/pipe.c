/* SPDX-License-Identifier: MIT */
/* `netkit endpoint pipe`: lines in, events out, and the connection between them. */
#include "relay/pipe.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "core/app.h"
#include "core/stream.h"

#define QUEUE_HIGH ((size_t)4 << 20) /* bytes on their way to the relay: no more lines are read */
#define QUEUE_COUNT 8192             /* and their number */
#define READ_SIZE ((size_t)64 << 10)
#define OUTPUT_GROWTH 6 /* JSON of an object against its pickle */
#define OUTPUT_SLACK ((size_t)1 << 20)
#define VERSION 1 /* of the requests and events */

/* --- leaving ---------------------------------------------------------------------------------- */

static void end(struct relay_pipe *x, int status, const struct nk_diag *why)
{
    x->ended = true;
    x->status = status;
    if (why && status < 0) {
        x->session.ctx->diag = *why;
    }
    if (!x->out.waiting) {
        relay_endpoint_end(&x->session, status, why);
    } /* else when the output is written */
}

static void output_failed(struct relay_pipe *x, int status)
{
    struct nk_diag why = {0};
    if (status == -EPIPE) { /* as if SIGPIPE had ended us: the program has gone */
        relay_endpoint_end(&x->session, NK_EXIT_SIGNAL + SIGPIPE, NULL);
        return;
    }
    (void)nk_fail(&why, NK_EOUTPUT, "cannot write the output: %s", nk_strerror(status));
    relay_endpoint_end(&x->session, NK_EOUTPUT, &why);
}

/* --- events ----------------------------------------------------------------------------------- */

void pipe_begin(struct relay_pipe *x, struct nk_json *j, const char *event)
{
    nk_json_init(j, &x->out.pending, false);
    nk_json_object(j);
    nk_json_kv_str(j, "event", event);
}

void pipe_end(struct relay_pipe *x, struct nk_json *j)
{
    struct nk_diag why = {0};
    nk_json_close(j);
    int rc = nk_json_end(j);
    rc = rc < 0 ? rc : nk_buf_u8(&x->out.pending, '\n');
    if (rc < 0) {
        (void)nk_fail_sys(&why, rc, "cannot tell an event");
        relay_endpoint_end(&x->session, rc, &why);
        return;
    }
    rc = relay_endpoint_sink_flush(&x->out);
    if (rc < 0) {
        output_failed(x, rc);
    } else if (rc == 0) {
        relay_client_pause(x->session.client, true); /* the program does not keep up */
    }
}

void pipe_put_id(struct nk_json *j, const struct pipe_id *id)
{
    if (id->given) {
        nk_json_key(j, "id");
        if (id->text) {
            nk_json_strn(j, id->s, id->n);
        } else {
            nk_json_i64(j, id->number);
        }
    }
}

void pipe_id_clear(struct pipe_id *id)
{
    free(id->s);
    *id = (struct pipe_id){0};
}

/* --- leases ----------------------------------------------------------------------------------- */

static struct pipe_lease *lease_at(const struct relay_pipe *x, size_t i)
{
    return &x->lease[(x->head + i) & (x->cap - 1)];
}

struct pipe_lease *pipe_find_lease(struct relay_pipe *x, uint64_t number)
{
    size_t low = 0, high = x->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        struct pipe_lease *l = lease_at(x, mid);
        if (l->number == number) {
            return l->done ? NULL : l;
        }
        if (l->number < number) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}

void pipe_forget_leases(struct relay_pipe *x)
{
    while (x->n > 0 && lease_at(x, 0)->done) {
        x->head = (x->head + 1) & (x->cap - 1);
        x->n--;
    }
}

static int add_lease(struct relay_pipe *x, const struct relay_client_lease *lease, uint64_t *number)
{
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 64;
        struct pipe_lease *v = calloc(cap, sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        for (size_t i = 0; i < x->n; i++) {
            v[i] = *lease_at(x, i);
        }
        free(x->lease);
        x->lease = v;
        x->cap = cap;
        x->head = 0;
    }
    *number = ++x->next_number;
    *lease_at(x, x->n++) = (struct pipe_lease){.number = *number, .lease = *lease};
    return 0;
}

static void tell_lost(struct relay_pipe *x, struct pipe_lease *l)
{
    struct nk_json j;
    l->done = true;
    pipe_begin(x, &j, "lost");
    nk_json_kv_u64(&j, "lease", l->number);
    pipe_end(x, &j);
}

/* Tell which leases were lost with the connection. */
static void sweep(struct relay_pipe *x)
{
    for (size_t i = 0; i < x->n; i++) {
        struct pipe_lease *l = lease_at(x, i);
        if (!l->done && !relay_client_holds(x->session.client, &l->lease)) {
            tell_lost(x, l);
        }
    }
    pipe_forget_leases(x);
}

/* One that was to be extended is somebody else's. */
static void on_lease_lost(void *owner, const struct relay_client_lease *lease)
{
    struct relay_pipe *x = owner;
    for (size_t i = 0; i < x->n; i++) {
        struct pipe_lease *l = lease_at(x, i);
        if (!l->done && l->lease.group == lease->group && l->lease.seq == lease->seq &&
            l->lease.connection == lease->connection) {
            tell_lost(x, l);
        }
    }
    pipe_forget_leases(x);
}

/* --- input ------------------------------------------------------------------------------------ */

static bool held(const struct relay_pipe *x)
{
    return x->flushing || x->out.waiting || relay_client_queued(x->session.client) > QUEUE_HIGH ||
           relay_client_unsettled(x->session.client) > QUEUE_COUNT;
}

static void finish(struct relay_pipe *x)
{
    if (x->finishing) {
        return;
    }
    x->finishing = true;
    nk_stream_close(x->input);
    x->input = NULL;
    if (!relay_client_alive(x->session.client) && relay_client_unsettled(x->session.client) == 0) {
        end(x, 0, NULL); /* there is nothing to wait for */
    } else {
        relay_client_finish(x->session.client);
    }
}

/* The lines that are there, as long as nothing is in the way. */
static void take_lines(struct relay_pipe *x)
{
    while (!held(x) && nk_buf_len(&x->line) > 0) {
        const uint8_t *p = nk_buf_ptr(&x->line), *nl = memchr(p, '\n', nk_buf_len(&x->line));
        if (!nl) {
            return;
        }
        size_t n = (size_t)(nl - p);
        x->lines++;
        if (n > 0) {
            pipe_request(x, p, n);
        }
        nk_buf_consume(&x->line, n + 1);
    }
}

static bool has_line(const struct relay_pipe *x)
{
    return nk_buf_len(&x->line) > 0 && memchr(nk_buf_ptr(&x->line), '\n', nk_buf_len(&x->line));
}

/* Answers the flush that waits for nothing, or for nothing any more; true: lines go on. */
static bool answer_flush(struct relay_pipe *x)
{
    if (!x->flushing || relay_client_unsettled(x->session.client) > 0) {
        return false;
    }
    struct nk_json j;
    x->flushing = false;
    pipe_begin(x, &j, "flushed");
    pipe_put_id(&j, &x->flush);
    pipe_end(x, &j);
    pipe_id_clear(&x->flush);
    return true;
}

/* Go on where there is something to go on with: after a flush, with room, or at first. */
static void advance(struct relay_pipe *x)
{
    do {
        take_lines(x);
    } while (answer_flush(x));
    bool read = x->input && !held(x) && !has_line(x);
    if (x->input && read != x->reading) {
        x->reading = read;
        nk_stream_interest(x->input, read ? NK_READABLE : 0);
    }
    if (x->eof && !x->flushing && !has_line(x)) {
        finish(x);
    }
}

static void input_failed(struct relay_pipe *x, int status)
{
    struct nk_diag why = {0};
    (void)nk_fail_sys(&why, status, status == NK_ETOOBIG ? "a line is too long" : "reading input");
    relay_endpoint_end(&x->session, status, &why);
}

/* The last line may lack its end. */
static void input_over(struct relay_pipe *x)
{
    x->eof = true;
    nk_stream_close(x->input);
    x->input = NULL;
    if (nk_buf_len(&x->line) > 0 && nk_buf_u8(&x->line, '\n') < 0) {
        input_failed(x, -ENOMEM);
        return;
    }
    advance(x);
}

static void on_input(void *owner, struct nk_stream *s, unsigned events)
{
    struct relay_pipe *x = owner;
    uint8_t *room;
    if (events & NK_CLOSED) {
        int status = nk_stream_error(s, NULL);
        input_failed(x, status < 0 ? status : -EIO);
        return;
    }
    while (x->input && x->reading) {
        int rc = nk_buf_reserve(&x->line, READ_SIZE, &room);
        ssize_t n = rc < 0 ? rc : nk_stream_read(x->input, room, READ_SIZE);
        if (n == NK_EAGAIN) {
            return;
        }
        if (n < 0) {
            input_failed(x, (int)n);
            return;
        }
        if (n == 0) {
            input_over(x);
            return;
        }
        nk_buf_commit(&x->line, (size_t)n);
        advance(x);
    }
}

static void on_drained_output(void *owner, int status)
{
    struct relay_pipe *x = owner;
    if (status < 0) {
        output_failed(x, status);
    } else if (x->ended) {
        relay_endpoint_end(&x->session, x->status, NULL);
    } else {
        relay_client_pause(x->session.client, false);
        advance(x);
    }
}

/* --- the connection's events ------------------------------------------------------------------ */

static void on_alive(void *owner, bool again)
{
    static const char *const wires[] = {[RELAY_CLIENT_AUTO] = NULL,
                                        [RELAY_CLIENT_NATIVE] = "native",
                                        [RELAY_CLIENT_TLSPYO] = "tlspyo"};
    struct relay_pipe *x = owner;
    struct relay_client_state state;
    struct nk_json j;
    relay_client_state(x->session.client, &state);
    pipe_begin(x, &j, "connected");
    nk_json_kv_u64(&j, "version", VERSION);
    nk_json_kv_str(&j, "wire", wires[state.wire]);
    nk_json_kv_bool(&j, "again", again);
    pipe_end(x, &j);
    sweep(x);
}

static void on_lost(void *owner, const struct nk_diag *why, uint64_t again_ms)
{
    struct relay_pipe *x = owner;
    struct nk_json j;
    pipe_begin(x, &j, "disconnected");
    nk_json_kv_str(&j, "error", why->text);
    nk_json_kv_u64(&j, "again_ms", again_ms);
    pipe_end(x, &j);
    sweep(x);
}

static void on_object(void *owner, const struct relay_client_object *d)
{
    struct relay_pipe *x = owner;
    struct nk_json j;
    uint64_t number = 0;
    bool leased = d->kind == RELAY_KIND_ITEM || d->kind == RELAY_KIND_UNKNOWN;
    if (leased && !x->conf->auto_ack && add_lease(x, &d->lease, &number) < 0) {
        nk_error(x->session.ctx->log, "relay", "no memory for an object of %zu bytes", d->len);
        return; /* not acknowledged: it goes to somebody else */
    }
    pipe_begin(x, &j, "object");
    if (number > 0) {
        nk_json_kv_u64(&j, "lease", number);
    }
    relay_endpoint_json_origin(&j, d, relay_client_group_name(x->session.client, d->group));
    int rc = relay_endpoint_json_content(&j, &x->doc, d);
    if (rc < 0) {
        j.error = rc; /* which pipe_end reports */
    }
    pipe_end(x, &j);
    if (number == 0) {
        relay_client_ack(x->session.client, &d->lease);
    }
}

static void on_settled(void *owner, uint32_t group, uint64_t first, uint64_t last, int status)
{
    struct relay_pipe *x = owner;
    for (struct pipe_sent **at = &x->sent; *at;) {
        struct pipe_sent *s = *at;
        if (s->group != group || s->number < first || s->number > last) {
            at = &s->next;
            continue;
        }
        struct nk_json j;
        *at = s->next;
        pipe_begin(x, &j, status < 0 ? "failed" : "stored");
        pipe_put_id(&j, &s->id);
        if (status < 0) {
            nk_json_kv_str(&j, "error", nk_strerror(status));
        }
        pipe_end(x, &j);
        pipe_id_clear(&s->id);
        free(s);
    }
    x->sent_end = &x->sent;
    while (*x->sent_end) {
        x->sent_end = &(*x->sent_end)->next;
    }
}

static void on_group_drained(void *owner, uint32_t group)
{
    struct relay_pipe *x = owner;
    struct nk_json j;
    pipe_begin(x, &j, "drained");
    nk_json_kv_str(&j, "group", relay_client_group_name(x->session.client, group));
    pipe_end(x, &j);
}

static void on_progress(void *owner)
{
    advance(owner);
}

static void on_end(void *owner, int status, const struct nk_diag *why)
{
    end(owner, status, why);
}

static void on_stop(void *owner, bool timed_out)
{
    struct relay_pipe *x = owner;
    if (!timed_out && x->session.signum == SIGINT) {
        relay_endpoint_end(&x->session, NK_EXIT_SIGNAL + SIGINT, NULL);
    } else {
        finish(x);
    }
}

static const struct relay_client_ops client_ops = {.on_alive = on_alive,
                                                   .on_object = on_object,
                                                   .on_settled = on_settled,
                                                   .on_drained = on_group_drained,
                                                   .on_lease_lost = on_lease_lost,
                                                   .on_progress = on_progress,
                                                   .on_lost = on_lost,
                                                   .on_end = on_end};

/* --- the run ---------------------------------------------------------------------------------- */

static int open_input(struct relay_pipe *x, struct nk_diag *diag)
{
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        return nk_fail_sys(diag, -errno, "standard input");
    }
    int rc = nk_stream_from_inherited(x->session.app, fd, -1, "input", &x->input, diag);
    if (rc < 0) {
        x->input = NULL;
        return rc;
    }
    nk_stream_own(x->input, on_input, x);
    x->reading = true;
    nk_stream_interest(x->input, NK_READABLE);
    return 0;
}

static int start(struct relay_pipe *x, struct nk_cmd_ctx *ctx)
{
    const struct nk_strlist *group = &x->conf->group;
    const struct relay_endpoint_plan plan = {.conf = &x->conf->common,
                                             .groups = (const char *const *)group->v,
                                             .ngroups = group->n,
                                             .reconnect = true,
                                             .doubt = RELAY_CLIENT_DOUBT_DROPS,
                                             .ops = &client_ops,
                                             .on_stop = on_stop,
                                             .owner = x};
    int rc = relay_endpoint_groups_check(group, &ctx->diag);
    rc = rc < 0 ? rc : relay_endpoint_start(&x->session, ctx, &plan);
    if (rc < 0) {
        return rc;
    }
    size_t max = (size_t)x->conf->common.max_object;
    max = max > SIZE_MAX / (4 * OUTPUT_GROWTH) ? max : max * OUTPUT_GROWTH + OUTPUT_SLACK;
    nk_buf_init(&x->line, max); /* base64 and \u00XX of an object fit */
    rc = relay_endpoint_sink_open(&x->out, x->session.app, STDOUT_FILENO, 2 * max,
                                  on_drained_output, x, &ctx->diag);
    return rc < 0 ? rc : open_input(x, &ctx->diag);
}

int relay_pipe_run(struct nk_cmd_ctx *ctx)
{
    struct relay_pipe x = {.conf = ctx->conf};
    x.sent_end = &x.sent;
    int rc = start(&x, ctx);
    if (rc == 0) {
        relay_endpoint_progress_start(&x.progress, &x.session, true);
        rc = relay_endpoint_run(&x.session);
    }
    relay_endpoint_progress_stop(&x.progress);
    nk_stream_close(x.input);
    relay_endpoint_sink_close(&x.out);
    relay_endpoint_stop(&x.session);
    nk_buf_clear(&x.line);
    relay_value_doc_clear(&x.doc);
    free(x.lease);
    pipe_id_clear(&x.flush);
    while (x.sent) {
        struct pipe_sent *s = x.sent;
        x.sent = s->next;
        pipe_id_clear(&s->id);
        free(s);
    }
    return rc;
}
