/* SPDX-License-Identifier: Apache-2.0 */
/* Every message there is, and random valid ones of each. */
#pragma once

#include "proto/admin.pb-c.h"
#include "proto/trust.pb-c.h"
#include "rng.h"
#include "server/base/buf.h"
#include "server/trust/signer.pb-c.h"

/* New ones at the end: the inputs kept for the fuzzers name them by place. */
static const ProtobufCMessageDescriptor *const messages[] = {
	&pb__enroll_request__descriptor,
	&pb__enroll_reply__descriptor,
	&pb__sealed__descriptor,
	&pb__poll_request__descriptor,
	&pb__poll_reply__descriptor,
	&pb__report_request__descriptor,
	&pb__event__descriptor,
	&pb__admin_command__descriptor,
	&pb__publish__descriptor,
	&pb__propose__descriptor,
	&pb__build_ref__descriptor,
	&pb__approve__descriptor,
	&pb__rollout_act__descriptor,
	&pb__plan_spec__descriptor,
	&pb__stage_spec__descriptor,
	&pb__admin_query__descriptor,
	&pb__admin_upload__descriptor,
	&pb__admin_reply__descriptor,
	&pb__checkpoint__descriptor,
	&pb__proposal__descriptor,
	&pb__proposal_build__descriptor,
	&pb__rollout_view__descriptor,
	&pb__stage_view__descriptor,
	&pb__history_view__descriptor,
	&pb__device_view__descriptor,
	&pb__device_offer__descriptor,
	&pb__foreign_view__descriptor,
	&pb__ring_view__descriptor,
	&pb__build_view__descriptor,
	&pb__envelope__descriptor,
	&pb__signature__descriptor,
	&pb__key__descriptor,
	&pb__role__descriptor,
	&pb__root__descriptor,
	&pb__log_policy__descriptor,
	&pb__witness__descriptor,
	&pb__timestamp__descriptor,
	&pb__meta_file__descriptor,
	&pb__snapshot__descriptor,
	&pb__target__descriptor,
	&pb__payload__descriptor,
	&pb__targets__descriptor,
	&pb__step__descriptor,
	&pb__rollout_plan__descriptor,
	&pb__selector__descriptor,
	&pb__offer__descriptor,
	&pb__director__descriptor,
	&pb__log_entry__descriptor,
	&pb__decision__descriptor,
	&pb__fill__descriptor,
	&pb__signer_request__descriptor,
	&pb__signer_admit__descriptor,
	&pb__signer_item__descriptor,
	&pb__signer_reply__descriptor,
	&pb__ledger__descriptor,
	&pb__ledger_floor__descriptor,
	&pb__ledger_rollout__descriptor,
	&pb__ledger_build__descriptor,
	&pb__ledger_nonce__descriptor,
	&pb__seat_act__descriptor,
	&pb__withdraw__descriptor,
	&pb__confirm__descriptor,
	&pb__gate_view__descriptor,
	&pb__gate_stage__descriptor,
	&pb__gate_stream__descriptor,
	&pb__gate_stratum__descriptor,
	&pb__gate_signature__descriptor,
	&pb__replay_view__descriptor,
	&pb__replay_event__descriptor,
	&pb__pending_view__descriptor,
	&pb__log_view__descriptor,
	&pb__trust_view__descriptor,
	&pb__expiry_view__descriptor,
	&pb__grant_request__descriptor,
	&pb__grant_reply__descriptor,
	&pb__time_request__descriptor,
	&pb__admin_role__descriptor,
	&pb__ring_grant__descriptor,
	&pb__time_statement__descriptor,
	&pb__time_proof__descriptor,
	&pb__log_proof__descriptor,
};

static inline void put_varint(struct buf *b, uint64_t v)
{
	uint8_t out[10];
	size_t n = 0;

	for (; v > 127; v >>= 7)
		out[n++] = (uint8_t)(v | 128);
	out[n++] = (uint8_t)v;
	buf_add(b, out, n);
}

/* Of any magnitude: as often one bit as sixty-four. */
static inline uint64_t rng_magnitude(struct rng *r, unsigned bits)
{
	return rng_u64(r) >> (64 - bits + rng_below(r, bits));
}

static inline uint64_t random_number(const ProtobufCFieldDescriptor *d, struct rng *r)
{
	const ProtobufCEnumDescriptor *e = d->descriptor;

	switch ((int)d->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return rng_below(r, 2);
	case PROTOBUF_C_TYPE_ENUM:
		return (uint64_t)e->values[rng_below(r, e->n_values)].value;
	case PROTOBUF_C_TYPE_INT32:
		return (uint64_t)(int64_t)(int32_t)rng_magnitude(r, 32);
	case PROTOBUF_C_TYPE_UINT32:
		return rng_magnitude(r, 32);
	default:
		return rng_magnitude(r, 64);
	}
}

static inline void put_random_bytes(struct buf *b, struct rng *r, bool printable)
{
	size_t n = rng_below(r, 24);

	put_varint(b, n);
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)(printable ? 0x20 + rng_below(r, 95) : rng_u64(r));
		buf_add(b, &c, 1);
	}
}

static inline void random_message(
	const ProtobufCMessageDescriptor *type, struct rng *r, struct buf *out);

static inline void put_random_field(
	const ProtobufCFieldDescriptor *d, struct rng *r, struct buf *out)
{
	struct buf inner = { 0 };
	uint8_t eight[8];

	switch ((int)d->type) {
	case PROTOBUF_C_TYPE_DOUBLE:
		put_varint(out, d->id << 3 | 1);
		rng_fill(r, eight, 8);
		buf_add(out, eight, 8);
		break;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
		put_varint(out, d->id << 3 | 2);
		put_random_bytes(out, r, d->type == PROTOBUF_C_TYPE_STRING);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		random_message(d->descriptor, r, &inner);
		put_varint(out, d->id << 3 | 2);
		put_varint(out, inner.len);
		buf_add(out, inner.data, inner.len);
		buf_release(&inner);
		break;
	default:
		put_varint(out, d->id << 3);
		put_varint(out, random_number(d, r));
	}
}

/* Adds a message that is valid by its descriptor; lists have up to three elements. */
static inline void random_message(
	const ProtobufCMessageDescriptor *type, struct rng *r, struct buf *out)
{
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = &type->fields[i];
		uint64_t n = d->label == PROTOBUF_C_LABEL_REQUIRED ? 1
			: d->label == PROTOBUF_C_LABEL_OPTIONAL    ? rng_below(r, 2)
								   : rng_below(r, 4);
		while (n-- > 0)
			put_random_field(d, r, out);
	}
}
