/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One story, message by message: the real server in this process, its clock set by hand, and twenty phones
 * with the real SDK.  Their requests are handed over as they are; nothing in between understands them.
 */
#include "tests/attack/cases.h"

#include <errno.h>
#include <huidu/huidu.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/bucket.h"
#include "tests/lib/deployment.h"

#define HOUR    3600000ull
#define PHONES  40u
#define PRODUCT "phone-a"

static const char *const products[] = { PRODUCT };

struct phone {
	struct story *story;
	huidu_t *h;
	struct huidu_config config;
	uint8_t slot[2][HUIDU_SLOT];
	size_t slot_len[2];
	char build_id[64], other[64];
	uint64_t release_counter, other_counter;
	char file[64];
	char log[2048]; /* what it asked for, a word a request */
	bool slow, restarting, hurt;
	int error; /* the last it named */
	_Alignas(16) uint8_t memory[HUIDU_MEMORY];
};

struct story {
	struct deployment d;
	struct phone phone[PHONES];
	struct test_plan plan;
	_Alignas(16) uint8_t scratch[HUIDU_SCRATCH];
};

/* ---- the server's door ---- */

static void enrol_done(struct job *job)
{
	if (job->err == 0)
		enrol_taken((struct enrol *)job);
}

static int enroll(struct deployment *d, struct bytes body, struct buf *out)
{
	uint8_t reply[ENROL_REPLY_MAX];
	size_t n = 0;
	struct enrol_ask ask = { .body = body, .now_ms = d->now_ms, .mono_ms = d->now_ms };
	struct enrol e;
	int err = enrol_open(&d->desk, &ask, &e, reply, &n);

	if (err == 0 && n == 0) {
		e.job.done = enrol_done;
		err = writer_call(&d->server.writer, &e.job);
		if (err == 0)
			err = enrol_reply(&d->desk, &e, reply, &n);
	}
	buf_add(out, reply, n);
	return err;
}

static void report_done(struct job *job)
{
	if (job->err == 0)
		report_taken((struct report *)job);
}

static int take_report(struct deployment *d, const struct request *r)
{
	struct report report;
	int err = report_of(&d->desk, r, d->now_ms, &report);

	report.job.done = report_done;
	return err != 0 ? err : writer_call(&d->server.writer, &report.job);
}

static int poll(struct deployment *d, struct bytes body, struct buf *out)
{
	struct poll_answer answer;
	struct poll_ask ask;
	struct request r;
	int err = request_open(&d->desk, REQUEST_POLL, body, d->now_ms, &r);

	if (err == 0)
		err = poll_ask_of(&r, &ask);
	if (err == 0 && r.report != NULL)
		err = take_report(d, &r);
	if (err != 0)
		return err;
	poll_answer(&d->desk, &ask, d->now_ms, &answer);
	for (size_t i = 0; i < POLL_PARTS; i++)
		buf_add(out, answer.part[i].p, answer.part[i].n);
	return 0;
}

static int report(struct deployment *d, struct bytes body, struct buf *out)
{
	struct request r;
	int err = request_open(&d->desk, REQUEST_REPORT, body, d->now_ms, &r);

	(void)out;
	return err != 0 ? err : take_report(d, &r);
}

static const struct door {
	const char *path, *word;
	int (*answer)(struct deployment *d, struct bytes body, struct buf *out);
} doors[] = {
	{ "/v1/enroll", "enrol", enroll },
	{ "/v1/poll", "poll", poll },
	{ "/v1/report", "report", report },
};

static void remember(struct phone *p, const char *word)
{
	size_t n = strlen(p->log);

	(void)snprintf(p->log + n, sizeof(p->log) - n, "%s%s", n > 0 ? " " : "", word);
}

static void fetch(struct phone *p, const struct huidu_request *q)
{
	uint8_t sha256[SHA256_LEN], bytes[256];
	uint64_t length = 0;
	ssize_t n = 0;
	int fd = -1, err = ERR_NOT_FOUND;

	if (hex_decode(sha256, SHA256_LEN, q->path + strlen("/v1/artifact/")))
		err = artifact_open(p->story->d.server.artifacts, sha256, &fd, &length);
	CHECK_ERR(err, 0);
	n = read(fd, bytes, sizeof(bytes));
	CHECK(n >= 0 && (uint64_t)n == length && close(fd) == 0);
	remember(p, "fetch");
	CHECK_ERR(huidu_data(p->h, 200, bytes, (size_t)n), 0);
	huidu_response(p->h, 200, 0, NULL, 0);
}

