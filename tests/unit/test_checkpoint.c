/* SPDX-License-Identifier: Apache-2.0 */
/* Signed notes of the log: what is written, and everything that is not to be believed. */
#include "unit.h"

#include "failing.h"
#include "proto/base64.h"
#include "proto/checkpoint.h"
#include "proto/envelope.h"
#include "tests/fuzz/world.h"

#define ROOT "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=" /* 32 bytes of 0xaa */
#define TEXT WORLD_ORIGIN "\n42\n" ROOT "\n"

static struct world *fresh(uint32_t witnesses)
{
	struct world *w = world();

	w->arena.used = 0;
	w->root.log = &w->log;
	w->log.log_keyid = w->ids[WORLD_LOG];
	w->log.witness_threshold = witnesses;
	return w;
}

static int read_note(struct world *w, struct bytes note, struct checkpoint *out)
{
	return checkpoint_read(crypto_openssl(), note, &w->root, &w->arena, out);
}

/* A note of any text and lines. */
static struct bytes note_of(struct world *w, const char *text, struct bytes lines)
{
	return world_join(w, world_join(w, bytes_str(text), bytes_of("\n", 1)), lines);
}

static struct bytes signed_note(struct world *w, const char *text)
{
	return note_of(w, text, world_log_line(w, bytes_str(text)));
}

#define GOLDEN                                                                                     \
	"jlRS0S61lpnduS2Vf0+V81b57sqzTbi/MK8AjvQyDzR6ZxqJ"                                         \
	"KgLZNfVyMTiTgcTIGxOY/A3ATDT7jF3mhumviyS9aQ4="

/* The key's 32 bytes are 4 each; signed by `openssl pkeyutl -sign -rawin` outside of huidu. */
static void test_golden(void **state)
{
	static const char want[] = TEXT "\n\xe2\x80\x94 " WORLD_ORIGIN " " GOLDEN "\n";
	struct checkpoint c = { .size = 42 }, back;
	struct world *w = fresh(0);
	struct bytes note;

	(void)state;
	memset(c.root, 0xaa, SHA256_LEN);
	assert_int_equal(checkpoint_sign(WORLD_ORIGIN, &c, w->key[WORLD_LOG], &w->arena, &note), 0);
	assert_int_equal(note.n, sizeof(want) - 1);
	assert_memory_equal(note.p, want, note.n);
	assert_int_equal(read_note(w, note, &back), 0);
	assert_int_equal(back.size, 42);
	assert_memory_equal(back.root, c.root, SHA256_LEN);
}

/* The vector of golang.org/x/mod/sumdb/note: its key is "PeterNeumann+c74f20a3+ARpc2Qc...". */
static void test_known_answer(void **state)
{
	static const char key[] = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
			  text[] = "If you think cryptography is the answer to your problem,\n"
				   "then you don't know what your problem is.\n",
			  line[] =
				  "\xe2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pA"
				  "cElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
	struct world *w = fresh(0);
	uint8_t raw[1 + ED25519_PUBLIC_LEN]; /* behind the type */
	Pb__Key signer = PB__KEY__INIT, *keys[] = { &signer };
	Pb__LogPolicy log = PB__LOG_POLICY__INIT;
	Pb__Root root = PB__ROOT__INIT;
	uint8_t keyid[SHA256_LEN], note[sizeof(text) + sizeof(line)];
	struct checkpoint out;
	size_t n;

	(void)state;
	assert_int_equal(base64_read(bytes_str(key), raw, sizeof(raw), &n), 0);
	signer.scheme = KEY_ED25519;
	signer.public_key = wire_data(raw + 1, ED25519_PUBLIC_LEN);
	assert_int_equal(envelope_keyid(crypto_openssl(), &signer, keyid), 0);
	log.origin = "PeterNeumann";
	log.log_keyid = wire_data(keyid, sizeof(keyid));
	root.keys = keys;
	root.n_keys = 1;
	root.log = &log;
	n = (size_t)snprintf((char *)note, sizeof(note), "%s\n%s", text, line);
	/* Its signature is right; then what is signed turns out to be no checkpoint. */
	assert_int_equal(
		checkpoint_read(crypto_openssl(), bytes_of(note, n), &root, &w->arena, &out),
		ERR_MALFORMED);
	for (size_t i = 0; i < sizeof(text) - 2; i++) {
		note[i] ^= 1;
		assert_int_equal(checkpoint_read(crypto_openssl(), bytes_of(note, n), &root,
					 &w->arena, &out),
			ERR_BAD_SIGNATURE);
		note[i] ^= 1;
	}
}

