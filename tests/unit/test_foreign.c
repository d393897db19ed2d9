/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdio.h>

#include "server/core/foreign.h"

#define NOW      1795000000000ull
#define NUMBER   (1795000000u - 1767225600u) /* of the first action */
#define PATIENCE 60000ull
#define OLD      11u
#define NEW      22u
#define NEWER    33u

#define E(event) (1u << FOREIGN_EV_##event)
#define FINISHED (E(DOWNLOADED) | E(INSTALLED))

/* How things stand when it speaks. */
enum {
	OPEN,
	HALTED,
	PAUSED,
	OUT,
	NEXT, /* another build is offered */
	LOST, /* halted, no cancel */
	BAD,  /* halted, and another is offered */
	UNDO, /* halted, and who is stopped undoes it */
	UNDO_OPEN
};

/* Of which action it speaks. */
enum { THIS, BEFORE, AFTER };

struct line {
	enum foreign_word word;
	unsigned world, of, names;
	uint64_t wait_ms; /* before */
	/* What is to come of it. */
	enum foreign_tell tell;
	enum foreign_state state;
	uint32_t events;
};

struct script {
	const char *why;
	unsigned runs; /* as known before */
	struct line line[14];
	unsigned runs_after;
	bool wants_after;
};

#define POLL    FOREIGN_POLL
#define FETCH   FOREIGN_FETCH
#define AT      FOREIGN_PROGRESS
#define DONE    FOREIGN_DONE
#define SUCCESS FOREIGN_SUCCESS
#define FAIL    FOREIGN_FAILURE
#define ACK     FOREIGN_CANCELLED
#define SELF    FOREIGN_ATTRIBUTES
#define HELLO   FOREIGN_HELLO
#define HAS     FOREIGN_ALREADY
#define NO      FOREIGN_NOTHING
#define GO      FOREIGN_DEPLOY
#define STOP    FOREIGN_CANCEL
#define LATE    FOREIGN_GONE
#define WHAT    FOREIGN_UNKNOWN
#define IDLE    FOREIGN_IDLE
#define OFFERED FOREIGN_OFFERED
#define BUSY    FOREIGN_INSTALLING
#define THERE   FOREIGN_INSTALLED
#define MUTE    FOREIGN_AWAITING

#define ALL (FINISHED | E(INSTALLING))

