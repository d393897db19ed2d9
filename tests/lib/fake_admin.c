/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for the server's admin socket, to test huiductl against: real frames,
 * envelopes, signatures and plans, but builds, proposals and rollouts only in memory,
 * and scenes for the screens.  Says each signed command it took on stdout.
 *
 *     fake_admin --socket PATH --root ROOT.env [--scenes NAME[:LOOKS],...]
 *                [--refuse ERR_NUMBER] [--tamper seed|step|targets|spec|fixes|more]
 *                [--repository NAME]
 */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_scenes.h"
#include "proto/merkle.h"
#include "proto/names.h"
#include "server/base/buf.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/core/plan.h"
#include "server/trust/rootfile.h"

#define FRAME_MAX   (1024u * 1024u)
#define ARENA_BYTES (32u * 1024u * 1024u)
#define BUILDS_MAX  16u
#define CLIENTS_MAX 8u
#define PLAN_BYTES  8192u

struct build {
	struct buf targets; /* Envelope */
	char product[64], id[64], release[64], state[16];
	uint64_t counter, index, length;
	uint8_t sha256[SHA256_LEN];
};

static struct {
	const char *socket, *tamper, *repository;
	char *scenes;
	int refuse;
	struct rootfile *root;
	struct arena a;
	struct build build[BUILDS_MAX];
	size_t n_builds;
	struct { /* one upload at a time */
		uint8_t sha256[SHA256_LEN];
		uint64_t received;
		bool whole;
		struct crypto_hash *hash;
	} file;
	struct {
		bool is;
		char release[64], proposer[64], approved_by[8][64];
		size_t n_approved, build[BUILDS_MAX], n;
		struct buf spec;
		uint64_t at_s;
		uint8_t id[ID_LEN], root[SHA256_LEN];
		bool act_is;
		Pb__Act act;
	} proposal;
	struct merkle log;
	uint8_t log_root[SHA256_LEN];
	unsigned looks;
} f;

static void log_entry(struct bytes entry)
{
	uint8_t leaf[SHA256_LEN];

	if (merkle_leaf(entry, leaf) != 0 || merkle_add(&f.log, leaf) != 0 ||
		merkle_root(&f.log, f.log_root) != 0)
		abort();
}

static void say(const char *what, const char *who, const char *more)
{
	(void)printf("%s by %s%s%s\n", what, who, more != NULL ? ": " : "",
		more != NULL ? more : "");
	(void)fflush(stdout);
}

/* ---- scenes ---- */

/* "running:3,halted": the scene of this look; the last one stays. */
static void current_scene(char out[32])
{
	unsigned left = f.looks;
	char *copy = mem_strdup(f.scenes), *save = NULL;

	for (char *s = strtok_r(copy, ",", &save); s != NULL;
		s = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(s, ':');
		unsigned n = colon != NULL ? (unsigned)atoi(colon + 1) : UINT32_MAX;
		if (colon != NULL)
			*colon = '\0';
		(void)snprintf(out, 32, "%s", s);
		if (left < n)
			break;
		left -= n;
	}
	free(copy);
}

/* ---- the proposal ---- */

static void tamper(Pb__RolloutPlan *plan, uint8_t *seed, Pb__Step *steps)
{
	if (f.tamper == NULL)
		return;
	if (strcmp(f.tamper, "seed") == 0)
		seed[0] ^= 1;
	else if (strcmp(f.tamper, "step") == 0)
		steps[0].not_before -= 3600;
	else if (strcmp(f.tamper, "more") == 0)
		steps[0].upper = 1000000;
	else if (strcmp(f.tamper, "targets") == 0)
		plan->targets->length++;
	else if (strcmp(f.tamper, "spec") == 0)
		plan->spec_sha256.data[0] ^= 1;
	else if (strcmp(f.tamper, "fixes") == 0)
		plan->n_from_build_ids = 1;
}

