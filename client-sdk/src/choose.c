/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a directive's offers is for this device, and whether it may be believed.  An
 * offer that is for others is passed over in silence; one that is for us and goes
 * beyond what was signed is refused, reported, and ends the search: the device holds.
 */
#include "client-sdk/src/private.h"

#include "proto/bucket.h"

enum action { ACTION_INSTALL = 1, ACTION_ROLLBACK = 2 };

/* "targets/<product>/<build>" */
static const char *build_of(const huidu_t *h, const Pb__Offer *offer)
{
	static const char folder[] = "targets/";
	const char *name = offer->targets->name;
	size_t n = strlen(h->product);

	if (strncmp(name, folder, sizeof(folder) - 1) != 0)
		return "";
	name += sizeof(folder) - 1;
	if (strncmp(name, h->product, n) != 0 || name[n] != '/')
		return "";
	name += n + 1;
	return strlen(name) < TEXT_LEN ? name : "";
}

static bool is_listed(const char *build_id, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], build_id) == 0)
			return true;
	return false;
}

static struct halted_build *halted_find(struct state *s, const char *build_id)
{
	for (uint32_t i = 0; i < s->n_halted; i++)
		if (strcmp(s->halted[i].build_id, build_id) == 0)
			return &s->halted[i];
	return NULL;
}

static void halted_drop(struct state *s, const struct halted_build *b)
{
	size_t i = (size_t)(b - s->halted);

	s->n_halted--;
	memmove(&s->halted[i], &s->halted[i + 1], (s->n_halted - i) * sizeof(s->halted[0]));
}

/* What was on offer when it was halted had been approved at least once. */
static struct halted_build *halted_add(struct state *s, const char *build_id)
{
	struct halted_build *b;

	if (s->n_halted == HALTED_MAX)
		halted_drop(s, &s->halted[0]);
	b = &s->halted[s->n_halted++];
	b->plan_version = 1;
	state_set_text(b->build_id, build_id);
	return b;
}

bool choose_halted(huidu_t *h, struct state *next, const Pb__Director *director)
{
	bool any = false;

	for (size_t i = 0; i < director->n_halted_build_ids; i++) {
		const char *id = director->halted_build_ids[i];
		struct halted_build *b;
		if (*id == '\0' || strlen(id) >= TEXT_LEN)
			continue;
		b = halted_find(next, id);
		any |= b == NULL;
		if (b == NULL)
			b = halted_add(next, id);
		if (strcmp(next->candidate.build_id, id) != 0)
			continue;
		if (b->plan_version < next->candidate.plan_version)
			b->plan_version = next->candidate.plan_version;
		memset(&next->candidate, 0, sizeof(next->candidate));
		(void)sdk_note(h, ERR_BUILD_HALTED, "build dropped");
		any = true;
	}
	return any;
}

static bool contains(const huidu_t *h, const Pb__Selector *s)
{
	uint32_t bucket = BUCKET_ANONYMOUS;

	if (s->n_from_build_ids > 0)
		return is_listed(h->build_id, s->from_build_ids, s->n_from_build_ids);
	if (s->seed.len != SEED_LEN)
		return false;
	if (h->state.enrolled)
		bucket = bucket_of(s->seed.data, h->state.device_id, h->product);
	return bucket >= s->lower && bucket < s->upper;
}

/*
 * 1 when the offer is the one this device takes, 0 when it is not for it, or an error
 * when that cannot be told.
 */
static int suits(struct choice *c)
{
	const huidu_t *h = c->chain->h;
	const Pb__Offer *o = c->offer;
	const Pb__Director *d = c->chain->director;
	int err;

	/* 1. The selector contains this device. */
	if (!contains(h, o->selector))
		return 0;
	/* 2. It is another build than ours, not halted, and did not fail here. */
	if (strcmp(c->build_id, h->build_id) == 0 ||
		is_listed(c->build_id, d->halted_build_ids, d->n_halted_build_ids) ||
		state_has_failed(c->next, c->build_id))
		return 0;
	/* 3. It is newer. */
	if (o->action == ACTION_INSTALL)
		return o->release_counter > h->config.release_counter;
	/* 4. Or older, and those who signed the build let us go back to it. */
	if (o->action != ACTION_ROLLBACK || o->release_counter >= h->config.release_counter)
		return 0;
	err = offer_open_targets(c);
	if (err != 0)
		return err;
	return c->targets->rollback_index == c->next->rollback_index &&
		is_listed(h->build_id, c->targets->rollback_from, c->targets->n_rollback_from);
}

/* What was done for the same file before counts. */
static void carry_over(const struct candidate *old, struct candidate *new)
{
	if (strcmp(old->build_id, new->build_id) != 0 || old->length != new->length ||
		memcmp(old->sha256, new->sha256, SHA256_LEN) != 0)
		return;
	new->stage = old->stage;
	new->started = old->started;
	new->spoilt = old->spoilt;
	new->installing_seq = old->installing_seq;
}

/* The next poll asks for everything again: it may be early only, or lost on the way. */
int choose_refuse(const struct chain *chain, struct state *next, struct bytes what,
	const char *build_id, int why)
{
	huidu_t *h = chain->h;
	uint8_t sha256[SHA256_LEN];
	int err = h->crypto.sha256(h->crypto.ctx, what.p, what.n, sha256);

	if (err != 0)
		return err;
	(void)sdk_note(h, why, "offer refused");
	next->held = 0;
	if (memcmp(next->refused, sha256, SHA256_LEN) == 0)
		return 0;
	memcpy(next->refused, sha256, SHA256_LEN);
	(void)events_add(h, next, PB__EVENT_KIND__EVENT_REFUSED, build_id,
		(uint32_t)-why); /* a full queue holds what matters more */
	return 0;
}

static int refuse(struct choice *c, int why)
{
	struct bytes wire;
	int err = why == ERR_CRYPTO ? why : wire_pack(c->offer, c->chain->a, &wire);

	return err != 0 ? err : choose_refuse(c->chain, c->next, wire, c->build_id, why);
}

/* Takes the offer, unless it brings back what was halted with no newer approval. */
static int take(struct choice *c, struct candidate *out)
{
	const struct candidate *old = &c->next->candidate;
	struct halted_build *halted = halted_find(c->next, c->build_id);
	int err;

	if (halted != NULL && c->offer->plan->version <= halted->plan_version)
		return ERR_BUILD_HALTED;
	err = offer_take(c, out);
	if (err != 0)
		return err;
	if (memcmp(old->rollout_id, out->rollout_id, ID_LEN) == 0 &&
		out->plan_version < old->plan_version)
		return ERR_ROLLBACK;
	if (halted != NULL)
		halted_drop(c->next, halted);
	return 0;
}

int choose_offer(const struct chain *chain, struct state *next)
{
	struct candidate chosen = { 0 };
	struct choice c = { .chain = chain, .next = next };
	int fits = 0;

	for (size_t i = 0; fits == 0 && i < chain->director->n_offers; i++) {
		c.offer = chain->director->offers[i];
		c.build_id = build_of(chain->h, c.offer);
		fits = suits(&c);
	}
	if (fits > 0)
		fits = take(&c, &chosen);
	if (fits < 0) {
		memset(&chosen, 0, sizeof(chosen));
		fits = refuse(&c, fits);
	}
	carry_over(&next->candidate, &chosen);
	next->candidate = chosen;
	return fits;
}
