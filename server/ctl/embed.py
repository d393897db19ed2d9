#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes text files as a C table: embed.py OUT.c FILE..."""
import pathlib
import sys


def quote(line):
    return '\t\t"' + line.replace('\\', '\\\\').replace('"', '\\"') + '\\n"\n'


out, files = sys.argv[1], [pathlib.Path(f) for f in sys.argv[2:]]
text = '#include "server/ctl/plans.h"\n\nconst struct plan_text plan_texts[] = {\n'
for f in files:
    text += '\t{ "%s",\n' % f.name
    text += ''.join(quote(line) for line in f.read_text().splitlines()) + '\t},\n'
pathlib.Path(out).write_text(text + '\t{ NULL, NULL },\n};\n')
