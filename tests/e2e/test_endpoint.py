# SPDX-License-Identifier: MIT
"""`netkit endpoint` against netkit's relay and against one that behaves like tlspyo's."""

import base64
import hashlib
import json
import os
import pickle
import signal
import subprocess
import time

import pytest

import support
from relay_support import (NetkitRelay, PeerRelay, endpoint, lines, make_certificate, succeeded,
                           tlspyo_peer, write_secret)
from support import PATIENCE, check_error, wait_until


@pytest.fixture(params=["netkit-TLS", "netkit-TCP", "peer-TLS", "peer-TCP"])
def relay(programs, work, request):
    kind, transport = request.param.split("-")
    tls = transport == "TLS"
    if kind == "netkit":
        yield NetkitRelay(programs, work, tls=tls)
    else:
        with PeerRelay(work, tls=tls) as r:
            yield r


@pytest.fixture
def netkit_relay(programs, work):
    return NetkitRelay(programs, work)


@pytest.fixture
def peer_relay(work):
    with PeerRelay(work) as r:
        yield r


def member(relay, groups, **kw):
    """A Python endpoint in these groups."""
    password = kw.pop("password", None) or relay.password
    if isinstance(password, bytes):
        password = password.decode()
    return tlspyo_peer.Endpoint(relay.address, password, groups,
                                ca=str(relay.ca) if relay.tls else None, **kw).wait_joined()


# --- broadcast and produce -----------------------------------------------------------------------


def test_broadcast_text_is_a_str(relay):
    m = member(relay, "g")
    succeeded(endpoint(relay, "broadcast", "--to", "g", "--text", "grüße"))
    assert m.pop() == "grüße"
    m.stop()


def test_broadcast_stdin_is_bytes(relay):
    m = member(relay, ("g", "h"))
    succeeded(support.run("endpoint", "broadcast", "--to", "g", "--to", "h", *relay.options(),
                          input=b"a\0\xff\n", text=False))
    assert m.receive(2) == [b"a\0\xff\n"] * 2
    m.stop()


def test_broadcast_files(relay, work):
    m = member(relay, "g")
    (work / "one").write_bytes(b"")
    (work / "two").write_bytes(b"x" * 100000)
    succeeded(endpoint(relay, "broadcast", "--to", "g", work / "one", work / "two"))
    assert m.receive(2) == [b"", b"x" * 100000]
    m.stop()


def test_broadcast_is_retained(relay):
    succeeded(endpoint(relay, "broadcast", "--to", "g", "--text", "kept"))
    m = member(relay, "g")
    assert m.pop() == "kept"
    m.stop()


def test_receive_one_retained_object(relay):
    """It comes before the relay has answered everything: the end must not wait for ever."""
    succeeded(endpoint(relay, "broadcast", "--to", "g", "--text", "kept"))
    for _ in range(5):
        done = succeeded(endpoint(relay, "receive", "--group", "g", "-n", "1", "--format", "text"))
        assert done.stdout == "kept\n"


def test_produce_copies_and_lines(relay):
    succeeded(support.run("endpoint", "produce", "--to", "g=2", "--to", "h", "--lines", "--as",
                          "str", *relay.options(), input="a\nb\n\nlast"))
    m = member(relay, ("g", "h"))
    m.notify("g", -1)
    assert m.receive(8) == ["a", "a", "b", "b", "", "", "last", "last"]
    m.notify("h", -1)
    assert m.receive(4) == ["a", "b", "", "last"]
    assert m.nothing()
    m.stop()


def test_produce_a_pickle(relay, work):
    (work / "p").write_bytes(pickle.dumps({"a": [1, 2.5, None]}))
    succeeded(endpoint(relay, "produce", "--to", "g", "--as", "pickle", work / "p"))
    m = member(relay, "g")
    m.notify("g")
    assert m.pop() == {"a": [1, 2.5, None]}
    m.stop()


def test_large_object_both_ways(relay, work):
    data = os.urandom(16 << 20)
    (work / "big").write_bytes(data)
    succeeded(endpoint(relay, "broadcast", "--to", "g", work / "big", timeout=60))
    done = support.run("endpoint", "receive", "--group", "g", "-n", "1", "--format", "raw",
                       *relay.options(), text=False, timeout=60)
    assert done.returncode == 0 and done.stdout == data


