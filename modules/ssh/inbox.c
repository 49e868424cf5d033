/* SPDX-License-Identifier: MIT */
#include "ssh/inbox.h"

#include <string.h>

void ssh_inbox_init(struct ssh_inbox *in, size_t max)
{
    *in = (struct ssh_inbox){0};
    nk_buf_init(&in->kept, max);
}

void ssh_inbox_clear(struct ssh_inbox *in)
{
    nk_buf_clear(&in->kept);
    in->n = in->bytes = 0;
}

size_t ssh_inbox_len(const struct ssh_inbox *in)
{
    return nk_buf_len(&in->kept) + in->bytes;
}

int ssh_inbox_lend(struct ssh_inbox *in, const uint8_t *p, size_t n)
{
    int rc = in->n == SSH_INBOX_LENT ? ssh_inbox_keep(in) : 0;
    if (rc < 0) {
        return rc;
    }
    in->lent[in->n++] = (struct iovec){.iov_base = (void *)(uintptr_t)p, .iov_len = n};
    in->bytes += n;
    return 0;
}

int ssh_inbox_keep(struct ssh_inbox *in)
{
    uint8_t *to;
    size_t bytes = in->bytes, n = in->n;
    in->n = in->bytes = 0;
    if (n == 0) {
        return 0;
    }
    int rc = nk_buf_reserve(&in->kept, bytes, &to);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(to, in->lent[i].iov_base, in->lent[i].iov_len);
        to += in->lent[i].iov_len;
    }
    nk_buf_commit(&in->kept, bytes);
    return 0;
}

int ssh_inbox_pieces(const struct ssh_inbox *in, struct iovec out[SSH_INBOX_PIECES])
{
    int n = 0;
    if (nk_buf_len(&in->kept) > 0) {
        out[n++] = (struct iovec){nk_buf_ptr(&in->kept), nk_buf_len(&in->kept)};
    }
    for (size_t i = 0; i < in->n; i++) {
        out[n++] = in->lent[i];
    }
    return n;
}

void ssh_inbox_consume(struct ssh_inbox *in, size_t n)
{
    size_t kept = nk_buf_len(&in->kept), done = 0;
    kept = kept < n ? kept : n;
    nk_buf_consume(&in->kept, kept);
    n -= kept;
    in->bytes -= n;
    while (done < in->n && n >= in->lent[done].iov_len) {
        n -= in->lent[done++].iov_len;
    }
    in->n -= done;
    memmove(in->lent, in->lent + done, in->n * sizeof(in->lent[0]));
    if (n > 0) {
        in->lent[0].iov_base = (uint8_t *)in->lent[0].iov_base + n;
        in->lent[0].iov_len -= n;
    }
}
