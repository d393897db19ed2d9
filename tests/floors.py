#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the sources to the floors of docs/design.md.

floors.py [--core LIBCORE.A --proto LIBPROTO.A --pb LIBPB.A] ROOT
    Includes go downward, third-party headers have one owner folder, the core calls nothing that
    asks or tells the world, no function is over 80 lines.  Exits 1 with a line for each breach.
floors.py --self-test
    Breaks every rule once in a tree of its own and sees it reported.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

FLOORS = {
    "server/base": 0,
    "server/core": 1,
    "server/store": 2,
    "server/trust": 2,
    "server/artifact": 2,
    "server/metrics": 2,
    "server/config": 2,
    "server/sim": 2,
    "server/service": 3,
    "server/http": 4,
    "server/bus": 4,
}
# Folders whose view is a list, not a floor.
VIEWS = {
    "proto": [],
    "client-sdk": [],
    "server/ctl": ["server/base", "server/core", "server/sim", "server/trust", "server/store",
                   "server/config"],
}
# What a floor alone would allow.
BANS = [("server/http", "server/store"), ("server/bus", "server/store")]
# Header prefix -> who may include it: paths that begin with one of these.
OWNERS = {
    "event2/": ["server/http", "server/bus"],
    "llhttp": ["server/http"],
    "lmdb.h": ["server/store"],
    "openssl/": ["proto/crypto", "server/trust", "server/http"],
    "yaml.h": ["server/base"],
    "curl/": ["client-sdk/curl"],
    "protobuf-c/": ["proto/"],
    "xxhash.h": ["proto/bucket"],
    "jansson.h": ["server/ctl", "server/http/compat"],
    "expat.h": ["server/http/compat"],
    "nats/": ["server/bus"],
}
FUNCTION_MAX, FUNCTION_LONG, FILE_LONG = 80, 60, 400
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')

MATH = "log log1p log2 exp expm1 pow sqrt sinh cosh tanh fabs fmin fmax ceil floor round lgamma"
STRINGS = ("memcpy memmove memset memcmp memchr strlen strnlen strcmp strncmp strchr strrchr "
           "strspn strcspn strstr strcpy strncpy strcat strncat")
PURE = set(MATH.split()) | set(STRINGS.split()) | {
    "__stack_chk_fail", "__assert_fail", "_GLOBAL_OFFSET_TABLE_"}
PURE |= {f"__{s}_chk" for s in STRINGS.split()}
# What a compiler adds when it is asked to watch.
WATCH = re.compile(r"__(asan|ubsan|tsan|sanitizer|gcov|llvm)_|_?_gcov_|__sanitizer")


