/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in and how fast, under which epoch, and what a request in another's name does: nothing. */
#include "unit.h"

#include <errno.h>

#include "proto/base64.h"
#include "server/base/file.h"
#include "server/metrics/metrics.h"
#include "server/store/device.h"
#include "tmpdir.h"

#include "deployment.h"

#define HOUR 3600000ull

static struct deployment d;

static void open_with(const char *enrol)
{
	struct deployment_options o = { .profile = "solo",
		.enrol = enrol,
		.lines = "lines:\n  - products: [phone-a, phone-b]\n" };

	deployment_open(&d, &o);
}

static void restart_as(enum config_enrol_mode mode)
{
	d.config.enrol.mode = mode;
	deployment_restart(&d);
}

/* ---- tokens ---- */

#define TOKEN_1 "0123456789abcdef"
#define TOKEN_2 "a-much-longer-token-of-the-operator's"

static const struct {
	const char *why, *token;
	int want;
} tokens[] = {
	{ "none", NULL, ERR_CLOSED },
	{ "empty", "", ERR_CLOSED },
	{ "the first", TOKEN_1, 0 },
	{ "the last", TOKEN_2, 0 },
	{ "cut", "0123456789abcde", ERR_CLOSED },
	{ "longer", TOKEN_1 "0", ERR_CLOSED },
	{ "in capitals", "0123456789ABCDEF", ERR_CLOSED },
	{ "in a comment", "commented-0123456789", ERR_CLOSED },
	{ "the comment", "# commented-0123456789", ERR_CLOSED },
	{ "both", TOKEN_1 "\n" TOKEN_2, ERR_BAD_STRING },
};

static void test_tokens(void **state)
{
	struct buf enrol = { 0 };
	uint64_t enrolled;

	(void)state;
	assert_int_equal(file_replace(tmpdir_path("tokens"),
				 bytes_str("# For the factory.\n\n  " TOKEN_1
					   " \r\n# commented-0123456789\n" TOKEN_2),
				 0600),
		0);
	buf_printf(&enrol, "{mode: token, tokens: %s}", tmpdir_path("tokens"));
	open_with(buf_text(&enrol));
	for (size_t i = 0; i < COUNT(tokens); i++) {
		struct test_device t;
		enrolled = metric_get(METRIC_ENROLLED);
		device_make(&t, "phone-a", RING_STABLE);
		t.token = tokens[i].token;
		int err = device_apply(&d, &t);
		if (err != tokens[i].want ||
			metric_get(METRIC_ENROLLED) - enrolled != (tokens[i].want == 0))
			fail_msg("%s: %s", tokens[i].why, err_name(err));
		if (err == 0)
			assert_int_equal(device_poll(&d, &t), 0);
		device_forget(&t);
	}
	deployment_close(&d);
	buf_release(&enrol);
}

static const struct {
	const char *why, *text, *want;
} bad_tokens[] = {
	{ "empty", "", ": no token in it" },
	{ "all comments", "# " TOKEN_1 "\n", ": no token in it" },
	{ "short", TOKEN_1 "\n\n0123456789abcde\n",
		":3: a token is 16 to 128 printable characters without blanks" },
	{ "two words", "0123456789 abcdef",
		":1: a token is 16 to 128 printable characters without blanks" },
	{ "binary",
		"0123456789\x80"
		"abcdef",
		":1: a token is 16 to 128 printable characters without blanks" },
};

static void test_bad_tokens(void **state)
{
	char *path = tmpdir_path("bad");
	struct config_enrol config = { .mode = ENROL_TOKEN, .tokens = path };
	char error[256];
	struct door *door;

	(void)state;
	for (size_t i = 0; i < COUNT(bad_tokens); i++) {
		assert_int_equal(file_replace(path, bytes_str(bad_tokens[i].text), 0600), 0);
		assert_int_equal(door_new(&config, &door, error), ERR_CONFIG);
		if (strncmp(error, path, strlen(path)) != 0 ||
			strcmp(error + strlen(path), bad_tokens[i].want) != 0)
			fail_msg("%s: %s", bad_tokens[i].why, error);
	}
	config.tokens = tmpdir_path("nowhere");
	assert_int_equal(door_new(&config, &door, error), -ENOENT);
	assert_non_null(strstr(error, "nowhere: No such file"));
}

