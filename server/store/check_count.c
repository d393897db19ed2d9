/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stage has added up, once more: devices from their own records, events from the rows of the
 * batches that are closed and the open one.  core/evidence.c says why these must be equal.
 */
#include <inttypes.h>

#include "server/base/mem.h"
#include "server/core/gate.h"
#include "server/store/check_private.h"
#include "server/store/device.h"
#include "server/store/novel.h"

#define BIT(n) (1u << (n))

/* One stratum: as stored, and as counted. */
struct recount {
	uint16_t product;
	struct evidence stored, counted; /* counted: entered, total, risk, young */
	uint64_t rows[ARM__COUNT][STREAM__COUNT];
	uint64_t closed; /* batches, by their rows */
};

struct stage_check {
	struct check *k;
	struct stage_key stage;
	uint8_t key[5];
	struct recount *list;
	size_t n;
	bool purged;           /* of those there were some have none any more */
	struct recount erased; /* devices whose product is not known any more */
	uint64_t n_erased;
};

static struct recount *find(struct stage_check *s, uint16_t product)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].product == product)
			return &s->list[i];
	return NULL;
}

/* ---- counting ---- */

static void read_strata(struct stage_check *s)
{
	struct store_cursor c;

	store_foreach(&c, s->k->t, STORE_STAGE, bytes_of(s->key, 5)) {
		struct recount *r;
		if (c.damaged || c.key.n != 7)
			continue;
		s->list = mem_resize(s->list, s->n + 1, sizeof(*s->list));
		r = &s->list[s->n];
		memset(r, 0, sizeof(*r));
		r->product = get_be16(c.key.p + 5);
		s->n += stage_get(s->k->t, s->stage, r->product, &r->stored);
		s->k->t->err = 0; /* it has a finding of its own */
	}
	s->k->t->err = 0;
}

/* `of` is the stratum as stored, whose ages count. */
static void count_device(
	struct evidence *sum, const struct evidence *of, const struct evidence_device *d)
{
	unsigned who = d->arm == ARM_CANARY ? 0 : 1 + d->group;
	bool young = of != NULL && of->settle_ms > 0 && d->slot + EVIDENCE_SLOTS > of->slot;

	sum->entered[d->arm]++;
	for (unsigned s = 0; s < STREAM__COUNT; s++) {
		bool had = (d->seen & BIT(s)) != 0;
		sum->total[d->arm][s] += had;
		sum->risk[who][s] += !had && !d->gone;
		if (s < STREAM_COMPARED && young)
			sum->young[d->slot % EVIDENCE_SLOTS][who][s] += !had && !d->gone;
	}
}

static void read_arms(struct stage_check *s)
{
	struct store_cursor c;

	store_foreach(&c, s->k->t, STORE_ARM, bytes_of(s->key, 5)) {
		struct recount *r = NULL;
		struct evidence_device d;
		struct stage_key stage;
		struct device device;
		uint8_t id[ID_LEN];
		if (c.damaged || !arm_read(&c, &stage, id, &d)) {
			s->k->t->err = 0;
			continue;
		}
		if (device_get(s->k->t, id, &device))
			r = find(s, device.product);
		s->k->t->err = 0;
		s->n_erased += r == NULL;
		count_device(r == NULL ? &s->erased.counted : &r->counted,
			r == NULL ? NULL : &r->stored, &d);
	}
	s->k->t->err = 0;
}

static void read_rows(struct stage_check *s)
{
	struct store_cursor c;

	store_foreach(&c, s->k->t, STORE_ROW, bytes_of(s->key, 4)) {
		struct stored_row row;
		struct recount *r;
		uint64_t number;
		if (c.damaged || !row_unpack(c.key, c.value, &number, &row) ||
			row.stage.step != s->stage.step)
			continue;
		r = find(s, row.product);
		if (r == NULL)
			continue;
		r->rows[ARM_CANARY][row.row.stream] += row.row.xc;
		r->rows[ARM_CONTROL][row.row.stream] += row.row.xk;
		r->closed += row.row.stream == STREAM_ENTERED;
	}
	s->k->t->err = 0;
}

/* ---- comparing ---- */

static const char *const arm_word[ARM__COUNT] = { "canary", "control" };

/* One number of a stratum. */
struct sum {
	const char *what, *who;
	unsigned stream;
	uint64_t stored, counted;
	uint64_t spare; /* so much more may be stored */
};

static void compare(struct stage_check *s, const struct recount *r, const struct sum *sum)
{
	uint8_t key[7];

	if (sum->stored >= sum->counted && sum->stored - sum->counted <= sum->spare)
		return;
	memcpy(key, s->key, 5);
	put_be16(key + 5, r->product);
	s->k->key = bytes_of(key, sizeof(key));
	check_found(s->k, "says %" PRIu64 " %s (%s, stream %u), and the records say %" PRIu64,
		sum->stored, sum->what, sum->who, sum->stream, sum->counted);
}

