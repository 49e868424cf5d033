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

extern const struct nk_opt relay_endpoint_work_rows[];
#define RELAY_ENDPOINT_WORK_ROWS NK_OPT_SHARED(relay_endpoint_work_rows)

/* relay_endpoint_work - the whole command; positionals are the program's arguments. answers: what
 * the program writes goes to the group that the object names for replies. */
int relay_endpoint_work(struct nk_cmd_ctx *ctx, const struct relay_endpoint_work_conf *conf,
                        bool answers);

#endif
