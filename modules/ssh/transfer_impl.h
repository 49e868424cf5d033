/* SPDX-License-Identifier: MIT */
/* What the parts of a transfer share: transfer.c (connection, order of work, flight),
 * transfer_put.c and transfer_get.c (one file each way, one directory each way). */
#ifndef SSH_TRANSFER_IMPL_H
#define SSH_TRANSFER_IMPL_H

#include <dirent.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "ssh/proto_sftp.h"
#include "ssh/transfer.h"

enum {
    TRANSFER_FILES = 16,        /* at once */
    TRANSFER_DEPTH_MAX = 64,    /* directories in one another */
    TRANSFER_TAIL = 32 * 1024,  /* bytes that are compared before something is resumed */
    TRANSFER_CONTROL_SLOTS = 64 /* requests that reading and writing leave to everything else */
};
_Static_assert((int)TRANSFER_TAIL <= (int)SSH_SFTP_DATA_DEFAULT,
               "every server reads a tail at once");

/* Why a file is left out, or refused. */
#define TRANSFER_PART "a part of another transfer"
#define TRANSFER_COLLISION "two files for one name:"

/* A directory that is being gone through. */
struct transfer_dir {
    struct ssh_transfer *t;
    struct transfer_dir *up;
    unsigned refs; /* of files and subdirectories, and of the walk */
    unsigned depth;
    int fd;       /* here; closed with list when there is one */
    DIR *list;    /* put: what is in it */
    char *remote; /* there */
    bool waiting; /* for a reply */
    bool ended;   /* all names are known */
    bool open;    /* get: handle is valid */
    bool made;    /* by us, or its mode and times are to be preserved */
    struct ssh_sftp_handle handle;
    struct nk_buf names;         /* get: what is left of a reply */
    struct ssh_sftp_attrs attrs; /* its mode and times */
};

enum transfer_step {
    STEP_FREE,
    STEP_LOOK,   /* put: is the file there, or a part of it? */
    STEP_OLD,    /* put: open what was found */
    STEP_TAIL,   /* compare its end */
    STEP_REMOVE, /* put: it is of no use */
    STEP_OPEN,
    STEP_DATA,
    STEP_CLOSE,
    STEP_SET, /* put: mode and times */
    STEP_RENAME,
    STEP_REPLACE, /* put: the name is taken, and the server cannot replace at once */
    STEP_SYNC,    /* get: to the disk */
    STEP_FAILED   /* until the last reply has come */
};

/* A file on its way. */
struct transfer_file {
    struct ssh_transfer *t;
    enum transfer_step step;
    struct transfer_dir *dir;         /* NULL: named by the user */
    int fd;                           /* here; -1: none */
    int at;                           /* get: descriptor of the directory that it is to be in */
    char *remote;                     /* its whole name there */
    char *part;                       /* its name until it is whole: put there, get below at */
    char name[SSH_SFTP_NAME_MAX + 1]; /* get: here */
    struct ssh_sftp_handle handle;
    bool open;            /* handle is valid */
    bool part_is;         /* there is a part that is ours */
    bool old_part;        /* resume: it is the part that is being compared, not the file */
    bool again;           /* something is tried a second time */
    bool endless;         /* get: a size that is not known: until the server says that it ends */
    unsigned waiting;     /* requests without a reply */
    uint64_t size, start; /* bytes; start: the size of what is being compared */
    uint64_t next;        /* the first byte that was not asked for */
    struct ssh_sftp_attrs attrs; /* its mode and times */
    struct nk_work *work;
};

struct ssh_transfer {
    struct ssh_transfer_conf conf;
    struct nk_stream *stream;
    struct ssh_sftp sftp;
    uint8_t *input;
    struct nk_defer later; /* go on, and write what is to be written */
    struct ssh_transfer_state state;
    int rc; /* the first failure */
    struct nk_diag why;
    bool connected, over;
    bool to_known, to_dir; /* is conf.to a directory? */
    int to_fd;             /* get: descriptor of it, or of the directory it is to be in */
    size_t from_next;      /* of conf.from */
    bool from_waiting;     /* get: what kind of thing is it? */
    struct transfer_dir *top;
    unsigned active;
    struct transfer_file file[TRANSFER_FILES];
    /* flight: bytes that were asked for or sent, and how many they may be */
    size_t flight, flight_max;
    uint64_t moved;                    /* bytes that were answered */
    const struct transfer_file *probe; /* the round trip that is being measured */
    uint64_t probe_offset, probe_ns, probe_moved, round_trip_ns;
};

