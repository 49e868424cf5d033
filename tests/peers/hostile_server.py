# SPDX-License-Identifier: MIT
"""What hostile servers have in common: a thread for each connection, and an end that waits for nobody."""

import os
import socket
import threading

PATIENCE = 30.0  # seconds that a peer may stay silent


class ThreadedServer:
    """Listens from the start to close(), or the end of the with block. serve() is for one connection."""

    def __init__(self, listener):
        self.listener = listener
        self.connections = []
        self.threads = [threading.Thread(target=self.accept, daemon=True)]

    def start(self):
        self.threads[0].start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            self.connections.append(sock)
            self.threads.append(threading.Thread(target=self.serve, args=(sock,), daemon=True))
            self.threads[-1].start()

    def serve(self, sock):
        raise NotImplementedError

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        address = self.listener.getsockname()
        self.listener.close()
        if isinstance(address, str):
            os.unlink(address)
        for sock in self.connections:
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