/* `spare`: devices that may be missing from those counted. */
static void compare_arms(
	struct stage_check *s, const struct recount *r, const struct evidence *spare)
{
	struct sum sum;

	for (unsigned k = 0; k < ARM__COUNT * (STREAM__COUNT + 1); k++) {
		unsigned a = k / (STREAM__COUNT + 1), i = k % (STREAM__COUNT + 1);
		bool all = i == STREAM__COUNT;
		sum = (struct sum){ .what = all ? "devices entered" : "devices had an event",
			.who = arm_word[a],
			.stream = all ? STREAM_ENTERED : i,
			.stored = all ? r->stored.entered[a] : r->stored.total[a][i],
			.counted = all ? r->counted.entered[a] : r->counted.total[a][i],
			.spare = all ? spare->entered[a] : spare->total[a][i] };
		compare(s, r, &sum);
	}
}

static void add_up(struct evidence *sum, const struct evidence *e)
{
	for (unsigned a = 0; a < ARM__COUNT; a++) {
		sum->entered[a] += e->entered[a];
		for (unsigned i = 0; i < STREAM__COUNT; i++)
			sum->total[a][i] += e->total[a][i];
	}
}

/* Nobody is missing from all strata and the devices that were erased. */
static void compare_stage(struct stage_check *s)
{
	static const struct evidence none;
	struct evidence *all = &s->erased.counted;

	for (size_t i = 0; i < s->n; i++) {
		compare_arms(s, &s->list[i], &s->erased.counted);
		add_up(&s->erased.stored, &s->list[i].stored);
	}
	for (size_t i = 0; i < s->n; i++)
		add_up(all, &s->list[i].counted);
	s->erased.product = s->list[0].product;
	if (s->n_erased > 0)
		compare_arms(s, &s->erased, &none);
}

/* Devices that were erased are gone, and were taken out of those at risk if anybody looked. */
static void compare_risk(struct stage_check *s, const struct recount *r)
{
	struct sum sum = { .what = "devices are at risk",
		.spare = s->purged ? UINT64_MAX : s->n_erased };

	for (unsigned g = 0; g <= EVIDENCE_GROUPS; g++) {
		sum.who = arm_word[g > 0];
		for (unsigned i = 0; i < STREAM__COUNT; i++) {
			sum.stream = i;
			sum.stored = r->stored.risk[g][i];
			sum.counted = r->counted.risk[g][i];
			compare(s, r, &sum);
		}
	}
	sum.what = "young devices are at risk";
	for (unsigned k = 0; k < EVIDENCE_SLOTS * (1 + EVIDENCE_GROUPS); k++) {
		unsigned slot = k / (1 + EVIDENCE_GROUPS), g = k % (1 + EVIDENCE_GROUPS);
		sum.who = arm_word[g > 0];
		for (unsigned i = 0; i < STREAM_COMPARED; i++) {
			sum.stream = i;
			sum.stored = r->stored.young[slot][g][i];
			sum.counted = r->counted.young[slot][g][i];
			compare(s, r, &sum);
		}
	}
}

/*
 * Of a compared stream, events of devices that entered in the same batch are in the total and in no
 * row.  The two streams left out are no devices' own, or counted by signature.
 */
static void compare_rows(struct stage_check *s, const struct recount *r)
{
	const struct evidence *e = &r->stored;
	struct sum sum = { .what = "batches are closed",
		.who = "both",
		.stream = STREAM_ENTERED,
		.stored = e->batch,
		.counted = r->closed };

	compare(s, r, &sum);
	sum.what = "events in rows and in the open batch";
	for (unsigned k = 0; k < ARM__COUNT * STREAM__COUNT; k++) {
		unsigned a = k / STREAM__COUNT, i = k % STREAM__COUNT;
		bool compared = i < STREAM_COMPARED;
		if (i == STREAM_HELD || i == STREAM_SIGNATURE)
			continue;
		sum.who = arm_word[a];
		sum.stream = i;
		sum.stored = i == STREAM_ENTERED ? e->entered[a] : e->total[a][i];
		sum.counted = r->rows[a][i] + e->open[a][i] + (compared ? e->open_young[a][i] : 0);
		sum.spare = compared ? UINT64_MAX : 0;
		compare(s, r, &sum);
	}
}

/* ---- signatures ---- */

/* Devices that had it, by arm, from their own records; the first 8 bytes stand for it. */
static void count_hits(
	struct stage_check *s, const uint8_t signature[SIGNATURE_LEN], uint64_t out[ARM__COUNT])
{
	uint8_t prefix[13];
	struct store_cursor c;

