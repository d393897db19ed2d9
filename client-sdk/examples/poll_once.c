/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least a program can do with libhuidu: asks once, without an id, whether there is
 * a build for this product, and says so.  Nothing is kept and nothing is installed.
 *
 *     poll_once https://updates.example root.bin REPOSITORY PRODUCT BUILD COUNTER
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "client-sdk/curl/huidu_curl.h"

struct device {
	struct huidu_curl *curl;
	huidu_t *h;
};

static int http(void *ctx, const struct huidu_request *request)
{
	struct device *d = ctx;

	return huidu_curl_http(d->curl, d->h, request);
}

/* A device that forgets: its next start is a first start. */
static int state_read(void *ctx, unsigned slot, void *out, size_t *len)
{
	(void)ctx;
	(void)slot;
	(void)out;
	(void)len;
	return -ENOENT;
}

static int state_write(void *ctx, unsigned slot, const void *data, size_t len)
{
	(void)ctx;
	(void)slot;
	(void)data;
	(void)len;
	return 0;
}

static int file_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	(void)ctx;
	(void)offset;
	(void)data;
	(void)len;
	return -ENOTSUP;
}

static int file_read(void *ctx, uint64_t offset, void *data, size_t *len)
{
	(void)ctx;
	(void)offset;
	(void)data;
	(void)len;
	return -ENOTSUP;
}

static int refuse(void *ctx, const struct huidu_offer *offer)
{
	(void)ctx;
	(void)offer;
	return -ENOTSUP;
}

static uint64_t now_ms(void *ctx)
{
	(void)ctx;
	return (uint64_t)time(NULL) * 1000;
}

static int random_bytes(void *ctx, void *out, size_t len)
{
	(void)ctx;
	return getrandom(out, len, 0) == (ssize_t)len ? 0 : -EIO;
}

static int poll_once(struct device *d, const struct huidu_config *config)
{
	static _Alignas(16) uint8_t memory[HUIDU_MEMORY], scratch[HUIDU_SCRATCH];
	const struct huidu_platform platform = { .size = sizeof(platform),
		.ctx = d,
		.http = http,
		.state_read = state_read,
		.state_write = state_write,
		.file_write = file_write,
		.file_read = file_read,
		.apply = refuse,
		.activate = refuse,
		.now_ms = now_ms,
		.random = random_bytes };
	struct huidu_status status;
	uint64_t next_ms;
	int err;

	d->h = huidu_init(memory, scratch, &platform, NULL, config, &err);
	if (d->h == NULL)
		return err;
	err = huidu_step(d->h, &next_ms);
	huidu_status(d->h, &status);
	if (err == 0)
		(void)printf(
			"%s\n", status.build_id[0] != '\0' ? status.build_id : "no build for you");
	huidu_fini(d->h);
	return err;
}

int main(int argc, char **argv)
{
	static uint8_t root[16384];
	struct huidu_config config = { .size = sizeof(config), .root = root, .wish = HUIDU_STABLE };
	struct device d = { 0 };
	FILE *f;
	int err;

	if (argc != 7)
		return 2;
	f = fopen(argv[2], "rb");
	if (f == NULL)
		return 1;
	config.root_len = fread(root, 1, sizeof(root), f);
	(void)fclose(f); /* only read */
	config.repository = argv[3];
	config.product = argv[4];
	config.build_id = argv[5];
	config.release_counter = strtoull(argv[6], NULL, 10);
	d.curl = huidu_curl_new(argv[1], NULL);
	err = d.curl == NULL ? -EINVAL : poll_once(&d, &config);
	if (err != 0)
		(void)fprintf(stderr, "poll_once: %s\n", huidu_strerror(err));
	if (d.curl != NULL)
		huidu_curl_free(d.curl);
	return err != 0;
}
