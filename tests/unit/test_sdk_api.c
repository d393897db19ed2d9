/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What huidu_init() takes, a device's own cryptography, and two devices in one process.
 */
#include "tests/lib/phone.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"

#define HOUR        3600000u
#define EVENT(kind) PB__EVENT_KIND__EVENT_##kind

static char long_text[65];

static void null_http(struct phone *p)
{
	p->platform.http = NULL;
}

static void null_random(struct phone *p)
{
	p->platform.random = NULL;
}

static void other_platform_size(struct phone *p)
{
	p->platform.size--;
}

static void other_config_size(struct phone *p)
{
	p->config.size = 0;
}

static void null_root(struct phone *p)
{
	p->config.root = NULL;
}

static void no_repository(struct phone *p)
{
	p->config.repository = NULL;
}

static void empty_product(struct phone *p)
{
	p->config.product = "";
}

static void long_product(struct phone *p)
{
	memset(long_text, 'x', 64);
	p->config.product = long_text;
}

static void odd_product(struct phone *p)
{
	p->config.product = "phone\n1";
}

static void long_build(struct phone *p)
{
	memset(p->slot.build_id, 'x', sizeof(p->slot.build_id));
}

static void odd_wish(struct phone *p)
{
	p->config.wish = (enum huidu_ring)4;
}

static void min_above_max(struct phone *p)
{
	p->config.poll_min_s = 11;
	p->config.poll_max_s = 10;
}

static void endless_max(struct phone *p)
{
	p->config.poll_max_s = 31 * 86400;
}

static void short_root(struct phone *p)
{
	p->config.root_len--;
}

static void other_root(struct phone *p)
{
	p->config.repository = "another";
}

static uint8_t root[4096];

static void changed_root(struct phone *p)
{
	memcpy(root, p->config.root, p->config.root_len);
	root[20] ^= 1;
	p->config.root = root;
}

static void timestamp_for_root(struct phone *p)
{
	p->config.root = p->server->timestamp.p;
	p->config.root_len = p->server->timestamp.n;
}

static void refused(void **state)
{
	static const struct {
		void (*spoil)(struct phone *p);
		int want;
	} cases[] = {
		{ null_http, -EINVAL },
		{ null_random, -EINVAL },
		{ other_platform_size, -EINVAL },
		{ other_config_size, -EINVAL },
		{ null_root, -EINVAL },
		{ no_repository, -EINVAL },
		{ empty_product, -EINVAL },
		{ long_product, -EINVAL },
		{ odd_product, -EINVAL },
		{ long_build, -EINVAL },
		{ odd_wish, -EINVAL },
		{ min_above_max, -EINVAL },
		{ endless_max, -EINVAL },
		{ short_root, ERR_TRUNCATED },
		{ other_root, ERR_WRONG_REPOSITORY },
		{ changed_root, ERR_BELOW_THRESHOLD },
		{ timestamp_for_root, ERR_WRONG_TYPE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct honest *s = honest_new(PHONE_T0 / 1000);
		struct phone *p = phone_new(s);
		print_message("# %zu\n", i);
		cases[i].spoil(p);
		assert_false(phone_start(p));
		if (cases[i].want == ERR_WRONG_TYPE)
			assert_true(p->init_error < 0);
		else
			assert_int_equal(p->init_error, cases[i].want);
		phone_free(p);
		honest_free(s);
	}
}

static void misaligned(void **state)
{
	struct phone *p = *state;
	int err = 0;

	assert_null(huidu_init(p->memory + 1, p->scratch, &p->platform, NULL, &p->config, &err));
	assert_int_equal(err, -EINVAL);
	assert_null(huidu_init(p->memory, NULL, &p->platform, NULL, &p->config, &err));
	huidu_fini(NULL);
}

static void root_expires(void **state)
{
	struct phone *p = *state;

	phone_settle(p);
	phone_sleep(p, 366 * 86400000ull);
	honest_publish(p->server);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_EXPIRED);
}

static void sentences(void **state)
{
	(void)state;
	assert_string_equal(huidu_strerror(0), "done");
	assert_string_equal(huidu_strerror(HUIDU_EBUILD_HALTED), "the build was halted");
	assert_string_equal(huidu_strerror(-ENOENT), "No such file or directory");
	assert_string_equal(huidu_strerror(-99999), "unknown error");
#define SAME(name) assert_int_equal(HUIDU_E##name, ERR_##name)
	SAME(TOO_EARLY);
	assert_int_equal(HUIDU_ETOOBIG, ERR_TOO_BIG);
	assert_int_equal(HUIDU_ENOMEM, ERR_NO_ROOM);
	SAME(WRONG_TYPE);
	SAME(BELOW_THRESHOLD);
	SAME(ROLLBACK);
	SAME(PLAN_EXCEEDED);
	SAME(BAD_HASH);
	SAME(WRONG_RING);
	SAME(UNREACHABLE);
	SAME(CORRUPT);
}

/* A keystore, as a phone has one: the key never leaves it. */
struct keystore {
	struct crypto_key *key;
	struct crypto_hash *hash;
	unsigned verified, signatures, hashed;
	int error, hash_error;
};

static int ks_sha256(void *ctx, const void *data, size_t len, uint8_t out[32])
{
	struct bytes part = bytes_of(data, len);

	return ((struct keystore *)ctx)->error != 0 ? HUIDU_ECRYPTO : crypto_sha256(&part, 1, out);
}

