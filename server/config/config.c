/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/config.h"

#include <libgen.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "proto/base64.h"
#include "proto/crypto.h"
#include "proto/names.h"
#include "server/base/mem.h"
#include "server/base/network.h"
#include "server/config/url.h"
#include "server/core/evidence.h"

#define MINUTE           60000ull
#define DAY              (24 * 60 * MINUTE)
#define COUNT(a)         (sizeof(a) / sizeof((a)[0]))
#define AT(member)       offsetof(struct config, member)
#define LINE_AT(member)  offsetof(struct config_line, member)
#define ENROL_AT(member) offsetof(struct config_enrol, member)

/* clang-format off */
static const struct yaml_field ring_fields[] = {
	{ .key = "core",   .type = YAML_U32, .at = 0, .def = "100",    .max = 100000000 },
	{ .key = "honour", .type = YAML_U32, .at = 4, .def = "1000",   .max = 100000000 },
	{ .key = "dev",    .type = YAML_U32, .at = 8, .def = "100000", .max = 100000000 },
};
static const struct yaml_schema rings = { ring_fields, COUNT(ring_fields), 12 };

static const char *const fills[] = { "hash", "invite", NULL };

static const struct yaml_field component_fields[] = {
	{ .type = YAML_LINE, .at = offsetof(struct config_component, line) },
	{ .key = "name",     .type = YAML_STRING, .at = offsetof(struct config_component, name) },
	{ .key = "products", .type = YAML_LIST, .at = offsetof(struct config_component, products),
	  .count_at = offsetof(struct config_component, n_products) },
};
static const struct yaml_schema components = {
	component_fields, COUNT(component_fields), sizeof(struct config_component) };

#define FACTORY_AT(member) offsetof(struct config_factory, member)
static const struct yaml_field factory_fields[] = {
	{ .type = YAML_LINE, .at = FACTORY_AT(line) },
	{ .key = "product", .type = YAML_STRING, .at = FACTORY_AT(product) },
	{ .key = "build",   .type = YAML_STRING, .at = FACTORY_AT(build) },
	{ .key = "counter", .type = YAML_U64, .at = FACTORY_AT(counter) },
	{ .key = "floor",   .type = YAML_BOOL, .at = FACTORY_AT(floor), .def = "false" },
};
static const struct yaml_schema factory = {
	factory_fields, COUNT(factory_fields), sizeof(struct config_factory) };

static const struct yaml_field line_fields[] = {
	{ .type = YAML_LINE, .at = LINE_AT(line) },
	{ .key = "name",       .type = YAML_STRING, .at = LINE_AT(name), .def = "default" },
	{ .key = "products",   .type = YAML_LIST,   .at = LINE_AT(products),
	  .count_at = LINE_AT(n_products) },
	{ .key = "rings",      .type = YAML_MAP,    .at = LINE_AT(rings), .of = &rings, .def = "" },
	{ .key = "components", .type = YAML_LIST,   .at = LINE_AT(components), .of = &components,
	  .count_at = LINE_AT(n_components), .def = "" },
	{ .key = "factory",    .type = YAML_LIST,   .at = LINE_AT(factory), .of = &factory,
	  .count_at = LINE_AT(n_factory), .def = "" },
	{ .key = "fill",       .type = YAML_WORD,   .at = LINE_AT(fill), .words = fills,
	  .def = "hash" },
	{ .key = "fill_every", .type = YAML_DURATION, .at = LINE_AT(fill_every_ms), .def = "10m",
	  .min = 100, .max = 7 * DAY },
};
static const struct yaml_schema lines = {
	line_fields, COUNT(line_fields), sizeof(struct config_line) };

static const struct yaml_field tls_fields[] = {
	{ .key = "cert", .type = YAML_STRING, .at = 0, .def = "" },
	{ .key = "key",  .type = YAML_STRING, .at = sizeof(char *), .def = "" },
	{ .key = "tickets", .type = YAML_STRING, .at = 2 * sizeof(char *), .def = "" },
};
static const struct yaml_schema tls = { tls_fields, COUNT(tls_fields), 3 * sizeof(char *) };