	memcpy(prefix, s->key, 5);
	memcpy(prefix + 5, signature, 8);
	store_foreach(&c, s->k->t, STORE_HIT, bytes_of(prefix, sizeof(prefix))) {
		struct evidence_device d;
		if (c.key.n == 13 + ID_LEN && arm_get(s->k->t, s->stage, c.key.p + 13, &d))
			out[d.arm]++;
		s->k->t->err = 0;
	}
	s->k->t->err = 0;
}

static void check_signature(struct stage_check *s, const uint8_t signature[SIGNATURE_LEN],
	const struct novel *n, const uint64_t rows[ARM__COUNT])
{
	uint64_t hits[ARM__COUNT] = { 0 };
	bool followed = n->number < GATE_SIGNATURES;

	count_hits(s, signature, hits);
	for (unsigned a = 0; a < ARM__COUNT; a++) {
		if (!s->purged && hits[a] < n->total[a])
			check_found(s->k,
				"says %u devices of the %s had it, and the records say %" PRIu64,
				n->total[a], arm_word[a], hits[a]);
		if (n->total[a] != n->open[a] + (followed ? rows[a] : 0))
			check_found(s->k,
				"says %u devices of the %s had it, and the rows say %" PRIu64,
				n->total[a], arm_word[a], n->open[a] + (followed ? rows[a] : 0));
	}
	if ((n->number == NOVEL_ONCE) != (n->total[0] + n->total[1] < 2))
		check_found(s->k, "has a number that does not fit %u devices",
			n->total[0] + n->total[1]);
}

/* What the rows say of each number. */
static void sum_signatures(struct stage_check *s, uint64_t out[GATE_SIGNATURES][ARM__COUNT])
{
	struct store_cursor c;

	memset(out, 0, GATE_SIGNATURES * sizeof(out[0]));
	store_foreach(&c, s->k->t, STORE_ROW, bytes_of(s->key, 4)) {
		struct stored_row row;
		uint64_t number;
		if (c.damaged || !row_unpack(c.key, c.value, &number, &row) ||
			row.stage.step != s->stage.step || row.row.stream != STREAM_SIGNATURE ||
			row.row.signature >= GATE_SIGNATURES)
			continue;
		out[row.row.signature][ARM_CANARY] += row.row.xc;
		out[row.row.signature][ARM_CONTROL] += row.row.xk;
	}
	s->k->t->err = 0;
}

static void check_signatures(struct stage_check *s)
{
	uint64_t rows[GATE_SIGNATURES][ARM__COUNT];
	struct store_cursor c;

	sum_signatures(s, rows);
	s->k->table = STORE_NOVEL;
	store_foreach(&c, s->k->t, STORE_NOVEL, bytes_of(s->key, 5)) {
		uint8_t signature[SIGNATURE_LEN];
		struct novel n;
		if (c.damaged || !novel_read(&c, signature, &n)) {
			s->k->t->err = 0;
			continue;
		}
		s->k->key = c.key;
		check_signature(s, signature, &n, rows[n.number < GATE_SIGNATURES ? n.number : 0]);
	}
	s->k->t->err = 0;
}

/* ---- all of it ---- */

static void check_stage(struct stage_check *s)
{
	s->purged = stage_purged(s->k->t, s->stage.rollout) || s->k->t->err != 0;
	s->k->t->err = 0;
	read_strata(s);
	read_arms(s);
	read_rows(s);
	s->k->table = STORE_STAGE;
	/* Once a rollout is over, its devices' records go and the sums stay; devices may come anew. */
	if (!s->purged && s->n > 0)
		compare_stage(s);
	for (size_t i = 0; i < s->n; i++) {
		compare_risk(s, &s->list[i]);
		compare_rows(s, &s->list[i]);
	}
	check_signatures(s);
	free(s->list);
}

/* The next stage with a key behind this one's. */
static bool next_stage(struct check *k, struct stage_check *s)
{
	uint8_t from[8];
	struct store_cursor c;
	bool found;

	memcpy(from, s->key, 5);
	memset(from + 5, 0xff, 3);
	store_seek_from(&c, k->t, STORE_STAGE, bytes_of(NULL, 0),
		bytes_of(from, s->k != NULL ? sizeof(from) : 0));
	found = store_next(&c) && c.key.n == 7; /* damaged or not, its key is what counts */
	k->t->err = 0;
	if (found) {
		*s = (struct stage_check){ .k = k, .stage = { get_be32(c.key.p), c.key.p[4] } };
		memcpy(s->key, c.key.p, 5);
	}
	store_cursor_close(&c);
	return found;
}

void check_counts(struct check *k)
{
	struct stage_check s = { 0 };

	while (next_stage(k, &s))
		check_stage(&s);
}