/* ---- vouchers ---- */

struct maker {
	struct crypto_key *key;
	uint8_t public[PUBLIC_MAX];
	char text[BASE64_LEN(ED25519_PUBLIC_LEN) + 1];
};

static void make_maker(struct maker *m)
{
	assert_int_equal(crypto_key_generate(KEY_ED25519, &m->key), 0);
	assert_int_equal(crypto_key_public(m->key, m->public), ED25519_PUBLIC_LEN);
	m->text[base64_write(bytes_of(m->public, ED25519_PUBLIC_LEN), m->text)] = '\0';
}

static void vouch(const struct maker *m, const uint8_t public_key[P256_PUBLIC_LEN],
	const char *product, uint8_t out[SIG_LEN])
{
	struct buf b = { 0 };

	buf_add(&b, "huidu/voucher/v1", 17);
	buf_add(&b, public_key, P256_PUBLIC_LEN);
	buf_str(&b, product);
	assert_int_equal(crypto_key_sign(m->key, buf_bytes(&b), out), 0);
	buf_release(&b);
}

static int apply_with(struct test_device *t, const uint8_t *voucher, size_t n)
{
	t->voucher = bytes_of(voucher, n);
	return device_apply(&d, t);
}

/* As the key itself, as PEM, and as a Key with a comment above it. */
static void write_maker_files(const struct maker *pem, const struct maker *message)
{
	static const uint8_t x509[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03,
		0x21, 0x00 };
	Pb__Key key = PB__KEY__INIT;
	uint8_t wire[128];
	char text[256] = "";
	struct buf b = { 0 };

	memcpy(wire, x509, sizeof(x509));
	memcpy(wire + sizeof(x509), pem->public, ED25519_PUBLIC_LEN);
	(void)base64_write(bytes_of(wire, sizeof(x509) + ED25519_PUBLIC_LEN), text);
	buf_printf(&b, "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n", text);
	assert_int_equal(file_replace(tmpdir_path("maker.pem"), buf_bytes(&b), 0600), 0);
	b.len = 0;
	key.scheme = KEY_ED25519;
	key.public_key = wire_data(message->public, ED25519_PUBLIC_LEN);
	key.name = "factory";
	text[base64_write(bytes_of(wire, wire_write(&key, wire)), text)] = '\0';
	buf_printf(&b, "# the factory's\n%s\n", text);
	assert_int_equal(file_replace(tmpdir_path("maker.pub"), buf_bytes(&b), 0600), 0);
	buf_release(&b);
}

static void test_vouchers(void **state)
{
	struct maker maker[4]; /* the last is not ours */
	struct test_device t, other;
	struct buf enrol = { 0 };
	uint8_t v[SIG_LEN];

	(void)state;
	for (size_t i = 0; i < COUNT(maker); i++)
		make_maker(&maker[i]);
	write_maker_files(&maker[1], &maker[2]);
	buf_printf(&enrol, "{mode: voucher, manufacturers: ['%s', %s, %s]}", maker[0].text,
		tmpdir_path("maker.pem"), tmpdir_path("maker.pub"));
	open_with(buf_text(&enrol));
	device_make(&other, "phone-a", RING_STABLE);
	for (size_t i = 0; i < COUNT(maker); i++) {
		device_make(&t, "phone-a", RING_STABLE);
		assert_int_equal(device_apply(&d, &t), ERR_CLOSED);
		vouch(&maker[i], t.public_key, "phone-b", v);
		assert_int_equal(apply_with(&t, v, SIG_LEN), ERR_CLOSED);
		vouch(&maker[i], other.public_key, "phone-a", v);
		assert_int_equal(apply_with(&t, v, SIG_LEN), ERR_CLOSED);
		vouch(&maker[i], t.public_key, "phone-a", v);
		assert_int_equal(apply_with(&t, v, SIG_LEN - 1), ERR_CLOSED);
		v[0] ^= 1;
		assert_int_equal(apply_with(&t, v, SIG_LEN), ERR_CLOSED);
		v[0] ^= 1;
		assert_int_equal(apply_with(&t, v, SIG_LEN), i < 3 ? 0 : ERR_CLOSED);
		device_forget(&t);
		crypto_key_free(maker[i].key);
	}
	device_forget(&other);
	deployment_close(&d);
	buf_release(&enrol);
}

