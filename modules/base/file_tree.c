/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define TREE_DEPTH 16 /* directories below each other: a bound, none of ours is that deep */
#define TREE_PASSES                                                                                \
    8 /* over one directory: what readdir tells of a changing one may be incomplete */

static int empty_dir(int fd, unsigned depth);

static int remove_entry(int dir, const char *name, unsigned depth)
{
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) { /* EPERM is what POSIX says, EISDIR what Linux does */
        return -errno;
    }
    if (depth == 0) {
        return NK_ETOOBIG;
    }
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int rc = empty_dir(fd, depth - 1);
    return rc == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -errno : rc;
}

/* Takes fd. Goes on after an error, so that as little as possible is left; the first one counts. */
static int empty_dir(int fd, unsigned depth)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    int first = 0;
    bool found = true;
    for (int pass = 0; found && first == 0 && pass < TREE_PASSES; pass++) {
        const struct dirent *e;
        found = false;
        rewinddir(d);
        while ((e = readdir(d))) {
            if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
                continue;
            }
            int rc = remove_entry(dirfd(d), e->d_name, depth);
            found = true;
            first = first ? first : rc;
        }
    }
    closedir(d);
    return first;
}

int nk_remove_tree(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    int rc = empty_dir(fd, TREE_DEPTH);
    if (rc == 0 && rmdir(path) < 0) {
        rc = -errno;
    }
    return rc;
}