static struct bytes write_plan(const struct build *b, const Pb__PlanSpec *spec)
{
	static const char *nobody[] = { "0.0.0" };
	struct bytes targets = buf_bytes(&b->targets),
		     spec_bytes = buf_bytes(&f.proposal.spec);
	Pb__RolloutPlan plan = PB__ROLLOUT_PLAN__INIT;
	Pb__MetaFile meta = PB__META_FILE__INIT;
	Pb__Step step[LADDER_STEPS_MAX], *list[LADDER_STEPS_MAX];
	struct plan_step steps[LADDER_STEPS_MAX];
	uint8_t sha256[SHA256_LEN], spec_sha256[SHA256_LEN], seed[SEED_LEN];
	char name[METADATA_NAME_MAX];
	struct bytes out;
	size_t n;

	plan_steps(spec, f.proposal.at_s, steps, &n);
	if (crypto_sha256(&targets, 1, sha256) != 0 ||
		crypto_sha256(&spec_bytes, 1, spec_sha256) != 0 ||
		ladder_seed(f.proposal.root, sha256, seed) != 0)
		abort();
	for (size_t i = 0; i < n; i++) {
		step[i] = (Pb__Step)PB__STEP__INIT;
		step[i].ring = steps[i].ring;
		step[i].upper = steps[i].upper;
		step[i].not_before = steps[i].not_before_s;
		list[i] = &step[i];
	}
	meta.name = metadata_targets(name, b->product, b->id);
	meta.version = 1;
	meta.length = (uint32_t)targets.n;
	meta.sha256 = wire_data(sha256, SHA256_LEN);
	plan.spec_version = 1;
	plan.version = 1;
	plan.expires = f.proposal.at_s + PLAN_LIFE_S;
	plan.repository = f.root->root->repository;
	plan.product = b->product;
	plan.rollout_id = wire_data(f.proposal.id, ID_LEN);
	plan.targets = &meta;
	plan.seed = wire_data(seed, SEED_LEN);
	plan.steps = list;
	plan.n_steps = n;
	plan.from_build_ids = spec->n_fixes > 0 ? spec->fixes : nobody;
	plan.n_from_build_ids = spec->n_fixes;
	plan.spec_sha256 = wire_data(spec_sha256, SHA256_LEN);
	tamper(&plan, seed, step);
	if (wire_pack(&plan, &f.a, &out) != 0)
		abort();
	return out;
}

static int fill_proposal(Pb__AdminReply *out)
{
	static Pb__Proposal p;
	static Pb__ProposalBuild builds[BUILDS_MAX], *list[BUILDS_MAX];
	static const char *approved[8];
	int err;
	const Pb__PlanSpec *spec;

	if (!f.proposal.is)
		return ERR_NOT_FOUND;
	spec = wire_read(&pb__plan_spec__descriptor, buf_bytes(&f.proposal.spec),
		&wire_admin, &f.a, &err);
	if (spec == NULL)
		abort();
	p = (Pb__Proposal)PB__PROPOSAL__INIT;
	for (size_t i = 0; i < f.proposal.n; i++) {
		struct build *b = &f.build[f.proposal.build[i]];
		struct bytes plan = write_plan(b, spec);
		builds[i] = (Pb__ProposalBuild)PB__PROPOSAL_BUILD__INIT;
		builds[i].product = b->product;
		builds[i].build_id = b->id;
		builds[i].targets = wire_data(b->targets.data, b->targets.len);
		builds[i].plan = wire_data(plan.p, plan.n);
		list[i] = &builds[i];
	}
	for (size_t i = 0; i < f.proposal.n_approved; i++)
		approved[i] = f.proposal.approved_by[i];
	p.rollout_id = wire_data(f.proposal.id, ID_LEN);
	p.release = f.proposal.release;
	p.spec = wire_data(f.proposal.spec.data, f.proposal.spec.len);
	p.proposed_at = f.proposal.at_s;
	p.audit_root = wire_data(f.proposal.root, SHA256_LEN);
	p.proposer = f.proposal.proposer;
	p.builds = list;
	p.n_builds = f.proposal.n;
	p.threshold = f.root->root->approver->threshold;
	p.approved_by = approved;
	p.n_approved_by = f.proposal.n_approved;
	out->proposal = &p;
	return 0;
}

/* ---- queries ---- */

