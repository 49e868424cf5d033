/* SPDX-License-Identifier: MIT */
/* A request and its answer: `netkit endpoint request --to g`. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "core/app.h"
#include "relay/endpoint.h"
#include "relay/endpoint_meta.h"
#include "relay/endpoint_print.h"
#include "relay/endpoint_progress.h"
#include "relay/endpoint_work.h"

#define DEFAULT_WAIT_MS 60000u /* without --timeout */
#define ANSWERS_MAX 100000     /* of one request */
#define ID_BYTES 12            /* random part of the reply group's name, and the correlation */
#define OUTPUT_GROWTH 6 /* JSON of an object against its pickle: a control byte becomes \u00XX */
#define OUTPUT_SLACK ((size_t)1 << 20)

struct request_conf {
    struct relay_endpoint_conf common;
    char *to;
    char *text;
    char *reply_to;
    struct nk_strlist header;
    int format;
    int64_t copies, answers;
};

static const struct nk_opt opts[] = {
    {.name = "to",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct request_conf, to),
     .arg = "GROUP",
     .flags = NK_OPT_REQUIRED | NK_OPT_CLI_ONLY,
     .help = "Group whose servers shall answer"},
    {.name = "text",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct request_conf, text),
     .arg = "TEXT",
     .flags = NK_OPT_CLI_ONLY,
     .help = "The request, instead of a file"},
    {.name = "header",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct request_conf, header),
     .arg = "NAME=VALUE",
     .flags = NK_OPT_REPEAT | NK_OPT_CLI_ONLY,
     .help = "A header of the request"},
    {.name = "reply-to",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct request_conf, reply_to),
     .arg = "GROUP",
     .flags = NK_OPT_CLI_ONLY,
     .help = "Group for the answers, where the relay does not accept any: only one request may use "
             "it at a time; default: one of its own"},
    {.name = "copies",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct request_conf, copies),
     .arg = "N",
     .def = "1",
     .min = 1,
     .max = ANSWERS_MAX,
     .flags = NK_OPT_CLI_ONLY,
     .help = "Put the request into the queue so often, for several servers"},
    {.name = "max-items",
     .short_name = 'n',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct request_conf, answers),
     .arg = "N",
     .def = "0",
     .max = ANSWERS_MAX,
     .flags = NK_OPT_CLI_ONLY,
     .help = "Wait for so many answers; 0: one for each copy"},
    {.name = "format",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct request_conf, format),
     .arg = "FORMAT",
     .def = "raw",
     .choices = relay_endpoint_formats,
     .help = "How the answer is printed: json, text, raw or pickle"},
    RELAY_ENDPOINT_NAME_ROW,
    RELAY_ENDPOINT_ROWS,
    NK_OPT_END};

struct requester {
    struct relay_endpoint_session session;
    const struct request_conf *conf;
    struct relay_endpoint_progress progress;
    struct relay_endpoint_meta meta;
    struct relay_endpoint_sink out;
    struct relay_value_doc doc;
    struct nk_buf data;
    struct nk_timer wait;
    char id[2 * ID_BYTES + 1];
    char own[sizeof("reply.") + 2 * (size_t)ID_BYTES]; /* name of a group of its own */
    const char *reply_to, *groups[1];
    struct relay_client_lease *lease; /* of answers that are not written yet */
    size_t nleases;
    uint64_t want, got;
    uint64_t failed;        /* answers that tell of a failure */
    struct nk_diag failure; /* the first one */
    bool stored;            /* the relay has the request */
};

static void fail(struct requester *x, int code, const char *what)
{
    struct nk_diag why = {0};
    (void)nk_fail(&why, code, "%s: %s", x->conf->to, what);
    relay_endpoint_end(&x->session, code, &why);
}

static void on_alive(void *owner, bool again)
{
    struct requester *x = owner;
    struct relay_client_state state;
    (void)again;
    relay_client_state(x->session.client, &state);
    if (state.wire != RELAY_CLIENT_NATIVE) {
        fail(x, NK_EUNSUPPORTED, "requests need the native wire, which this relay does not speak");
    }
}

static void over(struct requester *x)
{
    if (x->failed > 0) {
        relay_endpoint_end(&x->session, x->failure.code, &x->failure);
    } else {
        relay_client_finish(x->session.client);
    }
}

