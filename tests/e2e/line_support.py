# SPDX-License-Identifier: MIT
"""A line between an endpoint and its relay that tests can make slow, or cut."""

import socket
import threading
import time

PIECE = 16 * 1024
BUFFER = 32 * 1024  # of the proxy's sockets: what a sender has written is soon on the line


class Line:
    """A proxy on a loopback port in front of `port`. `rate`: bytes a second towards the relay, None:
    as many as go."""

    def __init__(self, port, rate=None):
        self.target, self.rate = port, rate
        self.carried = 0
        self.pairs = []
        self.lock = threading.Lock()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return  # closed
            far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            with self.lock:
                self.pairs.append((near, far))
            threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source, sink, up):
        begun, count = time.monotonic(), 0
        try:
            while data := source.recv(PIECE):
                if up and self.rate:
                    count += len(data)
                    self.carried += len(data)
                    time.sleep(max(0, begun + count / self.rate - time.monotonic()))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # cut

    @property
    def connections(self):
        with self.lock:
            return len(self.pairs)

    def cut(self):
        """Every connection breaks; new ones are carried."""
        with self.lock:
            for pair in self.pairs:
                for sock in pair:
                    try:
                        sock.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass  # it has ended
            self.pairs.clear()

    def close(self):
        self.listener.close()
        self.cut()