static const char *const bad_makers[] = { "", "# nothing\n", "AAAA\n", "not base64\n",
	"-----BEGIN PUBLIC KEY-----\n"
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
	"-----END PUBLIC KEY-----\n" };

static void test_bad_makers(void **state)
{
	char *path = tmpdir_path("maker");
	struct config_enrol config = {
		.mode = ENROL_VOUCHER, .manufacturers = &path, .n_manufacturers = 1
	};
	char error[256], want[256];
	struct door *door;

	(void)state;
	(void)snprintf(want, sizeof(want),
		"enrol: manufacturers: %s: no Ed25519 public key, as PEM or base64", path);
	for (size_t i = 0; i < COUNT(bad_makers); i++) {
		assert_int_equal(file_replace(path, bytes_str(bad_makers[i]), 0600), 0);
		assert_int_equal(door_new(&config, &door, error), ERR_BAD_KEY);
		assert_string_equal(error, want);
	}
	path = tmpdir_path("nowhere");
	assert_int_equal(door_new(&config, &door, error), -ENOENT);
	assert_non_null(strstr(error, "nowhere: No such file"));
}

/* ---- numbers of events ---- */

/* A phone that lost its memory and kept its key goes on where the server is, and is heard. */
static void test_numbers_go_on(void **state)
{
	static const Pb__EventKind two[] = { PB__EVENT_KIND__EVENT_ALIVE,
		PB__EVENT_KIND__EVENT_ALIVE };
	struct test_device t;
	uint64_t alive;

	(void)state;
	open_with("open");
	assert_int_equal(device_enrol(&d, &t, "phone-a", RING_STABLE), 0);
	assert_int_equal(t.seq, 0);
	assert_int_equal(device_report(&d, &t, "factory", two, 2), 0);
	t.seq = 0;
	assert_int_equal(device_apply(&d, &t), 0);
	assert_int_equal(t.seq, 2);
	alive = metric_get(METRIC_EVENT_ALIVE);
	assert_int_equal(device_report(&d, &t, "factory", two, 1), 0);
	assert_int_equal(metric_get(METRIC_EVENT_ALIVE) - alive, 1);
	device_forget(&t);
	deployment_close(&d);
}

/* A newer phone's symptom is nothing to us, and takes nothing else with it. */
static void test_unknown_symptom(void **state)
{
	static const Pb__EventKind kinds[] = { PB__EVENT_KIND__EVENT_SYMPTOM,
		PB__EVENT_KIND__EVENT_ALIVE };
	static const uint32_t codes[] = { 0, SYMPTOMS - 1, SYMPTOMS, 255, 256, UINT32_MAX };
	struct test_device t;

	(void)state;
	open_with("open");
	assert_int_equal(device_enrol(&d, &t, "phone-a", RING_STABLE), 0);
	for (size_t i = 0; i < COUNT(codes); i++) {
		uint64_t alive = metric_get(METRIC_EVENT_ALIVE);
		t.symptom = codes[i];
		assert_int_equal(device_report(&d, &t, "factory", kinds, 2), 0);
		assert_int_equal(metric_get(METRIC_EVENT_ALIVE) - alive, 1);
	}
	device_forget(&t);
	deployment_close(&d);
}

