#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A real tor that never touches the network, to see what it makes of key files.

    with OfflineTor(work, services=["onion-dir"], client_auth="auth-dir") as tor:
        tor.hostname("onion-dir")            # what tor writes there
        tor.clients_loaded("onion-dir")      # .auth files that it accepted in its last (re)load
        tor.client_keys()                    # what ONION_CLIENT_AUTH_VIEW shows
        mark = tor.mark()
        ...                                  # something sends SIGHUP
        tor.wait_reload(mark)

It runs with DisableNetwork 1, no SOCKS port, a control socket and a data directory of its own, and ends
with its parent. `OfflineTor.dies(...)` is for configurations that tor must refuse. As a program: tor_offline.py
HIDDEN_SERVICE_DIR.. prints what tor made of each, as JSON.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE = 30.0  # seconds for anything that must happen, on a busy machine
TOR = shutil.which("tor") or shutil.which("tor", path="/usr/sbin:/usr/local/sbin:/usr/bin")

RELOAD = r"Received reload signal \(hup\)"
DIED_AT_RELOAD = r"Restart failed \(config error\?\)\. Exiting\."


class TorEnded(RuntimeError):
    """tor ended by itself: its exit status and everything that it logged."""

    def __init__(self, status, log):
        super().__init__(f"tor ended with status {status}:\n{log}")
        self.status = status
        self.log = log


class ControlError(RuntimeError):
    """A reply whose code is not 2xx."""

    def __init__(self, code, text):
        super().__init__(f"{code} {text}")
        self.code = code