static int fill_rollouts(const char *name, Pb__AdminReply *out)
{
	static Pb__RolloutView v, *list[] = { &v };
	char scene[32] = "";

	if (f.scenes != NULL) {
		current_scene(scene);
		if (!scene_fill(scene, f.looks++, clock_ms(), out))
			return ERR_CONFIG;
		return name != NULL && name[0] != '\0' && out->n_rollouts == 0
			? ERR_NOT_FOUND
			: 0;
	}
	if (!f.proposal.is || (name != NULL && strcmp(name, f.proposal.release) != 0))
		return name != NULL ? ERR_NOT_FOUND : 0;
	v = (Pb__RolloutView)PB__ROLLOUT_VIEW__INIT;
	v.release = f.proposal.release;
	v.rollout_id = wire_data(f.proposal.id, ID_LEN);
	v.state = f.proposal.n_approved < f.root->root->approver->threshold
		? PB__ROLLOUT_STATE__ROLLOUT_PROPOSED
		: PB__ROLLOUT_STATE__ROLLOUT_APPROVED;
	if (f.proposal.act_is)
		v.state = f.proposal.act == PB__ACT__ACT_START
			? PB__ROLLOUT_STATE__ROLLOUT_RUNNING
			: f.proposal.act == PB__ACT__ACT_PAUSE
			? PB__ROLLOUT_STATE__ROLLOUT_PAUSED
			: PB__ROLLOUT_STATE__ROLLOUT_HALTED;
	v.plan = v.line = "default";
	v.threshold = f.root->root->approver->threshold;
	out->rollouts = list;
	out->n_rollouts = 1;
	return 0;
}

static int fill_builds(Pb__AdminReply *out)
{
	static Pb__BuildView view[BUILDS_MAX], *list[BUILDS_MAX];

	for (size_t i = 0; i < f.n_builds; i++) {
		struct build *b = &f.build[i];
		view[i] = (Pb__BuildView)PB__BUILD_VIEW__INIT;
		view[i].product = b->product;
		view[i].build_id = b->id;
		view[i].release = b->release;
		view[i].release_counter = b->counter;
		view[i].rollback_index = b->index;
		view[i].length = b->length;
		view[i].sha256 = wire_data(b->sha256, SHA256_LEN);
		view[i].published_ms = clock_ms() - 90000;
		view[i].state = "published";
		list[i] = &view[i];
	}
	out->builds = list;
	out->n_builds = f.n_builds;
	return 0;
}

static int fill_artifact(ProtobufCBinaryData sha256, Pb__AdminReply *out)
{
	bool same = sha256.len == SHA256_LEN &&
		memcmp(f.file.sha256, sha256.data, SHA256_LEN) == 0;

	out->has_present = true;
	out->present = same && f.file.whole;
	out->has_received = true;
	out->received = same ? f.file.received : 0;
	return 0;
}

static int fill_device(const char *name, Pb__AdminReply *out)
{
	uint8_t id[ID_LEN];

	if (name == NULL || !hex_decode(id, ID_LEN, name) || id[0] == 0xff)
		return ERR_NOT_FOUND;
	scene_device(out, id);
	return 0;
}

static int take_query(const Pb__AdminQuery *q, Pb__AdminReply *out)
{
	switch (q->kind) {
	case PB__QUERY_KIND__QUERY_ROLLOUT:
		return fill_rollouts(q->name, out);
	case PB__QUERY_KIND__QUERY_PROPOSAL:
		return fill_proposal(out);
	case PB__QUERY_KIND__QUERY_HISTORY:
		scene_history(clock_ms(), out);
		return 0;
	case PB__QUERY_KIND__QUERY_DEVICE:
		return fill_device(q->name, out);
	case PB__QUERY_KIND__QUERY_RINGS:
		scene_rings(out);
		return 0;
	case PB__QUERY_KIND__QUERY_BUILDS:
		return fill_builds(out);
	case PB__QUERY_KIND__QUERY_ARTIFACT:
		return fill_artifact(q->sha256, out);
	case PB__QUERY_KIND__QUERY_CHECKPOINT:
	case _PB__QUERY_KIND_IS_INT_SIZE:
		break;
	}
	return 0;
}

