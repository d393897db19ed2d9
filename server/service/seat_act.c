/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/seat_act.h"

#include "server/base/mem.h"
#include "server/service/command_private.h"
#include "server/service/seat.h"

/* The first half is unique in a fleet, and enough for a person. */
#define ID_SHOWN 8u

struct shown_id {
	char s[2 * ID_SHOWN + 1];
};

static struct shown_id show_id(const uint8_t *id)
{
	static const char digit[] = "0123456789abcdef";
	struct shown_id out = { "" };

	for (size_t i = 0; i < ID_SHOWN; i++) {
		out.s[2 * i] = digit[id[i] >> 4];
		out.s[2 * i + 1] = digit[id[i] & 15];
	}
	return out;
}

static int check_device(const struct server *s, const Pb__SeatAct *m, size_t i, char *text)
{
	const uint8_t *id = m->device_ids[i].data;
	const struct product *p = registry_product(&s->registry, m->product);
	const char *ring = ring_str((enum ring)m->ring);
	bool remove = m->has_remove && m->remove;
	fleet_word *word = fleet_find(s->fleet, id);
	struct fleet_device d = { 0 };

	if (word != NULL)
		d = fleet_unpack(atomic_load(word));
	if (word == NULL || d.left || d.product != p->number)
		return command_refuse(text, ERR_NOT_FOUND, "device %s: %s has no such device",
			show_id(id).s, m->product);
	for (size_t k = 0; k < i; k++)
		if (memcmp(m->device_ids[k].data, id, ID_LEN) == 0)
			return command_refuse(
				text, ERR_EXISTS, "device %s: is named twice", show_id(id).s);
	if (remove && d.ring != (enum ring)m->ring)
		return command_refuse(
			text, ERR_WRONG_STATE, "device %s: has no seat of %s", show_id(id).s, ring);
	if (!remove && d.ring == (enum ring)m->ring)
		return command_refuse(text, ERR_EXISTS, "device %s: has a seat of %s already",
			show_id(id).s, ring);
	/* It would not take what the seat is for, and give it up at its next poll. */
	if (!remove && d.wish > (enum ring)m->ring)
		return command_refuse(text, ERR_WRONG_STATE,
			"device %s: has not opted in to %s, which is for its user to do",
			show_id(id).s, ring);
	return 0;
}

int seat_act_check(const struct server *s, const Pb__SeatAct *m, char *text)
{
	const struct product *p = registry_product(&s->registry, m->product);
	uint64_t free_seats = seat_free(s, p->line, (enum ring)m->ring);
	bool remove = m->has_remove && m->remove;

	for (size_t i = 0; i < m->n_device_ids; i++) {
		int err = check_device(s, m, i, text);
		if (err != 0)
			return err;
	}
	if (!remove && m->n_device_ids > free_seats)
		return command_refuse(text, ERR_WRONG_STATE,
			"ring %s: %llu seats are free, not %zu", ring_str((enum ring)m->ring),
			(unsigned long long)free_seats, m->n_device_ids);
	return 0;
}

int seat_act_take(struct control *c, const Pb__SeatAct *m, struct bytes envelope, uint64_t now_ms)
{
	const struct product *p = registry_product(&c->server->registry, m->product);
	struct seat_fill fill = { .line = p->line,
		.ring = m->has_remove && m->remove ? RING_STABLE : (enum ring)m->ring,
		.n = m->n_device_ids,
		.index = c->state.log.size };
	int err = append_pack(c, envelope, now_ms, &fill.entry);

	fill.ids = mem_alloc(fill.n * ID_LEN);
	for (size_t i = 0; i < fill.n; i++)
		memcpy(fill.ids[i], m->device_ids[i].data, ID_LEN);
	if (err == 0)
		err = seat_give(c->server, &fill);
	if (err == 0)
		err = append_follow(c);
	seat_fill_release(&fill);
	return err;
}