class Control:
    """The control port: one command at a time, replies as a list of lines without their codes."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(path))
        self._in = self._socket.makefile("r", encoding="utf-8", newline="\r\n")

    def close(self):
        self._in.close()
        self._socket.close()

    def _line(self):
        line = self._in.readline()
        if not line.endswith("\r\n"):
            raise ControlError(0, "tor closed the control connection")
        return line[:-2]

    def command(self, line):
        self._socket.sendall(line.encode() + b"\r\n")
        out = []
        while True:
            reply = self._line()
            code, kind, text = int(reply[:3]), reply[3], reply[4:]
            out.append(text)
            if kind == "+":  # a block of data, ended by a single dot
                while (data := self._line()) != ".":
                    out.append(data.removeprefix("."))
            elif kind == " ":
                if not 200 <= code < 300:
                    raise ControlError(code, text)
                return out


class OfflineTor:
    """work: a private directory (0700) with a short name; a folder 'tor' is made in it. services: directories
    of onion services (HiddenServiceDir); client_auth: a ClientOnionAuthDir; torrc: further lines."""

    def __init__(self, work, services=(), client_auth=None, torrc=()):
        if not TOR:
            raise FileNotFoundError("the program tor")
        self.base = pathlib.Path(work) / "tor"
        self.base.mkdir(mode=0o700)
        self.torrc = self.base / "torrc"
        self._log = self.base / "log"
        self._lines = []
        self._new = threading.Condition()
        self._ended = False
        self.configure(services, client_auth, torrc)
        argv = [TOR, "-f", self.torrc, "--defaults-torrc", "/dev/null"]
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.wait_line("Opened Control listener connection")
            self.control = Control(self.base / "control")
            self.control.command("AUTHENTICATE")
            self.control.command("TAKEOWNERSHIP")  # whoever ends without closing takes tor along
            self.barrier()
        except (ControlError, OSError):  # it ends after it had opened the socket; its status is its own
            try:
                self.proc.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                pass
            self._kill()
            raise TorEnded(self.proc.returncode, self.log()) from None
        except BaseException:
            self._kill()
            raise

    @classmethod
    def dies(cls, work, **kw):
        """Start a tor that must refuse its configuration; the TorEnded that tells why."""
        try:
            with cls(work, **kw):
                raise AssertionError("tor runs with a configuration that it should refuse")
        except TorEnded as end:
            return end

    @staticmethod
    def _quoted(path):
        return json.dumps(str(pathlib.Path(path).absolute()))

    def configure(self, services=(), client_auth=None, torrc=()):
        """Write the torrc; a running tor reads it at its next reload."""
        lines = [f"DataDirectory {self._quoted(self.base / 'data')}",
                 "DisableNetwork 1", "SocksPort 0", "Log notice stdout",
                 f"Log info file {self._log.absolute()}",
                 f"ControlSocket unix:{self._quoted(self.base / 'control')}",
                 f"__OwningControllerProcess {os.getpid()}"]
        for path in services:
            lines += [f"HiddenServiceDir {self._quoted(path)}", "HiddenServicePort 80 127.0.0.1:9"]
        if client_auth:
            lines.append(f"ClientOnionAuthDir {self._quoted(client_auth)}")
        self.torrc.write_text("\n".join([*lines, *torrc, ""]), encoding="utf-8")

    # --- its life

    @property
    def pid(self):
        return self.proc.pid

    def alive(self):
        return self.proc.poll() is None

    def _read(self):
        for raw in self.proc.stdout:
            with self._new:
                self._lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self._new.notify_all()
        with self._new:
            self._ended = True
            self._new.notify_all()

    def mark(self):
        """Where the lines that come from now on begin."""
        with self._new:
            return len(self._lines)

    def wait_line(self, pattern, start=0, timeout=PATIENCE):
        """The first line (notice and above) from `start` on that matches; TorEnded when tor ends before."""
        deadline = time.monotonic() + timeout
        with self._new:
            while True:
                for line in self._lines[start:]:
                    if re.search(pattern, line):
                        return line
                left = deadline - time.monotonic()
                if self._ended:
                    raise TorEnded(self.proc.wait(PATIENCE), "\n".join(self._lines))
                if left <= 0:
                    raise AssertionError(f"tor is silent without /{pattern}/:\n" + "\n".join(self._lines))
                self._new.wait(left)

    def reload(self):
        """SIGHUP, and wait until it is done."""
        mark = self.mark()
        self.proc.send_signal(signal.SIGHUP)
        self.wait_reload(mark)

    def wait_reload(self, mark, timeout=PATIENCE):
        """Wait for the end of a reload that somebody asked for after mark()."""
        self.wait_line(RELOAD, mark, timeout)
        self.barrier()

    def barrier(self):
        """tor has one thread: when it answers, it has done and logged what came before."""
        try:
            self.control.command("GETINFO version")
        except (ControlError, OSError):
            raise TorEnded(self.proc.wait(PATIENCE), self.log()) from None

    def reloads(self):
        """How many it has begun."""
        with self._new:
            return sum(1 for line in self._lines if re.search(RELOAD, line))

    def close(self):
        self.control.close()
        self._kill()

    def _kill(self):
        if self.alive():
            self.proc.terminate()
        try:
            self.proc.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self.proc.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- what it knows

    def log(self):
        """Everything that it has logged from level info on."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def hostname(self, service):
        return (pathlib.Path(service) / "hostname").read_text(encoding="ascii").strip()

    def _last_load(self, service):
        """What tor logged while it last read this service's files: it reads one service after the other,
        and names each directory first."""
        path = str(pathlib.Path(service).absolute())
        found, inside = [], False
        for line in self.log().splitlines():
            begin = re.search(r'hs_service_load_all_keys\(\): Loading v3 onion service keys from "(.*)"$', line)
            if begin:
                inside = begin.group(1) == path
                if inside:
                    found = []
            elif inside:
                found.append(line)
        return found

    def clients_loaded(self, service):
        """File names of the authorised clients that count since the last load, sorted."""
        pattern = r"load_client_keys\(\): Loaded a client authorization key file (.*)\.$"
        return sorted(m.group(1) for line in self._last_load(service) if (m := re.search(pattern, line)))

    def warnings(self, service):
        """Warnings of the last load that came while it read this service's files."""
        return [m.group(1) for line in self._last_load(service) if (m := re.search(r"\[warn\] (.*)$", line))]

    def client_keys(self):
        """{address of 56 characters: base64 of the private key} of the keys that tor has as a client."""
        lines = self.control.command("ONION_CLIENT_AUTH_VIEW")
        found = [re.match(r"CLIENT (\S+) x25519:(\S+)", line) for line in lines]
        return {m.group(1): m.group(2) for m in found if m}


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory(prefix="tor-") as work, OfflineTor(work, services=sys.argv[1:]) as tor:
        for path in sys.argv[1:]:
            print(json.dumps({"directory": path, "hostname": tor.hostname(path), "clients": tor.clients_loaded(path),
                              "warnings": tor.warnings(path)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
