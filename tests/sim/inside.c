/* SPDX-License-Identifier: Apache-2.0 */
/* The SDK from inside, and what would be wrong with it, had somebody broken it. */
#include "client-sdk/src/private.h"

#include "proto/bucket.h"
#include "tests/sim/defect.h"
#include "tests/sim/inside.h"

size_t __real_state_write(const struct state *s, uint64_t generation, uint8_t out[STATE_MAX]);
size_t __wrap_state_write(const struct state *s, uint64_t generation, uint8_t out[STATE_MAX]);
int __real_confirm_step(huidu_t *h);
int __wrap_confirm_step(huidu_t *h);
void __real_pace_fail(huidu_t *h, struct pace *p, uint32_t retry_after_s);
void __wrap_pace_fail(huidu_t *h, struct pace *p, uint32_t retry_after_s);
uint32_t __real_bucket_of(
	const uint8_t seed[SEED_LEN], const uint8_t id[ID_LEN], const char *product);
uint32_t __wrap_bucket_of(
	const uint8_t seed[SEED_LEN], const uint8_t id[ID_LEN], const char *product);

void inside_read(const huidu_t *h, struct inside *out)
{
	const struct state *s = &h->state;

	*out = (struct inside){ .root_version = s->root_version,
		.timestamp_version = s->timestamp_version,
		.log_size = s->log.size,
		.floor_s = s->floor_s,
		.last_seq = s->last_seq,
		.n_events = s->n_events,
		.enrolled = s->enrolled,
		.answer = s->answer,
		.last_error = h->last_error };
	memcpy(out->director_version, s->director_version, sizeof(out->director_version));
	memcpy(out->device_id, s->device_id, ID_LEN);
	memcpy(out->candidate, s->candidate.build_id, sizeof(out->candidate));
}

size_t __wrap_state_write(const struct state *s, uint64_t generation, uint8_t out[STATE_MAX])
{
	static struct state copy;

	if (!is_planted(DEFECT_FLOOR))
		return __real_state_write(s, generation, out);
	copy = *s;
	copy.timestamp_version = 0;
	memset(copy.director_version, 0, sizeof(copy.director_version));
	return __real_state_write(&copy, generation, out);
}

int __wrap_confirm_step(huidu_t *h)
{
	if (is_planted(DEFECT_CONFIRM)) {
		h->confirmed = true;
		h->confirmed_ms = sdk_clock_ms(h);
	}
	return __real_confirm_step(h);
}

void __wrap_pace_fail(huidu_t *h, struct pace *p, uint32_t retry_after_s)
{
	__real_pace_fail(h, p, retry_after_s);
	if (is_planted(DEFECT_WEDGED) && p->failures > 4)
		h->in_flight = EXCHANGE_TIME;
}

uint32_t __wrap_bucket_of(
	const uint8_t seed[SEED_LEN], const uint8_t id[ID_LEN], const char *product)
{
	return is_planted(DEFECT_SHARE) ? 0 : __real_bucket_of(seed, id, product);
}

uint32_t inside_bucket(const uint8_t *seed, const uint8_t *id, const char *product)
{
	return __real_bucket_of(seed, id, product);
}