/* ---- closed, and floods ---- */

static void test_closed(void **state)
{
	struct test_device known, fresh, moved;
	uint8_t id[ID_LEN];

	(void)state;
	open_with("open");
	assert_int_equal(device_enrol(&d, &known, "phone-a", RING_STABLE), 0);
	memcpy(id, known.id, ID_LEN);
	restart_as(ENROL_CLOSED);
	assert_int_equal(device_enrol(&d, &fresh, "phone-a", RING_STABLE), ERR_CLOSED);
	/* The phone that was known still is, by its key and nothing else. */
	memset(known.id, 0, ID_LEN);
	assert_int_equal(device_apply(&d, &known), 0);
	assert_memory_equal(known.id, id, ID_LEN);
	assert_int_equal(device_poll(&d, &known), 0);
	moved = known;
	moved.product = "phone-b";
	assert_int_equal(device_apply(&d, &moved), ERR_WRONG_PRODUCT);
	assert_int_equal(fleet_count(d.server.fleet), 1);
	restart_as(ENROL_OPEN);
	assert_int_equal(device_apply(&d, &fresh), 0);
	device_forget(&known);
	device_forget(&fresh);
	deployment_close(&d);
}

static int enrol_from(const char *network)
{
	struct test_device t;
	int err;

	device_make(&t, "phone-a", RING_STABLE);
	t.network = bytes_str(network);
	err = device_apply(&d, &t);
	device_forget(&t);
	return err;
}

static void test_flood(void **state)
{
	struct test_device known;

	(void)state;
	open_with("{mode: open, per_minute: 5, per_prefix_minute: 2}");
	assert_int_equal(enrol_from("one"), 0);
	assert_int_equal(enrol_from("one"), 0);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(enrol_from("one"), ERR_TOO_MANY);
	assert_int_equal(fleet_count(d.server.fleet), 2);
	/* The rate of all is untouched by what was refused. */
	device_make(&known, "phone-a", RING_STABLE);
	known.network = bytes_str("two");
	/* Who is known already does not count, however often. */
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(device_apply(&d, &known), 0);
	assert_int_equal(enrol_from("two"), 0);
	assert_int_equal(enrol_from("two"), ERR_TOO_MANY);
	assert_int_equal(enrol_from("three"), 0);
	assert_int_equal(enrol_from("three"), ERR_TOO_MANY); /* the fifth was the last of all */
	d.now_ms += 30000;                                   /* it has paid for both tries */
	assert_int_equal(enrol_from("three"), 0);
	d.now_ms += 60000;
	assert_int_equal(enrol_from("one"), 0);
	device_forget(&known);
	deployment_close(&d);
}

/* Who is not let in uses up its network's rate, not everybody's. */
static void test_flood_at_a_closed_door(void **state)
{
	(void)state;
	open_with("{mode: closed, per_minute: 1, per_prefix_minute: 3}");
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(enrol_from("one"), i < 3 ? ERR_CLOSED : ERR_TOO_MANY);
	d.config.enrol.per_prefix_minute = 0;
	restart_as(ENROL_CLOSED);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(enrol_from("one"), ERR_CLOSED);
	deployment_close(&d);
}

/* ---- epochs ---- */

static void add_epoch(const char *name)
{
	char path[256];
	uint8_t secret[DEVICE_SECRET_LEN];

	assert_int_equal(crypto_random(secret, sizeof(secret)), 0);
	(void)snprintf(path, sizeof(path), "%s/%s", d.config.online, name);
	assert_int_equal(file_create(path, bytes_of(secret, sizeof(secret)), 0600), 0);
	deployment_restart(&d);
}

