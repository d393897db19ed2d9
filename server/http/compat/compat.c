/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/compat.h"

#include <assert.h>
#include <string.h>

#include "server/http/compat/feed.h"
#include "server/http/compat/hawkbit.h"
#include "server/http/compat/link.h"
#include "server/http/compat/mender.h"
#include "server/http/compat/omaha_front.h"

static size_t add(struct http_route *out, size_t n, const struct http_route *more, size_t n_more)
{
	assert(n + n_more <= COMPAT_ROUTES);
	memcpy(out + n, more, n_more * sizeof(*more));
	return n + n_more;
}

size_t compat_routes(const struct config *c, struct http_route out[COMPAT_ROUTES])
{
	const struct config_tenants *of = c->compat.of;
	size_t n = 0;

	if (of[FOREIGN_MENDER].n > 0)
		n = add(out, n, mender_routes, MENDER_ROUTES);
	if (of[FOREIGN_OMAHA].n > 0)
		n = add(out, n, omaha_routes, OMAHA_ROUTES);
	if (c->compat.n_feeds > 0)
		n = add(out, n, feed_routes, FEED_ROUTES);
	if (of[FOREIGN_MENDER].n > 0 || of[FOREIGN_OMAHA].n > 0 || c->compat.n_feeds > 0)
		n = add(out, n, link_routes, LINK_ROUTES);
	/* They take every path: behind all others. */
	if (of[FOREIGN_DDI].n > 0)
		n = add(out, n, hawkbit_routes, HAWKBIT_ROUTES);
	return n;
}
