/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of decode share. */
#pragma once

#include "server/base/show.h"
#include "server/ctl/decode.h"

struct shown decode_when(uint64_t unix_s);
/* The first digits; "?" when there are no bytes. */
struct shown decode_hex(ProtobufCBinaryData d, size_t digits);
/* The rollout's release, or its id in `room`. */
const char *decode_rollout(struct decode *d, ProtobufCBinaryData id, struct shown *room);
/* NULL when it cannot be read. */
void *decode_read(struct decode *d, const ProtobufCMessageDescriptor *type, ProtobufCBinaryData in);

void decode_plan(struct decode *d, struct buf *out, ProtobufCBinaryData in);
/* All of a command; and one line: "halt 2.4.1". */
void decode_command(struct decode *d, struct buf *out, ProtobufCBinaryData in);
void decode_command_line(struct decode *d, struct buf *out, ProtobufCBinaryData in);

/* What the server's own keys sign; the last two are one line. */
void decode_director(struct decode *d, struct buf *out, ProtobufCBinaryData in);
void decode_snapshot(struct decode *d, struct buf *out, ProtobufCBinaryData in);
void decode_timestamp(struct decode *d, struct buf *out, ProtobufCBinaryData in);
void decode_decision(struct decode *d, struct buf *out, ProtobufCBinaryData in);
void decode_grant(struct decode *d, struct buf *out, ProtobufCBinaryData in);
void decode_time(struct decode *d, struct buf *out, ProtobufCBinaryData in);
void decode_decision_line(struct decode *d, struct buf *out, ProtobufCBinaryData in);
void decode_director_line(struct decode *d, struct buf *out, ProtobufCBinaryData in);
