#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A tlspyo Relay to compare with: tlspyo_relay.py PORT PASSWORD CREDENTIALS_DIR LOCAL_PORT."""
import sys
import threading

from tlspyo import Relay

if __name__ == "__main__":
    relay = Relay(  # kept: it stops when nobody holds it
        port=int(sys.argv[1]),
        password=sys.argv[2],
        keys_dir=sys.argv[3],
        local_com_port=int(sys.argv[4]),
    )
    threading.Event().wait()
    relay.stop()