/* A number nobody wrote: see fill_in(). */
#define UNSAID     4294967295u
#define UNSAID_STR "4294967295"

static const struct yaml_field limits_fields[] = {
	{ .key = "connections", .type = YAML_U32, .at = 0, .def = "0" },
	{ .key = "per_prefix",  .type = YAML_U32, .at = 4, .def = UNSAID_STR },
};
static const struct yaml_schema limits = { limits_fields, COUNT(limits_fields), 8 };

static const struct yaml_field poll_fields[] = {
	{ .key = "interval", .type = YAML_DURATION, .at = 0, .def = "4h", .min = 100, .max = 7 * DAY },
	{ .key = "jitter",   .type = YAML_PPM, .at = 8, .def = "20 %", .max = 500000 },
};
static const struct yaml_schema poll = { poll_fields, COUNT(poll_fields), 16 };

static const struct yaml_field bandwidth_fields[] = {
	{ .key = "total",  .type = YAML_SIZE, .at = 0, .def = "0" },
	{ .key = "device", .type = YAML_SIZE, .at = 8, .def = "0" },
};
static const struct yaml_schema bandwidth = { bandwidth_fields, COUNT(bandwidth_fields), 16 };

#define UNSAID_AGE (366 * DAY)

/* In the order of enum config_enrol_mode. */
static const char *const modes[] = { "", "closed", "open", "token", "voucher", "hook", NULL };

static const struct yaml_field enrol_fields[] = {
	{ .type = YAML_LINE, .at = ENROL_AT(line) },
	{ .key = "mode",   .type = YAML_WORD,   .at = ENROL_AT(mode), .words = modes, .def = "" },
	{ .key = "tokens", .type = YAML_STRING, .at = ENROL_AT(tokens), .def = "" },
	{ .key = "manufacturers", .type = YAML_LIST, .at = ENROL_AT(manufacturers), .def = "",
	  .count_at = ENROL_AT(n_manufacturers) },
	{ .key = "hook",   .type = YAML_STRING, .at = ENROL_AT(hook), .def = "" },
	{ .key = "per_minute", .type = YAML_U32, .at = ENROL_AT(per_minute), .def = UNSAID_STR },
	{ .key = "per_prefix_minute", .type = YAML_U32, .at = ENROL_AT(per_prefix_minute),
	  .def = UNSAID_STR },
};
static const struct yaml_schema enrol = {
	enrol_fields, COUNT(enrol_fields), sizeof(struct config_enrol) };

static const char *const environments[] = { "production", "trial", NULL };

