/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What proofs cost: a phone that is given a full answer, beside the bare signature verifications in
 * it, and the log's tree at 100 000 entries, beside as many bare hashes.  One figure a line.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/trust/logtree.h"
#include "tests/lib/phone.h"

#define ANSWERS 400u
#define ENTRIES 100000u
#define PROOFS  20000u

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* target < 0: none */
static bool figure(const char *name, double value, const char *unit, double target)
{
	bool ok = target < 0 || value <= target;

	printf("{\"bench\": \"trust\", \"figure\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", "
	       "\"target\": ",
		name, value, unit);
	if (target < 0)
		printf("null");
	else
		printf("%g", target);
	printf(", \"ok\": %s}\n", ok ? "true" : "false");
	return ok;
}

/* ---- the phone ---- */

static struct {
	uint64_t ns, calls;
} verify;

/* In place of crypto_key_verify (--wrap): the same, and how long it took. */
int __real_crypto_key_verify(
	uint32_t scheme, struct bytes public_key, struct bytes message, const uint8_t sig[SIG_LEN]);
int __wrap_crypto_key_verify(
	uint32_t scheme, struct bytes public_key, struct bytes message, const uint8_t sig[SIG_LEN]);
int __wrap_crypto_key_verify(
	uint32_t scheme, struct bytes public_key, struct bytes message, const uint8_t sig[SIG_LEN])
{
	uint64_t from = now_ns();
	int err = __real_crypto_key_verify(scheme, public_key, message, sig);

	verify.ns += now_ns() - from;
	verify.calls++;
	return err;
}

/* The time the library takes for one answer with everything new in it. */
static uint64_t one_answer(struct phone *p)
{
	struct bytes body;
	uint64_t from, took;
	int status;

	honest_publish(p->server);
	p->hold = true;
	huidu_poll_now(p->h);
	(void)phone_step(p); /* kept in step_error */
	assert(p->is_pending);
	status = honest_post(
		p->server, p->pending.path, bytes_of(p->pending.body, p->pending.body_len), &body);
	assert(status == 200);
	p->is_pending = p->hold = false;
	verify.ns = verify.calls = 0;
	from = now_ns();
	huidu_response(p->h, status, 0, body.p, body.n);
	took = now_ns() - from;
	assert(phone_status(p).last_error == 0);
	return took;
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

static void phone_figures(void)
{
	static double all[ANSWERS], bare[ANSWERS], ratio[ANSWERS];
	struct honest *s = honest_new(PHONE_T0 / 1000);
	struct phone *p = phone_new(s);
	bool ok = phone_start(p);

	assert(ok);
	phone_settle(p);
	honest_add_offer(s, honest_add_build(s, "b2", 2, 3000), 3, PPM);
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	(void)one_answer(p); /* the first verifies the root too */
	for (unsigned i = 0; i < ANSWERS; i++) {
		all[i] = (double)one_answer(p) / 1000;
		bare[i] = (double)verify.ns / 1000;
		ratio[i] = all[i] / bare[i];
	}
	(void)figure("verify_answer", median(all, ANSWERS), "us, a full answer in the SDK", -1);
	printf("{\"bench\": \"trust\", \"figure\": \"verify_signatures\", \"value\": %llu, "
	       "\"unit\": \"signatures in it\", \"target\": null, \"ok\": true}\n",
		(unsigned long long)verify.calls);
	(void)figure("verify_bare", median(bare, ANSWERS), "us, those alone", -1);
	(void)figure("verify_ratio", median(ratio, ANSWERS),
		"answer over bare verifications, same run", -1);
	phone_free(p);
	honest_free(s);
}

/* ---- the log ---- */

/* What `n` inner nodes cost without a tree around them, in us. */
static double bare_us(size_t n)
{
	uint8_t hash[SHA256_LEN] = { 0 };
	uint64_t from = now_ns();

	for (size_t i = 0; i < n; i++) {
		int err = merkle_node(crypto_openssl(), hash, hash, hash);
		assert(err == 0);
	}
	return (double)(now_ns() - from) / 1000;
}

static double append_us(struct logtree *t)
{
	uint8_t leaf[SHA256_LEN] = { 0 };
	uint64_t from = now_ns();

	for (uint32_t i = 0; i < ENTRIES; i++) {
		int err;
		put_be32(leaf, i);
		err = logtree_add(t, leaf);
		assert(err == 0);
	}
	return (double)(now_ns() - from) / 1000;
}

/* Of entries all over the log; `*nodes` in all of them. */
static double prove_us(const struct logtree *t, size_t *nodes)
{
	uint8_t path[LOGTREE_PATH_MAX][SHA256_LEN];
	uint64_t from = now_ns();

	*nodes = 0;
	for (uint64_t i = 0; i < PROOFS; i++) {
		size_t n;
		int err = logtree_inclusion(t, i * 7919 % ENTRIES, ENTRIES, path, &n);
		assert(err == 0);
		*nodes += n;
	}
	return (double)(now_ns() - from) / 1000;
}

static double check_us(const struct logtree *t)
{
	uint8_t path[LOGTREE_PATH_MAX][SHA256_LEN], root[SHA256_LEN], leaf[SHA256_LEN] = { 0 };
	const uint8_t *hash[LOGTREE_PATH_MAX];
	struct merkle_path p = { .size = ENTRIES, .hash = hash };
	uint64_t ns = 0;
	int err = logtree_root(t, ENTRIES, root);

	for (size_t i = 0; i < LOGTREE_PATH_MAX; i++)
		hash[i] = path[i];
	for (uint64_t i = 0; err == 0 && i < PROOFS; i++) {
		p.index = i * 7919 % ENTRIES;
		put_be32(leaf, (uint32_t)p.index);
		err = logtree_inclusion(t, p.index, ENTRIES, path, &p.n);
		uint64_t from = now_ns();
		if (err == 0)
			err = merkle_included(crypto_openssl(), leaf, &p, root);
		ns += now_ns() - from;
	}
	assert(err == 0);
	return (double)ns / 1000;
}

static void log_figures(void)
{
	struct logtree *t = logtree_new();
	double append = append_us(t), prove, check, bare;
	size_t nodes;

	/* A tree of n entries has n - 1 inner nodes. */
	bare = bare_us(ENTRIES - 1);
	(void)figure("log_append", append / ENTRIES, "us an entry, 100000 of them", -1);
	(void)figure(
		"log_append_ratio", append / bare, "append over bare SHA-256 of as many nodes", -1);
	prove = prove_us(t, &nodes);
	check = check_us(t);
	bare = bare_us(nodes);
	(void)figure("log_proof", prove / PROOFS, "us a proof of inclusion, 100000 entries", -1);
	(void)figure("log_proof_ratio", prove / bare,
		"proof over bare SHA-256 of its nodes (it hashes next to none)", -1);
	(void)figure("log_check", check / PROOFS, "us to check it, as the phone does", -1);
	(void)figure(
		"log_check_ratio", check / bare, "check over bare SHA-256 of as many nodes", -1);
	logtree_free(t);
}

int main(void)
{
	phone_figures();
	log_figures();
	return 0;
}
