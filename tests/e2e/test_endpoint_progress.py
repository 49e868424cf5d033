# SPDX-License-Identifier: MIT
"""--progress and --progress-fd of whatever may take long."""

import json
import os
import pty
import re
import subprocess

import pytest

import support
from relay_support import NetkitRelay, endpoint, endpoint_argv, succeeded

FIGURES = {"sent", "received", "queued", "unsettled"}


@pytest.fixture
def relay(programs, work):
    return NetkitRelay(programs, work, tls=False)


LASTING = {"receive": ["receive", "--group", "g"],
           "notify": ["notify", "g"],
           "request": ["request", "--to", "g", "--text", "x"],
           "consume": ["consume", "--group", "g", "--exec", "true"],
           "serve": ["serve", "--group", "g", "--exec", "true"],
           "bench": ["bench", "-n", "1000000000"]}


@pytest.mark.parametrize("verb", LASTING)
def test_json(relay, running, verb):
    program = running(relay, *LASTING[verb], "--progress", "json", "--timeout", "20s")
    said = json.loads(program.wait_line(r'^(\{"sent".*\})$').group(1))
    assert set(said) - {"total"} == FIGURES and ("total" in said) == (verb == "bench")


def test_pipe(relay, running):
    program = running(relay, "pipe", "--progress", "json", stdin=subprocess.PIPE)
    assert set(json.loads(program.wait_line(r'^(\{"sent".*\})$').group(1))) == FIGURES
    program.proc.stdin.close()
    assert program.wait() == 0


def test_plain_and_none(relay, running):
    silent = [running(relay, "receive", "--group", "g", *words, "--timeout", "1500ms")
              for words in (["--progress", "none"], [])]  # auto, and no terminal
    program = running(relay, "receive", "--group", "g", "--progress", "plain")
    assert program.wait_line(r"^0\.0 MiB, 0\.0 MiB/s; .*not confirmed$")
    assert program.stop() == 0
    assert [(p.wait(), p.stderr()) for p in silent] == [(0, "")] * 2


def test_descriptor(relay):
    """A file of its own for the figures; stderr stays as it is."""
    read, write = os.pipe()
    done = endpoint(relay, "receive", "--group", "g", "--progress", "json", "--progress-fd", write,
                    "--timeout", "1500ms", pass_fds=(write,))
    os.close(write)
    assert succeeded(done).stderr == ""
    with os.fdopen(read) as f:
        assert set(json.loads(f.readline())) == FIGURES


def test_bar_on_a_terminal(relay):
    """It is there by itself, and gone at the end."""
    master, slave = pty.openpty()
    argv = endpoint_argv(relay, "receive", "--group", "g", "--timeout", "1500ms")
    done = subprocess.run([str(word) for word in argv],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=slave,
                          env=support.clean_env(), timeout=support.PATIENCE, check=True)
    os.close(slave)
    text = os.read(master, 65536).decode()
    os.close(master)
    assert done.stdout == b""
    assert re.search(r"\r0\.0 MiB.*\x1b\[K", text) and text.endswith("\r\x1b[K")


def test_total_of_a_file(relay, work, running):
    """What is to be sent is known; nobody takes the group's window until the relay goes on."""
    with open(work / "big", "wb") as f:
        f.truncate(40 << 20)
    relay.program.proc.send_signal(19)  # STOP
    sender = running(relay, "produce", "--to", "g", work / "big", "--progress", "json")
    said = json.loads(sender.wait_line(r'^(\{"sent".*\})$').group(1))
    relay.program.proc.send_signal(18)  # CONT
    assert said["total"] >= 40 << 20 and said["sent"] < said["total"]
    assert sender.wait() == 0


def test_through_a_daemon(programs, relay, running):
    daemon = running(relay, "daemon", "--notify", "g=2")
    daemon.wait_line("connected")
    words = ["--state-dir", relay.state, "--progress", "json"]
    sender = programs([support.NETKIT, "endpoint", "produce", "--name", "default", "--to", "g",
                       "--lines", *words], stdin=subprocess.PIPE)

    def told():
        sender.proc.stdin.write(b"line\n")
        sender.proc.stdin.flush()
        return any(line.startswith('{"sent"') for line in sender.stderr().splitlines())
    support.wait_until(told)
    sender.proc.stdin.close()
    assert sender.wait() == 0
    reader = support.run("endpoint", "receive-all", "--block", *words)
    assert succeeded(reader).stdout.count("\n") == 2
    assert daemon.stop() == 0
