/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time it is, on a device whose clock may have stopped.  It is never earlier than what was
 * proved to have passed: the making of the build, the newest Timestamp.  A clock that says
 * otherwise, or claims that a year went by unheard, is not believed; then the time goes on from
 * there by the boot clock, and nothing is installed until the server proves what time it is.
 */
#include "client-sdk/src/private.h"

#define AHEAD_MAX_S (400u * 86400)
/* A clock that is behind by no more agrees. */
#define SKEW_S 300u

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t floor_s(const huidu_t *h)
{
	return max_u64(h->config.build_time_s, h->state.floor_s);
}

static bool clock_is_good(const huidu_t *h)
{
	uint64_t clock_s = sdk_clock_ms(h) / 1000, least = floor_s(h);

	/* A device that was told nothing yet has nothing better than its clock. */
	return least == 0 || (clock_s >= least && clock_s - least <= AHEAD_MAX_S);
}

static uint64_t boot_ms(const huidu_t *h)
{
	return h->platform.boot_ms == NULL ? 0 : h->platform.boot_ms(h->platform.ctx);
}

/* The last mark, and what went by since. */
static uint64_t counted_s(const huidu_t *h)
{
	uint64_t boot = boot_ms(h);

	return h->mark_s + (boot > h->mark_boot_ms ? (boot - h->mark_boot_ms) / 1000 : 0);
}

uint64_t sdk_now_s(const huidu_t *h)
{
	if (clock_is_good(h))
		return sdk_clock_ms(h) / 1000;
	return max_u64(floor_s(h), counted_s(h));
}

bool time_is_known(const huidu_t *h)
{
	return h->time_proved || clock_is_good(h);
}

static void mark(huidu_t *h, uint64_t now_s)
{
	h->mark_s = now_s;
	h->mark_boot_ms = boot_ms(h);
}

void time_start(huidu_t *h)
{
	h->time_proved = false;
	mark(h, floor_s(h));
}

void time_risen(huidu_t *h)
{
	if (floor_s(h) > counted_s(h))
		mark(h, floor_s(h));
}

void time_agrees(const huidu_t *h, struct state *next, uint64_t issued_s)
{
	if (issued_s <= sdk_clock_ms(h) / 1000 + SKEW_S && issued_s > next->agreed_s)
		next->agreed_s = issued_s;
}

/*
 * Who has the online keys can say that it is next month already.  A clock that was right when it was
 * last compared, and has not gone back since, knows better.
 */
uint64_t time_at_most(const huidu_t *h, uint64_t now_s)
{
	uint64_t most_s = sdk_clock_ms(h) / 1000 + SKEW_S;
	bool runs = h->state.agreed_s > 0 && most_s >= h->state.agreed_s;

	return runs && most_s < now_s ? most_s : now_s;
}

/* Asked for when it alone is missing. */
uint64_t time_due_ms(const huidu_t *h)
{
	return !time_is_known(h) && poll_offers(h) ? h->work.at_ms : UINT64_MAX;
}

int time_body(huidu_t *h, struct arena *a, struct bytes *out)
{
	Pb__TimeRequest r = PB__TIME_REQUEST__INIT;
	int err = h->platform.random(h->platform.ctx, h->nonce, sizeof(h->nonce));

	r.nonce = wire_data(h->nonce, sizeof(h->nonce));
	return err != 0 ? err : wire_pack(&r, a, out);
}

static int check_nonce(struct chain *c, const Pb__TimeProof *p, const Pb__TimeStatement *t)
{
	const struct crypto *crypto = &c->h->crypto;
	struct bytes nonce = bytes_of(c->h->nonce, sizeof(c->h->nonce));
	const uint8_t *hash[MERKLE_LEVELS];
	struct merkle_path path = { p->index, p->size, hash, p->n_hashes };
	uint8_t leaf[SHA256_LEN];
	int err;

	if (t->root.len != SHA256_LEN || p->n_hashes > MERKLE_LEVELS)
		return ERR_NO_TIME;
	for (size_t i = 0; i < p->n_hashes; i++) {
		if (p->hashes[i].len != SHA256_LEN)
			return ERR_NO_TIME;
		hash[i] = p->hashes[i].data;
	}
	err = merkle_leaf(crypto, nonce, c->a, leaf);
	if (err == 0)
		err = merkle_included(crypto, leaf, &path, t->root.data);
	return err == ERR_NOT_LOGGED ? ERR_NO_TIME : err;
}

static int check(struct chain *c, const Pb__TimeProof *p, const Pb__TimeStatement **out)
{
	void *message;
	int err = root_now(c->h, c->a, &c->root);

	if (err == 0)
		err = metadata_open(c, ENVELOPE_TIME, wire_bytes(p->statement), &message);
	if (err != 0)
		return err;
	*out = message;
	err = metadata_is_ours(c->h, (*out)->spec_version, (*out)->repository, c->h->product);
	return err != 0 ? err : check_nonce(c, p, *out);
}

int time_done(huidu_t *h, int status, struct bytes body)
{
	struct arena a = sdk_arena(h);
	struct chain c = { .h = h, .a = &a };
	struct state *next = state_begin(h);
	const Pb__TimeStatement *t;
	const Pb__TimeProof *p;
	int err = exchange_error(h, status);

	if (err != 0)
		return err;
	p = wire_read(&pb__time_proof__descriptor, body, &wire_device, &a, &err);
	if (err == 0)
		err = check(&c, p, &t);
	if (err != 0)
		return err;
	next->floor_s = max_u64(next->floor_s, t->time_s);
	err = state_commit(h);
	if (err != 0)
		return err;
	/* What is older than the floor was said before it. */
	mark(h, floor_s(h));
	h->time_proved = true;
	return 0;
}