def test_many_lines(relay):
    text = "".join(f"line {i}\n" for i in range(20000))
    succeeded(support.run("endpoint", "produce", "--to", "g", "--lines", "--as", "str",
                          *relay.options(), input=text, timeout=60))
    done = endpoint(relay, "notify", "g=20000", "--format", "text", timeout=60)
    assert succeeded(done).stdout == text


def test_json_report(relay):
    done = succeeded(endpoint(relay, "broadcast", "--to", "g", "--text", "x", "--text", "y", "--json"))
    assert json.loads(done.stdout) == {"objects": 2, "acknowledged": True}


def second_is_held(peer_relay, running, *words):
    """A sender of two lines, of which the relay does not acknowledge the second."""
    sender = running(peer_relay, "produce", "--to", "g", "--lines", *words, stdin=subprocess.PIPE)
    sender.proc.stdin.write(b"first\n")
    sender.proc.stdin.flush()
    wait_until(lambda: peer_relay.objects == 1)
    peer_relay.hold_acks()
    sender.proc.stdin.write(b"second\n")
    sender.proc.stdin.flush()
    return sender


def test_status_0_only_after_every_acknowledgement(peer_relay, running):
    sender = second_is_held(peer_relay, running)
    sender.proc.stdin.close()
    wait_until(lambda: peer_relay.objects == 2)
    with pytest.raises(subprocess.TimeoutExpired):
        sender.wait(0.3)
    peer_relay.release_acks()
    assert sender.wait() == 0


def test_timeout_without_acknowledgement(peer_relay, running):
    sender = second_is_held(peer_relay, running, "--timeout", "1")
    sender.proc.stdin.close()
    assert sender.wait() == 75
    assert "acknowledged" in sender.stderr()


def test_cut_connection_is_an_error_and_nothing_is_repeated(peer_relay, running):
    sender = second_is_held(peer_relay, running, "--retry", "10")
    wait_until(lambda: peer_relay.objects == 2)
    peer_relay.kick_all()
    assert sender.wait() == 69
    assert "1 of 2 objects were not acknowledged" in sender.stderr()
    assert peer_relay.connections == 1


def test_nothing_is_sent_before_the_relay_accepted(peer_relay):
    """A stock relay acknowledges and drops what comes before; so nothing must come before."""
    for _ in range(5):
        succeeded(endpoint(peer_relay, "produce", "--to", "g", "--text", "x"))
    assert peer_relay.objects == 5 and peer_relay.dropped == 0


def test_bad_input_of_senders(relay, work):
    (work / "latin").write_bytes(b"\xe9")
    (work / "nopickle").write_bytes(b"hello")
    check_error(endpoint(relay, "broadcast", "--to", "g", "--as", "str", work / "latin"), 1, "UTF-8")
    check_error(endpoint(relay, "broadcast", "--to", "g", "--as", "pickle", work / "nopickle"), 1,
                "pickle")
    check_error(endpoint(relay, "broadcast", "--to", "g", work / "absent"), 1, "absent")
    check_error(endpoint(relay, "broadcast", "--to", "g=2", "--text", "x"), 2, "g=2")
    check_error(endpoint(relay, "produce", "--to", "g=0", "--text", "x"), 2, "g=0")
    check_error(endpoint(relay, "produce", "--to", "g", "--to", "g=2", "--text", "x"), 2, "twice")
    check_error(endpoint(relay, "produce", "--text", "x"), 2, "--to")
    check_error(endpoint(relay, "produce", "--to", "", "--text", "x"), 2, "empty")
    check_error(endpoint(relay, "receive", "--group", ""), 2, "empty")
    check_error(endpoint(relay, "notify", "=3"), 2, "empty")


# --- receive -----------------------------------------------------------------------------------------


