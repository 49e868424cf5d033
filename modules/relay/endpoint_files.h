/* SPDX-License-Identifier: MIT */
/*
 * endpoint_files - received objects as files of a directory (`--format files --dir DIR`).
 *
 *     GROUP-KIND-NUMBER.EXT       jobs-item-000000000042.txt
 *
 * GROUP: its name; bytes other than letters, digits, '.', '_' and '-', and a '.' or '-' at its
 * start, as %XX; what would be longer than 120 bytes is cut, and a hash of the name follows. KIND:
 * item, broadcast, object (not known). NUMBER: the item's number or the broadcast's version; where
 * the wire tells none, a count of our own. EXT: txt (text, str), json, bin (bytes), pickle (every
 * other Python object, as it came).
 *
 * A file appears whole, with its contents on the disk, or not at all; mode 0600. Nothing that is
 * there is ever replaced: where the name is taken, "~2", "~3" .. stand behind the number.
 */
#ifndef NK_RELAY_ENDPOINT_FILES_H
#define NK_RELAY_ENDPOINT_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/file.h"
#include "base/opt.h"
#include "relay/client.h"
#include "relay/endpoint_print.h"

struct nk_app;
struct nk_work;

#define RELAY_FILE_STEM 192 /* bytes of a name up to the number's end, with its NUL */

/* The row of --dir; conf is a configuration struct with a `char *dir`. */
#define RELAY_ENDPOINT_DIR_ROW(conf)                                                               \
    {                                                                                              \
        .name = "dir", .type = NK_OPT_PATH, .offset = NK_FIELD(conf, dir), .arg = "DIR",           \
        .flags = NK_OPT_CLI_ONLY,                                                                  \
        .help = "Directory for --format files: each object becomes a file GROUP-KIND-NUMBER.EXT "  \
                "there, and its path is printed; nothing that is there is replaced"                \
    }

/* relay_endpoint_files_check - do --format and --dir go together, and is dir a directory? 0,
 * NK_EUSAGE, -errno. */
int relay_endpoint_files_check(enum relay_endpoint_format format, const char *dir,
                               struct nk_diag *diag);

/* One object on its way into a file. */
struct relay_endpoint_file {
    struct relay_endpoint_file *next;
    struct relay_client_lease lease;
    char stem[RELAY_FILE_STEM]; /* without a number when `number` is to be found */
    bool count;                 /* the wire told no number */
    const char *ext;
    bool json;              /* print more than the path */
    struct nk_buf line;     /* what is printed about it; json: begun, the path is missing */
    char path[NK_PATH_MAX]; /* once it is written */
    size_t len;
    uint8_t data[];
};

/* relay_endpoint_file_new - d as a file to be written: a copy of what belongs into it. group may be
 * NULL. json: what is printed is a JSON object with the object's origin and metadata, its type, its
 * length and the path, else the path. 0, -ENOMEM. relay_endpoint_file_free - NULL is fine. */
int relay_endpoint_file_new(struct relay_endpoint_file **out, struct relay_value_doc *doc,
                            const struct relay_client_object *d, const char *group, bool json);
void relay_endpoint_file_free(struct relay_endpoint_file *f);

/* relay_endpoint_file_write - write it below dir, on any thread, blocking. *counter is the number
 * that was given out last where the wire tells none. 0, or -errno and NK_ETOOBIG with diag. */
int relay_endpoint_file_write(struct relay_endpoint_file *f, const char *dir, uint64_t *counter,
                              struct nk_diag *diag);

/* relay_endpoint_file_print - append what is printed about a file that was written, and a line end.
 * 0, NK_ETOOBIG, -ENOMEM; out is unchanged on failure. */
int relay_endpoint_file_print(const struct relay_endpoint_file *f, struct nk_buf *out);

/* --- many, without blocking the loop ---------------------------------------------------------- */

struct relay_endpoint_filing_job;

/* Objects are taken in order, and written in batches on the disk's thread. */
struct relay_endpoint_filing {
    struct nk_app *app;
    const char *dir;
    void (*on_written)(void *owner, struct relay_endpoint_file *take_list); /* in order */
    void (*on_failed)(void *owner, const struct nk_diag *why); /* once; nothing more is written */
    void *owner;
    struct relay_endpoint_file *first, **last; /* wait for the batch that is being written */
    size_t n, bytes;                           /* these, and those being written */
    uint64_t counter;
    struct relay_endpoint_filing_job *job;
    struct nk_work *work;
};

/* relay_endpoint_filing_open - nothing happens yet. dir is borrowed. */
void relay_endpoint_filing_open(struct relay_endpoint_filing *f, struct nk_app *app,
                                const char *dir);

/* relay_endpoint_filing_add - one more; it belongs to f. The batch is begun when none is under way.
 * 0, -ENOMEM, -EAGAIN (no thread). */
int relay_endpoint_filing_add(struct relay_endpoint_filing *f,
                              struct relay_endpoint_file *take_file);

/* relay_endpoint_filing_close - wait for the disk, and forget everything. Safe on a zeroed one. */
void relay_endpoint_filing_close(struct relay_endpoint_filing *f);

#endif
