/* SPDX-License-Identifier: MIT */
/* Both ends of the relay's control socket: requests become calls of admin.h, commands requests. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "core/control.h"
#include "relay/admin.h"

static int answer_list(struct relay_hub *h, size_t n, char *const *words, struct nk_buf *out,
                       struct nk_diag *diag)
{
    uint64_t max;
    bool json = n == 3 && strcmp(words[1], "json") == 0;
    if (n != 3 || (!json && strcmp(words[1], "table") != 0) || nk_parse_u64(words[2], &max) < 0) {
        return nk_fail(diag, NK_EUSAGE, "%s: not a request", words[0]);
    }
    size_t limit = max < SIZE_MAX ? (size_t)max : 0;
    int rc = strcmp(words[0], "groups") == 0 ? relay_admin_groups(h, json, limit, out)
                                             : relay_admin_endpoints(h, json, limit, out);
    return rc == NK_ETOOBIG
               ? nk_fail(diag, rc, "the list is longer than an answer may be; ask for less of it")
               : rc;
}

static int answer_kick(struct relay_hub *h, size_t n, char *const *words, struct nk_buf *out,
                       struct nk_diag *diag)
{
    char *connections[NK_CONTROL_WORDS], *groups[NK_CONTROL_WORDS];
    struct relay_admin_kick what = {.words = connections, .groups = groups};
    for (size_t i = 1; i + 1 < n; i += 2) {
        if (strcmp(words[i], "connection") == 0) {
            connections[what.nwords++] = words[i + 1];
        } else if (strcmp(words[i], "group") == 0) {
            groups[what.ngroups++] = words[i + 1];
        } else {
            return nk_fail(diag, NK_EUSAGE, "kick: not a request");
        }
    }
    if (n < 3 || n % 2 == 0) {
        return nk_fail(diag, NK_EUSAGE, "kick: not a request");
    }
    int closed = relay_admin_kick(h, &what, diag);
    return closed < 0 ? closed : nk_buf_printf(out, "{\"closed\":%d}\n", closed);
}

void relay_admin_answer(struct relay_hub *h, struct nk_control_call *call, size_t n,
                        char *const *words)
{
    struct nk_diag diag = {0};
    struct nk_buf *out = nk_control_body(call);
    int rc = strcmp(words[0], "kick") == 0 ? answer_kick(h, n, words, out, &diag)
                                           : answer_list(h, n, words, out, &diag);
    nk_control_done(call, rc, &diag);
}
