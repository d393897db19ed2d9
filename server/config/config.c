/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/config.h"

#include <libgen.h>
#include <stddef.h>
#include <string.h>

#include "proto/base64.h"
#include "proto/crypto.h"
#include "server/base/mem.h"
#include "server/config/compat.h"
#include "server/config/config_check.h"
#include "server/config/url.h"

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
	{ .key = "clients", .type = YAML_STRING, .at = 3 * sizeof(char *), .def = "" },
};
static const struct yaml_schema tls = { tls_fields, COUNT(tls_fields), 4 * sizeof(char *) };

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
	{ .key = "compat",     .type = YAML_MAP,      .at = AT(compat),  .of = &config_compat, .def = "" },
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
	err = config_check(out, path, error);
	if (err != 0) {
		config_release(out);
		return err;
	}
	fill_in(out);
	url_trim(out->cdn);
	url_trim(out->compat.url);
	copy = mem_strdup(path);
	dir = dirname(copy);
	resolve(&out->data, dir);
	resolve(&out->admin, dir);
	resolve(&out->tls.cert, dir);
	resolve(&out->tls.key, dir);
	resolve(&out->tls.tickets, dir);
	resolve(&out->tls.clients, dir);
	resolve(&out->root, dir);
	resolve(&out->online, dir);
	resolve(&out->enrol.tokens, dir);
	resolve(&out->enrol.hook, dir);
	for (size_t p = 0; p < FOREIGN__END; p++)
		for (size_t i = 0; i < out->compat.of[p].n; i++)
			resolve(&out->compat.of[p].v[i].gateway, dir);
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