/* clang-format off */
static const struct script scripts[] = {
	{ "SWUpdate: a whole update, each answer lost once", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ FETCH, OPEN, 0, 0, 0,       GO, OFFERED, 0 },
		{ AT, OPEN, 0, 0, 0,          NO, BUSY, 0 },
		{ AT, OPEN, 0, 0, 0,          NO, BUSY, 0 },
		{ DONE, OPEN, 0, 0, 0,        NO, THERE, ALL },
		{ DONE, OPEN, 0, 0, 0,        NO, THERE, 0 },
		{ AT, OPEN, 0, 0, 0,          NO, THERE, 0 },
		{ POLL, OUT, 0, 0, 0,         GO, THERE, 0 },
		{ FETCH, OPEN, 0, 0, 0,       GO, THERE, 0 },
		{ SUCCESS, OPEN, 0, 0, 0,     NO, IDLE, E(BOOT_OK) },
		{ SUCCESS, OPEN, 0, 0, 0,     NO, IDLE, 0 },
		{ POLL, OUT, 0, 0, 0,         NO, IDLE, 0 } }, NEW, true },
	{ "SWUpdate: what is offered next is not offered to who has not confirmed", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ DONE, OPEN, 0, 0, 0,        NO, THERE, ALL },
		{ POLL, NEXT, 0, 0, 9 * PATIENCE, GO, THERE, 0 },
		{ SUCCESS, NEXT, 0, 0, 0,     NO, IDLE, E(BOOT_OK) },
		{ POLL, NEXT, 0, 0, 0,        GO, OFFERED, 0 },
		{ SUCCESS, NEXT, BEFORE, 0, 0, LATE, OFFERED, 0 } }, NEW, true },
	{ "SWUpdate confirms what it has not installed: that is no boot", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ SUCCESS, OPEN, 0, 0, 0,     NO, MUTE, FINISHED } }, OLD, true },
	{ "SWUpdate: wrong signer", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ AT, OPEN, 0, 0, 0,          NO, BUSY, 0 },
		{ FAIL, OPEN, 0, 0, 0,        NO, IDLE, E(INSTALL_FAILED) },
		{ FAIL, OPEN, 0, 0, 0,        NO, IDLE, 0 },
		{ AT, OPEN, 0, 0, 0,          LATE, IDLE, 0 },
		{ FETCH, OPEN, 0, 0, 0,       LATE, IDLE, 0 } }, OLD, true },
	{ "SWUpdate: the new build does not come up", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ DONE, OPEN, 0, 0, 0,        NO, THERE, ALL },
		{ FAIL, OPEN, 0, 0, 0,        NO, IDLE, E(ROLLED_BACK) } }, OLD, true },
	{ "rauc: success is said before the reboot, twice; the build after it", OLD, {
		{ SELF, OUT, 0, OLD, 0,       NO, IDLE, 0 },
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ AT, OPEN, 0, 0, 0,          NO, BUSY, 0 },
		{ SUCCESS, OPEN, 0, 0, 0,     NO, MUTE, ALL },
		{ SUCCESS, OPEN, 0, 0, 0,     NO, MUTE, 0 },
		{ POLL, NEXT, 0, 0, 0,        NO, MUTE, 0 },
		{ SELF, NEXT, 0, OLD, 1000,   NO, MUTE, 0 },
		{ SELF, NEXT, 0, NEW, 1000,   NO, IDLE, E(BOOT_OK) },
		{ SELF, NEXT, 0, NEW, 0,      NO, IDLE, 0 },
		{ POLL, NEXT, 0, 0, 0,        GO, OFFERED, 0 } }, NEW, false },
	{ "rauc: the boot loader fell back", OLD, {
		{ SELF, OUT, 0, OLD, 0,       NO, IDLE, 0 },
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ SUCCESS, OPEN, 0, 0, 0,     NO, MUTE, ALL },
		{ SELF, OPEN, 0, OLD, PATIENCE, NO, MUTE, 0 },
		{ SELF, OPEN, 0, OLD, 1,      NO, IDLE, E(ROLLED_BACK) } }, OLD, false },
	{ "rauc that never names a build: installed, and no boot is waited for", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ SUCCESS, OPEN, 0, 0, 0,     NO, MUTE, FINISHED },
		{ SELF, OPEN, 0, 0, 0,        NO, IDLE, 0 } }, NEW, false },
	{ "rauc that says nothing of itself", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ SUCCESS, OPEN, 0, 0, 0,     NO, MUTE, FINISHED },
		{ POLL, NEXT, 0, 0, PATIENCE, NO, MUTE, 0 },
		{ POLL, NEXT, 0, 0, 1,        GO, OFFERED, 0 } }, NEW, true },
	{ "halted before it began", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ POLL, HALTED, 0, 0, 0,      STOP, OFFERED, 0 },
		{ FETCH, HALTED, 0, 0, 0,     WHAT, OFFERED, 0 },
		{ FOREIGN_FETCH_CANCEL, HALTED, 0, 0, 0, STOP, OFFERED, 0 },
		{ POLL, OPEN, 0, 0, 0,        STOP, OFFERED, 0 }, /* until it is acknowledged */
		{ ACK, HALTED, 0, 0, 0,       NO, IDLE, 0 },
		{ ACK, HALTED, 0, 0, 0,       NO, IDLE, 0 },
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 } }, OLD, true },
	{ "halted during the download; what we stopped has not failed", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ AT, OPEN, 0, 0, 0,          NO, BUSY, 0 },
		{ AT, HALTED, 0, 0, 0,        STOP, BUSY, 0 },
		{ FAIL, HALTED, 0, 0, 0,      NO, IDLE, 0 },
		{ POLL, HALTED, 0, 0, 0,      NO, IDLE, 0 } }, OLD, true },
	{ "halted between the install and its confirmation: it may run it", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ DONE, OPEN, 0, 0, 0,        NO, THERE, ALL },
		{ POLL, HALTED, 0, 0, 0,      STOP, THERE, 0 },
		{ ACK, HALTED, 0, 0, 0,       NO, IDLE, 0 } }, NEW, true },
	{ "halted, and confirmed before it heard of that", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ DONE, HALTED, 0, 0, 0,      STOP, THERE, ALL },
		{ SUCCESS, HALTED, 0, 0, 0,   NO, IDLE, E(BOOT_OK) } }, NEW, true },
	{ "halted, and it does not come up", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ DONE, HALTED, 0, 0, 0,      STOP, THERE, ALL },
		{ FAIL, HALTED, 0, 0, 0,      NO, IDLE, E(ROLLED_BACK) } }, OLD, true },
	{ "rauc finishes in spite of the halt", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ POLL, HALTED, 0, 0, 0,      STOP, OFFERED, 0 },
		{ SUCCESS, HALTED, 0, 0, 0,   NO, MUTE, FINISHED },
		{ POLL, HALTED, 0, 0, 0,      NO, MUTE, 0 } }, OLD, true },
	{ "rauc rejects the cancel: it is told until it acknowledges, or has done", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ AT, OPEN, 0, 0, 0,          NO, BUSY, 0 },
		{ POLL, HALTED, 0, 0, 0,      STOP, BUSY, 0 },
		{ FOREIGN_FETCH_CANCEL, HALTED, 0, 0, 0, STOP, BUSY, 0 },
		{ POLL, HALTED, 0, 0, 0,      STOP, BUSY, 0 },
		{ SUCCESS, HALTED, 0, 0, 0,   NO, MUTE, FINISHED },
		{ POLL, HALTED, 0, 0, 0,      NO, MUTE, 0 } }, OLD, true },
	{ "a cancel that nobody asked for", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ FOREIGN_FETCH_CANCEL, OPEN, 0, 0, 0, WHAT, OFFERED, 0 },
		{ ACK, OPEN, 0, 0, 0,         WHAT, OFFERED, 0 },
		{ POLL, HALTED, 0, 0, 0,      STOP, OFFERED, 0 } }, OLD, false },
	{ "Omaha, which cannot cancel: forgotten", OLD, {
		{ POLL, OPEN, 0, OLD, 0,      GO, OFFERED, 0 },
		{ AT, OPEN, 0, 0, 0,          NO, BUSY, 0 },
		{ POLL, LOST, 0, OLD, 0,      NO, IDLE, 0 } }, OLD, true },
	{ "Omaha: applied, checks on before the reboot, boots", OLD, {
		{ POLL, OPEN, 0, OLD, 0,      GO, OFFERED, 0 },
		{ FOREIGN_DOWNLOADED, OPEN, 0, 0, 0, NO, BUSY, E(DOWNLOADED) },
		{ DONE, OPEN, 0, 0, 0,        NO, THERE, E(INSTALLED) | E(INSTALLING) },
		{ POLL, LOST, 0, OLD, 0,      NO, THERE, 0 },
		{ FOREIGN_BOOTED, OPEN, 0, NEW, 0, NO, IDLE, E(BOOT_OK) },
		{ POLL, OUT, 0, NEW, 0,       NO, IDLE, 0 },
		{ FOREIGN_ROLLED_BACK, OUT, 0, OLD, 0, NO, IDLE, E(ROLLED_BACK) },
		{ FOREIGN_ROLLED_BACK, OUT, 0, OLD, 0, NO, IDLE, 0 } }, OLD, false },
	{ "Omaha: the old build says that it came back", OLD, {
		{ POLL, OPEN, 0, OLD, 0,      GO, OFFERED, 0 },
		{ DONE, OPEN, 0, 0, 0,        NO, THERE, ALL },
		{ FOREIGN_ROLLED_BACK, OPEN, 0, 0, 0, NO, IDLE, E(ROLLED_BACK) } }, OLD, true },
	{ "Omaha: it says that another build has booted", OLD, {
		{ POLL, OPEN, 0, OLD, 0,      GO, OFFERED, 0 },
		{ DONE, OPEN, 0, 0, 0,        NO, THERE, ALL },
		{ FOREIGN_BOOTED, OPEN, 0, NEWER, 0, NO, THERE, 0 },
		{ FOREIGN_BOOTED, OPEN, 0, NEW, 0, NO, IDLE, E(BOOT_OK) } }, NEW, false },
	{ "Omaha: all reports were lost but that it has booted", 0, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ FOREIGN_BOOTED, OPEN, 0, NEW, 0, NO, IDLE, E(BOOT_OK) } }, NEW, false },
	{ "Omaha: that it came back is said again, and the next is offered", OLD, {
		{ POLL, OPEN, 0, OLD, 0,      GO, OFFERED, 0 },
		{ DONE, OPEN, 0, 0, 0,        NO, THERE, ALL },
		{ FOREIGN_ROLLED_BACK, OPEN, 0, 0, 0, NO, IDLE, E(ROLLED_BACK) },
		{ POLL, NEXT, 0, OLD, 0,      GO, OFFERED, 0 },
		{ FOREIGN_ROLLED_BACK, NEXT, 0, 0, 0, NO, OFFERED, 0 } }, OLD, false },
	{ "Mender: the next check names the new build", OLD, {
		{ POLL, OPEN, 0, OLD, 0,      GO, OFFERED, 0 },
		{ AT, OPEN, 0, 0, 0,          NO, BUSY, 0 },
		{ DONE, OPEN, 0, 0, 0,        NO, THERE, ALL },
		{ POLL, OUT, 0, NEW, 0,       NO, IDLE, E(BOOT_OK) } }, NEW, false },
	{ "Mender: aborted, and then its failure", OLD, {
		{ POLL, OPEN, 0, OLD, 0,      GO, OFFERED, 0 },
		{ AT, HALTED, 0, 0, 0,        STOP, BUSY, 0 },
		{ FAIL, HALTED, 0, 0, 0,      NO, IDLE, 0 } }, OLD, true },
	{ "Mender: halted after the install: it undoes it, and has not failed", OLD, {
		{ POLL, UNDO_OPEN, 0, OLD, 0, GO, OFFERED, 0 },
		{ HELLO, UNDO, 0, 0, 0,       NO, OFFERED, 0 },
		{ AT, UNDO_OPEN, 0, 0, 0,     NO, BUSY, 0 },
		{ DONE, UNDO, 0, 0, 0,        STOP, THERE, ALL },
		{ HELLO, UNDO, 0, 0, 0,       STOP, THERE, 0 },
		{ FAIL, UNDO, 0, 0, 0,        NO, IDLE, 0 },
		{ FAIL, UNDO, 0, 0, 0,        NO, IDLE, 0 } }, OLD, true },
	{ "Mender: halted, and told of it only when it had fallen back by itself", OLD, {
		{ POLL, UNDO_OPEN, 0, OLD, 0, GO, OFFERED, 0 },
		{ DONE, UNDO_OPEN, 0, 0, 0,   NO, THERE, ALL },
		{ HELLO, UNDO, 0, 0, 0,       NO, THERE, 0 },
		{ FAIL, UNDO, 0, 0, 0,        NO, IDLE, E(ROLLED_BACK) } }, OLD, true },
	{ "Mender: halted before it began; who asks again is at nothing", OLD, {
		{ POLL, UNDO_OPEN, 0, OLD, 0, GO, OFFERED, 0 },
		{ POLL, UNDO, 0, OLD, 0,      NO, IDLE, 0 },
		{ AT, UNDO, 0, 0, 0,          LATE, IDLE, 0 } }, OLD, true },
	{ "Mender: it was told to stop, and its failure is lost", OLD, {
		{ POLL, UNDO_OPEN, 0, OLD, 0, GO, OFFERED, 0 },
		{ AT, UNDO, 0, 0, 0,          STOP, BUSY, 0 },
		{ POLL, UNDO_OPEN, 0, OLD, 0, GO, OFFERED, 0 } }, OLD, true },
	{ "Mender: it fell back, and its failure is lost: it is at nothing when it asks", OLD, {
		{ POLL, UNDO_OPEN, 0, OLD, 0, GO, OFFERED, 0 },
		{ DONE, UNDO_OPEN, 0, 0, 0,   NO, THERE, ALL },
		{ POLL, UNDO_OPEN, 0, OLD, 0, GO, OFFERED, E(ROLLED_BACK) },
		{ FAIL, UNDO_OPEN, BEFORE, 0, 0, LATE, OFFERED, 0 } }, OLD, true },
	{ "Mender: success is lost, and it asks with the new build", OLD, {
		{ POLL, UNDO_OPEN, 0, OLD, 0, GO, OFFERED, 0 },
		{ DONE, UNDO_OPEN, 0, 0, 0,   NO, THERE, ALL },
		{ POLL, OUT, 0, NEW, 0,       NO, IDLE, E(BOOT_OK) } }, NEW, false },
	{ "Mender: success in spite of the halt", OLD, {
		{ POLL, UNDO_OPEN, 0, OLD, 0, GO, OFFERED, 0 },
		{ DONE, UNDO, 0, 0, 0,        STOP, THERE, ALL },
		{ SUCCESS, UNDO, 0, 0, 0,     NO, IDLE, E(BOOT_OK) } }, NEW, true },
	{ "Mender: no reboot; the next check shows it", OLD, {
		{ POLL, OPEN, 0, OLD, 0,      GO, OFFERED, 0 },
		{ FOREIGN_DOWNLOADED, OPEN, 0, 0, 0, NO, BUSY, E(DOWNLOADED) },
		{ SUCCESS, OPEN, 0, 0, 0,     NO, MUTE, E(INSTALLED) | E(INSTALLING) },
		{ HELLO, OPEN, 0, 0, 0,       NO, MUTE, 0 },
		{ POLL, OUT, 0, NEW, 0,       NO, IDLE, E(BOOT_OK) } }, NEW, false },
	{ "Mender: it had it already, and nobody knew", 0, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ HAS, OPEN, 0, 0, 0,         NO, IDLE, 0 },
		{ HAS, OPEN, 0, 0, 0,         NO, IDLE, 0 },
		{ AT, OPEN, 0, 0, 0,          LATE, IDLE, 0 } }, NEW, true },
	{ "Mender: it was known to run another, and has it now", OLD, {
		{ POLL, OPEN, 0, OLD, 0,      GO, OFFERED, 0 },
		{ HAS, OPEN, 0, 0, 0,         NO, IDLE, E(BOOT_OK) } }, NEW, true },
	{ "who only says that he is here", OLD, {
		{ HELLO, OPEN, 0, 0, 0,       NO, IDLE, 0 } }, OLD, false },
	{ "what was halted is said to run, and something else is offered", OLD, {
		{ POLL, OPEN, 0, OLD, 0,      GO, OFFERED, 0 },
		{ DONE, OPEN, 0, 0, 0,        NO, THERE, ALL },
		{ POLL, BAD, 0, NEW, 0,       GO, OFFERED, E(BOOT_OK) },
		{ FETCH, OPEN, 0, 0, 0,       GO, OFFERED, 0 } }, NEW, false },
	{ "the reports are lost, and it runs the new build", OLD, {
		{ POLL, OPEN, 0, OLD, 0,      GO, OFFERED, 0 },
		{ POLL, OPEN, 0, NEW, 0,      GO, OFFERED, E(BOOT_OK) } }, NEW, false },
	{ "it ran what it was offered, and nobody knew", 0, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ SELF, OUT, 0, NEW, 0,       NO, IDLE, 0 } }, NEW, false },
	{ "paused: not begun, and then it may", OLD, {
		{ POLL, PAUSED, 0, 0, 0,      NO, IDLE, 0 },
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ POLL, PAUSED, 0, 0, 0,      NO, OFFERED, 0 },
		{ AT, PAUSED, 0, 0, 0,        NO, BUSY, 0 },
		{ POLL, PAUSED, 0, 0, 0,      GO, BUSY, 0 } }, OLD, false },
	{ "not begun for long: what others have now", OLD, {
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ POLL, OPEN, 0, 0, 9 * PATIENCE, GO, OFFERED, 0 },
		{ POLL, OUT, 0, 0, 1,         NO, IDLE, 0 },
		{ POLL, NEXT, 0, 0, 0,        GO, OFFERED, 0 },
		{ AT, NEXT, BEFORE, 0, 0,     LATE, OFFERED, 0 } }, OLD, false },
	{ "of actions there never were", OLD, {
		{ SUCCESS, OPEN, THIS, 0, 0,  WHAT, IDLE, 0 },
		{ FETCH, OPEN, AFTER, 0, 0,   WHAT, IDLE, 0 },
		{ POLL, OPEN, 0, 0, 0,        GO, OFFERED, 0 },
		{ FAIL, OPEN, AFTER, 0, 0,    WHAT, OFFERED, 0 },
		{ ACK, OPEN, BEFORE, 0, 0,    LATE, OFFERED, 0 } }, OLD, false },
};
/* clang-format on */

