/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "proto/bucket.h"
#include "server/service/feed.h"

#define NOW_S  1795000000ull
#define COUNTS 4u

/* 2.0 (counter 20) and 1.0 (10) are complete in stable, and 1.9 (19) is from the factory. */
struct world {
	struct image_product product;
	struct image_build build[COUNTS];
	struct feed_ask ask;
	const char *fixes[1];
};

static void add(struct world *w, const char *name, uint64_t counter, bool has_file)
{
	w->build[w->product.n_builds++] =
		(struct image_build){ .name = name, .counter = counter, .has_file = has_file };
}

static void make(struct world *w)
{
	struct image_ring *r = &w->product.ring[RING_STABLE];

	memset(w, 0, sizeof(*w));
	w->product.builds = w->build;
	w->fixes[0] = "1.0";
	add(w, "1.0", 10, true);
	add(w, "1.9", 19, false);
	add(w, "2.0", 20, true);
	r->rules.n = 2;
	for (size_t i = 0; i < r->rules.n; i++) {
		r->rules.offers[i] = (struct offer_rule){
			.upper = PPM, .release_counter = i == 0 ? 20 : 10, .for_young = true
		};
		r->expires_s[i] = NOW_S + 1;
	}
	w->ask = (struct feed_ask){ .ring = RING_STABLE, .now_s = NOW_S };
}

static struct offer_rule *newest(struct world *w)
{
	return &w->product.ring[RING_STABLE].rules.offers[0];
}

static void as_it_is(struct world *w)
{
	(void)w;
}

static void part_of_all(struct world *w)
{
	newest(w)->upper = PPM - 1;
}

static void not_from_the_first(struct world *w)
{
	newest(w)->lower = 1;
}

static void some_wait(struct world *w)
{
	newest(w)->for_young = false;
}

static void paused(struct world *w)
{
	newest(w)->paused = true;
}

static void for_some_builds(struct world *w)
{
	newest(w)->from_builds = w->fixes;
	newest(w)->n_from_builds = 1;
}

static void in_a_stage(struct world *w)
{
	w->product.ring[RING_STABLE].rules.has_stage = true;
}

static void halted(struct world *w)
{
	w->build[2].stopped = true;
}

static void expired(struct world *w)
{
	w->product.ring[RING_STABLE].expires_s[0] = NOW_S;
}

static void no_file(struct world *w)
{
	w->build[2].has_file = false;
}

static void both_expired(struct world *w)
{
	w->ask.now_s = NOW_S + 1;
}

static void older_in_a_stage(struct world *w)
{
	in_a_stage(w);
	w->product.ring[RING_STABLE].rules.stage.offer = 1;
}

static void another_ring(struct world *w)
{
	w->ask.ring = RING_DEV;
}

static void runs(struct world *w, const char *name)
{
	w->ask.runs = bytes_str(name);
}

static void runs_old(struct world *w)
{
	runs(w, "1.0");
}

static void runs_factory(struct world *w)
{
	runs(w, "1.9");
}

static void runs_newest(struct world *w)
{
	runs(w, "2.0");
}

static void runs_unknown(struct world *w)
{
	runs(w, "7.7");
}

static void runs_halted(struct world *w)
{
	runs_newest(w);
	halted(w);
}

static void test_choose(void **state)
{
	static const struct {
		const char *why;
		void (*change)(struct world *w);
		const char *want[2];
	} rows[] = {
		{ "both are complete", as_it_is, { "2.0", "1.0" } },
		{ "of a share", part_of_all, { "1.0" } },
		{ "of a share that does not begin at 0", not_from_the_first, { "1.0" } },
		{ "the ring is not done", some_wait, { "1.0" } },
		{ "paused", paused, { "1.0" } },
		{ "for some builds alone", for_some_builds, { "1.0" } },
		{ "its stage is open", in_a_stage, { "1.0" } },
		{ "the stage of another is open", older_in_a_stage, { "2.0" } },
		{ "halted", halted, { "1.0" } },
		{ "expired", expired, { "1.0" } },
		{ "there is no file", no_file, { "1.0" } },
		{ "both have expired", both_expired, { NULL } },
		{ "nothing in this ring", another_ring, { NULL } },
		{ "it runs the older one", runs_old, { "2.0" } },
		{ "it runs one from the factory", runs_factory, { "2.0" } },
		{ "it runs the newest", runs_newest, { NULL } },
		{ "it runs what nobody knows", runs_unknown, { "2.0", "1.0" } },
		{ "it runs a halted one", runs_halted, { NULL } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct image_build *list[OFFERS_MAX];
		struct world w;
		size_t n, want = 0;
		make(&w);
		rows[i].change(&w);
		n = feed_choose(&w.product, &w.ask, list);
		while (want < 2 && rows[i].want[want] != NULL)
			want++;
		if (n != want)
			fail_msg("%s: %zu builds", rows[i].why, n);
		for (size_t k = 0; k < n; k++)
			if (strcmp(list[k]->name, rows[i].want[k]) != 0)
				fail_msg("%s: %s", rows[i].why, list[k]->name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_choose) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
