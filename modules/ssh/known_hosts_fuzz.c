/* SPDX-License-Identifier: MIT */
/* Any text as known_hosts: read, compared with names, its keys decoded, and written again. */
#include <stdlib.h>
#include <string.h>

#include "ssh/known_hosts.h"
#include "ssh/pubkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* A key that was read is written as it was. */
static void again(const struct ssh_known_line *l, const struct nk_buf *blob)
{
    struct ssh_known_reader r;
    struct ssh_known_line other;
    struct nk_buf line, second;
    nk_buf_init(&line, 2 * SSH_BLOB_MAX);
    nk_buf_init(&second, SSH_BLOB_MAX);
    const struct ssh_str raw = {nk_buf_ptr(blob), nk_buf_len(blob)};
    if (ssh_known_put(&line, l->marker, "h", false, raw, NULL) == 0) {
        ssh_known_read(&r, nk_buf_ptr(&line), nk_buf_len(&line));
        need(ssh_known_next(&r, &other));
        if (other.entry && ssh_known_key(&other, &second) == 0) {
            need(raw.p && nk_buf_len(&second) == raw.n &&
                 memcmp(nk_buf_ptr(&second), raw.p, raw.n) == 0);
        }
    }
    nk_buf_clear(&line);
    nk_buf_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ssh_known_reader r;
    struct ssh_known_line l;
    struct nk_buf blob;
    size_t lines = 0;
    nk_buf_init(&blob, SSH_BLOB_MAX);
    ssh_known_read(&r, data, size);
    while (ssh_known_next(&r, &l)) {
        need(l.number == ++lines && l.whole.n <= size && !(l.entry && l.problem));
        if (!l.entry) {
            continue;
        }
        need(l.hosts.n > 0 && l.type.n > 0 && l.key.n > 0);
        (void)ssh_known_matches(l.hosts, "h.example");
        (void)ssh_known_matches(l.hosts, "[h.example]:2222");
        nk_buf_reset(&blob);
        if (ssh_known_key(&l, &blob) == 0) {
            again(&l, &blob);
        }
    }
    nk_buf_clear(&blob);
    return 0;
}
