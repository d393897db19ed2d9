/* SPDX-License-Identifier: Apache-2.0 */
/* A fleet is brought: what its rows become, who may bring it, and what a crash in between costs. */
#include "unit.h"

#include "authority_world.h"
#include "rng.h"
#include "rows.h"
#include "server/service/import.h"
#include "server/service/seat.h"
#include "server/store/device.h"

#define DAY_MS 86400000ull
#define ROWS   4096u /* in one transaction */

static struct deployment d;

static const char two_products[] = "lines:\n  - products: [phone-a, phone-b]\n"
				   "    rings: {core: 2, honour: 3, dev: 5}\n"
				   "    fill: invite\n";

static void open_as(const char *profile)
{
	struct deployment_options o = {
		.profile = profile, .lines = two_products, .enrol = "closed"
	};

	deployment_open(&d, &o);
}

/* Signed by alice alone. */
static int send_rows(struct rows *r)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;

	d.arena.used = 0;
	rows_end(r, &d);
	m.import = &r->import;
	return world_do(&d, &m, 0, KEY_RELEASE);
}

static void finish(void)
{
	while (writer_drain(&d.server.writer))
		;
	deployment_tick(&d, 1000);
	while (writer_drain(&d.server.writer))
		;
}

static const Pb__ImportView *view(const struct rows *r)
{
	d.arena.used = 0;
	return import_view(&d.server, r->sha256, &d.arena);
}

static void expect(const struct rows *r, uint64_t added, uint64_t known, uint64_t conflicts)
{
	const Pb__ImportView *v = view(r);

	assert_non_null(v);
	assert_int_equal(v->done, r->import.rows);
	assert_int_equal(v->added, added);
	assert_int_equal(v->known, known);
	assert_int_equal(v->conflicts, conflicts);
}

static bool stored(const uint8_t *id, struct device *out)
{
	struct store_txn t;
	bool found;

	store_begin(d.server.store, &t, false);
	found = device_get(&t, id, out);
	assert_int_equal(t.err, 0);
	store_abort(&t);
	return found;
}

/* Everything there is but META, where the progress itself lies, and the log. */
static uint64_t fingerprint(void)
{
	static const enum store_table tables[] = { STORE_DEVICE, STORE_KEY, STORE_TOKEN,
		STORE_WAITING };
	struct store_txn t;
	struct store_cursor c;
	uint64_t sum = 0;

	store_begin(d.server.store, &t, false);
	for (size_t i = 0; i < COUNT(tables); i++)
		store_foreach(&c, &t, tables[i], bytes_of(NULL, 0)) {
			for (size_t k = 0; k < c.key.n; k++)
				sum = sum * 1099511628211u + c.key.p[k];
			for (size_t k = 0; k < c.value.n; k++)
				sum = sum * 1099511628211u + c.value.p[k];
		}
	assert_int_equal(t.err, 0);
	store_abort(&t);
	return sum;
}

/* ---- rows ---- */

struct row {
	Pb__FleetRow m;
	uint8_t id[ID_LEN], key[33], token[TOKEN_LEN];
};

static Pb__FleetRow *row(struct row *r, uint8_t n, enum ring ring)
{
	*r = (struct row){ .m = PB__FLEET_ROW__INIT };
	memset(r->id, n, sizeof(r->id));
	memset(r->key, n, sizeof(r->key));
	memset(r->token, n, sizeof(r->token));
	r->key[0] = 2;
	r->m.product = "phone-a";
	r->m.has_id = r->m.has_public_key = r->m.has_ring = r->m.has_line = 1;
	r->m.id = wire_data(r->id, ID_LEN);
	r->m.public_key = wire_data(r->key, sizeof(r->key));
	r->m.ring = (Pb__Ring)ring;
	r->m.line = n;
	return &r->m;
}

