/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_send.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/json_read.h"
#include "core/app.h"
#include "core/stream.h"
#include "relay/daemon_send.h"
#include "relay/endpoint_progress.h"

#define QUEUE_HIGH ((size_t)4 << 20) /* lines read ahead of the relay, bytes */
#define QUEUE_LINES 8192             /* and their number */
#define READ_SIZE ((size_t)64 << 10)

static const char *const content_choices[] = {"auto", "bytes", "text", "json", "pickle", NULL};
static const char *const as_choices[] = {"auto", "bytes", "str", "pickle", NULL};

static const struct nk_opt send_rows[] = {
    {.name = "text",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relay_endpoint_send_conf, text),
     .arg = "TEXT",
     .flags = NK_OPT_REPEAT | NK_OPT_CLI_ONLY,
     .help = "Send this text as an object; before the files"},
    {.name = "as",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct relay_endpoint_send_conf, as),
     .arg = "TYPE",
     .def = "auto",
     .choices = as_choices,
     .help = "What Python endpoints shall see: bytes, str (UTF-8), or, for data that are "
             "pickled already, pickle. auto: str for --text, bytes for everything else"},
    {.name = "content",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct relay_endpoint_send_conf, content),
     .arg = "TYPE",
     .def = "auto",
     .choices = content_choices,
     .help = "Send the data as they are, marked as bytes, text, json or pickle, for native "
             "endpoints; auto: as the Python object that --as says"},
    {.name = "ttl",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct relay_endpoint_send_conf, ttl_ms),
     .arg = "TIME",
     .def = "0",
     .max = (int64_t)1 << 40,
     .help = "Forget the objects after this time; 0: never (native wire)"},
    {.name = "header",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relay_endpoint_send_conf, header),
     .arg = "NAME=VALUE",
     .flags = NK_OPT_REPEAT | NK_OPT_CLI_ONLY,
     .help = "A header of the objects (native wire)"},
    {.name = "reply-to",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relay_endpoint_send_conf, reply_to),
     .arg = "GROUP",
     .flags = NK_OPT_CLI_ONLY,
     .help = "Group in which answers to the objects are expected (native wire)"},
    {.name = "correlation",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relay_endpoint_send_conf, correlation),
     .arg = "TEXT",
     .flags = NK_OPT_CLI_ONLY,
     .help = "What answers repeat, so that they can be told apart: up to 64 bytes (native "
             "wire)"},
    {.name = "lines",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct relay_endpoint_send_conf, lines),
     .help = "Send each line as an object of its own, as soon as it is read"},
    RELAY_DAEMON_NAME_ROW(struct relay_endpoint_send_conf, daemon,
                          "Send through this endpoint daemon; the options about the relay "
                          "are the daemon's then"),
    {.name = "no-wait",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct relay_endpoint_send_conf, no_wait),
     .help = "With --name: end when the daemon has the objects, do not wait for the relay"},
    NK_OPT_END};

#define TO_ROW(to_arg, to_help)                                                                    \
    {                                                                                              \
        .name = "to", .type = NK_OPT_STRING,                                                       \
        .offset = NK_FIELD(struct relay_endpoint_send_conf, to), .arg = (to_arg),                  \
        .flags = NK_OPT_REPEAT | NK_OPT_REQUIRED | NK_OPT_CLI_ONLY, .help = (to_help)              \
    }

const struct nk_opt relay_endpoint_broadcast_opts[] = {
    TO_ROW("GROUP", "Group whose members get the object, now or when they join"),
    NK_OPT_SHARED(send_rows), RELAY_ENDPOINT_ROWS, NK_OPT_END};
const struct nk_opt relay_endpoint_produce_opts[] = {
    TO_ROW("GROUP[=N]", "Group whose queue gets the object, N times (default 1)"),
    NK_OPT_SHARED(send_rows), RELAY_ENDPOINT_ROWS, NK_OPT_END};

