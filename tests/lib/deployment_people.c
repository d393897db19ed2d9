/* SPDX-License-Identifier: Apache-2.0 */
/* Who signs, and what. */
#include "deployment.h"

#include <stdlib.h>

#include "proto/names.h"
#include "server/base/mem.h"
#include "server/trust/ceremony.h"

static void load_key(struct deployment *d, unsigned who, enum key_role role, struct held_key *out)
{
	char *folder = mem_printf("%s/keys", d->dir);
	char *path = key_path(folder, deployment_person[who], role);

	deployment_must(key_load(path, d->root->root, role, out), "key", path);
	free(path);
	free(folder);
}

static int send_command(struct deployment *d, Pb__AdminCommand *m, const struct held_key *key)
{
	const struct state *s = control_state(&d->server);
	uint8_t nonce[ID_LEN];
	struct bytes payload, bare, envelope;
	int err;

	deployment_must(crypto_random(nonce, sizeof(nonce)), "nonce", "");
	m->spec_version = 1;
	m->repository = "test";
	m->nonce = wire_data(nonce, sizeof(nonce));
	m->issued_at = d->now_ms / 1000;
	m->expires = m->issued_at + 600;
	m->audit_size = s->log.size;
	m->audit_root = wire_data(state_root(s), SHA256_LEN);
	deployment_must(wire_pack(m, &d->arena, &payload), "command", "");
	deployment_must(envelope_wrap(ENVELOPE_COMMAND, payload, &d->arena, &bare), "command", "");
	deployment_must(
		envelope_sign(bare, key->key, key->id, &d->arena, &envelope), "command", "");
	err = control_command(&d->server, envelope, d->now_ms, d->text);
	(void)desk_refresh(&d->desk);
	return err;
}

static struct bytes sign_targets(struct deployment *d, Pb__Targets *t)
{
	struct bytes payload, envelope;

	deployment_must(wire_pack(t, &d->arena, &payload), "targets", "");
	deployment_must(
		envelope_wrap(ENVELOPE_TARGETS, payload, &d->arena, &envelope), "targets", "");
	for (unsigned i = 0; i < d->root->root->targets->threshold; i++) {
		struct held_key key;
		load_key(d, i, KEY_RELEASE, &key);
		deployment_must(envelope_sign(envelope, key.key, key.id, &d->arena, &envelope),
			"targets", "");
		key_release(&key);
	}
	return envelope;
}

int deployment_publish(struct deployment *d, const char *product, const char *build_id,
	uint64_t counter, const char *content)
{
	return deployment_publish_as(d, product, build_id, counter, content, 1);
}

int deployment_publish_as(struct deployment *d, const char *product, const char *build_id,
	uint64_t counter, const char *content, uint64_t version)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__Publish publish = PB__PUBLISH__INIT;
	Pb__Targets t = PB__TARGETS__INIT;
	Pb__Target file = PB__TARGET__INIT, *files[] = { &file };
	uint8_t sha256[SHA256_LEN];
	struct bytes data = bytes_str(content), envelope;
	struct held_key key;
	int err;

	d->arena.used = 0;
	deployment_must(crypto_sha256(&data, 1, sha256), "sha256", "");
	err = artifact_upload(d->server.artifacts, sha256, data.n, 0, data);
	if (err != 0)
		return err;
	file.path = build_id;
	file.length = data.n;
	file.sha256 = wire_data(sha256, sizeof(sha256));
	t.spec_version = 1;
	t.version = version;
	t.expires = d->now_ms / 1000 + 180 * 86400;
	t.repository = "test";
	t.product = product;
	t.build_id = build_id;
	t.release_counter = counter;
	t.targets = files;
	t.n_targets = 1;
	envelope = sign_targets(d, &t);
	publish.targets = wire_data(envelope.p, envelope.n);
	m.publish = &publish;
	load_key(d, 0, KEY_RELEASE, &key);
	err = send_command(d, &m, &key);
	key_release(&key);
	return err;
}

int deployment_propose(struct deployment *d, const char *release, const char *const *products,
	size_t n_products, const Pb__PlanSpec *spec)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__Propose propose = PB__PROPOSE__INIT;
	Pb__BuildRef ref[8], *refs[8];
	struct bytes bytes;
	struct held_key key;
	int err;

	d->arena.used = 0;
	deployment_must(wire_pack(spec, &d->arena, &bytes), "plan", "");
	for (size_t i = 0; i < n_products; i++) {
		ref[i] = (Pb__BuildRef)PB__BUILD_REF__INIT;
		ref[i].product = products[i];
		ref[i].build_id = release;
		refs[i] = &ref[i];
	}
	propose.release = release;
	propose.builds = refs;
	propose.n_builds = n_products;
	propose.spec = wire_data(bytes.p, bytes.n);
	m.propose = &propose;
	load_key(d, 0, KEY_RELEASE, &key);
	err = send_command(d, &m, &key);
	key_release(&key);
	return err;
}