static void rows_become_devices(void **state)
{
	struct rows r;
	struct row w;
	struct device have;
	uint64_t before;

	(void)state;
	open_as("solo");
	rows_begin(&r);
	row(&w, 1, RING_STABLE);
	w.m.has_last_seq = w.m.has_build = 1;
	w.m.last_seq = 77;
	w.m.build = device_build_hash("0.9");
	rows_add(&r, &w.m);
	/* Five for two seats: the first rows have them, and all three others wait. */
	for (uint8_t n = 2; n < 7; n++)
		rows_add(&r, row(&w, n, RING_CORE));
	/* A wish further in than the seat. */
	row(&w, 7, RING_DEV);
	w.m.has_wish = 1;
	w.m.wish = PB__RING__RING_HONOUR;
	rows_add(&r, &w.m);
	r.import.core = 5;
	r.import.dev = 1;
	assert_int_equal(send_rows(&r), 0);
	finish();
	expect(&r, 7, 0, 0);
	assert_int_equal(view(&r)->waiting, 4);
	assert_int_equal(fleet_count(d.server.fleet), 7);
	for (uint8_t n = 1; n < 8; n++) {
		fleet_word *word = fleet_find(d.server.fleet, (memset(w.id, n, ID_LEN), w.id));
		struct fleet_device f;
		enum ring ring = n == 2 || n == 3 ? RING_CORE : n == 7 ? RING_DEV : RING_STABLE;
		assert_true(stored(w.id, &have));
		assert_non_null(word);
		f = fleet_unpack(atomic_load(word));
		assert_int_equal(have.ring, ring);
		assert_int_equal(f.ring, ring);
		assert_int_equal(f.wish, have.wish);
		assert_int_equal(have.wish,
			n == 1           ? RING_STABLE
				: n == 7 ? RING_HONOUR
					 : RING_CORE);
		assert_int_equal(have.last_seq, n == 1 ? 77 : 0);
		assert_int_equal(have.build, n == 1 ? device_build_hash("0.9") : 0);
		assert_int_equal(have.enrolled_day, d.now_ms / DAY_MS);
	}
	assert_int_equal(d.server.registry.lines[0].devices[RING_CORE], 2);
	assert_int_equal(d.server.registry.lines[0].waiting, 4);
	assert_int_equal(d.server.registry.lines[0].granting[RING_CORE], 0);
	/* The same file again changes nothing, and says so; the rows are nobody's to download. */
	before = fingerprint();
	assert_false(artifact_exists(d.server.imports, r.sha256));
	assert_int_equal(send_rows(&r), 0);
	assert_false(artifact_exists(d.server.artifacts, r.sha256));
	finish();
	expect(&r, 0, 7, 0);
	assert_true(fingerprint() == before);
	/* And so it is after a restart. */
	deployment_restart(&d);
	expect(&r, 0, 7, 0);
	assert_int_equal(fleet_count(d.server.fleet), 7);
	assert_int_equal(d.server.registry.lines[0].devices[RING_CORE], 2);
	assert_true(fingerprint() == before);
	buf_release(&r.file);
	deployment_close(&d);
}

/* Seats that the command does not name are not given, whatever the rows say. */
static void seats_are_the_commands(void **state)
{
	struct rows r;
	struct row w;

	(void)state;
	open_as("solo");
	rows_begin(&r);
	for (uint8_t n = 1; n < 4; n++)
		rows_add(&r, row(&w, n, RING_HONOUR));
	r.import.honour = 1;
	assert_int_equal(send_rows(&r), 0);
	finish();
	expect(&r, 3, 0, 0);
	assert_int_equal(d.server.registry.lines[0].devices[RING_HONOUR], 1);
	assert_int_equal(d.server.registry.lines[0].waiting, 2);
	buf_release(&r.file);
	deployment_close(&d);
}

/* ---- conflicts ---- */

static void set_other_product(struct row *w)
{
	w->m.product = "phone-b";
}
static void set_unlisted(struct row *w)
{
	row(w, 9, RING_STABLE);
	w->m.product = "phone-b";
}
static void set_no_product(struct row *w)
{
	row(w, 9, RING_STABLE);
	w->m.product = "phone-z";
}
static void set_other_key(struct row *w)
{
	w->key[5] ^= 1;
}
static void set_key_taken(struct row *w)
{
	memset(w->id, 9, ID_LEN);
}
static void set_key_taken_by_serial(struct row *w)
{
	static const uint8_t serial[SHA256_LEN] = { 1 };

	w->m.has_id = 0;
	w->m.has_serial_sha256 = 1;
	w->m.serial_sha256 = wire_data(serial, SHA256_LEN);
}
static void set_half_taken(struct row *w)
{
	w->id[15] ^= 1;
	w->key[5] ^= 1;
}
static void set_token_taken(struct row *w)
{
	row(w, 9, RING_STABLE);
	memset(w->token, 1, sizeof(w->token));
	w->m.has_token = 1;
	w->m.token = wire_data(w->token, TOKEN_LEN);
}
static void set_same(struct row *w)
{
	(void)w;
}
static void set_same_by_key(struct row *w)
{
	w->m.has_id = 0;
}
static void set_no_way_in(struct row *w)
{
	w->m.has_id = w->m.has_public_key = 0;
}
static void set_bad_key(struct row *w)
{
	w->key[0] = 4;
}
static void set_bad_ring(struct row *w)
{
	row(w, 9, RING_STABLE);
	w->m.ring = (Pb__Ring)4;
}
static void set_short_id(struct row *w)
{
	w->m.id.len = 15;
}
static void set_far_day(struct row *w)
{
	row(w, 9, RING_STABLE);
	w->m.has_enrolled_day = 1;
	w->m.enrolled_day = 65536;
}

