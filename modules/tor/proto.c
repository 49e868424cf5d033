/* SPDX-License-Identifier: MIT */
#include "tor/proto.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

enum {
    SLOTS_FIRST = 16, /* room at first; doubled when it is used up */
    PARTS_FIRST = 16,
    PARTS_KEEP = 1024 /* more are given back after a reply */
};
#define IN_KEEP ((size_t)256 * 1024)   /* a larger input buffer is given back after a reply */
#define IN_SPACE ((size_t)1024 * 1024) /* input beyond the longest reply */

/* A line of a reply that is not complete yet; where in `in` its parts begin. */
struct tor_part {
    size_t text, len, data, data_len;
    int code;
    char kind;
};

void tor_proto_init(struct tor_proto *p)
{
    *p = (struct tor_proto){0};
    nk_buf_init(&p->in, TOR_REPLY_MAX + TOR_LINE_MAX + IN_SPACE);
    nk_buf_init_secret(&p->out, TOR_OUT_MAX); /* passwords and keys are sent, too */
}

void tor_proto_clear(struct tor_proto *p)
{
    nk_buf_clear(&p->in);
    nk_buf_clear(&p->out);
    free(p->slots);
    free(p->parts);
    free(p->lines);
    *p = (struct tor_proto){.error = NK_ECLOSED};
}

/* --- commands --------------------------------------------------------------------------------- */

static struct tor_slot *slot_at(const struct tor_proto *p, size_t i)
{
    return &p->slots[(p->slots_first + i) & (p->slots_cap - 1)];
}

static int grow_slots(struct tor_proto *p)
{
    size_t cap = p->slots_cap ? p->slots_cap * 2 : SLOTS_FIRST;
    struct tor_slot *fresh = calloc(cap, sizeof(*fresh));
    if (!fresh) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < p->slots_n; i++) {
        fresh[i] = *slot_at(p, i);
    }
    free(p->slots);
    p->slots = fresh;
    p->slots_cap = cap;
    p->slots_first = 0;
    return 0;
}

int tor_proto_send(struct tor_proto *p, void *who, const char *line, size_t n, const void *data,
                   size_t len, bool by_line, uint64_t deadline, uint64_t *id, struct nk_diag *diag)
{
    if (p->error < 0) {
        return nk_fail_sys(diag, p->error, "the control connection");
    }
    if (p->slots_n >= TOR_PENDING_MAX) {
        return nk_fail(diag, NK_ELIMIT, "%zu commands wait for tor's answer already", p->slots_n);
    }
    if (p->slots_n == p->slots_cap && grow_slots(p) < 0) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    int rc = tor_wire_put_command(&p->out, line, n, data, len, diag);
    if (rc < 0) {
        return rc;
    }
    if (p->slots_n > 0) {
        uint64_t before = slot_at(p, p->slots_n - 1)->deadline;
        deadline = deadline > before ? deadline : before;
    }
    if (id) {
        *id = p->answered + p->slots_n;
    }
    bool secret = tor_wire_answers_secrets(line, n);
    *slot_at(p, p->slots_n) =
        (struct tor_slot){.who = who, .deadline = deadline, .by_line = by_line, .secret = secret};
    p->slots_n++;
    p->secrets += secret ? 1 : 0;
    p->in.secret = p->in.secret || secret;
    return 0;
}

void tor_proto_forget(struct tor_proto *p, uint64_t id)
{
    if (id >= p->answered && id - p->answered < p->slots_n) {
        slot_at(p, (size_t)(id - p->answered))->who = NULL;
    }
}

static void drop_slot(struct tor_proto *p)
{
    p->secrets -= slot_at(p, 0)->secret ? 1 : 0;
    p->slots_first = (p->slots_first + 1) & (p->slots_cap - 1);
    p->slots_n--;
    p->answered++;
}

void *tor_proto_take(struct tor_proto *p)
{
    void *who = NULL;
    while (!who && p->slots_n > 0) {
        who = slot_at(p, 0)->who;
        drop_slot(p);
    }
    return who;
}

size_t tor_proto_pending(const struct tor_proto *p)
{
    return p->slots_n;
}

uint64_t tor_proto_deadline(const struct tor_proto *p)
{
    return p->slots_n > 0 ? slot_at(p, 0)->deadline : TOR_NEVER;
}

/* --- input ------------------------------------------------------------------------------------ */

static int fail(struct tor_proto *p, int code, struct nk_diag *diag, const char *text)
{
    p->error = code;
    return nk_fail(diag, code, "%s", text);
}