struct sender {
    struct relay_endpoint_session session;
    struct relay_endpoint_progress progress;
    const struct relay_endpoint_send_conf *conf;
    struct relay_endpoint_meta meta;
    struct relay_endpoint_dest dest;
    uint32_t *group; /* handles of the destinations */
    uint64_t sent;
    uint64_t refused;         /* by the relay, for a group */
    struct nk_diag why;       /* of the first one */
    int next_file;            /* --lines: position in ctx->argv */
    struct nk_stream *reader; /* --lines: the file that is read */
    struct nk_buf line;
    bool input_done;
    bool held; /* not reading because enough waits */
};

static int read_on(struct sender *x, struct nk_diag *diag);

/* --- objects --------------------------------------------------------------------------------- */

enum relay_endpoint_as relay_endpoint_as_for(const struct relay_endpoint_send_conf *conf,
                                             bool is_text)
{
    static const enum relay_endpoint_as of_content[] = {[RELAY_CONTENT_BYTES] = ENDPOINT_AS_BYTES,
                                                        [RELAY_CONTENT_TEXT] = ENDPOINT_AS_STR,
                                                        [RELAY_CONTENT_JSON] = ENDPOINT_AS_STR,
                                                        [RELAY_CONTENT_PICKLE] =
                                                            ENDPOINT_AS_PICKLE};
    if (conf->content > 0) { /* the choices are those of enum relay_content, after auto */
        return of_content[conf->content - 1];
    }
    if (conf->as != ENDPOINT_AS_AUTO) {
        return (enum relay_endpoint_as)conf->as;
    }
    return is_text ? ENDPOINT_AS_STR : ENDPOINT_AS_BYTES;
}

static int check_json(const char *where, const uint8_t *p, size_t n, struct nk_diag *diag)
{
    struct nk_json_doc *doc = NULL;
    int status = nk_json_parse(&doc, p, n, diag);
    nk_json_doc_free(doc);
    if (status == NK_EFORMAT) {
        (void)nk_fail_context(diag, "%s: not JSON", where);
        nk_hint(diag, "use --content text for any other text");
    }
    return status;
}

int relay_endpoint_check_data(const struct relay_endpoint_send_conf *conf, const char *where,
                              bool is_text, const uint8_t *p, size_t n, struct nk_diag *diag)
{
    enum relay_endpoint_as as = relay_endpoint_as_for(conf, is_text);
    if (conf->content == 1 + RELAY_CONTENT_JSON) {
        return check_json(where, p, n, diag);
    }
    if (as == ENDPOINT_AS_STR && !nk_utf8_valid(p, n)) {
        int code = nk_fail(diag, NK_EFORMAT, "%s: not valid UTF-8, so it cannot be a str", where);
        nk_hint(diag, conf->content > 0 ? "use --content bytes" : "use --as bytes");
        return code;
    }
    if (as == ENDPOINT_AS_PICKLE) {
        struct relay_value_doc doc = {0};
        int status = relay_value_decode(&doc, p, n);
        relay_value_doc_clear(&doc);
        if (status == NK_EFORMAT) { /* it would stop stock endpoints for good */
            return nk_fail(diag, NK_EFORMAT, "%s: not a pickle", where);
        }
    }
    return 0;
}

int relay_endpoint_send_meta(const struct relay_endpoint_send_conf *conf,
                             struct relay_endpoint_meta *out, struct nk_diag *diag)
{
    int status = 0;
    out->ttl_ms = conf->ttl_ms;
    if (conf->reply_to) {
        status = relay_endpoint_meta_reply_to(out, conf->reply_to, strlen(conf->reply_to), diag);
    }
    if (status == 0 && conf->correlation) {
        status = relay_endpoint_meta_correlation(out, conf->correlation, strlen(conf->correlation),
                                                 diag);
    }
    return status < 0 ? status : relay_endpoint_meta_headers(out, &conf->header, diag);
}

