# SPDX-License-Identifier: MIT
"""The unmodified tlspyo package (NK_TLSPYO_DIR: its source directory) with netkit on the other side."""

import json
import os
import subprocess

import pytest

import support

PYTHON = "/usr/bin/python3"
NEEDS = "import twisted, OpenSSL, service_identity, platformdirs"


@pytest.fixture(scope="module", autouse=True)
def stock():
    """Continuous integration cannot fetch it: there the independent peer of tests/peers stands in."""
    directory = os.environ.get("NK_TLSPYO_DIR")
    if not directory:
        pytest.skip("SKIPPED: NK_TLSPYO_DIR is not set, so the unmodified tlspyo is not tested")
    if subprocess.run([PYTHON, "-c", NEEDS], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("SKIPPED: python3-twisted, python3-openssl, python3-service-identity or "
                    "python3-platformdirs is missing")


def check(*args, timeout=300):
    done = subprocess.run([PYTHON, "-B", support.ROOT / "tests" / "peers" / "tlspyo_stock.py", *args],
                          env={**os.environ, "NETKIT": support.NETKIT}, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return {d["check"]: d for d in map(json.loads, done.stdout.splitlines())}


def test_stock_endpoints_at_our_relay():
    result = check("endpoints")
    assert result["calls"] and result["sizes"]
    assert result["notify-to-pop"]["p50_ms"] < 20, "44 ms: the delayed acknowledgement is back"


@pytest.mark.skipif(not os.environ.get("NK_SLOW"), reason="NK_SLOW is not set (stock endpoints need "
                    "minutes for 64 MB)")
def test_64_megabytes_with_stock_endpoints():
    check("endpoints", "64m", timeout=1200)


def test_own_test_suite_with_our_relay():
    result = check("suite")
    assert result["suite"]["tests"] >= 8 and result["custom serializer"]


def test_our_commands_at_a_stock_relay():
    assert check("commands")["commands"]
