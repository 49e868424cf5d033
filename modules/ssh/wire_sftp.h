/* SPDX-License-Identifier: MIT */
/*
 * wire_sftp - what travels in an SFTP connection of version 3 (draft-ietf-secsh-filexfer-02):
 * numbers, and attributes of files.
 */
#ifndef SSH_WIRE_SFTP_H
#define SSH_WIRE_SFTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ssh/wire.h"

/* Types of packets (section 3). */
enum ssh_fxp {
    SSH_FXP_INIT = 1,
    SSH_FXP_VERSION = 2,
    SSH_FXP_OPEN = 3,
    SSH_FXP_CLOSE = 4,
    SSH_FXP_READ = 5,
    SSH_FXP_WRITE = 6,
    SSH_FXP_LSTAT = 7,
    SSH_FXP_FSTAT = 8,
    SSH_FXP_SETSTAT = 9,
    SSH_FXP_FSETSTAT = 10,
    SSH_FXP_OPENDIR = 11,
    SSH_FXP_READDIR = 12,
    SSH_FXP_REMOVE = 13,
    SSH_FXP_MKDIR = 14,
    SSH_FXP_RMDIR = 15,
    SSH_FXP_REALPATH = 16,
    SSH_FXP_STAT = 17,
    SSH_FXP_RENAME = 18,
    SSH_FXP_READLINK = 19,
    SSH_FXP_STATUS = 101,
    SSH_FXP_HANDLE = 102,
    SSH_FXP_DATA = 103,
    SSH_FXP_NAME = 104,
    SSH_FXP_ATTRS = 105,
    SSH_FXP_EXTENDED = 200,
    SSH_FXP_EXTENDED_REPLY = 201
};

/* Status codes (section 7). */
enum ssh_fx {
    SSH_FX_OK = 0,
    SSH_FX_EOF = 1,
    SSH_FX_NO_SUCH_FILE = 2,
    SSH_FX_PERMISSION_DENIED = 3,
    SSH_FX_FAILURE = 4,
    SSH_FX_BAD_MESSAGE = 5,
    SSH_FX_NO_CONNECTION = 6,
    SSH_FX_CONNECTION_LOST = 7,
    SSH_FX_OP_UNSUPPORTED = 8
};

/* How a file is opened (section 6.3). */
enum ssh_sftp_open {
    SSH_SFTP_READ = 0x01,
    SSH_SFTP_WRITE = 0x02,
    SSH_SFTP_APPEND = 0x04,
    SSH_SFTP_CREATE = 0x08,
    SSH_SFTP_TRUNCATE = 0x10,
    SSH_SFTP_EXCLUSIVE = 0x20
};

/* Which attributes are there (section 5). */
enum ssh_sftp_has {
    SSH_SFTP_HAS_SIZE = 0x01,
    SSH_SFTP_HAS_OWNER = 0x02,
    SSH_SFTP_HAS_MODE = 0x04,
    SSH_SFTP_HAS_TIMES = 0x08
};

struct ssh_sftp_attrs {
    uint32_t has; /* of enum ssh_sftp_has; what is not there is 0 */
    uint64_t size;
    uint32_t uid, gid;
    uint32_t mode;         /* as in st_mode, type of the file included where the server tells it */
    uint32_t atime, mtime; /* seconds since 1970 */
};

enum {
    SSH_SFTP_ATTRS_MAX = 32, /* of the attributes that are sent */
    SSH_SFTP_NAME_MAX = 255  /* bytes of the name of a file; NAME_MAX of Linux */
};

/* ssh_cur_attrs - attributes; extended ones are passed over. */
struct ssh_sftp_attrs ssh_cur_attrs(struct nk_cur *c);

/* ssh_sftp_put_attrs - all that a->has (NULL: nothing), to out; returns how many bytes. */
size_t ssh_sftp_put_attrs(uint8_t out[SSH_SFTP_ATTRS_MAX], const struct ssh_sftp_attrs *a);

/* ssh_sftp_put32, ssh_sftp_put64 - an integer; returns where it ends. */
uint8_t *ssh_sftp_put32(uint8_t *out, uint32_t v);
uint8_t *ssh_sftp_put64(uint8_t *out, uint64_t v);

/* ssh_sftp_name_ok - may a name that a server tells become the name of a file here, in the
 * directory that is meant and nowhere else? Not when it is empty, "." or "..", longer than
 * SSH_SFTP_NAME_MAX, or has a slash or a NUL byte. */
bool ssh_sftp_name_ok(struct ssh_str name);

#endif
