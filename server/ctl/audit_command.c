/* SPDX-License-Identifier: Apache-2.0 */
/* Commands in the log, under the root of their time. */
#include "proto/admin.pb-c.h"
#include "proto/ladder.h"
#include "proto/root.h"
#include "server/base/mem.h"
#include "server/ctl/audit_private.h"
#include "server/trust/authority.h"

#define SKEW_S     60u
#define PEOPLE_MAX (2 * ROOT_KEYS_MAX)

/* ---- rollouts ---- */

static struct audit_build *find_build(
	const struct audit *a, const char *product, const char *build_id)
{
	for (size_t i = 0; i < a->n_builds; i++)
		if (strcmp(a->builds[i].product, product) == 0 &&
			strcmp(a->builds[i].build_id, build_id) == 0)
			return &a->builds[i];
	return NULL;
}

static int add_build(struct audit *a, const Pb__Targets *t, struct bytes envelope)
{
	struct audit_build *b = find_build(a, t->product, t->build_id);

	if (b == NULL) {
		a->builds = mem_resize(a->builds, a->n_builds + 1, sizeof(*a->builds));
		b = &a->builds[a->n_builds++];
		b->product = mem_strdup(t->product);
		b->build_id = mem_strdup(t->build_id);
	}
	return crypto_sha256(&envelope, 1, b->sha256);
}

/* The seeds are drawn at this moment, from the log with the proposal and the builds as they are. */
static int add_rollout(struct audit *a, const struct one *o, const Pb__Propose *m, unsigned rings)
{
	struct audit_rollout *r;
	int err = 0;

	a->rollouts = mem_resize(a->rollouts, a->n_rollouts + 1, sizeof(*a->rollouts));
	r = &a->rollouts[a->n_rollouts++];
	*r = (struct audit_rollout){ .rings = rings, .release = mem_strdup(m->release) };
	memcpy(r->id, o->leaf, ID_LEN);
	for (size_t i = 0; err == 0 && i < m->n_builds; i++) {
		const Pb__BuildRef *ref = m->builds[i];
		const struct audit_build *b = find_build(a, ref->product, ref->build_id);
		if (b == NULL)
			return audit_wrong(o, ERR_NOT_FOUND,
				"propose: build %.60s for %.60s was never "
				"published",
				ref->build_id, ref->product);
		r->products = mem_resize(r->products, i + 1, sizeof(*r->products));
		r->seeds = mem_resize(r->seeds, i + 1, sizeof(*r->seeds));
		r->products[i] = mem_strdup(ref->product);
		r->n_products = i + 1;
		err = ladder_seed(a->roots[o->index], b->sha256, r->seeds[i]);
	}
	return err == 0 ? 0 : audit_wrong(o, err, "propose: %s", err_str(err));
}

/* ---- what a command touches ---- */

struct ask {
	struct authority_ask ask;
	const char *product[ROOT_KEYS_MAX];
	const char *what;
};

static void ask_rollout(struct ask *q, const struct audit_rollout *r)
{
	q->ask.n_products = 0;
	for (size_t i = 0; i < r->n_products && i < ROOT_KEYS_MAX; i++)
		q->product[q->ask.n_products++] = r->products[i];
	q->ask.rings = r->rings;
}

static int ask_known(struct audit *a, const struct one *o, ProtobufCBinaryData id, struct ask *q)
{
	const struct audit_rollout *r = audit_rollout(a, wire_bytes(id));

	if (r == NULL)
		return audit_wrong(o, ERR_NOT_FOUND, "%s: of a rollout nobody proposed", q->what);
	ask_rollout(q, r);
	return 0;
}

static int ask_publish(
	struct audit *a, const struct one *o, const Pb__AdminCommand *m, struct ask *q)
{
	struct bytes payload;
	int err = envelope_open(crypto_openssl(), wire_bytes(m->publish->targets), ENVELOPE_TARGETS,
		a->root->root, &a->a, &payload);
	const Pb__Targets *t = err != 0
		? NULL
		: wire_read(&pb__targets__descriptor, payload, &wire_signed, &a->a, &err);

