# SPDX-License-Identifier: MIT
"""The password prompt of netkit hs backup and restore on a terminal: asked without echo, and the
echo is there again however the question ends."""

import os
import pty
import re
import select
import signal
import termios
import time

import pytest

from support import NETKIT, PATIENCE, clean_env, run

PASSWORD = "correct horse battery"
ASK, AGAIN = "password of the backup: ", "once more: "

# Leads the session of the terminal, which so outlives netkit; tells netkit's process and status.
LEADER = """trap : INT TERM HUP QUIT
sh -c 'echo "pid $$."; exec "$@"' inner "$@"
echo "status $?."
exec cat"""
IGNORES_HUP = LEADER.replace("echo", 'trap "" HUP; echo', 1)
JOB_CONTROL = "set -m\n" + LEADER.replace("exec cat", "read go; fg >/dev/null\necho \"status $?.\"\nexec cat")


class Terminal:
    """netkit on a terminal of its own."""

    def __init__(self, *args, leader=LEADER):
        self.text, self.at = "", 0
        self.leader, self.master = pty.fork()
        if self.leader == 0:
            os.execvpe("sh", ["sh", "-c", leader, "leader", NETKIT, *map(str, args)], clean_env())
        self.pid = int(self.wait(r"pid (\d+)\.")[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.master)  # hangs up: cat, which is all that is left, ends
        os.kill(self.leader, signal.SIGKILL)
        os.waitpid(self.leader, 0)

    def wait(self, pattern):
        """The match behind what was matched before."""
        deadline = time.monotonic() + PATIENCE
        while True:
            match = re.compile(pattern).search(self.text, self.at)
            if match:
                self.at = match.end()
                return match
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{pattern!r} did not come; there is {self.text!r}"
            self.text += os.read(self.master, 4096).decode()

    def asked(self, question=ASK):
        self.wait(re.escape(question))
        assert not self.echo()

    def echo(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def type(self, text):
        os.write(self.master, text.encode())

    def status(self):
        code = int(self.wait(r"status (\d+)\.")[1])
        assert self.echo(), "the terminal was left without echo"
        return code


@pytest.fixture(name="key")
def fixture_key(tmp_path):
    done = run("hs", "new", "--dir", tmp_path / "web")
    assert done.returncode == 0, done.stderr
    return tmp_path / "web"


def backup(tmp_path, key, **kw):
    return Terminal("hs", "backup", "-o", tmp_path / "saved", "--memory", "1M", key, **kw)


def test_asked_twice_and_once(tmp_path, key):
    with backup(tmp_path, key) as t:
        t.asked()
        t.type(PASSWORD + "\n")
        t.asked(AGAIN)
        t.type(PASSWORD + "\n")
        assert t.status() == 0
        assert PASSWORD not in t.text
    with Terminal("hs", "restore", "--list", tmp_path / "saved") as t:
        t.asked()
        t.type(PASSWORD + "\n")
        t.wait(r"\.onion  web .*listed")
        assert t.status() == 0
        assert PASSWORD not in t.text and AGAIN not in t.text


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signal_at_the_prompt(tmp_path, key, sent):
    with backup(tmp_path, key) as t:
        t.asked()
        t.type("half a pass")
        os.kill(t.pid, sent)
        assert t.status() == 128 + sent  # it ends by the signal, as without a question
    assert not (tmp_path / "saved").exists()


def test_interrupted_from_the_keyboard(tmp_path, key):
    with backup(tmp_path, key) as t:
        t.asked()
        t.type(PASSWORD + "\n")
        t.asked(AGAIN)
        t.type("\x03")
        assert t.status() == 128 + signal.SIGINT
    assert not (tmp_path / "saved").exists()


def test_ignored_signal_asks_again(tmp_path, key):
    with backup(tmp_path, key, leader=IGNORES_HUP) as t:
        t.asked()
        os.kill(t.pid, signal.SIGHUP)
        t.asked()
        t.type("\x04")
        assert t.status() != 0


def test_stopped_and_continued(tmp_path, key):
    with backup(tmp_path, key, leader=JOB_CONTROL) as t:
        t.asked()
        t.type("\x1a")
        assert t.status() == 128 + signal.SIGTSTP
        t.type("\n")  # now it goes to the foreground again
        t.asked()
        t.type("\x03")
        assert t.status() == 128 + signal.SIGINT


def test_three_tries(tmp_path, key):
    with backup(tmp_path, key) as t:
        t.asked()
        t.type("short\n")
        t.wait("shorter than 8")
        t.asked()
        t.type("\n")
        t.wait("empty")
        t.asked()
        t.type(PASSWORD + "\n")
        t.asked(AGAIN)
        t.type(PASSWORD[:-1] + "\n")
        t.wait("not the same")
        assert t.status() == 2
        assert t.text.count(ASK) == 3 and t.text.count("not the same") == 1
    assert not (tmp_path / "saved").exists()


def test_third_try_is_good(tmp_path, key):
    with backup(tmp_path, key) as t:
        for wrong in ("short\n", "x" * 1025 + "\n"):
            t.asked()
            t.type(wrong)
        for question in (ASK, AGAIN):
            t.asked(question)
            t.type(PASSWORD + "\n")
        assert t.status() == 0
    assert (tmp_path / "saved").exists()


def test_end_of_input(tmp_path, key):
    with backup(tmp_path, key) as t:
        t.asked()
        t.type("\x04")
        t.wait("no password")
        assert t.status() not in (0, 2)
        assert t.text.count(ASK) == 1
    assert not (tmp_path / "saved").exists()