static const struct {
	const char *why;
	void (*set)(struct row *w);
	unsigned known;
	const char *says;
} conflicts[] = {
	{ "the same", set_same, 1, NULL },
	{ "the same, by its key alone", set_same_by_key, 1, NULL },
	{ "another product", set_other_product, 0,
		"the device is there, and is of another product" },
	{ "a product that is not listed", set_unlisted, 0,
		"the command does not name its product" },
	{ "an unknown product", set_no_product, 0, "the configuration knows no such product" },
	{ "another key", set_other_key, 0, "the device is there, and has another key" },
	{ "a key that is there", set_key_taken, 0, "its key is that of another device" },
	{ "a key, by serial", set_key_taken_by_serial, 0, "its key is that of another device" },
	{ "half an id", set_half_taken, 0, "another device's id begins with the same 16 digits" },
	{ "a token that is there", set_token_taken, 0, "its token is that of another device" },
	{ "no way in", set_no_way_in, 0, "the row cannot be read" },
	{ "no key", set_bad_key, 0, "the row cannot be read" },
	{ "no ring", set_bad_ring, 0, "the row cannot be read" },
	{ "a short id", set_short_id, 0, "the row cannot be read" },
	{ "a day that is none", set_far_day, 0, "the row cannot be read" },
};

static void contradictions_change_nothing(void **state)
{
	struct rows r;
	struct row w;
	uint64_t before;

	(void)state;
	open_as("solo");
	rows_begin(&r);
	row(&w, 1, RING_STABLE);
	w.m.has_token = 1;
	w.m.token = wire_data(w.token, TOKEN_LEN);
	rows_add(&r, &w.m);
	assert_int_equal(send_rows(&r), 0);
	finish();
	buf_release(&r.file);
	before = fingerprint();
	for (size_t i = 0; i < COUNT(conflicts); i++) {
		const Pb__ImportView *v;
		rows_begin(&r);
		row(&w, 1, RING_STABLE);
		conflicts[i].set(&w);
		w.m.line = 42;
		rows_add(&r, &w.m);
		assert_int_equal(send_rows(&r), 0);
		finish();
		v = view(&r);
		if (v->known != conflicts[i].known || v->conflicts != 1 - conflicts[i].known ||
			v->added != 0 || fingerprint() != before)
			fail_msg("%s: %u added, %u known, %u conflicts", conflicts[i].why,
				(unsigned)v->added, (unsigned)v->known, (unsigned)v->conflicts);
		assert_int_equal(v->n_troubles, v->conflicts);
		/* Of what is no row at all, nobody knows the line. */
		if (v->n_troubles > 0 && conflicts[i].set != set_bad_ring)
			assert_int_equal(v->troubles[0]->line, 42);
		if (v->n_troubles > 0 && strcmp(conflicts[i].says, v->troubles[0]->why) != 0)
			fail_msg("%s: %s", conflicts[i].why, v->troubles[0]->why);
		buf_release(&r.file);
	}
	deployment_close(&d);
}

/* Twice in one file, the second time with something else: the first row counts. */
static void rows_of_one_file(void **state)
{
	struct rows r;
	struct row w;

	(void)state;
	open_as("solo");
	rows_begin(&r);
	rows_add(&r, row(&w, 1, RING_STABLE));
	rows_add(&r, row(&w, 1, RING_STABLE));
	w.id[12] = 0xee;
	w.key[3] = 0xee;
	rows_add(&r, &w.m);
	assert_int_equal(send_rows(&r), 0);
	finish();
	expect(&r, 1, 1, 1);
	assert_int_equal(fleet_count(d.server.fleet), 1);
	buf_release(&r.file);
	deployment_close(&d);
}

