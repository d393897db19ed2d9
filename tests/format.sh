#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format leaves it.  `git ls-files '*.[ch]' | xargs clang-format -i` mends.
set -eu
cd "$(dirname "$0")/.."
git ls-files '*.[ch]' | xargs "$1" --dry-run -Werror
