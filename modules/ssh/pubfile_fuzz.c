/* SPDX-License-Identifier: MIT */
/* A file with a public key of any form; what is found is written as a line and found again. */
#include <stdlib.h>
#include <string.h>

#include "ssh/pubfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nk_diag diag;
    struct ssh_pubfile f, again;
    struct ssh_public k;
    struct nk_buf line;
    if (ssh_pubfile_parse(data, size, &f, &diag) < 0) {
        return 0;
    }
    struct ssh_str blob = {nk_buf_ptr(&f.blob), nk_buf_len(&f.blob)};
    nk_buf_init(&line, SSH_KEY_FILE_MAX);
    if (blob.p && ssh_public_parse(blob, 1, &k, &diag) == 0 &&
        ssh_public_line(blob, f.comment, &line) == 0) {
        if (ssh_pubfile_parse(nk_buf_ptr(&line), nk_buf_len(&line), &again, &diag) < 0 ||
            nk_buf_len(&again.blob) != blob.n ||
            memcmp(nk_buf_ptr(&again.blob), blob.p, blob.n) != 0) {
            abort();
        }
        ssh_pubfile_clear(&again);
    }
    nk_buf_clear(&line);
    ssh_pubfile_clear(&f);
    return 0;
}
