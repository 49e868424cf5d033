#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The unmodified tlspyo with everything that takes long (64 MB objects through its Endpoints), when
# NK_TLSPYO_DIR names its source directory.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ -z "${NK_TLSPYO_DIR:-}" ]; then
    echo "SKIP: NK_TLSPYO_DIR is not set, so the unmodified tlspyo is not tested"
    exit 0
fi
NK_SLOW=1 timeout 900 "${PYTHON:-/usr/bin/python3}" -B -m pytest -q -p no:cacheprovider -rs \
    tests/e2e/test_tlspyo_stock.py
