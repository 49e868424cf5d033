/* SPDX-License-Identifier: MIT */
/*
 * endpoint_task - an object that a program is to work on: what the program reads, what it finds in
 * its environment, and where its answer goes.
 *
 * Environment: OBJECT_GROUP OBJECT_KIND OBJECT_SEQ OBJECT_TRIES OBJECT_CONTENT, with metadata also
 * OBJECT_REPLY_TO OBJECT_CORRELATION OBJECT_ORIGIN OBJECT_REASON OBJECT_EXPIRES (ms), and
 * OBJECT_HEADER_NAME for each header (the name in capitals, everything but letters and digits as
 * '_').
 */
#ifndef NK_RELAY_ENDPOINT_TASK_H
#define NK_RELAY_ENDPOINT_TASK_H

#include "base/buf.h"
#include "relay/client.h"
#include "relay/endpoint_print.h"

struct relay_endpoint_task {
    struct relay_endpoint_task *next;
    struct relay_client_lease lease;
    uint32_t tries;
    size_t len;          /* of the object */
    struct nk_buf input; /* what the program reads */
    struct nk_buf text;  /* the variables of `env` that are ours */
    char **env;          /* of the program, ends with NULL */
    char *reply_to;      /* group for the answer, or NULL */
    uint8_t correlation[RELAY_META_CORRELATION_MAX];
    size_t correlation_len;
};

/* relay_endpoint_task_new - d as the program will see it. group may be NULL. 0, -ENOMEM, or
 * NK_ETOOBIG. relay_endpoint_task_free - NULL is fine. */
int relay_endpoint_task_new(struct relay_endpoint_task **out, enum relay_endpoint_format format,
                            struct relay_value_doc *doc, const struct relay_client_object *d,
                            const char *group);
void relay_endpoint_task_free(struct relay_endpoint_task *t);

/* Tasks that wait, oldest first; `last` must point to `first` in an empty one. */
struct relay_endpoint_tasks {
    struct relay_endpoint_task *first, **last;
    size_t n, bytes;
};

/* relay_endpoint_task_put - at the end. relay_endpoint_task_take - the first one; there must be
 * one.
 */
void relay_endpoint_task_put(struct relay_endpoint_tasks *q, struct relay_endpoint_task *t);
struct relay_endpoint_task *relay_endpoint_task_take(struct relay_endpoint_tasks *q);

#endif
