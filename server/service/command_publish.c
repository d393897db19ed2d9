/* SPDX-License-Identifier: Apache-2.0 */
/* A build that is to be published. */
#include "proto/names.h"
#include "server/service/command_private.h"

int command_floor(const struct state *s, const char *product, const char *build_id,
	uint64_t counter, char *text)
{
	const char *build;
	uint64_t at = s->floor(s->ctx, product, &build);

	if (counter > at)
		return 0;
	return command_refuse(text, ERR_BAD_BUILD,
		"build %s: counter %llu is not above %llu of %s, the floor of %s", build_id,
		(unsigned long long)counter, (unsigned long long)at, build, product);
}

static const Pb__Target *full_file(const Pb__Targets *t)
{
	if (t->n_targets == 0 || t->targets[0]->base_build_id != NULL ||
		t->targets[0]->sha256.len != SHA256_LEN || t->targets[0]->length == 0)
		return NULL;
	return t->targets[0];
}

static int check_targets(const struct state *s, const Pb__Targets *t, char *text)
{
	if (strcmp(t->repository, s->root->repository) != 0)
		return command_refuse(
			text, ERR_WRONG_REPOSITORY, "build: %s", err_str(ERR_WRONG_REPOSITORY));
	if (!name_ok(t->build_id) || (t->release != NULL && !name_ok(t->release)) ||
		t->release_counter == 0)
		return command_refuse(text, ERR_BAD_BUILD,
			"build: ids are 1 to 63 of A-Z a-z 0-9 . _ -, counters start at 1");
	if (!s->knows_product(s->ctx, NULL, t->product))
		return command_refuse(text, ERR_NOT_FOUND,
			"build %s: the configuration knows no product '%s'", t->build_id,
			t->product);
	if (state_is_below_floor(s, t->product, t->release_counter))
		return command_floor(s, t->product, t->build_id, t->release_counter, text);
	if (full_file(t) == NULL)
		return command_refuse(text, ERR_BAD_BUILD,
			"build %s: its first file must be a whole one", t->build_id);
	if (!s->has_file(s->ctx, t->targets[0]->sha256.data))
		return command_refuse(text, ERR_NO_ARTIFACT, "build %s: %s", t->build_id,
			err_str(ERR_NO_ARTIFACT));
	return 0;
}

/* Published again: the same in everything but how long it lives. */
static int check_again(const struct build *b, const Pb__Targets *t, struct arena *a, char *text)
{
	int err;
	const Pb__Envelope *e = envelope_read(buf_bytes(&b->targets), a, &err);
	const Pb__Targets *old = e == NULL ? NULL
					   : wire_read(&pb__targets__descriptor,
						     wire_bytes(e->payload), &wire_signed, a, &err);
	Pb__Targets as_old = *t;
	struct bytes x, y;

	if (old == NULL)
		return command_refuse(text, err, "build %s: %s", b->build_id, err_str(err));
	if (t->version <= old->version)
		return command_refuse(text, ERR_EXISTS, "build %s: published already", b->build_id);
	as_old.version = old->version;
	as_old.expires = old->expires;
	err = wire_pack(&as_old, a, &x);
	if (err == 0)
		err = wire_pack(old, a, &y);
	if (err != 0)
		return command_refuse(text, err, "build %s: %s", b->build_id, err_str(err));
	if (!bytes_eq(x, y))
		return command_refuse(text, ERR_BAD_BUILD,
			"build %s: is published already, and is another one", b->build_id);
	return 0;
}

static int check_order(const struct state *s, const Pb__Targets *t, struct arena *a, char *text)
{
	const struct build *same = state_build(s, t->product, t->build_id);

	if (same != NULL)
		return check_again(same, t, a, text);
	for (size_t i = 0; i < s->n_builds; i++) {
		const struct build *b = s->builds[i];
		if (strcmp(b->product, t->product) != 0)
			continue;
		if (b->release_counter >= t->release_counter)
			return command_refuse(text, ERR_BAD_BUILD,
				"build %s: counter %llu is not above %llu of %s", t->build_id,
				(unsigned long long)t->release_counter,
				(unsigned long long)b->release_counter, b->build_id);
		if (b->rollback_index > t->rollback_index)
			return command_refuse(text, ERR_BAD_BUILD,
				"build %s: rollback index %llu is below %llu of %s", t->build_id,
				(unsigned long long)t->rollback_index,
				(unsigned long long)b->rollback_index, b->build_id);
	}
	return 0;
}

int check_publish(const struct state *s, const struct command *c, struct arena *a, char *text)
{
	struct bytes payload;
	const Pb__Targets *t;
	int err;

	err = envelope_open(crypto_openssl(), wire_bytes(c->message->publish->targets),
		ENVELOPE_TARGETS, s->root, a, &payload);
	if (err == ERR_BELOW_THRESHOLD)
		return command_refuse(text, err, "build: needs the signatures of %u release keys",
			s->root->targets->threshold);
	if (err != 0)
		return command_refuse(text, err, "build: %s", err_str(err));
	t = wire_read(&pb__targets__descriptor, payload, &wire_signed, a, &err);
	if (t == NULL)
		return command_refuse(text, err, "build: %s", err_str(err));
	if (t->expires <= c->now_s)
		return command_refuse(
			text, ERR_EXPIRED, "build %s: what was signed has expired", t->build_id);
	err = check_targets(s, t, text);
	return err != 0 ? err : check_order(s, t, a, text);
}
