# SPDX-License-Identifier: MIT
"""An SSH server that breaks one rule at a time."""

import support
import ssh_hostile


def test_the_server_is_one():
    """OpenSSH's client is content with it as long as it is honest."""
    support.need_command("ssh")
    support.need_command("ssh-keygen")
    assert ssh_hostile.selftest() == 0
