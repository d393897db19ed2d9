/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that enrol, poll and report. */
#include "deployment.h"

#include <assert.h>
#include <stdio.h>

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
	deployment_must(enrol_reply(&d->desk, e, reply, &n), "enrol", "");
	d->arena.used = 0;
	m = wire_read(
		&pb__enroll_reply__descriptor, bytes_of(reply, n), &wire_device, &d->arena, &err);
	deployment_must(err, "enrol", "reply");
	memcpy(t->id, m->device_id.data, ID_LEN);
	memcpy(t->report_key, m->report_key.data, SHA256_LEN);
	t->ring = (enum ring)m->ring;
	t->epoch = m->epoch;
	if (m->last_seq > t->seq)
		t->seq = m->last_seq;
	return 0;
}

void device_make(struct test_device *t, const char *product, enum ring wish)
{
	*t = (struct test_device){ .product = product, .wish = wish };
	(void)snprintf(t->build_id, sizeof(t->build_id), "factory");
	deployment_must(crypto_key_generate(KEY_P256, &t->key), "key", "");
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
	deployment_must(wire_pack(&m, &d->arena, &ask.body), "enrol", "");
	err = enrol_open(&d->desk, &ask, &e, reply, &n);
	if (err != 0)
		return err;
	r = wire_read(
		&pb__enroll_reply__descriptor, bytes_of(reply, n), &wire_device, &d->arena, &err);
	deployment_must(err, "enrol", "challenge");
	len = sizeof(domain);
	memcpy(text, domain, len);
	memcpy(text + len, r->challenge.data, r->challenge.len);
	len += r->challenge.len;
	memcpy(text + len, t->product, strlen(t->product));
	len += strlen(t->product);
	deployment_must(crypto_key_sign(t->key, bytes_of(text, len), sig), "enrol", "sign");
	m.has_challenge = m.has_signature = 1;
	m.challenge = r->challenge;
	m.signature = wire_data(sig, SIG_LEN);
	deployment_must(wire_pack(&m, &d->arena, &ask.body), "enrol", "");
	err = enrol_open(&d->desk, &ask, &e, reply, &n);
	return err != 0 ? err : finish_enrol(d, t, &e);
}

static struct bytes seal(
	struct deployment *d, const struct test_device *t, const char *path, const void *message)
{
	Pb__Sealed m = PB__SEALED__INIT;
	uint8_t mac[SHA256_LEN];
	struct bytes body, sealed;

	deployment_must(wire_pack(message, &d->arena, &body), "seal", path);
	struct bytes part[] = { bytes_of(path, strlen(path) + 1), body };
	deployment_must(
		crypto_mac_sign(d->desk.mac, bytes_of(t->report_key, SHA256_LEN), part, 2, mac),
		"seal", path);
	m.has_device_id = m.has_epoch = m.has_mac = 1;
	m.device_id = wire_data(t->id, ID_LEN);
	m.epoch = t->epoch;
	m.body = wire_data(body.p, body.n);
	m.mac = wire_data(mac, MAC_LEN);
	deployment_must(wire_pack(&m, &d->arena, &sealed), "seal", path);
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
	deployment_must(err, "poll", "reply");
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

struct bytes device_poll_sealed(struct deployment *d, const struct test_device *t)
{
	Pb__PollRequest m = PB__POLL_REQUEST__INIT;

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
	return seal(d, t, "/v1/poll", &m);
}

int device_poll_body(struct deployment *d, struct test_device *t, struct buf *body)
{
	struct poll_answer answer;
	struct poll_ask ask;
	struct request r;
	int err;

	(void)desk_refresh(&d->desk);
	err = request_open(&d->desk, REQUEST_POLL, device_poll_sealed(d, t), d->now_ms, &r);
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

uint32_t device_told_s(struct deployment *d, struct test_device *t)
{
	struct buf body = { 0 };
	const Pb__PollReply *m;
	int err = device_poll_body(d, t, &body);
	uint32_t told_s;

	assert(err == 0);
	d->arena.used = 0;
	m = wire_read(&pb__poll_reply__descriptor, buf_bytes(&body), &wire_admin, &d->arena, &err);
	assert(m != NULL);
	told_s = m->next_poll_s;
	buf_release(&body);
	return told_s;
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
		event[i].has_code = kinds[i] == PB__EVENT_KIND__EVENT_SYMPTOM;
		event[i].code = t->symptom;
		event[i].has_signature =
			kinds[i] == PB__EVENT_KIND__EVENT_CRASH && t->signature != NULL;
		if (event[i].has_signature)
			event[i].signature = wire_data(t->signature, SHA256_LEN);
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
