# SPDX-License-Identifier: MIT
"""Servers of the tests' own: on a free port of this machine or on a unix socket, a thread for each connection."""

import contextlib
import socket
import threading

from support import PATIENCE


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


def exchange(port, data):
    """What comes back, to the end, for data and a half-close."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as conn:
        def send():
            with contextlib.suppress(OSError):  # recv() tells
                conn.sendall(data)
                conn.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        back = b""
        while part := conn.recv(65536):
            back += part
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
