# SPDX-License-Identifier: MIT
"""What the end-to-end tests share: running netkit, waiting for what it says, missing peers."""

import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NETKIT = os.path.abspath(os.environ.get("NETKIT") or ROOT / "netkit")
PATIENCE = 20.0  # seconds that anything which must happen may take on a busy machine


def peers_required():
    return os.environ.get("NK_REQUIRE_PEERS") == "1"


def missing_peer(what):
    """Skip with a message where a peer is missing; fail where all of them must be there."""
    if peers_required():
        pytest.fail(f"{what} is missing and NK_REQUIRE_PEERS=1", pytrace=False)
    pytest.skip(f"SKIPPED FOR A MISSING PEER: {what}")


def need_command(name):
    path = shutil.which(name)
    if not path:
        missing_peer(f"the command {name}")
    return path


def need_root():
    """Some checks need namespaces or chroot; in CI everything runs as root."""
    if os.geteuid() != 0:
        missing_peer("root (namespaces, chroot)")


def clean_env(**extra):
    """An environment without anything that configures netkit."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NETKIT", "JOURNAL", "NOTIFY"))}
    for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "LISTEN_FDS", "LISTEN_PID"):
        env.pop(name, None)
    env.update(extra)
    return env


def run(*args, timeout=PATIENCE, env=None, text=True, **kw):
    """Run netkit to its end; a hang is a failure."""
    if "input" not in kw:
        kw.setdefault("stdin", subprocess.DEVNULL)
    if "stdout" not in kw:
        kw["stdout"] = subprocess.PIPE
    if "stderr" not in kw:
        kw["stderr"] = subprocess.PIPE
    return subprocess.run([NETKIT, *map(str, args)], timeout=timeout, env=clean_env() if env is None else env,
                          text=text, **kw)


def check_error(done, code, *words):
    """One clear line on stderr that has all words, the exit code, and nothing on stdout. (What was
    logged on the way, which begins with its time, does not count.)"""
    assert done.returncode == code, (done.returncode, done.stderr)
    lines = [line for line in done.stderr.splitlines() if not re.match(r"2\d\d\d-", line)]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("netkit"), lines
    for word in words:
        assert word in lines[0], (word, lines[0])
    assert not done.stdout
    return lines[0]


class Program:
    """A running program whose stderr is read as it comes. Only ever signals its own pid."""

    def __init__(self, argv, env=None, **kw):
        self.argv = [str(a) for a in argv]
        self.lines = []
        self._new = threading.Condition()
        self._ended = False
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.DEVNULL)
        self.proc = subprocess.Popen(self.argv, env=clean_env() if env is None else env,
                                     stderr=subprocess.PIPE, **kw)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        return self.proc.pid

    def _read(self):
        for raw in self.proc.stderr:
            with self._new:
                self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self._new.notify_all()
        with self._new:
            self._ended = True
            self._new.notify_all()

    def stderr(self):
        with self._new:
            return "\n".join(self.lines)

    def wait_line(self, pattern, start=0, timeout=PATIENCE):
        """The match of pattern in the first line from `start` on that has one."""
        deadline = time.monotonic() + timeout
        seen = start
        with self._new:
            while True:
                for line in self.lines[seen:]:
                    match = re.search(pattern, line)
                    if match:
                        return match
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    text = "\n".join(self.lines)
                    state = "ended" if self._ended else "is silent"
                    raise AssertionError(f"{self.argv} {state} without /{pattern}/:\n{text}")
                self._new.wait(left)

    def mark(self):
        """Where the lines that come from now on begin."""
        with self._new:
            return len(self.lines)

    def alive(self):
        return self.proc.poll() is None

    def wait(self, timeout=PATIENCE):
        code = self.proc.wait(timeout)
        self._reader.join(timeout)
        return code

    def stop(self, sig=signal.SIGTERM, timeout=PATIENCE):
        """Ask it to end; the exit status. It must not need more than `timeout`."""
        if self.alive():
            self.proc.send_signal(sig)
        return self.wait(timeout)

    def kill(self):
        if self.alive():
            self.proc.kill()
        self.proc.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self.proc.stderr.close()
        for stream in (self.proc.stdin, self.proc.stdout):
            if stream:
                stream.close()

    def rss(self):
        """Resident memory in bytes."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class LogLine(collections.namedtuple("LogLine", "level module event peer msg")):
    @classmethod
    def parse(cls, line):
        d = json.loads(line)
        return cls(d["level"], d["module"], d.get("event"), d.get("peer"), d["msg"])


def wait_until(what, timeout=PATIENCE):
    """Poll a condition that has no event to wait for (memory, descriptors of another process)."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not what():
        assert time.monotonic() < deadline, "the condition did not come true"
        pause.wait(0.02)