/* Queue one object. */
static int send_data(struct sender *x, const char *where, bool is_text, const void *data, size_t n,
                     struct nk_diag *diag)
{
    static const enum relay_client_wrap wraps[] = {[ENDPOINT_AS_BYTES] = RELAY_WRAP_BYTES,
                                                   [ENDPOINT_AS_STR] = RELAY_WRAP_STR,
                                                   [ENDPOINT_AS_PICKLE] = RELAY_WRAP_NONE};
    struct relay_client_publish p = {.content = RELAY_CONTENT_PICKLE,
                                     .wrap = wraps[relay_endpoint_as_for(x->conf, is_text)]};
    if (x->conf->content > 0) {
        p.content = (enum relay_content)(x->conf->content - 1);
        p.wrap = RELAY_WRAP_NONE;
    }
    relay_endpoint_meta_publish(&x->meta, &p);
    int status = relay_endpoint_check_data(x->conf, where, is_text, data, n, diag);
    for (size_t i = 0; i < x->dest.n && status == 0; i++) {
        p.group = x->group[i];
        p.copies = x->dest.v[i].n > 0 ? (uint64_t)x->dest.v[i].n : 0;
        status = relay_client_publish(x->session.client, &p, data, n, NULL);
        if (status < 0) {
            return nk_fail_sys(diag, status, "%s", where);
        }
    }
    x->sent += status == 0;
    return status;
}

static int send_file(struct sender *x, const char *path, struct nk_diag *diag)
{
    struct nk_buf b;
    nk_buf_init(&b, (size_t)x->conf->common.max_object);
    int status = nk_file_read(path, 0, &b, diag);
    if (status == 0) {
        status = send_data(x, path, false, nk_buf_ptr(&b), nk_buf_len(&b), diag);
    }
    nk_buf_clear(&b);
    return status;
}

/* Everything but --lines: all objects are read before the first one is sent, so that a missing file
 * leaves nothing half done. */
static int send_all(struct sender *x, struct nk_diag *diag)
{
    struct nk_cmd_ctx *ctx = x->session.ctx;
    int status = 0;
    for (size_t i = 0; i < x->conf->text.n && status == 0; i++) {
        const char *text = x->conf->text.v[i];
        status = send_data(x, "--text", true, text, strlen(text), diag);
    }
    if (x->conf->lines) {
        return status;
    }
    for (int i = 0; i < ctx->argc && status == 0; i++) {
        status = send_file(x, ctx->argv[i], diag);
    }
    if (status == 0 && ctx->argc == 0 && x->conf->text.n == 0) {
        status = send_file(x, "-", diag);
    }
    return status;
}

/* --- --lines --------------------------------------------------------------------------------- */

static const char *line_source(const struct sender *x)
{
    const struct nk_cmd_ctx *ctx = x->session.ctx;
    if (ctx->argc == 0) {
        return x->next_file == 0 && x->conf->text.n == 0 ? "-" : NULL;
    }
    return x->next_file < ctx->argc ? ctx->argv[x->next_file] : NULL;
}

static void give_up(struct sender *x, int status, struct nk_diag *diag)
{
    relay_endpoint_end(&x->session, status, diag);
}

static bool enough_queued(const struct sender *x)
{
    return relay_client_queued(x->session.client) > QUEUE_HIGH ||
           relay_client_unsettled(x->session.client) > QUEUE_LINES;
}

/* Send the complete lines that were read; at the end of a file also an unfinished one. */
static int send_lines(struct sender *x, bool at_end, struct nk_diag *diag)
{
    int status = 0;
    while (status == 0 && nk_buf_len(&x->line) > 0) {
        const uint8_t *p = nk_buf_ptr(&x->line), *nl = memchr(p, '\n', nk_buf_len(&x->line));
        if (!nl && !at_end) {
            break;
        }
        size_t n = nl ? (size_t)(nl - p) : nk_buf_len(&x->line);
        status = send_data(x, "line", false, p, n, diag);
        nk_buf_consume(&x->line, nl ? n + 1 : n);
    }
    return status;
}