static int on_http(void *ctx, const struct huidu_request *q)
{
	struct phone *p = ctx;
	struct deployment *d = &p->story->d;
	struct buf out = { 0 };
	int err = ERR_NOT_FOUND;

	if (q->stream) {
		fetch(p, q);
		return 0;
	}
	d->arena.used = 0;
	(void)desk_refresh(&d->desk);
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if (strcmp(q->path, doors[i].path) == 0) {
			remember(p, doors[i].word);
			err = doors[i].answer(d, bytes_of(q->body, q->body_len), &out);
		}
	while (writer_drain(&d->server.writer))
		;
	huidu_response(p->h, err == 0 ? 200 : 400, 0, buf_bytes(&out).p, buf_bytes(&out).n);
	buf_release(&out);
	return 0;
}

/* ---- the phone ---- */

static int on_state_read(void *ctx, unsigned slot, void *out, size_t *len)
{
	const struct phone *p = ctx;

	if (p->slot_len[slot] == 0)
		return -ENOENT;
	memcpy(out, p->slot[slot], p->slot_len[slot]);
	*len = p->slot_len[slot];
	return 0;
}

static int on_state_write(void *ctx, unsigned slot, const void *data, size_t len)
{
	struct phone *p = ctx;

	memcpy(p->slot[slot], data, len);
	p->slot_len[slot] = len;
	return 0;
}

static int on_file_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct phone *p = ctx;

	CHECK(offset + len <= sizeof(p->file));
	memcpy(p->file + offset, data, len);
	return 0;
}

static int on_file_read(void *ctx, uint64_t offset, void *data, size_t *len)
{
	const struct phone *p = ctx;

	memcpy(data, p->file + offset, *len);
	return 0;
}

static int on_apply(void *ctx, const struct huidu_offer *offer)
{
	struct phone *p = ctx;

	remember(p, "apply");
	(void)snprintf(p->other, sizeof(p->other), "%s", offer->build_id);
	p->other_counter = offer->release_counter;
	if (!p->slow)
		huidu_applied(p->h, 0);
	return 0;
}

static int on_activate(void *ctx, const struct huidu_offer *offer)
{
	struct phone *p = ctx;

	(void)offer;
	remember(p, "switch");
	p->restarting = true;
	return 0;
}

static uint64_t on_now(void *ctx)
{
	return ((struct phone *)ctx)->story->d.now_ms;
}

static int on_random(void *ctx, void *out, size_t len)
{
	(void)ctx;
	return crypto_random(out, len);
}

static void on_log(void *ctx, int err, const char *what)
{
	if (getenv("ATTACK_VERBOSE") != NULL)
		(void)fprintf(stderr, "# phone: %s: %s\n", what, huidu_strerror(err));
	((struct phone *)ctx)->error = err;
}

static void start(struct phone *p)
{
	const struct huidu_platform platform = { .size = sizeof(platform),
		.ctx = p,
		.http = on_http,
		.state_read = on_state_read,
		.state_write = on_state_write,
		.file_write = on_file_write,
		.file_read = on_file_read,
		.apply = on_apply,
		.activate = on_activate,
		.now_ms = on_now,
		.random = on_random,
		.log = on_log };
	struct bytes root = p->story->d.root->envelope;
	int err;

	p->config = (struct huidu_config){ .size = sizeof(p->config),
		.repository = "test",
		.product = PRODUCT,
		.build_id = p->build_id,
		.release_counter = p->release_counter,
		.root = root.p,
		.root_len = root.n,
		.wish = HUIDU_STABLE,
		.reports = 1 };
	p->restarting = false;
	p->h = huidu_init(p->memory, p->story->scratch, &platform, NULL, &p->config, &err);
	if (p->h == NULL)
		suite_fail(__FILE__, __LINE__, "the SDK does not start: %s", err_name(err));
}

