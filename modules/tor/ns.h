/* SPDX-License-Identifier: MIT */
/*
 * ns - entries about relays as GETINFO ns/... and the events NS and NEWCONSENSUS carry them
 * (dir-spec §3.4.1): lines "r", "a", "s", "v", "w", "p", of which "r" begins an entry.
 */
#ifndef TOR_NS_H
#define TOR_NS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "tor/event.h"

#define TOR_COUNTRY_SIZE 3 /* two letters and the terminator */

struct tor_ns_text {
    const char *p; /* not terminated; NULL: the entry does not say */
    size_t n;
};

/* One relay; texts borrow from the entry. */
struct tor_ns {
    char fingerprint[TOR_FINGERPRINT + 1]; /* upper case hex */
    struct tor_ns_text nickname, date, time, address, address6, flags, version, policy;
    unsigned or_port, dir_port;
    bool measured;
    uint64_t bandwidth;             /* KB/s, the consensus' weight */
    char country[TOR_COUNTRY_SIZE]; /* filled by who knows it; "" */
};

struct tor_ns_walk {
    const char *p, *end;
};

/* tor_ns_begin - walk over the entries in n bytes with LF at the ends of lines. */
void tor_ns_begin(struct tor_ns_walk *w, const char *p, size_t n);

/* tor_ns_next - the next entry whose "r" line can be read; unknown lines are passed over. */
bool tor_ns_next(struct tor_ns_walk *w, struct tor_ns *out);

/* tor_ns_has_flag - does it have that flag (case does not matter)? */
bool tor_ns_has_flag(const struct tor_ns *r, const char *flag);

/* tor_ns_json - append the entry's members to the object that is open in j. */
void tor_ns_json(const struct tor_ns *r, struct nk_json *j);

#endif
