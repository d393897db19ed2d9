/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "proto/bucket.h"
#include "server/store/check.h"
#include "server/trust/ledger.h"
#include "tests/crash/start.h"

#define MAP_BYTES ((uint64_t)64 * 1024 * 1024)

static uint64_t mix(uint64_t h, struct bytes b)
{
	return disk_random(h ^ hash64(b.p, b.n) ^ b.n << 48);
}

static void found(void *ctx, const struct store_finding *f)
{
	struct look *out = ctx;

	if (out->text[0] == '\0')
		(void)snprintf(out->text, sizeof(out->text), "I6: store check: %s: %s",
			store_table_str(f->table), f->says);
}

static int read_all(struct store *s, struct look *out)
{
	struct store_check check = { .found = found, .ctx = out };
	uint64_t *digest = &out->digest;
	struct store_cursor c;
	struct store_txn t;
	int err;

	store_begin(s, &t, false);
	for (unsigned table = 0; table < STORE__COUNT; table++) {
		*digest = disk_random(*digest);
		store_foreach(&c, &t, (enum store_table)table, bytes_of(NULL, 0))
			*digest = mix(mix(*digest, c.key), c.value);
	}
	err = t.err;
	if (err == 0)
		err = store_check(&t, &check);
	store_abort(&t);
	return err;
}

void look_store(const char *folder, struct look *out)
{
	struct store *s = NULL;

	*out = (struct look){ 0 };
	out->err = store_open(folder, MAP_BYTES, &s, out->text);
	if (out->err != 0)
		return;
	out->err = read_all(s, out);
	if (out->err != 0 && out->text[0] == '\0')
		(void)snprintf(out->text, sizeof(out->text), "store: %s", err_str(out->err));
	store_close(s);
}

void look_ledger(const char *path, struct look *out)
{
	struct ledger *l = NULL;

	*out = (struct look){ 0 };
	out->err = ledger_open(path, &l);
	if (out->err != 0) {
		(void)snprintf(out->text, sizeof(out->text), "ledger: %s", err_str(out->err));
		return;
	}
	out->digest = mix(l->slots.generation, buf_bytes(&l->saved));
	ledger_close(l);
}