def test_receive_formats(relay):
    m = member(relay, ())
    objects = ["text", b"\0\xff", 7, None, True, 2.5, {"a": [1, (b"x",)]}, 1 << 80, {1: 2}]
    for o in objects:
        m.produce(o, "g")
    assert m.flush()
    got = lines(endpoint(relay, "receive", "--group", "g", "--notify", "20", "-n", len(objects)))
    assert [d["type"] for d in got] == ["str", "bytes", "int", "NoneType", "bool", "float", "dict",
                                        "int", "dict"]
    assert [d["value"] for d in got] == [
        "text", "AP8=", 7, None, True, 2.5, {"a": [1, [{"base64": "eA=="}]]},
        {"int": "0x0100000000000000000000"}, [[1, 2]]]
    m.stop()


class Custom:
    """A class of ours: never executed on the other side, handed on as it is."""


def test_receive_an_object_of_a_class(relay):
    m = member(relay, ())
    m.produce(Custom(), "g")
    assert m.flush()
    got = lines(endpoint(relay, "notify", "g"))
    assert got[0]["type"] == "pickle"
    assert base64.b64decode(got[0]["value"]) == pickle.dumps(Custom(), 4)
    m.stop()


def test_receive_follows(relay, running):
    r = running(relay, "receive", "--group", "g", "--group", "h", "--format", "text")
    m = member(relay, ())
    for i in range(3):
        m.broadcast(f"o{i}", "g" if i < 2 else "h")
        assert r.line() == f"o{i}"
    assert r.stop() == 0
    assert r.rest() == ""
    m.stop()


def test_receive_interrupted(relay, running):
    r = running(relay, "receive", "--group", "g", "--format", "text")
    m = member(relay, ())
    m.broadcast("x", "g")
    assert r.line() == "x"
    assert r.stop(signal.SIGINT) == 130
    m.stop()


def test_receive_timeouts(relay):
    succeeded(endpoint(relay, "receive", "--group", "g", "--timeout", "300ms"))
    done = endpoint(relay, "receive", "--group", "g", "-n", "1", "--timeout", "300ms")
    check_error(done, 75, "0 of 1")


def test_receive_acknowledges_what_was_written(relay):
    m = member(relay, ())
    for i in range(5):
        m.produce(i, "g")
    assert m.flush()
    assert len(lines(endpoint(relay, "receive", "--group", "g", "--notify", "2", "-n", "2"))) == 2
    rest = lines(endpoint(relay, "notify", "g=-1"))
    assert [d["value"] for d in rest] == [2, 3, 4]
    m.stop()


def test_objects_that_were_not_taken_go_back(netkit_relay):
    """-n 2 of 5 credits: three more are on their way when it ends."""
    m = member(netkit_relay, ())
    for i in range(5):
        m.produce(i, "g")
    assert m.flush()
    got = lines(endpoint(netkit_relay, "receive", "--group", "g", "--notify", "5", "-n", "2"))
    assert [d["value"] for d in got] == [0, 1]
    got = lines(endpoint(netkit_relay, "notify", "g=-1"))
    assert [d["value"] for d in got] == [2, 3, 4]
    m.stop()


def test_receive_reconnects_and_asks_again(peer_relay, running):
    r = running(peer_relay, "receive", "--group", "g", "--notify", "3", "-n", "3", "--format", "text")
    m = member(peer_relay, ())
    m.produce("one", "g")
    assert r.line() == "one"
    peer_relay.kick_all()
    assert m.closed.wait(PATIENCE)
    r.wait_line("next attempt")
    m = member(peer_relay, ())
    m.produce("two", "g")
    m.produce("three", "g")
    m.produce("four", "g")
    assert [r.line(), r.line()] == ["two", "three"]
    assert r.wait() == 0
    m.notify("g", -1)
    m.stop()


def test_broken_output(relay, running):
    r = running(relay, "receive", "--group", "g", "--format", "text")
    r.proc.stdout.close()
    m = member(relay, ())
    m.broadcast("x", "g")
    assert r.wait() == 128 + signal.SIGPIPE
    m.stop()


def test_full_output(relay):
    m = member(relay, ())
    m.broadcast("x", "g")
    assert m.flush()
    with open("/dev/full", "wb") as full:
        done = endpoint(relay, "receive", "--group", "g", "-n", "1", stdout=full)
    assert done.returncode == 74 and "output" in done.stderr
    m.stop()