/* ---- uploads ---- */

static int take_upload(const Pb__AdminUpload *u, Pb__AdminReply *out)
{
	uint8_t sha256[SHA256_LEN];
	int err = 0;

	if (u->sha256.len != SHA256_LEN || u->data.len > 512 * 1024)
		return ERR_BAD_RANGE;
	if (memcmp(f.file.sha256, u->sha256.data, SHA256_LEN) != 0) {
		memcpy(f.file.sha256, u->sha256.data, SHA256_LEN);
		f.file.received = 0;
		f.file.whole = false;
	}
	if (u->offset != f.file.received)
		return ERR_CONFLICT;
	if (u->offset == 0)
		err = crypto_hash_start(f.file.hash);
	if (err == 0)
		err = crypto_hash_add(f.file.hash, u->data.data, u->data.len);
	f.file.received += u->data.len;
	if (err == 0 && f.file.received == u->length) {
		err = crypto_hash_end(f.file.hash, sha256);
		f.file.whole = memcmp(sha256, f.file.sha256, SHA256_LEN) == 0;
		if (!f.file.whole)
			err = ERR_BAD_HASH;
		say("uploaded", "somebody", f.file.whole ? "whole" : "broken");
	}
	out->has_received = true;
	out->received = f.file.received;
	return err;
}

/* ---- commands ---- */

static int publish(const Pb__Publish *m)
{
	struct build *b = &f.build[f.n_builds];
	struct bytes payload;
	int err = envelope_open(crypto_openssl(), wire_bytes(m->targets),
		ENVELOPE_TARGETS, f.root->root, &f.a, &payload);
	const Pb__Targets *t = err != 0 ? NULL
					: wire_read(&pb__targets__descriptor, payload,
						  &wire_signed, &f.a, &err);

	if (t == NULL)
		return err;
	if (!f.file.whole || memcmp(f.file.sha256, t->targets[0]->sha256.data, 32) != 0)
		return ERR_NO_ARTIFACT;
	(void)snprintf(b->product, sizeof(b->product), "%s", t->product);
	(void)snprintf(b->id, sizeof(b->id), "%s", t->build_id);
	(void)snprintf(b->release, sizeof(b->release), "%s", t->release);
	b->counter = t->release_counter;
	b->index = t->rollback_index;
	b->length = t->targets[0]->length;
	memcpy(b->sha256, f.file.sha256, SHA256_LEN);
	buf_add(&b->targets, m->targets.data, m->targets.len);
	f.n_builds++;
	return 0;
}

static int propose(const Pb__Propose *m, const char *who)
{
	f.proposal.n = 0;
	for (size_t i = 0; i < m->n_builds; i++)
		for (size_t k = 0; k < f.n_builds; k++)
			if (strcmp(f.build[k].product, m->builds[i]->product) == 0 &&
				strcmp(f.build[k].id, m->builds[i]->build_id) == 0)
				f.proposal.build[f.proposal.n++] = k;
	if (f.proposal.n != m->n_builds || f.proposal.n == 0)
		return ERR_NOT_FOUND;
	f.proposal.is = true;
	f.proposal.n_approved = 0;
	f.proposal.at_s = clock_ms() / 1000;
	f.proposal.spec.len = 0;
	buf_add(&f.proposal.spec, m->spec.data, m->spec.len);
	(void)snprintf(
		f.proposal.release, sizeof(f.proposal.release), "%s", m->release);
	(void)snprintf(f.proposal.proposer, sizeof(f.proposal.proposer), "%s", who);
	memcpy(f.proposal.root, f.log_root, SHA256_LEN);
	return crypto_random(f.proposal.id, ID_LEN);
}