	if (t == NULL)
		return audit_wrong(o, err, "publish: the build: %s", err_str(err));
	q->product[0] = t->product;
	q->ask.n_products = 1;
	err = add_build(a, t, wire_bytes(m->publish->targets));
	return err == 0 ? 0 : audit_wrong(o, err, "publish: %s", err_str(err));
}

static int ask_propose(
	struct audit *a, const struct one *o, const Pb__AdminCommand *m, struct ask *q)
{
	int err;
	const Pb__PlanSpec *spec = wire_read(&pb__plan_spec__descriptor,
		wire_bytes(m->propose->spec), &wire_signed, &a->a, &err);

	if (spec == NULL || m->propose->n_builds > ROOT_KEYS_MAX)
		return audit_wrong(o, err, "propose: the plan cannot be read");
	for (size_t i = 0; i < m->propose->n_builds; i++)
		q->product[q->ask.n_products++] = m->propose->builds[i]->product;
	for (size_t i = 0; i < spec->n_stages; i++)
		q->ask.rings |= 1u << spec->stages[i]->ring;
	return 0;
}

static int ask_approve(
	struct audit *a, const struct one *o, const Pb__AdminCommand *m, struct ask *q)
{
	return ask_known(a, o, m->approve->rollout_id, q);
}

static int ask_act(struct audit *a, const struct one *o, const Pb__AdminCommand *m, struct ask *q)
{
	if (m->act->act != PB__ACT__ACT_START)
		q->ask.op = AUTHORITY_STOP;
	return ask_known(a, o, m->act->rollout_id, q);
}

static int ask_seat(struct audit *a, const struct one *o, const Pb__AdminCommand *m, struct ask *q)
{
	(void)a;
	(void)o;
	q->product[0] = m->seat->product;
	q->ask.n_products = 1;
	q->ask.rings = 1u << m->seat->ring;
	return 0;
}

static int ask_import(
	struct audit *a, const struct one *o, const Pb__AdminCommand *m, struct ask *q)
{
	(void)a;
	(void)o;
	q->ask = authority_import(m->import);
	return 0;
}

static int ask_withdraw(
	struct audit *a, const struct one *o, const Pb__AdminCommand *m, struct ask *q)
{
	return m->withdraw->has_rollout_id ? ask_known(a, o, m->withdraw->rollout_id, q) : 0;
}

static int ask_confirm(
	struct audit *a, const struct one *o, const Pb__AdminCommand *m, struct ask *q)
{
	(void)a;
	(void)o;
	(void)m;
	(void)q;
	return 0; /* of nothing in particular */
}

static int ask_of(struct audit *a, const struct one *o, const Pb__AdminCommand *m, struct ask *q)
{
	const struct {
		bool asked;
		const char *what;
		enum authority_op op;
		int (*fill)(struct audit *a, const struct one *o, const Pb__AdminCommand *m,
			struct ask *q);
	} kind[] = {
		{ m->publish != NULL, "publish", AUTHORITY_PUBLISH, ask_publish },
		{ m->propose != NULL, "propose", AUTHORITY_PROPOSE, ask_propose },
		{ m->approve != NULL, "approve", AUTHORITY_APPROVE, ask_approve },
		{ m->act != NULL, "start, pause or halt", AUTHORITY_START, ask_act },
		{ m->seat != NULL, "seats", AUTHORITY_SEAT, ask_seat },
		{ m->withdraw != NULL, "withdraw", AUTHORITY_WITHDRAW, ask_withdraw },
		{ m->confirm != NULL, "confirm", AUTHORITY_CONFIRM, ask_confirm },
		{ m->import != NULL, "import", AUTHORITY_IMPORT, ask_import },
	};

	*q = (struct ask){ .ask.products = q->product };
	for (size_t i = 0; i < sizeof(kind) / sizeof(kind[0]); i++)
		if (kind[i].asked) {
			q->what = kind[i].what;
			q->ask.op = kind[i].op;
			return kind[i].fill(a, o, m, q);
		}
	return audit_wrong(o, ERR_MALFORMED, "a command that asks for nothing");
}