static const struct yaml_field config_fields[] = {
	{ .key = "repository", .type = YAML_STRING,   .at = AT(repository) },
	{ .key = "environment", .type = YAML_WORD,    .at = AT(environment), .words = environments,
	  .def = "production" },
	{ .key = "enrol",      .type = YAML_WORD_MAP, .at = AT(enrol),   .of = &enrol, .def = "" },
	{ .key = "data",       .type = YAML_STRING,   .at = AT(data),    .def = "data" },
	{ .key = "listen",     .type = YAML_STRING,   .at = AT(listen),  .def = "[::]:8443" },
	{ .key = "plain",      .type = YAML_BOOL,     .at = AT(plain),   .def = "false" },
	{ .key = "admin",      .type = YAML_STRING,   .at = AT(admin),   .def = "admin.sock" },
	{ .key = "metrics",    .type = YAML_STRING,   .at = AT(metrics), .def = "127.0.0.1:9464" },
	{ .key = "workers",    .type = YAML_U32,      .at = AT(workers), .def = "0", .max = 256 },
	{ .key = "tls",        .type = YAML_MAP,      .at = AT(tls),     .of = &tls, .def = "" },
	{ .key = "limits",     .type = YAML_MAP,      .at = AT(limits),  .of = &limits, .def = "" },
	{ .key = "proxy",      .type = YAML_LIST,     .at = AT(proxies), .def = "",
	  .count_at = AT(n_proxies) },
	{ .key = "root",       .type = YAML_STRING,   .at = AT(root),    .def = "root.env" },
	{ .key = "online",     .type = YAML_STRING,   .at = AT(online),  .def = "online" },
	{ .key = "store_size", .type = YAML_SIZE,     .at = AT(store_size), .def = "0" },
	{ .key = "poll",       .type = YAML_MAP,      .at = AT(poll),    .of = &poll, .def = "" },
	{ .key = "bandwidth",  .type = YAML_MAP,      .at = AT(bandwidth), .of = &bandwidth, .def = "" },
	{ .key = "cdn",        .type = YAML_STRING,   .at = AT(cdn),     .def = "" },
	{ .key = "min_id_age", .type = YAML_DURATION, .at = AT(min_id_age_ms), .def = "366d",
	  .max = UNSAID_AGE },
	{ .key = "retention",  .type = YAML_DURATION, .at = AT(retention_ms), .def = "90d",
	  .min = DAY, .max = 90 * DAY },
	{ .key = "symptoms",   .type = YAML_LIST,     .at = AT(symptoms), .def = "",
	  .count_at = AT(n_symptoms) },
	{ .key = "lines",      .type = YAML_LIST,     .at = AT(lines),   .of = &lines,
	  .count_at = AT(n_lines) },
};
/* clang-format on */
static const struct yaml_schema schema = { config_fields, COUNT(config_fields),
	sizeof(struct config) };

static bool is_loopback(const char *listen)
{
	return strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]:", 6) == 0 ||
		strncmp(listen, "localhost:", 10) == 0;
}

static bool has_port(const char *listen)
{
	const char *colon = strrchr(listen, ':');

	return colon != NULL && colon[1] != '\0' && colon != listen;
}

static bool product_twice(const struct config *c, const char *product)
{
	unsigned seen = 0;

	for (size_t l = 0; l < c->n_lines; l++)
		for (size_t p = 0; p < c->lines[l].n_products; p++)
			seen += strcmp(c->lines[l].products[p], product) == 0;
	return seen > 1;
}

static bool line_twice(const struct config *c, const char *name)
{
	unsigned seen = 0;

	for (size_t l = 0; l < c->n_lines; l++)
		seen += strcmp(c->lines[l].name, name) == 0;
	return seen > 1;
}

static int bad(const char *path, uint32_t line, char *error, const char *what)
{
	(void)snprintf(error, YAML_ERROR_MAX, "%s:%u: %s", path, line, what);
	return ERR_CONFIG;
}

static bool is_of_line(const struct config_line *l, const char *product)
{
	for (size_t p = 0; p < l->n_products; p++)
		if (strcmp(l->products[p], product) == 0)
			return true;
	return false;
}

static int check_component(const struct config_line *l, const struct config_component *c,
	const char *path, char *error)
{
	if (c->name[0] == '\0' || c->n_products == 0)
		return bad(path, c->line, error, "components: each has a name and products");
	for (size_t p = 0; p < c->n_products; p++)
		if (!is_of_line(l, c->products[p]))
			return bad(path, c->line, error,
				"components: products: are products of the same line");
	return 0;
}

static bool is_twice(const struct config_line *l, size_t i)
{
	const struct config_factory *a = &l->factory[i];

	for (size_t k = 0; k < i; k++) {
		const struct config_factory *b = &l->factory[k];
		if (strcmp(a->product, b->product) == 0 &&
			(strcmp(a->build, b->build) == 0 || (a->floor && b->floor)))
			return true;
	}
	return false;
}

static int check_factory(const struct config_line *l, const char *path, char *error)
{
	for (size_t i = 0; i < l->n_factory; i++) {
		const struct config_factory *f = &l->factory[i];
		if (!is_of_line(l, f->product))
			return bad(path, f->line, error,
				"factory: product: is a product of the same line");
		if (!name_ok(f->build) || f->counter == 0)
			return bad(path, f->line, error,
				"factory: build: letters, digits, . _ -; counter: from 1");
		if (is_twice(l, i))
			return bad(path, f->line, error,
				"factory: a build stands here once, and a product has one floor");
	}
	return 0;
}

