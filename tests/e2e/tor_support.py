# SPDX-License-Identifier: MIT
"""What the tests of netkit's own tors share: places for temporary directories, processes below one."""

import os
import pathlib
import signal

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