static void test_needs_room(void **state)
{
	struct checkpoint c = { .size = 42 };
	struct world *w = fresh(0);
	struct bytes note;

	(void)state;
	for (size_t room = 0; room < CHECKPOINT_MAX + 32; room += 16) {
		struct arena a = { w->memory, room, 0 };
		assert_int_equal(checkpoint_sign(WORLD_ORIGIN, &c, w->key[WORLD_LOG], &a, &note),
			ERR_NO_ROOM);
	}
}

/* Each signed by the log's key as it stands. */
static const struct {
	const char *why, *text;
	int want;
} texts[] = {
	{ "as it should be", TEXT, 0 },
	{ "more lines, for those who know them", TEXT "extension\nanother\n", 0 },
	{ "an empty log", WORLD_ORIGIN "\n0\n" ROOT "\n", 0 },
	{ "eighteen digits", WORLD_ORIGIN "\n999999999999999999\n" ROOT "\n", 0 },
	{ "nineteen", WORLD_ORIGIN "\n1000000000000000000\n" ROOT "\n", ERR_MALFORMED },
	{ "no size", WORLD_ORIGIN "\n\n" ROOT "\n", ERR_MALFORMED },
	{ "a zero before it", WORLD_ORIGIN "\n042\n" ROOT "\n", ERR_MALFORMED },
	{ "a sign", WORLD_ORIGIN "\n-42\n" ROOT "\n", ERR_MALFORMED },
	{ "hexadecimal", WORLD_ORIGIN "\n4a\n" ROOT "\n", ERR_MALFORMED },
	{ "a space behind it", WORLD_ORIGIN "\n42 \n" ROOT "\n", ERR_MALFORMED },
	{ "only the origin", WORLD_ORIGIN "\n", ERR_MALFORMED },
	{ "no root", WORLD_ORIGIN "\n42\n", ERR_MALFORMED },
	{ "an empty root", WORLD_ORIGIN "\n42\n\n", ERR_MALFORMED },
	{ "a root of 31 bytes", WORLD_ORIGIN "\n42\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqg==\n",
		ERR_MALFORMED },
	{ "a root of 33 bytes", WORLD_ORIGIN "\n42\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq\n",
		ERR_MALFORMED },
	{ "a root that is no base64", WORLD_ORIGIN "\n42\n!\n", ERR_MALFORMED },
	{ "another log", "example.org/other\n42\n" ROOT "\n", ERR_WRONG_REPOSITORY },
	{ "a longer name", WORLD_ORIGIN "2\n42\n" ROOT "\n", ERR_WRONG_REPOSITORY },
	{ "no name", "\n42\n" ROOT "\n", ERR_WRONG_REPOSITORY },
};

static void test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct world *w = fresh(0);
		struct checkpoint c;
		int err = read_note(w, signed_note(w, texts[i].text), &c);
		if (err != texts[i].want)
			fail_msg("%s: %s", texts[i].why, err_name(err));
	}
}

#define DASH "\xe2\x80\x94 "

/* Lines before the good one: those of others are passed over, what is no line voids the note. */
static const struct {
	const char *why, *line;
	int want;
} lines[] = {
	{ "none", "", 0 },
	{ "of somebody else", DASH "other.example AAAAAAAA\n", 0 },
	{ "of our name with another key", DASH WORLD_ORIGIN " AAAAAAAA\n", 0 },
	{ "of our name, too short for a key", DASH WORLD_ORIGIN " AAAA\n", 0 },
	{ "nothing behind the name", DASH "other.example \n", 0 },
	{ "longer than any type we know",
		DASH
		"other.example "
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		"AAAAAAAAAAAAAAAAAAAAAAAAAA\n",
		0 },
	{ "a hyphen for the dash", "- other.example AAAAAAAA\n", ERR_MALFORMED },
	{ "shorter than a dash", "\xe2\x80\n", ERR_MALFORMED },
	{ "nothing behind the dash", DASH "\n", ERR_MALFORMED },
	{ "no space", DASH "other.exampleAAAAAAAA\n", ERR_MALFORMED },
	{ "no name", DASH " AAAAAAAA\n", ERR_MALFORMED },
	{ "no base64", DASH "other.example AAAAAAA!\n", ERR_MALFORMED },
	{ "two spaces", DASH "other.example  AAAAAAAA\n", ERR_MALFORMED },
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct world *w = fresh(0);
		struct bytes good = world_log_line(w, bytes_str(TEXT));
		struct checkpoint c;
		int err = read_note(
			w, note_of(w, TEXT, world_join(w, bytes_str(lines[i].line), good)), &c);
		if (err != lines[i].want)
			fail_msg("%s: %s", lines[i].why, err_name(err));
		/* Alone none of them is a signature. */
		err = read_note(w, note_of(w, TEXT, bytes_str(lines[i].line)), &c);
		if (err != (lines[i].want == 0 ? ERR_BAD_SIGNATURE : ERR_MALFORMED))
			fail_msg("%s, alone: %s", lines[i].why, err_name(err));
	}
}

