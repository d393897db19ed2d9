# SPDX-License-Identifier: Apache-2.0
"""Signatures of a device's P-256 key, as they are on the wire."""
import subprocess

LIMIT_S = 10


def sign(key, text):
    """r||s over the SHA-256 of the text; `key` is a PEM file."""
    der = subprocess.run(['openssl', 'dgst', '-sha256', '-sign', key], input=text, check=True,
                         capture_output=True, timeout=LIMIT_S).stdout
    out, at = b'', 2
    for _ in range(2):
        n = der[at + 1]
        out += der[at + 2:at + 2 + n].lstrip(b'\0').rjust(32, b'\0')
        at += 2 + n
    return out
