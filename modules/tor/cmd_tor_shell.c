/* SPDX-License-Identifier: MIT */
/* netkit tor shell: the control port by hand. */
#include "tor/shell.h"

static int run(struct nk_cmd_ctx *ctx)
{
    return tor_shell_run(ctx, ctx->conf);
}

extern const struct nk_cmd nk_cmd_tor_shell;
const struct nk_cmd nk_cmd_tor_shell = {
    .synopsis = "",
    .summary = "Talk to tor's control port, with completion, history and events",
    .description = "On a terminal: lines of the control protocol, edited as in a shell, with Tab "
                   "for commands and for the names of "
                   "information, options, events and signals that this tor has; events are printed "
                   "above the line as they come. "
                   "/help lists what there is, /info KEY shows values alone, /events NAME.. asks "
                   "for events. A lost connection is "
                   "made again. The history is STATE/tor/shell_history (mode 0600); lines with "
                   "passwords, cookies or keys are not "
                   "kept.\n\nWithout a terminal: one line after the other from standard input, "
                   "each sent when the one before is "
                   "answered; status 1 when tor refused one. A line that begins with + has a data "
                   "block, up to a line that is a dot.",
    .examples = "netkit tor shell\nprintf 'GETINFO version\\nSIGNAL NEWNYM\\n' | netkit tor shell",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .run = run,
};