def test_slow_reader_slows_the_relay_down_not_us(relay, running):
    m = member(relay, ())
    r = running(relay, "receive", "--group", "g", "--format", "raw", "--notify", "40", "-n", "40")
    for _ in range(40):
        m.produce(b"x" * (1 << 20), "g")
    wait_until(lambda: r.rss() > 0)
    data = r.proc.stdout.read(1)
    assert r.rss() < 64 << 20
    assert len(data + r.proc.stdout.read()) == 40 << 20
    assert r.wait() == 0
    m.stop()


# --- notify ------------------------------------------------------------------------------------------


def test_notify_waits(relay, running):
    n = running(relay, "notify", "g=2", "--format", "text")
    m = member(relay, ())
    m.broadcast("retained", "other")
    m.produce("one", "g")
    assert n.line() == "one"
    m.produce("two", "g")
    assert n.line() == "two"
    assert n.wait() == 0
    m.stop()


def test_notify_leaves_out_the_retained_broadcast(relay):
    m = member(relay, ())
    m.broadcast("retained", "g")
    m.produce("wanted", "g")
    assert m.flush()
    assert succeeded(endpoint(relay, "notify", "g", "--format", "text")).stdout == "wanted\n"
    m.stop()


def test_notify_everything_and_no_wait(relay):
    m = member(relay, ())
    assert succeeded(endpoint(relay, "notify", "g=-1")).stdout == ""
    assert succeeded(endpoint(relay, "notify", "g=3", "--no-wait")).stdout == ""
    for i in range(4):
        m.produce(str(i), "g")
    assert m.flush()
    assert succeeded(endpoint(relay, "notify", "g=3", "--no-wait", "--format", "text")).stdout == (
        "0\n1\n2\n")
    assert succeeded(endpoint(relay, "notify", "g=-1", "--format", "text")).stdout == "3\n"
    m.stop()


def test_notify_times_out(relay):
    check_error(endpoint(relay, "notify", "g", "--timeout", "2s"), 75, "0 of 1")


# --- consume -----------------------------------------------------------------------------------------


def test_consume(relay, work):
    m = member(relay, ())
    for o in ("a", b"b", {"c": 1}):
        m.produce(o, "g")
    assert m.flush()
    out = work / "out"
    done = endpoint(relay, "consume", "--group", "g", "-n", "3", "--exec", "sh", "--format", "json",
                    "--", "-c", 'cat >>"$1"', "sh", out)
    succeeded(done)
    assert [json.loads(x)["value"] for x in out.read_text().splitlines()] == ["a", "Yg==", {"c": 1}]
    assert succeeded(endpoint(relay, "notify", "g=-1")).stdout == ""
    m.stop()


def test_consume_large_object_and_program_that_does_not_read(relay):
    m = member(relay, ())
    m.produce(b"x" * (4 << 20), "g")
    m.produce(b"y" * (4 << 20), "g")
    assert m.flush()
    done = endpoint(relay, "consume", "--group", "g", "-n", "1", "--exec", "wc", "--", "-c")
    assert succeeded(done).stdout.strip() == str(4 << 20)
    succeeded(endpoint(relay, "consume", "--group", "g", "-n", "1", "--exec", "true"))
    m.stop()


def test_consume_failure_on_tlspyo_s_wire(netkit_relay):
    """Nothing can be given back there but by ending the connection."""
    m = member(netkit_relay, ())
    m.produce("x", "g")
    assert m.flush()
    done = endpoint(netkit_relay, "consume", "--wire", "tlspyo", "--group", "g", "--exec", "sh",
                    "--", "-c", "exit 3")
    check_error(done, 1, "status 3")
    assert succeeded(endpoint(netkit_relay, "notify", "g", "--format", "text")).stdout == "x\n"
    m.stop()


def test_consume_keep_going(relay):
    m = member(relay, ())
    for i in range(3):
        m.produce(str(i), "g")
    assert m.flush()
    done = endpoint(relay, "consume", "--group", "g", "-n", "3", "--keep-going", "--format", "text",
                    "--exec", "sh", "--", "-c", 'read x; echo "$x"; exit "$x"')
    assert succeeded(done).stdout == "0\n1\n2\n"
    assert done.stderr.count("dropped") == 2
    assert succeeded(endpoint(relay, "notify", "g=-1")).stdout == ""
    m.stop()


