/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of other servers' protocols: into a store, and their polls. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/store/loader.h"
#include "bench/store/store.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/http/compat/bearer.h"
#include "server/service/foreign.h"

#define A_COMMIT 10000u
#define TEXT_MAX 64u

/* Who asks. */
struct device_asking {
	uint64_t i;
	char name[TEXT_MAX];
	uint8_t id[ID_LEN];
};

struct asker {
	const struct way *way;
	uint64_t n;
	uint16_t product;
	struct server server; /* its secret alone */
	struct desk desk;
};

/* ---- what they ask, as their programs do ---- */

#define RUNS "1.0"

static size_t write_ddi(char *out, const char *name, const char *authorization)
{
	return (size_t)snprintf(out, LOADER_REQUEST_MAX,
		"GET /default/controller/v1/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
		"User-Agent: libcurl-agent/1.0\r\nContent-Type: application/json\r\n"
		"Accept: application/json\r\ncharsets: utf-8\r\nAuthorization: %s\r\n\r\n",
		name, authorization);
}

static size_t write_gateway(struct asker *a, const struct device_asking *who, char *out)
{
	(void)a;
	return write_ddi(out, who->name, "GatewayToken gateway-token-0001");
}

static void token_of(uint64_t i, char token[TEXT_MAX])
{
	(void)snprintf(token, TEXT_MAX, "%032llx", (unsigned long long)i);
}

static size_t write_target(struct asker *a, const struct device_asking *who, char *out)
{
	char token[TEXT_MAX], authorization[2 * TEXT_MAX];

	(void)a;
	token_of(who->i, token);
	(void)snprintf(authorization, sizeof(authorization), "TargetToken %s", token);
	return write_ddi(out, who->name, authorization);
}

/* The token that the server gave it when it authenticated, a minute ago. */
static size_t write_mender(struct asker *a, const struct device_asking *who, char *out)
{
	static const char body[] = "{\"device_provides\":{\"artifact_name\":\"" RUNS
				   "\",\"device_type\":\"board-x\"},\"update_control_map\":true}\n";
	struct bearer b = { .product = a->product, .issued_s = (uint32_t)(clock_ms() / 1000 - 60) };
	char token[BEARER_LEN + 1];

	memcpy(b.id, who->id, ID_LEN);
	must(bearer_write(&a->desk, &b, token), "bearer");
	return (size_t)snprintf(out, LOADER_REQUEST_MAX,
		"POST /api/devices/v2/deployments/device/deployments/next HTTP/1.1\r\n"
		"Host: 127.0.0.1\r\nUser-Agent: Go-http-client/1.1\r\n"
		"Transfer-Encoding: chunked\r\nAccept-Encoding: gzip\r\n"
		"Authorization: Bearer %s\r\nContent-Type: application/json\r\n\r\n"
		"%zx\r\n%s\r\n0\r\n\r\n",
		token, strlen(body), body);
}

static size_t write_omaha(struct asker *a, const struct device_asking *who, char *out)
{
	char body[LOADER_REQUEST_MAX / 2];
	int n = snprintf(body, sizeof(body),
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<request protocol=\"3.0\" version=\"update_engine-0.4.10\" "
		"updaterversion=\"update_engine-0.4.10\" installsource=\"scheduler\" "
		"ismachine=\"1\">\n"
		"    <os version=\"Chateau\" platform=\"CoreOS\" sp=\"" RUNS "_x86_64\"></os>\n"
		"    <app appid=\"{e96281a6-d1af-4bde-9a0a-97b76e56dc57}\" version=\"" RUNS "\" "
		"track=\"stable\" bootid=\"{a5bfb5b8-3d5f-4a43-a0fd-6f5a9a3c0b11}\" oem=\"\" "
		"oemversion=\"\" alephversion=\"" RUNS "\" machineid=\"%s\" machinealias=\"\" "
		"lang=\"en-US\" board=\"amd64-usr\" hardware_class=\"\" delta_okay=\"false\" >\n"
		"        <ping active=\"1\"></ping>\n        <updatecheck></updatecheck>\n"
		"        <event eventtype=\"3\" eventresult=\"2\" previousversion=\"\"></event>\n"
		"    </app>\n</request>\n",
		who->name);

	(void)a;
	return (size_t)snprintf(out, LOADER_REQUEST_MAX,
		"POST /v1/update/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
		"User-Agent: Go-http-client/1.1\r\nContent-Type: text/xml; charset=utf-8\r\n"
		"Content-Length: %d\r\nAccept-Encoding: gzip\r\n\r\n%s",
		n, body);
}

