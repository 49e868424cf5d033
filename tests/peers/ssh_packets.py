# SPDX-License-Identifier: MIT
"""Messages of SSH and their fields, and the protection of one direction, for peers of tests."""

import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

(DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, SERVICE_REQUEST, SERVICE_ACCEPT, EXT_INFO, KEXINIT, NEWKEYS, KEX_INIT,
 KEX_REPLY, USERAUTH_REQUEST, USERAUTH_FAILURE, USERAUTH_SUCCESS, USERAUTH_BANNER, PK_OK, INFO_RESPONSE, GLOBAL_REQUEST,
 REQUEST_SUCCESS, REQUEST_FAILURE, OPEN, CONFIRMATION, OPEN_FAILURE, ADJUST, DATA, EXTENDED, EOF, CLOSE, REQUEST,
 SUCCESS, FAILURE) = (1, 2, 3, 4, 5, 6, 7, 20, 21, 30, 31, 50, 51, 52, 53, 60, 61, 80, 81, 82, 90, 91, 92, 93, 94, 95,
                      96, 97, 98, 99, 100)
GROUP_REQUEST = 34


class Gone(Exception):
    """The connection ended, by either side."""


def string(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">I", len(data)) + data


def u32(value):
    return struct.pack(">I", value)


def mpint(data):
    data = data.lstrip(b"\0")
    return string(b"\0" + data if data and data[0] & 0x80 else data)


class Reader:
    """Fields of a payload."""

    def __init__(self, data):
        self.data = data

    def bytes(self, n):
        if n > len(self.data):
            raise Gone("a message that ends early")
        head, self.data = self.data[:n], self.data[n:]
        return head

    def u8(self):
        return self.bytes(1)[0]

    def u32(self):
        return struct.unpack(">I", self.bytes(4))[0]

    def string(self):
        return self.bytes(self.u32())


class Direction:
    """Protection of one direction."""

    def __init__(self):
        self.cipher, self.nonce, self.seq = None, None, 0

    def key(self, secret, iv):
        self.cipher, self.nonce, self.seq = AESGCM(secret), iv, 0  # strict: numbers begin anew

    def next_nonce(self):
        nonce = self.nonce
        self.nonce = nonce[:4] + struct.pack(">Q", (struct.unpack(">Q", nonce[4:])[0] + 1) % 2 ** 64)
        return nonce
