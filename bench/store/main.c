/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `./dev bench store` and `compat` that run inside a process; see bench/store.py. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench/store/store.h"
#include "server/base/log.h"
#include "server/base/mem.h"

void must(int err, const char *what)
{
	if (err == 0)
		return;
	(void)fprintf(stderr, "store: %s: %s\n", what, err_str(err));
	exit(1);
}

double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* this clock is always there */
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static uint64_t mixed(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void made_id(uint64_t i, uint64_t n, uint8_t id[ID_LEN])
{
	uint64_t step = UINT64_MAX / n;

	put_be64(id, i * step + mixed(i + 1) % step);
	put_be64(id + 8, mixed(~i));
}

uint64_t shuffled(uint64_t k, uint64_t n)
{
	return k * 2654435761u % n; /* a prime that no n here has as a factor */
}

static const struct {
	const char *name, *arguments;
	int argc;
	int (*run)(const struct place *p, int argc, char **argv);
} part[] = {
	{ "fill", "sorted|shuffled", 1, store_fill },
	{ "reports", "FIRST BATCH BATCHES", 3, store_reports },
	{ "raw", "FIRST BATCH BATCHES", 3, store_raw },
	{ "polls", "PORT FILE", 2, store_polls },
	{ "fill-foreign", "PROTOCOL", 1, store_fill_foreign },
	{ "polls-foreign", "PORT PROTOCOL", 2, store_polls_foreign },
	{ "request-foreign", "PROTOCOL", 1, store_request_foreign },
	{ "size", "", 0, store_size },
	{ "table", "", 0, store_table_bytes },
};

int main(int argc, char **argv)
{
	char error[YAML_ERROR_MAX];
	struct place p = { 0 };

	log_init("store", LOG_LEVEL_ERROR);
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		if (argc != part[i].argc + 4 || strcmp(argv[1], part[i].name) != 0)
			continue;
		if (config_load(argv[2], &p.config, error) != 0) {
			(void)fprintf(stderr, "store: %s\n", error);
			return 1;
		}
		p.store = mem_printf("%s/store", p.config.data);
		p.n = strtoull(argv[3], NULL, 10);
		must(p.n == 0 ? ERR_BAD_RANGE : 0, "devices");
		return part[i].run(&p, argc - 4, argv + 4);
	}
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		(void)fprintf(stderr, "%s store %s CONFIG DEVICES %s\n",
			i == 0 ? "usage:" : "      ", part[i].name, part[i].arguments);
	return 2;
}