static struct huidu_status status(const struct phone *p)
{
	struct huidu_status s;

	huidu_status(p->h, &s);
	return s;
}

static void restart(struct phone *p)
{
	remember(p, "restart");
	huidu_fini(p->h);
	(void)snprintf(p->build_id, sizeof(p->build_id), "%s", p->other);
	p->release_counter = p->other_counter;
	start(p);
}

/* All it has to do now. */
static void settle(struct phone *p)
{
	uint64_t next_ms = 0;

	for (unsigned i = 0; i < 100 && next_ms <= p->story->d.now_ms; i++) {
		(void)huidu_step(p->h, &next_ms); /* on_log has it */
		if (p->restarting)
			restart(p);
		if (status(p).phase == HUIDU_PROVING)
			CHECK_ERR(huidu_boot_ok(p->h), 0);
	}
}

/* It asks now; what it said and did since. */
static const char *asks(struct phone *p)
{
	p->log[0] = '\0';
	p->error = 0;
	huidu_poll_now(p->h);
	settle(p);
	return p->log;
}

static bool runs(const struct phone *p, const char *build_id)
{
	return strcmp(p->build_id, build_id) == 0;
}

/* ---- the people ---- */

static void publish(struct story *s, const char *build, uint64_t counter)
{
	CHECK_ERR(deployment_publish(&s->d, PRODUCT, build, counter, build), 0);
}

static void roll_out(struct story *s, const char *build, const char *fixes)
{
	static const struct plan_stage ladder[] = {
		{ RING_STABLE, 250000, 0 },
		{ RING_STABLE, 650000, 0 },
		{ RING_STABLE, 1000000, 0 },
	};
	Pb__PlanSpec *spec = &s->plan.spec;

	(void)plan_of(&s->plan, ladder, 3, 12 * HOUR, 0);
	if (fixes != NULL) {
		spec->fixes = &fixes;
		spec->n_fixes = 1;
	}
	CHECK_ERR(deployment_roll_out(&s->d, build, products, 1, spec), 0);
}

/* Hours of everybody's life but `except`'s. */
static void hours_pass(struct story *s, unsigned hours, const struct phone *except)
{
	for (unsigned i = 0; i < hours; i++) {
		deployment_run(&s->d, HOUR, 60000);
		for (unsigned k = 0; k < PHONES; k++)
			if (&s->phone[k] != except)
				settle(&s->phone[k]);
	}
}

static uint32_t bucket(const struct story *s, const struct phone *p, const char *release)
{
	const struct rollout *r = deployment_rollout(&s->d, release);

	return bucket_of(r->builds[0].seed, status(p).device_id, PRODUCT);
}

/* The n-th phone that the second stage lets in and the first does not. */
static struct phone *second_stage(struct story *s, unsigned n)
{
	for (unsigned k = 0; k < PHONES; k++) {
		uint32_t b = bucket(s, &s->phone[k], "1.0");
		if (b >= 250000 && b < 650000 && n-- == 0)
			return &s->phone[k];
	}
	suite_fail(__FILE__, __LINE__, "no such phone among %u", PHONES);
}

static void says(struct phone *p, const char *want, int line)
{
	const char *got = asks(p);

	if (strcmp(got, want) != 0)
		suite_fail(__FILE__, line, "\"%s\", not \"%s\"; %s", got, want,
			p->error == 0 ? "no error" : err_name(p->error));
}
#define SAYS(phone, want) says(phone, want, __LINE__)

static void open_story(struct story *s)
{
	const struct deployment_options o = { .profile = "solo" };

	deployment_open(&s->d, &o);
	for (unsigned k = 0; k < PHONES; k++) {
		struct phone *p = &s->phone[k];
		p->story = s;
		(void)snprintf(p->build_id, sizeof(p->build_id), "factory");
		start(p);
	}
}

static void close_story(struct story *s)
{
	for (unsigned k = 0; k < PHONES; k++)
		huidu_fini(s->phone[k].h);
	deployment_close(&s->d);
	free(s);
}

