/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/codec.h"

/* A temporary directory; all paths of a test are below it. */
struct place {
    char dir[64];
    char path[3][128];
    struct nk_buf buf;
    struct nk_secret secret;
    struct nk_diag diag;
};

static int set_up(void **state)
{
    struct place *w = calloc(1, sizeof *w);
    if (!w)
        return -1;
    *state = w;
    snprintf(w->dir, sizeof w->dir, "/tmp/nk-file-XXXXXX");
    nk_buf_init(&w->buf, 1000);
    return nk_crypto_init() == 0 && mkdtemp(w->dir) ? 0 : -1;
}

static void remove_tree(const char *dir)
{
    char path[NK_PATH_MAX];
    DIR *d = opendir(dir);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (nk_path_join(path, sizeof path, dir, e->d_name) == 0 && unlink(path) < 0)
            remove_tree(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

static int tear_down(void **state)
{
    struct place *w = *state;
    remove_tree(w->dir);
    nk_buf_clear(&w->buf);
    nk_secret_clear(&w->secret);
    free(w);
    return 0;
}

static const char *at(struct place *w, int i, const char *name)
{
    assert_int_equal(nk_path_join(w->path[i], sizeof w->path[i], w->dir, name), 0);
    return w->path[i];
}

static const char *put(struct place *w, int i, const char *name, const char *text, mode_t mode)
{
    const char *path = at(w, i, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static size_t entries(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static int read_secret(struct place *w, const char *path)
{
    return nk_file_read_secret(path, true, &w->secret, &w->diag);
}

static void assert_secret(const struct place *w, const char *want)
{
    assert_int_equal(w->secret.len, strlen(want));
    assert_memory_equal(w->secret.data, want, strlen(want));
}

static void reading(void **state)
{
    struct place *w = *state;
    const char *path = put(w, 0, "f", "contents", 0644);
    assert_int_equal(nk_buf_puts(&w->buf, "old "), 0);
    assert_int_equal(nk_file_read(path, 0, &w->buf, &w->diag), 0);
    assert_string_equal(nk_buf_str(&w->buf), "old contents");
    assert_int_equal(nk_file_read(at(w, 1, "none"), 0, &w->buf, &w->diag), -ENOENT);
    assert_non_null(strstr(w->diag.text, w->path[1]));
    assert_int_equal(nk_file_read(w->dir, 0, &w->buf, &w->diag), -EISDIR);
    assert_int_equal(nk_file_read("/dev/null", 0, &w->buf, &w->diag), -EINVAL);
    assert_non_null(strstr(w->diag.text, "not a regular file"));
    assert_int_equal(nk_file_read(w->path[1], NK_FILE_CONFIG, &w->buf, &w->diag), NK_ECONFIG);
    assert_non_null(strstr(w->diag.text, w->path[1]));
    assert_int_equal(nk_file_read(w->dir, NK_FILE_CONFIG, &w->buf, NULL), NK_ECONFIG);
    assert_int_equal(nk_file_read("/dev/null", NK_FILE_CONFIG, &w->buf, &w->diag), NK_ECONFIG);
    assert_string_equal(nk_buf_str(&w->buf), "old contents");
}

static void reading_is_bounded(void **state)
{
    struct place *w = *state;
    char lots[1002];
    memset(lots, 'x', sizeof lots);
    lots[1001] = '\0';
    put(w, 0, "f", lots, 0600);
    assert_int_equal(nk_file_read(w->path[0], 0, &w->buf, &w->diag), NK_ETOOBIG);
    assert_int_equal(nk_buf_len(&w->buf), 0);
    assert_int_equal(nk_file_read("/proc/self/maps", 0, &w->buf, &w->diag), NK_ETOOBIG);
    put(w, 0, "f", lots + 1, 0600);
    assert_int_equal(nk_file_read(w->path[0], 0, &w->buf, &w->diag), 0);
    assert_int_equal(nk_buf_len(&w->buf), 1000);
}

static void fifo_does_not_hang(void **state)
{
    struct place *w = *state;
    assert_int_equal(mkfifo(at(w, 0, "fifo"), 0600), 0);
    assert_int_equal(nk_file_read(w->path[0], 0, &w->buf, &w->diag), -EINVAL);
    assert_int_equal(read_secret(w, w->path[0]), NK_ECONFIG);
    int fd = -1;
    assert_int_equal(nk_lock_open(w->path[0], &fd, &w->diag), -EINVAL);
    assert_int_equal(fd, -1);
}

static void descriptors(void **state)
{
    struct place *w = *state;
    int fd[2];
    assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(write(fd[1], "from a pipe", 11), 11);
    close(fd[1]);
    assert_int_equal(nk_file_read_fd(fd[0], &w->buf, &w->diag), 0);
    assert_string_equal(nk_buf_str(&w->buf), "from a pipe");
    close(fd[0]);
    assert_int_equal(nk_file_read_fd(fd[0], &w->buf, &w->diag), -EBADF);
    char want[40];
    snprintf(want, sizeof want, "cannot read descriptor %d:", fd[0]);
    assert_memory_equal(w->diag.text, want, strlen(want));
}

static void secret_lines(void **state)
{
    struct place *w = *state;
    static const char *const v[][2] = {{"pw", "pw"},       {"pw\n", "pw"},     {"pw\r\n", "pw"},
                                       {"pw\n\n", "pw\n"}, {" pw \n", " pw "}, {"pw\r", "pw\r"}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        assert_int_equal(read_secret(w, put(w, 0, "pw", v[i][0], 0600)), 0);
        assert_secret(w, v[i][1]);
    }
    assert_int_equal(nk_file_read_secret(put(w, 0, "pw", "pw\n", 0600), false, &w->secret, NULL),
                     0);
    assert_secret(w, "pw\n");
}

static void unusable_secrets(void **state)
{
    struct place *w = *state;
    static const char *const empty[] = {"", "\n", "\r\n"};
    assert_int_equal(nk_secret_set(&w->secret, "before", 6), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(read_secret(w, put(w, 0, "pw", empty[i], 0600)), NK_ECONFIG);
        assert_non_null(strstr(w->diag.text, "is empty"));
    }
    assert_int_equal(read_secret(w, at(w, 0, "missing")), NK_ECONFIG);
    assert_non_null(strstr(w->diag.text, "No such file"));
    assert_int_equal(read_secret(w, w->dir), NK_ECONFIG);
    assert_int_equal(read_secret(w, "/dev/null"), NK_ECONFIG);
    assert_int_equal(nk_file_read_secret(w->dir, true, &w->secret, NULL), NK_ECONFIG);
    assert_secret(w, "before");
}

static void secret_modes(void **state)
{
    struct place *w = *state;
    static const mode_t bad[] = {0666, 0644, 0640, 0604, 0620, 0602, 0444, 0610};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char want[220];
        put(w, 0, "pw", "pw", bad[i]);
        assert_int_equal(read_secret(w, w->path[0]), NK_EBADMODE);
        snprintf(want, sizeof want, "secret file %s (owner uid %u, mode 0%03o) can be ", w->path[0],
                 (unsigned)geteuid(), (unsigned)bad[i]);
        assert_memory_equal(w->diag.text, want, strlen(want));
        snprintf(want, sizeof want, "chmod 600 %s", w->path[0]);
        assert_string_equal(w->diag.hint, want);
    }
    assert_int_equal(read_secret(w, put(w, 0, "pw", "pw", 0400)), 0);
    /* Reading without the flag asks for nothing. */
    assert_int_equal(nk_file_read(put(w, 0, "pw", "pw", 0666), 0, &w->buf, NULL), 0);
}

static void secret_of_another_owner(void **state)
{
    struct place *w = *state;
    if (geteuid() != 0) {
        print_message("base/file: another owner's files need root: skipped\n");
        skip();
    }
    put(w, 0, "pw", "pw", 0444);
    assert_int_equal(chown(w->path[0], 65534, 65534), 0);
    assert_int_equal(read_secret(w, w->path[0]), 0); /* readable by others is its owner's choice */
    assert_int_equal(chmod(w->path[0], 0464), 0);
    assert_int_equal(read_secret(w, w->path[0]), NK_EBADMODE); /* writable never is */
}

static void secret_parents(void **state)
{
    struct place *w = *state;
    char want[220];
    assert_int_equal(mkdir(at(w, 0, "d"), 0700), 0);
    put(w, 1, "d/pw", "pw", 0600);
    assert_int_equal(read_secret(w, w->path[1]), 0);
    assert_int_equal(chmod(w->path[0], 0770), 0);
    assert_int_equal(read_secret(w, w->path[1]), NK_EBADMODE);
    snprintf(want, sizeof want, "directory %s (", w->path[0]);
    assert_memory_equal(w->diag.text, want, strlen(want));
    snprintf(want, sizeof want, "chmod go-w %s", w->path[0]);
    assert_string_equal(w->diag.hint, want);
    assert_int_equal(chmod(w->path[0], 01777), 0); /* sticky, as /tmp */
    assert_int_equal(read_secret(w, w->path[1]), 0);
    /* The real place counts, not the one of a link to it. */
    assert_int_equal(chmod(w->path[0], 0777), 0);
    assert_int_equal(symlink(w->path[1], at(w, 2, "link")), 0);
    assert_int_equal(read_secret(w, w->path[2]), NK_EBADMODE);
}

/* A link is as good as the directory that it is in. */
static void secret_links(void **state)
{
    struct place *w = *state;
    assert_int_equal(mkdir(at(w, 0, "d"), 0700), 0);
    put(w, 1, "pw", "pw", 0600);
    assert_int_equal(symlink(w->path[1], at(w, 2, "d/link")), 0);
    assert_int_equal(read_secret(w, w->path[2]), 0);
    assert_int_equal(chmod(w->path[0], 0777), 0);
    assert_int_equal(read_secret(w, w->path[2]), NK_EBADMODE);
    assert_non_null(strstr(w->diag.text, w->path[0]));
    assert_int_equal(chmod(w->path[0], 01777), 0);
    assert_int_equal(read_secret(w, w->path[2]), 0);
    /* on the way, too */
    assert_int_equal(unlink(w->path[2]), 0);
    assert_int_equal(symlink(w->dir, w->path[2]), 0);
    put(w, 1, "d/link/pw", "pw", 0600);
    assert_int_equal(read_secret(w, w->path[1]), 0);
    assert_int_equal(chmod(w->path[0], 0777), 0);
    assert_int_equal(read_secret(w, w->path[1]), NK_EBADMODE);
    assert_int_equal(chmod(w->path[0], 0700), 0);
}

/* In a mount namespace of its own: a volume at w->dir with this mode and owner, in it "d" and in
 * that "pw". Returns what reading says, and its hint; 1000: the volume could not be made. */
static int read_in_volume(struct place *w, uid_t volume, mode_t volume_mode, uid_t d, mode_t d_mode,
                          uid_t pw, const char *name)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", w->dir, "tmpfs", 0, "mode=0700") < 0) {
        return 1000;
    }
    if (mkdir(at(w, 0, "d"), d_mode) < 0 || chmod(w->path[0], d_mode) < 0 ||
        chown(w->path[0], d, d) < 0) {
        return 1001;
    }
    const char *path = put(w, 1, name, "pw", 0600);
    if (chown(path, pw, pw) < 0 || chown(w->dir, volume, volume) < 0 ||
        chmod(w->dir, volume_mode) < 0) {
        return 1002;
    }
    return read_secret(w, path);
}

/* Kubernetes: an emptyDir is the root of a mount with mode 0777. */
static void secret_in_a_volume(void **state)
{
    struct place *w = *state;
    enum { OTHER = 65534 };
    static const struct {
        uid_t volume;
        mode_t volume_mode;
        uid_t d;
        mode_t d_mode;
        uid_t pw;
        const char *name;
        int want;
        const char *hint;
    } v[] = {
        {0, 0755, 0, 0700, 0, "d/pw", 0, NULL},
        {0, 0777, 0, 0700, 0, "d/pw", 0, NULL},
        {0, 02775, 0, 0755, 0, "d/pw", 0, NULL},
        {0, 0777, 0, 0770, 0, "d/pw", NK_EBADMODE, "mkdir -m 700"},
        {0, 0777, OTHER, 0700, 0, "d/pw", NK_EBADMODE, "mkdir -m 700"},
        {0, 0777, 0, 0700, OTHER, "d/pw", NK_EBADMODE, "has to belong to uid"},
        {0, 0777, 0, 0700, 0, "pw", NK_EBADMODE, "mkdir -m 700"}, /* in the root itself */
        {0, 01777, 0, 0700, 0, "pw", 0, NULL},                    /* sticky, as ever */
        {OTHER, 0777, 0, 0700, 0, "d/pw", NK_EBADMODE, "have its owner run"},
    };
    if (geteuid() != 0) {
        print_message("base/file: mounting needs root: skipped\n");
        skip();
    }
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            int got = read_in_volume(w, v[i].volume, v[i].volume_mode, v[i].d, v[i].d_mode, v[i].pw,
                                     v[i].name);
            bool said = !v[i].hint || strstr(w->diag.hint, v[i].hint);
            if (got != v[i].want || !said)
                print_message("case %zu: %d %s (%s)\n", i, got, w->diag.text, w->diag.hint);
            _exit(got >= 1000 ? 2 : got != v[i].want || !said);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
            print_message("base/file: this container may not mount: skipped\n");
            skip();
        }
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* Kubernetes: name -> ..data/name, ..data -> ..2026_01_01. */
static void secret_behind_links(void **state)
{
    struct place *w = *state;
    assert_int_equal(mkdir(at(w, 0, "..2026"), 0755), 0);
    put(w, 0, "..2026/pw", "linked\n", 0600);
    assert_int_equal(symlink("..2026", at(w, 0, "..data")), 0);
    assert_int_equal(symlink("..data/pw", at(w, 1, "pw")), 0);
    assert_int_equal(read_secret(w, w->path[1]), 0);
    assert_secret(w, "linked");
}

static void credentials_directory(void **state)
{
    struct place *w = *state;
    assert_int_equal(mkdir(at(w, 0, "cred"), 0700), 0);
    put(w, 1, "cred/pw", "pw", 0444);
    put(w, 2, "credible", "pw", 0444);
    assert_int_equal(read_secret(w, w->path[1]), NK_EBADMODE);
    setenv("CREDENTIALS_DIRECTORY", w->path[0], 1);
    int inside = read_secret(w, w->path[1]);
    int beside = read_secret(w, w->path[2]);
    int writable = chmod(w->path[1], 0464) < 0 ? -1 : read_secret(w, w->path[1]);
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(inside, 0);
    assert_int_equal(beside, NK_EBADMODE);
    assert_int_equal(writable, NK_EBADMODE);
}

static void writing(void **state)
{
    struct place *w = *state;
    struct stat st;
    const char *path = at(w, 0, "f");
    assert_int_equal(nk_file_write(path, 0, "one", 3, &w->diag), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(nk_file_write(path, 0, "two", 3, &w->diag), -EEXIST);
    assert_int_equal(w->diag.code, -EEXIST);
    assert_int_equal(nk_file_read(path, 0, &w->buf, NULL), 0);
    assert_string_equal(nk_buf_str(&w->buf), "one");
    mode_t old = umask(0);
    assert_int_equal(nk_file_write(path, NK_FILE_OVERWRITE, "three", 5, &w->diag), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    umask(077);
    assert_int_equal(nk_file_write(path, NK_FILE_OVERWRITE | NK_FILE_PUBLIC, "", 0, NULL), 0);
    umask(old);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(st.st_size, 0);
    assert_int_equal(entries(w->dir), 1);
}

static void drafts(void **state)
{
    struct place *w = *state;
    struct nk_file_draft d = {.dir = -1};
    const char *path = at(w, 0, "f");
    nk_file_discard(&d);
    assert_int_equal(nk_file_draft(&d, path, 0, "one", 3, &w->diag), 0);
    assert_int_equal(access(path, F_OK), -1);
    nk_file_discard(&d);
    nk_file_discard(&d);
    assert_int_equal(entries(w->dir), 0);
    assert_int_equal(nk_file_draft(&d, path, 0, "one", 3, &w->diag), 0);
    put(w, 0, "f", "keep", 0600); /* somebody was quicker */
    assert_int_equal(nk_file_publish(&d, &w->diag), -EEXIST);
    assert_int_equal(entries(w->dir), 1);
    assert_int_equal(nk_file_draft(&d, path, NK_FILE_OVERWRITE, "two", 3, &w->diag), 0);
    assert_int_equal(nk_file_read(path, 0, &w->buf, NULL), 0);
    assert_string_equal(nk_buf_str(&w->buf), "keep");
    assert_int_equal(nk_file_publish(&d, &w->diag), 0);
    assert_int_equal(d.dir, -1);
    nk_buf_clear(&w->buf);
    assert_int_equal(nk_file_read(path, 0, &w->buf, NULL), 0);
    assert_string_equal(nk_buf_str(&w->buf), "two");
    assert_int_equal(entries(w->dir), 1);
}

static void writing_never_follows(void **state)
{
    struct place *w = *state;
    put(w, 0, "target", "keep", 0600);
    assert_int_equal(symlink("target", at(w, 1, "link")), 0);
    assert_int_equal(nk_file_write(w->path[1], 0, "x", 1, NULL), -EEXIST);
    assert_int_equal(symlink("nowhere", at(w, 2, "dangling")), 0);
    assert_int_equal(nk_file_write(w->path[2], 0, "x", 1, NULL), -EEXIST);
    assert_int_equal(nk_file_write(w->path[1], NK_FILE_OVERWRITE, "new", 3, NULL), 0);
    assert_int_equal(nk_file_read(w->path[0], 0, &w->buf, NULL), 0);
    assert_string_equal(nk_buf_str(&w->buf), "keep");
    assert_int_equal(entries(w->dir), 3);
}

static void bad_targets(void **state)
{
    struct place *w = *state;
    char longest[NK_PATH_MAX + 20];
    assert_int_equal(nk_file_write("", 0, "x", 1, &w->diag), -EINVAL);
    assert_int_equal(nk_file_write("/tmp/", 0, "x", 1, &w->diag), -EINVAL);
    assert_int_equal(nk_file_write(at(w, 0, "no/such"), 0, "x", 1, &w->diag), -ENOENT);
    assert_int_equal(mkdir(at(w, 1, "d"), 0700), 0);
    assert_int_equal(nk_file_write(w->path[1], 0, "x", 1, &w->diag), -EEXIST);
    assert_int_equal(nk_file_write(w->path[1], NK_FILE_OVERWRITE, "x", 1, &w->diag), -EISDIR);
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 2] = '/';
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(nk_file_write(longest, 0, "x", 1, &w->diag), -ENAMETOOLONG);
    assert_int_equal(entries(w->dir), 1);
}

static void relative_paths(void **state)
{
    struct place *w = *state;
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(here >= 0);
    assert_int_equal(chdir(w->dir), 0);
    int r = nk_file_write("plain", 0, "x", 1, &w->diag);
    int r2 = nk_mkdirs("a/b", &w->diag);
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_int_equal(r, 0);
    assert_int_equal(r2, 0);
    assert_int_equal(access(at(w, 0, "plain"), F_OK), 0);
    assert_int_equal(access(at(w, 0, "a/b"), F_OK), 0);
}

/* A file size limit fails in the middle of a write, as a full disk does. */
static void full_disk_leaves_nothing(void **state)
{
    struct place *w = *state;
    struct rlimit old, small;
    static char lots[5000];
    put(w, 0, "f", "old", 0600);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1000;
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int over = nk_file_write(w->path[0], NK_FILE_OVERWRITE, lots, sizeof lots, &w->diag);
    int fresh = nk_file_write(at(w, 1, "g"), 0, lots, sizeof lots, &w->diag);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, before);
    assert_int_equal(over, -EFBIG);
    assert_int_equal(fresh, -EFBIG);
    assert_int_equal(nk_file_read(w->path[0], 0, &w->buf, NULL), 0);
    assert_string_equal(nk_buf_str(&w->buf), "old");
    assert_int_equal(entries(w->dir), 1);
}

static void making_directories(void **state)
{
    struct place *w = *state;
    struct stat st;
    char longest[NK_PATH_MAX + 20];
    mode_t old = umask(0);
    assert_int_equal(nk_mkdirs(at(w, 0, "a/b//c/"), &w->diag), 0);
    umask(old);
    assert_int_equal(stat(at(w, 1, "a/b"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(nk_mkdirs(w->path[0], &w->diag), 0);
    assert_int_equal(nk_mkdirs("/", &w->diag), 0);
    put(w, 1, "file", "x", 0600);
    assert_int_equal(nk_mkdirs(w->path[1], &w->diag), -ENOTDIR);
    assert_int_equal(nk_mkdirs(at(w, 1, "file/below"), &w->diag), -ENOTDIR);
    assert_int_equal(symlink("a", at(w, 1, "link")), 0);
    assert_int_equal(nk_mkdirs(at(w, 1, "link/z"), &w->diag), 0);
    assert_int_equal(nk_mkdirs("", &w->diag), -ENOENT);
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(nk_mkdirs(longest, &w->diag), -ENAMETOOLONG);
}

static void locks(void **state)
{
    struct place *w = *state;
    int a = -1, b = -1;
    char want[64];
    const char *path = at(w, 0, "lock");
    assert_int_equal(nk_lock_open(path, &a, &w->diag), 0);
    assert_true(fcntl(a, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(nk_lock_open(path, &b, &w->diag), NK_ELOCKED);
    assert_int_equal(b, -1);
    snprintf(want, sizeof want, "by process %ld", (long)getpid());
    assert_non_null(strstr(w->diag.text, want));
    close(a);
    assert_int_equal(nk_lock_open(path, &a, &w->diag), 0);
    close(a);
    assert_int_equal(symlink("lock", at(w, 1, "link")), 0);
    assert_int_equal(nk_lock_open(w->path[1], &a, &w->diag), -ELOOP);
    assert_int_equal(nk_lock_open(w->dir, &a, &w->diag), -EISDIR);
}

static void joining_paths(void **state)
{
    (void)state;
    char out[10];
    assert_int_equal(nk_path_join(out, sizeof out, "/a", "b"), 0);
    assert_string_equal(out, "/a/b");
    assert_int_equal(nk_path_join(out, sizeof out, "/a//", "b"), 0);
    assert_string_equal(out, "/a/b");
    assert_int_equal(nk_path_join(out, sizeof out, "/", "b"), 0);
    assert_string_equal(out, "/b");
    assert_int_equal(nk_path_join(out, sizeof out, "", "b"), 0);
    assert_string_equal(out, "b");
    assert_int_equal(nk_path_join(out, sizeof out, "/1234", "789"), 0);
    assert_string_equal(out, "/1234/789");
    assert_int_equal(nk_path_join(out, sizeof out, "/1234", "7890"), NK_ETOOBIG);
}

static void directories_of_paths(void **state)
{
    static const char *const rows[][2] = {{"a", "."},     {"a/b", "a"}, {"/a", "/"},
                                          {"/a/b", "/a"}, {"a/", "a"},  {"", "."}};
    char out[3], full[2];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(nk_file_dir(out, sizeof(out), rows[i][0]), 0);
        assert_string_equal(out, rows[i][1]);
    }
    assert_int_equal(nk_file_dir(full, sizeof(full), "ab/c"), -ENAMETOOLONG);
}

static void make_empty(const char *path)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0400);
    assert_true(fd >= 0);
    close(fd);
}

static void removing_trees(void **state)
{
    char root[] = "/tmp/nk-tree-test-XXXXXX", path[256], kept[64], link[64];
    (void)state;
    assert_non_null(mkdtemp(root));
    (void)snprintf(kept, sizeof(kept), "%s.kept", root);
    (void)snprintf(link, sizeof(link), "%s.link", root);
    assert_int_equal(mkdir(kept, 0700), 0);
    assert_int_equal(symlink(kept, link), 0);
    (void)snprintf(path, sizeof(path), "%s/file", kept);
    make_empty(path);
    (void)snprintf(path, sizeof(path), "%s/link", root);
    assert_int_equal(symlink(kept, path), 0);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(path, sizeof(path), "%s/%d", root, i);
        make_empty(path);
    }
    (void)snprintf(path, sizeof(path), "%s", root);
    for (int i = 0; i < 5; i++) {
        size_t n = strlen(path);
        (void)snprintf(path + n, sizeof(path) - n, "/d%d", i);
        assert_int_equal(mkdir(path, 0700), 0);
        n = strlen(path);
        (void)snprintf(path + n, sizeof(path) - n, "/f");
        make_empty(path);
        path[n] = '\0';
    }
    assert_int_equal(nk_remove_tree(link), -ENOTDIR); /* a link: what it leads to stays */
    assert_int_equal(nk_remove_tree(root), 0);
    assert_int_equal(access(root, F_OK), -1);
    assert_int_equal(nk_remove_tree(root), 0);
    (void)snprintf(path, sizeof(path), "%s/file", kept);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(nk_remove_tree(kept), 0);
    assert_int_equal(unlink(link), 0);
}

static void trees_have_a_depth(void **state)
{
    char path[256] = "/tmp/nk-tree-test-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(path));
    const size_t root = strlen(path);
    for (int i = 0; i < 20; i++) {
        size_t n = strlen(path);
        (void)snprintf(path + n, sizeof(path) - n, "/d");
        assert_int_equal(mkdir(path, 0700), 0);
    }
    path[root] = '\0';
    assert_int_equal(nk_remove_tree(path), NK_ETOOBIG);
    char deep[300];
    (void)snprintf(deep, sizeof(deep), "%s/d/d/d/d/d/d", path);
    assert_int_equal(nk_remove_tree(deep), 0);
    path[root] = '\0';
    assert_int_equal(nk_remove_tree(path), 0);
}

#define WITH_PLACE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int nk_test_base_file(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLACE(reading),
        WITH_PLACE(reading_is_bounded),
        WITH_PLACE(fifo_does_not_hang),
        WITH_PLACE(descriptors),
        WITH_PLACE(secret_lines),
        WITH_PLACE(unusable_secrets),
        WITH_PLACE(secret_modes),
        WITH_PLACE(secret_of_another_owner),
        WITH_PLACE(secret_parents),
        WITH_PLACE(secret_links),
        WITH_PLACE(secret_in_a_volume),
        WITH_PLACE(secret_behind_links),
        WITH_PLACE(credentials_directory),
        WITH_PLACE(writing),
        WITH_PLACE(drafts),
        WITH_PLACE(writing_never_follows),
        WITH_PLACE(bad_targets),
        WITH_PLACE(relative_paths),
        WITH_PLACE(full_disk_leaves_nothing),
        WITH_PLACE(making_directories),
        WITH_PLACE(locks),
        cmocka_unit_test(removing_trees),
        cmocka_unit_test(trees_have_a_depth),
        cmocka_unit_test(joining_paths),
        cmocka_unit_test(directories_of_paths),
    };
    return cmocka_run_group_tests_name("base/file", tests, NULL, NULL);
}
