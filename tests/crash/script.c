/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/script.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/file.h"
#include "server/base/mem.h"
#include "tests/crash/script_private.h"
#include "tests/crash/seeded.h"
#include "tests/crash/served.h"
#include "tests/lib/authority_world.h"

static const char *const products[] = { SDK_PRODUCT };

void script_must(const struct script *s, int err, const char *what)
{
	deployment_must(err, what, s->d.text);
}

/* ---- what was promised ---- */

void script_mark(enum mark_kind kind, uint64_t a, uint32_t b, const char *text)
{
	struct mark m = { .kind = kind, .a = a, .b = b };

	(void)snprintf(m.text, sizeof(m.text), "%s", text);
	crash_mark(&m);
}

static void mark_log(uint64_t size, const uint8_t root[SHA256_LEN])
{
	struct mark m = { .kind = MARK_LOG, .a = size };

	memcpy(m.hash, root, SHA256_LEN);
	crash_mark(&m);
}

/* A person was answered. */
void script_acknowledged(struct script *s, int err, const char *what)
{
	const struct state *state = control_state(&s->d.server);

	script_must(s, err, what);
	mark_log(state->log.size, state_root(state));
}

/* In one leap, and then by the minute, for a server that was stopped for long promises nothing. */
void script_wait(struct script *s, uint64_t ms)
{
	script_mark(MARK_TIME, s->d.now_ms + ms, 0, "");
	deployment_run(&s->d, ms - 2 * MINUTE, ms);
	deployment_run(&s->d, 2 * MINUTE, MINUTE);
}

/* A phone asks for all there is, and is answered. */
void script_show(struct script *s, struct test_device *t)
{
	char why[SERVED_TEXT], director[32];
	struct buf body = { 0 };
	struct served served;

	script_must(s, device_poll_body(&s->d, t, &body), "poll");
	if (!served_read(&s->d, buf_bytes(&body), t->product, &served, why))
		deployment_must(ERR_MISMATCH, "served", why);
	buf_release(&body);
	(void)snprintf(director, sizeof(director), "director/%u", served.ring);
	script_mark(MARK_SERVED, served.root, 0, "root");
	script_mark(MARK_SERVED, served.timestamp, 0, "timestamp");
	script_mark(MARK_SERVED, served.snapshot, 0, "snapshot");
	script_mark(MARK_SERVED, served.director, 0, director);
	mark_log(served.log_size, served.log_root);
}

void script_report(struct script *s, unsigned i, const char *build, Pb__EventKind kind)
{
	script_must(s, device_report_one(&s->d, &s->device[i], build, kind), "report");
	script_mark(MARK_REPORT, i, s->device[i].seq, "");
}

/* ---- steps ---- */

static void enrol(struct script *s)
{
	static const enum ring wish[SCRIPT_DEVICES] = { RING_CORE, RING_CORE, RING_HONOUR, RING_DEV,
		RING_STABLE, RING_STABLE };

	for (unsigned i = 0; i < SCRIPT_DEVICES; i++) {
		struct test_device *t = &s->device[i];
		struct mark m = { .kind = MARK_DEVICE, .a = i };
		script_must(s, device_enrol(&s->d, t, SDK_PRODUCT, wish[i]), "enrol");
		memcpy(m.hash, t->id, ID_LEN);
		memcpy(m.hash + ID_LEN, t->report_key, SHA256_LEN);
		m.b = t->epoch;
		crash_mark(&m);
	}
}

static void fill_seats(struct script *s)
{
	script_wait(s, HOUR);
	for (unsigned i = 0; i < SCRIPT_DEVICES; i++)
		script_show(s, &s->device[i]);
}

static void publish_build(struct script *s, const char *build, uint64_t counter)
{
	struct bytes content = bytes_str(build);
	struct mark m = { .kind = MARK_ARTIFACT };

	script_acknowledged(
		s, deployment_publish(&s->d, SDK_PRODUCT, build, counter, build), "publish");
	script_must(s, crypto_sha256(&content, 1, m.hash), "sha256");
	crash_mark(&m);
}

static void publish(struct script *s)
{
	publish_build(s, "1.0", 1);
}

static const Pb__PlanSpec *two_stages(struct script *s)
{
	static const struct plan_stage ladder[] = { { RING_CORE, 1000000, 0 },
		{ RING_STABLE, 1000000, 0 } };

	return plan_of(&s->plan, ladder, 2, 6 * HOUR, 0);
}

