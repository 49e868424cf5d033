/* SPDX-License-Identifier: MIT */
#include "core/files.h"

#include <inttypes.h>
#include <sys/resource.h>

/* As far as the soft limit is raised: Linux's default of fs.nr_open, beyond which nobody can. */
#define FILES_MAX ((rlim_t)1048576)

/* Open files that are no connections: loop, log, listeners, segments of the relay's log. */
#define FILES_OTHER 48

uint64_t nk_files_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) {
        return UINT64_MAX;
    }
    return limit.rlim_cur;
}

uint64_t nk_files_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        rlim_t most = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
        if (limit.rlim_cur < most) {
            limit.rlim_cur = most;
            (void)setrlimit(RLIMIT_NOFILE, &limit); /* refused: the old one is in force */
        }
    }
    return nk_files_limit();
}

bool nk_files_tell(struct nk_log *log, enum nk_level level, const char *module, const char *key,
                   uint64_t value, unsigned each)
{
    uint64_t limit = nk_files_limit();
    uint64_t reach = limit > FILES_OTHER ? (limit - FILES_OTHER) / each : 0;
    if (limit == UINT64_MAX || value <= reach) {
        return false;
    }
    NK_LOG_(log, module, level, NULL, NULL,
            "%s = %" PRIu64 " cannot be reached, about %" PRIu64
            " can: this process may have %" PRIu64
            " files open (LimitNOFILE= of a systemd unit or `ulimit -n` raise that)",
            key, value, reach, limit);
    return true;
}