static const struct way {
	const char *name;
	enum foreign_protocol protocol;
	size_t (*write)(struct asker *a, const struct device_asking *who, char *out);
} ways[] = {
	{ "hawkbit", FOREIGN_DDI, write_gateway },
	{ "hawkbit-target", FOREIGN_DDI, write_target },
	{ "mender", FOREIGN_MENDER, write_mender },
	{ "omaha", FOREIGN_OMAHA, write_omaha },
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

static void id_of(struct asker *a, const char *name, uint8_t id[ID_LEN])
{
	must(foreign_id(&a->desk, a->way->protocol, "phone-a", bytes_str(name), id), "id");
}

/* The secret is drawn when huidud starts, which it must have. */
static void open_asker(struct asker *a, const struct place *p, struct store *store, const char *way)
{
	struct store_txn t;
	struct bytes v;

	*a = (struct asker){ .way = way_of(way), .n = p->n };
	a->desk.server = &a->server;
	a->desk.foreign_mac = crypto_mac_new();
	store_begin(store, &t, false);
	must(store_get(&t, STORE_META, bytes_str("foreign-secret"), &v) ? 0 : ERR_NOT_FOUND,
		"secret");
	memcpy(a->server.foreign_secret, v.p, sizeof(a->server.foreign_secret));
	store_abort(&t);
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

/* In the order of the file. */
static struct made *make_all(struct asker *a)
{
	struct made *all = mem_alloc(a->n * sizeof(*all));
	char name[TEXT_MAX];

	for (uint64_t i = 0; i < a->n; i++) {
		name_of(i, name);
		all[i].i = i;
		id_of(a, name, all[i].id);
	}
	qsort(all, a->n, sizeof(*all), by_id);
	return all;
}

/* As an import and its first poll leave it. */
static void put_device(struct store_txn *t, const struct made *m, const struct asker *a)
{
	struct device d = { .product = a->product,
		.ring = RING_STABLE,
		.wish = RING_STABLE,
		.enrolled_day = 20000 };
	struct stored_foreign f = { .state = { .protocol = a->way->protocol,
					    .tells_build = true,
					    .runs = device_build_hash(RUNS) },
		.has_token = true };
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
	struct asker a;
	struct made *all;
	struct store_txn t;
	struct store *s;
	char error[256];

	(void)argc;
	must(store_open(p->store, STORE_ROOM, &s, error), error);
	open_asker(&a, p, s, argv[0]);
	must(registry_open(s, &p->config, &a.server.registry), "registry");
	a.product = a.server.registry.products[0].number;
	all = make_all(&a);
	for (uint64_t done = 0; done < p->n;) {
		store_begin(s, &t, true);
		for (uint64_t end = done + A_COMMIT; done < p->n && done < end; done++)
			put_device(&t, &all[done], &a);
		must(store_commit(&t), "commit");
	}
	free(all);
	registry_release(&a.server.registry);
	crypto_mac_free(a.desk.foreign_mac);
	store_close(s);
	return 0;
}

/* ---- polls ---- */

static size_t request(void *arg, uint64_t draw, char out[LOADER_REQUEST_MAX])
{
	struct asker *a = arg;
	struct device_asking who = { .i = draw % a->n };

	name_of(who.i, who.name);
	if (a->way->protocol == FOREIGN_MENDER)
		id_of(a, who.name, who.id);
	return a->way->write(a, &who, out);
}

/* While huidud runs, or nginx. */
static void open_beside(struct asker *a, const struct place *p, const char *way)
{
	struct device d = { 0 };
	struct store_cursor c;
	struct store_txn t;
	struct store *s;
	char error[256];

	must(store_open_read(p->store, &s, error), error);
	open_asker(a, p, s, way);
	store_begin(s, &t, false);
	store_seek(&c, &t, STORE_DEVICE, bytes_of(NULL, 0));
	must(store_next(&c) && device_read(&c, &d) ? 0 : ERR_NOT_FOUND, "a device");
	store_cursor_close(&c);
	store_abort(&t);
	a->product = d.product; /* there is one */
	store_close(s);
}

/* Of known devices, drawn at random. */
int store_polls_foreign(const struct place *p, int argc, char **argv)
{
	struct asker a;

	(void)argc;
	open_beside(&a, p, argv[1]);
	(void)loader_run((unsigned)atoi(argv[0]), request, &a);
	crypto_mac_free(a.desk.foreign_mac);
	return 0;
}

/* Prints one of the requests. */
int store_request_foreign(const struct place *p, int argc, char **argv)
{
	char out[LOADER_REQUEST_MAX];
	struct asker a;

	(void)argc;
	open_beside(&a, p, argv[0]);
	(void)fwrite(out, 1, request(&a, 0, out), stdout); /* who reads it sees what is missing */
	crypto_mac_free(a.desk.foreign_mac);
	return 0;
}
