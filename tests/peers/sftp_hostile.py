#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An SFTP server (version 3, standard input and output) that serves one small tree from memory and breaks one rule.

    sftp_hostile.py MODE     the tree: tree/ok (5 bytes) and what the mode adds

honest     nothing is wrong
names      tree has names that lead elsewhere
more       READ gives more bytes than were asked for
short      READ gives half of what was asked for
backwards  READs of a batch are answered in reverse order
shrinks    the file ends before its size
deep       every directory has a directory
unasked    a reply to what was not asked
length     a packet of 2 GiB is announced
version2   an old server
text       a greeting for people instead of SFTP
silent     nothing is answered after the beginning
end        the connection ends in the middle of a file
"""

import os
import select
import struct
import sys

INIT, VERSION, OPEN, CLOSE, READ, LSTAT, FSTAT, OPENDIR, READDIR, STAT = 1, 2, 3, 4, 5, 7, 8, 11, 12, 17
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
OK, EOF, NO_FILE, UNSUPPORTED = 0, 1, 2, 8
DIRECTORY, FILE = 0o40755, 0o100644
SIZE = 1000000  # of tree/large
LARGE = bytes(i * 7 % 251 for i in range(SIZE))
NAMES = {"names": [b"../evil", b"..", b".", b"", b"a/b", b"/etc/evil", b"nul\0name", b"x" * 300]}


def string(data):
    return struct.pack(">I", len(data)) + data


def attrs(mode, size=0):
    return struct.pack(">IQI", 5, size, mode)


class Server:
    """One connection."""

    def __init__(self, mode):
        self.mode = mode
        self.held = []  # replies that wait (backwards)
        self.listed = set()
        self.given = 0
        self.input = b""

    def send(self, kind, body):
        data = string(bytes([kind]) + body)
        while data:
            data = data[os.write(1, data):]

    def reply(self, number, kind, body=b""):
        self.send(kind, struct.pack(">I", number) + body)

    def status(self, number, code):
        self.reply(number, STATUS, struct.pack(">I", code) + string(b"said so") + string(b""))

    def content(self, path):
        return LARGE if path.endswith(b"large") else b"hello"

    def is_dir(self, path):
        return path.endswith((b"tree", b"tree/.", b"d"))

    def entries(self, path):
        names = [(b"ok", FILE), *((n, FILE) for n in NAMES.get(self.mode, []))]
        if self.mode in ("short", "backwards", "shrinks", "end"):
            names.append((b"large", FILE))
        if self.mode == "deep":
            names = [(b"d", DIRECTORY)]
        return b"".join(string(n) + string(b"") + attrs(m, len(self.content(path + b"/" + n))) for n, m in names), len(names)

    def read(self, number, path, offset, length):
        data = self.content(path)
        if self.mode == "shrinks":
            data = data[:len(data) // 2]
        self.given += length
        if self.mode == "end" and self.given > SIZE // 2:
            sys.exit(0)
        piece = data[offset:offset + length]
        if self.mode == "short":
            piece = piece[:max(1, length // 2)]
        if self.mode == "more":
            piece += b"!" * length
        if not piece:
            return self.status(number, EOF)
        return self.reply(number, DATA, string(piece))

    def handle(self, kind, number, rest):
        path = rest[4:4 + struct.unpack(">I", rest[:4])[0]]
        if self.mode == "unasked":
            return self.status(number ^ 0x55, OK)
        if self.mode == "length":
            os.write(1, b"\x7f\xff\xff\xff")
            return None
        if kind in (STAT, LSTAT, FSTAT):
            directory = self.is_dir(path)
            return self.reply(number, ATTRS, attrs(DIRECTORY if directory else FILE, 0 if directory else len(self.content(path))))
        if kind in (OPEN, OPENDIR):
            return self.reply(number, HANDLE, string(path))
        if kind == READDIR:
            if path in self.listed:
                return self.status(number, EOF)
            self.listed.add(path)
            body, count = self.entries(path)
            return self.reply(number, NAME, struct.pack(">I", count) + body)
        if kind == READ:
            return self.read(number, path, *struct.unpack(">QI", rest[4 + len(path):]))
        return self.status(number, OK if kind == CLOSE else UNSUPPORTED)

    def packets(self):
        while True:
            while len(self.input) >= 4 and len(self.input) >= 4 + struct.unpack(">I", self.input[:4])[0]:
                size = 4 + struct.unpack(">I", self.input[:4])[0]
                packet, self.input = self.input[4:size], self.input[size:]
                yield packet
            if not select.select([0], [], [], 0.02)[0]:
                yield None
                select.select([0], [], [])
            more = os.read(0, 65536)
            if not more:
                return
            self.input += more

    def serve(self):
        if self.mode == "text":
            os.write(1, b"Welcome! This account is not available.\n")
        for packet in self.packets():
            if packet is None:
                for held in reversed(self.held):
                    self.handle(*held)
                self.held = []
            elif packet[0] == INIT:
                self.send(VERSION, struct.pack(">I", 2 if self.mode == "version2" else 3))
            elif self.mode != "silent":
                request = packet[0], struct.unpack(">I", packet[1:5])[0], packet[5:]
                if self.mode == "backwards" and request[0] == READ:
                    self.held.append(request)
                else:
                    self.handle(*request)


if __name__ == "__main__":
    Server(sys.argv[1]).serve()
