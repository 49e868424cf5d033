/* SPDX-License-Identifier: MIT */
/* wire_text - text of the server's that people shall read, made harmless for their terminals (RFC
 * 4251 9.2). */
#ifndef SSH_WIRE_TEXT_H
#define SSH_WIRE_TEXT_H

#include <stdbool.h>

#include "base/buf.h"
#include "ssh/wire.h"

/* ssh_put_harmless - append text with '?' for what is no UTF-8 and for control characters, a space
 * for tabs, and for ends of lines of any kind '\n' (lines) or a space. What goes beyond the
 * buffer's maximum is left out. 0 or -ENOMEM. */
int ssh_put_harmless(struct nk_buf *b, struct ssh_str text, bool lines);

#endif
