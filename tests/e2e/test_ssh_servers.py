# SPDX-License-Identifier: MIT
"""The SSH servers that the other tests use serve OpenSSH's client, with their best and worst algorithms."""

import pytest
import ssh_servers as real_servers


@pytest.mark.parametrize("name", real_servers.NAMES)
def test_openssh_logs_in(ssh_servers, name):
    real_servers.selftest_server(ssh_servers, name)
