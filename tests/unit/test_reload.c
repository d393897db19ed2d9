/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration read again while the services run. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "deployment.h"
#include "server/base/mem.h"
#include "server/service/control_private.h"
#include "server/service/reload.h"

#define HOUR 3600000ull

static const char *const phone_a[] = { "phone-a" };
static char error[256];

/* The deployment's own file, with one text in it replaced by another. */
static void edit(const struct deployment *d, const char *old, const char *with)
{
	char *path = mem_printf("%s/huidud.yaml", d->dir), text[4096], *at;
	FILE *f = fopen(path, "r+");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	at = strstr(text, old);
	assert_non_null(at);
	rewind(f);
	assert_true(fprintf(f, "%.*s%s%s", (int)(at - text), text, with, at + strlen(old)) > 0);
	assert_int_equal(ftruncate(fileno(f), ftell(f)), 0);
	assert_int_equal(fclose(f), 0);
	free(path);
}

static int reload(struct deployment *d)
{
	char *path = mem_printf("%s/huidud.yaml", d->dir);
	struct reload *r = NULL;
	int err = reload_read(&d->server, path, &r, error);

	free(path);
	if (err == 0)
		err = reload_take(&d->server, r, d->now_ms);
	(void)desk_refresh(&d->desk); /* as a worker does when it is told */
	return err;
}

static void open_it(struct deployment *d)
{
	struct deployment_options o = { .profile = "solo" };

	deployment_open(d, &o);
}

/* What is built into the running server: refused by name, and nothing else is taken over either. */
static void test_needs_restart(void **state)
{
	static const struct {
		const char *old, *with, *want;
	} row[] = {
		{ "repository: test", "repository: other", "needs a restart: repository" },
		{ "listen: 127.0.0.1:0", "listen: 127.0.0.1:1", "needs a restart: listen" },
		{ "plain: true", "plain: false\ntls: {cert: a, key: b}", "needs a restart: plain" },
		{ "environment: trial", "environment: production", "needs a restart: environment" },
		{ "plain: true", "plain: true\ndata: other\nworkers: 3\nonline: there\nroot: r.env",
			"needs a restart: data, workers, root, online" },
		{ "plain: true", "plain: true\nadmin: other\nmetrics: 127.0.0.1:1",
			"needs a restart: admin, metrics" },
		{ "plain: true", "plain: true\nlimits: {connections: 9, per_prefix: 8}",
			"needs a restart: limits.connections, limits.per_prefix" },
		{ "plain: true", "plain: true\nproxy: [10.0.0.0/8]", "needs a restart: proxy" },
		{ "[phone-a]", "[phone-a, phone-b]", "needs a restart: lines and their products" },
		{ "[phone-a]", "[phone-b]", "needs a restart: lines and their products" },
		{ "- products", "- name: other\n    products",
			"needs a restart: lines and their products" },
		{ "fill_every: 1m", "fill_every: 1m\n  - {name: more, products: [phone-c]}",
			"needs a restart: lines and their products" },
		{ "interval: 1h", "interval: 1x", "poll.interval" },
		{ "enrol: open", "enrol: {mode: token, tokens: nowhere.txt}", "nowhere.txt" },
		{ "enrol: open", "enrol: {mode: hook, hook: nowhere.sh}",
			"nowhere.sh: No such file" },
		{ "enrol: open", "enrol: {mode: voucher, manufacturers: [bm90IGEga2V5]}",
			"enrol: manufacturers" },
	};
	struct deployment d;
	const struct config *before;

	(void)state;
	open_it(&d);
	before = d.server.config;
	for (size_t i = 0; i < COUNT(row); i++) {
		int err;
		edit(&d, "core: 10", "core: 7");
		edit(&d, row[i].old, row[i].with);
		error[0] = '\0';
		err = reload(&d);
		if (err == 0 || strstr(error, row[i].want) == NULL)
			fail_msg("%s: %d, %s", row[i].want, err, error);
		assert_ptr_equal(d.server.config, before);
		assert_int_equal(d.server.registry.lines[0].config->rings.seats[RING_CORE], 10);
		edit(&d, row[i].with, row[i].old);
		edit(&d, "core: 7", "core: 10");
	}
	assert_int_equal(reload(&d), 0);
	deployment_close(&d);
}

static uint64_t in_ring(const struct deployment *d, enum ring ring)
{
	return atomic_load(&d->server.registry.lines[0].devices[ring]);
}