int deployment_approve(struct deployment *d, const char *release, unsigned who)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__Approve approve = PB__APPROVE__INIT;
	ProtobufCBinaryData plans[8];
	const struct rollout *r = deployment_rollout(d, release);
	struct held_key key;
	int err;

	d->arena.used = 0;
	load_key(d, who, KEY_APPROVER, &key);
	for (size_t i = 0; i < r->n_builds; i++) {
		struct bytes envelope;
		deployment_must(envelope_wrap(ENVELOPE_PLAN, buf_bytes(&r->builds[i].payload),
					&d->arena, &envelope),
			"plan", "");
		deployment_must(
			envelope_sign(envelope, key.key, key.id, &d->arena, &envelope), "plan", "");
		plans[i] = wire_data(envelope.p, envelope.n);
	}
	approve.rollout_id = wire_data(r->id, ID_LEN);
	approve.plans = plans;
	approve.n_plans = r->n_builds;
	m.approve = &approve;
	err = send_command(d, &m, &key);
	key_release(&key);
	return err;
}

int deployment_act(struct deployment *d, const char *release, Pb__Act act)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__RolloutAct a = PB__ROLLOUT_ACT__INIT;
	const struct rollout *r = deployment_rollout(d, release);
	struct held_key key;
	int err;

	d->arena.used = 0;
	a.act = act;
	a.rollout_id = wire_data(r->id, ID_LEN);
	m.act = &a;
	m.reason = "test";
	load_key(d, 0, KEY_RELEASE, &key);
	err = send_command(d, &m, &key);
	key_release(&key);
	return err;
}

int deployment_roll_out(struct deployment *d, const char *release, const char *const *products,
	size_t n_products, const Pb__PlanSpec *spec)
{
	int err = deployment_propose(d, release, products, n_products, spec);
	/* In profile maker the first person proposes and has no approver key. */
	unsigned first = strcmp(d->root->root->profile, "maker") == 0;

	for (unsigned i = 0; err == 0 && i < d->root->root->approver->threshold; i++)
		err = deployment_approve(d, release, first + i);
	return err != 0 ? err : deployment_act(d, release, PB__ACT__ACT_START);
}

const struct rollout *deployment_rollout(const struct deployment *d, const char *release)
{
	const struct rollout *r = state_rollout(control_state(&d->server), release);

	deployment_must(r == NULL ? ERR_NOT_FOUND : 0, "rollout", release);
	return r;
}

/* ---- plans ---- */

const Pb__PlanSpec *plan_of(struct test_plan *p, const struct plan_stage *stages, size_t n,
	uint64_t soak_ms, uint32_t holdback_ppm)
{
	p->spec = (Pb__PlanSpec)PB__PLAN_SPEC__INIT;
	p->spec.name = "test";
	p->spec.line = "default";
	p->spec.settle_ms = 1;
	p->spec.watch_ms = soak_ms;
	p->spec.batch_ms = 60000;
	p->spec.holdback_ppm = holdback_ppm;
	p->spec.restart_ms = 86400000;
	p->spec.s1_ms = 6 * 3600000ull;
	p->spec.silence_ms = 2 * 3600000ull;
	p->spec.silence_polls = 3;
	p->spec.has_no_crash_reports = 1;
	p->spec.no_crash_reports = 1;
	for (size_t i = 0; i < n; i++) {
		Pb__StageSpec *s = &p->stage[i];
		*s = (Pb__StageSpec)PB__STAGE_SPEC__INIT;
		s->ring = (Pb__Ring)stages[i].ring;
		s->share_ppm = stages[i].share_ppm;
		s->tolerance_ppm = stages[i].tolerance_ppm;
		s->soak_ms = soak_ms;
		s->max_soak_ms = 30 * 86400000ull;
		s->boot_ppm = s->install_ppm = s->rollback_ppm = 20000;
		s->s1_ppm = 60000;
		p->list[i] = s;
	}
	p->spec.stages = p->list;
	p->spec.n_stages = n;
	return &p->spec;
}