static void test_epochs(void **state)
{
	struct test_device t, young;
	uint8_t id[ID_LEN], key[SHA256_LEN];

	(void)state;
	open_with("open");
	assert_int_equal(device_enrol(&d, &t, "phone-a", RING_STABLE), 0);
	assert_int_equal(t.epoch, 1);
	memcpy(id, t.id, ID_LEN);
	memcpy(key, t.report_key, SHA256_LEN);

	add_epoch("device.2.key");
	assert_int_equal(device_poll(&d, &t), 0);
	assert_int_equal(device_report_one(&d, &t, "factory", PB__EVENT_KIND__EVENT_CRASH), 0);
	assert_int_equal(device_enrol(&d, &young, "phone-a", RING_STABLE), 0);
	assert_int_equal(young.epoch, 2);
	assert_int_equal(device_poll(&d, &young), 0);
	/* The number is not what makes the key. */
	t.epoch = 2;
	assert_int_equal(device_poll(&d, &t), ERR_BAD_MAC);
	t.epoch = 0;
	assert_int_equal(device_poll(&d, &t), ERR_BAD_MAC);
	t.epoch = 1;
	assert_int_equal(device_poll(&d, &t), 0);

	add_epoch("device.3.key");
	assert_int_equal(device_poll(&d, &young), 0);
	assert_int_equal(device_poll(&d, &t), ERR_BAD_MAC);
	assert_int_equal(device_apply(&d, &t), 0);
	assert_int_equal(t.epoch, 3);
	assert_memory_equal(t.id, id, ID_LEN);
	assert_memory_not_equal(t.report_key, key, SHA256_LEN);
	assert_int_equal(device_poll(&d, &t), 0);
	assert_int_equal(fleet_count(d.server.fleet), 2);
	device_forget(&t);
	device_forget(&young);
	deployment_close(&d);
}

/* ---- in another's name ---- */

#define FLEET 60

static struct test_device fleet[FLEET];

/* All that reports could have changed. */
struct seen {
	struct evidence evidence;
	struct device device[FLEET];
	uint64_t crashes, boots;
};

static void look(struct seen *s)
{
	const struct product *p = registry_product(&d.server.registry, "phone-a");
	struct store_txn t;

	memset(s, 0, sizeof(*s));
	s->evidence = stage_stratum(d.server.writer.stages.list, p->number)->evidence;
	s->crashes = metric_get(METRIC_EVENT_CRASH);
	s->boots = metric_get(METRIC_EVENT_BOOT_FAILED);
	store_begin(d.server.store, &t, false);
	for (size_t i = 0; i < FLEET; i++)
		assert_true(device_get(&t, fleet[i].id, &s->device[i]));
	store_abort(&t);
}

/* Up to the hour in which somebody is offered the build: that one. */
static struct test_device *open_stage(void)
{
	static const struct plan_stage ladder[] = { { RING_STABLE, 500000, 0 },
		{ RING_STABLE, 1000000, 0 } };
	static const char *const products[] = { "phone-a" };
	struct test_device *first = NULL;
	struct test_plan p;

	for (size_t i = 0; i < FLEET; i++)
		assert_int_equal(device_enrol(&d, &fleet[i], "phone-a", RING_STABLE), 0);
	deployment_run(&d, 120000, 60000);
	assert_int_equal(deployment_publish(&d, "phone-a", "1.0", 1, "one"), 0);
	assert_int_equal(deployment_roll_out(
				 &d, "1.0", products, 1, plan_of(&p, ladder, 2, 24 * HOUR, 10000)),
		0);
	for (unsigned hour = 0; hour < 12 && first == NULL; hour++) {
		for (size_t i = 0; i < FLEET; i++) {
			assert_int_equal(device_poll(&d, &fleet[i]), 0);
			if (fleet[i].answer == ANSWER_OFFER)
				first = &fleet[i];
		}
		deployment_run(&d, HOUR, 60000);
	}
	assert_non_null(first);
	return first;
}