static int read_some(struct sender *x, struct nk_diag *diag)
{
    uint8_t *room;
    int status = nk_buf_reserve(&x->line, READ_SIZE, &room);
    if (status < 0) {
        return nk_fail_sys(diag, status, "a line is longer than --max-object");
    }
    ssize_t n = nk_stream_read(x->reader, room, READ_SIZE);
    if (n == NK_EAGAIN) {
        return NK_EAGAIN;
    }
    if (n < 0) {
        return nk_fail_sys(diag, (int)n, "reading %s", line_source(x));
    }
    nk_buf_commit(&x->line, (size_t)n);
    status = send_lines(x, n == 0, diag);
    if (status == 0 && n == 0) {
        nk_stream_close(x->reader);
        x->reader = NULL;
        x->next_file++;
        status = read_on(x, diag);
    }
    return status;
}

static void on_input(void *owner, struct nk_stream *s, unsigned events)
{
    struct sender *x = owner;
    struct nk_diag diag = {0};
    int status = 0;
    if (events & NK_CLOSED) {
        status = nk_stream_error(s, &diag);
        give_up(x, status < 0 ? status : -EIO, &diag);
        return;
    }
    while (status == 0 && x->reader && !x->held && events & NK_READABLE) {
        status = read_some(x, &diag);
        if (enough_queued(x) && x->reader) {
            x->held = true;
            nk_stream_interest(x->reader, 0);
        }
    }
    if (status < 0 && status != NK_EAGAIN) {
        give_up(x, status, &diag);
    }
}

/* Open the next source of lines, or finish when there is none. */
static int read_on(struct sender *x, struct nk_diag *diag)
{
    const char *path = line_source(x);
    if (!path) {
        x->input_done = true;
        relay_client_finish(x->session.client);
        return 0;
    }
    int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                    : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return nk_fail_sys(diag, -errno, "%s", path);
    }
    int status = nk_stream_from_inherited(x->session.app, fd, -1, "input", &x->reader, diag);
    if (status < 0) {
        x->reader = NULL;
        return status;
    }
    nk_stream_own(x->reader, on_input, x);
    nk_stream_interest(x->reader, NK_READABLE);
    return 0;
}

/* --- the connection's events ------------------------------------------------------------------ */

static void on_alive(void *owner, bool again)
{
    const struct sender *x = owner;
    const struct relay_endpoint_meta *m = &x->meta;
    struct relay_client_state state;
    relay_client_state(x->session.client, &state);
    if (!again && state.wire == RELAY_CLIENT_TLSPYO &&
        (m->ttl_ms > 0 || m->reply_to || m->correlation_len > 0 || m->nheaders > 0)) {
        nk_warn(
            x->session.ctx->log, "relay",
            "%s: --ttl, --header, --reply-to and --correlation are lost: tlspyo's wire does not "
            "carry them",
            x->session.target.connect);
    }
}

static void on_progress(void *owner)
{
    struct sender *x = owner;
    if (x->held && x->reader && !enough_queued(x)) {
        x->held = false;
        nk_stream_interest(x->reader, NK_READABLE);
    }
}

/* One that the relay refuses is one too many: the user has to know. */
static void on_settled(void *owner, uint32_t group, uint64_t first, uint64_t last, int status)
{
    struct sender *x = owner;
    struct nk_diag why = {0};
    if (status < 0 && x->refused++ == 0) {
        (void)nk_fail(&why, status, "the relay refused object %llu for '%s': %s",
                      (unsigned long long)first, relay_client_group_name(x->session.client, group),
                      nk_strerror(status));
        x->why = why;
    }
    x->refused += status < 0 ? last - first : 0;
}

static void on_lost(void *owner, const struct nk_diag *why, uint64_t again_ms)
{
    struct sender *x = owner;
    relay_endpoint_lost(&x->session, why, again_ms);
}

static void on_end(void *owner, int status, const struct nk_diag *why)
{
    struct sender *x = owner;
    if (status == 0 && x->refused > 0) {
        nk_hint(&x->why, "%llu of %llu were refused", (unsigned long long)x->refused,
                (unsigned long long)x->sent * x->dest.n);
        relay_endpoint_end(&x->session, x->why.code, &x->why);
        return;
    }
    relay_endpoint_end(&x->session, status, why);
}

