/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings: a device acts on what is for its ring or an outer one, and it is in a ring because the
 * director said so under his signature, and the user wished it.  Leaving one never wedges.
 */
#include "tests/lib/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/err.h"

#define DAY_MS 86400000ull

static void seated(struct honest *s, int ring)
{
	s->ring = s->director_ring = (Pb__Ring)ring;
	s->ring_why =
		ring == HUIDU_STABLE ? PB__RING_WHY__RING_WHY_OPEN : PB__RING_WHY__RING_WHY_SEATED;
}

/* A build for this ring and those inside it; not yet to be fetched. */
static void offer(struct honest *s, int ring)
{
	honest_withdraw(s);
	honest_add_offer(s, s->n_builds > 0 ? &s->builds[0] : honest_add_build(s, "b2", 2, 3000),
		(uint32_t)ring, PPM);
	s->answer = PB__ANSWER__ANSWER_ADMISSION;
	honest_publish(s);
}

static struct phone *wishing(void **at, int wish)
{
	struct phone *p;

	assert_int_equal(phone_set_up(at), 0);
	p = *at;
	p->config.wish = (enum huidu_ring)wish;
	phone_restart(p);
	return p;
}

static bool chose(const struct phone *p)
{
	return phone_status(p).build_id[0] != '\0';
}