static int poll_without_id(bool with_report, enum answer *answer)
{
	Pb__PollRequest m = PB__POLL_REQUEST__INIT;
	Pb__ReportRequest report = PB__REPORT_REQUEST__INIT;
	Pb__Sealed sealed = PB__SEALED__INIT;
	struct poll_answer a;
	struct poll_ask ask;
	struct request r;
	struct bytes body;
	int err;

	m.product = "phone-a";
	m.build_id = "factory";
	m.root_version = 1;
	report.first_seq = 1;
	m.report = with_report ? &report : NULL;
	d.arena.used = 0;
	assert_int_equal(wire_pack(&m, &d.arena, &body), 0);
	sealed.body = wire_data(body.p, body.n);
	assert_int_equal(wire_pack(&sealed, &d.arena, &body), 0);
	err = request_open(&d.desk, REQUEST_POLL, body, d.now_ms, &r);
	if (err == 0)
		err = poll_ask_of(&r, &ask);
	if (err != 0)
		return err;
	poll_answer(&d.desk, &ask, d.now_ms, &a);
	*answer = a.answer;
	while (writer_drain(&d.server.writer))
		;
	return 0;
}

static void test_in_anothers_name(void **state)
{
	static struct seen before, after;
	struct test_device *canary, thief;
	enum answer answer;

	(void)state;
	open_with("open");
	canary = open_stage();
	assert_int_equal(device_install(&d, canary, "1.0", 1), 0);
	look(&before);
	assert_int_equal(device_report_one(&d, canary, "1.0", PB__EVENT_KIND__EVENT_CRASH), 0);
	look(&after);
	assert_memory_not_equal(&before.evidence, &after.evidence, sizeof(after.evidence));
	assert_int_equal(after.crashes, before.crashes + 1);

	look(&before);
	/* Sent again, alone and with what was sent before it. */
	canary->seq -= 1;
	assert_int_equal(device_report_one(&d, canary, "1.0", PB__EVENT_KIND__EVENT_CRASH), 0);
	canary->seq -= 1;
	assert_int_equal(
		device_report_one(&d, canary, "1.0", PB__EVENT_KIND__EVENT_BOOT_FAILED), 0);
	/* With another's id, by one that has a key of its own. */
	thief = fleet[canary == fleet ? 1 : 0];
	memcpy(thief.id, canary->id, ID_LEN);
	thief.seq = canary->seq + 7;
	assert_int_equal(device_report_one(&d, &thief, "1.0", PB__EVENT_KIND__EVENT_BOOT_FAILED),
		ERR_BAD_MAC);
	/* Under an epoch that is no more, or never was. */
	thief = *canary;
	thief.epoch = 9;
	assert_int_equal(device_report_one(&d, &thief, "1.0", PB__EVENT_KIND__EVENT_BOOT_FAILED),
		ERR_BAD_MAC);
	/* Without a name there is an answer, and nothing else. */
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(poll_without_id(false, &answer), 0);
		assert_int_equal(answer, ANSWER_STAGED_OUT);
	}
	assert_int_equal(poll_without_id(true, &answer), ERR_BAD_MAC);
	look(&after);
	assert_memory_equal(&before, &after, sizeof(after));

	add_epoch("device.2.key");
	add_epoch("device.3.key");
	look(&before);
	assert_int_equal(device_report_one(&d, canary, "1.0", PB__EVENT_KIND__EVENT_BOOT_FAILED),
		ERR_BAD_MAC);
	look(&after);
	assert_memory_equal(&before, &after, sizeof(after));
	for (size_t i = 0; i < FLEET; i++)
		device_forget(&fleet[i]);
	deployment_close(&d);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_tokens),
		IN_TMPDIR(test_bad_tokens),
		IN_TMPDIR(test_vouchers),
		IN_TMPDIR(test_bad_makers),
		cmocka_unit_test(test_numbers_go_on),
		cmocka_unit_test(test_unknown_symptom),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_flood_at_a_closed_door),
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_in_anothers_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
