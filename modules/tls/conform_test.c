/* SPDX-License-Identifier: MIT */
/* The stream contract (core/stream.h) through the TLS filter, over every kind of transport. */
#include "net/conform_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "tls/tls_testkit.h"

enum { ROWS = 6, TEXT = 300 };

/* File with key and certificate, and the strings made from its name. */
struct files {
    char dir[32], pem[64];
    char listen[ROWS][TEXT], suffix[ROWS][TEXT];
};

static int write_files(struct files *f)
{
    struct kit_cert cert = {0};
    struct nk_buf both;
    snprintf(f->dir, sizeof(f->dir), "/tmp/netkit-tls-XXXXXX");
    if (!mkdtemp(f->dir)) {
        return -errno;
    }
    snprintf(f->pem, sizeof(f->pem), "%s/both.pem", f->dir);
    kit_cert_make(&cert, "localhost", "localhost,127.0.0.1", -3600, 3600, NULL, false);
    nk_buf_init(&both, 65536);
    int rc = nk_buf_puts(&both, kit_key_pem(&cert));
    rc = rc ? rc : nk_buf_puts(&both, kit_cert_pem(&cert));
    rc = rc ? rc : nk_file_write(f->pem, 0, nk_buf_ptr(&both), nk_buf_len(&both), NULL);
    nk_buf_clear(&both);
    kit_cert_clear(&cert);
    return rc;
}

int nk_test_tls_conform(void)
{
    static const struct {
        const char *name, *transport, *params, *refused;
        unsigned flags;
    } over[ROWS] = {
        {"tls+tcp", "tls+tcp:127.0.0.1:0", "", "tls+tcp:127.0.0.1:1,ca=%s,name=localhost", 0},
        {"tls alone", "tls:localhost:0", "", "tls:localhost:1,ca=%s", 0},
        {"tls+tcp, tiny windows", "tls+tcp:127.0.0.1:0,sndbuf=4096,rcvbuf=2048",
         ",sndbuf=4096,rcvbuf=2048", NULL, 0},
        {"tls+unix", "tls+unix:@netkit-tls-conform-$$", "", NULL, 0},
        {"tls+mem", "tls+mem:x", "", "tls+mem:nobody,ca=%s,name=localhost", 0},
        {"tls+mem, tiny", "tls+mem:x,capacity=70,chunk=11", ",capacity=50,chunk=7", NULL,
         NK_CONFORM_TINY},
    };
    struct nk_conform_row rows[ROWS] = {0};
    struct files *f = calloc(1, sizeof(*f));
    char refused[ROWS][TEXT];
    if (!f || write_files(f) < 0) {
        free(f);
        return -1;
    }
    for (size_t i = 0; i < ROWS; i++) {
        snprintf(f->listen[i], TEXT, "%s,cert=%s", over[i].transport, f->pem);
        snprintf(f->suffix[i], TEXT, "%s,ca=%s,name=localhost", over[i].params, f->pem);
        rows[i] = (struct nk_conform_row){.name = over[i].name,
                                          .listen = f->listen[i],
                                          .suffix = f->suffix[i],
                                          .flags = over[i].flags};
        if (over[i].refused) {
            char *text = refused[i];
            const char *at = strstr(over[i].refused, "%s");
            snprintf(text, TEXT, "%.*s%s%s", (int)(at - over[i].refused), over[i].refused, f->pem,
                     at + 2);
            rows[i].refused = text;
        }
    }
    int rc = nk_conform_run("tls/conform", rows, ROWS, NULL);
    unlink(f->pem);
    rmdir(f->dir);
    free(f);
    return rc;
}
