/* SPDX-License-Identifier: MIT */
/*
 * endpoint_print - received objects on standard output, with back-pressure.
 */
#ifndef NK_RELAY_ENDPOINT_PRINT_H
#define NK_RELAY_ENDPOINT_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/opt.h"
#include "relay/client.h"
#include "relay/pickle_value.h"

struct nk_app;
struct nk_stream;

/*
 * Forms of an object, each followed by a newline unless said otherwise:
 *
 * - json: {"type":"str","value":"hi"}. The type is Python's name of it. bytes are base64 in "value"
 *   (inside of containers {"base64":".."}); an object that is not plain data has the type "pickle"
 *   and its pickle in base64.
 *
 * - text: str and bytes as they are, anything else as its JSON value.
 *
 * - raw: the bytes of a str or bytes object, of anything else its pickle; nothing is added.
 *
 * - pickle: the pickle, whatever it is; nothing is added.
 *
 * - files: a file for each object (endpoint_files.h); not for the functions below.
 */
enum relay_endpoint_format {
    ENDPOINT_JSON,
    ENDPOINT_TEXT,
    ENDPOINT_RAW,
    ENDPOINT_PICKLE,
    ENDPOINT_FILES
};

/* Choices of --format, in the order of enum relay_endpoint_format: without and with files. */
extern const char *const relay_endpoint_formats[], *const relay_endpoint_receive_formats[];

/* The row of --format for commands that print what they receive; conf is their configuration struct
 * with an `int format`. */
#define RELAY_ENDPOINT_FORMAT_ROW(conf)                                                            \
    {                                                                                              \
        .name = "format", .type = NK_OPT_ENUM, .offset = NK_FIELD(conf, format), .arg = "FORMAT",  \
        .def = "json", .choices = relay_endpoint_receive_formats,                                  \
        .help = "json: a line {\"type\":..,\"value\":..} for each object, bytes in base64; text: " \
                "str and bytes as they are, one line each; raw: the same without line ends; "      \
                "pickle: as it came; files: a file for each object in --dir"                       \
    }

/* relay_endpoint_format_object - append the object (a pickle of n bytes) to out. doc is working
 * memory. 0, NK_ETOOBIG (out is full), -ENOMEM; out is unchanged on failure. */
int relay_endpoint_format_object(struct nk_buf *out, enum relay_endpoint_format format,
                                 struct relay_value_doc *doc, const uint8_t *pickle, size_t n);

/*
 * relay_endpoint_format_delivery - the same for what a client delivers. On the native wire json
 * lines also have group, kind, seq, tries and the metadata; content that is no pickle is handed on
 * as it is (json: type bytes, str or json, the value of the latter being its text). group may be
 * NULL.
 */
int relay_endpoint_format_delivery(struct nk_buf *out, enum relay_endpoint_format format,
                                   struct relay_value_doc *doc, const struct relay_client_object *d,
                                   const char *group);

/* relay_endpoint_json_origin - what is known of a delivery as keys of an open JSON object: group
 * (may be NULL), kind, seq, tries, and the metadata expires_ms, reply_to, correlation,
 * original_group, reason, headers (of a name that is repeated a list). */
void relay_endpoint_json_origin(struct nk_json *j, const struct relay_client_object *d,
                                const char *group);

/* relay_endpoint_json_content - its keys type and value; doc is working memory. 0 or -ENOMEM. */
int relay_endpoint_json_content(struct nk_json *j, struct relay_value_doc *doc,
                                const struct relay_client_object *d);

/* A sink for bytes: standard output or a child's standard input. */
struct relay_endpoint_sink {
    struct nk_stream *stream;
    struct nk_buf pending;
    bool check;   /* files report an error only with the next write: make one, of nothing */
    bool waiting; /* for WRITABLE */
    void (*on_drained)(void *owner, int status); /* pending is written (0), or it never will be */
    void *owner;
};

/* relay_endpoint_sink_open - write to descriptor fd, which is inherited: a duplicate is used. max
 * bounds what waits. Errors with diag. */
int relay_endpoint_sink_open(struct relay_endpoint_sink *s, struct nk_app *app, int fd, size_t max,
                             void (*on_drained)(void *, int), void *owner, struct nk_diag *diag);

/* relay_endpoint_sink_pipe - the same over a pipe's end of our own, which belongs to the sink from
 * then on, also on failure. 0 or -ENOMEM ... */
int relay_endpoint_sink_pipe(struct relay_endpoint_sink *s, struct nk_app *app, int take_fd,
                             size_t max, void (*on_drained)(void *, int), void *owner);

/*
 * relay_endpoint_sink_flush - write what is pending. 1: the kernel has taken all of it; 0: the rest
 * follows and on_drained is called once, later; negative: the error (on_drained is not called).
 */
int relay_endpoint_sink_flush(struct relay_endpoint_sink *s);

/* relay_endpoint_sink_close - safe on a zeroed sink. */
void relay_endpoint_sink_close(struct relay_endpoint_sink *s);

#endif
