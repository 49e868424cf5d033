# SPDX-License-Identifier: MIT
"""`netkit endpoint request` and `serve`: answers, failures, refusals, nobody there."""

import time

import pytest

import relay_support
import support
from relay_support import NetkitRelay, PeerRelay, endpoint, lines, succeeded
from support import check_error


@pytest.fixture
def relay(programs, work):
    return NetkitRelay(programs, work)


def request(relay, *words, **kw):
    return endpoint(relay, "request", "--to", "g", *words, **kw)


def serve(running, relay, script, *words):
    return running(relay, "serve", "--group", "g", *words, "--exec", "sh", "--", "-c", script)


def test_server_that_fails(relay, running):
    """Who asked is told at once, and gets what the program has written."""
    server = serve(running, relay, "echo half; exit 3")
    done = request(relay, "--text", "x")
    assert done.returncode == 1 and done.stdout == "half\n"
    assert "g: the server failed" in done.stderr and "status 3" in done.stderr
    done = request(relay, "--text", "x", "--format", "json")
    assert '"headers":{"error":"sh failed with status 3"}' in done.stdout
    assert server.stop() == 0
    server = serve(running, relay, "kill -9 $$")
    assert "signal 9" in request(relay, "--text", "x").stderr
    assert server.stop() == 0


def test_server_that_tries_again(relay, running):
    server = serve(running, relay, 'echo "$OBJECT_TRIES"; [ "$OBJECT_TRIES" = 2 ]', "--requeue",
                   "--delay", "0")
    assert succeeded(request(relay, "--text", "x")).stdout == "2\n"
    assert server.stop() == 0


def test_several_answers(relay, running):
    servers = [serve(running, relay, "echo answer") for _ in range(2)]
    assert succeeded(request(relay, "--text", "x", "--copies", "3")).stdout == "answer\n" * 3
    done = request(relay, "--text", "x", "-n", "2", "--timeout", "1s")
    assert done.returncode == 75 and done.stdout == "answer\n"
    assert "1 of 2 answers" in done.stderr
    big = "x" * 300000
    done = request(relay, "--copies", "40", "--timeout", "60s", "--header", "a=b", input=big,
                   stdin=None, timeout=70)
    assert succeeded(done).stdout == "answer\n" * 40
    assert [s.stop() for s in servers] == [0, 0]


def test_nobody_serves(relay):
    check_error(request(relay, "--text", "x", "--timeout", "2s"), 75, "g: no answer in time",
                "serve")
    time.sleep(0.3)  # it has expired: nobody works for who has gone
    assert succeeded(endpoint(relay, "notify", "g=-1")).stdout == ""


def test_metadata_of_a_request(relay, running):
    server = serve(running, relay, 'echo "$OBJECT_REPLY_TO $OBJECT_HEADER_A"')
    reply_to, header = succeeded(request(relay, "--text", "x", "--header", "a=b")).stdout.split()
    assert reply_to.startswith("reply.") and header == "b"
    assert succeeded(request(relay, "--text", "x", "--reply-to", "mine")).stdout == "mine \n"
    assert server.stop() == 0
    check_error(request(relay, "--text", "x", "--header", "no"), 2, "--header 'no'")


def test_groups_that_are_not_accepted(programs, work, running):
    relay = NetkitRelay(programs, work, groups={"g": {}, "answers": {}})
    check_error(request(relay, "--text", "x", "--timeout", "5s"), 77, "reply.")
    check_error(endpoint(relay, "request", "--to", "none", "--text", "x", "--reply-to", "answers",
                         "--timeout", "5s"), 77, "none", "refused")
    server = serve(running, relay, "cat")
    assert succeeded(request(relay, "--text", "x", "--reply-to", "answers")).stdout == "x"
    assert server.stop() == 0


def test_rules_that_forbid_it(programs, work):
    """One may read answers, but not ask; another may ask, but not read answers."""
    rule = "[acl me]\nidentity = default\nmatch = {}\nallow = {}\n"
    relay = NetkitRelay(programs, work, ini=rule.format("reply.*", "consume"))
    check_error(request(relay, "--text", "x", "--timeout", "5s"), 77, "g: the relay refused", "acl")
    relay.stop()
    relay = NetkitRelay(programs, work, ini=rule.format("g", "produce"))
    check_error(request(relay, "--text", "x", "--timeout", "5s"), 77, "reply.")


def test_group_that_is_full(programs, work):
    relay = NetkitRelay(programs, work, groups={
        "g": {"max_consumables": "1", "policy": "block"}, "answers": {}})
    succeeded(endpoint(relay, "produce", "--to", "g", "--text", "first"))
    done = request(relay, "--text", "x", "--reply-to", "answers", "--timeout", "1s")
    assert done.returncode in (1, 75), done.stderr


def test_wire_without_requests(work):
    with PeerRelay(work) as relay:
        check_error(request(relay, "--text", "x"), 1, "native wire")


def test_no_relay(work):
    secret = relay_support.write_secret(work / "pw", "correct horse battery staple 7\n")
    words = ["--connect", "tcp:127.0.0.1:1", "--connection", "TCP", "--password-file", secret]
    check_error(support.run("endpoint", "request", "--to", "g", "--text", "x", *words), 69,
                "127.0.0.1:1")
    check_error(support.run("endpoint", "serve", "--group", "g", "--exec", "true", *words), 69,
                "127.0.0.1:1")


def test_answer_that_cannot_be_written(relay, running):
    server = serve(running, relay, "echo answer")
    with open("/dev/full", "wb") as full:
        done = request(relay, "--text", "x", stdout=full)
    assert done.returncode == 74 and "cannot write the answer" in done.stderr
    assert server.stop() == 0


def test_program_that_is_not_there(relay, running):
    server = running(relay, "serve", "--group", "g", "--exec", "no-such-program")
    asked = running(relay, "request", "--to", "g", "--text", "x", "--timeout", "10s")
    assert server.wait() == 127
    server = serve(running, relay, "cat")  # the request was not lost
    assert asked.rest() == "x" and asked.wait() == 0
    assert server.stop() == 0
    assert lines(endpoint(relay, "notify", "g=-1")) == []