static void on_stop(void *owner, bool timed_out)
{
    struct sender *x = owner;
    struct nk_diag why = {0};
    if (!timed_out) {
        relay_endpoint_end(&x->session, NK_EXIT_SIGNAL + x->session.signum, NULL);
        return;
    }
    (void)nk_fail(&why, -ETIMEDOUT, "%s: not everything was acknowledged in time",
                  x->session.target.connect);
    relay_endpoint_end(&x->session, why.code, &why);
}

static const struct relay_client_ops client_ops = {.on_alive = on_alive,
                                                   .on_settled = on_settled,
                                                   .on_progress = on_progress,
                                                   .on_lost = on_lost,
                                                   .on_end = on_end};

static int start(struct sender *x, struct nk_cmd_ctx *ctx)
{
    const struct relay_endpoint_plan plan = {.conf = &x->conf->common,
                                             .reconnect = true,
                                             .ops = &client_ops,
                                             .on_stop = on_stop,
                                             .owner = x};
    int status = relay_endpoint_start(&x->session, ctx, &plan);
    if (status < 0) {
        return status;
    }
    nk_buf_init(&x->line, (size_t)x->conf->common.max_object + READ_SIZE);
    x->group = calloc(x->dest.n, sizeof(*x->group));
    status = x->group ? 0 : -ENOMEM;
    for (size_t i = 0; i < x->dest.n && status == 0; i++) {
        status = relay_client_group(x->session.client, x->dest.v[i].group, false, &x->group[i]);
    }
    if (status < 0) {
        return nk_fail_sys(&ctx->diag, status, "--to");
    }
    status = send_all(x, &ctx->diag);
    if (status == 0 && x->conf->lines) {
        status = read_on(x, &ctx->diag);
    } else if (status == 0) {
        relay_client_finish(x->session.client);
    }
    return status;
}

static void report(const struct sender *x)
{
    if (x->session.ctx->globals->json) {
        printf("{\"objects\":%llu,\"acknowledged\":true}\n", (unsigned long long)x->sent);
    }
    nk_debug(x->session.ctx->log, "relay", "%llu object(s) acknowledged by %s",
             (unsigned long long)x->sent, x->session.target.connect);
}

int relay_endpoint_send(struct nk_cmd_ctx *ctx, const struct relay_endpoint_counts *counts)
{
    struct sender x = {.conf = ctx->conf};
    int status =
        relay_endpoint_dest_parse((const char *const *)x.conf->to.v, x.conf->to.n, counts->def,
                                  counts->min, counts->max, &x.dest, &ctx->diag);
    if (status == 0) {
        status = relay_endpoint_send_meta(x.conf, &x.meta, &ctx->diag);
    }
    if (status == 0 && x.conf->daemon) {
        const struct relay_daemon_send what = {
            .produce = counts->def > 0, .meta = x.meta, .dest = x.dest};
        status = relay_daemon_send_run(ctx, x.conf, &what);
        relay_endpoint_dest_clear(&x.dest);
        relay_endpoint_meta_clear(&x.meta);
        return status;
    }
    if (status == 0 && x.conf->no_wait) {
        status = nk_fail(&ctx->diag, NK_EUSAGE, "--no-wait is for --name");
    }
    if (status == 0) {
        status = start(&x, ctx);
    }
    if (status == 0) {
        relay_endpoint_progress_start(&x.progress, &x.session, false);
        x.progress.total = x.conf->lines ? 0 : relay_client_queued(x.session.client);
        status = relay_endpoint_run(&x.session);
    }
    relay_endpoint_progress_stop(&x.progress);
    if (status == 0) {
        report(&x);
    }
    nk_stream_close(x.reader);
    nk_buf_clear(&x.line);
    free(x.group);
    relay_endpoint_stop(&x.session);
    relay_endpoint_dest_clear(&x.dest);
    relay_endpoint_meta_clear(&x.meta);
    return status;
}
