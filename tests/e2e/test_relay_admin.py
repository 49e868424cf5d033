# SPDX-License-Identifier: MIT
"""netkit relay status, groups, endpoints, kick: what an administrator asks a running relay."""

import json
import os
import stat

import pytest

import relay_support
import support


def admin(relay, verb, *args, **kw):
    return support.run("relay", verb, *args, "--state-dir", relay.state, **kw)


def ask(relay, verb, *args):
    done = admin(relay, verb, *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def group(relay, name):
    found = [g for g in ask(relay, "groups")["groups"] if g["name"] == name]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.fixture
def relay(programs, work):
    relay = relay_support.Relay(programs, work, connection="TCP")
    relay.program.wait_line('"ready"')  # listening comes first, the control socket then
    return relay


def test_groups(relay):
    assert ask(relay, "groups") == {"schema": 1, "total": 0, "groups": []}
    sender = relay.endpoint().wait_joined()
    member = relay.endpoint(groups=("a group", "jobs")).wait_joined()
    sender.broadcast("news", "a group")
    for i in range(3):
        sender.produce(i, "jobs")
    assert member.pop(support.PATIENCE) == "news"
    support.wait_until(lambda: group(relay, "jobs")["queued"] == 3)
    got = group(relay, "a group")
    assert (got["members"], got["retained"], got["broadcasts"]) == (1, 1, 1)
    member.notify("jobs", 2)
    assert [member.pop(support.PATIENCE), member.pop(support.PATIENCE)] == [0, 1]
    support.wait_until(lambda: group(relay, "jobs")["leased"] == 0)
    got = group(relay, "jobs")
    assert (got["queued"], got["produced"], got["delivered"]) == (1, 3, 2)
    only = ask(relay, "groups", "-n", "1")
    assert only["total"] == 2 and len(only["groups"]) == 1
    table = admin(relay, "groups").stdout.splitlines()
    assert table[0].split()[-1] == "GROUP" and len(table) == 3
    assert {line.split("  ")[-1] for line in table[1:]} == {"a group", "jobs"}
    assert sender.stop() and member.stop()


def test_endpoints_and_kick(relay):
    one = relay.endpoint(groups=("g", "h")).wait_joined()
    two = relay.endpoint(groups=("g",)).wait_joined()
    two.broadcast("x", "g")
    assert one.pop(support.PATIENCE) == "x" and two.pop(support.PATIENCE) == "x"
    with relay.connect():
        support.wait_until(lambda: ask(relay, "endpoints")["total"] == 3)
        seen = ask(relay, "endpoints")["endpoints"]
        assert [e["groups"] for e in seen] == [["g", "h"], ["g"], []]
        assert [e["authenticated"] for e in seen] == [True, True, False]
        assert seen[0]["wire"] == "tlspyo" and seen[0]["id"] < seen[1]["id"] < seen[2]["id"]
        assert seen[1]["objects_in"] == 1 and seen[1]["objects_out"] == 1
        table = admin(relay, "endpoints").stdout.splitlines()
        assert len(table) == 4 and "(not logged in)" in table[3] and table[1].endswith("g, h")
    support.wait_until(lambda: ask(relay, "endpoints")["total"] == 2)
    # one wrong word: nobody is hit
    assert admin(relay, "kick", seen[0]["id"], 99999).returncode == 2
    assert admin(relay, "kick", "--group", "nobody").returncode == 2
    assert ask(relay, "endpoints")["total"] == 2
    assert ask(relay, "kick", seen[0]["id"]) == {"closed": 1}
    assert [e["id"] for e in ask(relay, "endpoints")["endpoints"]] == [seen[1]["id"]]
    assert ask(relay, "kick", seen[1]["peer"]) == {"closed": 1}
    relay.program.wait_line("admin.kick")
    assert ask(relay, "endpoints")["total"] == 0
    one.abort(), two.abort()


def test_kicked_consumer_gives_back(relay):
    """What it had and did not acknowledge is somebody else's."""
    sender = relay.endpoint().wait_joined()
    with relay.connect() as sock:
        relay_support.join(sock, relay, "jobs")
        sock.sendall(relay.command("NTF", {"jobs": 1}, b"\x80\x04N."))
        sender.produce("work", "jobs")
        support.wait_until(lambda: (group(relay, "jobs") or {}).get("leased") == 1)
        assert ask(relay, "kick", "--group", "jobs") == {"closed": 1}
        assert relay_support.closed_by_peer(sock)
    support.wait_until(lambda: group(relay, "jobs")["queued"] == 1)
    assert group(relay, "jobs")["requeued"] == 1
    other = relay.endpoint(groups=("jobs",)).wait_joined()
    other.notify("jobs", 1)
    assert other.pop(support.PATIENCE) == "work"
    assert sender.stop() and other.stop()


def test_purge(relay):
    sender = relay.endpoint().wait_joined()
    consumer = relay.joined(groups=("jobs",), auto_ack=False)
    for i in range(10):
        sender.produce(i, "jobs")
    sender.broadcast("kept", "jobs")
    sender.produce("other", "others", copies=5)
    sender.flush()
    consumer.notify("jobs", 2)
    support.wait_until(lambda: group(relay, "jobs")["leased"] == 2)
    support.check_error(admin(relay, "purge", "jobs"), 2, "--yes")
    support.check_error(admin(relay, "purge", "jobs", "none", "--yes"), 2, "none")
    assert json.loads(admin(relay, "purge", "jobs", "--dry-run").stdout) == {"groups": 1, "objects": 9}
    assert group(relay, "jobs")["queued"] == 8
    assert json.loads(admin(relay, "purge", "jobs", "--yes").stdout) == {"groups": 1, "objects": 9}
    got = group(relay, "jobs")
    assert (got["queued"], got["leased"], got["retained"], got["dropped_purged"]) == (0, 2, 0, 8)
    assert json.loads(admin(relay, "purge", "others", "jobs", "--yes").stdout) == {
        "groups": 2, "objects": 5}
    relay.program.wait_line("admin.purge")
    sender.produce("new", "jobs")
    support.wait_until(lambda: group(relay, "jobs")["queued"] == 1)
    consumer.abort()
    support.wait_until(lambda: group(relay, "jobs")["queued"] == 3)  # what it held came back
    assert sender.stop()


def test_status(relay):
    status = json.loads(admin(relay, "status").stdout)
    assert status["listen"] == [f"tcp:{relay.address}"] and status["connections"] == 0


def test_names_of_all_kinds(relay):
    """Any bytes may be a name; a table has one line for each."""
    names = ("line\nbreak", "100%", "", "ümlaut", "x" * 1000, "tab\there", " ")
    member = relay.endpoint(groups=names).wait_joined()
    assert {g["name"] for g in ask(relay, "groups")["groups"]} == set(names)
    assert len(admin(relay, "groups").stdout.splitlines()) == 1 + len(names)
    assert len(admin(relay, "endpoints").stdout.splitlines()) == 2
    for name in names[:-1]:
        assert ask(relay, "kick", "--group", name) == {"closed": 1}
        member.abort()
        member = relay.endpoint(groups=names).wait_joined()
    assert member.stop()


def test_under_run(programs, work):
    """The same socket, the same answers, when `netkit run` has started it."""
    ini = work / "netkit.ini"
    ini.write_text("[relay]\nlisten = tcp:127.0.0.1:0\nconnection = TCP\nengine = memory\n")
    state = work / "state"
    program = programs([support.NETKIT, "run", "-c", ini, "--state-dir", state])
    program.wait_line("service: ready")
    done = support.run("relay", "status", "--state-dir", state)
    assert json.loads(done.stdout)["engine"] == "memory"
    done = support.run("status", "--state-dir", state)
    assert json.loads(done.stdout)["relay"]["state"] == "ready"
    sock = state / "relay" / "control.sock"
    assert stat.S_IMODE(os.stat(sock).st_mode) & 0o077 == 0
    assert program.stop() == 0
    assert not sock.exists()
    done = support.run("relay", "status", "--state-dir", state)
    support.check_error(done, 69, "a relay is not running", str(state))


def test_usage(relay, work):
    assert admin(relay, "kick").returncode == 2
    assert admin(relay, "groups", "x").returncode == 2
    support.check_error(support.run("relay", "groups", "--state-dir", work / "none"), 69)