/* The same serial is the same device, in this store; its id tells nothing of the serial. */
static void serials(void **state)
{
	static const uint8_t serial[SHA256_LEN] = { 7 };
	uint8_t ids[2][ID_LEN];
	struct store_txn t;
	struct rows r;
	struct row w;

	(void)state;
	for (unsigned store = 0; store < 2; store++) {
		open_as("solo");
		for (unsigned again = 0; again < 2; again++) {
			rows_begin(&r);
			row(&w, 3, RING_STABLE);
			w.m.has_id = 0;
			w.m.has_serial_sha256 = 1;
			w.m.serial_sha256 = wire_data(serial, SHA256_LEN);
			rows_add(&r, &w.m);
			assert_int_equal(send_rows(&r), 0);
			finish();
			expect(&r, again == 0, again, 0);
			buf_release(&r.file);
		}
		uint8_t hash[SHA256_LEN];
		assert_int_equal(device_key_hash(w.key, hash), 0);
		store_begin(d.server.store, &t, false);
		assert_true(device_of_key(&t, hash, ids[store]));
		store_abort(&t);
		deployment_close(&d);
	}
	assert_memory_not_equal(ids[0], ids[1], ID_LEN);
}

/* ---- broken files ---- */

static void broken_files(void **state)
{
	static const struct {
		const char *why;
		size_t cut; /* bytes from the end */
		int length; /* of the second row, said in its place; -1: as it is */
		uint64_t added, conflicts;
	} table[] = {
		{ "whole", 0, -1, 3, 0 },
		{ "cut in a row", 4, -1, 2, 0 },
		{ "a row that is too long", 0, 60000, 1, 2 },
		{ "a row of nothing", 0, 0, 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const Pb__ImportView *v;
		struct rows r;
		struct row w;
		size_t second;
		open_as("solo");
		rows_begin(&r);
		rows_add(&r, row(&w, 1, RING_STABLE));
		second = r.file.len;
		rows_add(&r, row(&w, 2, RING_STABLE));
		rows_add(&r, row(&w, 3, RING_STABLE));
		if (table[i].length >= 0)
			put_be16(r.file.data + second, (uint16_t)table[i].length);
		r.file.len -= table[i].cut;
		assert_int_equal(send_rows(&r), 0);
		finish();
		v = view(&r);
		if (v->added != table[i].added || v->conflicts < table[i].conflicts)
			fail_msg("%s: %u added, %u conflicts", table[i].why, (unsigned)v->added,
				(unsigned)v->conflicts);
		buf_release(&r.file);
		/* It is over, and another may come. */
		rows_begin(&r);
		rows_add(&r, row(&w, 4, RING_STABLE));
		assert_int_equal(send_rows(&r), 0);
		finish();
		expect(&r, 1, 0, 0);
		buf_release(&r.file);
		deployment_close(&d);
	}
}

/* ---- crashes ---- */

static void many(struct rows *r, unsigned n)
{
	struct rng g = { 5 };
	struct row w;

	rows_begin(r);
	for (unsigned i = 0; i < n; i++) {
		row(&w, 1, i % (ROWS / 2) == 0 ? RING_DEV : RING_STABLE);
		rng_fill(&g, w.id, ID_LEN);
		rng_fill(&g, w.key, sizeof(w.key));
		w.key[0] = 3;
		w.m.line = i + 2;
		rows_add(r, &w.m);
	}
	r->import.dev = 100;
}

static void a_crash_after_any_batch(void **state)
{
	const unsigned n = 3 * ROWS + 17;
	uint64_t want = 0;

	(void)state;
	/* The first time nothing happens; then it ends behind each batch. */
	for (unsigned crash = 0; crash <= 5; crash++) {
		struct rows r;
		open_as("solo");
		many(&r, n);
		assert_int_equal(send_rows(&r), 0);
		for (unsigned i = 0; crash > 0 && i + 1 < crash; i++)
			assert_true(writer_drain(&d.server.writer));
		if (crash > 0)
			deployment_restart(&d);
		finish();
		expect(&r, n, 0, 0);
		assert_int_equal(fleet_count(d.server.fleet), n);
		assert_int_equal(d.server.registry.lines[0].devices[RING_DEV], 5);
		assert_int_equal(d.server.registry.lines[0].waiting, 2);
		want = crash == 0 ? fingerprint() : want;
		assert_true(fingerprint() == want);
		deployment_restart(&d);
		assert_int_equal(fleet_count(d.server.fleet), n);
		buf_release(&r.file);
		deployment_close(&d);
	}
}

static void one_at_a_time(void **state)
{
	struct rows r, other;
	struct row w;

	(void)state;
	open_as("solo");
	many(&r, 2 * ROWS);
	assert_int_equal(send_rows(&r), 0);
	rows_begin(&other);
	rows_add(&other, row(&w, 1, RING_STABLE));
	assert_int_equal(send_rows(&other), ERR_WRONG_STATE);
	assert_non_null(strstr(d.text, "another one is under way"));
	finish();
	assert_int_equal(send_rows(&other), 0);
	finish();
	expect(&other, 1, 0, 0);
	assert_null(view(&r));
	buf_release(&r.file);
	buf_release(&other.file);
	deployment_close(&d);
}

/* A fill by lot in the middle of it: together they give no seat more than there are. */
static void seats_with_a_fill(void **state)
{
	struct deployment_options o = { .profile = "solo",
		.enrol = "open",
		.lines = "lines:\n  - products: [phone-a]\n"
			 "    rings: {core: 0, honour: 0, dev: 7}\n    fill_every: 100ms\n" };
	struct test_device phones[5];
	struct rows r;
	const struct line *l;

	(void)state;
	deployment_open(&d, &o);
	for (size_t i = 0; i < COUNT(phones); i++)
		assert_int_equal(device_enrol(&d, &phones[i], "phone-a", RING_DEV), 0);
	many(&r, 8 * ROWS);
	assert_int_equal(send_rows(&r), 0);
	l = &d.server.registry.lines[0];
	for (unsigned i = 0; i < 12; i++) {
		deployment_tick(&d, 200);
		assert_true(l->devices[RING_DEV] <= 7);
		(void)writer_drain(&d.server.writer);
		assert_true(l->devices[RING_DEV] <= 7);
	}
	finish();
	assert_int_equal(l->devices[RING_DEV], 7);
	assert_int_equal(l->devices[RING_DEV] + l->waiting, 5 + 16);
	assert_int_equal(l->granting[RING_DEV], 0);
	for (size_t i = 0; i < COUNT(phones); i++)
		device_forget(&phones[i]);
	buf_release(&r.file);
	deployment_close(&d);
}

static void corrupt_run(struct job *job, struct writer *w)
{
	(void)job;
	w->txn.err = ERR_CORRUPT;
}

static void corrupt_done(struct job *job)
{
	assert_int_equal(job->err, ERR_CORRUPT);
}

/* A batch that is run again, for another's record is damaged, gives its seats once. */
static void a_batch_that_is_run_again(void **state)
{
	struct job bad = { .run = corrupt_run, .done = corrupt_done };
	struct rows r;
	struct row w;
	struct line *l;

	(void)state;
	open_as("solo");
	rows_begin(&r);
	for (uint8_t n = 1; n < 4; n++)
		rows_add(&r, row(&w, n, RING_DEV));
	r.import.dev = 3;
	assert_int_equal(send_rows(&r), 0);
	assert_int_equal(writer_submit(&d.server.writer, &bad), 0);
	finish();
	expect(&r, 3, 0, 0);
	l = &d.server.registry.lines[0];
	assert_int_equal(l->devices[RING_DEV], 3);
	assert_int_equal(l->granting[RING_DEV], 0);
	assert_int_equal(seat_left(l, RING_DEV), 2);
	buf_release(&r.file);
	deployment_close(&d);
}

/* A row whose device is there, and damaged: the import ends, and is in nobody's way. */
static void a_damaged_device(void **state)
{
	struct store_txn t;
	struct rows r, other;
	struct row w;

	(void)state;
	open_as("solo");
	row(&w, 2, RING_STABLE);
	store_begin(d.server.store, &t, true);
	store_put(&t, STORE_DEVICE, bytes_of(w.id, ID_LEN), bytes_str("no device"));
	assert_int_equal(store_commit(&t), 0);
	rows_begin(&r);
	for (uint8_t n = 1; n < 4; n++)
		rows_add(&r, row(&w, n, RING_DEV));
	r.import.dev = 3;
	assert_int_equal(send_rows(&r), 0);
	finish();
	assert_int_equal(view(&r)->done, 0);
	assert_int_equal(d.server.registry.lines[0].granting[RING_DEV], 0);
	/* It is not tried with each tick. */
	deployment_tick(&d, 1000);
	assert_false(writer_drain(&d.server.writer));
	rows_begin(&other);
	rows_add(&other, row(&w, 4, RING_STABLE));
	assert_int_equal(send_rows(&other), 0);
	finish();
	expect(&other, 1, 0, 0);
	buf_release(&r.file);
	buf_release(&other.file);
	deployment_close(&d);
}

/* Behind as many rows as were signed for, none is taken. */
static void more_rows_than_were_signed(void **state)
{
	struct rows r;
	struct row w;

	(void)state;
	open_as("solo");
	many(&r, ROWS + 3);
	r.import.rows = ROWS + 1;
	assert_int_equal(send_rows(&r), 0);
	finish();
	expect(&r, ROWS + 1, 0, 0);
	assert_int_equal(fleet_count(d.server.fleet), ROWS + 1);
	buf_release(&r.file);
	/* Nor is what cannot be read there counted. */
	rows_begin(&r);
	rows_add(&r, row(&w, 1, RING_STABLE));
	buf_str(&r.file, "\xff\xff");
	assert_int_equal(send_rows(&r), 0);
	finish();
	expect(&r, 1, 0, 0);
	buf_release(&r.file);
	deployment_close(&d);
}

/* ---- who may ---- */

static struct bytes command_of(struct rows *r, Pb__AdminCommand *m)
{
	d.arena.used = 0;
	rows_end(r, &d);
	*m = (Pb__AdminCommand)PB__ADMIN_COMMAND__INIT;
	m->import = &r->import;
	return world_command(&d, m);
}

static const struct {
	const char *why;
	uint32_t core, dev;
	bool dates;
	unsigned n;
	struct {
		unsigned who;
		enum key_role role;
	} by[2];
	int want;
	uint64_t added;
} people[] = {
	{ "nobody", 0, 0, false, 0, { { 0, KEY_RELEASE } }, ERR_BELOW_THRESHOLD, 0 },
	{ "stable, an approver", 0, 0, false, 1, { { 2, KEY_APPROVER } }, 0, 1 },
	{ "stable, a release engineer", 0, 0, false, 1, { { 1, KEY_RELEASE } }, 0, 1 },
	{ "dev, an approver", 0, 1, false, 1, { { 2, KEY_APPROVER } }, ERR_NOT_AUTHORISED, 0 },
	{ "dev, one", 0, 1, false, 1, { { 0, KEY_RELEASE } }, 0, 1 },
	{ "core, one of two", 1, 0, false, 1, { { 0, KEY_RELEASE } }, 0, 0 },
	{ "core, an approver beside", 1, 0, false, 2, { { 0, KEY_RELEASE }, { 1, KEY_APPROVER } },
		0, 0 },
	{ "core, two", 1, 0, false, 2, { { 0, KEY_RELEASE }, { 1, KEY_RELEASE } }, 0, 1 },
	{ "dates, one", 0, 0, true, 1, { { 0, KEY_RELEASE } }, 0, 0 },
	{ "dates, two", 0, 0, true, 2, { { 0, KEY_RELEASE }, { 1, KEY_RELEASE } }, 0, 1 },
};

static void who_may(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(people); i++) {
		Pb__AdminCommand m;
		struct bytes envelope;
		struct rows r;
		struct row w;
		int err;
		open_as("team");
		rows_begin(&r);
		row(&w, 1, people[i].core > 0 ? RING_CORE : RING_STABLE);
		w.m.has_enrolled_day = 1;
		w.m.enrolled_day = 12345;
		rows_add(&r, &w.m);
		r.import.core = people[i].core;
		r.import.dev = people[i].dev;
		r.import.dates = people[i].dates;
		envelope = command_of(&r, &m);
		for (unsigned k = 0; k < people[i].n; k++)
			envelope = world_sign_as(
				&d, envelope, people[i].by[k].who, people[i].by[k].role);
		err = world_send(&d, envelope);
		finish();
		if (err != people[i].want || fleet_count(d.server.fleet) != people[i].added)
			fail_msg("%s: %s, %u devices: %s", people[i].why, err_name(err),
				(unsigned)fleet_count(d.server.fleet), d.text);
		if (people[i].added > 0) {
			struct device have;
			assert_true(stored(w.id, &have));
			assert_int_equal(
				have.enrolled_day, people[i].dates ? 12345 : d.now_ms / DAY_MS);
		}
		buf_release(&r.file);
		deployment_close(&d);
	}
}

