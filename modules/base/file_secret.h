/* SPDX-License-Identifier: MIT */
/* file_secret - whom a file that holds a secret may be trusted from; for file.c. */
#ifndef NK_BASE_FILE_SECRET_H
#define NK_BASE_FILE_SECRET_H

#include "base/err.h"

/*
 * nk_file_secret_open - path has been opened as fd, a regular file: check that nobody else can
 * write to it or, if it is ours, read it, and that nobody else can put another file in its place.
 * *out is a descriptor of the same file, opened through the directories that were checked, so that
 * what is read is what was checked; the caller closes both.
 *
 * In the place of a file: whoever may write to a directory above it, unless the sticky bit keeps
 * them from moving what is not theirs. One more is allowed, as containers are given volumes that
 * everybody may write to (mode 0777): the root of a mounted file system that belongs to root or us,
 * if the next directory below and the file belong to root or us too, and nobody else can write to
 * them. Others with access to the volume can then remove that directory, but not make one that
 * would be accepted.
 *
 * 0, NK_EBADMODE, -errno; diag says what to do.
 */
int nk_file_secret_open(const char *path, int fd, int *out, struct nk_diag *diag);

#endif
