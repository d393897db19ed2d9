/* SPDX-License-Identifier: Apache-2.0 */
/* The next root: which one is taken, and what is true afterwards. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "authority_world.h"
#include "server/base/mem.h"
#include "server/service/control_private.h"

#define HOUR 3600000ull

static const char *const phone_a[] = { "phone-a" };
static const struct plan_stage ladder[] = { { RING_CORE, 1000000, 0 } };

static void open_as(struct deployment *d, const char *profile)
{
	struct deployment_options o = { .profile = profile };

	deployment_open(d, &o);
	d->arena.used = 0;
}

static void run_1_0(struct deployment *d)
{
	struct test_plan p;

	assert_int_equal(0, deployment_publish(d, "phone-a", "1.0", 1, "one"));
	assert_int_equal(
		0, deployment_roll_out(d, "1.0", phone_a, 1, plan_of(&p, ladder, 1, HOUR, 0)));
	d->arena.used = 0;
}

static uint64_t version(const struct deployment *d)
{
	return control_state(&d->server)->root->version;
}

/* Every refusal leaves the root in force. */
static void only_the_next_root_is_taken(void **state)
{
	struct deployment d;
	struct world_root r;
	struct world_key eve;
	struct bytes e;

	(void)state;
	open_as(&d, "team");
	world_key_make(&eve, "eve", false);
	world_root_next(&d, &r);
	e = world_root_sign(&d, world_root_wrap(&d, &r));
	r.root.version = 3;
	assert_int_equal(ERR_ROOT_VERSION,
		world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	r.root.version = 1;
	assert_int_equal(ERR_ROOT_VERSION,
		world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	/* Two of three must sign. */
	r.root.version = 2;
	assert_int_equal(ERR_BELOW_THRESHOLD,
		world_root_send(&d, world_sign_as(&d, world_root_wrap(&d, &r), 0, KEY_ROOT)));
	/* Signed by those it names, and nobody else. */
	world_root_drop(&r, WORLD_ROOT);
	world_root_drop(&r, WORLD_ROOT);
	world_root_drop(&r, WORLD_ROOT);
	world_root_add(&r, WORLD_ROOT, &eve);
	r.role[WORLD_ROOT].threshold = 1;
	assert_int_equal(ERR_BELOW_THRESHOLD,
		world_root_send(&d, world_sign(&d, world_root_wrap(&d, &r), eve.key, eve.id)));
	/* By the old ones, and not by its own. */
	assert_int_equal(ERR_BELOW_THRESHOLD,
		world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	world_root_next(&d, &r);
	r.root.repository = "another";
	assert_int_equal(ERR_WRONG_REPOSITORY,
		world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	world_root_next(&d, &r);
	r.root.expires = d.now_ms / 1000;
	assert_int_equal(
		ERR_EXPIRED, world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	assert_int_equal(1, version(&d));
	/* And the honest one is. */
	assert_int_equal(0, world_root_send(&d, e));
	assert_int_equal(2, version(&d));
	assert_string_equal("root 2 is in force", d.text);
	assert_int_equal(ERR_ROOT_VERSION, world_root_send(&d, e));
	/* The file is still the first: the log knows better. */
	deployment_restart(&d);
	assert_int_equal(2, version(&d));
	world_key_free(&eve);
	deployment_close(&d);
}

static void demo_keys_stay_out_of_production(void **state)
{
	struct deployment d;
	struct world_root r;
	struct world_key demo;

	(void)state;
	open_as(&d, "solo");
	world_key_make(&demo, "demo", true);
	world_root_next(&d, &r);
	world_root_add(&r, WORLD_TARGETS, &demo);
	d.server.control->state.production = true;
	assert_int_equal(
		ERR_DEMO_KEY, world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	assert_int_equal(1, version(&d));
	d.server.control->state.production = false;
	assert_int_equal(0, world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	world_key_free(&demo);
	deployment_close(&d);
}

/* What control says at a start on the same store. */
static int start_again(struct deployment *d, const struct rootfile *root, char error[256])
{
	int err;

	control_close(&d->server);
	err = control_open(&d->server, d->signer, root, d->now_ms, error);
	(void)desk_refresh(&d->desk);
	return err;
}

static void a_start_looks_at_the_root(void **state)
{
	struct deployment d;
	struct world_root r;
	struct world_key demo;
	struct rootfile *next;
	char error[256];

	(void)state;
	open_as(&d, "solo");
	d.config.environment = ENVIRONMENT_TRIAL;
	assert_int_equal(0, start_again(&d, d.root, error));
	world_key_make(&demo, "demo", true);
	world_root_next(&d, &r);
	world_root_add(&r, WORLD_TARGETS, &demo);
	assert_int_equal(0, rootfile_parse(world_root_sign(&d, world_root_wrap(&d, &r)), &next));
	/* One that the log does not have. */
	assert_int_equal(ERR_BAD_ROOT, start_again(&d, next, error));
	assert_non_null(strstr(error, "version 2 is none of the log's"));
	assert_int_equal(0, start_again(&d, d.root, error));
	assert_int_equal(0, world_root_send(&d, next->envelope));
	/* Any that it has. */
	assert_int_equal(0, start_again(&d, next, error));
	assert_int_equal(0, start_again(&d, d.root, error));
	assert_int_equal(2, version(&d));
	/* The file has no demo key, the root in force has. */
	d.config.environment = ENVIRONMENT_PRODUCTION;
	assert_int_equal(ERR_DEMO_KEY, start_again(&d, d.root, error));
	assert_non_null(strstr(error, "environment: trial"));
	d.config.environment = ENVIRONMENT_TRIAL;
	assert_int_equal(0, start_again(&d, d.root, error));
	rootfile_free(next);
	world_key_free(&demo);
	deployment_close(&d);
}

static void who_left_commands_no_more(void **state)
{
	struct deployment d;
	struct world_root r;
	struct world_key new_release;
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__RolloutAct act = PB__ROLLOUT_ACT__INIT;

	(void)state;
	open_as(&d, "solo");
	run_1_0(&d);
	world_key_make(&new_release, "nina", false);
	world_root_next(&d, &r);
	world_root_drop(&r, WORLD_TARGETS);
	world_root_add(&r, WORLD_TARGETS, &new_release);
	assert_int_equal(0, world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	assert_int_not_equal(0, deployment_act(&d, "1.0", PB__ACT__ACT_HALT));
	assert_int_equal(ROLLOUT_RUNNING, deployment_rollout(&d, "1.0")->state);
	d.arena.used = 0;
	act.act = PB__ACT__ACT_HALT;
	act.rollout_id = wire_data(deployment_rollout(&d, "1.0")->id, ID_LEN);
	m.act = &act;
	assert_int_equal(0,
		world_send(&d,
			world_sign(&d, world_command(&d, &m), new_release.key, new_release.id)));
	assert_int_equal(ROLLOUT_HALTED, deployment_rollout(&d, "1.0")->state);
	world_key_free(&new_release);
	deployment_close(&d);
}

static size_t offers(const struct deployment *d)
{
	struct chosen out[OFFERS_MAX];

	return offers_choose(control_state(&d->server), "phone-a", RING_CORE, out);
}

/* What an approver signed who has left is offered to nobody, and comes back when it is signed anew. */
static void plans_are_approved_anew(void **state)
{
	struct deployment d;
	struct world_root r;
	const Pb__AdminReply *reply;

	(void)state;
	open_as(&d, "team");
	run_1_0(&d);
	assert_int_equal(1, offers(&d));
	world_root_next(&d, &r);
	world_root_drop(&r, WORLD_APPROVER); /* alice */
	assert_int_equal(0, world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	assert_string_equal("root 2 is in force; must be approved anew: 1.0", d.text);
	assert_int_equal(0, offers(&d));
	reply = world_ask(&d, PB__QUERY_KIND__QUERY_PENDING, "", 0);
	assert_int_equal(1, reply->n_pending);
	assert_string_equal("1.0", reply->pending[0]->name);
	assert_int_equal(2, reply->pending[0]->needed);
	deployment_restart(&d);
	assert_int_equal(0, offers(&d));
	assert_int_equal(0, deployment_approve(&d, "1.0", 1));
	assert_int_equal(0, offers(&d));
	assert_int_equal(0, deployment_approve(&d, "1.0", 2));
	assert_int_equal(1, offers(&d));
	assert_int_equal(ROLLOUT_RUNNING, deployment_rollout(&d, "1.0")->state);
	deployment_restart(&d);
	assert_int_equal(1, offers(&d));
	deployment_close(&d);
}

static bool is_good(
	const struct deployment *d, const struct signed_file *f, enum envelope_type type)
{
	uint8_t room[32768];
	struct arena a = { room, sizeof(room), 0 };
	struct bytes payload;

	return envelope_open(crypto_openssl(), buf_bytes(&f->envelope), type,
		       control_state(&d->server)->root, &a, &payload) == 0;
}

static void check_files(const struct deployment *d)
{
	const struct product_files *f = &d->server.control->files[0];

	for (unsigned g = 0; g < RING__COUNT; g++)
		assert_true(is_good(d, &f->director[g], ENVELOPE_DIRECTOR));
	assert_true(is_good(d, &f->snapshot, ENVELOPE_SNAPSHOT));
	assert_true(is_good(d, &f->timestamp, ENVELOPE_TIMESTAMP));
}

/* New online keys sign all that phones get, in the same breath. */
static void online_keys_are_replaced(void **state)
{
	static const struct {
		int role;
		const char *name;
	} online[] = { { WORLD_DIRECTOR, "director" }, { WORLD_SNAPSHOT, "snapshot" },
		{ WORLD_TIMESTAMP, "timestamp" } };
	struct deployment d;
	struct world_root r;
	struct world_key key[3];
	char *path;

	(void)state;
	open_as(&d, "solo");
	run_1_0(&d);
	for (size_t i = 0; i < 3; i++) {
		world_key_make(&key[i], online[i].name, false);
		path = mem_printf("%s/%s-2.pem", d.config.online, online[i].name);
		assert_int_equal(0, crypto_key_save(key[i].key, path));
		free(path);
	}
	world_root_next(&d, &r);
	for (size_t i = 0; i < 3; i++) {
		world_root_drop(&r, online[i].role);
		world_root_add(&r, online[i].role, &key[i]);
	}
	/* The server does not hold them yet. */
	assert_int_not_equal(0, world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	assert_int_equal(1, version(&d));
	deployment_restart(&d);
	d.arena.used = 0;
	world_root_next(&d, &r);
	for (size_t i = 0; i < 3; i++) {
		world_root_drop(&r, online[i].role);
		world_root_add(&r, online[i].role, &key[i]);
	}
	assert_int_equal(0, world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	check_files(&d);
	for (size_t i = 0; i < 3; i++) {
		path = mem_printf("%s/%s.pem", d.config.online, online[i].name);
		assert_int_equal(0, remove(path));
		free(path);
	}
	deployment_restart(&d);
	check_files(&d);
	assert_int_equal(1, offers(&d));
	for (size_t i = 0; i < 3; i++)
		world_key_free(&key[i]);
	deployment_close(&d);
}

/* All of it is there to be asked for. */
static void trust_is_shown(void **state)
{
	struct deployment d;
	struct world_root r;
	const Pb__AdminReply *reply;
	const Pb__TrustView *t;
	bool plan = false;

	(void)state;
	open_as(&d, "team");
	run_1_0(&d);
	world_root_next(&d, &r);
	r.root.expires += 86400;
	assert_int_equal(0, world_root_send(&d, world_root_sign(&d, world_root_wrap(&d, &r))));
	t = world_ask(&d, PB__QUERY_KIND__QUERY_TRUST, "", 0)->trust;
	assert_int_equal(2, t->n_roots);
	assert_int_equal(2, t->root_version);
	/* One root; timestamp, snapshot and four directors; the build and its plan. */
	assert_int_equal(1 + 6 + 2, t->n_expiries);
	assert_string_equal("timestamp phone-a", t->expiries[0]->what);
	assert_string_equal("by itself", t->expiries[0]->renewed);
	assert_string_equal("root", t->expiries[8]->what);
	for (size_t i = 1; i < t->n_expiries; i++)
		assert_true(t->expiries[i - 1]->expires <= t->expiries[i]->expires);
	for (size_t i = 0; i < t->n_expiries; i++)
		plan |= strcmp(t->expiries[i]->what, "plan 1.0 phone-a") == 0 &&
			t->expiries[i]->expires == deployment_rollout(&d, "1.0")->expires_s;
	assert_true(plan);
	assert_int_equal(1, world_ask(&d, PB__QUERY_KIND__QUERY_TRUST, "", 1)->trust->n_roots);
	reply = world_ask(&d, PB__QUERY_KIND__QUERY_HISTORY, "", 0);
	assert_string_equal("root 1 took force, profile team", reply->history[0]->what);
	assert_string_equal(
		"root 2 took force, profile team", reply->history[reply->n_history - 1]->what);
	for (size_t i = 1; i < reply->n_history; i++)
		assert_true(reply->history[i - 1]->index < reply->history[i]->index);
	deployment_close(&d);
}

static void log_is_shown(void **state)
{
	struct deployment d;
	const Pb__LogView *v;
	uint64_t size;
	struct merkle tree = { 0 };
	uint8_t leaf[SHA256_LEN], root[SHA256_LEN];

	(void)state;
	open_as(&d, "solo");
	run_1_0(&d);
	size = control_state(&d.server)->log.size;
	v = world_ask(&d, PB__QUERY_KIND__QUERY_LOG, "", 0)->log;
	assert_int_equal(0, v->from);
	assert_int_equal(size, v->n_entries);
	for (size_t i = 0; i < v->n_entries; i++) {
		assert_int_equal(0,
			merkle_leaf(crypto_openssl(), wire_bytes(v->entries[i]), &d.arena, leaf));
		assert_int_equal(0, merkle_add(crypto_openssl(), &tree, leaf));
	}
	assert_int_equal(0, merkle_root(crypto_openssl(), &tree, root));
	assert_memory_equal(root, state_root(control_state(&d.server)), SHA256_LEN);
	assert_true(v->checkpoint.len > 0);
	v = world_ask(&d, PB__QUERY_KIND__QUERY_LOG, "", size - 1)->log;
	assert_int_equal(1, v->n_entries);
	v = world_ask(&d, PB__QUERY_KIND__QUERY_LOG, "", size + 5)->log;
	assert_int_equal(0, v->n_entries);
	deployment_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_next_root_is_taken),
		cmocka_unit_test(demo_keys_stay_out_of_production),
		cmocka_unit_test(a_start_looks_at_the_root),
		cmocka_unit_test(who_left_commands_no_more),
		cmocka_unit_test(plans_are_approved_anew),
		cmocka_unit_test(online_keys_are_replaced),
		cmocka_unit_test(trust_is_shown),
		cmocka_unit_test(log_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
