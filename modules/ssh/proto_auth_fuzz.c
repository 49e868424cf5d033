/* SPDX-License-Identifier: MIT */
/* User authentication with a server that says anything. Input: pieces of u8 length and payload;
 * between them the owner answers what it is asked. */
#include <stdlib.h>
#include <string.h>

#include "ssh/proto_auth.h"
#include "ssh/sink_testkit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void banner(void *owner, const char *text)
{
    size_t *seen = owner;
    *seen += strlen(text);
    if (*seen > (size_t)SSH_AUTH_BANNER_MAX + SSH_AUTH_ROUNDS_MAX * SSH_AUTH_PROMPT_MAX ||
        strpbrk(text, "\r\t\x1b\x7f")) {
        abort();
    }
}

static int give(struct ssh_auth *a, struct ssh_str key, struct nk_diag *diag)
{
    switch (ssh_auth_method(a)) {
    case SSH_AUTH_PUBLICKEY:
        return ssh_auth_key(a, key, false, NULL, diag);
    case SSH_AUTH_PASSWORD:
        return ssh_auth_password(a, "pw", 2, diag);
    default:
        return ssh_auth_interactive(a, diag);
    }
}

static int answer(struct ssh_auth *a, struct ssh_str key, struct nk_diag *diag)
{
    static const uint8_t signature[] = "\0\0\0\13ssh-ed25519\0\0\0\1x";
    const struct ssh_str answers[SSH_AUTH_PROMPTS_MAX] = {{0}};
    switch (ssh_auth_want(a)) {
    case SSH_AUTH_CREDENTIAL:
        return give(a, key, diag);
    case SSH_AUTH_SIGNATURE:
        return ssh_auth_signed(a, (struct ssh_str){signature, sizeof(signature) - 1}, diag);
    case SSH_AUTH_ANSWERS:
        return ssh_auth_answer(a, answers, diag);
    default:
        return 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[] = "\0\0\0\13ssh-ed25519\0\0\0\x20"
                                 "0123456789abcdef0123456789abcdef";
    const struct ssh_str blob = {key, sizeof(key) - 1};
    struct nk_diag diag = {0};
    struct ssh_kit_sink sink;
    struct ssh_auth *a;
    struct nk_cur c;
    size_t seen = 0;
    const struct ssh_auth_conf conf = {.user = "u",
                                       .session_id = blob,
                                       .host_key = blob,
                                       .tries = 20,
                                       .banner = banner,
                                       .owner = &seen};
    ssh_sink_init(&sink);
    if (ssh_auth_new(&conf, &sink.sink, &a, &diag) < 0) {
        abort();
    }
    nk_cur_init(&c, data, size);
    int rc = ssh_auth_start(a, &diag);
    while (rc == 0 && nk_cur_left(&c) > 0) {
        size_t n = nk_cur_u8(&c);
        const uint8_t *p = nk_cur_bytes(&c, n);
        rc = !p || n == 0 ? -1 : ssh_auth_receive(a, p, n, &diag);
        rc = rc < 0 ? rc : answer(a, blob, &diag);
    }
    ssh_auth_free(a);
    ssh_sink_clear(&sink);
    return 0;
}
