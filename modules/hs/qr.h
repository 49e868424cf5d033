/* SPDX-License-Identifier: MIT */
/* qr - QR codes (ISO/IEC 18004) as text for a terminal. */
#ifndef NK_HS_QR_H
#define NK_HS_QR_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * hs_qr_print - append the code of text to out, two rows of squares per line, with the quiet zone
 * of four squares around it. Text of digits, capitals and " $%*+-./:" alone makes a smaller code
 * than others of the same length. With color it is black on white whatever the terminal's colours
 * are; without, the light squares are drawn, which is right on a dark background. NK_ETOOBIG:
 * beyond about 2900 characters; errors of the buffer.
 */
int hs_qr_print(const char *text, bool color, struct nk_buf *out, struct nk_diag *diag);

#endif
