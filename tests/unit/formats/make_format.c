/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make-format FILE: writes a small store of a deployment that has lived, with records of every kind,
 * compacted, in the format of this build.  Run once for each format, by who is about to change it;
 * tests/unit/test_store_formats.c opens them all for ever.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lmdb.h>

#include "server/store/foreign.h"
#include "tests/lib/deployment.h"

#define DEVICES 24u
#define HOUR    3600000ull

static const char *const products[] = { "phone-a" };
static const struct plan_stage ladder[] = {
	{ RING_CORE, 500000, 0 },
	{ RING_CORE, 1000000, 0 },
	{ RING_HONOUR, 1000000, 0 },
};

static void live(struct deployment *d, struct test_device *devices, unsigned hours)
{
	static const uint8_t signature[2][SHA256_LEN] = { { 1, 2, 3 }, { 4, 5, 6 } };

	for (unsigned h = 0; h < hours; h++) {
		for (unsigned i = 0; i < DEVICES; i++) {
			struct test_device *t = &devices[i];
			deployment_must(device_poll(d, t), "poll", t->product);
			if (t->answer == ANSWER_OFFER && t->release_counter < 20)
				deployment_must(device_install(d, t, "2.0", 20), "install", "2.0");
			t->signature = signature[i / 2 % 2];
			if (t->release_counter == 20 && i % 5 != 0)
				deployment_must(
					device_report_one(d, t, "2.0", PB__EVENT_KIND__EVENT_CRASH),
					"report", "crash");
		}
		deployment_run(d, HOUR, 60000);
	}
}

/* Two of them as devices of another protocol. */
static void translate(struct deployment *d, const struct test_device *devices)
{
	struct stored_foreign f = {
		.state = { .protocol = FOREIGN_DDI,
			.state = FOREIGN_INSTALLED,
			.tells_build = true,
			.counted = 7,
			.action = 27774400,
			.build = 20,
			.counter = 20,
			.runs = 10,
			.since_ms = 1795000000000 },
		.has_token = true,
		.token = { 1, 2, 3 },
		.name = "board-0001",
	};
	struct store_txn t;

	store_begin(d->server.store, &t, true);
	foreign_put(&t, devices[0].id, &f);
	f = (struct stored_foreign){ .state = { .protocol = FOREIGN_MENDER }, .name = "02:00:17" };
	foreign_put(&t, devices[1].id, &f);
	deployment_must(store_commit(&t), "write", "foreign");
}

static void copy(struct deployment *d, const char *path)
{
	char data[128];
	MDB_env *env = NULL;
	int fd, rc = mdb_env_create(&env);

	(void)snprintf(data, sizeof(data), "%s/data/store", d->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (rc == 0)
		rc = mdb_env_open(env, data, MDB_RDONLY, 0600);
	if (rc == 0)
		rc = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
	mdb_env_close(env);
	deployment_must(rc != 0 || fd < 0 || close(fd) != 0 ? ERR_STORE : 0, "copy", path);
}

int main(int argc, char **argv)
{
	static struct test_device devices[DEVICES];
	struct deployment_options o = { .profile = "solo",
		.lines = "lines:\n  - products: [phone-a]\n"
			 "    rings: {core: 12, honour: 6, dev: 3}\n    fill_every: 1m\n" };
	struct test_plan plan;
	struct deployment d;

	if (argc != 2) {
		(void)fputs("usage: make-format FILE\n", stderr);
		return 2;
	}
	deployment_open(&d, &o);
	for (unsigned i = 0; i < DEVICES; i++)
		deployment_must(
			device_enrol(&d, &devices[i], "phone-a", i < 22 ? RING_CORE : RING_STABLE),
			"enrol", "phone-a");
	deployment_run(&d, 120000, 60000);
	deployment_must(deployment_publish(&d, "phone-a", "2.0", 20, "image"), "publish", d.text);
	deployment_must(
		deployment_roll_out(&d, "2.0", products, 1, plan_of(&plan, ladder, 3, 2 * HOUR, 0)),
		"roll out", d.text);
	live(&d, devices, 3);
	translate(&d, devices);
	copy(&d, argv[1]);
	for (unsigned i = 0; i < DEVICES; i++)
		device_forget(&devices[i]);
	deployment_close(&d);
	return 0;
}
