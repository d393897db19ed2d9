/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/loop.h"

#include <assert.h>

struct event_base *loop_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;
	int rc;

	assert(config != NULL);
	rc = event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	assert(rc == 0);
	base = event_base_new_with_config(config);
	event_config_free(config);
	assert(base != NULL);
	rc = event_base_priority_init(base, LOOP__COUNT);
	assert(rc == 0);
	return base;
}

void loop_add(struct event *e, const struct timeval *timeout)
{
	int rc = event_add(e, timeout);

	assert(rc == 0);
}

void loop_add_ms(struct event *e, uint32_t timeout_ms)
{
	struct timeval t = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };

	loop_add(e, &t);
}

void loop_del(struct event *e)
{
	int rc = event_del(e);

	assert(rc == 0);
}
