# SPDX-License-Identifier: MIT
"""An ssh-agent that breaks one rule on purpose, for tests of clients:

    with HostileAgent(path, "huge", key) as agent:     # listens on the Unix socket
        agent.asked                                    # numbers of the requests that came

"honest" is nothing wrong: it has the one Ed25519 key and signs with it.
"""

import socket

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hostile_server import ThreadedServer
from ssh_packets import Gone, Reader, string, u32

LIST, IDENTITIES, SIGN, SIGNATURE, AGENT_FAILURE, AGENT_SUCCESS, EXTENSION = 11, 12, 13, 14, 5, 6, 27
FRAME_MAX = 256 * 1024

FAULTS = {
    "honest": "nothing",
    "gone": "ends at once",
    "silent": "never answers",
    "huge": "an answer of 4 GiB",
    "large": "an answer of 256 KiB and a byte",
    "zero": "an answer without anything",
    "short": "an answer that ends early",
    "count": "four thousand million keys, says their number",
    "many": "as many keys as an answer can hold",
    "empty-key": "a key without anything",
    "other": "a signature where keys were asked for",
    "twice": "every answer twice",
    "comment": "a key whose comment is for terminals",
    "sign-wrong": "a signature over something else",
    "sign-name": "a signature of another algorithm, says its name",
    "sign-short": "a signature that ends early",
    "sign-huge": "an answer of 4 GiB instead of a signature",
    "sign-refused": "does not sign",
    "sign-silent": "never signs",
    "sign-gone": "ends when it is to sign",
}


class HostileAgent(ThreadedServer):
    def __init__(self, path, fault, key=None):
        assert fault in FAULTS, fault
        self.fault, self.key, self.asked = fault, key or Ed25519PrivateKey.generate(), []
        self.blob = string("ssh-ed25519") + string(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        super().__init__(listener)
        self.start()

    def serve(self, sock):
        with sock:
            try:
                while self.fault != "gone":
                    body = Reader(self.read(sock, Reader(self.read(sock, 4)).u32()))
                    self.asked.append(body.u8())
                    for _ in range(2 if self.fault == "twice" else 1):
                        sock.sendall(self.answer(self.asked[-1], Reader(body.data)))
            except (Gone, OSError):
                pass

    @staticmethod
    def read(sock, n):
        data = b""
        while len(data) < n:
            more = sock.recv(n - len(data))
            if not more:
                raise Gone("the client ended the connection")
            data += more
        return data

    def answer(self, kind, body):
        if kind == LIST:
            return self.identities()
        if kind == SIGN:
            return self.signature(body)
        return string(bytes([AGENT_SUCCESS if kind == EXTENSION else AGENT_FAILURE]))

    def identities(self):
        entry = string(self.blob) + string(b"\x1b[2Jkey\x07" if self.fault == "comment" else b"key")
        small = string(b"x") + string(b"")
        answers = {"silent": b"", "huge": b"\xff\xff\xff\xff\x0c", "large": string(bytes(FRAME_MAX + 1)), "zero": u32(0),
                   "short": string(bytes([IDENTITIES]) + u32(1) + entry[:20]), "other": string(bytes([SIGNATURE]) + string(b"x")),
                   "count": string(bytes([IDENTITIES]) + u32(0xffffffff) + entry),
                   "empty-key": string(bytes([IDENTITIES]) + u32(1) + string(b"") + string(b""))}
        if self.fault in answers:
            return answers[self.fault]
        entries = small * ((FRAME_MAX - 8 - len(entry)) // len(small)) if self.fault == "many" else b""
        count = len(entries) // len(small) + 1
        return string(bytes([IDENTITIES]) + u32(count) + entries + entry)

    def signature(self, body):
        body.string()
        data = body.string()
        signed = self.key.sign(data + b"!" if self.fault == "sign-wrong" else data)
        name = "rsa-sha2-512" if self.fault == "sign-name" else "ssh-ed25519"
        whole = string(name) + string(signed)
        answers = {"sign-short": string(bytes([SIGNATURE]) + string(whole)[:40]), "sign-huge": b"\xff\xff\xff\xff\x0e",
                   "sign-silent": b"", "sign-refused": string(bytes([AGENT_FAILURE]))}
        if self.fault == "sign-gone":
            raise Gone("ended")
        return answers.get(self.fault, string(bytes([SIGNATURE]) + string(whole)))