static struct foreign_world world_of(unsigned world, uint64_t now_ms)
{
	static const enum answer answers[] = { ANSWER_OFFER, ANSWER_HALTED, ANSWER_PAUSED,
		ANSWER_STAGED_OUT, ANSWER_OFFER, ANSWER_HALTED, ANSWER_OFFER, ANSWER_HALTED,
		ANSWER_OFFER };
	bool next = world == NEXT || world == BAD;

	return (struct foreign_world){
		.now_ms = now_ms,
		.answer = answers[world],
		.build = next ? NEWER : NEW,
		.counter = next ? 3 : 2,
		.halted = world == HALTED || world == LOST || world == BAD || world == UNDO,
		.no_cancel = world == LOST,
		.undoes = world == UNDO || world == UNDO_OPEN,
		.patience_ms = PATIENCE,
	};
}

static uint32_t action_of(const struct foreign *f, unsigned of)
{
	return of == BEFORE ? f->action - 1 : of == AFTER ? f->action + 1 : f->action;
}

static void play(const struct script *s)
{
	struct foreign f = { .protocol = FOREIGN_DDI, .runs = s->runs };
	uint64_t now_ms = NOW;

	for (size_t i = 0; i < COUNT(s->line) &&
		(i == 0 || s->line[i].word != 0 || s->line[i].state != 0 || s->line[i].world != 0);
		i++) {
		const struct line *l = &s->line[i];
		struct foreign_said said = {
			.word = l->word, .names_build = l->names != 0, .build = l->names
		};
		struct foreign_world world;
		struct foreign_turn t;
		now_ms += l->wait_ms;
		world = world_of(l->world, now_ms);
		if (l->word != POLL && l->word != SELF && l->word != HELLO)
			said.action = action_of(&f, l->of);
		t = foreign_step(&f, &said, &world);
		if (t.tell != l->tell || t.next.state != l->state || t.events != l->events)
			fail_msg("%s, line %zu: tell %d, state %d, events %x", s->why, i + 1,
				(int)t.tell, (int)t.next.state, t.events);
		if (t.changed != (t.events != 0 || memcmp(&f, &t.next, sizeof(f)) != 0))
			fail_msg("%s, line %zu: changed is %d", s->why, i + 1, t.changed);
		f = t.next;
	}
	if (f.runs != s->runs_after || f.wants != s->wants_after)
		fail_msg("%s: runs %u, wants %d", s->why, (unsigned)f.runs, f.wants);
}