def test_consume_unknown_program(relay):
    m = member(relay, ())
    m.produce("x", "g")
    assert m.flush()
    done = endpoint(relay, "consume", "--group", "g", "--exec", "no-such-program-here")
    assert done.returncode == 127 and "no-such-program-here" in done.stderr
    m.stop()


def test_consume_has_no_shell(relay, work):
    m = member(relay, ())
    m.produce("x", "g")
    assert m.flush()
    done = endpoint(relay, "consume", "--group", "g", "-n", "1", "--exec",
                    f"true; touch {work}/oops")
    assert done.returncode == 127
    assert not (work / "oops").exists()
    m.stop()


def test_consume_finishes_its_work_on_sigterm(relay, work, running):
    os.mkfifo(work / "go")
    m = member(relay, ())
    c = running(relay, "consume", "--group", "g", "--exec", "sh", "--", "-c",
                f"cat; echo; read x <{work}/go; echo done")
    m.produce("job", "g")
    assert c.line() == "job"
    c.proc.send_signal(signal.SIGTERM)
    (work / "go").write_text("x\n")
    assert c.wait() == 0
    assert c.rest() == "done\n"
    assert succeeded(endpoint(relay, "notify", "g=-1")).stdout == ""
    m.stop()


def test_two_workers_share(netkit_relay, running, work):
    workers = [running(netkit_relay, "consume", "--group", "g", "--exec", "sh", "--", "-c",
                       f'read x; echo "$x" >>{work}/log; echo "$x"') for _ in range(2)]
    m = member(netkit_relay, ())
    for i in range(40):
        m.produce(f"{i}\n", "g")
    assert m.flush()
    log = work / "log"
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) == 40)
    assert sorted(log.read_text().split(), key=int) == [str(i) for i in range(40)]
    for w in workers:
        assert w.stop() == 0
    m.stop()


# --- finding and trusting the relay ---------------------------------------------------------------------


def test_local_relay_is_found_by_its_state_directory(programs, work):
    r = NetkitRelay(programs, work, password=None)
    done = support.run("endpoint", "broadcast", "--to", "g", "--text", "x", "--state-dir", r.state,
                       "--connect", f"tcp:{r.address}")
    assert succeeded(done).stderr == "", "a generated password is not weak"


def test_wrong_password(relay, work):
    wrong = write_secret(work / "wrong", "quite another phrase 99\n")
    words = [w for w in relay.options() if w != relay.password_file]
    if "--password-file" in words:
        words.remove("--password-file")
    done = support.run("endpoint", "broadcast", "--to", "g", "--text", "x", *words,
                       "--password-file", wrong)
    check_error(done, 77, "password")
    assert "quite another" not in done.stderr


def test_weak_password_warning(programs, work):
    r = NetkitRelay(programs, work, password="VerySecurePassword")
    done = succeeded(endpoint(r, "broadcast", "--to", "g", "--text", "x"))
    assert "weak" in done.stderr and "VerySecure" not in done.stderr


def test_refused_group(programs, work):
    r = NetkitRelay(programs, work, groups={"g": {"max_count": 1}})
    m = member(r, "g")
    check_error(endpoint(r, "receive", "--group", "g"), 77, "group")
    check_error(endpoint(r, "notify", "nosuch"), 77, "group")
    m.stop()


def test_wrong_certificate(netkit_relay, work):
    make_certificate(work / "other.pem", work / "other.key", rsa=False)
    done = endpoint(netkit_relay, "broadcast", "--to", "g", "--text", "x", "--ca", work / "other.pem")
    check_error(done, 77)


def test_wrong_name(netkit_relay):
    done = endpoint(netkit_relay, "broadcast", "--to", "g", "--text", "x", "--server-name", "example.org")
    check_error(done, 77, "example.org")