/* Everything so far is with the kernel (status 0), or never will be. */
static void printed(struct requester *x, int status)
{
    if (status == -EPIPE) {
        relay_endpoint_end(&x->session, NK_EXIT_SIGNAL + SIGPIPE, NULL);
        return;
    }
    if (status < 0) {
        struct nk_diag why = {0};
        (void)nk_fail_sys(&why, NK_EOUTPUT, "cannot write the answer: %s", nk_strerror(status));
        relay_endpoint_end(&x->session, NK_EOUTPUT, &why);
        return;
    }
    for (size_t i = 0; i < x->nleases; i++) {
        relay_client_ack(x->session.client, &x->lease[i]);
    }
    x->nleases = 0;
    relay_client_pause(x->session.client, false);
    if (x->got >= x->want) {
        over(x);
    }
}

static void on_drained(void *owner, int status)
{
    printed(owner, status);
}

static bool is_answer(const struct requester *x, const struct relay_client_object *d)
{
    return d->meta && d->meta->correlation.len == strlen(x->id) &&
           memcmp(d->meta->correlation.p, x->id, strlen(x->id)) == 0;
}

/* Does it say that the server has failed? */
static void note_failure(struct requester *x, const struct relay_client_object *d)
{
    const size_t n = sizeof(RELAY_ANSWER_ERROR) - 1;
    for (unsigned i = 0; i < d->meta->headers; i++) {
        struct relay_text t = relay_meta_header(d->meta_block, i);
        if (t.len > n && memcmp(t.p, RELAY_ANSWER_ERROR, n) == 0) {
            if (x->failed++ == 0) {
                (void)nk_fail(&x->failure, -ECANCELED, "%s: the server failed: %.*s", x->conf->to,
                              (int)(t.len - n), t.p + n);
            }
            return;
        }
    }
}

static void on_object(void *owner, const struct relay_client_object *d)
{
    struct requester *x = owner;
    if (!is_answer(x, d)) {
        relay_client_ack(x->session.client, &d->lease); /* to a request that has given up */
        relay_client_credit(x->session.client, 0, d->kind == RELAY_KIND_ITEM);
        return;
    }
    if (x->got >= x->want) {
        relay_client_ack(x->session.client, &d->lease);
        return;
    }
    x->lease[x->nleases++] = d->lease;
    x->got++;
    note_failure(x, d);
    int status = relay_endpoint_format_delivery(
        &x->out.pending, (enum relay_endpoint_format)x->conf->format, &x->doc, d, x->reply_to);
    if (status == 0 && !x->out.waiting) {
        status = relay_endpoint_sink_flush(&x->out);
    }
    if (status != 0) {
        printed(x, status < 0 ? status : 0);
    } else {
        relay_client_pause(x->session.client, true); /* on_drained follows */
    }
}

static void on_settled(void *owner, uint32_t group, uint64_t first, uint64_t last, int status)
{
    struct requester *x = owner;
    struct nk_diag why = {0};
    (void)group;
    (void)first;
    (void)last;
    x->stored = status >= 0;
    if (status < 0) {
        (void)nk_fail(&why, status, "%s: the relay refused the request: %s", x->conf->to,
                      nk_strerror(status));
        nk_hint(&why, status == NK_EAUTH ? "may this identity produce into that group? (acl)"
                                         : "see 'netkit relay groups'");
        relay_endpoint_end(&x->session, status, &why);
    }
}

static void on_lost(void *owner, const struct nk_diag *why, uint64_t again_ms)
{
    struct requester *x = owner;
    relay_endpoint_lost(&x->session, why, again_ms);
}

static void on_end(void *owner, int status, const struct nk_diag *why)
{
    struct requester *x = owner;
    relay_endpoint_end(&x->session, status, why);
}

static void on_wait_over(void *owner)
{
    struct requester *x = owner;
    struct nk_diag why = {0};
    if (x->got > 0) {
        (void)nk_fail(&why, -ETIMEDOUT, "%s: %" PRIu64 " of %" PRIu64 " answers came in time",
                      x->conf->to, x->got, x->want);
    } else if (!x->stored) {
        (void)nk_fail(&why, -ETIMEDOUT, "%s: the relay has not taken the request in time",
                      x->session.target.connect);
    } else {
        (void)nk_fail(&why, -ETIMEDOUT, "%s: no answer in time", x->conf->to);
        nk_hint(&why, "does anybody serve this group? ('netkit endpoint serve --group ..'); the "
                      "request has expired");
    }
    relay_endpoint_end(&x->session, why.code, &why);
}

static void on_stop(void *owner, bool timed_out)
{
    struct requester *x = owner;
    if (timed_out) {
        on_wait_over(x);
    } else {
        relay_endpoint_end(&x->session, NK_EXIT_SIGNAL + x->session.signum, NULL);
    }
}

