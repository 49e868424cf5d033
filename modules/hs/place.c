/* SPDX-License-Identifier: MIT */
#include "hs/place.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

/* --- directories ------------------------------------------------------------------------------ */

static int take_lock(const struct hs_place *p, struct nk_diag *diag)
{
    if (flock(p->fd, LOCK_EX | LOCK_NB) == 0) {
        return 0;
    }
    if (errno != EWOULDBLOCK) {
        return nk_fail_sys(diag, -errno, "cannot lock %s", p->path);
    }
    return nk_fail(diag, NK_ELOCKED, "%s is being changed by another process", p->path);
}

/* Takes fd. */
static int set_up(struct hs_place *out, int fd, const char *path, unsigned flags,
                  struct nk_diag *diag)
{
    struct stat st;
    struct hs_place p = {.fd = fd};
    size_t n = strlen(path);
    int rc =
        n < sizeof(p.path) ? 0 : nk_fail(diag, NK_ETOOBIG, "the path %.64s.. is too long", path);
    if (rc == 0) {
        memcpy(p.path, path, n + 1);
        rc = fstat(fd, &st) < 0 ? nk_fail_sys(diag, -errno, "cannot check %s", path) : 0;
    }
    if (rc == 0) {
        p.uid = st.st_uid;
        p.gid = st.st_gid;
        p.mode = st.st_mode & 07777;
        rc = flags & HS_PLACE_LOCK ? take_lock(&p, diag) : 0;
    }
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *out = p;
    return 0;
}

