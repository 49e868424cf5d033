/* SPDX-License-Identifier: MIT */
/*
 * hub_testkit - a hub with everything that belongs to it, for tests and fuzz targets of either
 * wire: application, groups, an engine, the password "pw". Connections are socket pairs.
 */
#ifndef NK_RELAY_HUB_TESTKIT_H
#define NK_RELAY_HUB_TESTKIT_H

#include "base/buf.h"
#include "core/app.h"
#include "relay/engine_testkit.h"
#include "relay/hub.h"
#include "relay/log_disk_testkit.h"

enum {
    RELAY_HUB_TESTKIT_HEADER = 10,     /* header_size of its limits */
    RELAY_HUB_TESTKIT_READ = 64 * 1024 /* bytes asked for at once */
};

struct relay_hub_testkit_conf {
    enum relay_engine_kind over;
    enum relay_wires wires;
    struct relay_limits limits;
    unsigned clock_scale, max_groups;
    bool listed; /* only groups that were configured */
};

struct relay_hub_testkit {
    enum relay_engine_kind over;
    char dir[RELAY_LOG_TESTKIT_DIR]; /* of the log engine */
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_hub *hub;
    struct relay_login *login;
    struct relay_memory memory;
    bool drained;
};

/* relay_hub_testkit_limits - what most tests use. */
struct relay_limits relay_hub_testkit_limits(void);

/* relay_hub_testkit_open - 0, or what the first constructor that failed returned; k is to be closed
 * in either case, and must stay where it is until then. */
int relay_hub_testkit_open(struct relay_hub_testkit *k, const struct relay_hub_testkit_conf *conf);

/* relay_hub_testkit_connect - a connection that the hub takes as one over this scheme; *fd is the
 * other end, which does not block. 0 or -errno. */
int relay_hub_testkit_connect(struct relay_hub_testkit *k, const char *scheme, int *fd);

/* relay_hub_testkit_pull - append to `in` what is there to read on fd. 1: all of it was read; 0:
 * the stream has ended; or the error of `in`. */
int relay_hub_testkit_pull(int fd, struct nk_buf *in);

/* relay_hub_testkit_close - free everything. False when objects were left over, or anything in the
 * log's directory that is not the log's. */
bool relay_hub_testkit_close(struct relay_hub_testkit *k);

#endif