/* Forget the message that was handed out: its bytes, and its lines when it was a whole reply. */
static void drop_used(struct tor_proto *p)
{
    if (p->used == 0) {
        return;
    }
    nk_buf_consume(&p->in, p->used);
    p->line -= p->used;
    p->searched -= p->used;
    p->used = 0;
    p->in.secret = p->secrets > 0;
    if (nk_buf_len(&p->in) == 0 && p->in.cap > IN_KEEP) {
        nk_buf_clear(&p->in);
    }
    if (p->parts_cap > PARTS_KEEP && !p->in_reply) {
        free(p->parts);
        free(p->lines);
        p->parts = NULL;
        p->lines = NULL;
        p->parts_cap = p->nparts = 0;
        p->in_data = false;
    }
}

int tor_proto_space(struct tor_proto *p, size_t n, uint8_t **out, struct nk_diag *diag)
{
    if (p->error < 0) {
        return nk_fail_sys(diag, p->error, "the control connection");
    }
    drop_used(p);
    int rc = nk_buf_reserve(&p->in, n, out);
    return rc < 0 ? nk_fail_sys(diag, rc, "input of the control connection") : 0;
}

void tor_proto_filled(struct tor_proto *p, size_t n)
{
    nk_buf_commit(&p->in, n);
}

static int add_part(struct tor_proto *p, const struct tor_line *line, struct nk_diag *diag)
{
    if (p->nparts == p->parts_cap) {
        size_t cap = p->parts_cap ? p->parts_cap * 2 : PARTS_FIRST;
        struct tor_part *parts = realloc(p->parts, cap * sizeof(*parts));
        if (!parts) {
            return fail(p, -ENOMEM, diag, "out of memory for a reply of tor");
        }
        p->parts = parts;
        struct tor_line *lines = realloc(p->lines, cap * sizeof(*lines));
        if (!lines) {
            return fail(p, -ENOMEM, diag, "out of memory for a reply of tor");
        }
        p->lines = lines;
        p->parts_cap = cap;
    }
    p->parts[p->nparts++] =
        (struct tor_part){.text = (size_t)(line->text - (const char *)nk_buf_ptr(&p->in)),
                          .len = line->len,
                          .code = line->code,
                          .kind = line->kind};
    return 0;
}

/* The current line ends at `next`; it has been dealt with. */
static void line_done(struct tor_proto *p, size_t next)
{
    p->line = p->searched = next;
}

/* How large what is being collected has become. */
static int check_size(struct tor_proto *p, struct nk_diag *diag)
{
    size_t records = p->nparts * (sizeof(struct tor_part) + sizeof(struct tor_line));
    if (p->line + records > TOR_REPLY_MAX) {
        return fail(p, NK_EPROTO, diag, "tor's reply is larger than 16 MiB");
    }
    return 0;
}

static void hand_line(struct tor_proto *p, const struct tor_line *line, struct tor_message *out)
{
    p->lines[0] = *line;
    *out = (struct tor_message){.kind = TOR_REPLY_LINE,
                                .who = slot_at(p, 0)->who,
                                .reply = {.code = line->code, .lines = p->lines, .n = 1}};
    p->used = p->line;
}

/* The reply is whole: its lines as they are handed out. */
static void hand_reply(struct tor_proto *p, struct tor_message *out)
{
    const char *base = (const char *)nk_buf_ptr(&p->in);
    for (size_t i = 0; i < p->nparts; i++) {
        const struct tor_part *q = &p->parts[i];
        p->lines[i] = (struct tor_line){.code = q->code,
                                        .kind = q->kind,
                                        .text = base + q->text,
                                        .len = q->len,
                                        .data = q->kind == '+' ? base + q->data : NULL,
                                        .data_len = q->data_len};
    }
    *out = (struct tor_message){
        .kind = p->event ? TOR_REPLY_EVENT : TOR_REPLY,
        .reply = {.code = p->parts[p->nparts - 1].code, .lines = p->lines, .n = p->nparts}};
    if (!p->event) {
        out->who = slot_at(p, 0)->who;
        drop_slot(p);
    }
    p->nparts = 0;
    p->in_reply = false;
    p->used = p->line;
}

/* Whether the lines of the current reply go out (or are dropped) one by one. */
static bool is_by_line(const struct tor_proto *p)
{
    return !p->event && (slot_at(p, 0)->by_line || !slot_at(p, 0)->who);
}

