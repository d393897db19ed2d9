/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/novelty.h"

#include "server/core/gate.h"

void novelty_seen(
	struct store_txn *t, uint16_t line, const uint8_t signature[SIGNATURE_LEN], uint64_t now_ms)
{
	if (seen_get(t, line, signature) == UINT64_MAX && store_count(t, STORE_SEEN) < SEEN_MAX)
		seen_put(t, line, signature, now_ms);
}

/* Signatures of the stage, and how many of them have a number. */
struct tally {
	uint32_t all, numbered;
};

static struct tally count(const struct stage *g, struct store_txn *t)
{
	struct tally n = { 0, 0 };
	struct store_cursor c;
	uint8_t prefix[5];

	store_foreach(&c, t, STORE_NOVEL, novel_prefix(g->key, prefix)) {
		uint8_t signature[SIGNATURE_LEN];
		struct novel x;
		if (!novel_read(&c, signature, &x))
			continue;
		n.all++;
		n.numbered += x.number != NOVEL_ONCE;
	}
	return n;
}

/* The signature's record in this stage, a fresh one when it is new; false when it is none. */
static bool find(const struct stage *g, struct store_txn *t, const uint8_t signature[SIGNATURE_LEN],
	uint64_t now_ms, struct novel *out)
{
	uint64_t first_ms;

	if (novel_get(t, g->key, signature, out))
		return true;
	first_ms = seen_get(t, g->line_number, signature);
	if (first_ms < g->novel_ms || first_ms == UINT64_MAX || count(g, t).all >= NOVEL_MAX)
		return false;
	*out = (struct novel){ .number = NOVEL_ONCE, .first_ms = now_ms };
	return t->err == 0;
}

void novelty_crash(struct stage *g, struct store_txn *t, uint16_t product, const uint8_t id[ID_LEN],
	const uint8_t signature[SIGNATURE_LEN], uint64_t now_ms)
{
	struct stratum *stratum = stage_stratum(g, product);
	struct evidence_device d;
	struct novel n;
	enum arm arm;

	if (stratum == NULL || !arm_get(t, g->key, id, &d))
		return;
	arm = evidence_signature(&stratum->evidence, &d);
	if (arm == ARM_NONE || !find(g, t, signature, now_ms, &n) ||
		!hit_put(t, g->key, signature, id))
		return;
	n.open[arm]++;
	n.total[arm]++;
	/* What only one device ever had says little, and there is much of it: it takes no number. */
	if (n.number == NOVEL_ONCE && n.total[ARM_CANARY] + n.total[ARM_CONTROL] == 2)
		n.number = (uint16_t)count(g, t).numbered;
	novel_put(t, g->key, signature, &n);
}

/* Devices that were followed when the batch opened; few of them have had any one signature. */
static uint32_t at_risk(const struct stage *g, enum arm arm)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < g->n_strata; i++)
		sum += g->strata[i].evidence.frozen[arm][STREAM_ENTERED];
	return sum;
}

struct open_novel {
	uint8_t signature[SIGNATURE_LEN];
	struct novel novel;
};

static size_t read_open(
	const struct stage *g, struct store_txn *t, struct open_novel out[GATE_SIGNATURES])
{
	struct store_cursor c;
	uint8_t prefix[5];
	size_t n = 0;

	store_foreach(&c, t, STORE_NOVEL, novel_prefix(g->key, prefix)) {
		struct open_novel *o = &out[n];
		if (n < GATE_SIGNATURES && novel_read(&c, o->signature, &o->novel))
			n += o->novel.number < GATE_SIGNATURES &&
				o->novel.open[ARM_CANARY] + o->novel.open[ARM_CONTROL] > 0;
	}
	return n;
}

size_t novelty_close(struct stage *g, struct store_txn *t, uint64_t number, uint64_t now_ms)
{
	struct open_novel open[GATE_SIGNATURES];
	size_t n = read_open(g, t, open);

	for (size_t i = 0; i < n; i++) {
		struct novel *x = &open[i].novel;
		struct stored_row row = { g->key, g->strata[0].product,
			{
				.batch = g->strata[0].evidence.batch,
				.stream = STREAM_SIGNATURE,
				.signature = x->number,
				.closed_ms = now_ms,
				.xc = x->open[ARM_CANARY],
				.xk = x->open[ARM_CONTROL],
				.ec = at_risk(g, ARM_CANARY),
				.ek = at_risk(g, ARM_CONTROL),
			} };
		row_put(t, number + i, &row);
		memset(x->open, 0, sizeof(x->open));
		novel_put(t, g->key, open[i].signature, x);
	}
	return n;
}
