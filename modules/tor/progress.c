/* SPDX-License-Identifier: MIT */
#include "tor/progress.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cmd.h"
#include "base/json.h"
#include "tor/bootstrap.h"

enum { BAR_WIDTH = 30 };

void tor_progress_open(struct tor_progress *p, const struct nk_globals *globals)
{
    *p = (struct tor_progress){.percent = -1};
    nk_progress_open(&p->out, globals, false);
}

static void put_bar(struct nk_buf *out, const struct tor_step *s)
{
    char bar[BAR_WIDTH + 1];
    for (unsigned i = 0; i < BAR_WIDTH; i++) {
        bar[i] = i * 100 < s->percent * BAR_WIDTH ? '#' : '.';
    }
    bar[BAR_WIDTH] = '\0';
    (void)nk_buf_printf(out, "[%s] %3u%% %.40s", bar, s->percent, s->summary);
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
}

void tor_progress_step(struct tor_progress *p, const struct tor_step *step)
{
    const bool same = p->percent == (int)step->percent && strcmp(p->tag, step->tag) == 0;
    struct nk_buf text;
    if (p->out.mode == NK_PROGRESS_NONE || (same && !step->warning)) {
        return;
    }
    p->percent = (int)step->percent;
    (void)snprintf(p->tag, sizeof(p->tag), "%s", step->tag);
    nk_buf_init(&text, NK_PROGRESS_MAX);
    if (p->out.mode == NK_PROGRESS_JSON) {
        put_json(&text, step);
    } else if (p->out.mode == NK_PROGRESS_BAR) {
        put_bar(&text, step);
    } else {
        (void)nk_buf_printf(&text, "%s: %u%% %s%s%s", step->phase, step->percent, step->summary,
                            step->warning ? ": " : "", step->warning ? step->warning : "");
    }
    const char *line = nk_buf_str(&text);
    if (line) {
        nk_progress_say(&p->out, line);
    }
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
    nk_progress_clean(&p->out);
}
