/* SPDX-License-Identifier: Apache-2.0 */
/* A file of fleet rows, as huiductl packs one, and the command that takes it in. */
#pragma once

#include "deployment.h"
#include "proto/admin.pb-c.h"
#include "server/base/buf.h"

struct rows {
	struct buf file;
	uint8_t sha256[SHA256_LEN];
	const char *products[4];
	Pb__Import import;
};

static inline void rows_begin(struct rows *r)
{
	*r = (struct rows){ .products = { "phone-a" }, .import = PB__IMPORT__INIT };
	buf_str(&r->file, "huidu-f1");
	r->import.products = r->products;
	r->import.n_products = 1;
}

static inline void rows_add(struct rows *r, const Pb__FleetRow *m)
{
	size_t n = wire_size(m);

	put_be16(buf_room(&r->file, n + 2), (uint16_t)n);
	(void)wire_write(m, r->file.data + r->file.len + 2);
	r->file.len += n + 2;
	r->import.rows++;
}

/* Uploads it and completes the command. */
static inline void rows_end(struct rows *r, struct deployment *d)
{
	struct bytes all = buf_bytes(&r->file);

	deployment_must(crypto_sha256(&all, 1, r->sha256), "rows", "");
	for (size_t at = 0; at < all.n; at += 400000) {
		size_t n = all.n - at < 400000 ? all.n - at : 400000;
		deployment_must(artifact_upload(d->server.imports, r->sha256, all.n, at,
					bytes_of(all.p + at, n)),
			"rows", "upload");
	}
	r->import.has_core = r->import.core > 0;
	r->import.has_honour = r->import.honour > 0;
	r->import.has_dev = r->import.dev > 0;
	r->import.has_dates = r->import.dates;
	r->import.sha256 = wire_data(r->sha256, SHA256_LEN);
	r->import.length = all.n;
}