/* The first signs, the second days later; only then it happens, with the rows of then. */
static void the_second_person(void **state)
{
	Pb__AdminCommand m;
	struct bytes envelope;
	struct rows r;
	struct row w;

	(void)state;
	open_as("team");
	rows_begin(&r);
	rows_add(&r, row(&w, 1, RING_CORE));
	r.import.core = 1;
	d.arena.used = 0;
	rows_end(&r, &d);
	m = (Pb__AdminCommand)PB__ADMIN_COMMAND__INIT;
	m.import = &r.import;
	m.expires = d.now_ms / 1000 + 72 * 3600;
	envelope = world_command(&d, &m);
	assert_int_equal(world_send(&d, world_sign_as(&d, envelope, 0, KEY_RELEASE)), 0);
	assert_non_null(strstr(d.text, "waits for 1 more signature"));
	finish();
	assert_int_equal(fleet_count(d.server.fleet), 0);
	assert_null(view(&r));
	/* Not a countersignature, but a command of its own without the seats' right. */
	d.arena.used = 0;
	m.audit_size = 0;
	m.import = &r.import;
	envelope = bytes_of(control_state(&d.server)->pending[0].envelope.data,
		control_state(&d.server)->pending[0].envelope.len);
	assert_int_equal(world_send(&d, world_sign_as(&d, envelope, 1, KEY_RELEASE)), 0);
	finish();
	assert_int_equal(fleet_count(d.server.fleet), 1);
	expect(&r, 1, 0, 0);
	buf_release(&r.file);
	deployment_close(&d);
}

