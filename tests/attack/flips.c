/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte of everything a server sends, changed one at a time: rejected by a name, or it means the same.
 * After each the honest answer is taken; then the phone is as it was before, for the next byte.
 */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#define RETRY_MS 600000u

/* Which byte of which field; the field is found in the reply, wherever it lies. */
static struct {
	ProtobufCBinaryData *(*field)(Pb__PollReply *reply);
	size_t at, len;
	bool on;
} flip;

static ProtobufCBinaryData *timestamp(Pb__PollReply *r)
{
	return &r->timestamp;
}

static ProtobufCBinaryData *snapshot(Pb__PollReply *r)
{
	return &r->snapshot;
}

static ProtobufCBinaryData *director(Pb__PollReply *r)
{
	return &r->director;
}

static ProtobufCBinaryData *log_proof(Pb__PollReply *r)
{
	return &r->log_proof;
}

static ProtobufCBinaryData *log_extension(Pb__PollReply *r)
{
	return &r->log_extension;
}

static ProtobufCBinaryData *plan(Pb__PollReply *r)
{
	return &r->plans[0];
}

static ProtobufCBinaryData *targets(Pb__PollReply *r)
{
	return &r->targets[0];
}

static ProtobufCBinaryData *root(Pb__PollReply *r)
{
	return r->n_roots > 0 ? &r->roots[0] : NULL;
}

static void flip_bytes(struct repo *r, ProtobufCBinaryData *d)
{
	uint8_t *copy = repo_take(&r->reply, d->len);

	flip.len = d->len;
	if (!flip.on)
		return;
	memcpy(copy, d->data, d->len);
	copy[flip.at] ^= 1;
	d->data = copy;
}

static void flip_field(struct repo *r, Pb__PollReply *reply)
{
	ProtobufCBinaryData *d = flip.field(reply);

	if (d != NULL)
		flip_bytes(r, d);
}

static void flip_grant(struct repo *r, Pb__GrantReply *reply)
{
	flip_bytes(r, &reply->grant);
}

static void flip_time(struct repo *r, Pb__TimeProof *proof)
{
	flip_bytes(r, &proof->statement);
}

/* What the phone makes of what it is served. */
struct outcome {
	uint64_t root, timestamp, snapshot, director[REPO_RINGS], log_size;
	char candidate[TEXT_LEN];
	uint8_t sha256[SHA256_LEN];
	unsigned grant_ring;
	int unsync;
};

static struct outcome outcome(const struct lab *l)
{
	struct state s = device_state(&l->phone);
	struct outcome o = { .root = s.root_version,
		.timestamp = s.timestamp_version,
		.snapshot = s.snapshot.version,
		.log_size = s.log.size,
		.grant_ring = s.grant_expires_s > 0 ? s.grant_ring : RINGS,
		.unsync = device_status(&l->phone).unsync };

	memcpy(o.director, s.director_version, sizeof(o.director));
	memcpy(o.candidate, s.candidate.build_id, TEXT_LEN);
	memcpy(o.sha256, s.candidate.sha256, SHA256_LEN);
	return o;
}

