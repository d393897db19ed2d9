/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/room.h"

#include <sys/resource.h>
#include <unistd.h>

#include "server/base/file.h"
#include "server/base/log.h"

#define RESERVE         32u           /* admin, metrics, uploads, the hook's pipes */
#define CONNECTION_COST (64u * 1024u) /* bytes, in the TLS handshake, the kernel's too */

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint32_t room_of(uint64_t descriptors, uint64_t open, uint64_t memory)
{
	uint64_t left = descriptors > open ? descriptors - open : 0;
	uint64_t least = less(RESERVE, left / 2);
	uint64_t reserve = left / 10 > least ? left / 10 : least;
	uint64_t room = less(left - reserve, memory / 2 / CONNECTION_COST);

	return room == 0 ? 1 : (uint32_t)less(room, UINT32_MAX);
}

static uint64_t raise_limit(void)
{
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) != 0)
		return 1024;
	now.rlim_cur = now.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &now) != 0)
		(void)getrlimit(RLIMIT_NOFILE, &now); /* it did a moment ago */
	return now.rlim_cur;
}

uint32_t room_connections(uint32_t wanted)
{
	uint64_t descriptors = raise_limit(), open = file_count_open();
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
	uint32_t most = room_of(descriptors, open, wanted > 0 ? UINT64_MAX : memory);

	if (wanted <= most && wanted > 0)
		return wanted;
	if (wanted > 0)
		log_warn("limits: connections: %u wanted, the limit of descriptors allows %u",
			wanted, most);
	return most;
}
