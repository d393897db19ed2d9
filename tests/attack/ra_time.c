/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on a staged rollout, as far as a phone meets them: clocks, old words, slow lines. */
#include "tests/attack/cases.h"
#include "tests/attack/lab.h"

#define HOUR_S  3600u
#define DAY_S   86400u
#define HOUR_MS 3600000u

static bool runs(const struct lab *l, const char *build_id)
{
	return strcmp(l->phone.slot.build_id, build_id) == 0;
}

static struct bytes proof_for_another(struct repo *r)
{
	Pb__TimeRequest q = PB__TIME_REQUEST__INIT;
	struct bytes body, proof;
	uint8_t nonce[SHA256_LEN] = { 1 }, *copy;

	q.nonce = wire_data(nonce, sizeof(nonce));
	CHECK_ERR(wire_pack(&q, &r->kept, &body), 0);
	CHECK_EQ(repo_post(r, "/v1/time", body, &proof), 200);
	copy = repo_take(&r->kept, proof.n);
	memcpy(copy, proof.p, proof.n);
	r->times = 0;
	return bytes_of(copy, proof.n);
}

/* It does not install on a clock it cannot believe; it does when the server proves the time. */
static void installs_only_with_proof(struct lab *l)
{
	const char *id = lab_offer(l)->build->id;
	const struct bytes old_proof = proof_for_another(l->repo);

	repo_publish(l->repo);
	l->wire.only = "/v1/time";
	l->wire.status = 404;
	(void)device_refresh(&l->phone);
	device_live(&l->phone, 3 * HOUR_MS);
	CHECK(device_status(&l->phone).unsync);
	CHECK(l->repo->times > 0);
	CHECK_EQ(l->phone.applies, 0);
	CHECK(runs(l, "b1"));
	/* An old proof, of a nonce that is another's. */
	l->wire.status = 0;
	l->wire.body = old_proof;
	CHECK_ERR(device_refresh(&l->phone), ERR_NO_TIME);
	CHECK(device_status(&l->phone).unsync);
	wire_be_honest(&l->wire);
	lab_installs(l, id);
}

static void rtc_1970(struct lab *l, const struct attack *a)
{
	(void)a;
	l->repo->now_s = WORLD_T0_S;
	lab_boot(l);
	l->phone.skew_ms = DEVICE_1970(&l->phone);
	device_restart(&l->phone);
	installs_only_with_proof(l);
}

static void rtc_2100(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	l->phone.skew_ms = (int64_t)74 * 365 * DAY_S * 1000;
	device_restart(&l->phone);
	installs_only_with_proof(l);
}

/* What had expired does not live again when somebody turns the clock back. */
static void time_goes_back(struct lab *l, const struct attack *a)
{
	struct repo *r = l->repo;
	struct repo_offer *o;

	(void)a;
	lab_start(l);
	o = lab_offer(l);
	o->expires_s = r->now_s + 2 * DAY_S;
	device_sleep(&l->phone, 3 * DAY_S);
	repo_publish(r);
	lab_refuses(l, ERR_EXPIRED);
	l->phone.skew_ms = -(int64_t)(3 * DAY_S) * 1000;
	device_restart(&l->phone);
	(void)device_refresh(&l->phone);
	CHECK_ERR(l->phone.first_error, ERR_EXPIRED);
	device_live(&l->phone, 2 * HOUR_MS);
	CHECK_EQ(l->phone.applies, 0);
}

/* Applied; then the attacker keeps the phone from hearing anything newer. */
static void stale_at_apply(struct lab *l, const struct attack *a)
{
	struct bytes old;

	(void)a;
	lab_start(l);
	(void)lab_offer(l);
	repo_publish(l->repo);
	old = l->repo->served.timestamp;
	l->phone.holds_apply = true;
	CHECK_ERR(device_refresh(&l->phone), 0);
	device_sleep(&l->phone, 7 * HOUR_S); /* past offers_until */
	huidu_applied(l->phone.h, 0);
	l->phone.holds_apply = false;
	for (unsigned i = 0; i < 10; i++) {
		l->repo->served.timestamp = old;
		(void)device_refresh(&l->phone);
		device_sleep(&l->phone, HOUR_S);
	}
	l->wire.status = 503;
	device_live(&l->phone, 5 * HOUR_MS);
	CHECK_EQ(l->phone.activations, 0);
}

static void same_answer_forever(struct lab *l, const struct attack *a)
{
	uint64_t fresh;

	(void)a;
	lab_start(l);
	fresh = device_status(&l->phone).last_fresh_ms;
	for (unsigned hour = 1; hour < 24; hour++) {
		device_sleep(&l->phone, HOUR_S);
		CHECK_ERR(device_refresh(&l->phone), 0);
		CHECK_EQ(device_status(&l->phone).last_fresh_ms, fresh);
	}
	device_sleep(&l->phone, HOUR_S);
	lab_rejects(l, ERR_EXPIRED);
	device_sleep(&l->phone, 3 * DAY_S);
	lab_rejects(l, ERR_EXPIRED);
	CHECK(device_status(&l->phone).stale);
}

static void one_byte_per_second(struct lab *l, const struct attack *a)
{
	(void)a;
	lab_start(l);
	huidu_curl_least_rate(l->phone.curl, 1024, 2); /* a minute is long for a test */
	l->wire.pause_ms = 1000;
	repo_publish(l->repo);
	lab_rejects(l, HUIDU_ESLOW);
}

static const struct attack attacks[] = {
	CASE("ra_rtc_1970", rtc_1970),
	CASE("ra_rtc_2100", rtc_2100),
	CASE("ra_time_goes_back", time_goes_back),
	CASE("ra_apply_with_stale_timestamp", stale_at_apply),
	CASE("ra_304_forever", same_answer_forever),
};
const struct attack_group ra_time = { attacks, sizeof(attacks) / sizeof(attacks[0]) };

/* Takes its seconds: begun first. */
static const struct attack slow[] = { CASE("ra_one_byte_per_second", one_byte_per_second) };
const struct attack_group slow_sdk = { slow, 1 };