/* Have what was made or removed in a directory on the disk; some file systems cannot. */
static int sync_dir(int dir)
{
    int fd = openat(dir, ".", DIR_FLAGS); /* dir may be a path only */
    int rc = fd < 0 || (fsync(fd) < 0 && errno != EINVAL && errno != EROFS) ? -errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

/* Make the directory `name` in `dir`, for the owner of `dir`. */
static int make_in(int dir, const char *name)
{
    struct stat st;
    if (mkdirat(dir, name, 0700) < 0) {
        return errno == EEXIST ? 0 : -errno;
    }
    if (geteuid() == 0 && (fstat(dir, &st) < 0 ||
                           fchownat(dir, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)) {
        return -errno;
    }
    return sync_dir(dir);
}

/* From the directory `from` along `path`: a descriptor of the last one, or -errno. */
static int walk(int from, const char *path, unsigned flags, int link_flag)
{
    char name[NAME_MAX + 1];
    int fd = openat(from, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : 0;
    for (path += strspn(path, "/"); rc == 0 && *path; path += strspn(path, "/")) {
        size_t n = strcspn(path, "/");
        if (n > NAME_MAX) {
            rc = -ENAMETOOLONG;
            break;
        }
        memcpy(name, path, n);
        name[n] = '\0';
        path += n;
        int next = openat(fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC | link_flag);
        rc = next < 0 ? -errno : 0;
        if (rc == -ENOENT && (flags & HS_PLACE_CREATE) && (rc = make_in(fd, name)) == 0) {
            next = openat(fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
            rc = next < 0 ? -errno : 0;
        }
        close(fd);
        fd = next;
    }
    int out = rc == 0 ? openat(fd, ".", DIR_FLAGS) : rc;
    rc = rc == 0 && out < 0 ? -errno : rc;
    if (fd >= 0) {
        close(fd);
    }
    return rc < 0 ? rc : out;
}

int hs_place_open(struct hs_place *p, const char *path, unsigned flags, struct nk_diag *diag)
{
    *p = (struct hs_place){.fd = -1};
    int fd = -ENOENT;
    if (*path) {
        int from = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        fd = from < 0 ? -errno : walk(from, path, flags, 0);
        if (from >= 0) {
            close(from);
        }
    }
    return fd < 0 ? nk_fail_sys(diag, fd, "cannot open the directory %s", path)
                  : set_up(p, fd, path, flags, diag);
}

int hs_place_sub(struct hs_place *out, const struct hs_place *in, const char *name, unsigned flags,
                 struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    *out = (struct hs_place){.fd = -1};
    if (nk_path_join(path, sizeof(path), in->path, name) < 0) {
        return nk_fail(diag, NK_ETOOBIG, "the path %s/%s is too long", in->path, name);
    }
    int fd = walk(in->fd, name, flags, O_NOFOLLOW);
    return fd < 0 ? nk_fail_sys(diag, fd, "cannot open the directory %s", path)
                  : set_up(out, fd, path, flags, diag);
}

void hs_place_close(struct hs_place *p)
{
    if (p->fd >= 0) {
        close(p->fd);
    }
    p->fd = -1;
}

void hs_place_drop(const struct hs_place *p, const char *name)
{
    char path[NK_PATH_MAX];
    size_t n = strlen(name);
    if (n >= sizeof(path)) {
        return;
    }
    memcpy(path, name, n + 1);
    while (*path && unlinkat(p->fd, path, AT_REMOVEDIR) == 0) {
        char *slash = strrchr(path, '/');
        *(slash ? slash : path) = '\0';
    }
    sync_dir(p->fd);
}

/* --- files ------------------------------------------------------------------------------------ */

bool hs_place_has(const struct hs_place *p, const char *name)
{
    struct stat st;
    return fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int read_opened(int fd, struct nk_buf *out)
{
    struct stat st;
    uint8_t *to;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    }
    /* One byte more than it has by now shows whether it grows. */
    size_t want = (size_t)st.st_size + 1, got = 0;
    if ((uint64_t)st.st_size > HS_PLACE_FILE_MAX) {
        return NK_ETOOBIG;
    }
    int rc = nk_buf_reserve(out, want, &to);
    while (rc == 0 && got < want) {
        ssize_t n = read(fd, to + got, want - got);
        if (n == 0) {
            break;
        }
        if (n > 0) {
            got += (size_t)n;
        } else if (errno != EINTR) {
            rc = -errno;
        }
    }
    if (rc == 0 && got == want) {
        rc = -EBUSY;
    }
    if (rc == 0) {
        nk_buf_commit(out, got);
    }
    return rc;
}

int hs_place_read(const struct hs_place *p, const char *name, struct nk_buf *out,
                  struct nk_diag *diag)
{
    /* Without O_NONBLOCK opening a FIFO would wait for its writer. */
    int fd = openat(p->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : read_opened(fd, out);
    if (fd >= 0) {
        close(fd);
    }
    switch (rc) {
    case 0:
        return 0;
    case -ELOOP:
        return nk_fail(diag, rc, "%s/%s is a symbolic link", p->path, name);
    case -EINVAL:
        return nk_fail(diag, rc, "%s/%s is not a regular file", p->path, name);
    case NK_ETOOBIG:
        return nk_fail(diag, rc, "%s/%s is larger than %zu bytes", p->path, name,
                       HS_PLACE_FILE_MAX);
    default:
        return nk_fail_sys(diag, rc, "cannot read %s/%s", p->path, name);
    }
}

int hs_place_write(const struct hs_place *p, const char *name, unsigned flags, const void *bytes,
                   size_t n, struct nk_diag *diag)
{
    unsigned how = NK_FILE_OF_DIR | (flags & HS_PLACE_OVERWRITE ? NK_FILE_OVERWRITE : 0u);
    int rc = nk_file_write_at(p->fd, name, how, bytes, n);
    if (rc == -EEXIST) {
        return nk_fail(diag, rc, "%s/%s exists", p->path, name);
    }
    return rc < 0 ? nk_fail_sys(diag, rc, "cannot write %s/%s", p->path, name) : 0;
}

int hs_place_remove(const struct hs_place *p, const char *name, struct nk_diag *diag)
{
    int rc = unlinkat(p->fd, name, 0) < 0 ? -errno : sync_dir(p->fd);
    return rc < 0 ? nk_fail_sys(diag, rc, "cannot remove %s/%s", p->path, name) : 0;
}

/* --- lists ------------------------------------------------------------------------------------ */

void hs_names_clear(struct hs_names *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i]);
    }
    free(l->v);
    *l = (struct hs_names){0};
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int hs_names_add(struct hs_names *l, const char *name)
{
    if (l->n == HS_PLACE_FILES_MAX) {
        return NK_ETOOBIG;
    }
    if ((l->n & (l->n - 1)) == 0) { /* the room is the next power of two */
        char **v = realloc(l->v, (l->n ? l->n * 2 : 1) * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        l->v = v;
    }
    l->v[l->n] = strdup(name);
    return l->v[l->n] ? (l->n++, 0) : -ENOMEM;
}

static int read_names(DIR *d, struct hs_names *l)
{
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e) {
            return -errno;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            rc = hs_names_add(l, e->d_name);
        }
    }
    return rc;
}

int hs_place_list(const struct hs_place *p, struct hs_names *out, struct nk_diag *diag)
{
    struct hs_names l = {0};
    *out = l;
    int fd = openat(p->fd, ".", DIR_FLAGS); /* a descriptor with a position of its own */
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int rc = d ? read_names(d, &l) : -errno;
    if (d) {
        closedir(d);
    } else if (fd >= 0) {
        close(fd);
    }
    if (rc < 0) {
        hs_names_clear(&l);
        return nk_fail_sys(diag, rc, "cannot list %s", p->path);
    }
    if (l.n > 1) {
        qsort(l.v, l.n, sizeof(*l.v), compare);
    }
    *out = l;
    return 0;
}

bool hs_is_leftover(const char *name)
{
    size_t n = strlen(name), head = sizeof(NK_FILE_TEMP_PREFIX) - 1,
           tail = sizeof(NK_FILE_TEMP_SUFFIX) - 1;
    return n > head + tail && memcmp(name, NK_FILE_TEMP_PREFIX, head) == 0 &&
           strcmp(name + n - tail, NK_FILE_TEMP_SUFFIX) == 0;
}