/* One line of a data block: n bytes, the next line begins at `next`. 1: *out has a message. */
static int take_data(struct tor_proto *p, size_t n, size_t next, struct tor_message *out,
                     struct nk_diag *diag)
{
    char *base = (char *)nk_buf_ptr(&p->in), *text = base + p->line;
    int dot = tor_wire_undot(text, n);
    bool one_by_one = is_by_line(p);
    if (dot < 0) {
        p->in_data = false;
        line_done(p, next);
        return 0;
    }
    text += dot;
    n -= (size_t)dot;
    line_done(p, next);
    if (one_by_one) {
        const struct tor_line line = {.code = TOR_OK, .kind = '=', .text = text, .len = n};
        hand_line(p, &line, out);
        return 1;
    }
    struct tor_part *part = &p->parts[p->nparts - 1];
    memmove(base + p->put, text, n);
    base[p->put + n] = '\n';
    p->put += n + 1;
    part->data_len += n + 1;
    return check_size(p, diag);
}

/* A line with a code may stand here? */
static int check_order(struct tor_proto *p, const struct tor_line *line, struct nk_diag *diag)
{
    bool event = line->code >= TOR_EVENT;
    if (p->in_reply && event != p->event) {
        return fail(p, NK_EPROTO, diag,
                    event ? "tor sends an event within a reply"
                          : "tor sends a reply within an event");
    }
    if (!event && p->slots_n == 0) {
        return fail(p, NK_EPROTO, diag, "tor sends a reply that nothing has asked for");
    }
    p->event = event;
    p->in_reply = true;
    return 0;
}

/* One line with a code: n bytes, the next line begins at `next`. 1: *out has a message. */
static int take_line(struct tor_proto *p, size_t n, size_t next, struct tor_message *out,
                     struct nk_diag *diag)
{
    struct tor_line line;
    int rc = tor_wire_status((const char *)nk_buf_ptr(&p->in) + p->line, n, &line, diag);
    if (rc < 0) {
        p->error = rc;
        return rc;
    }
    rc = check_order(p, &line, diag);
    rc = rc < 0 ? rc : add_part(p, &line, diag);
    if (rc < 0) {
        return rc;
    }
    line_done(p, next);
    if (line.kind == ' ') {
        hand_reply(p, out);
        return 1;
    }
    p->in_data = line.kind == '+';
    if (is_by_line(p)) {
        p->nparts = 0;
        hand_line(p, &line, out);
        return 1;
    }
    p->parts[p->nparts - 1].data = p->put = next;
    return check_size(p, diag);
}

/* Whether the message is for nobody. */
static bool is_dropped(const struct tor_message *m)
{
    return m->kind != TOR_REPLY_EVENT && !m->who;
}

int tor_proto_next(struct tor_proto *p, struct tor_message *out, struct nk_diag *diag)
{
    if (p->error < 0) {
        return nk_fail_sys(diag, p->error, "the control connection");
    }
    drop_used(p);
    for (;;) {
        const char *base = (const char *)nk_buf_ptr(&p->in);
        size_t have = nk_buf_len(&p->in);
        const char *lf =
            have > p->searched ? memchr(base + p->searched, '\n', have - p->searched) : NULL;
        size_t end = lf ? (size_t)(lf - base) : have;
        if (end - p->line > TOR_LINE_MAX + 1) { /* a CR belongs to the end of the line */
            return fail(p, NK_EPROTO, diag, "tor's line is longer than 4 MiB");
        }
        if (!lf) {
            p->searched = have;
            return 0;
        }
        size_t n = end - p->line;
        n -= n > 0 && base[end - 1] == '\r' ? 1 : 0;
        int rc =
            p->in_data ? take_data(p, n, end + 1, out, diag) : take_line(p, n, end + 1, out, diag);
        if (rc == 1 && is_dropped(out)) {
            drop_used(p);
            rc = 0;
        }
        if (rc != 0) {
            return rc;
        }
    }
}

int tor_proto_end(struct tor_proto *p, struct nk_diag *diag)
{
    if (p->error < 0) {
        return nk_fail_sys(diag, p->error, "the control connection");
    }
    drop_used(p);
    if (p->in_reply || nk_buf_len(&p->in) > 0) {
        return fail(p, NK_ETRUNC, diag, "tor closed the control connection within a reply");
    }
    return fail(p, NK_ECLOSED, diag, "tor closed the control connection");
}
