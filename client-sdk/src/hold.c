/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Not now" is the one thing a server can say without a signature.  Said for days about a build
 * that is signed for this device, it is told to the user: somebody may be kept from a repair.
 */
#include "client-sdk/src/private.h"

static uint64_t now_ms(const huidu_t *h)
{
	return sdk_now_s(h) * 1000;
}

void hold_see(const huidu_t *h, struct state *next)
{
	bool withheld =
		next->held && next->candidate.build_id[0] != '\0' && next->answer != HUIDU_OFFERED;

	if (!withheld)
		next->held_since_ms = 0;
	else if (next->held_since_ms == 0 || next->held_since_ms > now_ms(h))
		next->held_since_ms = now_ms(h);
}

bool hold_is_long(const huidu_t *h)
{
	uint64_t since = h->state.held_since_ms, now = now_ms(h);

	return since != 0 && now > since && now - since >= (uint64_t)h->config.hold_notice_s * 1000;
}

void hold_tell(huidu_t *h)
{
	bool is_long = hold_is_long(h);

	if (is_long && !h->hold_told && h->platform.log != NULL)
		h->platform.log(h->platform.ctx, 0,
			"a build that is signed for this device is withheld by the server");
	h->hold_told = is_long;
}