static void test_sixteen_lines(void **state)
{
	(void)state;
	for (unsigned before = 14; before < 18; before++) {
		struct world *w = fresh(0);
		struct bytes all = world_log_line(w, bytes_str(TEXT));
		struct checkpoint c;
		for (unsigned i = 0; i < before; i++)
			all = world_join(w, bytes_str(DASH "other.example AAAAAAAA\n"), all);
		assert_int_equal(read_note(w, note_of(w, TEXT, all), &c),
			before < CHECKPOINT_LINES_MAX ? 0 : ERR_MALFORMED);
	}
}

/* The line is the log's, and what is in it is wrong. */
static void test_bad_line_of_the_log(void **state)
{
	struct checkpoint c;

	(void)state;
	for (size_t n = 4; n <= 4 + SIG_LEN + 8; n++) {
		struct world *w = fresh(0);
		uint8_t blob[4 + SIG_LEN + 8] = { 0 };
		world_hash(w, WORLD_LOG, WORLD_ORIGIN, 1, blob);
		assert_int_equal(crypto_key_sign(w->key[WORLD_LOG], bytes_str(TEXT), blob + 4), 0);
		assert_int_equal(
			read_note(w,
				note_of(w, TEXT, world_line(w, WORLD_ORIGIN, bytes_of(blob, n))),
				&c),
			n == 4 + SIG_LEN ? 0 : ERR_BAD_SIGNATURE);
		blob[4 + n % SIG_LEN] ^= 1;
		assert_int_equal(
			read_note(w,
				note_of(w, TEXT, world_line(w, WORLD_ORIGIN, bytes_of(blob, n))),
				&c),
			ERR_BAD_SIGNATURE);
	}
}

static void test_whole(void **state)
{
	struct world *w = fresh(0);
	struct bytes note = signed_note(w, TEXT);
	static uint8_t big[CHECKPOINT_MAX + 1];
	struct checkpoint c;

	(void)state;
	memset(big, '\n', sizeof(big));
	assert_int_equal(read_note(w, bytes_of(big, sizeof(big)), &c), ERR_TOO_BIG);
	assert_int_equal(read_note(w, bytes_of(big, CHECKPOINT_MAX), &c), ERR_BAD_SIGNATURE);
	assert_int_equal(read_note(w, bytes_str(TEXT), &c), ERR_MALFORMED);
	/* Cut or changed anywhere it is nothing. */
	for (size_t n = 0; n < note.n; n++)
		assert_int_not_equal(read_note(w, bytes_of(note.p, n), &c), 0);
	for (size_t i = 0; i < 8 * note.n; i++) {
		uint8_t copy[CHECKPOINT_MAX];
		memcpy(copy, note.p, note.n);
		copy[i / 8] ^= (uint8_t)(1u << i % 8);
		w->arena.used = 4096;
		assert_int_not_equal(read_note(w, bytes_of(copy, note.n), &c), 0);
	}
}

/* Which of the two witnesses signed, and how many are asked for. */
static void test_witnesses(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 4; who++) {
		for (uint32_t k = 0; k <= 2; k++) {
			struct world *w = fresh(k);
			struct bytes note = signed_note(w, TEXT);
			struct checkpoint c;
			for (unsigned i = 0; i < 2; i++)
				if (who >> i & 1)
					note = world_cosign(w, note, i);
			assert_int_equal(read_note(w, note, &c),
				(who & 1) + (who >> 1) >= k ? 0 : ERR_BELOW_WITNESSES);
		}
	}
}

