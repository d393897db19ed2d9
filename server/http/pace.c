/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/pace.h"

#define SECOND_NS 1000000000ull

uint64_t pace_reserve(struct pace *p, uint64_t bytes_s, size_t n, uint64_t now_ns)
{
	uint64_t oldest_ns = now_ns > PACE_SLACK_NS ? now_ns - PACE_SLACK_NS : 0;
	uint64_t next_ns, at_ns, took_ns;

	if (bytes_s == 0)
		return now_ns;
	next_ns = atomic_load_explicit(&p->next_ns, memory_order_relaxed);
	took_ns = (n * SECOND_NS + bytes_s - 1) / bytes_s;
	do
		at_ns = next_ns > oldest_ns ? next_ns : oldest_ns;
	while (!atomic_compare_exchange_weak_explicit(&p->next_ns, &next_ns, at_ns + took_ns,
		memory_order_relaxed, memory_order_relaxed));
	return at_ns > now_ns ? at_ns : now_ns;
}
