/* SPDX-License-Identifier: Apache-2.0 */
/* What a Mender client is told. */
#include <assert.h>

#include "server/base/json.h"
#include "server/http/compat/mender_wire.h"

static const char *const action_word[MENDER_ACTION__COUNT] = {
	[MENDER_CONTINUE] = "continue",
	[MENDER_FORCE_CONTINUE] = "force_continue",
	[MENDER_PAUSE] = "pause",
	[MENDER_FAIL] = "fail",
};
static const char *const state_word[MENDER_STATE__COUNT] = {
	[MENDER_ARTIFACT_INSTALL] = "ArtifactInstall_Enter",
	[MENDER_ARTIFACT_REBOOT] = "ArtifactReboot_Enter",
	[MENDER_ARTIFACT_COMMIT] = "ArtifactCommit_Enter",
};

static void write_action(struct json *j, const char *key, enum mender_action action)
{
	if (action != MENDER_LEFT_OUT)
		json_str(j, key, action_word[action]);
}

static void write_map(struct json *j, const struct mender_control *c)
{
	json_object(j, "update_control_map");
	json_str(j, "id", c->id);
	json_u64(j, "priority", c->priority);
	json_object(j, "states");
	for (unsigned i = 0; i < MENDER_STATE__COUNT; i++) {
		if (c->state[i].action == MENDER_LEFT_OUT)
			continue;
		json_object(j, state_word[i]);
		write_action(j, "action", c->state[i].action);
		write_action(j, "on_map_expire", c->state[i].on_expire);
		write_action(j, "on_action_executed", c->state[i].on_executed);
		json_end_object(j);
	}
	json_end_object(j);
	json_end_object(j);
}

void mender_write_control(struct buf *out, const struct mender_control *c)
{
	struct json j = { .out = out };

	json_object(&j, NULL);
	write_map(&j, c);
	json_end_object(&j);
}

void mender_write_next(struct buf *out, const struct mender_deployment *d)
{
	struct json j = { .out = out };

	assert(d->n_device_types > 0);
	json_object(&j, NULL);
	json_str(&j, "id", d->id);
	json_object(&j, "artifact");
	json_str(&j, "artifact_name", d->artifact_name);
	json_object(&j, "source");
	json_str(&j, "uri", d->uri);
	json_time(&j, "expire", d->expires_ms);
	json_end_object(&j);
	json_array(&j, "device_types_compatible");
	for (size_t i = 0; i < d->n_device_types; i++)
		json_str(&j, NULL, d->device_type[i]);
	json_end_array(&j);
	json_end_object(&j);
	if (d->control != NULL)
		write_map(&j, d->control);
	json_end_object(&j);
}

/* ---- ids ---- */

#define HEX (2 * ID_LEN)
static const size_t part[] = { 8, 4, 4, 4, 12 }; /* hex digits between the dashes */

char *mender_uuid(const uint8_t id[ID_LEN], char out[MENDER_UUID])
{
	char hex[HEX + 1], *at = out;
	const char *from = hex_encode(hex, id, ID_LEN);

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		if (i > 0)
			*at++ = '-';
		memcpy(at, from, part[i]);
		at += part[i];
		from += part[i];
	}
	*at = '\0';
	return out;
}

bool mender_read_uuid(struct bytes text, uint8_t id[ID_LEN])
{
	char hex[HEX + 1] = "", again[MENDER_UUID], *to = hex;
	const uint8_t *at = text.p;

	if (text.n != MENDER_UUID - 1)
		return false;
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		memcpy(to, at, part[i]);
		to += part[i];
		at += part[i] + 1;
	}
	/* Dashes in their places, and small letters. */
	return hex_decode(id, ID_LEN, hex) && bytes_eq(bytes_str(mender_uuid(id, again)), text);
}
