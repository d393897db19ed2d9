# SPDX-License-Identifier: Apache-2.0
"""A TLS client that does what no library's own interface would: OpenSSL, by its C functions."""
import ctypes
import ctypes.util
import time

CRYPTO = ctypes.CDLL(ctypes.util.find_library('crypto'))
SSL = ctypes.CDLL(ctypes.util.find_library('ssl'))
TLS_1_2, TLS_1_3 = 0x303, 0x304
SET_MIN, SET_MAX = 123, 124
UPDATE_REQUESTED = 1
ALLOW_CLIENT_RENEGOTIATION = 1 << 8


def declare(library, result, **arguments):
    for name, types in arguments.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, types


P, I, Z = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
declare(SSL, P, TLS_client_method=[], SSL_CTX_new=[P], SSL_new=[P])
declare(SSL, I, SSL_set_fd=[P, I], SSL_connect=[P], SSL_write=[P, P, I], SSL_key_update=[P, I],
        SSL_renegotiate=[P], SSL_do_handshake=[P])
declare(SSL, ctypes.c_long, SSL_CTX_ctrl=[P, I, ctypes.c_long, P])
declare(SSL, None, SSL_free=[P], SSL_CTX_free=[P], SSL_set0_wbio=[P, P])
declare(CRYPTO, P, BIO_new=[P], BIO_s_mem=[])
declare(CRYPTO, I, BIO_read=[P, P, I])

BUFFER = ctypes.create_string_buffer(65536)


class Rude:
    """A connection after its handshake; what it writes from then on is kept until it is sent."""

    def __init__(self, victim, version, source=None):
        self.sock = victim.raw(source)
        self.context = SSL.SSL_CTX_new(SSL.TLS_client_method())
        SSL.SSL_CTX_ctrl(self.context, SET_MIN, version, None)
        SSL.SSL_CTX_ctrl(self.context, SET_MAX, version, None)
        self.ssl = SSL.SSL_new(self.context)
        self.sock.settimeout(None)
        SSL.SSL_set_fd(self.ssl, self.sock.fileno())
        assert SSL.SSL_connect(self.ssl) == 1
        self.sock.settimeout(20)
        self.kept = CRYPTO.BIO_new(CRYPTO.BIO_s_mem())
        SSL.SSL_set0_wbio(self.ssl, self.kept)

    def taken(self):
        """The records written so far."""
        out = b''
        while (n := CRYPTO.BIO_read(self.kept, BUFFER, len(BUFFER))) > 0:
            out += ctypes.string_at(BUFFER, n)
        return out

    def write(self, data):
        assert SSL.SSL_write(self.ssl, data, len(data)) == len(data)
        return self.taken()

    def key_updates(self, n):
        out = []
        for _ in range(n):
            assert SSL.SSL_key_update(self.ssl, UPDATE_REQUESTED) == 1
            assert SSL.SSL_do_handshake(self.ssl) == 1
            out.append(self.taken())
        return b''.join(out)

    def renegotiation(self):
        """A ClientHello within the connection, of TLS 1.2."""
        assert SSL.SSL_renegotiate(self.ssl) == 1
        SSL.SSL_do_handshake(self.ssl)  # it waits for an answer: that is as it should be
        return self.taken()

    def close(self):
        SSL.SSL_free(self.ssl)
        SSL.SSL_CTX_free(self.context)
        self.sock.close()


def blast(sock, data):
    """All of it, reading away what comes back; True when the other end closes, then or soon after."""
    sent, end = 0, time.monotonic() + 4
    sock.settimeout(0.05)
    while time.monotonic() < end:
        try:
            sent += sock.send(data[sent:sent + 65536]) if sent < len(data) else 0
            if not sock.recv(1 << 20):
                return True
        except TimeoutError:
            pass
        except OSError:
            return True
    return False
