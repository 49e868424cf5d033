/* SPDX-License-Identifier: MIT */
#include "base/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/cmd.h"

#define LINE_START "\r"
#define CLEAR_REST "\033[K" /* ECMA-48 8.3.41: erase to the end of the line */

void nk_progress_open(struct nk_progress *p, const struct nk_globals *g, bool quiet)
{
    *p = (struct nk_progress){.fd = g->progress_fd > 0 ? (int)g->progress_fd : STDERR_FILENO,
                              .mode = (enum nk_progress_mode)g->progress};
    if (p->mode == NK_PROGRESS_AUTO) {
        p->mode = isatty(p->fd) && !g->quiet && !quiet ? NK_PROGRESS_BAR : NK_PROGRESS_NONE;
    }
}

uint64_t nk_progress_pause_ms(const struct nk_progress *p)
{
    static const uint16_t pauses[] = {[NK_PROGRESS_BAR] = 500,
                                      [NK_PROGRESS_PLAIN] = 5000,
                                      [NK_PROGRESS_JSON] = 1000,
                                      [NK_PROGRESS_NONE] = UINT16_MAX};
    return pauses[p->mode];
}

static void tell(const struct nk_progress *p, const char *text, int n)
{
    if (n > 0 && write(p->fd, text, (size_t)n) < 0) {
        return; /* nobody misses it */
    }
}

void nk_progress_say(struct nk_progress *p, const char *line)
{
    char text[NK_PROGRESS_MAX + sizeof(LINE_START CLEAR_REST)];
    const bool bar = p->mode == NK_PROGRESS_BAR;
    if (p->mode == NK_PROGRESS_NONE) {
        return;
    }
    p->shown = bar;
    tell(p, text,
         snprintf(text, sizeof(text), bar ? LINE_START "%.*s" CLEAR_REST : "%.*s\n",
                  NK_PROGRESS_MAX, line));
}

void nk_progress_clean(struct nk_progress *p)
{
    static const char clean[] = LINE_START CLEAR_REST;
    if (p->shown) {
        p->shown = false;
        tell(p, clean, (int)sizeof(clean) - 1);
    }
}