/* Wish, seat and the ring a build is for: all that can be. */
static void matrix(void **state)
{
	(void)state;
	for (int i = 0; i < 4 * 4 * 4; i++) {
		int wish = i / 16, ring = i / 4 % 4, of = i % 4;
		/* A server that has not heard of the wish yet has nothing for us. */
		bool heard = ring >= wish;
		int own = heard ? ring : HUIDU_STABLE;
		void *at;
		struct phone *p = wishing(&at, wish);
		seated(p->server, ring);
		offer(p->server, of);
		phone_settle(p);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		assert_int_equal(phone_status(p).ring, own);
		assert_int_equal(chose(p), (heard || wish == HUIDU_STABLE) && of >= own);
		/* Asked for when there is one to be had, that is not more than was wished. */
		assert_int_equal(p->server->grants, heard && ring < HUIDU_STABLE);
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

#define ON_GRANT(name, change)                                                                     \
	static void name(struct honest *s, enum envelope_type type, void *message)                 \
	{                                                                                          \
		Pb__RingGrant *m = message;                                                        \
		(void)s;                                                                           \
		if (type == ENVELOPE_GRANT) {                                                      \
			change;                                                                    \
		}                                                                                  \
	}
ON_GRANT(other_device, m->device_id.data[0] ^= 1)
ON_GRANT(short_device, m->device_id.len = 15)
ON_GRANT(other_product, m->product = "phone2")
ON_GRANT(other_repository, m->repository = "another")
ON_GRANT(other_spec, m->spec_version = 2)
ON_GRANT(inner_ring, m->ring = 0)
ON_GRANT(no_ring, m->ring = 4)
ON_GRANT(outer_ring, m->ring = 3)
ON_GRANT(over, m->expires = s->now_s)

static void none(struct honest *s, Pb__GrantReply *r)
{
	(void)s;
	r->has_grant = 0;
}

static void changed(struct honest *s, Pb__GrantReply *r)
{
	(void)s;
	r->grant.data[r->grant.len - 1] ^= 1;
}

static void a_director(struct honest *s, Pb__GrantReply *r)
{
	r->grant = wire_data(s->director[1].p, s->director[1].n);
}

static const struct row {
	const char *why;
	void (*edit)(struct honest *s, enum envelope_type type, void *message);
	void (*edit_grant)(struct honest *s, Pb__GrantReply *r);
	enum envelope_type signer;
	int want;
} rows[] = {
	{ "another device's", other_device, NULL, ENVELOPE_DIRECTOR, ERR_MISMATCH },
	{ "half a device's", short_device, NULL, ENVELOPE_DIRECTOR, ERR_MISMATCH },
	{ "another product's", other_product, NULL, ENVELOPE_DIRECTOR, ERR_WRONG_PRODUCT },
	{ "another repository's", other_repository, NULL, ENVELOPE_DIRECTOR, ERR_WRONG_REPOSITORY },
	{ "of another kind", other_spec, NULL, ENVELOPE_DIRECTOR, ERR_BAD_RANGE },
	{ "for an inner ring", inner_ring, NULL, ENVELOPE_DIRECTOR, ERR_WRONG_RING },
	{ "for no ring", no_ring, NULL, ENVELOPE_DIRECTOR, ERR_WRONG_RING },
	{ "for an outer ring", outer_ring, NULL, ENVELOPE_DIRECTOR, ERR_WRONG_RING },
	{ "over", over, NULL, ENVELOPE_DIRECTOR, ERR_EXPIRED },
	{ "none", NULL, none, ENVELOPE_DIRECTOR, ERR_MISSING_FIELD },
	{ "signed by the timestamp key", NULL, NULL, ENVELOPE_TIMESTAMP, ERR_BELOW_THRESHOLD },
	{ "signed by the release team", NULL, NULL, ENVELOPE_TARGETS, ERR_BELOW_THRESHOLD },
	{ "changed", NULL, changed, ENVELOPE_DIRECTOR, ERR_BELOW_THRESHOLD },
	{ "a directive", NULL, a_director, ENVELOPE_DIRECTOR, ERR_WRONG_TYPE },
};

/* What is not a grant for this device changes nothing; polls go on; the right one is taken. */
static void refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *at;
		struct phone *p = wishing(&at, HUIDU_CORE);
		struct honest *s = p->server;
		unsigned polls;

		print_message("# %s\n", rows[i].why);
		s->edit = rows[i].edit;
		s->edit_grant = rows[i].edit_grant;
		s->signed_as[ENVELOPE_GRANT] = rows[i].signer;
		seated(s, HUIDU_HONOUR);
		offer(s, HUIDU_HONOUR);
		phone_settle(p);
		assert_true(s->grants > 0);
		assert_int_equal(p->last_logged, rows[i].want);
		assert_int_equal(phone_status(p).ring, HUIDU_STABLE);
		assert_false(chose(p));
		polls = s->polls;
		phone_run(p, 6 * 3600000);
		assert_true(s->polls >= polls + 5);
		assert_in_range(s->grants, 2, 20);
		assert_false(chose(p));
		/* Even then it hears of a halt, and of what is for everybody. */
		s->edit = NULL;
		s->edit_grant = NULL;
		s->signed_as[ENVELOPE_GRANT] = ENVELOPE_DIRECTOR;
		phone_run(p, DAY_MS);
		assert_int_equal(phone_status(p).ring, HUIDU_HONOUR);
		assert_true(chose(p));
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

/* The directive of a ring that was not granted halts, and installs nothing. */
static void halts_from_inside(void **state)
{
	void *at;
	struct phone *p = wishing(&at, HUIDU_CORE);
	struct honest *s = p->server;

	(void)state;
	p->apply_later = true;
	offer(s, HUIDU_STABLE);
	s->answer = PB__ANSWER__ANSWER_OFFER;
	phone_settle(p);
	assert_int_equal(phone_status(p).phase, HUIDU_APPLYING);
	s->edit_grant = none;
	seated(s, HUIDU_CORE);
	s->halted[s->n_halted++] = "b2";
	honest_publish(s);
	phone_poll(p);
	assert_int_equal(phone_status(p).ring, HUIDU_STABLE);
	assert_false(chose(p));
	phone_apply_ends(p, 0);
	phone_run(p, 3600000);
	assert_string_equal(p->slot.build_id, "b1");
	assert_int_equal(phone_tear_down(&at), 0);
}

/* Kept over restarts, renewed before it ends. */
static void renewed(void **state)
{
	void *at;
	struct phone *p = wishing(&at, HUIDU_CORE);
	struct honest *s = p->server;

	(void)state;
	s->next_poll_s = 43200;
	seated(s, HUIDU_DEV);
	for (unsigned week = 0; week < 40; week++) {
		honest_publish(s);
		phone_run(p, 7 * DAY_MS);
		phone_restart(p);
		assert_int_equal(phone_status(p).ring, HUIDU_DEV);
	}
	assert_in_range(s->grants, 4, 6); /* 280 days, one each 60 */
	assert_int_equal(phone_tear_down(&at), 0);
}

/* A server that grants for too short a time is not asked without end. */
static void short_grants(void **state)
{
	void *at;
	struct phone *p = wishing(&at, HUIDU_CORE);
	struct honest *s = p->server;

	(void)state;
	s->grant_for_s = 20 * 86400;
	seated(s, HUIDU_DEV);
	honest_publish(s);
	phone_run(p, 5 * DAY_MS);
	assert_in_range(s->grants, 4, 8);
	assert_int_equal(phone_status(p).ring, HUIDU_DEV);
	assert_int_equal(phone_tear_down(&at), 0);
}

static void wishes_outward(struct phone *p)
{
	p->config.wish = HUIDU_STABLE;
	phone_restart(p);
}

static void is_withdrawn(struct phone *p)
{
	seated(p->server, HUIDU_STABLE);
	honest_tick(p->server);
}

static void is_over(struct phone *p)
{
	p->server->edit_grant = none;
	phone_sleep(p, 91 * DAY_MS);
}

static void is_forgotten(struct phone *p)
{
	p->server->known = false;
	seated(p->server, HUIDU_STABLE);
}

static void has_new_keys(struct phone *p)
{
	honest_rotate(p->server, 1u << ENVELOPE_DIRECTOR);
	p->server->edit_grant = none;
}

/*
 * A build of the ring was chosen; the device leaves.  It is not installed any more, and what is for
 * everybody is, within a day.
 */
static void leaving(void **state)
{
	static const struct {
		const char *why;
		void (*leave)(struct phone *p);
		bool keeps; /* the grant goes on: what was chosen may be installed */
	} ways[] = {
		{ "the user wishes for stable", wishes_outward, false },
		{ "the seat is withdrawn", is_withdrawn, true },
		{ "the grant is over", is_over, false },
		{ "the server has forgotten the device", is_forgotten, false },
		{ "the director's key is replaced", has_new_keys, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		void *at;
		struct phone *p = wishing(&at, HUIDU_HONOUR);
		struct honest *s = p->server;

		print_message("# %s\n", ways[i].why);
		seated(s, HUIDU_HONOUR);
		offer(s, HUIDU_HONOUR);
		phone_settle(p);
		assert_true(chose(p));
		assert_int_equal(phone_status(p).ring, HUIDU_HONOUR);
		ways[i].leave(p);
		honest_publish(s);
		s->answer = PB__ANSWER__ANSWER_OFFER;
		if (!ways[i].keeps) {
			phone_poll(p);
			assert_string_equal(p->slot.build_id, "b1");
			assert_int_equal(p->applies, 0);
			assert_int_equal(phone_status(p).ring, HUIDU_STABLE);
		}
		offer(s, HUIDU_STABLE);
		s->answer = PB__ANSWER__ANSWER_OFFER;
		seated(s, HUIDU_STABLE);
		honest_publish(s);
		phone_run(p, DAY_MS);
		assert_string_equal(p->slot.build_id, "b2");
		assert_int_equal(phone_tear_down(&at), 0);
	}
}

/* Back and forth: each change of the seat is followed within a poll. */
static void moves(void **state)
{
	static const int rings[] = { 3, 2, 1, 0, 1, 3, 0, 2, 3, 1 };
	void *at;
	struct phone *p = wishing(&at, HUIDU_CORE);
	struct honest *s = p->server;
	int best = HUIDU_STABLE;

	(void)state;
	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		seated(s, rings[i]);
		honest_publish(s);
		phone_poll(p);
		phone_poll(p);
		assert_int_equal(phone_status(p).last_error, 0);
		best = rings[i];
		assert_int_equal(phone_status(p).ring, best);
	}
	assert_int_equal(phone_tear_down(&at), 0);
}

/* Without an id there is no seat. */
static void anonymous(void **state)
{
	void *at;
	struct phone *p = wishing(&at, HUIDU_CORE);

	(void)state;
	p->config.reports = 0;
	phone_restart(p);
	seated(p->server, HUIDU_DEV);
	honest_publish(p->server);
	phone_poll(p);
	assert_int_equal(p->server->grants, 0);
	assert_int_equal(phone_status(p).ring, HUIDU_STABLE);
	assert_int_equal(phone_tear_down(&at), 0);
}

/* "Check now" is about the seat as well: the poll alone would bring nothing new. */
static void hurried(void **state)
{
	void *at;
	struct phone *p = wishing(&at, HUIDU_CORE);
	struct honest *s = p->server;

	(void)state;
	seated(s, HUIDU_HONOUR);
	offer(s, HUIDU_HONOUR);
	p->only = "/v1/grant";
	p->status = 503;
	phone_settle(p);
	assert_int_equal(phone_status(p).ring, HUIDU_STABLE);
	p->status = 0;
	phone_poll(p);
	assert_int_equal(phone_status(p).ring, HUIDU_HONOUR);
	assert_true(chose(p));
	assert_int_equal(phone_tear_down(&at), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matrix),
		cmocka_unit_test(refused),
		cmocka_unit_test(halts_from_inside),
		cmocka_unit_test(renewed),
		cmocka_unit_test(short_grants),
		cmocka_unit_test(leaving),
		cmocka_unit_test(moves),
		cmocka_unit_test(anonymous),
		cmocka_unit_test(hurried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
