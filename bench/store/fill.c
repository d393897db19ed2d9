/* SPDX-License-Identifier: Apache-2.0 */
/* Devices into a store and into the table in memory. */
#include <stdio.h>
#include <time.h>

#include "bench/store/store.h"
#include "server/store/device.h"

#define A_COMMIT 10000u

/* As an enrolment leaves it: the record, and the way from the key to it. */
static void put_device(struct store_txn *t, const struct place *p, uint64_t i, uint16_t product)
{
	struct device d = {
		.product = product, .ring = RING_STABLE, .wish = RING_STABLE, .enrolled_day = 20000
	};
	uint8_t key_hash[SHA256_LEN] = { 0 };

	made_id(i, p->n, d.id);
	d.public_key[0] = 2;
	memcpy(d.public_key + 1, d.id, ID_LEN);
	memcpy(d.public_key + 1 + ID_LEN, d.id, ID_LEN);
	memcpy(key_hash, d.id, 8);
	memcpy(key_hash + 8, d.id, 8);
	device_put(t, &d);
	device_key_put(t, key_hash, d.id);
}

int store_fill(const struct place *p, int argc, char **argv)
{
	bool sorted = strcmp(argv[0], "sorted") == 0;
	struct registry registry;
	struct store_txn t;
	struct store *s;
	char error[256];

	(void)argc;
	must(store_open(p->store, STORE_ROOM, &s, error), error);
	must(registry_open(s, &p->config, &registry), "registry");
	for (uint64_t done = 0; done < p->n;) {
		store_begin(s, &t, true);
		for (uint64_t end = done + A_COMMIT; done < p->n && done < end; done++)
			put_device(&t, p, sorted ? done : shuffled(done, p->n),
				registry.products[0].number);
		must(store_commit(&t), "commit");
	}
	registry_release(&registry);
	store_close(s);
	return 0;
}

/* Prints what devices and their keys take of the file, and how large that is. */
int store_size(const struct place *p, int argc, char **argv)
{
	struct store_info info;
	struct store_txn t;
	struct store *s;
	char error[256];

	(void)argc;
	(void)argv;
	must(store_open_read(p->store, &s, error), error);
	store_begin(s, &t, false);
	must(store_info(&t, &info), "info");
	store_abort(&t);
	store_close(s);
	printf("{\"used\": %llu, \"file\": %llu}\n",
		(unsigned long long)(info.table[STORE_DEVICE].bytes + info.table[STORE_KEY].bytes),
		(unsigned long long)info.file_bytes);
	return 0;
}

/* Of this thread: what others do meanwhile does not count. */
static double busy_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* this clock is always there */
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Prints the most bytes a device while the table grew to so many, and the longest that one took. */
int store_table_bytes(const struct place *p, int argc, char **argv)
{
	struct fleet *f = fleet_new(0);
	struct fleet_device d = { .ring = RING_STABLE };
	uint8_t id[ID_LEN];
	double most = 0, longest_us = 0, began = busy_us();

	(void)argc;
	(void)argv;
	for (uint64_t i = 0; i < p->n; i++) {
		made_id(shuffled(i, p->n), p->n, id);
		double before = busy_us();
		must(fleet_add(f, id, &d) ? 0 : ERR_CONFLICT, "table");
		double took = busy_us() - before, bytes = (double)fleet_bytes(f) / (double)(i + 1);
		longest_us = took > longest_us ? took : longest_us;
		most = i >= 100000 && bytes > most ? bytes : most;
	}
	printf("{\"most\": %.2f, \"last\": %.2f, \"longest_us\": %.0f, \"seconds\": %.2f}\n", most,
		(double)fleet_bytes(f) / (double)p->n, longest_us, (busy_us() - began) / 1e6);
	fleet_free(f);
	return 0;
}