static void propose(struct script *s)
{
	script_acknowledged(
		s, deployment_propose(&s->d, "1.0", products, 1, two_stages(s)), "propose");
}

static void approve(struct script *s)
{
	for (unsigned i = 0; i < s->d.root->root->approver->threshold; i++)
		script_acknowledged(s, deployment_approve(&s->d, "1.0", i), "approve");
}

static void start(struct script *s)
{
	script_acknowledged(s, deployment_act(&s->d, "1.0", PB__ACT__ACT_START), "start");
	script_show(s, &s->device[0]);
	script_show(s, &s->device[4]);
}

static void install(struct script *s)
{
	static const Pb__EventKind kinds[] = { PB__EVENT_KIND__EVENT_OFFERED,
		PB__EVENT_KIND__EVENT_DOWNLOADED, PB__EVENT_KIND__EVENT_INSTALLING,
		PB__EVENT_KIND__EVENT_INSTALLED, PB__EVENT_KIND__EVENT_BOOT_OK };

	for (unsigned i = 0; i < 2; i++) {
		script_wait(s, HOUR);
		script_show(s, &s->device[i]);
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			script_report(s, i, "1.0", kinds[k]);
	}
}

/* By the gate, once the core ring has soaked. */
static void promote(struct script *s)
{
	for (unsigned i = 0; i < 48 && deployment_rollout(&s->d, "1.0")->step == 0; i++) {
		script_wait(s, HOUR);
		script_report(s, 0, "1.0", PB__EVENT_KIND__EVENT_ALIVE);
		script_report(s, 1, "1.0", PB__EVENT_KIND__EVENT_ALIVE);
	}
	script_must(
		s, deployment_rollout(&s->d, "1.0")->step == 1 ? 0 : ERR_WRONG_STATE, "promote");
	script_show(s, &s->device[4]);
}

/* What was halted it drops, and says so.  What it has learnt of the log it does not forget. */
static void note_phone(struct script *s)
{
	struct huidu_status status;

	script_must(s, s->phone.error == HUIDU_EBUILD_HALTED ? 0 : s->phone.error, s->phone.said);
	huidu_status(s->phone.h, &status);
	script_mark(
		MARK_PHONE, s->phone.release_counter, (uint32_t)status.log_size, s->phone.build_id);
}

static void phone(struct script *s)
{
	sdk_poll(&s->phone);
	note_phone(s);
}

static void phone_installs(struct script *s)
{
	phone(s);
	for (unsigned i = 0; i < 12 && s->phone.release_counter == 0; i++) {
		script_wait(s, HOUR / 2);
		sdk_settle(&s->phone);
		note_phone(s);
	}
	script_must(s, s->phone.release_counter == 1 ? 0 : ERR_WRONG_STATE, "phone");
}

static void pause_it(struct script *s)
{
	script_acknowledged(s, deployment_act(&s->d, "1.0", PB__ACT__ACT_PAUSE), "pause");
	script_show(s, &s->device[4]);
}

static void halt(struct script *s)
{
	script_report(s, 4, "1.0", PB__EVENT_KIND__EVENT_BOOT_FAILED);
	script_acknowledged(s, deployment_act(&s->d, "1.0", PB__ACT__ACT_HALT), "halt");
	script_mark(MARK_HALTED, 0, 0, "1.0");
	script_show(s, &s->device[4]);
}

static void rotate(struct script *s)
{
	struct world_root r;

	s->d.arena.used = 0;
	world_root_next(&s->d, &r);
	script_acknowledged(s,
		world_root_send(&s->d, world_root_sign(&s->d, world_root_wrap(&s->d, &r))), "root");
	script_show(s, &s->device[2]);
}

static void seat(struct script *s)
{
	Pb__AdminCommand m = PB__ADMIN_COMMAND__INIT;
	Pb__SeatAct act = PB__SEAT_ACT__INIT;
	ProtobufCBinaryData id = wire_data(s->device[3].id, ID_LEN);

	s->d.arena.used = 0;
	act.product = SDK_PRODUCT;
	act.ring = PB__RING__RING_DEV;
	act.device_ids = &id;
	act.n_device_ids = 1;
	act.has_remove = act.remove = 1;
	m.seat = &act;
	script_acknowledged(s, world_do(&s->d, &m, 0, KEY_RELEASE), "seat");
	script_show(s, &s->device[3]);
}

