/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/promise.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/crash/sdk.h"

static void take_shown(struct promise *p, const struct mark *m)
{
	size_t i = 0;

	while (i < p->n_shown && strcmp(p->shown[i].name, m->text) != 0)
		i++;
	if (i == PROMISE_NAMES)
		abort();
	if (i == p->n_shown) {
		(void)snprintf(p->shown[i].name, sizeof(p->shown[i].name), "%.31s", m->text);
		p->n_shown++;
	}
	if (m->a > p->shown[i].version)
		p->shown[i].version = m->a;
}

static void take_device(struct promise *p, const struct mark *m)
{
	struct test_device *t = &p->device[m->a];

	*t = (struct test_device){ .product = SDK_PRODUCT, .epoch = m->b, .wish = RING_STABLE };
	(void)snprintf(t->build_id, sizeof(t->build_id), "factory");
	memcpy(t->id, m->hash, ID_LEN);
	memcpy(t->report_key, m->hash + ID_LEN, SHA256_LEN);
	p->n_devices = m->a + 1;
}

/* Of a file that is not needed any more nothing is promised. */
static void drop_artifact(struct promise *p, const uint8_t sha256[SHA256_LEN])
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_artifacts; i++)
		if (memcmp(p->artifact[i], sha256, SHA256_LEN) != 0)
			memmove(p->artifact[kept++], p->artifact[i], SHA256_LEN);
	p->n_artifacts = kept;
}

static void take_erased(struct promise *p, const struct mark *m)
{
	size_t i = 0;

	while (i < p->n_erased && memcmp(p->erased[i].id, m->hash, ID_LEN) != 0)
		i++;
	if (i == PROMISE_NAMES)
		abort();
	if (i == p->n_erased)
		p->n_erased++;
	memcpy(p->erased[i].id, m->hash, ID_LEN);
	p->erased[i].sure = m->kind == MARK_ERASED;
}

bool promise_is_erased(const struct promise *p, const uint8_t id[ID_LEN], bool sure)
{
	for (size_t i = 0; i < p->n_erased; i++)
		if (memcmp(p->erased[i].id, id, ID_LEN) == 0)
			return p->erased[i].sure || !sure;
	return false;
}

static void take(struct promise *p, const struct mark *m)
{
	switch ((enum mark_kind)m->kind) {
	case MARK_TIME:
		p->now_ms = m->a;
		return;
	case MARK_STEP:
		p->step = m->text;
		return;
	case MARK_DEVICE:
		take_device(p, m);
		break;
	case MARK_REPORT:
		p->device[m->a].seq = m->b;
		break;
	case MARK_LOG:
		if (m->a >= p->log_size) {
			p->log_size = m->a;
			memcpy(p->log_root, m->hash, SHA256_LEN);
		}
		break;
	case MARK_SERVED:
		take_shown(p, m);
		break;
	case MARK_HALTED:
		(void)snprintf(p->halted[p->n_halted++], sizeof(p->halted[0]), "%.31s", m->text);
		break;
	case MARK_ARTIFACT:
		memcpy(p->artifact[p->n_artifacts++], m->hash, SHA256_LEN);
		break;
	case MARK_NOT_NEEDED:
		drop_artifact(p, m->hash);
		break;
	case MARK_UPLOAD:
		p->upload = (enum mark_upload)m->a;
		break;
	case MARK_IMPORT:
		p->has_import = true;
		memcpy(p->import, m->hash, SHA256_LEN);
		break;
	case MARK_IMPORTED:
		p->imported = true;
		break;
	case MARK_ERASING:
	case MARK_ERASED:
		take_erased(p, m);
		break;
	case MARK_FORGOTTEN:
		p->forgotten = m->a;
		break;
	case MARK_PHONE:
		p->phone_counter = m->a;
		p->phone_log = m->b;
		memcpy(p->phone_build, m->text, sizeof(p->phone_build));
		break;
	}
	p->number++;
}

void promise_at(struct promise *p, const struct disk *d, uint32_t moment)
{
	*p = (struct promise){ .step = "start" };
	(void)snprintf(p->phone_build, sizeof(p->phone_build), "factory");
	for (uint32_t i = 0; i < moment && i < d->n_moments; i++) {
		const struct trace_record *r = d->record[i];
		uint32_t before = p->number;
		if (r->kind != TRACE_MARK)
			continue;
		take(p, (const struct mark *)(const void *)r->data);
		if (p->number != before)
			p->last = i;
	}
}
