# SPDX-License-Identifier: MIT
"""`netkit endpoint` on the native wire, alone and together with endpoints on tlspyo's."""

import json
import pathlib
import subprocess

import pytest

import support
from relay_support import NetkitRelay, endpoint, lines, succeeded
from server_support import free_port
from support import check_error, wait_until


@pytest.fixture(params=["TLS", "TCP"])
def relay(programs, work, request):
    return NetkitRelay(programs, work, tls=request.param == "TLS", extra=("--session-grace", "500ms"))


def test_metadata_make_their_way(relay):
    succeeded(endpoint(relay, "produce", "--to", "g=2", "--text", "{}", "--content", "json", "--ttl",
                       "1h", "--header", "a=b", "--header", "c=d=e"))
    succeeded(endpoint(relay, "broadcast", "--to", "h", "--text", "kept"))
    got = lines(endpoint(relay, "notify", "g=2"))
    assert [(d["group"], d["kind"], d["type"], d["value"], d["tries"]) for d in got] == [
        ("g", "item", "json", "{}", 0)] * 2
    assert got[0]["headers"] == {"a": "b", "c": "d=e"}
    assert got[0]["seq"] + 1 == got[1]["seq"] and got[0]["expires_ms"] > 0
    got = lines(endpoint(relay, "receive", "--group", "h", "-n", "1"))
    assert [(d["group"], d["kind"], d["type"], d["value"]) for d in got] == [
        ("h", "retained", "str", "kept")]


def test_wires_can_be_chosen(relay):
    for wire in ("native", "tlspyo", "auto"):
        succeeded(endpoint(relay, "produce", "--wire", wire, "--to", "g", "--text", wire))
    native = lines(endpoint(relay, "notify", "g=2"))
    assert [d["value"] for d in native] == ["native", "tlspyo"] and "group" in native[0]
    stock = lines(endpoint(relay, "notify", "--wire", "tlspyo", "g"))
    assert stock == [{"type": "str", "value": "auto"}]


def test_stock_and_native_members_of_one_group(relay, running):
    native = running(relay, "receive", "--group", "g", "--format", "text")
    stock = relay.joined("g")
    succeeded(endpoint(relay, "broadcast", "--to", "g", "--text", "from native", "--header", "a=b"))
    assert native.line() == "from native" and stock.pop() == "from native"
    stock.broadcast("from stock", "g")
    assert native.line() == "from stock" and stock.pop() == "from stock"
    text = "".join(f"{i}\n" for i in range(500))
    succeeded(support.run("endpoint", "broadcast", "--to", "g", "--lines", "--as", "str",
                          *relay.options(), input=text))
    for i in range(500):
        assert stock.pop() == str(i) and native.line() == str(i)
    succeeded(endpoint(relay, "produce", "--to", "g", "--text", "job", "--ttl", "1h"))
    stock.notify("g")
    assert stock.pop() == "job"
    assert native.stop() == 0
    stock.stop()


def test_empty_queue_is_an_empty_list(relay):
    assert succeeded(endpoint(relay, "notify", "g=-1", "--json")).stdout == "[]\n"
    assert succeeded(endpoint(relay, "notify", "g=-1")).stdout == ""


def test_no_wait_takes_no_more_than_asked(relay):
    for i in range(4):
        succeeded(endpoint(relay, "produce", "--to", "g", "--text", str(i)))
    assert [d["value"] for d in lines(endpoint(relay, "notify", "g=2", "--no-wait"))] == ["0", "1"]
    rest = lines(endpoint(relay, "notify", "g=7", "--no-wait"))
    assert [(d["value"], d["tries"]) for d in rest] == [("2", 0), ("3", 0)]  # never handed out before


def test_failed_work_comes_again_and_dies(programs, work):
    relay = NetkitRelay(programs, work,
                        groups={"g": {"max_deliveries": 3, "dead_letter": "dead"}, "dead": {}})
    succeeded(endpoint(relay, "produce", "--to", "g", "--text", "x", "--header", "job=7"))
    done = endpoint(relay, "consume", "--group", "g", "-n", "3", "--delay", "0", "--exec", "sh", "--",
                    "-c", 'echo "$(cat) $OBJECT_GROUP $OBJECT_TRIES $OBJECT_HEADER_JOB"; exit 1')
    assert succeeded(done).stdout == "x g 0 7\nx g 1 7\nx g 2 7\n"
    assert done.stderr.count("goes back") == 3
    dead = lines(endpoint(relay, "notify", "dead"))
    assert dead[0]["value"] == "x" and dead[0]["original_group"] == "g"
    assert dead[0]["headers"] == {"job": "7"}


def test_failed_work_succeeds_at_last(relay, work):
    succeeded(endpoint(relay, "produce", "--to", "g", "--text", "x"))
    done = endpoint(relay, "consume", "--group", "g", "-n", "2", "--delay", "100ms", "--exec", "sh",
                    "--", "-c", 'echo "$OBJECT_TRIES"; [ "$OBJECT_TRIES" = 1 ]')
    assert succeeded(done).stdout == "0\n1\n"
    assert succeeded(endpoint(relay, "notify", "g=-1")).stdout == ""