/* Each plan must carry a signature by the person who signed the command. */
static int approve(const Pb__Approve *m, unsigned key)
{
	Pb__Role one = PB__ROLE__INIT;
	uint8_t id[SHA256_LEN];
	ProtobufCBinaryData ids[1] = { { SHA256_LEN, id } };
	struct bytes payload;
	int err = envelope_keyid(crypto_openssl(), f.root->root->keys[key], id);

	one.threshold = 1;
	one.keyids = ids;
	one.n_keyids = 1;
	if (m->n_plans != f.proposal.n)
		return ERR_BAD_PLAN;
	for (size_t i = 0; err == 0 && i < m->n_plans; i++)
		err = envelope_verify(crypto_openssl(), wire_bytes(m->plans[i]),
			ENVELOPE_PLAN, f.root->root, &one, &f.a, &payload, NULL);
	if (err == 0)
		(void)snprintf(f.proposal.approved_by[f.proposal.n_approved++], 64,
			"%s", f.root->root->keys[key]->name);
	return err;
}

static int act(const Pb__RolloutAct *m)
{
	f.proposal.act_is = true;
	f.proposal.act = m->act;
	return 0;
}

static const char *word(const Pb__AdminCommand *m)
{
	static const char *const acts[] = { "?", "start", "pause", "halt" };

	return m->publish != NULL    ? "publish"
		: m->propose != NULL ? "propose"
		: m->approve != NULL ? "approve"
		: m->act != NULL     ? acts[m->act->act]
				     : "nothing";
}

/* Anybody of the root may sign; who may what is the real server's to judge. */
static int open_command(
	struct bytes envelope, const Pb__AdminCommand **out, unsigned *key)
{
	const Pb__Root *root = f.root->root;
	static uint8_t ids[64][SHA256_LEN];
	ProtobufCBinaryData list[64];
	Pb__Role anybody = PB__ROLE__INIT;
	struct signers who;
	struct bytes payload;
	uint64_t now_s = clock_ms() / 1000;
	int err = 0;

	for (size_t i = 0; err == 0 && i < root->n_keys; i++) {
		err = envelope_keyid(crypto_openssl(), root->keys[i], ids[i]);
		list[i] = wire_data(ids[i], SHA256_LEN);
	}
	anybody.threshold = 1;
	anybody.keyids = list;
	anybody.n_keyids = root->n_keys;
	if (err == 0)
		err = envelope_verify(crypto_openssl(), envelope, ENVELOPE_COMMAND,
			root, &anybody, &f.a, &payload, &who);
	if (err != 0)
		return err;
	*key = who.key[0];
	*out = wire_read(
		&pb__admin_command__descriptor, payload, &wire_signed, &f.a, &err);
	if (*out == NULL)
		return err;
	if ((*out)->issued_at > now_s + 5 || (*out)->expires < now_s ||
		(*out)->expires > (*out)->issued_at + 900)
		return ERR_STALE;
	if ((*out)->audit_size != f.log.size ||
		!bytes_eq(wire_bytes((*out)->audit_root),
			bytes_of(f.log_root, SHA256_LEN)))
		return ERR_CONFLICT;
	return strcmp((*out)->repository, root->repository) == 0 ? 0
								 : ERR_WRONG_REPOSITORY;
}

static int take_command(struct bytes envelope)
{
	const Pb__AdminCommand *m;
	unsigned key = 0;
	int err = open_command(envelope, &m, &key);
	const char *who = f.root->root->keys[key]->name;

	if (err == 0 && f.refuse != 0)
		err = f.refuse;
	if (err != 0)
		return err;
	if (m->publish != NULL)
		err = publish(m->publish);
	else if (m->propose != NULL)
		err = propose(m->propose, who);
	else if (m->approve != NULL)
		err = approve(m->approve, key);
	else if (m->act != NULL)
		err = act(m->act);
	if (err == 0) {
		say(word(m), who, m->reason);
		log_entry(envelope);
	}
	return err;
}

/* ---- frames ---- */

static int take(struct bytes frame, Pb__AdminReply *out)
{
	enum envelope_type type;
	const void *m;
	int err;
	const Pb__Envelope *e =
		wire_read(&pb__envelope__descriptor, frame, &wire_admin, &f.a, &err);

	if (e == NULL)
		return err;
	if (!envelope_type_of(e, &type))
		return ERR_WRONG_TYPE;
	if (type == ENVELOPE_COMMAND)
		return take_command(frame);
	m = wire_read(type == ENVELOPE_QUERY ? &pb__admin_query__descriptor
					     : &pb__admin_upload__descriptor,
		wire_bytes(e->payload), &wire_admin, &f.a, &err);
	if (m == NULL)
		return err;
	return type == ENVELOPE_QUERY ? take_query(m, out) : take_upload(m, out);
}

