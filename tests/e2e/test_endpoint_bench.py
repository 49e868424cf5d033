# SPDX-License-Identifier: MIT
"""netkit endpoint bench: it measures what it says, over both wires, and notices strangers."""

import json

import pytest

import relay_support
import support
from relay_support import endpoint


@pytest.mark.parametrize("mode", ["produce", "broadcast"])
@pytest.mark.parametrize("tls", [True, False])
def test_native(programs, work, mode, tls):
    relay = relay_support.NetkitRelay(programs, work, tls=tls)
    words = ["--broadcast"] if mode == "broadcast" else []
    done = endpoint(relay, "bench", "-n", "2000", "--size", "1000", "--json", *words)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    assert (got["mode"], got["size"], got["count"]) == (mode, 1000, 2000)
    assert got["latency_rounds"] == 200 and got["tls"] is tls and got["wire"] == "native"
    latency = got["latency_us"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    assert got["objects_per_s"] == pytest.approx(2000 / got["seconds"], rel=0.01)
    assert got["bytes_per_s"] == pytest.approx(got["objects_per_s"] * 1000, rel=0.01)
    text = endpoint(relay, "bench", "-n", "10", *words).stdout
    assert "latency" in text and "throughput" in text
    assert f"native wire, {'TLS' if tls else 'no TLS'}" in text
    assert relay.stop() == 0


def test_tlspyo_wire(work):
    relay = relay_support.PeerRelay(work, tls=False)
    done = endpoint(relay, "bench", "-n", "300", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["wire"] == "tlspyo"


def test_somebody_else_in_the_group(programs, work):
    relay = relay_support.NetkitRelay(programs, work, tls=False)
    sender = relay.joined()
    sender.produce(b"x" * 64, "mine")
    sender.flush()
    support.check_error(endpoint(relay, "bench", "--group", "mine", "-n", "10"), 76, "somebody")
    assert sender.stop()


def test_time_is_up(programs, work):
    relay = relay_support.NetkitRelay(programs, work, tls=False)
    support.check_error(endpoint(relay, "bench", "-n", "1000000000", "--timeout", "300ms"), 75)
    support.check_error(endpoint(relay, "bench", "--size", "4"), 2)
