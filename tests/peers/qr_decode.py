#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads a QR code (ISO/IEC 18004, model 2) that was drawn with half blocks, as text on a terminal.

It knows what small codes need: versions 1 to 5 at the error correction levels L and M, in alphanumeric and
in byte mode. It corrects nothing: a drawn code has no errors. As a program it reads standard input and
prints the text.
"""

import re
import sys

HALVES = {" ": (0, 0), "\u2580": (1, 0), "\u2584": (0, 1), "\u2588": (1, 1)}  # light above, light below
QUIET = 4
LEVEL_L, LEVEL_M = 1, 0
# Tables 7 and 9: blocks, and data codewords in each.
BLOCKS = {
    LEVEL_L: {1: (1, 19), 2: (1, 34), 3: (1, 55), 4: (1, 80), 5: (1, 108)},
    LEVEL_M: {1: (1, 16), 2: (1, 28), 3: (1, 44), 4: (2, 32), 5: (2, 43)},
}
FORMAT_MASK = 0x5412  # annex C
ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
MASKS = [
    lambda y, x: (y + x) % 2 == 0,
    lambda y, x: y % 2 == 0,
    lambda y, x: x % 3 == 0,
    lambda y, x: (y + x) % 3 == 0,
    lambda y, x: (y // 2 + x // 3) % 2 == 0,
    lambda y, x: y * x % 2 + y * x % 3 == 0,
    lambda y, x: (y * x % 2 + y * x % 3) % 2 == 0,
    lambda y, x: ((y + x) % 2 + y * x % 3) % 2 == 0,
]


def matrix(picture):
    """Rows of dark (True) and light squares, without the quiet zone."""
    rows = []
    for line in re.sub(r"\x1b\[[0-9;]*m", "", picture).splitlines():
        cells = [HALVES[c] for c in line]
        rows += [[not c[0] for c in cells], [not c[1] for c in cells]]
    size = len(rows[0]) - 2 * QUIET
    assert size in range(21, 38, 4), size
    rows = [row[QUIET:-QUIET] for row in rows[QUIET:QUIET + size]]
    assert all(len(row) == size for row in rows)
    return rows


def is_function(y, x, size):
    """Finder, separator, format, timing and alignment squares carry no data."""
    if (y < 9 and (x < 9 or x >= size - 8)) or (y >= size - 8 and x < 9) or y == 6 or x == 6:
        return True
    return size > 21 and abs(y - (size - 7)) <= 2 and abs(x - (size - 7)) <= 2


def format_bits(rows):
    squares = [rows[8][x] for x in (0, 1, 2, 3, 4, 5, 7, 8)] + [rows[y][8] for y in (7, 5, 4, 3, 2, 1, 0)]
    value = int("".join("1" if s else "0" for s in squares), 2) ^ FORMAT_MASK
    return value >> 13, value >> 10 & 7


def data_bits(rows, mask):
    size = len(rows)
    out, up = [], True
    x = size - 1
    while x > 0:
        if x == 6:  # the timing column is skipped
            x -= 1
        for y in range(size - 1, -1, -1) if up else range(size):
            for col in (x, x - 1):
                if not is_function(y, col, size):
                    out.append(rows[y][col] ^ MASKS[mask](y, col))
        up = not up
        x -= 2
    return out


class Bits:
    def __init__(self, bits):
        self.bits = bits
        self.at = 0

    def take(self, n):
        value = int("".join("1" if b else "0" for b in self.bits[self.at:self.at + n]), 2)
        self.at += n
        return value


def decode(picture):
    rows = matrix(picture)
    level, mask = format_bits(rows)
    blocks, words = BLOCKS[level][(len(rows) - 17) // 4]
    raw = data_bits(rows, mask)
    # the blocks' codewords take turns
    order = [word * blocks + block for block in range(blocks) for word in range(words)]
    bits = Bits([bit for at in order for bit in raw[8 * at:8 * at + 8]])
    mode = bits.take(4)
    if mode == 2:
        count = bits.take(9)
        text = ""
        while len(text) + 1 < count:
            pair = bits.take(11)
            text += ALPHANUMERIC[pair // 45] + ALPHANUMERIC[pair % 45]
        return text + (ALPHANUMERIC[bits.take(6)] if len(text) < count else "")
    assert mode == 4, mode
    return bytes(bits.take(8) for _ in range(bits.take(8))).decode()


if __name__ == "__main__":
    print(decode(sys.stdin.read()))