static void test_scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scripts); i++)
		play(&scripts[i]);
}

/* The number rises, whatever the clock and an older store say, and fits 31 bits. */
static void test_numbers(void **state)
{
	static const struct {
		const char *why;
		uint32_t last;
		uint64_t now_ms;
		uint32_t want;
	} rows[] = {
		{ "the first one", 0, NOW, NUMBER },
		{ "the next one, later", 17, NOW, NUMBER },
		{ "in the same second", NUMBER, NOW, NUMBER + 1 },
		{ "the clock went back", NUMBER + 500, NOW, NUMBER + 501 },
		{ "no clock at all", 0, 0, 1 },
		{ "far from now", 0, 9000000000000ull, INT32_MAX },
		{ "there are no more", INT32_MAX, NOW, INT32_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct foreign f = { .protocol = FOREIGN_DDI, .action = rows[i].last };
		struct foreign_said said = { .word = FOREIGN_POLL };
		struct foreign_world world = world_of(OPEN, rows[i].now_ms);
		struct foreign_turn t = foreign_step(&f, &said, &world);
		if (t.next.action != rows[i].want)
			fail_msg("%s: %u", rows[i].why, t.next.action);
		assert_true((t.tell == FOREIGN_DEPLOY) == (rows[i].last < INT32_MAX));
	}
}

/* Whatever comes in whatever order: each event once an action, and never more than one end of it. */
static void test_any_order(void **state)
{
	uint64_t dice = 88172645463325252ull;
	const uint32_t ends = E(BOOT_OK) | E(INSTALL_FAILED) | E(ROLLED_BACK);

	(void)state;
	for (unsigned run = 0; run < 20000; run++) {
		struct foreign f = { .protocol = FOREIGN_DDI, .runs = OLD };
		uint32_t action = 0, seen = 0;
		uint64_t now_ms = NOW;
		for (unsigned i = 0; i < 30; i++) {
			dice ^= dice << 13;
			dice ^= dice >> 7;
			dice ^= dice << 17;
			struct foreign_said said = {
				.word = (enum foreign_word)(dice % FOREIGN_WORD__COUNT),
				.names_build = (dice >> 8 & 7) == 0,
				.build = (dice >> 16 & 1) != 0 ? OLD : NEW,
				.action = (dice >> 20 & 7) == 0 ? 5 : 0,
			};
			struct foreign_world world =
				world_of((unsigned)(dice >> 24 & 15) % 9, now_ms);
			struct foreign_turn t = foreign_step(&f, &said, &world);
			now_ms += dice >> 32 & 0x7fff;
			/* Those of the action there was before, though it may have got another. */
			assert_int_equal(t.events & seen, 0);
			seen |= t.events;
			if (t.next.action != action) {
				assert_true(t.next.action > action);
				assert_int_equal(said.word, FOREIGN_POLL);
				action = t.next.action;
				seen = 0;
			}
			assert_true((seen & ends & ~E(ROLLED_BACK)) !=
				(E(BOOT_OK) | E(INSTALL_FAILED)));
			assert_false(t.tell == FOREIGN_DEPLOY &&
				((world.halted && t.next.action == f.action) || t.next.cancelling));
			assert_false(t.next.cancelling && !foreign_is_busy(&t.next));
			f = t.next;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
