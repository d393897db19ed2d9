/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/src/layout.h"

#include "client-sdk/src/state.h"
#include "proto/device.pb-c.h"

#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))
#define SIZE(s, m) sizeof(((struct s *)0)->m)
#define U8(s, m, mx)                                                                               \
	{                                                                                          \
		SLOT_U8, offsetof(struct s, m), (mx), 0, NULL                                      \
	}
#define U32(s, m)                                                                                  \
	{                                                                                          \
		SLOT_U32, offsetof(struct s, m), 0, 0, NULL                                        \
	}
#define U64(s, m)                                                                                  \
	{                                                                                          \
		SLOT_U64, offsetof(struct s, m), 0, 0, NULL                                        \
	}
#define BYTES(s, m)                                                                                \
	{                                                                                          \
		SLOT_BYTES, offsetof(struct s, m), SIZE(s, m), 0, NULL                             \
	}
#define TEXT(s, m)                                                                                 \
	{                                                                                          \
		SLOT_TEXT, offsetof(struct s, m), TEXT_LEN, 0, NULL                                \
	}
#define LIST(m, of)                                                                                \
	{                                                                                          \
		SLOT_LIST, offsetof(struct state, m), COUNT(((struct state *)0)->m),               \
			offsetof(struct state, n_##m), of                                          \
	}
#define BLOB(m)                                                                                    \
	{                                                                                          \
		SLOT_BLOB, offsetof(struct state, m), SIZE(state, m),                              \
			offsetof(struct state, m##_len), NULL                                      \
	}
#define TREE(m)                                                                                    \
	{                                                                                          \
		SLOT_TREE, offsetof(struct state, m), 0, 0, NULL                                   \
	}

static const struct slot failed_slots[] = { TEXT(failed_build, build_id) };
static const struct slot halted_slots[] = {
	U64(halted_build, plan_version),
	TEXT(halted_build, build_id),
};
static const struct slot event_slots[] = {
	U32(event, seq),
	U32(event, at_s),
	U32(event, code),
	U8(event, kind, PB__EVENT_KIND__EVENT_REFUSED),
	U8(event, has_signature, 1),
	TEXT(event, build_id),
	BYTES(event, signature),
};
static const struct layout failed_layout = { failed_slots, COUNT(failed_slots),
	sizeof(struct failed_build) };
static const struct layout halted_layout = { halted_slots, COUNT(halted_slots),
	sizeof(struct halted_build) };
static const struct layout event_layout = { event_slots, COUNT(event_slots), sizeof(struct event) };

static const struct slot state_slots[] = {
	BYTES(state, scope),
	TEXT(state, own_build),
	U64(state, rollback_index),
	U64(state, floor_s),
	U64(state, last_fresh_ms),

	BYTES(state, key),
	U32(state, key_len),
	U8(state, enrolled, 1),
	U64(state, enrolled_at_ms),
	BYTES(state, device_id),
	U32(state, epoch),
	BYTES(state, report_key),

	U64(state, timestamp_version),
	U64(state, timestamp_expires_s),
	U64(state, offers_until_s),
	U64(state, snapshot.version),
	U32(state, snapshot.length),
	BYTES(state, snapshot.sha256),
	U64(state, director_version[0]),
	U64(state, director_version[1]),
	U64(state, director_version[2]),
	U64(state, director_version[3]),
	U64(state, chain_expires_s),
	U8(state, held, 1),
	U8(state, ring, PB__RING__RING_STABLE),
	U8(state, ring_why, PB__RING_WHY__RING_WHY_ANONYMOUS),
	U8(state, answer, PB__ANSWER__ANSWER_HALTED),
	BYTES(state, refused),

	U64(state, candidate.release_counter),
	U64(state, candidate.rollback_index),
	U64(state, candidate.plan_version),
	U64(state, candidate.expires_s),
	U64(state, candidate.length),
	U64(state, candidate.payload_offset),
	U64(state, candidate.payload_size),
	U64(state, candidate.metadata_size),
	U32(state, candidate.installing_seq),
	U8(state, candidate.stage, STAGE__COUNT - 1),
	U8(state, candidate.started, 1),
	U8(state, candidate.spoilt, UINT8_MAX),
	BYTES(state, candidate.sha256),
	BYTES(state, candidate.payload_hash),
	BYTES(state, candidate.metadata_hash),
	BYTES(state, candidate.rollout_id),
	TEXT(state, candidate.build_id),

	U8(state, trial.stage, TRIAL__COUNT - 1),
	TEXT(state, trial.build_id),
	TEXT(state, trial.from),

	U32(state, last_seq),
	LIST(failed, &failed_layout),
	LIST(halted, &halted_layout),
	LIST(events, &event_layout),

	U64(state, root_version),
	BLOB(root),
	TREE(log),
	U8(state, held_ring, PB__RING__RING_STABLE),
	U8(state, grant_ring, PB__RING__RING_STABLE),
	U64(state, grant_expires_s),
	U64(state, held_since_ms),
	U64(state, agreed_s),
};

const struct layout state_layout = { state_slots, COUNT(state_slots), sizeof(struct state) };
