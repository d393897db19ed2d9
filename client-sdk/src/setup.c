/* SPDX-License-Identifier: Apache-2.0 */
/* Making a huidu_t out of what the caller gave, and giving it back. */
#include "client-sdk/src/private.h"

#include <errno.h>
#include <stdalign.h>

#define POLL_MIN_S    60u
#define POLL_MAX_S    86400u
#define STALE_AFTER_S (3u * 86400)
#define HOLD_NOTICE_S (7u * 86400)
/*
 * Beyond it the arithmetic of pace.c would overflow, and nobody would hear of a halt.
 */
#define POLL_LIMIT_S (30u * 86400)

_Static_assert(sizeof(struct huidu) <= HUIDU_MEMORY, "HUIDU_MEMORY holds a device");
_Static_assert(STATE_MAX == HUIDU_SLOT, "the platform keeps as much as a state may take");

/* With its NUL it takes `room` at most. */
static bool text_ok(const char *s, size_t room)
{
	size_t n = s == NULL ? 0 : strnlen(s, room);

	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			return false;
	return n > 0 && n < room;
}

static bool config_ok(const struct huidu_config *c)
{
	return c != NULL && c->size == sizeof(*c) && text_ok(c->repository, TEXT_LEN) &&
		text_ok(c->product, TEXT_LEN) && text_ok(c->build_id, TEXT_LEN) &&
		c->root != NULL && (c->token == NULL || text_ok(c->token, TOKEN_LEN)) &&
		c->wish >= HUIDU_CORE && c->wish <= HUIDU_STABLE && c->poll_max_s <= POLL_LIMIT_S &&
		(c->poll_max_s == 0 || c->poll_min_s <= c->poll_max_s);
}

static bool platform_ok(const struct huidu_platform *p)
{
	return p != NULL && p->size == sizeof(*p) && p->http != NULL && p->state_read != NULL &&
		p->state_write != NULL && p->file_write != NULL && p->file_read != NULL &&
		p->apply != NULL && p->activate != NULL && p->now_ms != NULL && p->random != NULL;
}

static bool crypto_ok(const struct huidu_crypto *c)
{
	return c == NULL ||
		(c->size == sizeof(*c) && c->sha256 != NULL && c->hmac_sha256 != NULL &&
			c->verify != NULL && c->hash_start != NULL && c->hash_add != NULL &&
			c->hash_end != NULL && c->device_key != NULL && c->device_sign != NULL);
}

static uint32_t or_default(uint32_t value, uint32_t def)
{
	return value != 0 ? value : def;
}

static void take_config(huidu_t *h, const struct huidu_config *c)
{
	h->config = *c;
	state_set_text(h->repository, c->repository);
	state_set_text(h->product, c->product);
	state_set_text(h->build_id, c->build_id);
	h->config.repository = h->repository;
	h->config.product = h->product;
	h->config.build_id = h->build_id;
	if (c->token != NULL)
		h->config.token = strcpy(h->token, c->token); /* its length was looked at */
	if (c->voucher != NULL)
		h->config.voucher = memcpy(h->voucher, c->voucher, SIG_LEN);
	h->config.hold_notice_s = or_default(c->hold_notice_s, HOLD_NOTICE_S);
	h->config.poll_min_s = or_default(c->poll_min_s, POLL_MIN_S);
	h->config.poll_max_s = or_default(c->poll_max_s, POLL_MAX_S);
	h->config.stale_after_s = or_default(c->stale_after_s, STALE_AFTER_S);
	if (h->config.poll_min_s > h->config.poll_max_s)
		h->config.poll_min_s = h->config.poll_max_s;
}

/* A state is of one product of one deployment. */
static int scope_of(const huidu_t *h, uint8_t out[SHA256_LEN])
{
	char text[2 * TEXT_LEN];

	memcpy(text, h->repository, TEXT_LEN);
	memcpy(text + TEXT_LEN, h->product, TEXT_LEN);
	return h->crypto.sha256(h->crypto.ctx, text, sizeof(text), out);
}

static int load(huidu_t *h)
{
	uint8_t scope[SHA256_LEN];
	int err = state_load(h);

	if (err == 0)
		err = scope_of(h, scope);
	if (err != 0 || memcmp(scope, h->state.scope, SHA256_LEN) == 0)
		return err;
	memset(&h->state, 0, sizeof(h->state));
	memcpy(h->state.scope, scope, SHA256_LEN);
	h->state.ring = HUIDU_STABLE;
	return 0;
}

static int set_up(huidu_t *h, const struct huidu_crypto *crypto)
{
	int err = 0;

	if (crypto != NULL)
		h->hooks = *crypto;
	else
		err = own_crypto_open(h);
	crypto_adapt(h);
	if (err == 0)
		err = load(h);
	if (err == 0)
		err = root_start(h);
	if (err == 0)
		time_start(h);
	return err;
}

static bool is_aligned(const void *p)
{
	return p != NULL && (uintptr_t)p % alignof(max_align_t) == 0;
}

huidu_t *huidu_init(void *memory, void *scratch, const struct huidu_platform *platform,
	const struct huidu_crypto *crypto, const struct huidu_config *config, int *err)
{
	huidu_t *h = memory;

	*err = -EINVAL;
	if (!is_aligned(memory) || !is_aligned(scratch) || !platform_ok(platform) ||
		!crypto_ok(crypto) || !config_ok(config))
		return NULL;
	memset(h, 0, sizeof(*h));
	h->scratch = scratch;
	h->platform = *platform;
	take_config(h, config);
	*err = set_up(h, crypto);
	if (*err != 0) {
		huidu_fini(h);
		return NULL;
	}
	client_settle(h);
	return h;
}

void huidu_fini(huidu_t *h)
{
	if (h == NULL)
		return;
	own_crypto_close(h);
	/* Keys have been through it. */
	crypto_wipe(h->scratch, HUIDU_SCRATCH);
	crypto_wipe(h, sizeof(*h));
}
