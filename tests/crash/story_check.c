/* SPDX-License-Identifier: Apache-2.0 */
/* What was noted, against what the store says. */
#include "server/store/device.h"
#include "server/store/stage.h"
#include "server/store/store.h"
#include "tests/crash/story.h"

#define STAGES_MAX 16u

/* What the records of the devices of one stage add up to. */
struct recount {
	struct stage_key key;
	uint32_t entered[ARM__COUNT], total[ARM__COUNT][STREAM__COUNT];
};

static void check_phone(struct story *s, struct store_txn *t, unsigned i)
{
	const struct story_notes *n = s->notes;
	struct device d;

	if ((n->enrolled >> i & 1) == 0)
		return;
	if (!device_get(t, n->phone[i].id, &d))
		story_wrong(s, "phone %u: its enrolment is gone", i);
	else if (d.last_seq < n->taken[i] || d.last_seq > n->sent[i])
		story_wrong(s, "phone %u: event %u is the last; it sent %u, %u were acknowledged",
			i, d.last_seq, n->sent[i], n->taken[i]);
}

static void add_up(struct recount *r, const struct evidence_device *d)
{
	r->entered[d->arm]++;
	for (unsigned i = 0; i < STREAM__COUNT; i++)
		r->total[d->arm][i] += d->seen >> i & 1;
}

static struct recount *find(struct recount *list, size_t *n, struct stage_key key)
{
	for (size_t i = 0; i < *n; i++)
		if (list[i].key.rollout == key.rollout && list[i].key.step == key.step)
			return &list[i];
	list[*n] = (struct recount){ .key = key };
	return *n + 1 < STAGES_MAX ? &list[(*n)++] : &list[*n];
}

/* Streams that devices report; the others are judged by time. */
static bool is_reported(unsigned stream)
{
	return stream < STREAM_SILENT || (stream >= STREAM_BOOT && stream <= STREAM_ROLLBACK) ||
		(stream >= STREAM_DOWNLOADED && stream <= STREAM_BOOT_OK);
}

static void compare(struct story *s, struct store_txn *t, const struct recount *r)
{
	struct evidence e;

	if (!stage_get(t, r->key, 0, &e) && !stage_get(t, r->key, 1, &e)) {
		story_wrong(
			s, "stage %u.%u: devices, but no evidence", r->key.rollout, r->key.step);
		return;
	}
	for (unsigned arm = 0; arm < ARM__COUNT; arm++) {
		if (e.entered[arm] != r->entered[arm])
			story_wrong(s, "stage %u.%u: %u devices entered, %u are there",
				r->key.rollout, r->key.step, e.entered[arm], r->entered[arm]);
		for (unsigned i = 0; i < STREAM__COUNT; i++)
			if (is_reported(i) && e.total[arm][i] != r->total[arm][i])
				story_wrong(s, "stage %u.%u: stream %u has %u, its devices %u",
					r->key.rollout, r->key.step, i, e.total[arm][i],
					r->total[arm][i]);
	}
}

/* Each event once: the sums are those of the devices' own records. */
static void check_evidence(struct story *s, struct store_txn *t)
{
	struct recount list[STAGES_MAX];
	struct evidence_device d;
	struct store_cursor c;
	struct stage_key key;
	uint8_t id[ID_LEN];
	size_t n = 0;

	store_foreach(&c, t, STORE_ARM, bytes_of(NULL, 0)) {
		if (!arm_read(&c, &key, id, &d)) {
			store_cursor_close(&c);
			story_wrong(s, "an arm's record cannot be read");
			return;
		}
		add_up(find(list, &n, key), &d);
	}
	for (size_t i = 0; i < n; i++)
		compare(s, t, &list[i]);
}

static void check_log(struct story *s)
{
	const struct state *state = control_state(&s->d->server);
	uint8_t root[SHA256_LEN];

	if (state->log.size < s->notes->log_size) {
		story_wrong(s, "log: %llu entries, %llu were acknowledged",
			(unsigned long long)state->log.size,
			(unsigned long long)s->notes->log_size);
		return;
	}
	if (s->notes->log_size == 0)
		return;
	deployment_must(logtree_root(state->tree, s->notes->log_size, root), "log", "root");
	if (memcmp(root, s->notes->log_root, SHA256_LEN) != 0)
		story_wrong(s, "log: another one than was acknowledged");
}

void story_check(struct story *s)
{
	const struct rollout *r = state_rollout(control_state(&s->d->server), STORY_HALTED);
	struct store_txn t;

	check_log(s);
	if (s->notes->halted && (r == NULL || r->state != ROLLOUT_HALTED))
		story_wrong(s, "the rollout that was halted is not");
	store_begin(s->d->server.store, &t, false);
	for (unsigned i = 0; i < STORY_PHONES; i++)
		check_phone(s, &t, i);
	check_evidence(s, &t);
	if (t.err != 0)
		story_wrong(s, "store: %s", err_str(t.err));
	store_abort(&t);
}
