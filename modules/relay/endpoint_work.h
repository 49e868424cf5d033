/* SPDX-License-Identifier: MIT */
/*
 * endpoint_work - programs that work on objects: the common part of `netkit endpoint consume` and
 * `netkit endpoint serve`.
 */
#ifndef NK_RELAY_ENDPOINT_WORK_H
#define NK_RELAY_ENDPOINT_WORK_H

#include "relay/endpoint.h"
#include "relay/endpoint_print.h"

#define ENDPOINT_JOBS_MAX 64 /* programs at one time */
#define RELAY_ANSWER_ERROR                                                                         \
    "error=" /* header of an answer that tells why there is no better one                          \
              */

/* Options of both commands; the first member of their configurations. */
struct relay_endpoint_work_conf {
    struct relay_endpoint_conf common;
    struct nk_strlist group;
    char *exec;
    int format;
    int64_t jobs;
    int64_t max_items;
    uint64_t delay_ms, lease_ms;
    bool keep_going;
    bool requeue; /* serve: no answer that tells of a failure */
};

#define RELAY_ENDPOINT_WORK_ROWS                                                                   \
    {.name = "group",                                                                              \
     .type = NK_OPT_STRING,                                                                        \
     .offset = NK_FIELD(struct relay_endpoint_work_conf, group),                                   \
     .arg = "GROUP",                                                                               \
     .flags = NK_OPT_REPEAT | NK_OPT_REQUIRED | NK_OPT_CLI_ONLY,                                   \
     .help = "Group whose objects are worked on"},                                                 \
        {.name = "exec",                                                                           \
         .type = NK_OPT_STRING,                                                                    \
         .offset = NK_FIELD(struct relay_endpoint_work_conf, exec),                                \
         .arg = "PROGRAM",                                                                         \
         .flags = NK_OPT_REQUIRED | NK_OPT_CLI_ONLY,                                               \
         .help = "Program to run for each object, which is its standard input; its arguments "     \
                 "stand after --. No shell is involved"},                                          \
        {.name = "jobs",                                                                           \
         .short_name = 'j',                                                                        \
         .type = NK_OPT_INT,                                                                       \
         .offset = NK_FIELD(struct relay_endpoint_work_conf, jobs),                                \
         .arg = "N",                                                                               \
         .def = "1",                                                                               \
         .min = 1,                                                                                 \
         .max = ENDPOINT_JOBS_MAX,                                                                 \
         .help = "Programs at one time"},                                                          \
        {.name = "format",                                                                         \
         .type = NK_OPT_ENUM,                                                                      \
         .offset = NK_FIELD(struct relay_endpoint_work_conf, format),                              \
         .arg = "FORMAT",                                                                          \
         .def = "raw",                                                                             \
         .choices = relay_endpoint_formats,                                                        \
         .help = "What the program reads: raw: the bytes of a str or bytes object, else its "      \
                 "pickle; text: the same with a line end, else JSON; json: type and value; "       \
                 "pickle: as it came"},                                                            \
        {.name = "max-items",                                                                      \
         .short_name = 'n',                                                                        \
         .type = NK_OPT_INT,                                                                       \
         .offset = NK_FIELD(struct relay_endpoint_work_conf, max_items),                           \
         .arg = "N",                                                                               \
         .def = "0",                                                                               \
         .max = INT64_MAX,                                                                         \
         .help = "End after N objects; 0: work for ever"},                                         \
        {.name = "delay",                                                                          \
         .type = NK_OPT_DURATION,                                                                  \
         .offset = NK_FIELD(struct relay_endpoint_work_conf, delay_ms),                            \
         .arg = "TIME",                                                                            \
         .def = "1s",                                                                              \
         .max = 86400000,                                                                          \
         .help = "How long an object on which the program failed stays away (native wire)"},       \
        {.name = "lease",                                                                          \
         .type = NK_OPT_DURATION,                                                                  \
         .offset = NK_FIELD(struct relay_endpoint_work_conf, lease_ms),                            \
         .arg = "TIME",                                                                            \
         .def = "60s",                                                                             \
         .min = 500,                                                                               \
         .max = 86400000,                                                                          \
         .help = "How long an object stays ours without a sign of life from us; renewed after a "  \
                 "third of it while its program runs (native wire)"},                              \
    {                                                                                              \
        .name = "keep-going", .type = NK_OPT_FLAG,                                                 \
        .offset = NK_FIELD(struct relay_endpoint_work_conf, keep_going),                           \
        .help = "When the program fails, drop that object and go on"                               \
    }

/* relay_endpoint_work - the whole command; positionals are the program's arguments. answers: what
 * the program writes goes to the group that the object names for replies. */
int relay_endpoint_work(struct nk_cmd_ctx *ctx, const struct relay_endpoint_work_conf *conf,
                        bool answers);

#endif
