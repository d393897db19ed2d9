/* SPDX-License-Identifier: Apache-2.0 */
/* The hooks of the SDK: flash that tears, a file, two slots, cryptography. */
#include <errno.h>
#include <stdlib.h>

#include "server/base/mem.h"
#include "tests/lib/toy_signature.h"
#include "tests/sim/sim.h"

/* ---- hooks: flash and file ---- */

static int on_state_read(void *ctx, unsigned slot, void *out, size_t *len)
{
	const struct sim_phone *p = ctx;

	if (p->flash_len[slot] == 0)
		return -ENOENT;
	memcpy(out, p->flash[slot], p->flash_len[slot]);
	*len = p->flash_len[slot];
	return 0;
}

/* What is written over stays behind it. */
static int on_state_write(void *ctx, unsigned slot, const void *data, size_t len)
{
	struct sim_phone *p = ctx;

	if (p->died)
		return -EIO;
	if (p->die_in == 0)
		p->die_in = fault_hits(&p->chance, FAULT_BATTERY) ? 1 : 0;
	if (p->die_in == 1) {
		size_t torn = chance_below(&p->chance, len + 1);
		p->died = true;
		p->die_in = 0;
		memcpy(p->flash[slot], data, torn);
		if (torn > p->flash_len[slot])
			p->flash_len[slot] = torn;
		return -EIO;
	}
	memcpy(p->flash[slot], data, len);
	if (len > p->flash_len[slot])
		p->flash_len[slot] = len;
	return 0;
}

static int on_file_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct sim_phone *p = ctx;

	if (p->died || offset + len > FILE_MAX)
		return -EIO;
	memcpy(p->file + offset, data, len);
	return 0;
}

static int on_file_read(void *ctx, uint64_t offset, void *data, size_t *len)
{
	const struct sim_phone *p = ctx;
	size_t left = offset < FILE_MAX ? FILE_MAX - offset : 0;

	*len = *len < left ? *len : left;
	memcpy(data, p->file + offset, *len);
	return 0;
}

/* ---- hooks: slots ---- */

static int on_apply(void *ctx, const struct huidu_offer *offer)
{
	struct sim_phone *p = ctx;
	const struct release *r = release_find(offer->build_id);
	struct chance *c = &p->chance;

	if (r == NULL)
		sim_fail("phone %u applies build %s, which nobody made", p->no, offer->build_id);
	p->other = r;
	p->applying = true;
	p->applied_ms = world_sim.now_ms +
		(r->kind == KIND_SLOW ? chance_within(c, 6 * SIM_HOUR_MS, 48 * SIM_HOUR_MS)
				      : chance_within(c, MINUTE_MS, 30 * MINUTE_MS));
	return 0;
}

static int on_activate(void *ctx, const struct huidu_offer *offer)
{
	struct sim_phone *p = ctx;

	if (p->died)
		return -EIO;
	judge_install(p, offer);
	p->other = release_find(offer->build_id);
	p->restarting = p->to_other = true;
	return 0;
}

/* ---- hooks: the rest ---- */

static int on_http(void *ctx, const struct huidu_request *q)
{
	net_take(ctx, q);
	return 0;
}

static uint64_t on_now(void *ctx)
{
	return phone_clock(ctx);
}

static uint64_t on_boot(void *ctx)
{
	return world_sim.now_ms - ((struct sim_phone *)ctx)->booted_ms + 1;
}

static int on_random(void *ctx, void *out, size_t len)
{
	chance_fill(&((struct sim_phone *)ctx)->chance, out, len);
	return 0;
}

static void on_log(void *ctx, int err, const char *what)
{
	const struct sim_phone *p = ctx;

	trace(what, (uint64_t)-err, p->no);
}

/* ---- cryptography: one context for all, and keys of seeds ---- */

static struct crypto_mac *mac;

static int c_sha256(void *ctx, const void *data, size_t len, uint8_t out[32])
{
	struct bytes part = bytes_of(data, len);

	(void)ctx;
	return crypto_sha256(&part, 1, out);
}

static int c_hmac(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
	uint8_t out[32])
{
	struct bytes part = bytes_of(data, len);

	(void)ctx;
	return crypto_mac_sign(mac, bytes_of(key, key_len), &part, 1, out);
}

static int c_verify(void *ctx, uint32_t scheme, const uint8_t *key, size_t key_len,
	const uint8_t *message, size_t len, const uint8_t sig[64])
{
	(void)ctx;
	return crypto_key_verify(scheme, bytes_of(key, key_len), bytes_of(message, len), sig);
}

/* Pieces of a file: it is small. */
struct running {
	uint8_t bytes[FILE_MAX];
	size_t n;
};
static struct running *running;

static int c_hash_begin(void *ctx)
{
	running[((struct sim_phone *)ctx)->no].n = 0;
	return 0;
}

static int c_hash_add(void *ctx, const void *data, size_t len)
{
	struct running *r = &running[((struct sim_phone *)ctx)->no];

	if (r->n + len > FILE_MAX)
		return HUIDU_ECRYPTO;
	memcpy(r->bytes + r->n, data, len);
	r->n += len;
	return 0;
}

static int c_hash_end(void *ctx, uint8_t out[32])
{
	const struct running *r = &running[((struct sim_phone *)ctx)->no];

	return c_sha256(ctx, r->bytes, r->n, out);
}

static int c_device_key(void *ctx, uint8_t point[65])
{
	memcpy(point, ((struct sim_phone *)ctx)->point, P256_PUBLIC_LEN);
	return 0;
}

static int c_device_sign(void *ctx, const uint8_t *message, size_t len, uint8_t sig[64])
{
	struct sim_phone *p = ctx;

	toy_sign(bytes_of(p->point, P256_PUBLIC_LEN), bytes_of(message, len), sig);
	return 0;
}

/* ---- all of them ---- */

void phone_platform(struct sim_phone *p, struct huidu_platform *out)
{
	*out = (struct huidu_platform){ .size = sizeof(*out),
		.ctx = p,
		.http = on_http,
		.state_read = on_state_read,
		.state_write = on_state_write,
		.file_write = on_file_write,
		.file_read = on_file_read,
		.apply = on_apply,
		.activate = on_activate,
		.now_ms = on_now,
		.random = on_random,
		.log = on_log,
		.boot_ms = p->has_boot_clock ? on_boot : NULL };
}

void phone_crypto(struct sim_phone *p, struct huidu_crypto *out)
{
	*out = (struct huidu_crypto){ sizeof(*out), p, c_sha256, c_hmac, c_verify, c_hash_begin,
		c_hash_add, c_hash_end, c_device_key, c_device_sign };
	if (mac == NULL) {
		mac = crypto_mac_new();
		running = mem_zalloc(PHONES * sizeof(*running));
	}
}
