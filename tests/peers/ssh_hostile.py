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

from hostile_server import PATIENCE, ThreadedServer
from ssh_faults import BAD_VALUES, FAULTS, GROUPS, LATE, OTHER_KEX, SEALED
from ssh_packets import (ADJUST, CLOSE, CONFIRMATION, DATA, DEBUG, DISCONNECT, EOF, EXT_INFO, FAILURE, GLOBAL_REQUEST,
                         GROUP_REQUEST, Direction, Gone, IGNORE, INFO_RESPONSE, KEXINIT, KEX_INIT, KEX_REPLY, NEWKEYS, OPEN,
                         OPEN_FAILURE, PK_OK, REQUEST, REQUEST_FAILURE, REQUEST_SUCCESS, Reader, SERVICE_ACCEPT,
                         SERVICE_REQUEST, SUCCESS, UNIMPLEMENTED, USERAUTH_BANNER, USERAUTH_FAILURE, USERAUTH_REQUEST,
                         USERAUTH_SUCCESS, mpint, string, u32)

IDENT = b"SSH-2.0-hostile_1"
WINDOW = 2 << 20
PACKET = 32768
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
MANY = 1000000


class Session:
    """One connection of a client."""

    def __init__(self, server, sock):
        self.server, self.sock, self.fault = server, sock, server.fault
        self.out, self.into = Direction(), Direction()
        self.input = bytearray()  # what was received and not read yet
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
        while len(self.input) < n:
            more = self.sock.recv(65536)
            if not more:
                raise Gone("the client ended the connection")
            self.input += more
        data = bytes(self.input[:n])
        del self.input[:n]
        return data

    def frame(self, payload):
        block, outside = (16, 1) if self.out.cipher else (8, 5)
        pad = block - (outside + len(payload)) % block
        pad += block if pad < 4 else 0
        return bytes([pad]) + payload + os.urandom(pad)

    def sealed(self, kind, *fields):
        packet = self.frame(bytes([kind]) + b"".join(fields))
        length = u32(len(packet))
        if self.out.cipher:
            packet = self.out.cipher.encrypt(self.out.next_nonce(), packet, length)
            if self.fault == "tag-wrong":
                packet = packet[:-1] + bytes([packet[-1] ^ 1])
        return length + packet

    def send(self, kind, *fields):
        self.write(self.sealed(kind, *fields))

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
        if payload[0] in (CONFIRMATION, OPEN_FAILURE):  # to a channel of ours
            self.server.reached.append("confirmed" if payload[0] == CONFIRMATION else "refused")
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

    def flood(self, send, *words):
        while True:
            send(*words)
            self.server.floods += 1

    # --- transport ---

    def identify(self):
        early = {"http": b"HTTP/1.1 400 Bad Request\r\nServer: hostile\r\n\r\n<html>", "ssh1": b"SSH-1.5-old\r\n",
                 "refused": b"Not allowed at this time\r\n"}
        if self.fault == "lines-forever":
            self.flood(self.write, b"hello\r\n" * 100)
        if self.fault == "line-forever":
            self.flood(self.write, b"SSH-2.0-" + b"x" * 8192)
        if self.fault in early:
            self.write(early[self.fault])
            raise Gone("said all")
        if self.fault == "end-ident":
            self.step("ident")
        self.write(self.server.ident + b"\r\n")
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
        kex = OTHER_KEX.get(self.fault, "curve25519-sha256,curve25519-sha256@libssh.org")
        strict = first and self.fault != "not-strict"
        hostkey = "ssh-ed25519-cert-v01@openssh.com" if self.server.certificate else "ssh-ed25519"
        cipher, mac = "aes256-gcm@openssh.com", "hmac-sha2-256"
        kex += ",kex-strict-s-v00@openssh.com" if strict else ""
        names = [kex, hostkey, cipher, cipher, mac, mac, "none", "none", "", ""]
        body = bytes([KEXINIT]) + os.urandom(16) + b"".join(string(n) for n in names) + b"\0" + u32(0)
        return body[:40] if self.fault == "kexinit-short" else body

    def exchange(self, client_kexinit=None):
        """A key exchange: the first one, or one that either side began."""
        first = self.kexed == 0
        if first and self.fault == "debug-first":
            self.send(DEBUG, b"\0", string(b"hello"), string(b""))
        self.kexinit = self.make_kexinit()
        self.send(KEXINIT, self.kexinit[1:])
        if self.fault == "kexinit-twice" or (self.rekeying and self.fault == "rekey-kexinit-twice"):
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
        if kind not in (KEX_INIT, GROUP_REQUEST):
            raise Gone(f"message {kind} for KEX_INIT")
        if first:
            self.step("kex")
        if self.fault in BAD_VALUES:
            self.bad_value()
        self.reply(body.string(), first)

    def bad_value(self):
        """Ours is one that no client may go on with, whatever the signature."""
        value = BAD_VALUES[self.fault]
        if self.fault in GROUPS:
            self.send(KEX_REPLY, mpint(value), mpint(b"\2"))
        else:
            self.send(KEX_REPLY, string(self.key_blob()), string(value), string(string("ssh-ed25519") + string(bytes(64))))
        self.receive()
        raise Gone("the client went on")

    def key_blob(self):
        """What stands for the host key."""
        return self.server.certificate or public_blob(self.key.public_key())

    def reply(self, client_point, first):
        if not first and self.fault == "key-changes":
            self.key = Ed25519PrivateKey.generate()
        mine = X25519PrivateKey.generate()
        point = raw(mine.public_key())
        blob = self.key_blob()
        shared = mpint(mine.exchange(X25519PublicKey.from_public_bytes(client_point)))
        digest = hashlib.sha256(string(self.client_ident) + string(self.server.ident) + string(self.client_kexinit)
                                + string(self.kexinit) + string(blob) + string(client_point) + string(point) + shared).digest()
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
        if first and self.fault in SEALED:
            self.write(SEALED[self.fault])
            self.read(1 << 20)
        if first and self.fault == "prefix-truncated":
            self.out.next_nonce()
        if first and self.fault == "newkeys-twice":
            self.send(NEWKEYS)
        if first and self.fault == "ext-info-huge":
            self.send(EXT_INFO, u32(0xffffffff), string("server-sig-algs"), string("ssh-ed25519"))
        if first and self.fault == "ext-info-forever":
            self.flood(self.send, EXT_INFO, u32(1), string("x@example.org"), string(bytes(30000)))

    # --- user authentication ---

    def login(self):
        _, body = self.expect(SERVICE_REQUEST)
        name = b"ssh-connection" if self.fault == "service-wrong" else body.string()
        if self.fault == "success-unasked":
            self.send(USERAUTH_SUCCESS)
        self.send(SERVICE_ACCEPT, string(name))
        self.step("service")
        if self.fault == "banners-forever":
            self.flood(self.send, USERAUTH_BANNER, string(b"\x1b]0;hello\x07 banner\r\n" * 500), string(b""))
        if self.fault == "data-early":
            self.send(DATA, u32(0), string(b"hello"))
        if self.fault == "open-early":
            self.send(OPEN, string("session"), u32(0), u32(WINDOW), u32(PACKET))
        while not (self.server.login or Session.attempt)(self):
            pass
        self.step("auth")
        self.send(USERAUTH_SUCCESS)

    def fail(self, methods=b"publickey,password,keyboard-interactive", partial=False):
        self.send(USERAUTH_FAILURE, string(methods), bytes([partial]))
        return False

    def asked(self):
        """The next request for a login: method, the fields behind it, the whole message."""
        _, body = self.expect(USERAUTH_REQUEST)
        whole = bytes([USERAUTH_REQUEST]) + body.data
        user, service, method = body.string(), body.string(), body.string()
        if service != b"ssh-connection" or not user:
            raise Gone(f"user {user}, service {service}")
        self.server.reached.append("method " + method.decode())
        return method, body, whole

    def attempt(self):
        method, body, whole = self.asked()
        if self.fault in ("failures-forever", "partial-forever"):
            return self.fail(partial=self.fault == "partial-forever")
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
            self.questions((b"What? ", False), instruction=b"\x1b[2J")
            if self.fault != "prompts-forever":
                return True

    def questions(self, *prompts, name=b"", instruction=b""):
        """Ask them, each (text, whether the answer is shown); the answers."""
        fields = (string(text) + bytes([shown]) for text, shown in prompts)
        self.send(PK_OK, string(name), string(instruction), string(b""), u32(len(prompts)), *fields)
        _, body = self.expect(INFO_RESPONSE)
        if body.u32() != len(prompts):
            raise Gone("not as many answers as questions")
        return [body.string() for _ in prompts]

    # --- connection ---

    def refuse_global(self, body):
        self.server.asked.append(body.string())
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
        if self.fault == "open-refused":
            self.send(OPEN_FAILURE, u32(self.client_channel), u32(1), string(b"\x1b[2Jnot today\n\x07"), string(b""))
            self.expect()
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
                self.send(OPEN, string(kind), u32(5), u32(WINDOW), u32(PACKET), string(b"localhost"), u32(22), string(b"::1"),
                          u32(1))

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
        channel = u32(self.client_channel)
        if self.fault == "ignore-forever":
            self.flood(self.send, IGNORE, string(bytes(30000)))
        if self.fault == "requests-forever":
            self.flood(self.send, GLOBAL_REQUEST, string(b"keepalive@openssh.com"), b"\1")
        for kind, *fields in LATE.get(self.fault, ()):
            self.send(kind, channel, *fields)
        if self.fault == "adjust-unknown":
            self.send(ADJUST, u32(77), u32(1))
        if self.fault == "hostkeys-bad":
            self.send(GLOBAL_REQUEST, string(b"hostkeys-00@openssh.com"), b"\0", string(self.key_blob()), b"\0\0")
        if self.fault == "hostkeys-many":
            blobs = (string(string("ssh-ed25519") + string(os.urandom(32))) for _ in range(4000))
            self.send(GLOBAL_REQUEST, string(b"hostkeys-00@openssh.com"), b"\0", *blobs)
        if self.fault == "data-beyond":
            for _ in range(4 * (self.client_window // PACKET + 1)):
                self.send(DATA, u32(self.client_channel), string(bytes(PACKET)))
        if self.fault in ("key-changes", "rekey-data", "rekey-kexinit-twice"):
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
                try:
                    while data := os.read(child.stdout.fileno(), PACKET):
                        with lock:
                            self.send(DATA, u32(self.client_channel), string(data))
                except OSError:
                    pass  # the client is gone, which the other thread finds, too

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
        if self.server.above:
            self.server.above(self)
            return
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


class HostileServer(ThreadedServer):
    """Listens on loopback; every connection gets the fault."""

    session = Session

    def __init__(self, fault="honest", host_key=None, certificate=None, port=0, login=None, above=None,
                 ident=IDENT):
        """host_key: path of an unencrypted Ed25519 key, else a new one; certificate: path of one for it; login: what
        answers requests for a login, called with the Session until it returns true; above: what is done behind the login
        instead of serving a program, called with the Session."""
        assert fault in FAULTS, fault
        self.fault, self.login, self.above, self.reached, self.errors, self.floods = fault, login, above, [], [], 0
        self.ident, self.asked = ident, []  # who it says it is; names of the global requests that came
        self.released = threading.Event()  # at the end: who does nothing any more may go
        self.host_key = Ed25519PrivateKey.generate()
        if host_key:
            self.host_key = serialization.load_ssh_private_key(pathlib.Path(host_key).read_bytes(), None)
        self.certificate = None
        if certificate:
            self.certificate = base64.b64decode(pathlib.Path(certificate).read_text(encoding="ascii").split()[1])
        self.host_public = "ssh-ed25519 " + base64.b64encode(public_blob(self.host_key.public_key())).decode()
        super().__init__(socket.create_server(("127.0.0.1", port)))
        self.port = self.listener.getsockname()[1]
        self.start()

    def close(self):
        self.released.set()
        super().close()

    def serve(self, sock):
        with sock:
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.session(self, sock).run()
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
