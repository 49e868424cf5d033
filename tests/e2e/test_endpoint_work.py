# SPDX-License-Identifier: MIT
"""`netkit endpoint consume`: leases while programs run, their loss, and ends."""

import os
import signal
import subprocess

import pytest

import support
from relay_support import NetkitRelay, endpoint, lines, succeeded
from support import wait_until

LEASES = {"g": {"lease": "1s"}}


@pytest.fixture
def relay(programs, work):
    return NetkitRelay(programs, work, groups=LEASES)


def produce(relay, *texts):
    words = [w for t in texts for w in ("--text", t)]
    succeeded(endpoint(relay, "produce", "--to", "g", *words))


def consume(running, relay, script, *words):
    return running(relay, "consume", "--group", "g", *words, "--exec", "sh", "--", "-c", script)


def log_of(path):
    return path.read_text().splitlines() if path.exists() else []


def test_lease_lasts_as_long_as_the_program(relay, running, work):
    """Longer than the lease; another worker waits for the object all the time."""
    script = f'echo "begun $OBJECT_TRIES" >>{work}/log; sleep 3; echo done >>{work}/log'
    workers = [consume(running, relay, script, "--lease", "1s") for _ in range(2)]
    produce(relay, "job")
    wait_until(lambda: "done" in log_of(work / "log"))
    assert log_of(work / "log") == ["begun 0", "done"]
    assert [w.stop() for w in workers] == [0, 0]
    assert succeeded(endpoint(relay, "notify", "g=-1")).stdout == ""


def test_lost_lease_ends_the_program(relay, running, work):
    """A worker that was stopped too long: its object is somebody else's, its program ends."""
    script = (f'read x; echo "$$ $x" >>{work}/first; [ "$x" = next ] && exit; '
              f'trap "echo killed >>{work}/first; exit 1" TERM; while :; do sleep 0.1; done')
    first = consume(running, relay, script, "--lease", "1s")
    produce(relay, "job\n")
    wait_until(lambda: log_of(work / "first"))
    first.proc.send_signal(signal.SIGSTOP)
    second = consume(running, relay, "cat; echo $OBJECT_TRIES", "-n", "1")
    assert [second.line(), second.line()] == ["job", "1"]
    assert second.wait() == 0
    first.proc.send_signal(signal.SIGCONT)
    first.wait_line("the relay has given up object")
    wait_until(lambda: log_of(work / "first")[1:] == ["killed"])
    produce(relay, "next\n")  # it works on
    wait_until(lambda: len(log_of(work / "first")) == 3)
    assert first.stop() == 0
    assert succeeded(endpoint(relay, "notify", "g=-1")).stdout == ""


def test_relay_that_knows_nothing_any_more(programs, work, running):
    """The memory engine forgets everything with its process: programs work for nobody then."""
    relay = NetkitRelay(programs, work, extra=("--engine", "memory"))
    worker = consume(running, relay, f"echo $$ >>{work}/log; exec sleep 60")
    produce(relay, "job")
    wait_until(lambda: log_of(work / "log"))
    relay.program.kill()
    relay = NetkitRelay(programs, work, extra=("--engine", "memory"),
                        listen=f"tcp:127.0.0.1:{relay.port}")
    worker.wait_line("the relay has given up object")
    pid = int(log_of(work / "log")[0])
    wait_until(lambda: not running_process(pid))
    produce(relay, "again")
    wait_until(lambda: len(log_of(work / "log")) == 2)
    assert worker.stop(signal.SIGINT) == 128 + signal.SIGINT


def running_process(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_second_signal_ends_at_once(relay, running, work):
    """The program is ended, and its object goes to others without delay."""
    worker = consume(running, relay, f"echo $$ >{work}/pid; exec sleep 60")
    produce(relay, "job")
    wait_until(lambda: log_of(work / "pid"))
    worker.proc.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0.5)
    worker.proc.send_signal(signal.SIGTERM)
    assert worker.wait() == 128 + signal.SIGTERM
    got = lines(endpoint(relay, "notify", "g", timeout=10))
    assert got[0]["value"] == "job" and got[0]["tries"] == 1
    pid = int((work / "pid").read_text())
    wait_until(lambda: not running_process(pid))


def test_environment(relay):
    succeeded(endpoint(relay, "produce", "--to", "g", "--text", "{}", "--content", "json", "--ttl", "1h",
                       "--header", "job-id=7", "--reply-to", "back", "--correlation", "c1"))
    done = endpoint(relay, "consume", "--group", "g", "-n", "1", "--exec", "sh", "--", "-c",
                    "env | grep ^OBJECT_ | sort")
    env = dict(line.split("=", 1) for line in succeeded(done).stdout.splitlines())
    assert int(env.pop("OBJECT_SEQ")) > 0 and int(env.pop("OBJECT_EXPIRES")) > 0
    assert env == {"OBJECT_GROUP": "g", "OBJECT_KIND": "item", "OBJECT_TRIES": "0",
                   "OBJECT_CONTENT": "json", "OBJECT_REPLY_TO": "back",
                   "OBJECT_CORRELATION": "c1", "OBJECT_HEADER_JOB_ID": "7"}


def test_wrong_words(relay):
    support.check_error(endpoint(relay, "consume", "--group", "g"), 2, "--exec")
    support.check_error(endpoint(relay, "consume", "--exec", "true"), 2, "--group")
    support.check_error(endpoint(relay, "consume", "--group", "g", "--exec", "true", "-j", "65"), 2, "64")
    support.check_error(endpoint(relay, "consume", "--group", "none", "--exec", "true"), 77, "none")