/* The witness's line is there, and does not count. */
static void test_bad_witness(void **state)
{
	(void)state;
	for (unsigned how = 0; how < 4; how++) {
		struct world *w = fresh(1);
		uint8_t blob[12 + SIG_LEN] = { 0 };
		size_t n = how == 1 ? 4 + SIG_LEN : sizeof(blob);
		struct checkpoint c;
		struct bytes line = world_witness_line(w, bytes_str(how == 2 ? TEXT "x" : TEXT), 0);
		world_hash(w, WORLD_W1, w->witness[0].name, how == 3 ? 1 : 4, blob);
		if (how != 2)
			line = world_line(w, w->witness[0].name, bytes_of(blob, n));
		assert_int_equal(read_note(w, world_join(w, signed_note(w, TEXT), line), &c),
			ERR_BELOW_WITNESSES);
		/* The other one's does, all the same. */
		line = world_join(w, line, world_witness_line(w, bytes_str(TEXT), 1));
		assert_int_equal(read_note(w, world_join(w, signed_note(w, TEXT), line), &c), 0);
	}
}

/* A line that is none comes behind the log's: it is met on the way to the witness's. */
static void test_malformed_on_the_way_to_a_witness(void **state)
{
	struct world *w = fresh(1);
	struct bytes note = world_join(w, signed_note(w, TEXT), bytes_str("nonsense\n"));
	struct checkpoint c;

	(void)state;
	assert_int_equal(
		read_note(w, world_join(w, note, world_witness_line(w, bytes_str(TEXT), 0)), &c),
		ERR_MALFORMED);
}

static void test_root_without_a_log(void **state)
{
	struct world *w = fresh(0);
	struct bytes note = signed_note(w, TEXT);
	struct checkpoint c;
	uint8_t nobody[SHA256_LEN] = { 0 };

	(void)state;
	w->root.log = NULL;
	assert_int_equal(read_note(w, note, &c), ERR_BAD_ROOT);
	w = fresh(0);
	note = signed_note(w, TEXT);
	w->log.log_keyid = wire_data(nobody, SHA256_LEN);
	assert_int_equal(read_note(w, note, &c), ERR_BAD_ROOT);
	w->log.log_keyid = w->ids[WORLD_BOB]; /* P-256 */
	assert_int_equal(read_note(w, note, &c), ERR_BAD_ROOT);
	(void)fresh(0);
}

/* Whatever call fails first, nothing is believed; and so with memory. */
static void test_crypto_fails(void **state)
{
	struct world *w = fresh(2);
	struct bytes note = world_cosign(w, world_cosign(w, signed_note(w, TEXT), 0), 1);
	struct checkpoint c;
	struct failing f;
	unsigned calls = 0;

	(void)state;
	for (int err = -1; err != 0; calls++) {
		failing_after(&f, calls);
		err = checkpoint_read(&f.hooks, note, &w->root, &w->arena, &c);
		assert_true((err != 0) == (f.failed > 0));
	}
	assert_in_range(calls, 7, 20); /* keys of the root, three hashes, three signatures */
}

static void test_no_room(void **state)
{
	struct world *w = fresh(2);
	struct bytes note = world_cosign(w, world_cosign(w, signed_note(w, TEXT), 0), 1);
	size_t before = (w->arena.used + 15) & ~(size_t)15, need;
	struct checkpoint c;

	(void)state;
	w->arena.used = before;
	assert_int_equal(read_note(w, note, &c), 0);
	need = w->arena.used - before;
	for (size_t room = 0; room < need; room += 16) {
		struct arena a = { w->memory + before, room, 0 };
		assert_int_equal(
			checkpoint_read(crypto_openssl(), note, &w->root, &a, &c), ERR_NO_ROOM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_known_answer),
		cmocka_unit_test(test_needs_room),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_sixteen_lines),
		cmocka_unit_test(test_bad_line_of_the_log),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_witnesses),
		cmocka_unit_test(test_bad_witness),
		cmocka_unit_test(test_malformed_on_the_way_to_a_witness),
		cmocka_unit_test(test_root_without_a_log),
		cmocka_unit_test(test_crypto_fails),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