def sources(root):
    for top in ("proto", "server", "client-sdk"):
        for folder, _, files in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(files):
                if name.endswith((".c", ".h", ".def")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def home(path):
    """The folder that has a floor or a view, in which this path lies."""
    for folder in list(FLOORS) + list(VIEWS):
        if path.startswith(folder + "/"):
            return folder
    return None


def may_see(path, other):
    """Whether the file may include something of the folder `other`."""
    here = home(path)
    if here is None:  # server/main.c is on top
        return other != "server/ctl" and other != "client-sdk"
    if other in (here, "proto"):
        return True
    if here in VIEWS:
        return other in VIEWS[here]
    if (here, other) in BANS or other in VIEWS:
        return False
    return FLOORS[other] < FLOORS[here]


def check_include(path, kind, header):
    if kind == '"':
        other = home(header)
        if other is None:
            return f'"{header}" is not written from the root'
        return None if may_see(path, other) else f"sees {other}"
    for prefix, owners in OWNERS.items():
        if header.startswith(prefix) and not path.startswith(tuple(owners)):
            return f"<{header}> belongs to {', '.join(owners)}"
    return None


def functions(lines):
    """(first line, name, length) of what begins and ends in the first column."""
    start = None
    for i, line in enumerate(lines):
        if line == "{" and start is None:
            start = i
            while start > 0 and re.match(r"[\w\s*(].*[^;}]$|\w.*\($", lines[start - 1]) and \
                    not lines[start - 1].startswith((" *", "/*", "#")):
                start -= 1
        elif line == "}" and start is not None:
            name = re.search(r"\b(?!__attribute__)(\w+)\(", " ".join(lines[start:i]))
            yield start + 1, name.group(1) if name else "?", i - start + 1
            start = None


def check_file(root, path, bad, warn):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        lines = f.read().split("\n")
    for number, line in enumerate(lines, 1):
        m = INCLUDE.match(line)
        what = check_include(path, m.group(1), m.group(2)) if m else None
        if what:
            bad.append(f"{path}:{number}: {what}")
    for number, name, length in functions(lines):
        text = f"{path}:{number}: {name} has {length} lines"
        if length > FUNCTION_MAX:
            bad.append(text)
        elif length > FUNCTION_LONG:
            warn.append(text)
    if len(lines) - 1 > FILE_LONG:
        warn.append(f"{path}: has {len(lines) - 1} lines")


def nm(archive, *options):
    """(member, type, symbol) of a static library."""
    out = subprocess.run(["nm", "-A", "-P", *options, archive], check=True,
                         capture_output=True, text=True).stdout
    for line in out.splitlines():
        member, symbol, kind = re.match(r".*\[(.+?)\]: (\S+) (\w)", line).groups()
        yield os.path.basename(member), kind, symbol


def check_core(core, proto, pb, bad):
    allowed = set(PURE)
    allowed |= {s for _, kind, s in nm(core, "--defined-only") if kind.isupper()}
    for member, kind, s in nm(proto, "--defined-only"):
        if re.match(r"(bucket|ladder)\b", member) and kind.isupper():
            allowed.add(s)
    allowed |= {s for _, _, s in nm(pb, "--defined-only") if s.endswith("__descriptor")}
    for member, _, s in nm(core, "-u"):
        if s not in allowed and not WATCH.match(s):
            bad.append(f"server/core: {member} calls {s}")


def check_state(core, bad):
    """The core has no variables: what is written while it runs lies in .data or .bss."""
    out = subprocess.run(["objdump", "-t", core], check=True, capture_output=True, text=True).stdout
    member = "?"
    for line in out.splitlines():
        if ": " in line and "file format" in line:
            member = os.path.basename(line.split(":")[0])
        m = re.match(r"\S+ .{7} (\.t?data|\.t?bss|\*COM\*)\t\S+ (?:\.hidden )?(\S+)$", line)
        if m and m.group(2) != m.group(1) and not WATCH.match(m.group(2)):
            bad.append(f"server/core: {member} keeps {m.group(2)}")


def check(root, core=None, proto=None, pb=None):
    bad, warn = [], []
    for path in sources(root):
        check_file(root, path, bad, warn)
    if core:
        watched = any(WATCH.match(s) for _, _, s in nm(core, "-u"))
        check_core(core, proto, pb, bad)
        if not watched:  # sanitizers keep variables of their own
            check_state(core, bad)
    return bad, warn


# ---- does it bite? ----

LONG = "static int f{0}(int a,\n\tint b)\n{{\n" + "\ta += b;\n" * 40 + "{1}\treturn a;\n}}\n"
BREACHES = [
    # file, line of it, what must be said
    ("server/base/a.c", '#include "server/core/b.h"', "server/base/a.c:1: sees server/core"),
    ("server/core/a.c", '#include "server/store/b.h"', "sees server/store"),
    ("server/store/a.c", '#include "server/trust/b.h"', "sees server/trust"),
    ("server/config/a.h", '#include "server/metrics/b.h"', "sees server/metrics"),
    ("server/sim/a.c", '#include "server/store/b.h"', "sees server/store"),
    ("server/trust/a.c", '#include "server/service/b.h"', "sees server/service"),
    ("server/service/a.c", '#include "server/http/b.h"', "sees server/http"),
    ("server/http/a.c", '#include "server/bus/b.h"', "sees server/bus"),
    ("server/http/a.c", '# include "server/store/b.h"', "sees server/store"),
    ("server/http/a.c", '#include "server/ctl/b.h"', "sees server/ctl"),
    ("server/ctl/a.c", '#include "server/artifact/b.h"', "sees server/artifact"),
    ("server/ctl/a.c", '#include "server/service/b.h"', "sees server/service"),
    ("server/main.c", '#include "server/ctl/b.h"', "sees server/ctl"),
    ("proto/a.h", '#include "server/base/b.h"', "sees server/base"),
    ("client-sdk/src/a.c", '#include "server/base/b.h"', "sees server/base"),
    ("server/base/a.c", '#include "client-sdk/src/b.h"', "sees client-sdk"),
    ("server/base/a.c", '#include "b.h"', "is not written from the root"),
    ("server/base/a.c", '#include "../core/b.h"', "is not written from the root"),
    ("server/service/a.c", "#include <event2/event.h>", "belongs to server/http"),
    ("server/service/a.c", "#include <llhttp/llhttp.h>", "belongs to server/http"),
    ("server/service/a.c", "#include <lmdb.h>", "belongs to server/store"),
    ("server/service/a.c", "#include <openssl/evp.h>", "belongs to proto/crypto"),
    ("proto/envelope.c", "#include <openssl/evp.h>", "belongs to proto/crypto"),
    ("client-sdk/src/a.c", "#include <openssl/evp.h>", "belongs to proto/crypto"),
    ("server/config/a.c", "#include <yaml.h>", "belongs to server/base"),
    ("client-sdk/src/a.c", "#include <curl/curl.h>", "belongs to client-sdk/curl"),
    ("server/service/a.c", "#include <protobuf-c/protobuf-c.h>", "belongs to proto/"),
    ("server/core/a.c", "#include <xxhash.h>", "belongs to proto/bucket"),
    ("server/base/a.c", "#include <jansson.h>", "belongs to server/ctl"),
    ("server/http/a.c", "#include <expat.h>", "belongs to server/http/compat"),
    ("server/base/a.c", LONG.format(1, "\ta++;\n" * 36), "f1 has 81 lines"),
]
ALLOWED = [
    ("server/main.c", '#include "server/http/b.h"\n#include "server/store/b.h"'),
    ("server/http/a.c", '#include "server/service/b.h"\n#include <openssl/ssl.h>'),
    ("server/service/a.c", '#include "server/service/b_private.h"\n#include "proto/b.h"'),
    ("server/http/compat/a.c", '#include "server/http/http.h"\n#include <jansson.h>'),
    ("server/store/a.c", '#include "server/core/b.h"\n#include <lmdb.h>\n#include <stdio.h>'),
    ("server/ctl/a.c", '#include "server/trust/b.h"\n#include "server/core/b.h"'),
    ("proto/crypto_key.c", "#include <openssl/evp.h>"),
    ("client-sdk/src/a.c", '#include "proto/b.h"\n#include "client-sdk/src/b.h"'),
    ("client-sdk/curl/a.c", "#include <curl/curl.h>\n#include <huidu/huidu.h>"),
    ("server/base/a.c", LONG.format(2, "\ta++;\n" * 35)),
]
CORE = [
    ("int f(int a) { return a; }", None),
    ("#include <math.h>\ndouble f(double a) { return log1p(a); }", None),
    ("static const char *const n[] = { \"a\" };\nconst char *f(int i) { return n[i]; }", None),
    ("unsigned bucket_of(void);\nunsigned f(void) { return bucket_of(); }", None),
    ("#include <time.h>\nlong f(void) { return time(NULL); }", "calls time"),
    ("#include <stdlib.h>\nvoid *f(void) { return malloc(5); }", "calls malloc"),
    ("#include <stdio.h>\nvoid f(void) { puts(\"x\"); }", "calls puts"),
    ("int lint(void);\nint f(void) { return lint(); }", "calls lint"),
    ("int f(void) { static int n; return ++n; }", "keeps n"),
    ("int n = 5;\nint f(void) { return ++n; }", "keeps n"),
    ("_Thread_local int n;\nint f(void) { return ++n; }", "keeps n"),
]


def write(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as f:
        f.write(text + "\n")
    return full


def archive(folder, name, member, text):
    source = write(folder, member + ".c", text)
    lib = os.path.join(folder, name)
    if os.path.exists(lib):
        os.remove(lib)
    subprocess.run([*os.environ.get("CC", "cc").split(), "-O2", "-fPIC", "-c", source, "-o",
                    os.path.join(folder, member + ".o")], check=True)
    subprocess.run(["ar", "rc", lib, os.path.join(folder, member + ".o")], check=True)
    return lib


def tell(ok, what):
    print(("ok  " if ok else "FAIL"), what.split("\n")[0])
    return ok


def tree():
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def self_test():
    results = []
    for path, text, want in BREACHES:
        with tree() as root:
            write(root, path, text)
            bad, _ = check(root)
            results.append(tell(len(bad) == 1 and want in bad[0], f"{path}: {want}: {bad}"))
    for path, text in ALLOWED:
        with tree() as root:
            write(root, path, text)
            bad, _ = check(root)
            results.append(tell(not bad, f"{path} is fine: {bad}"))
    with tree() as root:
        proto = archive(root, "libproto.a", "bucket", "unsigned bucket_of(void) { return 1; }")
        pb = archive(root, "libpb.a", "x", "const int pb__a__descriptor = 1;")
        for text, want in CORE:
            bad, _ = check(root, archive(root, "libcore.a", "gate", text), proto, pb)
            ok = not bad if want is None else any(want in b for b in bad)
            results.append(tell(ok, f"core: {want}: {bad}"))
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--self-test", action="store_true")
    p.add_argument("--core")
    p.add_argument("--proto")
    p.add_argument("--pb")
    p.add_argument("root", nargs="?")
    a = p.parse_args()
    if a.self_test:
        return self_test()
    if a.root is None:
        p.error("which tree?")
    bad, warn = check(a.root, a.core, a.proto, a.pb)
    for line in warn:
        print(f"note: {line}")
    for line in bad:
        print(line)
    print(f"{len(bad)} breaches")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