/* Nobody loses a seat, and nobody gets one, until there are fewer than there are seats. */
static void test_ring_shrinks(void **state)
{
	struct deployment d;
	struct test_device t[10];

	(void)state;
	open_it(&d);
	for (size_t i = 0; i < COUNT(t); i++)
		assert_int_equal(device_enrol(&d, &t[i], "phone-a", RING_CORE), 0);
	edit(&d, "core: 10", "core: 5");
	assert_int_equal(reload(&d), 0);
	deployment_run(&d, 120000, 60000);
	assert_int_equal(in_ring(&d, RING_CORE), 5);
	edit(&d, "core: 5", "core: 2");
	assert_int_equal(reload(&d), 0);
	deployment_run(&d, 120000, 60000);
	assert_int_equal(in_ring(&d, RING_CORE), 5);
	/* Three give theirs up: still none is free. */
	for (size_t i = 0, given = 0; given < 3; i++) {
		assert_int_equal(device_poll(&d, &t[i]), 0);
		if (t[i].ring != RING_CORE)
			continue;
		t[i].wish = RING_STABLE;
		assert_int_equal(device_poll(&d, &t[i]), 0);
		given++;
	}
	deployment_run(&d, 120000, 60000);
	assert_int_equal(in_ring(&d, RING_CORE), 2);
	edit(&d, "core: 2", "core: 3");
	assert_int_equal(reload(&d), 0);
	deployment_run(&d, 120000, 60000);
	assert_int_equal(in_ring(&d, RING_CORE), 3);
	for (size_t i = 0; i < COUNT(t); i++)
		device_forget(&t[i]);
	deployment_close(&d);
}

static void test_polls_and_doors(void **state)
{
	struct deployment d;
	struct test_device t, late;

	(void)state;
	open_it(&d);
	assert_int_equal(device_enrol(&d, &t, "phone-a", RING_STABLE), 0);
	assert_int_equal(device_told_s(&d, &t), 3600);
	edit(&d, "interval: 1h", "interval: 2h");
	edit(&d, "enrol: open", "enrol: closed");
	assert_int_equal(reload(&d), 0);
	assert_int_equal(device_told_s(&d, &t), 7200);
	assert_int_equal(device_enrol(&d, &late, "phone-a", RING_STABLE), ERR_CLOSED);
	device_forget(&late);
	edit(&d, "enrol: closed", "enrol: {mode: open, per_minute: 1}");
	assert_int_equal(reload(&d), 0);
	assert_int_equal(device_enrol(&d, &late, "phone-a", RING_STABLE), 0);
	device_forget(&late);
	assert_int_equal(device_enrol(&d, &late, "phone-a", RING_STABLE), ERR_TOO_MANY);
	device_forget(&late);
	device_forget(&t);
	deployment_close(&d);
}

/* Phones that were told four hours are not silent because those to come are told one, or the reverse. */
static void test_silence(void **state)
{
	static const struct plan_stage one = { RING_STABLE, 500000, 0 };
	struct deployment d;
	struct test_device t;
	struct test_plan p;
	const struct stage *g;
	uint64_t window_ms;

	(void)state;
	open_it(&d);
	assert_int_equal(device_enrol(&d, &t, "phone-a", RING_STABLE), 0);
	assert_int_equal(deployment_publish(&d, "phone-a", "1.0", 1, "one"), 0);
	assert_int_equal(
		deployment_roll_out(&d, "1.0", phone_a, 1, plan_of(&p, &one, 1, HOUR, 0)), 0);
	g = stages_find(&d.server.writer.stages, d.server.control->follows[0].key);
	window_ms = g->silence.rules.window_ms;
	assert_int_equal(window_ms, 3 * HOUR);
	edit(&d, "interval: 1h", "interval: 2h");
	assert_int_equal(reload(&d), 0);
	assert_int_equal(g->silence.rules.window_ms, 6 * HOUR);
	assert_int_equal(g->silence.rules.milestone_ms, 8 * HOUR);
	edit(&d, "interval: 2h", "interval: 10m");
	assert_int_equal(reload(&d), 0);
	assert_int_equal(g->silence.rules.window_ms, 6 * HOUR);
	device_forget(&t);
	deployment_close(&d);
}

/* An hour's fill_every is not waited for when it is a minute now. */
static void test_fill_comes_sooner(void **state)
{
	struct deployment_options o = { .profile = "solo",
		.lines =
			"lines:\n  - products: [phone-a]\n    rings: {core: 10, honour: 1, dev: 1}\n"
			"    fill_every: 7d\n" };
	struct deployment d;
	struct test_device t;

	(void)state;
	deployment_open(&d, &o);
	deployment_run(&d, 60000, 60000);
	assert_int_equal(device_enrol(&d, &t, "phone-a", RING_CORE), 0);
	deployment_run(&d, 2 * HOUR, HOUR);
	assert_int_equal(in_ring(&d, RING_CORE), 0);
	edit(&d, "fill_every: 7d", "fill_every: 1m");
	assert_int_equal(reload(&d), 0);
	deployment_run(&d, 120000, 60000);
	assert_int_equal(in_ring(&d, RING_CORE), 1);
	edit(&d, "fill_every: 1m", "fill_every: 1m\n    fill: invite");
	assert_int_equal(reload(&d), 0);
	assert_int_equal(d.server.registry.lines[0].config->fill, FILL_INVITE);
	device_forget(&t);
	deployment_close(&d);
}

/* Each replaces the one before, which goes. */
static void test_again_and_again(void **state)
{
	struct deployment d;

	(void)state;
	open_it(&d);
	edit(&d, "core: 10", "core: 5");
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(reload(&d), 0);
		assert_int_equal(d.server.config->lines[0].rings.seats[RING_CORE], 5);
	}
	deployment_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needs_restart),
		cmocka_unit_test(test_ring_shrinks),
		cmocka_unit_test(test_polls_and_doors),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_fill_comes_sooner),
		cmocka_unit_test(test_again_and_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