/* What was signed is a hash: no other rows come in under it. */
static void other_rows(void **state)
{
	Pb__AdminCommand m;
	struct bytes envelope;
	struct rows r, evil;
	struct artifact_file rows = { .unfinished = false };
	struct row w;

	(void)state;
	open_as("solo");
	rows_begin(&r);
	rows_add(&r, row(&w, 1, RING_STABLE));
	envelope = command_of(&r, &m);
	envelope = world_sign_as(&d, envelope, 0, KEY_RELEASE);
	memcpy(rows.sha256, r.sha256, SHA256_LEN);
	assert_int_equal(artifact_remove(d.server.imports, &rows), 0);
	assert_int_equal(world_send(&d, envelope), ERR_NO_ARTIFACT);
	rows_begin(&evil);
	rows_add(&evil, row(&w, 2, RING_STABLE));
	struct bytes bad = buf_bytes(&evil.file);
	assert_int_equal(artifact_upload(d.server.imports, r.sha256, bad.n, 0, bad), ERR_BAD_HASH);
	assert_int_equal(world_send(&d, envelope), ERR_NO_ARTIFACT);
	/* Nor a file that is no rows, or longer than was signed. */
	r.import.length++;
	m.import = &r.import;
	bad = buf_bytes(&r.file);
	assert_int_equal(artifact_upload(d.server.imports, r.sha256, bad.n, 0, bad), 0);
	assert_int_equal(world_do(&d, &m, 0, KEY_RELEASE), ERR_NO_ARTIFACT);
	r.file.data[0] ^= 1;
	assert_int_equal(send_rows(&r), ERR_NO_ARTIFACT);
	assert_int_equal(fleet_count(d.server.fleet), 0);
	buf_release(&r.file);
	buf_release(&evil.file);
	deployment_close(&d);
}

