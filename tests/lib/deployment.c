/* SPDX-License-Identifier: Apache-2.0 */
#include "deployment.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/names.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/trust/ceremony.h"

#define ARENA_SIZE ((size_t)4 * 1024 * 1024)
#define START_MS   1767225600000ull /* 2026-01-01 */

static const char *const person[DEPLOYMENT_PEOPLE] = { "alice", "bob", "carol", "dave", "erin" };

static void must(int err, const char *what, const char *detail)
{
	if (err == 0)
		return;
	(void)fprintf(stderr, "deployment: %s: %s (%s)\n", what, err_str(err), detail);
	abort();
}

/* The hand-set clock, in memory that the signer's process shares. */
static uint64_t *shared_ms;

static uint64_t read_clock(void)
{
	return *shared_ms;
}

static const struct signer_clock hand_set = { read_clock, read_clock };

static void set_clock(struct deployment *d, uint64_t now_ms)
{
	if (shared_ms == NULL)
		shared_ms = mmap(NULL, sizeof(*shared_ms), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(shared_ms == MAP_FAILED ? ERR_NO_ROOM : 0, "clock", "mmap");
	d->now_ms = *shared_ms = now_ms;
}

/* ---- the files ---- */

static void write_config(struct deployment *d, const struct deployment_options *o)
{
	static const char *const one_line = "lines:\n"
					    "  - products: [phone-a]\n"
					    "    rings: {core: 10, honour: 100, dev: 1000}\n"
					    "    fill_every: 1m\n";
	char *path = mem_printf("%s/huidud.yaml", d->dir);
	char *text = mem_printf("repository: test\nlisten: 127.0.0.1:0\nplain: true\n"
				"environment: trial\nenrol: %s\n"
				"store_size: 1 GiB\nmin_id_age: %s\n"
				"poll: {interval: %s, jitter: 0 %%}\n%s",
		o->enrol != NULL ? o->enrol : "open", o->min_id_age != NULL ? o->min_id_age : "0s",
		o->poll_interval != NULL ? o->poll_interval : "1h",
		o->lines != NULL ? o->lines : one_line);
	char error[YAML_ERROR_MAX];

	must(file_create(path, bytes_str(text), 0600), "config", path);
	must(config_load(path, &d->config, error), "config", error);
	free(path);
	free(text);
}

static void start(struct deployment *d)
{
	char *ledger = mem_printf("%s/ledger", d->dir);
	char *path = mem_printf("%s/root.env", d->dir);
	struct epochs epochs;
	char error[256] = "";

	must(rootfile_read(path, &d->root), "root", path);
	free(path);
	struct signer_config config = { .online_dir = d->config.online,
		.ledger_path = ledger,
		.root = d->root->envelope,
		.clock = &hand_set };
	must(signer_start(&config, &d->signer, error), "signer", error);
	free(ledger);
	must(epochs_read(d->config.online, &epochs, NULL), "epochs", d->config.online);
	must(server_open(&d->server, &d->config, &epochs, error), "server", error);
	must(control_open(&d->server, d->signer, d->root, d->now_ms, error), "control", error);
	must(desk_open(&d->desk, &d->server), "desk", "");
	epochs_release(&epochs);
}

void deployment_open(struct deployment *d, const struct deployment_options *o)
{
	const struct profile *profile = profile_find(o->profile);
	const char *people[PERSONS_MAX];

	*d = (struct deployment){ .now_ms = START_MS };
	set_clock(d, START_MS);
	log_init("test", LOG_LEVEL_ERROR);
	/* In memory where there is such a place: these tests are not about the disk. */
	(void)snprintf(d->dir, sizeof(d->dir), "%s/huidu-test-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	must(mkdtemp(d->dir) == NULL ? ERR_STORE : 0, "mkdtemp", d->dir);
	for (unsigned i = 0; i < PERSONS_MAX; i++)
		people[i] = person[i];
	struct ceremony ceremony = { .repository = "test",
		.profile = profile,
		.persons = people,
		.now_s = d->now_ms / 1000 };
	must(ceremony_hold(&ceremony, d->dir), "ceremony", d->dir);
	write_config(d, o);
	d->arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	start(d);
}

static void stop(struct deployment *d)
{
	desk_release(&d->desk);
	control_close(&d->server);
	server_close(&d->server);
	signer_stop(d->signer);
	rootfile_free(d->root);
}

void deployment_restart(struct deployment *d)
{
	stop(d);
	start(d);
}

void deployment_close(struct deployment *d)
{
	char *command = mem_printf("rm -rf '%s'", d->dir);

	stop(d);
	config_release(&d->config);
	free(d->arena.base);
	must(system(command) != 0 ? ERR_STORE : 0, "rm", d->dir);
	free(command);
}

void deployment_run(struct deployment *d, uint64_t ms, uint64_t tick_ms)
{
	while (ms > 0) {
		uint64_t step = ms < tick_ms ? ms : tick_ms;
		set_clock(d, d->now_ms + step);
		ms -= step;
		while (writer_drain(&d->server.writer))
			;
		control_tick(&d->server, d->now_ms);
		(void)desk_refresh(&d->desk);
	}
}

void deployment_tick(struct deployment *d, uint64_t ms)
{
	set_clock(d, d->now_ms + ms);
	control_tick(&d->server, d->now_ms);
}

/* ---- people ---- */

static void load_key(struct deployment *d, unsigned who, enum key_role role, struct held_key *out)
{
	char *folder = mem_printf("%s/keys", d->dir);
	char *path = key_path(folder, person[who], role);

	must(key_load(path, d->root->root, role, out), "key", path);
	free(path);
	free(folder);
}

static int send_command(struct deployment *d, Pb__AdminCommand *m, const struct held_key *key)
{
	const struct state *s = control_state(&d->server);
	uint8_t nonce[ID_LEN];
	struct bytes payload, bare, envelope;
	int err;

	must(crypto_random(nonce, sizeof(nonce)), "nonce", "");
	m->spec_version = 1;
	m->repository = "test";
	m->nonce = wire_data(nonce, sizeof(nonce));
	m->issued_at = d->now_ms / 1000;
	m->expires = m->issued_at + 600;
	m->audit_size = s->log.size;
	m->audit_root = wire_data(state_root(s), SHA256_LEN);
	must(wire_pack(m, &d->arena, &payload), "command", "");
	must(envelope_wrap(ENVELOPE_COMMAND, payload, &d->arena, &bare), "command", "");
	must(envelope_sign(bare, key->key, key->id, &d->arena, &envelope), "command", "");
	err = control_command(&d->server, envelope, d->now_ms, d->text);
	(void)desk_refresh(&d->desk);
	return err;
}

static struct bytes sign_targets(struct deployment *d, Pb__Targets *t)
{
	struct bytes payload, envelope;

	must(wire_pack(t, &d->arena, &payload), "targets", "");
	must(envelope_wrap(ENVELOPE_TARGETS, payload, &d->arena, &envelope), "targets", "");
	for (unsigned i = 0; i < d->root->root->targets->threshold; i++) {
		struct held_key key;
		load_key(d, i, KEY_RELEASE, &key);
		must(envelope_sign(envelope, key.key, key.id, &d->arena, &envelope), "targets", "");
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
	must(crypto_sha256(&data, 1, sha256), "sha256", "");
	must(artifact_upload(d->server.artifacts, sha256, data.n, 0, data), "upload", build_id);
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
	must(wire_pack(spec, &d->arena, &bytes), "plan", "");
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
		must(envelope_wrap(
			     ENVELOPE_PLAN, buf_bytes(&r->builds[i].payload), &d->arena, &envelope),
			"plan", "");
		must(envelope_sign(envelope, key.key, key.id, &d->arena, &envelope), "plan", "");
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

	must(r == NULL ? ERR_NOT_FOUND : 0, "rollout", release);
	return r;
}

/* ---- devices ---- */

struct device_call {
	struct enrol enrol;
	struct report report;
	int err;
};

static void enrol_done(struct job *job)
{
	struct enrol *e = (struct enrol *)job;

	if (job->err == 0)
		enrol_taken(e);
}

static void report_done(struct job *job)
{
	struct report *r = (struct report *)job;

	if (job->err == 0)
		report_taken(r);
}

static int finish_enrol(struct deployment *d, struct test_device *t, struct enrol *e)
{
	uint8_t reply[ENROL_REPLY_MAX];
	size_t n;
	int err;
	const Pb__EnrollReply *m;

	e->job.done = enrol_done;
	err = writer_call(&d->server.writer, &e->job);
	if (err != 0)
		return err;
	must(enrol_reply(&d->desk, e, reply, &n), "enrol", "");
	d->arena.used = 0;
	m = wire_read(
		&pb__enroll_reply__descriptor, bytes_of(reply, n), &wire_device, &d->arena, &err);
	must(err, "enrol", "reply");
	memcpy(t->id, m->device_id.data, ID_LEN);
	memcpy(t->report_key, m->report_key.data, SHA256_LEN);
	t->ring = (enum ring)m->ring;
	t->epoch = m->epoch;
	return 0;
}

void device_make(struct test_device *t, const char *product, enum ring wish)
{
	*t = (struct test_device){ .product = product, .wish = wish };
	(void)snprintf(t->build_id, sizeof(t->build_id), "factory");
	must(crypto_key_generate(KEY_P256, &t->key), "key", "");
	(void)crypto_key_public(t->key, t->public_key); /* 65 bytes */
}

int device_enrol(struct deployment *d, struct test_device *t, const char *product, enum ring wish)
{
	device_make(t, product, wish);
	return device_apply(d, t);
}

int device_apply(struct deployment *d, struct test_device *t)
{
	static const char domain[] = "huidu/enroll/v1";
	Pb__EnrollRequest m = PB__ENROLL_REQUEST__INIT;
	uint8_t reply[ENROL_REPLY_MAX], sig[SIG_LEN], text[128];
	const Pb__EnrollReply *r;
	struct enrol_ask ask = { .network = t->network, .now_ms = d->now_ms, .mono_ms = d->now_ms };
	struct enrol e;
	size_t n, len;
	int err;

	m.public_key = wire_data(t->public_key, P256_PUBLIC_LEN);
	m.product = t->product;
	m.has_wish = 1;
	m.wish = (Pb__Ring)t->wish;
	m.token = t->token;
	m.has_voucher = t->voucher.n > 0;
	m.voucher = wire_data(t->voucher.p, t->voucher.n);
	d->arena.used = 0;
	must(wire_pack(&m, &d->arena, &ask.body), "enrol", "");
	err = enrol_open(&d->desk, &ask, &e, reply, &n);
	if (err != 0)
		return err;
	r = wire_read(
		&pb__enroll_reply__descriptor, bytes_of(reply, n), &wire_device, &d->arena, &err);
	must(err, "enrol", "challenge");
	len = sizeof(domain);
	memcpy(text, domain, len);
	memcpy(text + len, r->challenge.data, r->challenge.len);
	len += r->challenge.len;
	memcpy(text + len, t->product, strlen(t->product));
	len += strlen(t->product);
	must(crypto_key_sign(t->key, bytes_of(text, len), sig), "enrol", "sign");
	m.has_challenge = m.has_signature = 1;
	m.challenge = r->challenge;
	m.signature = wire_data(sig, SIG_LEN);
	must(wire_pack(&m, &d->arena, &ask.body), "enrol", "");
	err = enrol_open(&d->desk, &ask, &e, reply, &n);
	return err != 0 ? err : finish_enrol(d, t, &e);
}

static struct bytes seal(
	struct deployment *d, const struct test_device *t, const char *path, const void *message)
{
	Pb__Sealed m = PB__SEALED__INIT;
	uint8_t mac[SHA256_LEN];
	struct bytes body, sealed;

	must(wire_pack(message, &d->arena, &body), "seal", path);
	struct bytes part[] = { bytes_of(path, strlen(path) + 1), body };
	must(crypto_mac_sign(d->desk.mac, bytes_of(t->report_key, SHA256_LEN), part, 2, mac),
		"seal", path);
	m.has_device_id = m.has_epoch = m.has_mac = 1;
	m.device_id = wire_data(t->id, ID_LEN);
	m.epoch = t->epoch;
	m.body = wire_data(body.p, body.n);
	m.mac = wire_data(mac, MAC_LEN);
	must(wire_pack(&m, &d->arena, &sealed), "seal", path);
	return sealed;
}

static void read_reply(
	struct deployment *d, struct test_device *t, const struct poll_answer *a, struct buf *body)
{
	const Pb__PollReply *m;
	int err;

	body->len = 0;
	for (size_t i = 0; i < POLL_PARTS; i++)
		buf_add(body, a->part[i].p, a->part[i].n);
	d->arena.used = 0;
	m = wire_read(&pb__poll_reply__descriptor, buf_bytes(body), &wire_admin, &d->arena, &err);
	must(err, "poll", "reply");
	t->ring = (enum ring)m->ring;
	t->answer = (enum answer)m->answer;
}

int device_poll(struct deployment *d, struct test_device *t)
{
	struct buf body = { 0 };
	int err = device_poll_body(d, t, &body);

	buf_release(&body);
	return err;
}

int device_grant_body(struct deployment *d, const struct test_device *t, struct buf *body)
{
	Pb__GrantRequest m = PB__GRANT_REQUEST__INIT;
	struct grant_ask ask;
	const struct grant_ask *list[] = { &ask };
	struct bytes none;
	int err;

	m.product = t->product;
	d->arena.used = 0;
	(void)desk_refresh(&d->desk);
	err = grant_open(&d->desk, seal(d, t, "/v1/grant", &m), d->now_ms, d->now_ms, &ask);
	if (err != 0)
		return err;
	body->len = 0;
	if (ask.ring != RING_STABLE) {
		buf_release(body);
		return grant_sign(&d->server, list, 1, d->now_ms, body);
	}
	err = grant_none(&d->desk, &none);
	buf_add(body, none.p, none.n);
	return err;
}

int device_poll_body(struct deployment *d, struct test_device *t, struct buf *body)
{
	Pb__PollRequest m = PB__POLL_REQUEST__INIT;
	struct poll_answer answer;
	struct poll_ask ask;
	struct request r;
	int err;

	m.product = t->product;
	m.build_id = t->build_id;
	m.release_counter = t->release_counter;
	m.root_version = t->root_version > 0 ? t->root_version : 1;
	m.has_log_size = t->log_size > 0;
	m.log_size = t->log_size;
	m.snapshot_version = t->snapshot_version;
	m.seq = t->seq;
	m.has_wish = 1;
	m.wish = (Pb__Ring)t->wish;
	d->arena.used = 0;
	(void)desk_refresh(&d->desk);
	err = request_open(&d->desk, REQUEST_POLL, seal(d, t, "/v1/poll", &m), d->now_ms, &r);
	if (err == 0)
		err = poll_ask_of(&r, &ask);
	if (err != 0)
		return err;
	poll_answer(&d->desk, &ask, d->now_ms, &answer);
	read_reply(d, t, &answer, body);
	while (writer_drain(&d->server.writer))
		;
	return 0;
}

int device_report(struct deployment *d, struct test_device *t, const char *build_id,
	const Pb__EventKind *kinds, size_t n)
{
	Pb__ReportRequest m = PB__REPORT_REQUEST__INIT;
	Pb__Event event[REPORT_EVENTS_MAX], *list[REPORT_EVENTS_MAX];
	struct request r;
	struct report report;
	int err;

	for (size_t i = 0; i < n; i++) {
		event[i] = (Pb__Event)PB__EVENT__INIT;
		event[i].kind = kinds[i];
		event[i].build_id = build_id;
		list[i] = &event[i];
	}
	m.first_seq = t->seq + 1;
	m.events = list;
	m.n_events = n;
	d->arena.used = 0;
	err = request_open(&d->desk, REQUEST_REPORT, seal(d, t, "/v1/report", &m), d->now_ms, &r);
	if (err == 0)
		err = report_of(&d->desk, &r, d->now_ms, &report);
	if (err != 0)
		return err;
	report.job.done = report_done;
	err = writer_call(&d->server.writer, &report.job);
	if (err == 0)
		t->seq += (uint32_t)n;
	return err;
}

int device_report_one(
	struct deployment *d, struct test_device *t, const char *build_id, Pb__EventKind kind)
{
	return device_report(d, t, build_id, &kind, 1);
}

int device_install(
	struct deployment *d, struct test_device *t, const char *build_id, uint64_t counter)
{
	static const Pb__EventKind kinds[] = {
		PB__EVENT_KIND__EVENT_DOWNLOADED,
		PB__EVENT_KIND__EVENT_INSTALLING,
		PB__EVENT_KIND__EVENT_INSTALLED,
		PB__EVENT_KIND__EVENT_BOOT_OK,
	};
	int err = device_report(d, t, build_id, kinds, 4);

	(void)snprintf(t->build_id, sizeof(t->build_id), "%s", build_id);
	t->release_counter = counter;
	return err;
}

void device_forget(struct test_device *t)
{
	crypto_key_free(t->key);
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
