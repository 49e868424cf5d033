/* SPDX-License-Identifier: MIT */
#include "hs/qr.h"

#include <qrcodegen.h>
#include <stdlib.h>

enum { QUIET = 4 /* squares around a code: ISO/IEC 18004 section 6.3.8 */ };

/* A character shows two squares, one above the other; the index has a bit for each that is light.
 */
static const char *const halves[] = {" ", "\xe2\x96\x80", "\xe2\x96\x84", "\xe2\x96\x88"};

#define WHITE_ON_BLACK "\033[97;40m"
#define RESET "\033[0m"

static bool is_light(const uint8_t *code, int x, int y)
{
    return !qrcodegen_getModule(code, x, y); /* outside of the code it says light, too */
}

static int draw(const uint8_t *code, bool color, struct nk_buf *out)
{
    int size = qrcodegen_getSize(code), rc = 0;
    for (int y = -QUIET; rc == 0 && y < size + QUIET; y += 2) {
        rc = color ? nk_buf_puts(out, WHITE_ON_BLACK) : 0;
        for (int x = -QUIET; rc == 0 && x < size + QUIET; x++) {
            /* the row below the last one is no square at all */
            int below = y + 1 < size + QUIET && is_light(code, x, y + 1) ? 2 : 0;
            rc = nk_buf_puts(out, halves[(is_light(code, x, y) ? 1 : 0) | below]);
        }
        rc = rc == 0 ? nk_buf_puts(out, color ? RESET "\n" : "\n") : rc;
    }
    return rc;
}

int hs_qr_print(const char *text, bool color, struct nk_buf *out, struct nk_diag *diag)
{
    uint8_t *work = malloc(2 * qrcodegen_BUFFER_LEN_MAX);
    if (!work) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    uint8_t *code = work + qrcodegen_BUFFER_LEN_MAX;
    bool ok = qrcodegen_encodeText(text, work, code, qrcodegen_Ecc_LOW, qrcodegen_VERSION_MIN,
                                   qrcodegen_VERSION_MAX, qrcodegen_Mask_AUTO,
                                   true /* more if it fits */);
    int rc = ok ? draw(code, color, out)
                : nk_fail(diag, NK_ETOOBIG, "the text is too long for a QR code");
    free(work);
    return rc;
}
