# SPDX-License-Identifier: Apache-2.0
"""Requests that may be read in two ways, each with a poll behind it in the same packet: refused, and the
poll is never executed."""
from victim import Answers

POST = b'POST /v1/poll HTTP/1.1\r\nHost: x\r\n'
CHUNKED = POST + b'Transfer-Encoding: chunked\r\n\r\n'


def te(value, name=b'Transfer-Encoding'):
    return POST + name + b':' + value + b'\r\n\r\n0\r\n\r\n'


def cl(value, name=b'Content-Length'):
    return POST + name + b':' + value + b'\r\n\r\n'


def chunk(size):
    return CHUNKED + size + b'\r\nhello\r\n0\r\n\r\n'


FORMS = {
    'lengths': [cl(b' 0\r\nContent-Length: 5'), cl(b' 5\r\nContent-Length: 5') + b'hello',
                cl(b' 0, 0'), cl(b' +0'), cl(b' -1'), cl(b' 0x0'), cl(b' 00000000000000000000000'),
                cl(b' 18446744073709551616'), cl(b' 4294967296'), cl(b' 1 0'), cl(b''), cl(b' a'),
                cl(b' 0\x0b'), cl(b' 0\x00'), cl(b' \xd9\xa0'), cl(b' 0;x'), cl(b' "0"')],
    'length and coding': [
        POST + b'Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        POST + b'Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n',
        POST + b'Content-Length: 5\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n',
        POST + b'Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n',
        b'POST /v1/poll HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    'codings': [te(b' chunked, identity'), te(b' identity'), te(b' xchunked'), te(b' chunkedx'),
                te(b' chunked, chunked'), te(b' gzip, chunked'), te(b'\x0bchunked'),
                te(b' chunked;q=1'), te(b' "chunked"'), te(b' chunked\x00'), te(b''),
                te(b' , chunked'), te(b' chunked,'), te(b' chunked\r\nTransfer-Encoding: chunked'),
                te(b' chunked', b'Transfer-Encoding '), te(b' chunked', b'Transfer-Encoding\t'),
                te(b' chunked', b' Transfer-Encoding'), te(b' chunked', b'Transfer_Encoding\x00')],
    'folds and ends': [
        POST + b'X: y\r\n Transfer-Encoding: chunked\r\n\r\n', POST + b'X: y\r\n\tz\r\n\r\n',
        POST + b'Content-Length:\r\n 5\r\n\r\nhello', POST + b'X: y\nContent-Length: 5\r\n\r\nhello',
        POST + b'X: y\rContent-Length: 5\r\n\r\nhello', POST + b'X: y\r\r\n\r\n',
        POST.replace(b'\r\n', b'\n') + b'\n', POST + b'\n', POST + b'\r\r\n',
        POST + b'X: \x00\r\n\r\n', b'POST /v1/poll\x00 HTTP/1.1\r\nHost: x\r\n\r\n'],
    'chunks': [chunk(b'5;x'), chunk(b'5;x="\r\n'), chunk(b'-5'), chunk(b'+5'), chunk(b'0x5'),
               chunk(b' 5'), chunk(b'5 '), chunk(b'5\t'), chunk(b'5,5'), chunk(b'fffffffff'),
               chunk(b'10000000000000005'), chunk(b''), chunk(b'g'), chunk(b'\x005'),
               CHUNKED + b'5\nhello\n0\n\n', CHUNKED + b'5\r\nhelloo\r\n0\r\n\r\n',
               CHUNKED + b'4\r\nhello\r\n0\r\n\r\n', CHUNKED + b'0\r\nX: y\r\n\r\n',
               CHUNKED + b'0\r\n\n', CHUNKED + b'00000000000\r\n\r\n'],
    'request lines': [
        b'POST /v1/poll\r\nHost: x\r\n\r\n', b'POST /v1/poll HTTP/0.9\r\nHost: x\r\n\r\n',
        b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', b'POST /v1/poll HTTP/2.0\r\nHost: x\r\n\r\n',
        b'POST  /v1/poll HTTP/1.1\r\nHost: x\r\n\r\n', b'POST /v1/poll  HTTP/1.1\r\nHost: x\r\n\r\n',
        b'POST /v1/poll HTTP/1.1 \r\nHost: x\r\n\r\n', b'POST\t/v1/poll HTTP/1.1\r\nHost: x\r\n\r\n',
        b'POST x:/v1/poll HTTP/1.1\r\nHost: x\r\n\r\n', b'POST v1/poll HTTP/1.1\r\nHost: x\r\n\r\n',
        b'POST /v1/poll HTTP/1.10\r\nHost: x\r\n\r\n', b'POST /v1/poll http/1.1\r\nHost: x\r\n\r\n',
        b'POST /v1/poll HTTP/1.1\r\n\r\n', b'POST /v1/poll HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n',
        b'POST /v1/poll#a HTTP/1.1\r\nHost: x\r\n\r\n', b'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n'],
    'names': [POST + b'X : y\r\n\r\n', POST + b'X\r\n\r\n', POST + b': y\r\n\r\n',
              POST + b'X\x80: y\r\n\r\n', POST + b'X\x01: y\r\n\r\n', POST + b'(: y\r\n\r\n'],
}


def refused(victim, forms, cut):
    """`cut`: the piece it is sent in first, of the whole."""
    behind = victim.devices[0].request()
    for form in forms:
        polls = victim.polls()
        with victim.raw() as sock:
            data, out = form + behind, []
            at = len(form) if cut else len(data)
            sock.sendall(data[:at])
            try:
                if cut:
                    sock.sendall(data[at:])
                out = read_all(sock)
            except OSError:
                pass  # refused and reset before all was sent
        assert all(a[0] in (400, 411, 413, 417, 501, 505) for a in out), (form, out)
        assert len(out) == 1 and '\r\nConnection: close' in out[0][1] or cut, (form, out)
        assert victim.polls() == polls, form


def read_all(sock):
    answers, out = Answers(sock), []
    try:
        while True:
            out.append(answers.next())
    except EOFError:
        return out


def case(forms):
    def smuggling(victim, options):
        del options
        refused(victim, forms, cut=False)
        refused(victim, forms, cut=True)
        return f'{2 * len(forms)} refused, no poll behind them executed'
    return smuggling


def what_is_allowed(victim, options):
    """An absolute URI names the path alone; a chunked poll is a poll: both ways to say it are counted."""
    del options
    device = victim.devices[0]
    chunks = b'POST http://other/v1/poll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
    chunks += b'%x\r\n%s\r\n0\r\n\r\n' % (len(device.poll), device.poll)
    polls = victim.polls()
    answers = victim.ask(chunks, device.request(), chunks)
    assert [victim.own(device, a) for a in answers] == [True] * 3, answers
    assert victim.polls() == polls + 3
    return '3 polls, each read in the one way there is'


CASES = tuple((f'smuggling: {name}', 'plain', case(forms)) for name, forms in FORMS.items()) + (
    ('smuggling: what is allowed', 'plain', what_is_allowed),)
