# SPDX-License-Identifier: MIT
"""A few bytes on one forwarded connection do not wait behind bulk on another one of the same SSH connection."""

import contextlib
import copy
import socket
import statistics
import threading
import time

from server_support import Echo, LocalServer
from support import wait_until
from server_support import free_port, up_to
from test_ssh_forward import connect, forwards

RATE = 4_000_000  # bytes per second of the slow link
PIECE = 16 * 1024
BUFFER = 64 * 1024  # of the link's receiving side
LATE = 0.25  # seconds; without care for what the kernel has queued a message takes more than half a second
MESSAGES = 15


class SlowLink(LocalServer):
    """Leads to a port, with so many bytes per second on the way there."""

    def __init__(self, port):
        super().__init__()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.to, self.carried = port, 0

    def talk(self, conn):
        with socket.create_connection(("127.0.0.1", self.to)) as there:
            threading.Thread(target=self.back, args=(there, conn), daemon=True).start()
            due = time.monotonic()
            pace = threading.Event()
            while data := conn.recv(PIECE):
                due = max(due, time.monotonic()) + len(data) / RATE
                pace.wait(max(0.0, due - time.monotonic()))
                there.sendall(data)
                self.carried += len(data)

    @staticmethod
    def back(there, conn):
        with contextlib.suppress(OSError):
            while data := there.recv(65536):
                conn.sendall(data)
            conn.shutdown(socket.SHUT_WR)


class Sink(LocalServer):
    def talk(self, conn):
        while conn.recv(65536):
            pass


def pour(conn, stop):
    with contextlib.suppress(OSError):
        while not stop.is_set():
            conn.sendall(bytes(65536))


def round_trip(conn, i):
    began = time.monotonic()
    message = b"%063d\n" % i
    conn.sendall(message)
    assert up_to(conn, len(message)) == message
    return time.monotonic() - began


def test_small_messages_pass_bulk(ssh_servers):
    server = ssh_servers.get("openssh")
    bulk_port, port = free_port(), free_port()
    with SlowLink(server.port) as link, Sink() as sink, Echo() as echo:
        far = copy.copy(server)
        far.port = link.port
        with forwards(far, "-L", f"{bulk_port}:127.0.0.1:{sink.port}", "-L", f"{port}:127.0.0.1:{echo.port}",
                      StrictHostKeyChecking="no", UserKnownHostsFile="/dev/null"), \
                connect(bulk_port) as bulk, connect(port) as small:
            round_trip(small, 0)
            stop = threading.Event()
            thread = threading.Thread(target=pour, args=(bulk, stop), daemon=True)
            thread.start()
            begun = link.carried
            wait_until(lambda: link.carried - begun > RATE)  # the link has been full for a second
            times = [round_trip(small, i) for i in range(1, MESSAGES + 1)]
            stop.set()
            bulk.shutdown(socket.SHUT_RDWR)
            thread.join()
        assert statistics.median(times) < LATE, times
