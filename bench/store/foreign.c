/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of other servers' protocols: into a store, and their polls. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/store/loader.h"
#include "bench/store/store.h"
#include "server/base/mem.h"
#include "server/service/foreign.h"

#define A_COMMIT 10000u
#define TEXT_MAX 64u

/* ---- what they ask, as their programs do ---- */

static size_t write_ddi(char *out, const char *name, const char *authorization)
{
	return (size_t)snprintf(out, LOADER_REQUEST_MAX,
		"GET /default/controller/v1/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
		"User-Agent: libcurl-agent/1.0\r\nContent-Type: application/json\r\n"
		"Accept: application/json\r\ncharsets: utf-8\r\nAuthorization: %s\r\n\r\n",
		name, authorization);
}

static size_t write_gateway(char *out, uint64_t i, const char *name)
{
	(void)i;
	return write_ddi(out, name, "GatewayToken gateway-token-0001");
}

static void token_of(uint64_t i, char token[TEXT_MAX])
{
	(void)snprintf(token, TEXT_MAX, "%032llx", (unsigned long long)i);
}

static size_t write_target(char *out, uint64_t i, const char *name)
{
	char token[TEXT_MAX], authorization[2 * TEXT_MAX];

	token_of(i, token);
	(void)snprintf(authorization, sizeof(authorization), "TargetToken %s", token);
	return write_ddi(out, name, authorization);
}

static const struct way {
	const char *name;
	enum foreign_protocol protocol;
	size_t (*write)(char *out, uint64_t i, const char *name);
} ways[] = {
	{ "hawkbit", FOREIGN_DDI, write_gateway },
	{ "hawkbit-target", FOREIGN_DDI, write_target },
};

static const struct way *way_of(const char *name)
{
	size_t i = 0;

	while (i < sizeof(ways) / sizeof(ways[0]) && strcmp(ways[i].name, name) != 0)
		i++;
	must(i < sizeof(ways) / sizeof(ways[0]) ? 0 : ERR_NOT_FOUND, name);
	return &ways[i];
}

static void name_of(uint64_t i, char name[TEXT_MAX])
{
	(void)snprintf(name, TEXT_MAX, "board-%08llu", (unsigned long long)i);
}

/* ---- into the store ---- */

struct made {
	uint8_t id[ID_LEN];
	uint64_t i;
};

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct made *)a)->id, ((const struct made *)b)->id, ID_LEN);
}

/* The secret is drawn when huidud starts, which it must have. */
static void read_secret(struct store *store, struct server *s)
{
	struct store_txn t;
	struct bytes v;

	store_begin(store, &t, false);
	must(store_get(&t, STORE_META, bytes_str("foreign-secret"), &v) ? 0 : ERR_NOT_FOUND,
		"secret");
	memcpy(s->foreign_secret, v.p, sizeof(s->foreign_secret));
	store_abort(&t);
}

/* Their ids, in the order of the file. */
static struct made *make_all(const struct server *s, const struct way *way, uint64_t n)
{
	struct made *all = mem_alloc(n * sizeof(*all));
	struct crypto_mac *mac = crypto_mac_new();
	char name[TEXT_MAX];

	for (uint64_t i = 0; i < n; i++) {
		name_of(i, name);
		all[i].i = i;
		must(foreign_derive(mac, s, way->protocol, "phone-a", bytes_str(name), all[i].id),
			"id");
	}
	crypto_mac_free(mac);
	qsort(all, n, sizeof(*all), by_id);
	return all;
}

/* As an import leaves it, and its first poll. */
static void put_device(
	struct store_txn *t, const struct made *m, const struct way *way, uint16_t product)
{
	struct device d = {
		.product = product, .ring = RING_STABLE, .wish = RING_STABLE, .enrolled_day = 20000
	};
	struct stored_foreign f = { .state = { .protocol = way->protocol }, .has_token = true };
	char token[TEXT_MAX];

	memcpy(d.id, m->id, ID_LEN);
	name_of(m->i, f.name);
	token_of(m->i, token);
	must(foreign_token(bytes_str(token), f.token), "token");
	device_put(t, &d);
	foreign_put(t, m->id, &f);
}

int store_fill_foreign(const struct place *p, int argc, char **argv)
{
	const struct way *way = way_of(argv[0]);
	struct server server = { 0 };
	struct registry registry;
	struct made *all;
	struct store_txn t;
	struct store *s;
	char error[256];

	(void)argc;
	must(store_open(p->store, STORE_ROOM, &s, error), error);
	must(registry_open(s, &p->config, &registry), "registry");
	read_secret(s, &server);
	all = make_all(&server, way, p->n);
	for (uint64_t done = 0; done < p->n;) {
		store_begin(s, &t, true);
		for (uint64_t end = done + A_COMMIT; done < p->n && done < end; done++)
			put_device(&t, &all[done], way, registry.products[0].number);
		must(store_commit(&t), "commit");
	}
	free(all);
	registry_release(&registry);
	store_close(s);
	return 0;
}

/* ---- polls ---- */

struct asker {
	const struct way *way;
	uint64_t n;
};

static size_t request(void *arg, uint64_t draw, char out[LOADER_REQUEST_MAX])
{
	const struct asker *a = arg;
	char name[TEXT_MAX];

	name_of(draw % a->n, name);
	return a->way->write(out, draw % a->n, name);
}

/* Of known devices, drawn at random. */
int store_polls_foreign(const struct place *p, int argc, char **argv)
{
	struct asker a = { .way = way_of(argv[1]), .n = p->n };

	(void)argc;
	return loader_run((unsigned)atoi(argv[0]), request, &a);
}

/* Prints one of the requests. */
int store_request_foreign(const struct place *p, int argc, char **argv)
{
	struct asker a = { .way = way_of(argv[0]), .n = p->n };
	char out[LOADER_REQUEST_MAX];

	(void)argc;
	(void)fwrite(out, 1, request(&a, 0, out), stdout); /* who reads it sees what is missing */
	return 0;
}
