/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/digest.h"

#include <errno.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"

#define PIECE    ((size_t)256 * 1024)
#define KEY_LEN  21u
#define FILES    4096u  /* far more builds than a product has */
#define AGAIN_MS 60000u /* what failed is tried again so late */

enum state { WANTED, KNOWN, FAILED };

struct entry {
	uint8_t sha256[SHA256_LEN], sha1[SHA1_LEN];
	enum state state;
	uint64_t again_ms; /* monotonic; of one that failed */
};

struct digests {
	const struct artifacts *files;
	struct store *store;
	struct writer *writer;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	_Atomic bool stopping;
	struct entry *list;
	size_t n;
};

/* ---- in the store ---- */

static struct bytes record_key(const uint8_t sha256[SHA256_LEN], uint8_t key[KEY_LEN])
{
	memcpy(key, "sha1/", 5);
	memcpy(key + 5, sha256, KEY_LEN - 5);
	return bytes_of(key, KEY_LEN);
}

static bool recall(struct digests *d, struct entry *e)
{
	uint8_t key[KEY_LEN];
	struct store_txn t;
	struct bytes v;
	bool found;

	store_begin(d->store, &t, false);
	found = store_get(&t, STORE_META, record_key(e->sha256, key), &v) && v.n == SHA1_LEN;
	if (found)
		memcpy(e->sha1, v.p, SHA1_LEN);
	store_abort(&t);
	return found;
}

struct keep {
	struct job job;
	struct entry entry;
};

static void keep_run(struct job *job, struct writer *w)
{
	const struct entry *e = &((struct keep *)job)->entry;
	uint8_t key[KEY_LEN];

	store_put(&w->txn, STORE_META, record_key(e->sha256, key), bytes_of(e->sha1, SHA1_LEN));
}

static void keep_done(struct job *job)
{
	free(job);
}

/* What cannot be kept is computed again after a restart. */
static void keep(struct digests *d, const struct entry *e)
{
	struct keep *k = mem_zalloc(sizeof(*k));

	k->job = (struct job){ .run = keep_run, .done = keep_done };
	k->entry = *e;
	if (writer_submit(d->writer, &k->job) != 0)
		free(k);
}

/* ---- the thread ---- */

static int add_file(struct digests *d, struct sha1 *sha1, int file, uint8_t *piece)
{
	ssize_t n = 1;
	int err = 0;

	while (err == 0 && n > 0 && !atomic_load(&d->stopping)) {
		n = read(file, piece, PIECE);
		err = n < 0 ? -errno : sha1_add(sha1, piece, (size_t)n);
	}
	return err != 0 ? err : atomic_load(&d->stopping) ? ERR_BUSY : 0;
}

static int compute(struct digests *d, struct entry *e)
{
	struct sha1 *sha1;
	uint8_t *piece;
	uint64_t length;
	int file, err = artifact_open(d->files, e->sha256, &file, &length);

	if (err != 0)
		return err;
	piece = mem_alloc(PIECE);
	sha1 = sha1_new();
	err = sha1 != NULL ? add_file(d, sha1, file, piece) : ERR_CRYPTO;
	if (err == 0)
		err = sha1_end(sha1, e->sha1);
	sha1_free(sha1);
	free(piece);
	(void)close(file); /* nothing was written */
	return err;
}

static enum state look(struct digests *d, struct entry *e)
{
	char hex[2 * SHA256_LEN + 1];
	int err;

	err = compute(d, e);
	if (err == 0)
		keep(d, e);
	else if (err != ERR_BUSY)
		log_error("artifact %s: no SHA-1: %s", hex_encode(hex, e->sha256, SHA256_LEN),
			err_str(err));
	e->again_ms = clock_mono_ms() + AGAIN_MS;
	return err == 0 ? KNOWN : FAILED;
}

static struct entry *find(struct digests *d, const uint8_t sha256[SHA256_LEN])
{
	for (size_t i = 0; i < d->n; i++)
		if (memcmp(d->list[i].sha256, sha256, SHA256_LEN) == 0)
			return &d->list[i];
	return NULL;
}

static bool next_wanted(const struct digests *d, struct entry *out)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->list[i].state == WANTED) {
			*out = d->list[i];
			return true;
		}
	return false;
}

static void *work(void *arg)
{
	struct digests *d = arg;
	struct entry e, *found;

	(void)pthread_mutex_lock(&d->lock);
	while (!atomic_load(&d->stopping)) {
		if (!next_wanted(d, &e)) {
			(void)pthread_cond_wait(&d->wake, &d->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&d->lock);
		e.state = look(d, &e);
		(void)pthread_mutex_lock(&d->lock);
		found = find(d, e.sha256);
		if (found != NULL) /* entries stay */
			*found = e;
	}
	(void)pthread_mutex_unlock(&d->lock);
	return NULL;
}

struct digests *digests_new(const struct artifacts *files, struct store *store, struct writer *w)
{
	struct digests *d = mem_zalloc(sizeof(*d));

	d->files = files;
	d->store = store;
	d->writer = w;
	(void)pthread_mutex_init(&d->lock, NULL);
	(void)pthread_cond_init(&d->wake, NULL);
	d->running = pthread_create(&d->thread, NULL, work, d) == 0;
	if (d->running)
		return d;
	digests_free(d);
	return NULL;
}

void digests_stop(struct digests *d)
{
	if (d == NULL || !d->running)
		return;
	(void)pthread_mutex_lock(&d->lock);
	atomic_store(&d->stopping, true);
	(void)pthread_cond_signal(&d->wake);
	(void)pthread_mutex_unlock(&d->lock);
	(void)pthread_join(d->thread, NULL);
	d->running = false;
}

void digests_free(struct digests *d)
{
	if (d == NULL)
		return;
	digests_stop(d);
	(void)pthread_cond_destroy(&d->wake);
	(void)pthread_mutex_destroy(&d->lock);
	free(d->list);
	free(d);
}

/* ---- asking ---- */

static struct entry *want(struct digests *d, const uint8_t sha256[SHA256_LEN])
{
	struct entry *e = find(d, sha256);

	if (e == NULL && d->n < FILES) {
		d->list = mem_resize(d->list, d->n + 1, sizeof(*d->list));
		e = &d->list[d->n++];
		e->again_ms = 0;
		memcpy(e->sha256, sha256, SHA256_LEN);
		e->state = recall(d, e) ? KNOWN : FAILED;
	}
	if (e == NULL || e->state != FAILED || clock_mono_ms() < e->again_ms)
		return e;
	e->state = WANTED;
	(void)pthread_cond_signal(&d->wake);
	return e;
}

bool digests_sha1(struct digests *d, const uint8_t sha256[SHA256_LEN], uint8_t out[SHA1_LEN])
{
	const struct entry *e;
	bool known;

	(void)pthread_mutex_lock(&d->lock);
	e = want(d, sha256);
	known = e != NULL && e->state == KNOWN;
	if (known)
		memcpy(out, e->sha1, SHA1_LEN);
	(void)pthread_mutex_unlock(&d->lock);
	return known;
}