static bool receive(int fd, uint8_t *p, size_t n)
{
	return n == 0 || recv(fd, p, n, MSG_WAITALL) == (ssize_t)n;
}

static bool transmit(int fd, const void *p, size_t n)
{
	return send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool answer(int fd, Pb__AdminReply *reply)
{
	Pb__Checkpoint c = PB__CHECKPOINT__INIT;
	struct bytes payload, envelope;
	uint8_t header[4];

	c.size = f.log.size;
	c.root = wire_data(f.log_root, SHA256_LEN);
	c.repository = f.repository != NULL ? f.repository : f.root->root->repository;
	c.time_ms = clock_ms();
	if (reply->code == 0)
		reply->checkpoint = &c;
	else
		reply->text = err_str(reply->code);
	if (wire_pack(reply, &f.a, &payload) != 0 ||
		envelope_wrap(ENVELOPE_REPLY, payload, &f.a, &envelope) != 0)
		abort();
	put_be32(header, (uint32_t)envelope.n);
	return transmit(fd, header, 4) && transmit(fd, envelope.p, envelope.n);
}

static bool serve(int fd)
{
	Pb__AdminReply reply = PB__ADMIN_REPLY__INIT;
	uint8_t header[4], *frame;
	uint32_t n;

	f.a.used = 0;
	if (!receive(fd, header, 4))
		return false;
	n = get_be32(header);
	frame = n <= FRAME_MAX ? arena_alloc(&f.a, n) : NULL;
	if (frame == NULL || !receive(fd, frame, n))
		return false;
	reply.code = take(bytes_of(frame, n), &reply);
	return answer(fd, &reply);
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	(void)unlink(path); /* of an earlier run */
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
		listen(fd, 8) != 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void loop(int listener)
{
	struct pollfd p[CLIENTS_MAX + 1] = { { listener, POLLIN, 0 } };
	nfds_t n = 1;

	while (poll(p, n, -1) > 0) {
		for (nfds_t i = n; i-- > 1;) {
			if (p[i].revents == 0 || serve(p[i].fd))
				continue;
			(void)close(p[i].fd);
			p[i] = p[--n];
		}
		if ((p[0].revents & POLLIN) && n <= CLIENTS_MAX)
			p[n++] = (struct pollfd){ accept(listener, NULL, NULL), POLLIN,
				0 };
	}
}

static const struct option options[] = { { "socket", 1, NULL, 's' },
	{ "root", 1, NULL, 'r' }, { "scenes", 1, NULL, 'c' },
	{ "refuse", 1, NULL, 'e' }, { "tamper", 1, NULL, 't' },
	{ "repository", 1, NULL, 'n' }, { NULL, 0, NULL, 0 } };

static void set_option(int letter)
{
	int err = 0;

	if (letter == 's')
		f.socket = optarg;
	else if (letter == 'r')
		err = rootfile_read(optarg, &f.root);
	else if (letter == 'c')
		f.scenes = optarg;
	else if (letter == 'e')
		f.refuse = atoi(optarg);
	else if (letter == 't')
		f.tamper = optarg;
	else if (letter == 'n')
		f.repository = optarg;
	else
		exit(2);
	if (err != 0) {
		(void)fprintf(stderr, "%s: %s\n", optarg, err_str(err));
		exit(1);
	}
}

int main(int argc, char **argv)
{
	int letter, listener;

	while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(letter);
	if (f.socket == NULL || f.root == NULL)
		return 2;
	f.a = (struct arena){ mem_alloc(ARENA_BYTES), ARENA_BYTES, 0 };
	f.file.hash = crypto_hash_new();
	log_entry(f.root->envelope);
	listener = listen_at(f.socket);
	(void)puts("ready");
	(void)fflush(stdout);
	loop(listener);
	return 0;
}
