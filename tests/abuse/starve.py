# SPDX-License-Identifier: Apache-2.0
"""All descriptors taken: the operator and the metrics are answered all the same."""
import contextlib
import time

DESCRIPTORS = 200


def starved(victim, options):
    """More connections than there are descriptors, of which nobody says a word."""
    del options
    fds, rss, took = victim.descriptors(), victim.rss_kib(), []
    with contextlib.ExitStack() as stack:
        for i in range(2 * DESCRIPTORS):
            stack.enter_context(contextlib.closing(victim.raw(i)))
        end = time.monotonic() + 4
        while time.monotonic() < end:
            start = time.monotonic()
            metrics = victim.metrics()
            done = victim.ctl('log', 'checkpoint')
            assert done.returncode == 0, done.stderr
            took.append(time.monotonic() - start)
        # Who has to wait for descriptors waits until a deadline; a busy machine is slow now and then.
        assert sorted(took)[len(took) // 2] < 2, took
    refused = metrics['huidu_requests_refused_total{reason="connections"}']
    return (f'{DESCRIPTORS} descriptors, {2 * DESCRIPTORS} connections, refused {refused}; '
            f'slowest answer {1000 * max(took):.0f} ms, {victim.settles(fds, rss, 8192)} KiB more')


CASES = (('descriptors exhausted', 'few', starved),)