/* ---- commands ---- */

/* The log it names was ours, and it came while it was good. */
static int check_moment(const struct audit *a, const struct one *o, const Pb__AdminCommand *m)
{
	uint64_t taken_s = o->entry->time_ms / 1000;

	if (strcmp(m->repository, a->root->root->repository) != 0)
		return audit_wrong(o, ERR_WRONG_REPOSITORY, "a command for '%.60s'", m->repository);
	if (m->audit_size == 0 || m->audit_size > o->index ||
		!bytes_eq(wire_bytes(m->audit_root),
			bytes_of(a->roots[m->audit_size - 1], SHA256_LEN)))
		return audit_wrong(o, ERR_FORKED, "its signer saw another log, at %llu entries",
			(unsigned long long)m->audit_size);
	if (m->expires < taken_s || m->issued_at > taken_s + SKEW_S)
		return audit_wrong(o, ERR_STALE, "taken when the command was not good");
	return 0;
}

/* Every version of a plan has the seed that was drawn when it was proposed. */
static int check_seeds(struct audit *a, const struct one *o, const Pb__Approve *m)
{
	const struct audit_rollout *r = audit_rollout(a, wire_bytes(m->rollout_id));

	for (size_t i = 0; r != NULL && i < m->n_plans; i++) {
		int err;
		const Pb__Envelope *e = envelope_read(wire_bytes(m->plans[i]), &a->a, &err);
		const Pb__RolloutPlan *plan = e == NULL
			? NULL
			: wire_read(&pb__rollout_plan__descriptor, wire_bytes(e->payload),
				  &wire_signed, &a->a, &err);
		size_t k = 0;
		if (plan == NULL)
			return audit_wrong(o, err, "approve: a plan cannot be read");
		while (k < r->n_products && strcmp(r->products[k], plan->product) != 0)
			k++;
		if (k == r->n_products ||
			!bytes_eq(wire_bytes(plan->seed), bytes_of(r->seeds[k], SEED_LEN)))
			return audit_wrong(o, ERR_MISMATCH,
				"approve %s: the seed for %s is not the "
				"log's: somebody chose it",
				r->release, plan->product);
		a->n_seeds++;
	}
	return 0;
}

static int check_rights(struct audit *a, const struct one *o, const Pb__AdminCommand *m,
	const struct signers *signed_by)
{
	struct signers may;
	struct ask q;
	int err = ask_of(a, o, m, &q);

	if (err == 0) {
		err = authority_of(crypto_openssl(), a->root->root, &q.ask, signed_by, &may);
		if (err == 0 && may.n == 0)
			return audit_wrong(
				o, ERR_NOT_AUTHORISED, "%s: who signed it may not", q.what);
	}
	if (err == 0 && m->propose != NULL)
		err = add_rollout(a, o, m->propose, q.ask.rings);
	return err;
}

int audit_command(struct audit *a, const struct one *o)
{
	ProtobufCBinaryData room[PEOPLE_MAX];
	const Pb__AdminCommand *m = NULL;
	struct bytes payload;
	struct signers who;
	Pb__Role people;
	int err = authority_people(a->root->root, room, PEOPLE_MAX, &people);

	if (err == 0)
		err = envelope_verify(crypto_openssl(), wire_bytes(o->entry->envelope),
			ENVELOPE_COMMAND, a->root->root, &people, &a->a, &payload, &who);
	if (err == 0)
		m = wire_read(&pb__admin_command__descriptor, payload, &wire_signed, &a->a, &err);
	if (err != 0)
		return audit_wrong(o, err, "a command: %s", err_str(err));
	err = check_moment(a, o, m);
	if (err == 0)
		err = check_rights(a, o, m, &who);
	if (err == 0 && m->approve != NULL)
		err = check_seeds(a, o, m->approve);
	a->n_commands++;
	return err;
}
