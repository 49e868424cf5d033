# SPDX-License-Identifier: MIT
"""A program on a terminal of its own: keys go in, what it draws comes out, and how it leaves the terminal."""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from support import NETKIT, PATIENCE, clean_env

# Leads the session, so that the terminal outlives the program; tells its process and its status.
LEADER = """trap : INT TERM HUP QUIT TSTP
stty -echo
sh -c 'echo "pid $$."; read go; exec "$@"' inner "$@"
echo "status $?."
exec cat"""
JOB_CONTROL = """set -m
stty -echo
sh -c 'echo "pid $$."; read go; exec "$@"' inner "$@"
echo "stopped $?."
read go
fg >/dev/null
echo "status $?."
exec cat"""


class Terminal:
    def __init__(self, *args, leader=LEADER, rows=24, columns=80, **env):
        self.text, self.at, self.status = "", 0, None
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.leader, self.master = pty.fork()
        if self.leader == 0:
            os.execvpe("sh", ["sh", "-c", leader, "leader", NETKIT, *map(str, args)],
                       clean_env(TERM="xterm", **env))
        self.resize(rows, columns)
        self.pid = int(self.wait(r"pid (\d+)\.")[1])
        self.before = self.modes()
        self.press("go\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.master)  # hangs up: what is left on it ends
        os.kill(self.leader, signal.SIGKILL)
        os.waitpid(self.leader, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self):
        """The terminal's modes, without the bytes that are only kept there."""
        return termios.tcgetattr(self.master)[:4]

    def press(self, keys):
        os.write(self.master, keys.encode())

    def wait(self, pattern, timeout=PATIENCE):
        """The match behind what was matched before."""
        deadline = time.monotonic() + timeout
        while True:
            match = re.compile(pattern, re.S).search(self.text, self.at)
            if match:
                self.at = match.end()
                return match
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{pattern!r} did not come; there is {self.text[self.at:]!r}"
            self.text += self.decoder.decode(os.read(self.master, 65536))

    def until(self, what, rows=24, columns=80, timeout=PATIENCE):
        """Wait until the screen shows a text; the screen."""
        deadline = time.monotonic() + timeout
        while True:
            screen = Screen(rows, columns).feed(re.sub(r"^[^\x1b]*|\x1b(\[[\d;?]*)?$", "", self.text))
            if what in str(screen):
                self.at = len(self.text)
                return screen
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{what!r} is not on the screen:\n{screen}"
            self.text += self.decoder.decode(os.read(self.master, 65536))

    def stop_and_go_on(self, how, left=r"stopped \d+\."):
        """With JOB_CONTROL, by its key or the signal: the terminal is as it was while the program stands still."""
        if how == "key":
            self.press("\x1a")
        else:
            os.kill(self.pid, signal.SIGTSTP)
        self.wait(left)
        assert self.modes() == self.before
        self.press("go\n")

    def end_by(self, name):
        """That signal ends it."""
        number = getattr(signal, "SIG" + name)
        assert self.modes() != self.before
        os.kill(self.pid, number)
        assert self.ended() == 128 + number

    def ended(self):
        """Its status; the terminal must be as it was."""
        status = int(self.wait(r"status (\d+)\.")[1])
        assert self.modes() == self.before
        return status


class Screen:
    """What a terminal of that size shows after this output: the sequences that netkit uses, no others."""

    SEQUENCE = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])|\x1b(.)|([^\x1b])", re.S)

    def __init__(self, rows=24, columns=80):
        self.rows, self.columns = rows, columns
        self.clear()
        self.full = False

    def clear(self):
        self.cells = [[" "] * self.columns for _ in range(self.rows)]
        self.row = self.column = 0

    def feed(self, text):
        for private, numbers, final, other, char in self.SEQUENCE.findall(text):
            assert not other, f"unknown sequence ESC {other!r}"
            if char:
                self._char(char)
            elif private:
                if numbers == "1049":
                    self.full = final == "h"
                    self.clear()
            else:
                self._sequence(numbers, final)
        return self

    def _char(self, char):
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.row = min(self.row + 1, self.rows - 1)
        elif char != "\a":
            if self.column < self.columns:
                self.cells[self.row][self.column] = char
            self.column += 1

    def _sequence(self, numbers, final):
        n = [int(part) if part else 1 for part in numbers.split(";")]
        if final == "H":
            self.row, self.column = n[0] - 1, n[1] - 1 if len(n) > 1 else 0
        elif final == "J":
            row, column = self.row, self.column
            self.clear()
            self.row, self.column = row, column
        elif final == "K":
            self.cells[self.row][self.column:] = [" "] * (self.columns - self.column)
        elif final == "C":
            self.column += n[0]
        else:
            assert final == "m", f"unknown sequence {final!r}"

    def lines(self):
        return ["".join(row).rstrip() for row in self.cells]

    def __str__(self):
        return "\n".join(self.lines())