/* ---- phones ---- */

static void compress(const struct test_device *t, uint8_t key[33])
{
	key[0] = (uint8_t)(2 + (t->public_key[64] & 1));
	memcpy(key + 1, t->public_key + 1, 32);
}

/* The door is closed but for those that were brought. */
static void a_key_without_an_id(void **state)
{
	struct test_device t, stranger;
	struct rows r;
	struct row w;

	(void)state;
	open_as("solo");
	device_make(&t, "phone-a", RING_DEV);
	rows_begin(&r);
	row(&w, 1, RING_DEV);
	w.m.has_id = 0;
	compress(&t, w.key);
	w.m.last_seq = 9;
	w.m.has_last_seq = 1;
	rows_add(&r, &w.m);
	r.import.dev = 1;
	assert_int_equal(send_rows(&r), 0);
	finish();
	assert_int_equal(device_apply(&d, &t), 0);
	assert_int_equal(t.ring, RING_DEV);
	assert_int_equal(t.seq, 9);
	assert_int_equal(device_poll(&d, &t), 0);
	assert_int_equal(fleet_count(d.server.fleet), 1);
	assert_int_equal(device_enrol(&d, &stranger, "phone-a", RING_STABLE), ERR_CLOSED);
	device_forget(&t);
	device_forget(&stranger);
	buf_release(&r.file);
	deployment_close(&d);
}

