# SPDX-License-Identifier: MIT
"""What the tests of netkit's own tors share: places for temporary directories, processes below one."""

import contextlib
import os
import pathlib
import signal
import socket
import threading

import support


class Place:
    """Where netkit keeps its state and makes temporary directories; both are looked at afterwards."""

    def __init__(self, work):
        self.state = work / "state"
        self.tmp = work / "tmp"
        self.tmp.mkdir(mode=0o700)

    def env(self, **extra):
        return support.clean_env(TMPDIR=str(self.tmp), NETKIT_STATE_DIR=str(self.state), **extra)

    def run(self, *args, **kw):
        kw.setdefault("timeout", 60)
        return support.run(*args, env=self.env(), **kw)

    def left(self):
        """Temporary directories that are there."""
        return sorted(path.name for path in self.tmp.iterdir())

    def tors(self):
        """Pids of tors (and of netkit's holders) whose arguments name this place."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and str(self.state.parent).encode() in command_line(entry):
                if b"/tor\0" in command_line(entry) or b"\0hold\0" in command_line(entry):
                    found.append(int(entry.name))
        return found

    def empty(self):
        """Wait until nothing runs and nothing is left."""
        support.wait_until(lambda: not self.tors() and not self.left())

    def kill_rest(self):
        for pid in self.tors():
            os.kill(pid, signal.SIGKILL)


def command_line(entry):
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


class Middle:
    """A control socket between netkit and a tor. Commands can be put in between those of netkit, whose services
    they then reach, and the answers to one of netkit's commands held back."""

    def __init__(self, path, tor):
        self.control_socket = path
        self._tor = tor
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._lock = threading.Lock()
        self._pair = None  # of the latest connection: netkit's, tor's
        self._unasked = 0  # answers to come that netkit does not wait for
        self._wanted = None
        self._passed = [], []
        self.held = threading.Event()
        self._go = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            tor = socket.socket(socket.AF_UNIX)
            try:
                tor.connect(str(self._tor.control_socket))
            except OSError:  # it does not run just now
                peer.close()
                tor.close()
                continue
            with self._lock:
                self._pair = peer, tor
                self._unasked = 0
            for copy in (self._up, self._down):
                threading.Thread(target=copy, args=(peer, tor), daemon=True).start()

    def _up(self, peer, tor):
        with contextlib.suppress(OSError), peer.makefile("rb") as lines:
            for line in lines:
                if self._wanted and line.startswith(self._wanted):
                    self._wanted = None
                    self.held.set()
                self._passed[0].append(line)
                tor.sendall(line)
        self._end(peer, tor)

    def _down(self, peer, tor):
        with contextlib.suppress(OSError), tor.makefile("rb") as lines:
            for line in lines:
                self._passed[1].append(line)
                if self.held.is_set():
                    self._go.wait()
                with self._lock:
                    if self._unasked and line.startswith(b"250 "):
                        self._unasked -= 1
                        continue
                peer.sendall(line)
        self._end(peer, tor)

    @staticmethod
    def _end(*pair):
        for each in pair:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def said(self):
        """What netkit has said."""
        return b"".join(self._passed[0]).decode("latin-1")

    def told(self):
        """What tor has, also what was held back."""
        return b"".join(self._passed[1]).decode("latin-1")

    def command(self, line):
        """One whose answer is 250 OK, while netkit waits for none."""
        with self._lock:
            self._unasked += 1
            self._pair[1].sendall(line.encode() + b"\r\n")

    def hold(self, command):
        """Nothing that tor says gets through from that command of netkit on: `held` is set when it has come."""
        self._go.clear()
        self._wanted = command.encode()

    def let_go(self):
        """What was held back gets through."""
        self.held.clear()
        self._go.set()

    def cut(self):
        """The connection ends, and what was held back is lost."""
        self._end(*self._pair)
        self.let_go()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end(self._listener)
        self._listener.close()
        if self._pair:
            self.cut()
