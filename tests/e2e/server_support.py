# SPDX-License-Identifier: MIT
"""Servers of the tests' own, on a free port of this machine or on a unix socket, a thread for each connection; ports,
and reading from sockets."""

import contextlib
import random
import socket
import threading

from support import PATIENCE

PORTS = range(12000, 32000)  # below the ephemeral ports, which begin at 32768
HELLO = b"hello from far away"


def free_port():
    """A port for somebody who cannot choose one: not one that the system gives to the next who asks."""
    while True:
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port := random.choice(PORTS)))
            return port


def nobody_listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def up_to(sock, n):
    """n bytes, fewer where the other side ends."""
    data = b""
    while len(data) < n and (part := sock.recv(n - len(data))):
        data += part
    return data


def exactly(sock, n):
    data = up_to(sock, n)
    if len(data) < n:
        raise EOFError(f"{len(data)} of {n} bytes")
    return data


def rest(sock):
    """All that comes until the other side ends."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


class LocalServer:
    """Ends with the with block. talk() is for one connection, which is closed behind it; that the other side goes
    away is no error."""

    def __init__(self, path=None):
        self.sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.sock.bind(str(path) if path else ("127.0.0.1", 0))
        self.sock.listen(256)
        self.port = None if path else self.sock.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def _serve(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(conn,), daemon=True).start()

    def _talk(self, conn):
        with conn, contextlib.suppress(OSError):
            self.talk(conn)

    def talk(self, conn):
        raise NotImplementedError


class Echo(LocalServer):
    """Sends back what it gets, with a prefix of its own."""

    def __init__(self, prefix=b"", path=None):
        super().__init__(path)
        self.prefix = prefix

    def talk(self, conn):
        if self.prefix:
            conn.sendall(self.prefix)
        while data := conn.recv(65536):
            conn.sendall(data)


class Server(LocalServer):
    """Answers every connection with its greeting; hang: and says nothing more on it, `held`, until the test does."""

    def __init__(self, path=None, greeting=HELLO, hang=False):
        super().__init__(path)
        self.greeting, self.hang, self.held = greeting, hang, []
        self.target = f"unix:{path}" if path else f"127.0.0.1:{self.port}"

    def talk(self, conn):
        conn.sendall(self.greeting)
        if self.hang:
            self.held.append(conn)
            rest(conn)

    def __exit__(self, *_):
        super().__exit__()
        for conn in self.held:
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)


def exchange(port, data, patience=PATIENCE):
    """What comes back, to the end, for data and a half-close."""
    with socket.create_connection(("127.0.0.1", port), patience) as conn:
        def send():
            with contextlib.suppress(OSError):  # recv() tells
                conn.sendall(data)
                conn.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        back = rest(conn)
        sender.join()
    return back


def is_reset(port, data=b""):
    """Whether the connection breaks off without a byte: a reset (which a short connection may see at once), not an end
    that could be taken for an answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as conn:
            conn.sendall(data)
            conn.recv(1)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False
