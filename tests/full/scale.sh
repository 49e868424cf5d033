#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# An object of 1 GiB towards a receiver of 20 MB/s, and 20,000 idle connections (or as many as there
# may be descriptors): pings stay fast, memory small.
set -euo pipefail
cd "$(dirname "$0")/../.."
NK_LARGE_MIB=1024 NK_IDLE=20000 timeout 900 "${PYTHON:-/usr/bin/python3}" -B -m pytest -q -s \
    -p no:cacheprovider -rs tests/e2e/test_relay_scale.py
