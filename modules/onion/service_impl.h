/* SPDX-License-Identifier: MIT */
/* service_impl - inside onion: what service.c and service_dir.c share. */
#ifndef NK_ONION_SERVICE_IMPL_H
#define NK_ONION_SERVICE_IMPL_H

#include "core/app.h"
#include "core/timer.h"
#include "onion/probe.h"
#include "onion/service.h"

struct onion_service {
    struct onion_service_conf conf;
    enum onion_state state;
    struct onion_upload upload;
    struct tor_request request; /* one at a time: add, or take away */
    struct tor_control_watch watch;
    struct tor_subscription descriptors, signals;
    struct nk_timer retry; /* of what is done next */
    void (*next)(struct onion_service *s);
    struct onion_probe probe;
    struct nk_defer end;
    struct nk_diag why; /* of the end */
    int error;
    bool complained; /* that tor cannot be reached */
    bool ready;      /* control is, and events come */
    bool ever;       /* tor has had it */
    bool again;      /* what tor is told just now is old: once more when it has answered */
    bool unprobed;   /* that has been said */
    bool prepared;   /* its directory is there */
    bool made_dir;   /* by us */
    unsigned tries;
    uint64_t added; /* how often */
};

/* onion_service_end - on_end, later; nothing else happens any more. */
void onion_service_end(struct onion_service *s, int err, const struct nk_diag *why);

/* onion_service_set - a new state; tells the owner. */
void onion_service_set(struct onion_service *s, enum onion_state state);

/* onion_service_send - a command, whose reply fn gets with the service. A failure to send ends the
 * service, unless the connection is lost. */
void onion_service_send(struct onion_service *s, tor_reply_fn *fn, const char *line);

/* onion_service_later - do that after a while, unless something else happens before. */
void onion_service_later(struct onion_service *s, void (*next)(struct onion_service *),
                         uint64_t delay_ms);

/* onion_service_added - tor has it: its address is known, uploads are counted from here on. */
void onion_service_added(struct onion_service *s);

/* onion_service_published - clients can find it, so it can be probed. */
void onion_service_published(struct onion_service *s);

/* onion_service_gone - tor has taken it away: add it again, or end. */
void onion_service_gone(struct onion_service *s);

/* Services in directories: add, take away; forgotten after SIGHUP? */
void onion_dir_add(struct onion_service *s);
void onion_dir_remove(struct onion_service *s);
void onion_dir_on_signal(void *owner, const struct tor_reply *event);

#endif
