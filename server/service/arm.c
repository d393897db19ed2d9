/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/arm.h"

#include "server/base/mem.h"
#include "server/store/device.h"

struct arm_job {
	struct job job;
	struct arm_entry entry;
};

static void run(struct job *job, struct writer *w)
{
	const struct arm_entry *e = &((struct arm_job *)job)->entry;
	struct stage *stage = stages_find(&w->stages, e->stage);
	struct stratum *stratum = stage == NULL ? NULL : stage_stratum(stage, e->product);
	struct evidence_device d;
	struct device device;

	/* The stage may have been closed since, the device erased, and it enters once. */
	if (stratum == NULL || arm_get(&w->txn, e->stage, e->id, &d) ||
		!device_get(&w->txn, e->id, &device))
		return;
	evidence_enter(&stratum->evidence, &d, e->arm, e->group,
		e->seq == ARM_SEQ_STORED ? device.last_seq : e->seq, job->now_ms);
	arm_put(&w->txn, e->stage, e->id, &d);
	silence_entered(&stage->silence, e->product, e->id, job->now_ms);
	stratum->dirty = true;
}

static void give_back(const struct arm_entry *e)
{
	fleet_leave(e->word, e->slot);
	if (e->arm == ARM_CANARY)
		atomic_fetch_sub(&e->live->granted, 1);
}

static void done(struct job *job)
{
	struct arm_job *j = (struct arm_job *)job;

	if (job->err != 0)
		give_back(&j->entry);
	free(j);
}

void arm_enter(struct server *s, const struct arm_entry *entry, uint64_t now_ms)
{
	struct arm_job *j = mem_alloc(sizeof(*j));

	*j = (struct arm_job){ .job = { .now_ms = now_ms, .run = run, .done = done },
		.entry = *entry };
	if (writer_submit(&s->writer, &j->job) != 0) {
		give_back(entry);
		free(j);
	}
}
