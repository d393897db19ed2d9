/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/wheel.h"

static void link_node(struct wheel_node **head, struct wheel_node *n)
{
	n->next = *head;
	if (n->next != NULL)
		n->next->at = &n->next;
	n->at = head;
	*head = n;
}

void wheel_init(struct wheel *w, uint64_t now_ms)
{
	*w = (struct wheel){ .tick = now_ms / WHEEL_TICK_MS };
}

void wheel_set(struct wheel *w, struct wheel_node *n, uint64_t deadline_ms)
{
	/* The first tick that begins at the deadline or after it. */
	uint64_t tick = (deadline_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;

	n->deadline_ms = deadline_ms;
	/* Where it is, it is looked at in time, and then goes to where it belongs. */
	if (n->at != NULL && n->tick <= tick)
		return;
	wheel_clear(n);
	n->tick = tick > w->tick ? tick : w->tick;
	link_node(&w->slot[n->tick % WHEEL_SLOTS], n);
}

void wheel_clear(struct wheel_node *n)
{
	if (n->at == NULL)
		return;
	*n->at = n->next;
	if (n->next != NULL)
		n->next->at = n->at;
	n->next = NULL;
	n->at = NULL;
}

/* Moves the slots of all ticks up to `tick` to the due list. */
static void turn(struct wheel *w, uint64_t tick)
{
	/* After a long sleep once around is all there is. */
	if (tick - w->tick >= WHEEL_SLOTS)
		w->tick = tick - WHEEL_SLOTS + 1;
	for (; w->tick <= tick; w->tick++) {
		struct wheel_node **slot = &w->slot[w->tick % WHEEL_SLOTS];
		while (*slot != NULL) {
			struct wheel_node *n = *slot;
			wheel_clear(n);
			link_node(&w->due, n);
		}
	}
}

struct wheel_node *wheel_expired(struct wheel *w, uint64_t now_ms)
{
	struct wheel_node *n;

	if (now_ms / WHEEL_TICK_MS >= w->tick)
		turn(w, now_ms / WHEEL_TICK_MS);
	while ((n = w->due) != NULL) {
		wheel_clear(n);
		if (n->deadline_ms <= now_ms)
			return n;
		wheel_set(w, n, n->deadline_ms);
	}
	return NULL;
}