static bool same(const struct outcome *a, const struct outcome *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* What a rejection leaves: nothing new; or a directive that is believed, and nothing chosen; or all
 * but the time; or all but the ring, for which the phone asks again after a while. */
enum left { LEFT_NOTHING, LEFT_DIRECTIVE, LEFT_UNSYNC, LEFT_RING };

static struct outcome without_candidate(struct outcome o)
{
	memset(o.candidate, 0, TEXT_LEN);
	memset(o.sha256, 0, SHA256_LEN);
	return o;
}

/* As it was, and when it was. */
static void go_back(struct lab *l, const struct device_flash *flash, uint64_t world_ms)
{
	l->phone.flash = *flash;
	l->phone.world_ms = world_ms;
	device_restart(&l->phone);
}

/* All bytes; the phone and the repository are ready, the hook is set. */
static void each_byte(struct lab *l, enum left left)
{
	const struct device_flash flash = l->phone.flash;
	const uint64_t world_ms = l->phone.world_ms;
	struct outcome before = outcome(l), honest, refused, got;
	unsigned rejected = 0;

	flip.on = false;
	flip.len = 0;
	CHECK_ERR(device_refresh(&l->phone), 0);
	honest = outcome(l);
	CHECK(!same(&before, &honest));
	CHECK(flip.len > 0);
	refused = left == LEFT_NOTHING || left == LEFT_RING ? before : honest;
	if (left == LEFT_DIRECTIVE)
		refused = without_candidate(honest);
	refused.unsync = before.unsync;
	for (flip.at = 0; flip.at < flip.len; flip.at++) {
		int err;
		go_back(l, &flash, world_ms);
		flip.on = true;
		err = device_refresh(&l->phone);
		flip.on = false;
		got = outcome(l);
		if (!(err == 0 && same(&got, &honest)) &&
			!(err <= ERR_TOO_BIG && err >= ERR_CLOCK && same(&got, &refused)))
			suite_fail(__FILE__, __LINE__, "byte %zu of %zu: %s", flip.at, flip.len,
				err == 0 ? "taken" : err_name(err));
		rejected += err != 0;
		CHECK_ERR(device_refresh(&l->phone), 0);
		if (left == LEFT_RING)
			device_live(&l->phone, RETRY_MS);
		got = outcome(l);
		if (!same(&got, &honest))
			suite_fail(
				__FILE__, __LINE__, "byte %zu: no honest update after it", flip.at);
	}
	suite_note("%zu bytes, %u rejected, %zu mean the same", flip.len, rejected,
		flip.len - rejected);
}

/* A new build, chosen and not fetched: the server says "not now". */
static void prepare(struct lab *l)
{
	for (unsigned i = 0; i < 5; i++)
		repo_publish(l->repo); /* so that the log has some height */
	lab_start(l);
	l->repo->answer = PB__ANSWER__ANSWER_PAUSED;
	(void)lab_offer(l);
	repo_publish(l->repo);
}

static void finish(struct lab *l)
{
	l->repo->answer = PB__ANSWER__ANSWER_OFFER;
}

/* What of the reply. */
struct part {
	ProtobufCBinaryData *(*field)(Pb__PollReply *reply);
	enum left left;
};

static void flip_part(struct lab *l, const struct attack *a)
{
	const struct part *part = a->more;

	prepare(l);
	flip.field = part->field;
	l->repo->edit_reply = flip_field;
	each_byte(l, part->left);
	finish(l);
}

static void flip_root(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	repo_publish_root(l->repo);
	flip.field = root;
	l->repo->edit_reply = flip_field;
	each_byte(l, LEFT_NOTHING);
}

static void flip_ring_grant(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->repo->ring = l->repo->director_ring = PB__RING__RING_CORE;
	l->repo->edit_grant = flip_grant;
	each_byte(l, LEFT_RING);
}

static void flip_time_statement(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	(void)lab_offer(l);
	repo_publish(l->repo);
	l->phone.skew_ms = DEVICE_1970(&l->phone);
	l->phone.holds_apply = true;
	device_restart(&l->phone);
	l->repo->edit_time = flip_time;
	each_byte(l, LEFT_UNSYNC);
	l->phone.holds_apply = false;
	device_restart(&l->phone); /* nobody is applying any more */
}

/* ---- the answer around the envelopes, which nobody signs ---- */

static bool same_chain(const struct outcome *a, const struct outcome *b)
{
	struct outcome x = without_candidate(*a), y = without_candidate(*b);

	return same(&x, &y);
}

/* Mender MEN-1412: a part that no signature covered.  What none covers here can only delay. */
void lab_flip_answer(struct lab *l, const struct attack *a)
{
	struct outcome before, honest, got;
	struct device_flash flash;
	struct bytes answer = { NULL, 0 };
	uint64_t world_ms;
	uint8_t *copy;

	(void)a;
	prepare(l);
	flash = l->phone.flash;
	world_ms = l->phone.world_ms;
	before = outcome(l);
	l->wire.only = "/v1/poll";
	l->wire.recorded = &answer;
	CHECK_ERR(device_refresh(&l->phone), 0);
	honest = outcome(l);
	copy = repo_take(&l->repo->kept, answer.n);
	for (size_t i = 0; i < answer.n; i++) {
		go_back(l, &flash, world_ms);
		memcpy(copy, answer.p, answer.n);
		copy[i] ^= 1;
		l->wire.body = bytes_of(copy, answer.n);
		(void)device_refresh(&l->phone);
		l->wire.body = bytes_of(NULL, 0);
		got = outcome(l);
		if ((!same_chain(&got, &before) && !same_chain(&got, &honest)) ||
			(got.candidate[0] != '\0' &&
				memcmp(got.sha256, honest.sha256, SHA256_LEN) != 0))
			suite_fail(__FILE__, __LINE__, "byte %zu of %zu", i, answer.n);
		CHECK_ERR(device_refresh(&l->phone), 0);
		got = outcome(l);
		if (!same(&got, &honest))
			suite_fail(__FILE__, __LINE__, "byte %zu: no honest update after it", i);
	}
	suite_note("%zu bytes", answer.n);
	finish(l);
}

#define FLIP(name, field, left)                                                                    \
	CASE_MORE("flip[" name "]", flip_part, ENVELOPE__COUNT,                                    \
		(&(const struct part){ field, left }))
static const struct attack attacks[] = {
	CASE("flip[root]", flip_root),
	FLIP("timestamp", timestamp, LEFT_NOTHING),
	FLIP("snapshot", snapshot, LEFT_NOTHING),
	FLIP("director", director, LEFT_NOTHING),
	FLIP("plan", plan, LEFT_DIRECTIVE),
	FLIP("targets", targets, LEFT_DIRECTIVE),
	FLIP("log proof and checkpoint", log_proof, LEFT_NOTHING),
	FLIP("log extension", log_extension, LEFT_NOTHING),
	CASE("flip[grant]", flip_ring_grant),
	CASE("flip[time statement]", flip_time_statement),
};
const struct attack_group flip_sdk = { attacks, sizeof(attacks) / sizeof(attacks[0]) };
