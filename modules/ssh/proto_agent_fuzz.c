/* SPDX-License-Identifier: MIT */
/* What an agent answers, taken for every kind of answer. */
#include <stdlib.h>

#include "ssh/proto_agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ssh_agent_key keys[4];
    struct ssh_str signature;
    struct nk_diag diag;
    ssize_t n = ssh_agent_frame(data, size);
    if (n <= 0 || (size_t)n > size) {
        return 0;
    }
    struct ssh_str frame = {data, (size_t)n};
    ssize_t count = ssh_agent_get_list(frame, keys, 4, &diag);
    for (ssize_t i = 0; i < count && i < 4; i++) {
        if (keys[i].blob.p < data || keys[i].comment.p + keys[i].comment.n > data + n) {
            abort();
        }
    }
    if (count >= 0 && ssh_agent_get_list(frame, NULL, 0, &diag) != count) {
        abort();
    }
    if (ssh_agent_get_signature(frame, "ssh-ed25519", &signature, &diag) == 0 &&
        signature.p + signature.n != data + n) {
        abort();
    }
    (void)ssh_agent_get_done(frame, &diag);
    return 0;
}