def test_pins(netkit_relay):
    der = subprocess.run(["openssl", "x509", "-in", netkit_relay.ca, "-outform", "DER"], check=True,
                         stdout=subprocess.PIPE).stdout
    good = "sha256:" + hashlib.sha256(der).hexdigest()
    succeeded(endpoint(netkit_relay, "broadcast", "--to", "g", "--text", "x", "--pin", good))
    bad = "sha256:" + "0" * 64
    check_error(endpoint(netkit_relay, "broadcast", "--to", "g", "--text", "x", "--pin", bad), 77)
    check_error(endpoint(netkit_relay, "broadcast", "--to", "g", "--text", "x", "--pin", "sha1:00"),
                78)


def test_nobody_listens(work):
    pw = write_secret(work / "pw", "correct horse battery staple 7\n")
    done = support.run("endpoint", "broadcast", "--to", "g", "--text", "x", "--connect",
                       "tcp:127.0.0.1:1", "--connection", "TCP", "--password-file", pw)
    check_error(done, 69, "127.0.0.1:1")


@pytest.mark.parametrize("wire", ["auto", "native", "tlspyo"])
def test_plain_tcp_towards_tls(netkit_relay, wire):
    """Neither side would speak; it is noticed long before the time for the login is over."""
    begin = time.monotonic()
    done = support.run("endpoint", "broadcast", "--to", "g", "--text", "x", "--connect",
                       f"tcp:{netkit_relay.address}", "--connection", "TCP", "--wire", wire,
                       "--password-file", netkit_relay.password_file)
    check_error(done, 69, "TLS", "--connection")
    assert time.monotonic() - begin < 8


def test_retry_until_the_relay_is_there(work, running):
    with PeerRelay(work) as probe:
        port, options = probe.port, probe.options()

    class Later:
        @staticmethod
        def options():
            return options

    sender = running(Later, "broadcast", "--to", "g", "--text", "x", "--retry", "20")
    sender.wait_line("next attempt")
    with PeerRelay(work, address=f"127.0.0.1:{port}") as r:
        assert sender.wait() == 0
        assert r.objects == 1


def test_plain_tcp_beyond_this_machine(work):
    pw = write_secret(work / "pw", "correct horse battery staple 7\n")
    done = support.run("endpoint", "broadcast", "--to", "g", "--text", "x", "--connect",
                       "tcp:relay.example:3000", "--connection", "TCP", "--password-file", pw)
    check_error(done, 2, "TLS")


def test_tls_names_are_refused(work):
    pw = write_secret(work / "pw", "correct horse battery staple 7\n")
    done = support.run("endpoint", "broadcast", "--to", "g", "--text", "x", "--connect",
                       "tls:relay.example:3000", "--password-file", pw)
    check_error(done, 2, "tls")


@pytest.mark.parametrize("mode,contents,code", [(0o644, "secret enough 123\n", 77),
                                                (0o600, "", 78), (0o600, "a\nb\n", 78)])
def test_bad_password_files(work, mode, contents, code):
    pw = work / "pw"
    pw.write_text(contents)
    pw.chmod(mode)
    done = support.run("endpoint", "broadcast", "--to", "g", "--text", "x", "--connect",
                       "tcp:127.0.0.1:1", "--password-file", pw)
    check_error(done, code, str(pw))


def test_no_password_at_all(work):
    done = support.run("endpoint", "broadcast", "--to", "g", "--text", "x", "--state-dir",
                       work / "empty")
    check_error(done, 78, "password")


def test_not_a_relay(programs, work):
    """Something else listens there."""
    python = programs([support.need_command("python3"), "-m", "http.server", "--bind", "127.0.0.1",
                       "0"], stdout=subprocess.PIPE, env=support.clean_env(PYTHONUNBUFFERED="1"))
    port = python.proc.stdout.readline().decode().split(" port ")[1].split()[0]
    pw = write_secret(work / "pw", "correct horse battery staple 7\n")
    done = support.run("endpoint", "broadcast", "--to", "g", "--text", "x", "--connect",
                       f"tcp:127.0.0.1:{port}", "--connection", "TCP", "--password-file", pw,
                       "--timeout", "2")
    assert done.returncode in (69, 75, 76), done.stderr
