#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An SSH server of our own that breaks one rule on purpose, for tests of clients:

    with HostileServer("zero-x25519") as server:
        server.port, server.host_public     # "ssh-ed25519 AAAA..", for known_hosts
        ...
        server.reached                      # names of the steps that a client came to, in order

FAULTS lists what it can do wrong; "honest" is nothing. It accepts every public key whose signature is good, the
password "secret" and every answer to keyboard-interactive questions; `exec` gives back what it is sent, and the
subsystem sftp is OpenSSH's sftp-server. It knows curve25519-sha256, ssh-ed25519 (and certificates for it) and
aes256-gcm@openssh.com, and announces strict key exchange.

As a program: ssh_hostile.py --selftest checks the honest server with OpenSSH's client; ssh_hostile.py FAULT [PORT]
serves until its standard input ends.
"""

import base64
import hashlib
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

(DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, SERVICE_REQUEST, SERVICE_ACCEPT, EXT_INFO, KEXINIT, NEWKEYS, KEX_INIT,
 KEX_REPLY, USERAUTH_REQUEST, USERAUTH_FAILURE, USERAUTH_SUCCESS, USERAUTH_BANNER, PK_OK, INFO_RESPONSE, GLOBAL_REQUEST,
 REQUEST_SUCCESS, REQUEST_FAILURE, OPEN, CONFIRMATION, OPEN_FAILURE, ADJUST, DATA, EXTENDED, EOF, CLOSE, REQUEST,
 SUCCESS, FAILURE) = (1, 2, 3, 4, 5, 6, 7, 20, 21, 30, 31, 50, 51, 52, 53, 60, 61, 80, 81, 82, 90, 91, 92, 93, 94, 95,
                      96, 97, 98, 99, 100)
IDENT = b"SSH-2.0-hostile_1"
WINDOW = 2 << 20
PACKET = 32768
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
PATIENCE = 30.0  # seconds without a word of the client
MANY = 1000000

# What can go wrong, and in which step it does.
FAULTS = {
    "honest": "nothing",
    # before there are packets
    "lines-forever": "lines that are no identification, without end",
    "line-forever": "a line without end",
    "http": "an answer of a web server",
    "ssh1": "a server of version 1",
    "refused": "a sentence instead of an identification, as sshd with penalties has it",
    # packets
    "length-huge": "a packet of 4 GiB",
    "length-zero": "a packet without anything",
    "length-odd": "a packet that is no multiple of 8",
    "padding-all": "padding as long as the packet",
    "tag-wrong": "the first encrypted packet has a wrong tag",
    # key exchange
    "kexinit-twice": "KEXINIT twice",
    "kexinit-short": "a KEXINIT that ends early",
    "nothing-common": "no algorithm of ours",
    "ignore-in-kex": "IGNORE during a strict key exchange (what Terrapin needs)",
    "debug-first": "DEBUG before KEXINIT in a strict key exchange (what Terrapin needs)",
    "success-in-kex": "USERAUTH_SUCCESS during the key exchange",
    "newkeys-early": "NEWKEYS before the reply",
    "zero-x25519": "the X25519 point of order 1",
    "short-x25519": "31 bytes for X25519",
    "short-mlkem": "an ML-KEM ciphertext that lacks a byte",
    "signature-wrong": "a signature over something else",
    "signature-name": "a signature that says it is of another algorithm",
    "signature-short": "a signature that lacks a byte",
    "key-changes": "another host key in the second key exchange",
    "rekey-data": "channel data in the middle of the server's own key exchange",
    # user authentication
    "service-wrong": "another service is accepted",
    "success-unasked": "success before anybody asked",
    "pk-ok-other": "PK_OK for another key",
    "prompts": "a million questions, says their number",
    "prompts-forever": "one question after the other",
    "failures-forever": "every method fails and may go on",
    "banners-forever": "banners without end",
    # connection
    "window-overflow": "a window of more than 2^32 - 1",
    "max-packet-zero": "packets of at most no bytes",
    "data-beyond": "more data than the window allows",
    "data-unknown": "data for a channel that does not exist",
    "data-after-eof": "data after the end of data",
    "confirm-twice": "a channel is opened twice",
    "reply-unasked": "success of a request that was not made",
    "global-reply-unasked": "success of a global request that was not made",
    "opens-channels": "channels that nobody asked for are opened; honest otherwise",
    "unknown-message": "a message of a number that nobody knows; honest otherwise",
    "ignore-forever": "IGNORE without end after login",
}
STEPS = ("ident", "kexinit", "kex", "newkeys", "service", "auth", "open", "request", "data")
for _step in STEPS:
    FAULTS["end-" + _step] = f"the connection ends at the step {_step}"
    FAULTS["disconnect-" + _step] = f"DISCONNECT at the step {_step}, with a text for terminals"


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


class Session:
    """One connection of a client."""

    def __init__(self, server, sock):
        self.server, self.sock, self.fault = server, sock, server.fault
        self.out, self.into = Direction(), Direction()
        self.session_id = None
        self.client_ident = self.client_kexinit = self.kexinit = b""
        self.key = server.host_key
        self.client_window = self.client_channel = 0
        self.kexed = 0
        self.rekeying = False

    # --- packets ---

    def write(self, data):
        self.sock.sendall(data)

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise Gone("the client ended the connection")
            data += more
        return data

    def frame(self, payload):
        block, outside = (16, 1) if self.out.cipher else (8, 5)
        pad = block - (outside + len(payload)) % block
        pad += block if pad < 4 else 0
        return bytes([pad]) + payload + os.urandom(pad)

    def send(self, kind, *fields):
        packet = self.frame(bytes([kind]) + b"".join(fields))
        length = u32(len(packet))
        if self.out.cipher:
            packet = self.out.cipher.encrypt(self.out.next_nonce(), packet, length)
            if self.fault == "tag-wrong":
                packet = packet[:-1] + bytes([packet[-1] ^ 1])
        self.write(length + packet)

    def receive(self):
        length = self.read(4)
        n = struct.unpack(">I", length)[0]
        if n > 1 << 18:
            raise Gone("a packet that is too long")
        if self.into.cipher:
            packet = self.into.cipher.decrypt(self.into.next_nonce(), self.read(n + 16), length)
        else:
            packet = self.read(n)
        payload = packet[1:len(packet) - packet[0]]
        return payload[0], Reader(payload[1:])

    def expect(self, *kinds):
        """The next message of these kinds; what may always come is passed over, a key exchange is made."""
        while True:
            kind, body = self.receive()
            if kind == DISCONNECT:
                raise Gone("the client said DISCONNECT")
            if kind in (IGNORE, DEBUG, UNIMPLEMENTED, EXT_INFO) and kind not in kinds:
                continue
            if kind == KEXINIT and KEXINIT not in kinds:
                self.exchange(bytes([KEXINIT]) + body.data)
                continue
            if kind not in kinds:
                raise Gone(f"message {kind}, not one of {kinds}")
            return kind, body

    def step(self, name):
        """The client has come so far; faults that end here do."""
        self.server.reached.append(name)
        if self.fault == "disconnect-" + name:
            self.send(DISCONNECT, u32(2), string(b"\x1b[2Jgo away\n\x07"), string(b""))
            raise Gone("said DISCONNECT")
        if self.fault == "end-" + name:
            raise Gone("ended")

    def flood(self, data):
        while True:
            self.write(data)

    # --- transport ---

    def identify(self):
        early = {"http": b"HTTP/1.1 400 Bad Request\r\nServer: hostile\r\n\r\n<html>", "ssh1": b"SSH-1.5-old\r\n",
                 "refused": b"Not allowed at this time\r\n"}
        if self.fault == "lines-forever":
            self.flood(b"hello\r\n" * 100)
        if self.fault == "line-forever":
            self.flood(b"SSH-2.0-" + b"x" * 8192)
        if self.fault in early:
            self.write(early[self.fault])
            raise Gone("said all")
        if self.fault == "end-ident":
            self.step("ident")
        self.write(IDENT + b"\r\n")
        line = b""
        while not line.endswith(b"\n"):
            line += self.read(1)
        self.client_ident = line.strip()
        self.step("ident")

    def broken_packet(self):
        packets = {"length-huge": b"\xff\xff\xff\xff\4", "length-zero": b"\0\0\0\0\0\0\0\0", "padding-all":
                   u32(12) + b"\x0c" + b"\x14" * 11, "length-odd": u32(13) + b"\4" + b"\x14" * 12}
        if self.fault in packets:
            self.write(packets[self.fault])
            self.read(1 << 20)

    def make_kexinit(self):
        first = self.kexed == 0
        kex = "mlkem768x25519-sha256" if self.fault == "short-mlkem" else "curve25519-sha256,curve25519-sha256@libssh.org"
        if self.fault == "nothing-common":
            kex = "rot13"
        hostkey = "ssh-ed25519-cert-v01@openssh.com" if self.server.certificate else "ssh-ed25519"
        cipher, mac = "aes256-gcm@openssh.com", "hmac-sha2-256"
        names = [kex + (",kex-strict-s-v00@openssh.com" if first else ""), hostkey, cipher, cipher, mac, mac, "none", "none", "", ""]
        body = bytes([KEXINIT]) + os.urandom(16) + b"".join(string(n) for n in names) + b"\0" + u32(0)
        return body[:40] if self.fault == "kexinit-short" else body

    def exchange(self, client_kexinit=None):
        """A key exchange: the first one, or one that either side began."""
        first = self.kexed == 0
        if first and self.fault == "debug-first":
            self.send(DEBUG, b"\0", string(b"hello"), string(b""))
        self.kexinit = self.make_kexinit()
        self.send(KEXINIT, self.kexinit[1:])
        if self.fault == "kexinit-twice":
            self.send(KEXINIT, self.kexinit[1:])
        if self.rekeying and self.fault == "rekey-data":
            self.send(DATA, u32(self.client_channel), string(b"?"))
        if client_kexinit is None:
            kind, body = self.receive()
            while kind != KEXINIT and not first:  # what was on its way
                kind, body = self.receive()
            client_kexinit = bytes([kind]) + body.data
        self.client_kexinit = client_kexinit
        if first:
            self.step("kexinit")
        if self.fault == "ignore-in-kex":
            self.send(IGNORE, string(b"hello"))
        if self.fault == "success-in-kex":
            self.send(USERAUTH_SUCCESS)
        if self.fault == "newkeys-early":
            self.send(NEWKEYS)
        kind, body = self.receive()
        while kind != KEX_INIT and not first:
            kind, body = self.receive()
        if kind != KEX_INIT:
            raise Gone(f"message {kind} for KEX_INIT")
        if first:
            self.step("kex")
        self.reply(body.string(), first)

    def key_blob(self):
        """What stands for the host key."""
        return self.server.certificate or public_blob(self.key.public_key())

    def reply(self, client_point, first):
        if not first and self.fault == "key-changes":
            self.key = Ed25519PrivateKey.generate()
        mine = X25519PrivateKey.generate()
        point = raw(mine.public_key())
        blob = self.key_blob()
        broken = {"zero-x25519": bytes(32), "short-x25519": point[:31], "short-mlkem": bytes(1119)}
        if self.fault in broken:
            self.send(KEX_REPLY, string(blob), string(broken[self.fault]), string(string("ssh-ed25519") + string(bytes(64))))
            self.receive()
            raise Gone("the client went on")
        shared = mpint(mine.exchange(X25519PublicKey.from_public_bytes(client_point)))
        digest = hashlib.sha256(string(self.client_ident) + string(IDENT) + string(self.client_kexinit) + string(self.kexinit)
                                + string(blob) + string(client_point) + string(point) + shared).digest()
        self.session_id = self.session_id or digest
        signature = self.key.sign(digest + b"!" if self.fault == "signature-wrong" else digest)
        name = "ssh-rsa" if self.fault == "signature-name" else "ssh-ed25519"
        signature = signature[:63] if self.fault == "signature-short" else signature
        self.send(KEX_REPLY, string(blob), string(point), string(string(name) + string(signature)))
        self.send(NEWKEYS)
        derive = lambda letter: hashlib.sha256(shared + digest + letter + self.session_id).digest()  # noqa: E731
        self.out.key(derive(b"D"), derive(b"B")[:12])
        kind, _ = self.receive()
        while kind != NEWKEYS:  # a client whose part of the exchange is not over may not send anything else
            if kind == DISCONNECT or first:
                raise Gone(f"message {kind} for NEWKEYS")
            kind, _ = self.receive()
        self.into.key(derive(b"C"), derive(b"A")[:12])
        self.kexed += 1
        if first:
            self.step("newkeys")

    # --- user authentication ---

    def login(self):
        _, body = self.expect(SERVICE_REQUEST)
        name = b"ssh-connection" if self.fault == "service-wrong" else body.string()
        if self.fault == "success-unasked":
            self.send(USERAUTH_SUCCESS)
        self.send(SERVICE_ACCEPT, string(name))
        self.step("service")
        if self.fault == "banners-forever":
            while True:
                self.send(USERAUTH_BANNER, string(b"\x1b]0;hello\x07 banner\r\n" * 500), string(b""))
        while not self.attempt():
            pass
        self.step("auth")
        self.send(USERAUTH_SUCCESS)

    def fail(self, methods=b"publickey,password,keyboard-interactive"):
        self.send(USERAUTH_FAILURE, string(methods), b"\0")
        return False

    def attempt(self):
        _, body = self.expect(USERAUTH_REQUEST)
        whole = bytes([USERAUTH_REQUEST]) + body.data
        user, service, method = body.string(), body.string(), body.string()
        self.server.reached.append("method " + method.decode())
        if self.fault == "failures-forever" or service != b"ssh-connection" or not user:
            return self.fail()
        if self.fault in ("prompts", "prompts-forever"):
            return self.ask() if method == b"keyboard-interactive" else self.fail(b"keyboard-interactive")
        if method == b"publickey":
            return self.public_key(body, whole)
        if method == b"password":
            return (body.u8() == 0 and body.string() == b"secret") or self.fail()
        if method == b"keyboard-interactive":
            return self.ask()
        return self.fail()

    def public_key(self, body, whole):
        signed, name, blob = body.u8(), body.string(), body.string()
        if self.fault == "pk-ok-other":
            self.send(PK_OK, string(name), string(public_blob(Ed25519PrivateKey.generate().public_key())))
            return False
        if not signed:
            self.send(PK_OK, string(name), string(blob))
            return False
        before = whole[:len(whole) - len(body.data)]
        signature = Reader(body.string())
        key = Reader(blob)
        if name != b"ssh-ed25519" or key.string() != name or signature.string() != name:
            return self.fail()
        try:
            Ed25519PublicKey.from_public_bytes(key.string()).verify(signature.string(), string(self.session_id) + before)
        except InvalidSignature:
            return self.fail()
        return True

    def ask(self):
        if self.fault == "prompts":
            self.send(PK_OK, string(b""), string(b""), string(b""), u32(MANY), (string(b"?") + b"\0") * 100)
            self.receive()
        while True:
            self.send(PK_OK, string(b""), string(b"\x1b[2J"), string(b""), u32(1), string(b"What? "), b"\0")
            self.expect(INFO_RESPONSE)
            if self.fault != "prompts-forever":
                return True

    # --- connection ---

    def refuse_global(self, body):
        body.string()
        if body.u8():
            self.send(REQUEST_FAILURE)

    def open(self):
        while True:
            kind, body = self.expect(OPEN, GLOBAL_REQUEST)
            if kind == OPEN:
                break
            self.refuse_global(body)
        body.string()
        self.client_channel, self.client_window = body.u32(), body.u32()
        self.step("open")
        if self.fault == "data-unknown":
            self.send(DATA, u32(77), string(b"hello"))
        window = 0xffffffff if self.fault == "window-overflow" else WINDOW
        confirmation = [u32(self.client_channel), u32(0), u32(window), u32(0 if self.fault == "max-packet-zero" else PACKET)]
        self.send(CONFIRMATION, *confirmation)
        if self.fault == "confirm-twice":
            self.send(CONFIRMATION, *confirmation)
        if self.fault == "window-overflow":
            self.send(ADJUST, u32(self.client_channel), u32(1))
        if self.fault == "reply-unasked":
            self.send(SUCCESS, u32(self.client_channel))
        if self.fault == "global-reply-unasked":
            self.send(REQUEST_SUCCESS)
        if self.fault == "unknown-message":
            self.send(150, b"hello")
        if self.fault == "opens-channels":
            for kind in (b"session", b"x11", b"forwarded-tcpip", b"auth-agent@openssh.com", b"\x1b[2J"):
                self.send(OPEN, string(kind), u32(5), u32(WINDOW), u32(PACKET), string(b"localhost"), u32(22), string(b"::1"), u32(1))

    def request(self):
        """What is to be run: exec or a subsystem."""
        while True:
            kind, body = self.expect(REQUEST, GLOBAL_REQUEST, OPEN_FAILURE, ADJUST)
            if kind == GLOBAL_REQUEST:
                self.refuse_global(body)
            if kind != REQUEST:
                continue
            body.u32()
            name, want = body.string(), body.u8()
            if name in (b"exec", b"subsystem"):
                self.step("request")
                if want:
                    self.send(SUCCESS, u32(self.client_channel))
                return name, body.string()
            if want:
                self.send(FAILURE, u32(self.client_channel))

    def data(self, payload):
        """Data within the client's window, for which it waits."""
        while payload:
            n = min(len(payload), self.client_window, PACKET)
            if n:
                self.send(DATA, u32(self.client_channel), string(payload[:n]))
                payload, self.client_window = payload[n:], self.client_window - n
            else:
                self.client_window += self.expect(ADJUST)[1].bytes(8) and 0

    def after_request(self):
        if self.fault == "ignore-forever":
            while True:
                self.send(IGNORE, string(bytes(30000)))
        if self.fault == "data-beyond":
            for _ in range(4 * (self.client_window // PACKET + 1)):
                self.send(DATA, u32(self.client_channel), string(bytes(PACKET)))
        if self.fault == "data-after-eof":
            self.send(EOF, u32(self.client_channel))
            self.send(DATA, u32(self.client_channel), string(b"more"))
        if self.fault in ("key-changes", "rekey-data"):
            self.rekeying = True
            self.exchange()
            self.rekeying = False

    def finish(self, status):
        self.send(REQUEST, u32(self.client_channel), string(b"exit-status"), b"\0", u32(status))
        self.send(EOF, u32(self.client_channel))
        self.send(CLOSE, u32(self.client_channel))
        self.expect_close()

    def expect_close(self):
        while self.expect(CLOSE, EOF, DATA, ADJUST, GLOBAL_REQUEST, REQUEST, OPEN_FAILURE)[0] != CLOSE:
            pass

    def echo(self):
        """Everything comes back; the end of it, too."""
        pending = []
        while True:
            kind, body = self.expect(DATA, EOF, CLOSE, ADJUST, GLOBAL_REQUEST, REQUEST, OPEN_FAILURE)
            if kind == GLOBAL_REQUEST:
                self.refuse_global(body)
            elif kind == ADJUST:
                body.u32()
                self.client_window += body.u32()
            elif kind == DATA:
                body.u32()
                data = body.string()
                self.step("data")
                pending.append(data)
                self.send(ADJUST, u32(self.client_channel), u32(len(data)))
            while pending and len(pending[0]) <= self.client_window:
                data = pending.pop(0)
                self.client_window -= len(data)
                self.send(DATA, u32(self.client_channel), string(data))
            if kind == EOF:
                self.finish(0)
                return
            if kind == CLOSE:
                self.send(CLOSE, u32(self.client_channel))
                return

    def subsystem(self):
        """OpenSSH's sftp-server, whose replies go in pieces that any client's window holds."""
        with subprocess.Popen([SFTP_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            lock = threading.Lock()

            def forward():
                while data := os.read(child.stdout.fileno(), PACKET):
                    with lock:
                        self.send(DATA, u32(self.client_channel), string(data))

            thread = threading.Thread(target=forward, daemon=True)
            thread.start()
            try:
                while True:
                    kind, body = self.expect(DATA, EOF, CLOSE, ADJUST, GLOBAL_REQUEST, REQUEST, OPEN_FAILURE)
                    if kind == DATA:
                        body.u32()
                        data = body.string()
                        self.step("data")
                        child.stdin.write(data)
                        child.stdin.flush()
                        with lock:
                            self.send(ADJUST, u32(self.client_channel), u32(len(data)))
                    elif kind in (EOF, CLOSE):
                        break
            finally:
                child.stdin.close()
                thread.join()
            if kind == EOF:
                self.finish(child.wait())

    def run(self):
        self.identify()
        self.broken_packet()
        self.exchange()
        self.login()
        self.open()
        name, what = self.request()
        self.after_request()
        if name == b"subsystem" and what == b"sftp":
            self.subsystem()
        else:
            self.echo()


def raw(key):
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def public_blob(key):
    return string("ssh-ed25519") + string(raw(key))


class HostileServer:
    """Listens on loopback; every connection gets the fault."""

    def __init__(self, fault="honest", host_key=None, certificate=None, port=0):
        """host_key: path of an unencrypted Ed25519 key, else a new one; certificate: path of one for it."""
        assert fault in FAULTS, fault
        self.fault, self.reached, self.errors = fault, [], []
        self.host_key = Ed25519PrivateKey.generate()
        if host_key:
            self.host_key = serialization.load_ssh_private_key(pathlib.Path(host_key).read_bytes(), None)
        self.certificate = None
        if certificate:
            self.certificate = base64.b64decode(pathlib.Path(certificate).read_text(encoding="ascii").split()[1])
        self.host_public = "ssh-ed25519 " + base64.b64encode(public_blob(self.host_key.public_key())).decode()
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.open_sockets = []
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(PATIENCE)
            self.open_sockets.append(sock)
            thread = threading.Thread(target=self.serve, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, sock):
        with sock:
            try:
                Session(self, sock).run()
                self.reached.append("end")
            except (Gone, OSError) as e:
                self.errors.append(str(e))
                self.linger(sock)

    @staticmethod
    def linger(sock):
        """What was said last arrives: closed with something unread, the connection would be reset."""
        try:
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        except OSError:
            pass

    def known_hosts_line(self):
        return f"[127.0.0.1]:{self.port} {self.host_public}\n"

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.open_sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def selftest():
    """OpenSSH's client is content with the honest server, and not with a few others."""
    with tempfile.TemporaryDirectory() as work:
        key = pathlib.Path(work) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)

        def ssh(server, *words, **kw):
            known = pathlib.Path(work) / "known_hosts"
            known.write_text(server.known_hosts_line(), encoding="ascii")
            return subprocess.run(["ssh", "-F", "none", "-p", str(server.port), "-o", f"UserKnownHostsFile={known}", "-o",
                                   "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-i", key, "-o", "IdentitiesOnly=yes",
                                   "-l", "me", *words], capture_output=True, timeout=PATIENCE, check=False, **kw)

        data = os.urandom(3000000)
        with HostileServer() as server:
            done = ssh(server, "-o", "RekeyLimit=1M", "127.0.0.1", "cat", input=data)
            if done.returncode != 0 or done.stdout != data:
                raise SystemExit(f"FAILED: honest: {done.returncode} {done.stderr} {server.reached} {server.errors}")
        for fault in ("signature-wrong", "zero-x25519", "kexinit-twice", "ignore-in-kex"):
            with HostileServer(fault) as server:
                done = ssh(server, "127.0.0.1", "true")
                if done.returncode != 255:
                    raise SystemExit(f"FAILED: {fault}: {done.returncode} {done.stderr}")
    print("ok    the honest server serves OpenSSH's client, and dishonest ones do not")
    return 0


def main():
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    if len(sys.argv) in (2, 3) and sys.argv[1] in FAULTS:
        with HostileServer(sys.argv[1], port=int(sys.argv[2]) if len(sys.argv) == 3 else 0) as server:
            print(server.port, server.host_public, flush=True)
            sys.stdin.read()
        return 0
    print(f"usage: {sys.argv[0]} --selftest | FAULT [PORT]\n" + "\n".join(f"  {k:22} {v}" for k, v in FAULTS.items()),
          file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
