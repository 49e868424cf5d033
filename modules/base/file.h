/* SPDX-License-Identifier: MIT */
/*
 * file - careful file access: bounded reads, safe secret files, atomic writes, locks, directories.
 *
 * Nothing here blocks on a FIFO or device: files are opened O_NONBLOCK|O_CLOEXEC and must be
 * regular (except where stdin or an fd is given). These calls block on disk: use them at start, in
 * one-shot commands or in a work lane, never in a loop callback of a busy service.
 */
#ifndef NK_BASE_FILE_H
#define NK_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

enum nk_file_flags {
    NK_FILE_SECRET = 1,    /* refuse group/other access bits if owned by us; always refuse writable
                              by others (files and parents; sticky directories excepted, and volumes
                              of containers under conditions: see file_secret.h) */
    NK_FILE_OVERWRITE = 2, /* replace an existing file (by rename) */
    NK_FILE_PUBLIC = 4,    /* write with mode 0644 instead of 0600 */
    NK_FILE_CONFIG = 8,    /* the path comes from the configuration: missing, or not a regular file,
                                 is NK_ECONFIG (exit code 78) */
    NK_FILE_OF_DIR = 16    /* when written by root, the file belongs to its directory's owner */
};

/* What the names of temporary files begin and end with. */
#define NK_FILE_TEMP_PREFIX ".netkit-"
#define NK_FILE_TEMP_SUFFIX ".tmp"
#define NK_FILE_TEMP_SIZE 40 /* bytes of such a name, with its end */

/* nk_file_read - append the whole regular file at path to out (whose max bounds it). "-" is stdin.
 * Symbolic links are followed (Kubernetes secrets are links); with NK_FILE_SECRET the checks above
 * apply to the opened file (fstat), relaxed to write bits below $CREDENTIALS_DIRECTORY and
 * /run/secrets. Returns 0, -errno (-EISDIR, -EINVAL: not a regular file), NK_EBADMODE, NK_ETOOBIG;
 * on failure nothing was appended; diag names path, owner, mode, remedy. */
int nk_file_read(const char *path, unsigned flags, struct nk_buf *out, struct nk_diag *diag);

/* nk_file_read_fd - read an inherited fd to its end, bounded by out->max; does not close it. Waits
 * for the writer of a pipe. */
int nk_file_read_fd(int fd, struct nk_buf *out, struct nk_diag *diag);

/* nk_file_read_secret - a password or key file into guarded memory: NK_FILE_SECRET checks, one
 * trailing LF or CRLF removed when `line` is true. Empty contents, a missing path and what is no
 * regular file are NK_ECONFIG; other errors as nk_file_read. out keeps its contents on failure. */
int nk_file_read_secret(const char *path, bool line, struct nk_secret *out, struct nk_diag *diag);

/* nk_file_write - create path with exactly n bytes: temporary file in the same directory (0600,
 * O_EXCL|O_NOFOLLOW), write, fsync, rename, fsync of the directory. Without NK_FILE_OVERWRITE an
 * existing path is -EEXIST and untouched; with it a symbolic link is replaced, not followed. On any
 * failure before the rename nothing is left behind. Needs nk_crypto_init (the name is random). */
int nk_file_write(const char *path, unsigned flags, const void *p, size_t n, struct nk_diag *diag);

/* A file whose bytes are on the disk and that has no name yet; .dir is -1 when there is none. */
struct nk_file_draft {
    int dir;
    unsigned flags;
    const char *name, *path; /* within what was given */
    char temp[NK_FILE_TEMP_SIZE];
};

/* nk_file_draft - the first half of nk_file_write, for a file that must not appear before something
 * else has succeeded: everything that can fail but the rename. path has to stay. Errors as above;
 * -EISDIR for a directory, too. End it with one of the next two. */
int nk_file_draft(struct nk_file_draft *d, const char *path, unsigned flags, const void *p,
                  size_t n, struct nk_diag *diag);

/* nk_file_publish - give it its name. On failure nothing is left behind. */
int nk_file_publish(struct nk_file_draft *d, struct nk_diag *diag);

/* nk_file_discard - remove it; safe when there is none. */
void nk_file_discard(struct nk_file_draft *d);

/* nk_file_write_at - the same for a file `name` in the directory that dir is a descriptor of;
 * returns the error without a text. */
int nk_file_write_at(int dir, const char *name, unsigned flags, const void *p, size_t n);

/* nk_file_dir - the directory that path names something in: all before its last slash, "." when it
 * has none. 0 or -ENAMETOOLONG. */
int nk_file_dir(char *out, size_t max, const char *path);

/* nk_mkdirs - create path and missing parents with mode 0700; an existing directory is fine. */
int nk_mkdirs(const char *path, struct nk_diag *diag);

/* nk_remove_tree - remove a directory with all that is in it, at most 16 levels deep. Symbolic
 * links are removed, not followed; path itself must not be one. What can be removed is, also after
 * a failure. 0 (also when nothing is there), NK_ETOOBIG (too deep), -errno. */
int nk_remove_tree(const char *path);

/* nk_lock_open - open/create path (0600) and take an exclusive flock without waiting; the fd in
 * *out holds it until closed (children do not inherit it). NK_ELOCKED when another process has it
 * (diag names its pid if known). */
int nk_lock_open(const char *path, int *out, struct nk_diag *diag);

/* nk_path_join - out = dir/name with one slash; NK_ETOOBIG if it does not fit in max. */
int nk_path_join(char *out, size_t max, const char *dir, const char *name);

#define NK_PATH_MAX 1024 /* longest path netkit builds itself */

#endif