/* --- transfer.c --- */

/* transfer_go_on - soon, from the loop. */
void transfer_go_on(struct ssh_transfer *t);

/* transfer_failed - what ("cannot open") went wrong with path, here; told, and kept if it is the
 * first. transfer_reply_failed - the same for a reply; returns whether it is a failure at all.
 * transfer_left_out - path is not transferred, and why. */
void transfer_failed(struct ssh_transfer *t, int rc, const char *what, const char *path);
bool transfer_reply_failed(struct ssh_transfer *t, const struct ssh_sftp_reply *r, const char *what,
                           const char *path);
void transfer_left_out(struct ssh_transfer *t, const char *path, const char *why);

/* transfer_nobody - for requests whose success does not matter. */
struct ssh_sftp_for transfer_nobody(struct ssh_transfer *t);

/* transfer_file_new - a free one; there is one when transfer_*_next is called. It takes the path
 * and the descriptor; NULL when memory ran out before (remote is NULL), which is told. */
struct transfer_file *transfer_file_new(struct ssh_transfer *t, struct transfer_dir *dir,
                                        char *take_remote, int take_fd);
/* transfer_file_whole - it is finished. transfer_file_fail - it cannot be: told, and all that there
 * is of it goes when the last reply has come (transfer_file_clean: is it so far?). */
void transfer_file_whole(struct transfer_file *f);
void transfer_file_fail(struct transfer_file *f, int rc, const char *what);
void transfer_file_stop(struct transfer_file *f); /* without telling, as that has been done */
void transfer_file_clean(struct transfer_file *f);
/* transfer_asked - rc of a request for f: it waits for one reply more, or fails. */
void transfer_asked(struct transfer_file *f, int rc);
/* transfer_same - are these the bytes that the file has here from offset on? */
bool transfer_same(const struct transfer_file *f, uint64_t offset, struct ssh_str data);
/* transfer_begins - from now on its data move, those from `start` on. */
void transfer_begins(struct transfer_file *f, uint64_t start);

/* transfer_may_move - is there room for one more read or write of this file? */
bool transfer_may_move(const struct ssh_transfer *t);
/* transfer_moving - it was asked for. transfer_moved - it was answered; good: n bytes of it count.
 */
void transfer_moving(struct transfer_file *f, uint64_t offset, size_t asked);
void transfer_moved(struct transfer_file *f, const struct ssh_sftp_reply *r, size_t n);

/* transfer_dir_new - below up, or NULL, and now the topmost; NULL when it is too deep or memory ran
 * out, which is told. transfer_dir_leave - the topmost has been gone through. */
struct transfer_dir *transfer_dir_new(struct ssh_transfer *t, struct transfer_dir *up, int take_fd,
                                      const char *remote);
void transfer_dir_leave(struct transfer_dir *d);
/* transfer_dir_unref - the last one frees it. */
void transfer_dir_unref(struct transfer_dir *d);

/* transfer_path - "dir/name" of the server's, to be freed; NULL when memory ran out. An empty dir
 * is the user's home. */
char *transfer_path(const char *dir, const char *name);

/* transfer_is_part - is the thing with this name in dir (NULL: named by the user) a part of another
 * transfer? It is left out, as it could be in the way of the file that it is a part of; one that is
 * all the user has named is not. transfer_collides - is a file on its way that would have the same
 * name, and so the same part? */
bool transfer_is_part(const struct ssh_transfer *t, const struct transfer_dir *dir,
                      const char *name);
bool transfer_collides(const struct transfer_file *f);

/* transfer_base - what follows the last slash, those at the end left out; to out. Empty for "/". */
void transfer_base(char out[SSH_SFTP_NAME_MAX + 1], const char *path);

/* --- transfer_put.c, transfer_get.c --- */

/* Start the next thing of the topmost directory, or, when there is none, of conf.from. false: there
 * is nothing to start until a reply has come, or nothing at all. */
bool transfer_put_next(struct ssh_transfer *t);
bool transfer_get_next(struct ssh_transfer *t);
/* Move what may be moved of a file that is at STEP_DATA. */
void transfer_put_data(struct transfer_file *f);
void transfer_get_data(struct transfer_file *f);
/* The last file of a directory that was made is finished. */
void transfer_put_dir_end(struct transfer_dir *d);
void transfer_get_dir_end(struct transfer_dir *d);
/* Is conf.to a directory? Asked once, before everything else. */
void transfer_put_to(struct ssh_transfer *t);
void transfer_get_to(struct ssh_transfer *t);

#endif