static int check_line(
	const struct config *c, const struct config_line *l, const char *path, char *error)
{
	if (!name_ok(l->name))
		return bad(path, l->line, error, "lines: name: letters, digits, . _ -");
	if (line_twice(c, l->name))
		return bad(path, l->line, error, "lines: name: stands here twice");
	if (l->n_products == 0)
		return bad(path, l->line, error, "lines: products: name at least one");
	for (size_t p = 0; p < l->n_products; p++) {
		if (!name_ok(l->products[p]))
			return bad(path, l->line, error, "lines: products: letters, digits, . _ -");
		if (product_twice(c, l->products[p]))
			return bad(path, l->line, error,
				"lines: products: one product belongs to one line, once");
	}
	for (size_t i = 0; i < l->n_components; i++) {
		int err = check_component(l, &l->components[i], path, error);
		if (err != 0)
			return err;
	}
	return check_factory(l, path, error);
}

/* What a mode needs is there with that mode and with no other: what stands there is what counts. */
static int check_enrol(const struct config_enrol *e, const char *path, char *error)
{
	const struct {
		enum config_enrol_mode mode;
		bool there;
		const char *missing, *idle;
	} needs[] = {
		{ ENROL_TOKEN, e->tokens[0] != '\0',
			"enrol: tokens: name the file of tokens that mode: token asks for",
			"enrol: tokens: only with mode: token" },
		{ ENROL_VOUCHER, e->n_manufacturers > 0,
			"enrol: manufacturers: name the keys that mode: voucher asks for",
			"enrol: manufacturers: only with mode: voucher" },
		{ ENROL_HOOK, e->hook[0] != '\0',
			"enrol: hook: name the program that mode: hook asks",
			"enrol: hook: only with mode: hook" },
	};

	for (size_t i = 0; i < COUNT(needs); i++)
		if (needs[i].there != (e->mode == needs[i].mode))
			return bad(path, e->line, error,
				needs[i].there ? needs[i].idle : needs[i].missing);
	return 0;
}

/* Less than what a phone gives up at would stop every update. */
static bool is_too_little(uint64_t bytes_s)
{
	return bytes_s > 0 && bytes_s < 1024;
}

static int check_files(const struct config *c, const char *path, char *error)
{
	if (is_too_little(c->bandwidth.total_bytes_s) || is_too_little(c->bandwidth.device_bytes_s))
		return bad(path, 1, error, "bandwidth: bytes a second, from 1 KiB, or 0 for any");
	if (c->cdn[0] != '\0' && !url_is_folder(c->cdn))
		return bad(path, 1, error,
			"cdn: is https://HOST/PATH, without a user, a query or a fragment");
	if (!c->plain && strncmp(c->cdn, "http:", 5) == 0)
		return bad(path, 1, error, "cdn: phones do not go from https to http");
	return 0;
}

static int check(const struct config *c, const char *path, char *error)
{
	struct network network;

	if (!name_ok(c->repository))
		return bad(path, 1, error, "repository: letters, digits, . _ -");
	if (c->n_lines == 0)
		return bad(path, 1, error, "lines: name at least one");
	if (!has_port(c->listen))
		return bad(path, 1, error, "listen: is HOST:PORT");
	if (c->metrics[0] != '\0' && !has_port(c->metrics))
		return bad(path, 1, error, "metrics: is HOST:PORT");
	if (c->n_symptoms > SYMPTOMS)
		return bad(path, 1, error, "symptoms: at most 8");
	if (c->plain && !is_loopback(c->listen))
		return bad(path, 1, error, "plain: only on a loopback address: devices need TLS");
	if (!c->plain && (c->tls.cert[0] == '\0' || c->tls.key[0] == '\0'))
		return bad(path, 1, error, "tls: name cert and key, or set plain: true");
	for (size_t i = 0; i < c->n_proxies; i++)
		if (network_read(c->proxies[i], &network) != 0)
			return bad(path, 1, error, "proxy: each is a network, as 10.0.0.0/8");
	for (size_t l = 0; l < c->n_lines; l++) {
		int err = check_line(c, &c->lines[l], path, error);
		if (err != 0)
			return err;
	}
	if (check_files(c, path, error) != 0)
		return ERR_CONFIG;
	return check_enrol(&c->enrol, path, error);
}

