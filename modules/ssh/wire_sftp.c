/* SPDX-License-Identifier: MIT */
#include "ssh/wire_sftp.h"

#include <string.h>

/* Section 5: pairs of strings, each with a name, follow the attributes. */
#define HAS_EXTENDED 0x80000000u
#define HAS_KNOWN (SSH_SFTP_HAS_SIZE | SSH_SFTP_HAS_OWNER | SSH_SFTP_HAS_MODE | SSH_SFTP_HAS_TIMES)

struct ssh_sftp_attrs ssh_cur_attrs(struct nk_cur *c)
{
    struct ssh_sftp_attrs a = {0};
    uint32_t has = nk_cur_be32(c);
    if (has & ~(HAS_KNOWN | HAS_EXTENDED)) {
        nk_cur_fail(c); /* what they bring has no known size */
        return a;
    }
    a.has = has & HAS_KNOWN;
    if (has & SSH_SFTP_HAS_SIZE) {
        a.size = nk_cur_be64(c);
    }
    if (has & SSH_SFTP_HAS_OWNER) {
        a.uid = nk_cur_be32(c);
        a.gid = nk_cur_be32(c);
    }
    if (has & SSH_SFTP_HAS_MODE) {
        a.mode = nk_cur_be32(c);
    }
    if (has & SSH_SFTP_HAS_TIMES) {
        a.atime = nk_cur_be32(c);
        a.mtime = nk_cur_be32(c);
    }
    for (uint32_t n = has & HAS_EXTENDED ? nk_cur_be32(c) : 0; n > 0 && !c->failed; n--) {
        (void)ssh_cur_string(c);
        (void)ssh_cur_string(c);
    }
    return a;
}

uint8_t *ssh_sftp_put32(uint8_t *out, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        *out++ = (uint8_t)(v >> shift);
    }
    return out;
}

uint8_t *ssh_sftp_put64(uint8_t *out, uint64_t v)
{
    return ssh_sftp_put32(ssh_sftp_put32(out, (uint32_t)(v >> 32)), (uint32_t)v);
}

size_t ssh_sftp_put_attrs(uint8_t out[SSH_SFTP_ATTRS_MAX], const struct ssh_sftp_attrs *a)
{
    static const struct ssh_sftp_attrs none;
    a = a ? a : &none;
    uint8_t *p = ssh_sftp_put32(out, a->has & HAS_KNOWN);
    if (a->has & SSH_SFTP_HAS_SIZE) {
        p = ssh_sftp_put64(p, a->size);
    }
    if (a->has & SSH_SFTP_HAS_OWNER) {
        p = ssh_sftp_put32(ssh_sftp_put32(p, a->uid), a->gid);
    }
    if (a->has & SSH_SFTP_HAS_MODE) {
        p = ssh_sftp_put32(p, a->mode);
    }
    if (a->has & SSH_SFTP_HAS_TIMES) {
        p = ssh_sftp_put32(ssh_sftp_put32(p, a->atime), a->mtime);
    }
    return (size_t)(p - out);
}

bool ssh_sftp_name_ok(struct ssh_str name)
{
    if (name.n == 0 || name.n > SSH_SFTP_NAME_MAX || ssh_str_is(name, ".") ||
        ssh_str_is(name, "..")) {
        return false;
    }
    return !memchr(name.p, '/', name.n) && !memchr(name.p, 0, name.n);
}
