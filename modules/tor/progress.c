/* SPDX-License-Identifier: MIT */
#include "tor/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cmd.h"
#include "base/json.h"
#include "tor/bootstrap.h"

enum mode { MODE_AUTO, MODE_BAR, MODE_PLAIN, MODE_JSON, MODE_NONE }; /* the order of --progress */

enum { BAR_WIDTH = 30, LINE_MAX_ = 2048 };

void tor_progress_open(struct tor_progress *p, const struct nk_globals *globals)
{
    *p = (struct tor_progress){.percent = -1};
    p->fd = globals->progress_fd > 0 ? (int)globals->progress_fd : STDERR_FILENO;
    p->mode = globals->progress;
    if (p->mode == MODE_AUTO) {
        p->mode = isatty(p->fd) && !globals->quiet ? MODE_BAR : MODE_NONE;
    }
}

static void put_bar(struct nk_buf *out, const struct tor_step *s)
{
    char bar[BAR_WIDTH + 1];
    for (unsigned i = 0; i < BAR_WIDTH; i++) {
        bar[i] = i * 100 < s->percent * BAR_WIDTH ? '#' : '.';
    }
    bar[BAR_WIDTH] = '\0';
    (void)nk_buf_printf(out, "\r[%s] %3u%% %.40s\033[K", bar, s->percent, s->summary);
}

static void put_json(struct nk_buf *out, const struct tor_step *s)
{
    struct nk_json j;
    nk_json_init(&j, out, false);
    nk_json_object(&j);
    nk_json_kv_str(&j, "phase", s->phase);
    nk_json_kv_u64(&j, "percent", s->percent);
    nk_json_kv_str(&j, "tag", s->tag);
    nk_json_kv_str(&j, "summary", s->summary);
    if (s->warning) {
        nk_json_kv_str(&j, "warning", s->warning);
    }
    nk_json_close(&j);
    (void)nk_buf_puts(out, "\n");
}

/* What cannot be written is not worth an error. */
static void tell(const struct tor_progress *p, const struct nk_buf *text)
{
    if (nk_buf_len(text) > 0 && write(p->fd, nk_buf_ptr(text), nk_buf_len(text)) < 0) {
        return;
    }
}

void tor_progress_step(struct tor_progress *p, const struct tor_step *step)
{
    const bool same = p->percent == (int)step->percent && strcmp(p->tag, step->tag) == 0;
    struct nk_buf text;
    if (p->mode == MODE_NONE || (same && !step->warning)) {
        return;
    }
    p->percent = (int)step->percent;
    (void)snprintf(p->tag, sizeof(p->tag), "%s", step->tag);
    nk_buf_init(&text, LINE_MAX_);
    if (p->mode == MODE_JSON) {
        put_json(&text, step);
    } else if (p->mode == MODE_BAR) {
        put_bar(&text, step);
        p->shown = true;
    } else {
        (void)nk_buf_printf(&text, "%s: %u%% %s%s%s\n", step->phase, step->percent, step->summary,
                            step->warning ? ": " : "", step->warning ? step->warning : "");
    }
    tell(p, &text);
    nk_buf_clear(&text);
}

void tor_progress_bootstrap(struct tor_progress *p, const struct tor_bootstrap *b)
{
    const struct tor_step step = {.phase = "bootstrap",
                                  .percent = b->percent,
                                  .tag = b->tag,
                                  .summary = b->summary,
                                  .warning = b->trouble ? b->warning : NULL};
    tor_progress_step(p, &step);
}

void tor_progress_clean(struct tor_progress *p)
{
    if (p->shown) {
        static const char clean[] = "\r\033[K";
        p->shown = false;
        if (write(p->fd, clean, sizeof(clean) - 1) < 0) {
            return;
        }
    }
}
