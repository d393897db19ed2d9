/* SPDX-License-Identifier: Apache-2.0 */
/* The server's machine: power, disk and clock.  It may die at any commit and at any signature. */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/names.h"
#include "server/base/file.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/trust/ceremony.h"
#include "tests/lib/scratch.h"
#include "tests/sim/sim.h"

#define ARENA_SIZE ((size_t)4 * 1024 * 1024)
#define START_MS   1767225600000ull /* 2026-01-01 */

static struct sim_host *const host = &world_sim.host;

/* ---- clocks, which the signer's process shares ---- */

static struct clocks {
	uint64_t wall_ms, boot_ms;
} * clocks;

static uint64_t wall(void)
{
	return clocks->wall_ms;
}

static uint64_t boot(void)
{
	return clocks->boot_ms;
}

static const struct signer_clock hand_set = { wall, boot };

void host_clock(void)
{
	host->d.now_ms = clocks->wall_ms = (uint64_t)((int64_t)world_sim.now_ms + host->skew_ms);
	clocks->boot_ms = world_sim.now_ms - world_sim.start_ms + MINUTE_MS;
}

/* ---- where it may die ---- */

static jmp_buf dies;

int __real_store_commit(struct store_txn *t);
int __wrap_store_commit(struct store_txn *t);
int __real_signer_append(struct signer *s, const struct bytes *entries, size_t n, struct buf *note);
int __wrap_signer_append(struct signer *s, const struct bytes *entries, size_t n, struct buf *note);
int __real_signer_sign(
	struct signer *s, const struct signer_item *items, size_t n, struct buf *out);
int __wrap_signer_sign(
	struct signer *s, const struct signer_item *items, size_t n, struct buf *out);

static bool dies_here(void)
{
	if (!host->guarded || host->crash_in == 0)
		return false;
	return --host->crash_in == 0;
}

static _Noreturn void die(void)
{
	world_sim.faults[FAULT_CRASH]++;
	longjmp(dies, 1);
}

int __wrap_store_commit(struct store_txn *t)
{
	bool now = dies_here(), before = now && chance_hit(&world_sim.host_chance, 500000);
	bool forgets = (is_planted(DEFECT_HALT) && host->halting) ||
		(is_planted(DEFECT_COMMIT) && host->guarded &&
			chance_hit(&world_sim.host_chance, 2000));
	int err;

	if (before) {
		store_abort(t);
		die();
	}
	if (host->disk_full && host->guarded && t->err == 0) {
		store_abort(t);
		return t->err = -ENOSPC;
	}
	if (forgets && t->err == 0) {
		store_abort(t);
		return 0;
	}
	err = __real_store_commit(t);
	if (now)
		die();
	return err;
}

int __wrap_signer_append(struct signer *s, const struct bytes *entries, size_t n, struct buf *note)
{
	bool now = dies_here();
	int err;

	if (now && chance_hit(&world_sim.host_chance, 500000))
		die();
	err = __real_signer_append(s, entries, n, note);
	if (now)
		die();
	return err;
}

int __wrap_signer_sign(struct signer *s, const struct signer_item *items, size_t n, struct buf *out)
{
	bool now = dies_here();
	int err;

	if (now && chance_hit(&world_sim.host_chance, 500000))
		die();
	err = __real_signer_sign(s, items, n, out);
	if (now)
		die();
	return err;
}

/* ---- start and stop ---- */

char *host_path(const char *name)
{
	return mem_printf("%s/%s", host->d.dir, name);
}

static int start_signer(char *error)
{
	char *ledger = host_path("online/ledger");
	struct signer_config config = { .online_dir = host->d.config.online,
		.ledger_path = ledger,
		.root = host->d.root->envelope,
		.clock = &hand_set };
	int err = signer_start(&config, &host->d.signer, error);

	free(ledger);
	return err;
}

struct start {
	int err;
	char error[256];
};

static void start(void *arg)
{
	struct deployment *d = &host->d;
	struct start *s = arg;
	struct epochs epochs;
	char *path = host_path("root.env");

	deployment_must(rootfile_read(path, &d->root), "root", path);
	free(path);
	s->err = start_signer(s->error);
	if (s->err != 0)
		return;
	deployment_must(epochs_read(d->config.online, &epochs, NULL), "epochs", "");
	s->err = server_open(&d->server, &d->config, &epochs, s->error);
	epochs_release(&epochs);
	if (s->err == 0)
		s->err = control_open(&d->server, d->signer, d->root, d->now_ms, s->error);
	if (s->err == 0)
		s->err = desk_open(&d->desk, &d->server);
}

