/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/crypto.h"
#include "server/base/file.h"

#define MAGIC       "huiduLG1"
#define AT_GEN      8
#define AT_LEN      16
#define AT_SHA      20
#define HEAD        52 /* magic, generation, length, SHA-256 of these and of what follows */
#define PAYLOAD_MAX (SLOT_SIZE - HEAD)

static int checksum(struct bytes slot, uint8_t out[SHA256_LEN])
{
	struct bytes part[] = { bytes_of(slot.p, AT_SHA), bytes_of(slot.p + HEAD, slot.n - HEAD) };

	return crypto_sha256(part, 2, out);
}

static int pack(uint64_t generation, struct bytes payload, struct buf *out)
{
	uint8_t *p;

	if (payload.n > PAYLOAD_MAX)
		return ERR_TOO_BIG;
	p = buf_room(out, HEAD + payload.n);
	memcpy(p, MAGIC, AT_GEN);
	put_be64(p + AT_GEN, generation);
	put_be32(p + AT_LEN, (uint32_t)payload.n);
	memcpy(p + HEAD, payload.p, payload.n);
	out->len = HEAD + payload.n;
	return checksum(buf_bytes(out), p + AT_SHA);
}

static int read_at(int fd, uint64_t at, uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t got = pread(fd, p, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : ERR_CORRUPT;
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

/* ERR_CORRUPT when it is not whole, -errno when it cannot be read at all. */
static int read_one(int fd, uint64_t at, struct buf *out)
{
	uint8_t *p = buf_room(out, HEAD), sha[SHA256_LEN];
	int err = read_at(fd, at, p, HEAD);
	size_t n;

	if (err != 0)
		return err;
	n = get_be32(p + AT_LEN);
	if (memcmp(p, MAGIC, AT_GEN) != 0 || n > PAYLOAD_MAX)
		return ERR_CORRUPT;
	p = buf_room(out, HEAD + n);
	err = read_at(fd, at, p, HEAD + n);
	if (err != 0)
		return err;
	out->len = HEAD + n;
	err = checksum(buf_bytes(out), sha);
	return err == 0 && memcmp(sha, p + AT_SHA, SHA256_LEN) != 0 ? ERR_CORRUPT : err;
}

static uint64_t offset(uint64_t generation)
{
	return generation % 2 == 1 ? 0 : SLOT_SIZE;
}

/* The newer of the two that are whole.  A disk that does not answer may hold the newer one. */
static int choose(struct slots *s, struct buf *payload)
{
	int result = ERR_CORRUPT;

	for (unsigned i = 0; i < 2; i++) {
		struct buf slot = { 0 };
		int err = read_one(s->fd, i * SLOT_SIZE, &slot);
		uint64_t generation = err == 0 ? get_be64(slot.data + AT_GEN) : 0;
		if (err == 0 && generation > s->generation && offset(generation) == i * SLOT_SIZE) {
			s->generation = generation;
			payload->len = 0;
			buf_add(payload, slot.data + HEAD, slot.len - HEAD);
		}
		buf_release(&slot);
		if (err != 0 && err != ERR_CORRUPT)
			return err;
		if (s->generation > 0)
			result = 0;
	}
	return result;
}

/* With one slot, so that the first write has something to fall back to. */
static int create(const char *path, struct bytes first)
{
	struct buf slot = { 0 };
	int err = pack(1, first, &slot);

	if (err == 0)
		err = file_replace(path, buf_bytes(&slot), 0600);
	buf_release(&slot);
	return err;
}

/* One that has just been killed may still hold it for a moment. */
static int lock(int fd)
{
	for (unsigned i = 0; i < 200; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		(void)usleep(10000);
	}
	return ERR_BUSY;
}

int slots_open(const char *path, struct bytes first, struct slots *s, struct buf *payload)
{
	int err = 0;

	*s = (struct slots){ .fd = -1 };
	if (access(path, F_OK) != 0 && errno == ENOENT)
		err = create(path, first);
	if (err == 0)
		s->fd = open(path, O_RDWR | O_CLOEXEC);
	if (err == 0 && s->fd < 0)
		err = -errno;
	if (err == 0)
		err = lock(s->fd);
	return err != 0 ? err : choose(s, payload);
}

int slots_read(const char *path, struct buf *payload)
{
	struct slots s = { .fd = open(path, O_RDONLY | O_CLOEXEC) };
	int err = s.fd < 0 ? -errno : choose(&s, payload);

	slots_close(&s);
	return err;
}

void slots_close(struct slots *s)
{
	if (s->fd >= 0)
		(void)close(s->fd); /* all that counts was synced */
	s->fd = -1;
}

/* A write that failed is followed by one of the same slot: the other is the only good one. */
int slots_write(struct slots *s, struct bytes payload)
{
	struct buf slot = { 0 };
	int err = pack(s->generation + 1, payload, &slot);

	if (err == 0)
		err = file_write_at(s->fd, offset(s->generation + 1), buf_bytes(&slot));
	if (err == 0 && fdatasync(s->fd) != 0)
		err = -errno;
	if (err == 0)
		s->generation++;
	buf_release(&slot);
	return err;
}
