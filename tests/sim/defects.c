/* SPDX-License-Identifier: Apache-2.0 */
/* What would be wrong, had somebody broken it: each must be noticed. */
#include "proto/bucket.h"
#include "server/core/gate.h"
#include "server/store/device.h"
#include "tests/sim/sim.h"

bool __real_crypto_equal(const void *a, const void *b, size_t n);
bool __wrap_crypto_equal(const void *a, const void *b, size_t n);
void __real_device_put(struct store_txn *t, const struct device *d);
void __wrap_device_put(struct store_txn *t, const struct device *d);
bool __real_device_of_key(
	struct store_txn *t, const uint8_t key_hash[SHA256_LEN], uint8_t id[ID_LEN]);
bool __wrap_device_of_key(
	struct store_txn *t, const uint8_t key_hash[SHA256_LEN], uint8_t id[ID_LEN]);
struct gate_judgement __real_gate_judge(
	const struct gate_stage *s, const struct gate_rules *rules, const struct gate_facts *facts);
struct gate_judgement __wrap_gate_judge(
	const struct gate_stage *s, const struct gate_rules *rules, const struct gate_facts *facts);
bool __real_evidence_event(
	struct evidence *e, struct evidence_device *d, enum stream stream, uint32_t seq);
bool __wrap_evidence_event(
	struct evidence *e, struct evidence_device *d, enum stream stream, uint32_t seq);

bool __wrap_crypto_equal(const void *a, const void *b, size_t n)
{
	return is_planted(DEFECT_MAC) || __real_crypto_equal(a, b, n);
}

void __wrap_device_put(struct store_txn *t, const struct device *d)
{
	struct device old, copy = *d;

	if (is_planted(DEFECT_SEQ) && device_get(t, d->id, &old))
		copy.last_seq = old.last_seq;
	__real_device_put(t, &copy);
}

bool __wrap_device_of_key(
	struct store_txn *t, const uint8_t key_hash[SHA256_LEN], uint8_t id[ID_LEN])
{
	return !is_planted(DEFECT_ENROL) && __real_device_of_key(t, key_hash, id);
}

struct gate_judgement __wrap_gate_judge(
	const struct gate_stage *s, const struct gate_rules *rules, const struct gate_facts *facts)
{
	struct gate_judgement j = __real_gate_judge(s, rules, facts);

	if (!is_planted(DEFECT_GATE) || facts->paused || j.verdict == GATE_PROMOTE)
		return j;
	j.verdict = facts->now_ms > facts->opened_ms + 2 * SIM_DAY_MS &&
			facts->now_ms >= facts->not_before_ms
		? GATE_PROMOTE
		: GATE_HOLD;
	return j;
}

bool __wrap_evidence_event(
	struct evidence *e, struct evidence_device *d, enum stream stream, uint32_t seq)
{
	if (is_planted(DEFECT_RECOUNT) && stream < STREAM__COUNT)
		d->seen &= ~(1u << stream);
	return __real_evidence_event(e, d, stream, seq);
}
