/* SPDX-License-Identifier: Apache-2.0 */
/* What befalls the server's machine: power, a full disk, a clock that steps, an old backup. */
#include <stdlib.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "server/service/control.h"
#include "tests/sim/sim.h"

static struct sim_host *const host = &world_sim.host;

/* ---- an old backup ---- */

static void copy(const char *from, const char *to)
{
	char *command = mem_printf("rm -rf '%s/%s' && cp -r '%s/%s' '%s/%s'", host->d.dir, to,
		host->d.dir, from, host->d.dir, to);

	deployment_must(system(command) != 0 ? ERR_STORE : 0, "cp", command);
	free(command);
}

static bool has_backup(void)
{
	char *path = host_path("old-store");
	bool has = access(path, F_OK) == 0;

	free(path);
	return has;
}

static uint64_t log_size(void)
{
	return control_state(&host->d.server)->log.size;
}

static void back_up(void)
{
	host->backup_size = log_size();
	copy("data/store", "old-store");
	copy("online/ledger", "old-ledger");
	trace("backup", 0, 0);
}

/*
 * Somebody puts an old store back: it must be refused, and the right one is found again.  One whose
 * log is all there is may be taken, and signed on from: then there is no right one any more.
 */
static void restore(void)
{
	uint64_t size = host->acked_size;
	char error[256] = "";
	int err;

	host->crash_in = 0;
	host_stop(false);
	copy("data/store", "right-store");
	copy("old-store", "data/store");
	if (is_planted(DEFECT_LEDGER))
		copy("old-ledger", "online/ledger");
	err = host_try_start(true, error);
	trace("restore", (uint64_t)-err, size);
	if (err == 0)
		host_stop(false);
	else if (err != ERR_FLOOR && !host->disk_full)
		sim_fail("an old store is refused with %s (%s)", err_name(err), error);
	copy("right-store", "data/store");
	host_must_start();
	world_sim.tick_ms = world_sim.now_ms + 1;
}

/* ---- what befalls it ---- */

static void suffer_power(struct chance *c)
{
	if (host->crash_in == 0 && chance_hit(c, world_sim.rate[FAULT_CRASH]))
		host->crash_in = (unsigned)chance_within(c, 1, 40);
	if (fault_hits(c, FAULT_RESTART)) {
		host_stop(chance_hit(c, 500000));
		host_must_start();
	} else if (fault_hits(c, FAULT_DOWN)) {
		host_stop(true);
		host->down_until_ms = world_sim.now_ms +
			chance_within(c, MINUTE_MS,
				chance_hit(c, 200000) ? 8 * SIM_DAY_MS : 8 * SIM_HOUR_MS);
	} else if (!has_backup()) {
		if (chance_hit(c, 60000))
			back_up();
	} else if (fault_hits(c, FAULT_RESTORE)) {
		if (host->backup_size < log_size())
			restore();
		if (host->up) /* no room to start with: the next time */
			back_up();
	}
}

static void suffer_disk(struct chance *c)
{
	if (host->disk_full && world_sim.now_ms >= host->full_until_ms) {
		host->disk_full = false;
		trace("space", 0, 0);
	} else if (!host->disk_full && fault_hits(c, FAULT_DISK)) {
		host->disk_full = true;
		host->full_until_ms =
			world_sim.now_ms + chance_within(c, MINUTE_MS, 10 * SIM_HOUR_MS);
		trace("full", 0, 0);
	}
}

static void suffer_clock(struct chance *c)
{
	static const int64_t steps[] = { 1000, 200000, 3600000, 86400000, 365 * 86400000ll };

	if (host->clock_is_wrong && world_sim.now_ms >= host->clock_until_ms) {
		host->clock_is_wrong = false;
		host->skew_ms = 0;
		trace("clock right", 0, 0);
	} else if (!host->clock_is_wrong && fault_hits(c, FAULT_STEP)) {
		host->clock_is_wrong = true;
		host->skew_ms = steps[chance_below(c, 5)];
		if (chance_hit(c, 500000))
			host->skew_ms = -host->skew_ms;
		host->clock_until_ms =
			world_sim.now_ms + chance_within(c, 10 * MINUTE_MS, 5 * SIM_HOUR_MS);
		trace("clock", (uint64_t)host->skew_ms, 0);
	}
	host_clock();
}

void host_suffers(void)
{
	struct chance *c = &world_sim.host_chance;

	suffer_clock(c);
	suffer_disk(c);
	if (host->up)
		suffer_power(c);
	if (!host->up && world_sim.now_ms >= host->down_until_ms)
		host_must_start();
}

void host_heals(void)
{
	host->crash_in = 0;
	host->disk_full = host->clock_is_wrong = false;
	host->skew_ms = 0;
	host_clock();
	if (!host->up)
		host_must_start();
}