static int ks_hmac(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
	uint8_t out[32])
{
	const struct crypto *c = crypto_openssl();

	(void)ctx;
	return c->hmac(c->ctx, bytes_of(key, key_len), bytes_of(data, len), out);
}

static int ks_verify(void *ctx, uint32_t scheme, const uint8_t *key, size_t key_len,
	const uint8_t *message, size_t len, const uint8_t sig[64])
{
	((struct keystore *)ctx)->verified++;
	return crypto_key_verify(scheme, bytes_of(key, key_len), bytes_of(message, len), sig);
}

static int ks_start(void *ctx)
{
	struct keystore *k = ctx;

	return k->hash_error == 1 ? HUIDU_ECRYPTO : crypto_hash_start(k->hash);
}

static int ks_add(void *ctx, const void *data, size_t len)
{
	struct keystore *k = ctx;

	k->hashed += (unsigned)len;
	if (k->hash_error == 2) /* and nobody knows what it has hashed */
		return crypto_hash_add(k->hash, "x", 1) | HUIDU_ECRYPTO;
	return crypto_hash_add(k->hash, data, len);
}

static int ks_end(void *ctx, uint8_t out[32])
{
	return crypto_hash_end(((struct keystore *)ctx)->hash, out);
}

static int ks_key(void *ctx, uint8_t point[65])
{
	return crypto_key_public(((struct keystore *)ctx)->key, point) == 65 ? 0 : HUIDU_ECRYPTO;
}

static int ks_sign(void *ctx, const uint8_t *message, size_t len, uint8_t sig[64])
{
	struct keystore *k = ctx;

	k->signatures++;
	return crypto_key_sign(k->key, bytes_of(message, len), sig);
}

static void own_keystore(void **state)
{
	struct keystore k = { 0 };
	struct huidu_crypto crypto = { sizeof(crypto), &k, ks_sha256, ks_hmac, ks_verify, ks_start,
		ks_add, ks_end, ks_key, ks_sign };
	struct honest *s = honest_new(PHONE_T0 / 1000);
	struct phone *p = phone_new(s);

	(void)state;
	assert_int_equal(crypto_key_generate(KEY_P256, &k.key), 0);
	k.hash = crypto_hash_new();
	p->crypto = &crypto;
	crypto.device_sign = NULL;
	assert_false(phone_start(p));
	assert_int_equal(p->init_error, -EINVAL);
	crypto.device_sign = ks_sign;
	assert_true(phone_start(p));
	honest_add_offer(s, honest_add_build(s, "b2", 2, 50000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	honest_publish(s);
	k.hash_error = 1;
	phone_run(p, HOUR / 4);
	assert_int_equal(phone_status(p).last_error, ERR_CRYPTO);
	assert_int_equal(s->fetches, 0);
	/* In the middle: what was hashed is not to be trusted, what was written is. */
	p->cut_after = 20000;
	k.hash_error = 0;
	phone_run(p, HOUR / 4);
	p->cut_after = 0;
	k.hash_error = 2;
	huidu_poll_now(p->h);
	(void)phone_step(p); /* polls */
	assert_int_equal(phone_step(p), ERR_CRYPTO);
	k.hash_error = 0;
	phone_run(p, HOUR);
	assert_string_equal(p->slot.build_id, "b2");
	assert_int_equal(honest_count(s, EVENT(DOWNLOADED), "b2"), 1);
	assert_int_not_equal(s->range_from, 0);
	assert_int_equal(k.signatures, 1);
	assert_true(k.verified > 8);
	/* Its failure is no verdict. */
	k.error = 1;
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, ERR_CRYPTO);
	k.error = 0;
	phone_poll(p);
	assert_int_equal(phone_status(p).last_error, 0);
	phone_free(p);
	honest_free(s);
	crypto_hash_free(k.hash);
	crypto_key_free(k.key);
}

/* Two devices share the scratch of one thread. */
static void two_devices(void **state)
{
	struct phone *p[2];
	int err;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct honest *s = honest_new(PHONE_T0 / 1000);
		p[i] = phone_new(s);
		honest_add_offer(s, honest_add_build(s, "b2", 2, 50000), 3, PPM);
		s->answer = PB__ANSWER__ANSWER_OFFER;
		honest_publish(s);
		p[i]->hold = true;
		p[i]->config.build_id = "b1";
		p[i]->config.release_counter = 1;
		p[i]->h = huidu_init(
			p[i]->memory, p[0]->scratch, &p[i]->platform, NULL, &p[i]->config, &err);
		assert_non_null(p[i]->h);
	}
	for (unsigned round = 0; round < 40; round++) {
		for (int i = 0; i < 2; i++)
			(void)huidu_step(p[i]->h, &p[i]->next_ms); /* status tells */
		for (int i = 0; i < 2; i++)
			if (p[i]->is_pending)
				phone_answer(p[i]);
	}
	for (int i = 0; i < 2; i++) {
		struct honest *s = p[i]->server;
		assert_true(p[i]->restarting);
		assert_int_equal(honest_count(s, EVENT(INSTALLING), "b2"), 1);
		phone_free(p[i]);
		honest_free(s);
	}
}

int main(void)
{
#define ON_PHONE(f) cmocka_unit_test_setup_teardown(f, phone_set_up, phone_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		ON_PHONE(misaligned),
		ON_PHONE(root_expires),
		cmocka_unit_test(sentences),
		cmocka_unit_test(own_keystore),
		cmocka_unit_test(two_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