/*
 * What was not said follows the environment.  Behind a proxy (plain) that does not tell their
 * addresses all devices come from one, so there is no usual rate for it.
 */
static void fill_in(struct config *c)
{
	bool trial = c->environment == ENVIRONMENT_TRIAL, hidden = c->plain && c->n_proxies == 0;

	if (c->enrol.mode == ENROL_UNSAID)
		c->enrol.mode = trial ? ENROL_OPEN : ENROL_CLOSED;
	if (c->enrol.per_minute == UNSAID)
		c->enrol.per_minute = trial ? 0 : 6000;
	if (c->enrol.per_prefix_minute == UNSAID)
		c->enrol.per_prefix_minute = trial || hidden ? 0 : 60;
	if (c->limits.per_prefix == UNSAID)
		c->limits.per_prefix = trial || hidden ? 0 : CONFIG_EIGHTH;
	if (c->min_id_age_ms == UNSAID_AGE)
		c->min_id_age_ms = trial ? 0 : DAY;
}

bool config_is_key(const char *manufacturer)
{
	uint8_t key[ED25519_PUBLIC_LEN];
	size_t n;

	return base64_read(bytes_str(manufacturer), key, sizeof(key), &n) == 0 && n == sizeof(key);
}

/* Paths in the file are meant relative to it, wherever the server is started. */
static void resolve(char **path, const char *dir)
{
	char *full;

	if (**path == '\0' || **path == '/')
		return;
	full = mem_printf("%s/%s", dir, *path);
	free(*path);
	*path = full;
}

int config_load(const char *path, struct config *out, char error[YAML_ERROR_MAX])
{
	int err = yaml_read_file(path, &schema, out, error);
	char *copy, *dir;

	if (err != 0)
		return err;
	err = check(out, path, error);
	if (err != 0) {
		config_release(out);
		return err;
	}
	fill_in(out);
	url_trim(out->cdn);
	copy = mem_strdup(path);
	dir = dirname(copy);
	resolve(&out->data, dir);
	resolve(&out->admin, dir);
	resolve(&out->tls.cert, dir);
	resolve(&out->tls.key, dir);
	resolve(&out->tls.tickets, dir);
	resolve(&out->root, dir);
	resolve(&out->online, dir);
	resolve(&out->enrol.tokens, dir);
	resolve(&out->enrol.hook, dir);
	for (size_t i = 0; i < out->enrol.n_manufacturers; i++)
		if (!config_is_key(out->enrol.manufacturers[i]))
			resolve(&out->enrol.manufacturers[i], dir);
	free(copy);
	return 0;
}

void config_release(struct config *c)
{
	yaml_release(&schema, c);
}

const struct config_factory *config_floor(const struct config *c, const char *product)
{
	for (size_t l = 0; l < c->n_lines; l++)
		for (size_t i = 0; i < c->lines[l].n_factory; i++) {
			const struct config_factory *f = &c->lines[l].factory[i];
			if (f->floor && strcmp(f->product, product) == 0)
				return f;
		}
	return NULL;
}

const char *config_symptom(const struct config *c, size_t code)
{
	static const char *const usual[] = { "battery", "heat", "calls", "unlock", "no service",
		"storage" };

	if (c->n_symptoms > 0)
		return code < c->n_symptoms ? c->symptoms[code] : NULL;
	return code < COUNT(usual) ? usual[code] : NULL;
}
