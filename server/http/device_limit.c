/* SPDX-License-Identifier: Apache-2.0 */
/* Who may connect, and how many: what huidud.yaml says of it, and what the machine allows. */
#include <assert.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/network.h"
#include "server/http/device_private.h"
#include "server/http/room.h"

#define PREFIXES 8u /* that may have all there is, when nobody said how much one may */

struct network *device_proxies(const struct config *c)
{
	struct network *n = mem_alloc((c->n_proxies + 1) * sizeof(*n));

	for (size_t i = 0; i < c->n_proxies; i++) {
		int err = network_read(c->proxies[i], &n[i]);
		assert(err == 0); /* config_load() looked */
	}
	return n;
}

void device_limit(struct device_front *f)
{
	const struct config *c = f->server->config;
	uint32_t room = room_connections(c->limits.connections), each = c->limits.per_prefix;

	if (each == CONFIG_EIGHTH)
		each = room / PREFIXES + (room < PREFIXES);
	http_front_limit(f->http, room, each);
	if (each > 0)
		log_info("limits: %u connections, %u of one network", room, each);
	else
		log_info("limits: %u connections, any number of one network", room);
}