static void tokens(void **state)
{
	static const char token[] = "box-4711-0123456789";
	struct bytes text = bytes_str(token);
	struct test_device t, thief;
	uint8_t hash[SHA256_LEN], id[ID_LEN];
	struct rows r;
	struct row w;

	(void)state;
	open_as("solo");
	assert_int_equal(crypto_sha256(&text, 1, hash), 0);
	rows_begin(&r);
	row(&w, 1, RING_DEV);
	w.m.has_id = w.m.has_public_key = 0;
	w.m.has_token = 1;
	memcpy(w.token, hash, TOKEN_LEN);
	w.m.token = wire_data(w.token, TOKEN_LEN);
	rows_add(&r, &w.m);
	r.import.dev = 1;
	assert_int_equal(send_rows(&r), 0);
	finish();
	device_make(&t, "phone-a", RING_DEV);
	assert_int_equal(device_apply(&d, &t), ERR_CLOSED);
	t.token = "box-4711-012345678";
	assert_int_equal(device_apply(&d, &t), ERR_CLOSED);
	t.token = token;
	t.product = "phone-b";
	assert_int_equal(device_apply(&d, &t), ERR_WRONG_PRODUCT);
	t.product = "phone-a";
	assert_int_equal(device_apply(&d, &t), 0);
	assert_int_equal(t.ring, RING_DEV);
	memcpy(id, t.id, ID_LEN);
	assert_int_equal(device_poll(&d, &t), 0);
	/* Whoever comes later with it is a stranger; the phone itself is known by its key. */
	device_make(&thief, "phone-a", RING_STABLE);
	thief.token = token;
	assert_int_equal(device_apply(&d, &thief), ERR_CLOSED);
	t.token = NULL;
	assert_int_equal(device_apply(&d, &t), 0);
	assert_memory_equal(t.id, id, ID_LEN);
	assert_int_equal(fleet_count(d.server.fleet), 1);
	/* Also where everybody may come in: the token is another's. */
	d.config.enrol.mode = ENROL_OPEN;
	deployment_restart(&d);
	assert_int_equal(device_apply(&d, &thief), ERR_CLOSED);
	/* Bringing the same row again is no contradiction. */
	assert_int_equal(send_rows(&r), 0);
	finish();
	expect(&r, 0, 1, 0);
	device_forget(&t);
	device_forget(&thief);
	buf_release(&r.file);
	deployment_close(&d);
}

/* Enrolled at one server, polled and reported at another that has the secret of its report key. */
static void a_phone_moves(void **state)
{
	struct test_device t;
	struct epochs epochs = { 0 };
	struct device have;
	struct rows r;
	struct row w;

	(void)state;
	struct deployment_options o = { .profile = "solo", .enrol = "open" };
	deployment_open(&d, &o);
	assert_int_equal(device_enrol(&d, &t, "phone-a", RING_STABLE), 0);
	assert_int_equal(device_report_one(&d, &t, "factory", PB__EVENT_KIND__EVENT_ALIVE), 0);
	assert_int_equal(device_report_one(&d, &t, "factory", PB__EVENT_KIND__EVENT_ALIVE), 0);
	assert_true(stored(t.id, &have));
	assert_int_equal(have.last_seq, 2);
	epochs = d.server.epochs;
	deployment_close(&d);

	open_as("solo");
	epochs_release(&d.server.epochs);
	d.server.epochs = epochs;
	assert_int_equal(device_poll(&d, &t), ERR_BAD_MAC);
	rows_begin(&r);
	row(&w, 1, RING_STABLE);
	memcpy(w.id, t.id, ID_LEN);
	memcpy(w.key, have.public_key, sizeof(w.key));
	w.m.has_last_seq = 1;
	w.m.last_seq = have.last_seq;
	rows_add(&r, &w.m);
	assert_int_equal(send_rows(&r), 0);
	finish();
	assert_int_equal(device_poll(&d, &t), 0);
	/* What it reported there is not counted here again; what is new is. */
	assert_int_equal(device_report_one(&d, &t, "factory", PB__EVENT_KIND__EVENT_ALIVE), 0);
	assert_true(stored(t.id, &have));
	assert_int_equal(have.last_seq, 3);
	device_forget(&t);
	buf_release(&r.file);
	deployment_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_become_devices),
		cmocka_unit_test(seats_are_the_commands),
		cmocka_unit_test(contradictions_change_nothing),
		cmocka_unit_test(rows_of_one_file),
		cmocka_unit_test(serials),
		cmocka_unit_test(broken_files),
		cmocka_unit_test(a_crash_after_any_batch),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(seats_with_a_fill),
		cmocka_unit_test(a_batch_that_is_run_again),
		cmocka_unit_test(a_damaged_device),
		cmocka_unit_test(more_rows_than_were_signed),
		cmocka_unit_test(who_may),
		cmocka_unit_test(the_second_person),
		cmocka_unit_test(other_rows),
		cmocka_unit_test(a_key_without_an_id),
		cmocka_unit_test(tokens),
		cmocka_unit_test(a_phone_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
