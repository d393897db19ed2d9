/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/foreign.h"

#define BIT(event) (1u << (event))
/* 2026-01-01: numbers of actions count seconds since then. */
#define NUMBERS_FROM_S 1767225600u

const char *foreign_protocol_str(enum foreign_protocol protocol)
{
	static const char *const names[FOREIGN__END] = { "none", "hawkbit", "mender", "omaha" };

	return names[protocol < FOREIGN__END ? protocol : 0];
}

const char *foreign_state_str(enum foreign_state state)
{
	static const char *const names[FOREIGN_STATE__COUNT] = { "idle", "offered", "installing",
		"installed", "awaiting" };

	return names[state < FOREIGN_STATE__COUNT ? state : 0];
}

bool foreign_name_ok(struct bytes name)
{
	if (name.n == 0 || name.n > FOREIGN_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~' || memchr("/\"'\\", name.p[i], 4) != NULL)
			return false;
	return true;
}

/* One step under way. */
struct step {
	struct foreign_turn *t;
	struct foreign *f; /* what will be remembered */
	uint32_t action;   /* there was before */
	const struct foreign_said *said;
	const struct foreign_world *world;
};

static void enter(struct step *s, enum foreign_state state)
{
	s->f->state = state;
	s->f->since_ms = s->world->now_ms;
}

static void count(struct step *s, uint32_t events)
{
	s->t->events |= events & ~s->f->counted;
	s->f->counted |= events;
}

/* Afterwards it may be another build than the server thinks. */
static void end(struct step *s)
{
	enter(s, FOREIGN_IDLE);
	s->f->cancelling = false;
	s->f->wants = true;
}

static void boot(struct step *s)
{
	count(s, BIT(FOREIGN_EV_BOOT_OK));
	s->f->runs = s->f->build;
	end(s);
}

static void roll_back(struct step *s)
{
	count(s, BIT(FOREIGN_EV_ROLLED_BACK));
	if (s->f->runs == s->f->build)
		s->f->runs = 0;
	end(s);
}

/* Its device says which build it runs if it can; this one cannot. */
static void believe(struct step *s)
{
	s->f->runs = s->f->build;
	end(s);
}

static bool is_installed(const struct foreign *f)
{
	return f->state == FOREIGN_INSTALLED || f->state == FOREIGN_AWAITING;
}

static bool waited_long(const struct step *s)
{
	const struct foreign_world *w = s->world;

	return w->now_ms >= s->f->since_ms && w->now_ms - s->f->since_ms > w->patience_ms;
}

/* ---- what it says, while it has an action ---- */

static void nothing(struct step *s)
{
	(void)s;
}

static void progress(struct step *s)
{
	if (s->f->state == FOREIGN_OFFERED)
		enter(s, FOREIGN_INSTALLING);
}

static void downloaded(struct step *s)
{
	count(s, BIT(FOREIGN_EV_DOWNLOADED));
	progress(s);
}

static void done(struct step *s)
{
	if (is_installed(s->f))
		return;
	count(s,
		BIT(FOREIGN_EV_DOWNLOADED) | BIT(FOREIGN_EV_INSTALLING) |
			BIT(FOREIGN_EV_INSTALLED));
	enter(s, FOREIGN_INSTALLED);
}

/* Of the new build only when the old one has said that it is done: else it is the old one's word. */
static void success(struct step *s)
{
	if (s->f->state == FOREIGN_INSTALLED) {
		boot(s);
	} else if (s->f->state != FOREIGN_AWAITING) {
		count(s, BIT(FOREIGN_EV_DOWNLOADED) | BIT(FOREIGN_EV_INSTALLED));
		/* Its boot is waited for only if it can be heard of. */
		if (s->f->tells_build)
			count(s, BIT(FOREIGN_EV_INSTALLING));
		enter(s, FOREIGN_AWAITING);
		s->f->wants = true;
		s->f->cancelling = false;
	}
}

/* What we stopped has not failed. */
static void failure(struct step *s)
{
	bool undone = s->f->cancelling && s->world->undoes;

	if (is_installed(s->f) && !undone) {
		roll_back(s);
		return;
	}
	if (!s->f->cancelling)
		count(s, BIT(FOREIGN_EV_INSTALL_FAILED));
	end(s);
}

/* What was installed before is there: the worse case is that it runs. */
static void cancelled(struct step *s)
{
	if (!s->f->cancelling) {
		s->t->tell = FOREIGN_UNKNOWN;
		return;
	}
	if (is_installed(s->f))
		s->f->runs = s->f->build;
	end(s);
}

/* ---- what it runs ---- */

static void runs_it(struct step *s)
{
	/* It may have had it all the time, and nobody knew; unless it says that this is new. */
	if (s->said->word != FOREIGN_BOOTED && s->f->state == FOREIGN_OFFERED &&
		(s->f->runs == 0 || s->f->runs == s->f->build))
		believe(s);
	else
		boot(s);
}

static void runs_another(struct step *s)
{
	if (is_installed(s->f) && waited_long(s))
		roll_back(s);
	s->f->runs = s->said->build;
}

static void learn(struct step *s)
{
	s->f->tells_build = true;
	s->f->wants = false;
	if (s->f->state == FOREIGN_IDLE)
		s->f->runs = s->said->build;
	else if (s->said->build == s->f->build)
		runs_it(s);
	else
		runs_another(s);
	/* It was asked, or tells by itself; who waits for its new build asks on. */
	s->f->wants = s->f->state == FOREIGN_AWAITING;
}

/* Which build that is has been learnt, if it was named: it may be another than the action's. */
static void booted(struct step *s)
{
	if (!s->said->names_build)
		boot(s);
}

/* What it has not begun it cannot have left: that is said again of an action before. */
static void came_back(struct step *s)
{
	if (s->f->state != FOREIGN_OFFERED)
		roll_back(s);
}

static void attributes(struct step *s)
{
	if (s->said->names_build)
		return; /* learnt already */
	if (s->f->state == FOREIGN_AWAITING && !s->f->tells_build)
		believe(s);
	s->f->wants = s->f->state == FOREIGN_AWAITING;
}

/* ---- asking ---- */

static uint32_t next_number(const struct foreign *f, uint64_t now_ms)
{
	uint64_t since = now_ms / 1000 > NUMBERS_FROM_S ? now_ms / 1000 - NUMBERS_FROM_S : 1;

	if (since > INT32_MAX)
		since = INT32_MAX;
	return since > f->action ? (uint32_t)since : f->action + 1;
}

static void offer(struct step *s)
{
	const struct foreign_world *w = s->world;
	struct foreign *f = s->f;

	if (w->answer != ANSWER_OFFER || f->action == INT32_MAX)
		return;
	f->action = next_number(f, w->now_ms);
	f->build = w->build;
	f->counter = w->counter;
	f->counted = 0;
	f->cancelling = false;
	enter(s, FOREIGN_OFFERED);
}

/* Of the action there was; one that is new is of a build that was just offered. */
static bool is_halted(const struct step *s)
{
	return s->world->halted && s->f->action == s->action;
}

/* It asks, so it is at nothing: its failure was lost, or it never began. */
static void settle(struct step *s)
{
	if (!foreign_is_busy(s->f) || s->f->state == FOREIGN_AWAITING)
		return;
	if (s->f->cancelling || is_halted(s))
		end(s);
	else if (s->f->state == FOREIGN_INSTALLED && s->said->names_build)
		roll_back(s);
}

static void poll(struct step *s)
{
	bool offered = s->world->answer == ANSWER_OFFER && s->world->build == s->f->build;

	if (s->world->undoes)
		settle(s);
	/* It has not begun, and others are to have it now, or nobody. */
	if (s->f->state == FOREIGN_OFFERED && !offered && !s->world->halted && !s->f->cancelling &&
		waited_long(s))
		enter(s, FOREIGN_IDLE);
	/* It was asked for its build, and never answered; who can answer is asked on. */
	if (s->f->state == FOREIGN_AWAITING && !s->f->tells_build && waited_long(s))
		believe(s);
	if (s->f->state == FOREIGN_IDLE)
		offer(s);
}

/* ---- all of it ---- */

static const struct {
	void (*take)(struct step *s);
	bool of_action; /* it is about an action, and there must be one */
	bool ends;      /* may be said again when the action is closed */
} words[FOREIGN_WORD__COUNT] = {
	[FOREIGN_POLL] = { poll, false, false },
	[FOREIGN_FETCH] = { nothing, true, false },
	[FOREIGN_FETCH_CANCEL] = { nothing, true, false },
	[FOREIGN_PROGRESS] = { progress, true, false },
	[FOREIGN_DOWNLOADED] = { downloaded, true, false },
	[FOREIGN_DONE] = { done, true, false },
	[FOREIGN_SUCCESS] = { success, true, true },
	[FOREIGN_BOOTED] = { booted, true, true },
	[FOREIGN_FAILURE] = { failure, true, true },
	[FOREIGN_ROLLED_BACK] = { came_back, true, true },
	[FOREIGN_CANCELLED] = { cancelled, true, true },
	[FOREIGN_ATTRIBUTES] = { attributes, false, false },
	[FOREIGN_HELLO] = { nothing, false, false },
	[FOREIGN_ALREADY] = { runs_it, true, true },
};

/* True when it is about the action under way. */
static bool find_action(struct step *s)
{
	uint32_t action = s->said->action;

	if (s->f->action == 0 || (action != 0 && action != s->f->action))
		s->t->tell = action < s->f->action ? FOREIGN_GONE : FOREIGN_UNKNOWN;
	else if (s->f->state != FOREIGN_IDLE)
		return true;
	else if (!words[s->said->word].ends)
		s->t->tell = FOREIGN_GONE;
	else if (s->said->word == FOREIGN_ROLLED_BACK &&
		(s->f->counted & BIT(FOREIGN_EV_BOOT_OK)) != 0)
		roll_back(s); /* it ran, and does not any more */
	return false;
}

/* A halt reaches who is under way, and stays until it is acknowledged. */
static void halt(struct step *s)
{
	struct foreign *f = s->f;

	if (!foreign_is_busy(f) || f->state == FOREIGN_AWAITING || !is_halted(s))
		return;
	if (s->world->undoes && !words[s->said->word].of_action)
		return; /* it would not be told now */
	if (!s->world->no_cancel)
		f->cancelling = true;
	else if (f->state != FOREIGN_INSTALLED)
		end(s);
}

/* Whether an action may be begun, or gone on with. */
static bool may_deploy(const struct step *s)
{
	const struct foreign_world *w = s->world;

	if (!foreign_is_busy(s->f) || s->f->state == FOREIGN_AWAITING || is_halted(s))
		return false;
	return s->f->state != FOREIGN_OFFERED || s->said->word != FOREIGN_POLL ||
		w->answer == ANSWER_OFFER;
}

static enum foreign_tell tell(const struct step *s)
{
	enum foreign_word word = s->said->word;

	if (word == FOREIGN_FETCH_CANCEL)
		return s->f->cancelling ? FOREIGN_CANCEL : FOREIGN_UNKNOWN;
	if (word == FOREIGN_FETCH && s->f->cancelling)
		return FOREIGN_UNKNOWN;
	if (s->f->cancelling)
		return FOREIGN_CANCEL;
	if (word == FOREIGN_FETCH)
		return may_deploy(s)                      ? FOREIGN_DEPLOY
			: s->f->state == FOREIGN_AWAITING ? FOREIGN_GONE
							  : FOREIGN_UNKNOWN;
	return word == FOREIGN_POLL && may_deploy(s) ? FOREIGN_DEPLOY : FOREIGN_NOTHING;
}

static bool is_same(const struct foreign *a, const struct foreign *b)
{
	return a->protocol == b->protocol && a->state == b->state &&
		a->cancelling == b->cancelling && a->tells_build == b->tells_build &&
		a->wants == b->wants && a->counted == b->counted && a->action == b->action &&
		a->build == b->build && a->counter == b->counter && a->runs == b->runs &&
		a->since_ms == b->since_ms;
}

struct foreign_turn foreign_step(
	const struct foreign *f, const struct foreign_said *said, const struct foreign_world *world)
{
	struct foreign_turn t = { .next = *f, .tell = FOREIGN_NOTHING };
	struct step s = { &t, &t.next, f->action, said, world };
	bool known = !words[said->word].of_action || find_action(&s);

	if (said->names_build)
		learn(&s);
	if (known && (foreign_is_busy(s.f) || !words[said->word].of_action))
		words[said->word].take(&s);
	halt(&s);
	if (known && t.tell == FOREIGN_NOTHING)
		t.tell = tell(&s);
	t.wants = t.next.wants;
	t.changed = !is_same(f, &t.next);
	return t;
}
