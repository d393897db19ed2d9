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
#include "tests/lib/scratch.h"

#define ARENA_SIZE ((size_t)4 * 1024 * 1024)
#define START_MS   1767225600000ull /* 2026-01-01 */

const char *const deployment_person[DEPLOYMENT_PEOPLE] = { "alice", "bob", "carol", "dave",
	"erin" };

void deployment_must(int err, const char *what, const char *detail)
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
	deployment_must(shared_ms == MAP_FAILED ? ERR_NO_ROOM : 0, "clock", "mmap");
	d->now_ms = *shared_ms = now_ms;
}

static void write_config(struct deployment *d, const struct deployment_options *o)
{
	static const char *const one_line = "lines:\n"
					    "  - products: [phone-a]\n"
					    "    rings: {core: 10, honour: 100, dev: 1000}\n"
					    "    fill_every: 1m\n";
	char *path = mem_printf("%s/huidud.yaml", d->dir);
	char *text = mem_printf("repository: test\nlisten: 127.0.0.1:0\nplain: true\n"
				"environment: trial\nenrol: %s\n"
				"min_id_age: %s\n"
				"poll: {interval: %s, jitter: 0 %%}\n%s",
		o->enrol != NULL ? o->enrol : "open", o->min_id_age != NULL ? o->min_id_age : "0s",
		o->poll_interval != NULL ? o->poll_interval : "1h",
		o->lines != NULL ? o->lines : one_line);
	char error[YAML_ERROR_MAX];

	deployment_must(file_create(path, bytes_str(text), 0600), "config", path);
	deployment_must(config_load(path, &d->config, error), "config", error);
	free(path);
	free(text);
}

static int start_signer(struct deployment *d, char *error)
{
	char *ledger = mem_printf("%s/ledger", d->dir);
	struct signer_config config = { .online_dir = d->config.online,
		.ledger_path = ledger,
		.root = d->root->envelope,
		.clock = &hand_set };
	int err = signer_start(&config, &d->signer, error);

	free(ledger);
	return err;
}

static int start_server(struct deployment *d, char *error)
{
	struct epochs epochs;
	int err = epochs_read(d->config.online, &epochs, NULL);

	if (err != 0)
		return err;
	err = server_open(&d->server, &d->config, &epochs, error);
	if (err == 0)
		err = control_open(&d->server, d->signer, d->root, d->now_ms, error);
	if (err == 0)
		err = desk_open(&d->desk, &d->server);
	epochs_release(&epochs);
	return err;
}

int deployment_start(struct deployment *d, char *error)
{
	char *path = mem_printf("%s/root.env", d->dir);
	int err = rootfile_read(path, &d->root);

	free(path);
	set_clock(d, d->now_ms);
	error[0] = '\0';
	if (err == 0)
		err = start_signer(d, error);
	if (err == 0)
		err = start_server(d, error);
	if (err != 0)
		deployment_stop(d);
	return err;
}

static void start(struct deployment *d)
{
	deployment_must(deployment_start(d, d->text), "start", d->text);
}

void deployment_make(struct deployment *d, const struct deployment_options *o)
{
	const struct profile *profile = profile_find(o->profile);
	const char *people[PERSONS_MAX];

	*d = (struct deployment){ .now_ms = START_MS };
	set_clock(d, START_MS);
	log_init("test", LOG_LEVEL_ERROR);
	(void)snprintf(d->dir, sizeof(d->dir), "%s/huidu-test-XXXXXX", scratch_base());
	deployment_must(mkdtemp(d->dir) == NULL ? ERR_STORE : 0, "mkdtemp", d->dir);
	for (unsigned i = 0; i < PERSONS_MAX; i++)
		people[i] = deployment_person[i];
	struct ceremony ceremony = { .repository = "test",
		.profile = profile,
		.persons = people,
		.now_s = d->now_ms / 1000 };
	deployment_must(ceremony_hold(&ceremony, d->dir), "ceremony", d->dir);
	write_config(d, o);
	d->arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
}

void deployment_open(struct deployment *d, const struct deployment_options *o)
{
	deployment_make(d, o);
	start(d);
}

void deployment_adopt(struct deployment *d, const char *dir, uint64_t now_ms)
{
	char *path = mem_printf("%s/huidud.yaml", dir);
	char error[YAML_ERROR_MAX];

	*d = (struct deployment){ .now_ms = now_ms };
	set_clock(d, now_ms);
	(void)snprintf(d->dir, sizeof(d->dir), "%s", dir);
	deployment_must(config_load(path, &d->config, error), "config", error);
	d->arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	free(path);
}

void deployment_stop(struct deployment *d)
{
	desk_release(&d->desk);
	control_close(&d->server);
	if (d->server.config != NULL)
		server_close(&d->server);
	signer_stop(d->signer);
	rootfile_free(d->root);
	d->signer = NULL;
	d->root = NULL;
}

void deployment_restart(struct deployment *d)
{
	deployment_stop(d);
	start(d);
}

void deployment_close(struct deployment *d)
{
	char *command = mem_printf("rm -rf '%s'", d->dir);

	deployment_stop(d);
	config_release(&d->config);
	free(d->arena.base);
	deployment_must(system(command) != 0 ? ERR_STORE : 0, "rm", d->dir);
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