static void is_answered(const struct phone *p, enum huidu_answer want)
{
	CHECK_EQ(status(p).answer, want);
	CHECK_ERR(p->error, 0);
}

static void canary_crash_halt_fix(struct lab *l, const struct attack *a)
{
	struct story *s = calloc(1, sizeof(*s));
	struct phone *hero, *late;
	uint8_t signature[32] = { 7 };

	(void)l, (void)a;
	CHECK(s != NULL);
	open_story(s);
	/* Enrol, and a poll that matches nothing: there is nothing. */
	for (unsigned k = 0; k < PHONES; k++) {
		SAYS(&s->phone[k], "enrol enrol");
		SAYS(&s->phone[k], "poll");
		is_answered(&s->phone[k], HUIDU_UP_TO_DATE);
	}
	publish(s, "1.0", 1);
	roll_out(s, "1.0", NULL);
	hero = second_stage(s, 0);
	late = second_stage(s, 1);
	late->slow = true; /* writes to its other slot for hours */
	/* A poll as control: something is rolled out, to others. */
	SAYS(hero, "poll");
	is_answered(hero, HUIDU_STAGED_OUT);
	for (hours_pass(s, 1, hero); deployment_rollout(&s->d, "1.0")->step == 0;
		hours_pass(s, 1, hero)) {
		SAYS(hero, "poll");
		is_answered(hero, HUIDU_STAGED_OUT);
	}
	/* A poll as canary: offered, fetched, written, asked once more, announced, switched, running. */
	for (unsigned hour = 0; status(hero).answer != HUIDU_OFFERED && runs(hero, "factory");
		hour++) {
		CHECK(hour < 24);
		hours_pass(s, 1, hero);
		(void)asks(hero);
	}
	if (strstr(hero->log, "poll fetch apply poll report switch restart") == NULL)
		suite_fail(__FILE__, __LINE__, "\"%s\"", hero->log);
	CHECK(runs(hero, "1.0"));
	/* It crashes; the others do. */
	for (unsigned hour = 0; strstr(late->log, "apply") == NULL; hour++) {
		CHECK(hour < 12);
		hours_pass(s, 1, NULL);
	}
	CHECK(runs(late, "factory") && strstr(late->log, "apply") != NULL);
	for (unsigned k = 0; k < PHONES; k++)
		if (runs(&s->phone[k], "1.0")) {
			s->phone[k].hurt = true;
			CHECK_ERR(huidu_report(s->phone[k].h, HUIDU_EVENT_CRASH, signature, 0), 0);
		}
	(void)asks(hero);
	/* One person stops it. */
	CHECK_ERR(deployment_act(&s->d, "1.0", PB__ACT__ACT_HALT), 0);
	/* It is in the other slot already: the check before the switch drops it. */
	late->log[0] = '\0';
	late->error = 0;
	huidu_applied(late->h, 0);
	settle(late);
	CHECK(strcmp(late->log, "poll") == 0);
	CHECK_ERR(late->error, ERR_BUILD_HALTED);
	CHECK(status(late).build_id[0] == '\0');
	late->slow = false;
	/* The repair goes first to those who were hurt. */
	publish(s, "1.1", 2);
	roll_out(s, "1.1", "1.0");
	(void)asks(hero);
	hours_pass(s, 2, NULL);
	for (unsigned k = 0; k < PHONES; k++) {
		const struct phone *p = &s->phone[k];
		CHECK(!p->hurt || runs(p, "1.1"));
		CHECK(p->hurt || !runs(p, "1.1") || bucket(s, p, "1.1") < 250000);
	}
	/* And then to all. */
	for (unsigned hour = 0; !runs(late, "1.1"); hour++) {
		CHECK(hour < 200);
		hours_pass(s, 1, NULL);
	}
	close_story(s);
}

static void stage(const struct attack *a)
{
	a->run(NULL, a);
}

int main(int argc, char **argv)
{
	static const struct attack attacks[] = {
		CASE("story_canary_crash_halt_fix", canary_crash_halt_fix),
	};
	const struct attack_group group = { attacks, 1 };
	const struct suite suite = { .groups = &group, .n_groups = 1, .stage = stage };

	return suite_main(&suite, argc, argv);
}
