/* SPDX-License-Identifier: Apache-2.0 */
/* Its beginning, its memory and its log; repo_sign.c and repo_publish.c make the rest, repo_http.c answers. */
#include "tests/attack/repo.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/merkle.h"

#define ARENA_BYTES (16u << 20)
#define DAY         86400u

static const enum envelope_type rooted[] = { ENVELOPE_ROOT, ENVELOPE_TIMESTAMP, ENVELOPE_SNAPSHOT,
	ENVELOPE_TARGETS, ENVELOPE_PLAN, ENVELOPE_DIRECTOR };
#define ROOTED (sizeof(rooted) / sizeof(rooted[0]))

void repo_must(int err)
{
	if (err != 0)
		(void)fprintf(stderr, "repo: %s\n", err_str(err));
	assert(err == 0);
}

void *repo_take(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	assert(p != NULL);
	memset(p, 0, n);
	return p;
}

const char *repo_text(struct arena *a, const char *format, ...)
{
	char *p = repo_take(a, 200);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(p, 200, format, args);
	va_end(args);
	return p;
}

/* ---- the log: RFC 6962, the naive way ---- */

uint64_t repo_log(struct repo *r, struct bytes envelope, uint64_t time_ms)
{
	Pb__LogEntry entry = PB__LOG_ENTRY__INIT;
	struct bytes packed;

	assert(r->n_leaves < REPO_LEAVES);
	entry.time_ms = time_ms;
	entry.envelope = wire_data(envelope.p, envelope.n);
	repo_must(wire_pack(&entry, &r->kept, &packed));
	struct bytes part[] = { bytes_of("", 1), packed }; /* 0x00, the entry */
	repo_must(crypto_sha256(part, 2, r->leaves[r->n_leaves]));
	return r->n_leaves++;
}

void repo_subtree(const struct repo *r, uint64_t from, uint64_t to, uint8_t out[SHA256_LEN])
{
	uint8_t half[2][SHA256_LEN];
	uint64_t k = 1;

	if (to - from == 1) {
		memcpy(out, r->leaves[from], SHA256_LEN);
		return;
	}
	while (2 * k < to - from)
		k *= 2;
	repo_subtree(r, from, from + k, half[0]);
	repo_subtree(r, from + k, to, half[1]);
	struct bytes part[] = { bytes_of("\1", 1), bytes_of(half, sizeof(half)) };
	repo_must(crypto_sha256(part, 2, out));
}

struct bytes repo_checkpoint(struct repo *r, uint64_t size)
{
	struct checkpoint c = { .size = size };
	struct bytes note;

	repo_subtree(r, 0, size, c.root);
	repo_must(checkpoint_sign(REPO_LOG, &c, repo_key(r, r->log_key)->key, &r->kept, &note));
	return note;
}

/* ---- beginning, and beginning again ---- */

static void clear_dishonesty(struct repo *r)
{
	memset(r->edit, 0, sizeof(r->edit));
	memset(r->forge, 0, sizeof(r->forge));
	for (unsigned t = 0; t < ENVELOPE__COUNT; t++)
		r->typed_as[t] = (enum envelope_type)t;
	r->edit_reply = NULL;
	r->edit_proof = NULL;
	r->edit_time = NULL;
	r->edit_grant = NULL;
	r->grant = bytes_of(NULL, 0);
	r->spoil_file = 0;
	r->always_full = r->never_full = r->no_log = false;
	r->lives_s[ENVELOPE_ROOT] = 365 * DAY;
	r->lives_s[ENVELOPE_TIMESTAMP] = DAY;
	r->lives_s[ENVELOPE_SNAPSHOT] = r->lives_s[ENVELOPE_DIRECTOR] = 7 * DAY;
	r->offers_for_s = DAY / 4;
}

void repo_be_honest(struct repo *r, uint64_t trusted)
{
	clear_dishonesty(r);
	assert(trusted >= 1 && trusted <= r->n_roots);
	memcpy(r->version, r->highest, sizeof(r->version));
	r->n_roots = (unsigned)trusted;
	r->version[ENVELOPE_ROOT] = trusted;
	memcpy(r->role, r->roles_of[trusted - 1], sizeof(r->role));
	for (size_t i = 0; i < ROOTED; i++) {
		struct repo_role *role = &r->role[rooted[i]];
		role->n_signers = role->threshold;
		memcpy(role->signer, role->key, sizeof(role->key));
	}
	r->ring = r->director_ring = PB__RING__RING_STABLE;
	r->n_halted = 0;
}

static struct arena arena_new(void)
{
	struct arena a = { malloc(ARENA_BYTES), ARENA_BYTES, 0 };

	assert(a.base != NULL);
	return a;
}

struct repo *repo_new(uint64_t now_s)
{
	struct repo *r = calloc(1, sizeof(*r));

	assert(r != NULL);
	r->now_s = now_s;
	r->kept = arena_new();
	r->reply = arena_new();
	clear_dishonesty(r);
	r->ring = r->director_ring = PB__RING__RING_STABLE;
	r->answer = PB__ANSWER__ANSWER_OFFER;
	r->next_poll_s = 3600;
	repo_set_role(r, ENVELOPE_ROOT, 0, 3, 2);
	repo_set_role(r, ENVELOPE_TARGETS, 3, 3, 2);
	repo_set_role(r, ENVELOPE_PLAN, 6, 3, 2);
	repo_set_role(r, ENVELOPE_DIRECTOR, 9, 1, 1);
	repo_set_role(r, ENVELOPE_SNAPSHOT, 10, 1, 1);
	repo_set_role(r, ENVELOPE_TIMESTAMP, 11, 1, 1);
	r->log_key = 12;
	(void)repo_key(r, 12); /* so that keys made later are made behind it */
	repo_publish_root(r);
	repo_publish(r);
	return r;
}

void repo_free(struct repo *r)
{
	for (unsigned i = 0; i < REPO_KEYS; i++)
		crypto_key_free(r->keys[i].key);
	free(r->kept.base);
	free(r->reply.base);
	free(r);
}
