#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Line coverage of our own files after './build.sh cov', lowest first; part of that verb.
set -euo pipefail
cd "$(dirname "$0")/.."
find build/cov/obj/modules build/cov/obj/vendor -name '*.gcda' -print0 2>/dev/null |
    xargs -0 gcov -n 2>/dev/null |
    awk -F"'" '/^File / { file = $2 }
        /^Lines executed:/ && file ~ /^(modules|vendor\/glue)\/.*\.c$/ && file !~ /_(test|testkit|fuzz)\.c$/ {
            split($0, part, /[:% ]+/); pct[file] = part[3]; lines[file] = part[5]; file = "" }
        END {
            for (f in pct) { printf "%6.1f %%  %5d  %s\n", pct[f], lines[f], f; n += lines[f]; hit += lines[f] * pct[f] / 100 }
            if (n) printf "%6.1f %%  %5d  total\n", 100 * hit / n, n }' | sort -n