/* A second build takes the ring over from a first that is running. */
static void supersede(struct script *s)
{
	publish_build(s, "2.0", 2);
	script_acknowledged(
		s, deployment_roll_out(&s->d, "2.0", products, 1, two_stages(s)), "2.0");
	script_wait(s, HOUR);
	publish_build(s, "3.0", 3);
	script_acknowledged(
		s, deployment_roll_out(&s->d, "3.0", products, 1, two_stages(s)), "3.0");
	script_report(s, 1, "2.0", PB__EVENT_KIND__EVENT_BOOT_OK);
	for (unsigned i = 0; i < SCRIPT_DEVICES; i++)
		script_show(s, &s->device[i]);
}

static void sign_again(struct script *s)
{
	script_wait(s, 4 * 24 * HOUR);
	script_acknowledged(
		s, deployment_publish_as(&s->d, SDK_PRODUCT, "3.0", 3, "3.0", 2), "renew");
	script_show(s, &s->device[0]);
}

/* As people make it: a copy beside, then its name. */
static void backup(struct script *s)
{
	char *from = mem_printf("%s/data/backup.new", s->d.dir);
	char *to = mem_printf("%s/data/backup", s->d.dir);
	int fd = open(from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	script_must(s, fd < 0 ? ERR_STORE : store_copy(s->d.server.store, fd), "backup");
	script_must(s, fsync(fd) != 0 || close(fd) != 0 || rename(from, to) != 0, "backup");
	free(from);
	free(to);
}

void script_restart(struct script *s)
{
	sdk_stop(&s->phone);
	deployment_restart(&s->d);
	script_must(s,
		sdk_start(&s->phone, &s->d, s->phone.other[0] != '\0' ? s->phone.other : "factory",
			s->phone.other_counter),
		"phone");
	script_show(s, &s->device[4]);
}

static const struct {
	const char *name;
	void (*run)(struct script *s);
} steps[] = {
	{ "enrol", enrol },
	{ "phone enrols", phone },
	{ "fill seats", fill_seats },
	{ "publish", publish },
	{ "propose", propose },
	{ "approve", approve },
	{ "start", start },
	{ "install", install },
	{ "promote", promote },
	{ "phone installs", phone_installs },
	{ "pause", pause_it },
	{ "halt", halt },
	{ "phone sees the halt", phone },
	{ "restart", script_restart },
	{ "rotate the root", rotate },
	{ "take a seat", seat },
	{ "supersede", supersede },
	{ "back up", backup },
	{ "bring a fleet", script_bring_fleet },
	{ "erase a device", script_erase },
	{ "upload in pieces", script_upload },
	{ "sign again", sign_again },
	{ "half a year", script_half_a_year },
	{ "collect garbage", script_collect },
	{ "phone comes back", phone },
};

static void open_all(struct script *s, const char *base)
{
	static const struct deployment_options o = { .profile = "team" };
	char error[256] = "", *path;

	deployment_make(&s->d, &o);
	path = mem_printf("%s/phone", s->d.dir);
	script_must(s, mkdir(path, 0700), "mkdir");
	for (unsigned i = 0; i < 2; i++) {
		char *slot = mem_printf("%s/%u", path, i);
		script_must(s, file_create(slot, bytes_of(NULL, 0), 0600), "slot");
		free(slot);
	}
	free(path);
	path = mem_printf("cp -r '%s' '%s'", s->d.dir, base);
	script_must(s, system(path), "copy");
	free(path);
	crash_begin(s->d.dir);
	script_mark(MARK_TIME, s->d.now_ms, 0, "");
	deployment_must(deployment_start(&s->d, error), "start", error);
	script_must(s, sdk_start(&s->phone, &s->d, "factory", 0), "phone");
}

void script_run(const char *base, uint64_t seed, char *folder)
{
	struct script *s = mem_zalloc(sizeof(*s));

	seeded_begin(seed);
	open_all(s, base);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		script_mark(MARK_STEP, 0, 0, steps[i].name);
		steps[i].run(s);
	}
	(void)snprintf(folder, 64, "%s", s->d.dir);
	(void)puts(folder);
	(void)fflush(stdout);
	_exit(0); /* what is open stays as it is: the trace ends here */
}
