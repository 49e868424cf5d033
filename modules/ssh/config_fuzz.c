/* SPDX-License-Identifier: MIT */
/* Any lines as ssh_config: read as options of the command line, printed, and used. Files are not
 * included: what is on the machine is not the input's to choose. */
#include <stdlib.h>
#include <string.h>

#include "ssh/config.h"

enum { LINES = 64, OUTPUT = 4 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct ssh_config *c)
{
    struct ssh_proposal p;
    struct ssh_host_conf h;
    struct nk_buf out;
    struct nk_diag diag = {0};
    nk_buf_init(&out, OUTPUT);
    if (!c->host_name || c->port < 1 || c->port > UINT16_MAX) {
        abort();
    }
    (void)ssh_config_print_origins(c, &out);
    (void)ssh_config_proposal(c, &p, NULL, &diag);
    (void)ssh_config_expand(c, c->proxy_command ? c->proxy_command : "", &out, &diag);
    ssh_config_host(c, &h);
    nk_buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *lines[LINES];
    size_t n = 0;
    char *text = malloc(size + 1);
    if (!text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *s = strtok(text, "\n"); s && n < LINES; s = strtok(NULL, "\n")) {
        if (!strcasestr(s, "include")) {
            lines[n++] = s;
        }
    }
    struct ssh_config *c = NULL;
    struct nk_diag diag = {0};
    const struct ssh_config_ask ask = {
        .host = "h.example", .file = "none", .options = lines, .noptions = n};
    int rc = ssh_config_load(&c, &ask, &diag);
    if (rc == 0) {
        use(c);
        ssh_config_free(c);
    } else if (!diag.text[0]) {
        abort();
    }
    free(text);
    return 0;
}