def test_several_jobs_at_one_time(relay, work):
    """Each of them waits until all of them run."""
    for i in range(3):
        succeeded(endpoint(relay, "produce", "--to", "g", "--text", str(i)))
    done = endpoint(relay, "consume", "--group", "g", "-n", "3", "--jobs", "3", "--exec", "sh", "--",
                    "-c", f'read x; : >{work}/run.$x; while [ "$(ls {work}/run.* | wc -l)" -lt 3 ]; '
                    "do sleep 0.05; done")
    succeeded(done)


def test_request_and_serve(relay, running):
    server = running(relay, "serve", "--group", "upper", "--jobs", "2", "--exec", "tr", "--", "a-z",
                     "A-Z")
    for word in ("hello", "world"):
        done = support.run("endpoint", "request", "--to", "upper", *relay.options(), input=word)
        assert succeeded(done).stdout == word.upper()
    big = "x" * (1 << 20)
    done = support.run("endpoint", "request", "--to", "upper", *relay.options(), input=big)
    assert succeeded(done).stdout == big.upper()
    assert server.stop() == 0
    check_error(endpoint(relay, "request", "--to", "nobody", "--text", "x", "--timeout", "1s"), 75,
                "no answer")


def test_relay_is_killed_while_lines_are_sent(programs, work, running):
    """What the sender reports as done is there, in order, and nothing is there twice."""
    listen = f"tcp:127.0.0.1:{free_port()}"
    relay = NetkitRelay(programs, work, listen=listen)
    sender = running(relay, "produce", "--to", "g", "--lines", "--as", "str", "--retry", "60",
                     stdin=subprocess.PIPE)
    count = 0
    for _ in range(4):
        for _ in range(2500):
            sender.proc.stdin.write(f"{count}\n".encode())
            count += 1
        sender.proc.stdin.flush()
        relay.program.kill()
        relay = NetkitRelay(programs, work, listen=listen)
    sender.proc.stdin.close()
    assert sender.wait(60) == 0, sender.stderr()
    done = endpoint(relay, "notify", "g=-1", "--format", "text", timeout=60)
    assert succeeded(done).stdout.split() == [str(i) for i in range(count)]


def test_receiver_comes_back_to_a_new_relay(programs, work, running):
    listen = f"tcp:127.0.0.1:{free_port()}"
    relay = NetkitRelay(programs, work, listen=listen)
    receiver = running(relay, "receive", "--group", "g", "--notify", "4", "--format", "text")
    succeeded(endpoint(relay, "broadcast", "--to", "g", "--text", "kept"))
    succeeded(endpoint(relay, "produce", "--to", "g", "--text", "one"))
    assert [receiver.line(), receiver.line()] == ["kept", "one"]
    assert relay.stop() == 0
    receiver.wait_line("next attempt")
    relay = NetkitRelay(programs, work, listen=listen)
    succeeded(endpoint(relay, "produce", "--to", "g", "--text", "two"))
    assert receiver.line() == "two"  # neither the retained object again, nor `one`
    assert receiver.stop() == 0


def test_trust_by_the_password(programs, work):
    """Without a copy of the certificate: the password authenticates the relay, its key is kept."""
    relay = NetkitRelay(programs, work)
    mine = work / "mine"
    words = ["--connect", f"tcp:{relay.address}", "--state-dir", mine, "--password-file",
             relay.password_file]
    succeeded(support.run("endpoint", "produce", "--to", "g", "--text", "x", *words))
    known = mine / "known_relays"
    assert relay.address in known.read_text() and known.stat().st_mode & 0o777 == 0o600
    before = known.read_text()
    succeeded(support.run("endpoint", "produce", "--to", "g", "--text", "y", *words))
    assert known.read_text() == before
    wrong = pathlib.Path(work / "wrong")
    wrong.write_text("another long pass phrase 1\n", encoding="utf-8")
    wrong.chmod(0o600)
    check_error(support.run("endpoint", "produce", "--to", "g", "--text", "x", *words[:-1], wrong), 77,
                "password")
    check_error(support.run("endpoint", "produce", "--to", "g", "--text", "x", *words, "--pin",
                            "sha256:" + "0" * 64), 77)


def test_many_small_objects(relay):
    """Packed into few writes; the memory for them does not grow with their number."""
    text = "".join(f"line {i}\n" for i in range(100000))
    succeeded(support.run("endpoint", "produce", "--to", "g", "--lines", "--as", "str",
                          *relay.options(), input=text, timeout=60))
    done = endpoint(relay, "notify", "g=-1", "--format", "text", timeout=60)
    assert succeeded(done).stdout == text


def test_worker_that_dies_gives_its_object_back(relay, running, work):
    worker = running(relay, "consume", "--group", "g", "--exec", "sh", "--", "-c",
                     f": >{work}/begun; exec sleep 60")
    succeeded(endpoint(relay, "produce", "--to", "g", "--text", "job"))
    wait_until((work / "begun").exists)
    worker.kill()
    got = lines(endpoint(relay, "notify", "g", timeout=30))
    assert got[0]["value"] == "job" and got[0]["tries"] == 1


def test_progress_of_a_long_transfer(relay, running):
    sender = running(relay, "produce", "--to", "g", "--lines", "--progress", "json",
                     stdin=subprocess.PIPE)
    sender.proc.stdin.write(b"first\n")
    sender.proc.stdin.flush()
    said = json.loads(sender.wait_line(r'(\{"sent".*\})').group(1))
    assert set(said) == {"sent", "received", "queued", "unsettled"} and said["unsettled"] == 0
    sender.proc.stdin.close()
    assert sender.wait() == 0