static const struct relay_client_ops client_ops = {.on_alive = on_alive,
                                                   .on_object = on_object,
                                                   .on_settled = on_settled,
                                                   .on_lost = on_lost,
                                                   .on_end = on_end};

static int read_data(struct requester *x, struct nk_cmd_ctx *ctx)
{
    nk_buf_init(&x->data, (size_t)x->conf->common.max_object);
    if (x->conf->text) {
        return nk_buf_puts(&x->data, x->conf->text);
    }
    return nk_file_read(ctx->argc > 0 ? ctx->argv[0] : "-", 0, &x->data, &ctx->diag);
}

static int send_request(struct requester *x, uint64_t wait_ms, struct nk_diag *diag)
{
    struct relay_client *c = x->session.client;
    struct relay_client_publish p = {
        .copies = (uint64_t)x->conf->copies,
        .content = RELAY_CONTENT_PICKLE,
        .wrap = x->conf->text ? RELAY_WRAP_STR : RELAY_WRAP_BYTES,
    };
    relay_endpoint_meta_publish(&x->meta, &p);
    p.ttl_ms = wait_ms;
    p.reply_to = x->reply_to;
    p.correlation = (const uint8_t *)x->id;
    p.correlation_len = strlen(x->id);
    int status = relay_client_group(c, x->conf->to, false, &p.group);
    if (status == 0) {
        status = relay_client_publish(c, &p, nk_buf_ptr(&x->data), nk_buf_len(&x->data), NULL);
    }
    if (status == 0) {
        relay_client_credit(c, 0, x->want);
    }
    return status < 0 ? nk_fail_sys(diag, status, "the request") : 0;
}

static int start(struct requester *x, struct nk_cmd_ctx *ctx)
{
    uint8_t random[ID_BYTES];
    nk_random(random, sizeof(random));
    nk_hex_encode(x->id, random, sizeof(random));
    (void)snprintf(x->own, sizeof(x->own), "reply.%s", x->id);
    x->reply_to = x->conf->reply_to ? x->conf->reply_to : x->own;
    x->want = (uint64_t)(x->conf->answers > 0 ? x->conf->answers : x->conf->copies);
    x->lease = calloc((size_t)x->want, sizeof(*x->lease));
    if (!x->lease) {
        return -ENOMEM;
    }
    x->groups[0] = x->reply_to;
    const struct relay_endpoint_plan plan = {.conf = &x->conf->common,
                                             .groups = x->groups,
                                             .ngroups = 1,
                                             .reconnect = true,
                                             .ops = &client_ops,
                                             .on_stop = on_stop,
                                             .owner = x};
    uint64_t wait_ms = ctx->globals->timeout_ms > 0 ? ctx->globals->timeout_ms : DEFAULT_WAIT_MS;
    int status = relay_endpoint_meta_headers(&x->meta, &x->conf->header, &ctx->diag);
    status = status < 0 ? status : read_data(x, ctx);
    if (status == 0) {
        status = relay_endpoint_start(&x->session, ctx, &plan);
    }
    if (status < 0) {
        return status;
    }
    nk_timer_init(&x->wait, x->session.app, on_wait_over, x);
    nk_timer_start(&x->wait, wait_ms);
    size_t max = (size_t)x->conf->common.max_object;
    max = max > SIZE_MAX / (2 * OUTPUT_GROWTH) ? max : max * OUTPUT_GROWTH;
    status = relay_endpoint_sink_open(&x->out, x->session.app, STDOUT_FILENO, max + OUTPUT_SLACK,
                                      on_drained, x, &ctx->diag);
    return status < 0 ? status : send_request(x, wait_ms, &ctx->diag);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct requester x = {.conf = ctx->conf};
    int status = start(&x, ctx);
    if (status == 0) {
        relay_endpoint_progress_start(&x.progress, &x.session, false);
        status = relay_endpoint_run(&x.session);
    }
    relay_endpoint_progress_stop(&x.progress);
    if (x.wait.app) {
        nk_timer_stop(&x.wait);
    }
    relay_endpoint_sink_close(&x.out);
    relay_endpoint_stop(&x.session);
    relay_value_doc_clear(&x.doc);
    nk_buf_clear(&x.data);
    free(x.lease);
    relay_endpoint_meta_clear(&x.meta);
    return status;
}

const struct nk_cmd nk_cmd_endpoint_request = {
    .synopsis = "--to GROUP [--text TEXT | FILE|-] [-n N] [--copies N] [--header NAME=VALUE].. "
                "[--format FORMAT]",
    .summary = "Send a request to a group and print the answer",
    .opts = opts,
    .conf_size = sizeof(struct request_conf),
    .max_args = 1,
    .run = run,
};