/* What was queued and not committed is lost, if it died. */
void host_stop(bool died)
{
	struct deployment *d = &host->d;

	if (died)
		atomic_store(&d->server.writer.queue, NULL);
	desk_release(&d->desk);
	control_close(&d->server);
	server_close(&d->server);
	if (d->signer != NULL)
		signer_stop(d->signer);
	d->signer = NULL;
	rootfile_free(d->root);
	d->root = NULL;
	host->up = false;
	host->image = NULL;
}

static bool guard(void (*f)(void *arg), void *arg)
{
	volatile bool alive = false;

	host->guarded = true;
	if (setjmp(dies) == 0) {
		f(arg);
		alive = true;
	}
	host->guarded = false;
	return alive;
}

static void crashed(void)
{
	trace("crash", host->acked_size, 0);
	host_stop(true);
	host->down_until_ms =
		world_sim.now_ms + chance_within(&world_sim.host_chance, 1000, 30 * MINUTE_MS);
}

bool host_do(void (*f)(void *arg), void *arg)
{
	if (!host->up)
		return false;
	if (guard(f, arg))
		return true;
	crashed();
	return false;
}

/* The line for a person, when it does not start. */
int host_try_start(bool restored, char error[256])
{
	struct start s = { 0 };

	host_clock();
	if (!guard(start, &s)) {
		crashed();
		return 0;
	}
	if (s.err != 0) {
		(void)snprintf(error, 256, "%s", s.error);
		host_stop(true);
		return s.err;
	}
	host->up = true;
	world_sim.restarts++;
	trace("start", control_state(&host->d.server)->log.size, 0);
	judge_start(restored);
	return 0;
}

void host_must_start(void)
{
	char error[256];
	int err = host_try_start(false, error);

	/* It says so, and is started again. */
	if (err != 0 && host->disk_full)
		host->down_until_ms = world_sim.now_ms + SIM_HOUR_MS;
	else if (err != 0)
		sim_fail("the server does not start: %s", error);
}

/* ---- a new deployment ---- */

static const char *const lines = "lines:\n"
				 "  - products: [phone-a, phone-b]\n"
				 "    rings: {core: 6, honour: 14, dev: 40}\n"
				 "    fill_every: 1h\n";

static void write_config(void)
{
	struct deployment *d = &host->d;
	char *path = host_path("huidud.yaml"), error[YAML_ERROR_MAX];
	char *text = mem_printf("repository: test\nlisten: 127.0.0.1:0\nplain: true\n"
				"environment: trial\nenrol: open\nstore_size: 1 GiB\n"
				"min_id_age: 0s\npoll: {interval: 6h, jitter: 20 %%}\n%s",
		lines);

	deployment_must(file_create(path, bytes_str(text), 0600), "config", path);
	deployment_must(config_load(path, &d->config, error), "config", error);
	free(path);
	free(text);
}

static void hold_ceremony(void)
{
	static const char *const profiles[] = { "solo", "team", "maker" };
	const char *people[PERSONS_MAX];
	struct deployment *d = &host->d;
	struct ceremony ceremony = { .repository = "test",
		.profile = profile_find(profiles[chance_below(&world_sim.host_chance, 3)]),
		.persons = people };

	for (unsigned i = 0; i < PERSONS_MAX; i++)
		people[i] = deployment_person[i];
	ceremony.now_s = d->now_ms / 1000;
	deployment_must(ceremony_hold(&ceremony, d->dir), "ceremony", d->dir);
}

void host_open(void)
{
	struct deployment *d = &host->d;
	char *path;

	clocks = mmap(
		NULL, sizeof(*clocks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	deployment_must(clocks == MAP_FAILED ? ERR_NO_ROOM : 0, "clocks", "mmap");
	world_sim.start_ms = world_sim.now_ms = START_MS;
	host_clock();
	log_init("sim", getenv("SIM_VERBOSE") != NULL ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR + 1);
	(void)snprintf(d->dir, sizeof(d->dir), "%s/huidu-sim-XXXXXX", scratch_base());
	deployment_must(mkdtemp(d->dir) == NULL ? ERR_STORE : 0, "mkdtemp", d->dir);
	hold_ceremony();
	write_config();
	d->arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	path = host_path("root.env");
	deployment_must(rootfile_read(path, &host->first_root), "root", path);
	free(path);
	host_must_start();
}

void host_close(void)
{
	char *command = mem_printf("rm -rf '%s'", host->d.dir);

	if (host->up)
		host_stop(false);
	config_release(&host->d.config);
	rootfile_free(host->first_root);
	free(host->d.arena.base);
	deployment_must(system(command) != 0 ? ERR_STORE : 0, "rm", host->d.dir);
	free(command);
}

/* ---- its life ---- */

static void tick(void *arg)
{
	(void)arg;
	while (writer_drain(&host->d.server.writer))
		;
	control_tick(&host->d.server, host->d.now_ms);
	(void)desk_refresh(&host->d.desk);
}

void host_tick(void)
{
	host_clock();
	if (host_do(tick, NULL))
		judge_server();
}
