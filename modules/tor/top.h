/* SPDX-License-Identifier: MIT */
/*
 * top - the picture of `netkit tor top`: bandwidth of the last minutes as a graph, circuits,
 * streams, guards and tor's own log. Knows no connection and no terminal; everything it keeps is
 * bounded.
 */
#ifndef TOR_TOP_H
#define TOR_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tor/screen.h"
#include "tor/state.h"

#define TOR_TOP_SECONDS 512 /* of bandwidth that are kept */
#define TOR_TOP_LOG 100     /* lines of the log that are kept */
#define TOR_TOP_LINE 240    /* bytes of one; longer ones are cut */
#define TOR_TOP_TEXT 128

enum tor_panel {
    TOR_PANEL_GRAPH,
    TOR_PANEL_CIRCUITS,
    TOR_PANEL_STREAMS,
    TOR_PANEL_GUARDS,
    TOR_PANEL_LOG,
    TOR_PANELS
};

struct tor_top {
    struct tor_state *state; /* owned */
    bool hidden[TOR_PANELS];
    bool paused;
    char title[TOR_TOP_TEXT], place[TOR_TOP_TEXT]; /* which tor, and where */
    char phase[TOR_TOP_TEXT];                      /* of the bootstrap, or why nothing is known */
    char notice[TOR_TOP_TEXT];                     /* instead of the help in the last row; "" */
    uint64_t uptime;
    uint64_t total_read, total_written; /* of tor, since it was started */
    struct {
        uint64_t read, written;
    } seconds[TOR_TOP_SECONDS]; /* ring */
    size_t seconds_n;           /* ever */
    struct {
        enum tor_style style;
        char text[TOR_TOP_LINE];
    } log[TOR_TOP_LOG]; /* ring */
    size_t log_n;       /* ever */
};

/* tor_top_new - 0 or -ENOMEM. Free with tor_top_free; NULL is fine. */
int tor_top_new(struct tor_top **out);
void tor_top_free(struct tor_top *t);

/* tor_top_event - take one event: the state's (state.h), BW, NOTICE, WARN, ERR and the bootstrap of
 * STATUS_CLIENT. 0 or -ENOMEM. */
int tor_top_event(struct tor_top *t, const struct tor_reply *event);

/* tor_top_answer - take the answer to GETINFO TOR_TOP_ASK. 0 or -ENOMEM. */
int tor_top_answer(struct tor_top *t, const struct tor_reply *reply);
#define TOR_TOP_ASK                                                                                \
    "GETINFO circuit-status stream-status entry-guards uptime traffic/read traffic/written "       \
    "status/bootstrap-phase"

/* tor_top_past - take the answer to GETINFO bw-event-cache: the seconds before. */
void tor_top_past(struct tor_top *t, const struct tor_reply *reply);

/* tor_top_draw - the picture into all of s. */
void tor_top_draw(const struct tor_top *t, struct tor_screen *s);

/* tor_top_key - the panel that the key hides or shows, or -1. */
int tor_top_key(char key);

#endif
