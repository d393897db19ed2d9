/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config/compat.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/names.h"
#include "server/config/url.h"

#define DAY           86400000ull
#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))
#define AT(member)    offsetof(struct config_compat, member)
#define OF(member)    offsetof(struct config_tenant, member)
#define FEED(member)  offsetof(struct config_feed, member)
#define BRACED_ID_MAX 64u

/* clang-format off */
static const struct yaml_field hawkbit_fields[] = {
	{ .type = YAML_LINE, .at = OF(line) },
	{ .key = "tenant",  .type = YAML_STRING, .at = OF(name), .def = "default" },
	{ .key = "product", .type = YAML_STRING, .at = OF(product) },
	{ .key = "gateway", .type = YAML_STRING, .at = OF(gateway), .def = "" },
	{ .key = "target_tokens", .type = YAML_BOOL, .at = OF(target_tokens), .def = "true" },
	{ .key = "certificates", .type = YAML_BOOL, .at = OF(certificates), .def = "false" },
	{ .key = "version", .type = YAML_STRING, .at = OF(version), .def = "version" },
	{ .key = "suffix",  .type = YAML_STRING, .at = OF(suffix), .def = ".swu" },
};
static const struct yaml_schema hawkbit = {
	hawkbit_fields, COUNT(hawkbit_fields), sizeof(struct config_tenant) };

/* The others leave `version` NULL. */
static const struct yaml_field mender_fields[] = {
	{ .type = YAML_LINE, .at = OF(line) },
	{ .key = "device_type", .type = YAML_STRING, .at = OF(name) },
	{ .key = "product", .type = YAML_STRING, .at = OF(product) },
	{ .key = "tokens",  .type = YAML_STRING, .at = OF(gateway), .def = "" },
	{ .key = "suffix",  .type = YAML_STRING, .at = OF(suffix), .def = ".mender" },
};
static const struct yaml_schema mender = {
	mender_fields, COUNT(mender_fields), sizeof(struct config_tenant) };

static const struct yaml_field omaha_fields[] = {
	{ .type = YAML_LINE, .at = OF(line) },
	{ .key = "app",     .type = YAML_STRING, .at = OF(name) },
	{ .key = "product", .type = YAML_STRING, .at = OF(product) },
	{ .key = "tokens",  .type = YAML_STRING, .at = OF(gateway), .def = "" },
	{ .key = "suffix",  .type = YAML_STRING, .at = OF(suffix), .def = "" },
};
static const struct yaml_schema omaha = {
	omaha_fields, COUNT(omaha_fields), sizeof(struct config_tenant) };

/* In the order of enum ring. */
static const char *const ring_words[] = { "core", "honour", "dev", "stable", NULL };

static const struct yaml_field feed_fields[] = {
	{ .type = YAML_LINE, .at = FEED(line) },
	{ .key = "name",    .type = YAML_STRING, .at = FEED(name) },
	{ .key = "product", .type = YAML_STRING, .at = FEED(product) },
	{ .key = "ring",    .type = YAML_WORD, .at = FEED(ring), .words = ring_words, .def = "stable" },
	{ .key = "type",    .type = YAML_STRING, .at = FEED(type), .def = "nightly" },
	{ .key = "version", .type = YAML_STRING, .at = FEED(version), .def = "" },
};
static const struct yaml_schema feeds = {
	feed_fields, COUNT(feed_fields), sizeof(struct config_feed) };

static const struct yaml_field compat_fields[] = {
	{ .key = "url",      .type = YAML_STRING,   .at = AT(url), .def = "" },
	{ .key = "patience", .type = YAML_DURATION, .at = AT(patience_ms), .def = "24h",
	  .min = 1000, .max = 90 * DAY },
	{ .key = "hawkbit",  .type = YAML_LIST, .at = AT(of[FOREIGN_DDI].v), .of = &hawkbit,
	  .count_at = AT(of[FOREIGN_DDI].n), .def = "" },
	{ .key = "mender",   .type = YAML_LIST, .at = AT(of[FOREIGN_MENDER].v), .of = &mender,
	  .count_at = AT(of[FOREIGN_MENDER].n), .def = "" },
	{ .key = "omaha",    .type = YAML_LIST, .at = AT(of[FOREIGN_OMAHA].v), .of = &omaha,
	  .count_at = AT(of[FOREIGN_OMAHA].n), .def = "" },
	{ .key = "feeds",    .type = YAML_LIST, .at = AT(feeds), .of = &feeds,
	  .count_at = AT(n_feeds), .def = "" },
};
const struct yaml_schema config_compat = {
	compat_fields, COUNT(compat_fields), sizeof(struct config_compat) };
/* clang-format on */

unsigned config_protocol(const struct config *c, const char *product)
{
	for (unsigned p = 1; p < FOREIGN__END; p++)
		for (size_t i = 0; i < c->compat.of[p].n; i++)
			if (strcmp(c->compat.of[p].v[i].product, product) == 0)
				return p;
	return 0;
}

bool config_is_foreign(const struct config *c, const char *product)
{
	return config_protocol(c, product) != 0;
}

bool config_has_foreign(const struct config *c)
{
	size_t n = 0;

	for (size_t p = 0; p < FOREIGN__END; p++)
		n += c->compat.of[p].n;
	return n > 0;
}

/* ---- rules ---- */

/* Where something wrong stands: "compat: mender: ". */
struct place {
	const char *path, *protocol;
	uint32_t line;
	char *error;
};

static int bad(const struct place *at, const char *what)
{
	(void)snprintf(at->error, YAML_ERROR_MAX, "%s:%u: compat: %s: %s", at->path, at->line,
		at->protocol, what);
	return ERR_CONFIG;
}

static bool has_product(const struct config *c, const char *product)
{
	for (size_t l = 0; l < c->n_lines; l++)
		for (size_t p = 0; p < c->lines[l].n_products; p++)
			if (strcmp(c->lines[l].products[p], product) == 0)
				return true;
	return false;
}

static bool is_twice(const struct config_tenants *t, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcasecmp(t->v[k].name, t->v[i].name) == 0)
			return true;
	return false;
}

/* An authentication of Mender does not say of which type the device is: the token must. */
static bool is_ambiguous(const struct config_tenants *t, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (t->v[i].gateway[0] != '\0' && strcmp(t->v[k].gateway, t->v[i].gateway) == 0 &&
			strcmp(t->v[k].product, t->v[i].product) != 0)
			return true;
	return false;
}

/* "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}", or a name. */
static bool is_app(const char *id)
{
	size_t n = strlen(id);
	char bare[BRACED_ID_MAX];

	if (n < 2 || n >= BRACED_ID_MAX || id[0] != '{' || id[n - 1] != '}')
		return name_ok(id);
	memcpy(bare, id + 1, n - 2);
	bare[n - 2] = '\0';
	return name_ok(bare);
}

/* What huidu's own devices ask for, and those of others. */
static bool is_path(const char *name)
{
	static const char *const taken[] = { "v1", "api", "omaha", "file", "feed" };

	for (size_t i = 0; i < COUNT(taken); i++)
		if (strcasecmp(name, taken[i]) == 0)
			return true;
	return false;
}

static int check_name(const struct place *at, enum foreign_protocol protocol, const char *name)
{
	if (protocol == FOREIGN_OMAHA)
		return is_app(name) ? 0 : bad(at, "app: is an id as devices have it");
	if (!name_ok(name))
		return bad(at,
			protocol == FOREIGN_DDI ? "tenant: letters, digits, . _ -"
						: "device_type: letters, digits, . _ -");
	return protocol == FOREIGN_DDI && is_path(name)
		? bad(at, "tenant: is not v1, api, omaha, file or feed")
		: 0;
}

static int check_tenant(
	const struct config *c, enum foreign_protocol protocol, size_t i, struct place *at)
{
	const struct config_tenant *t = &c->compat.of[protocol].v[i];
	int err;

	at->line = t->line;
	err = check_name(at, protocol, t->name);
	if (err != 0)
		return err;
	if (is_twice(&c->compat.of[protocol], i))
		return bad(at, "each stands here once");
	if (!has_product(c, t->product))
		return bad(at, "product: is a product of one of the lines");
	if (protocol == FOREIGN_MENDER && is_ambiguous(&c->compat.of[protocol], i))
		return bad(at, "tokens: a file is of one product");
	if (protocol == FOREIGN_DDI && t->gateway[0] == '\0' && !t->target_tokens &&
		!t->certificates)
		return bad(at,
			"name the file of gateway tokens, or take target_tokens or "
			"certificates: nobody could come in");
	if (t->certificates && (c->plain || c->tls.clients[0] == '\0'))
		return bad(at, "certificates: name who signs them: tls: clients:");
	if (t->suffix[0] != '\0' && (t->suffix[0] != '.' || !name_ok(t->suffix + 1)))
		return bad(at, "suffix: is as .swu, or empty");
	return 0;
}

static int check_feed(const struct config *c, size_t i, struct place *at)
{
	const struct config_feed *f = &c->compat.feeds[i];

	at->line = f->line;
	if (!name_ok(f->name) || !name_ok(f->type))
		return bad(at, "name and type: letters, digits, . _ -");
	if (f->version[0] != '\0' && !name_ok(f->version))
		return bad(at, "version: letters, digits, . _ -, or empty");
	for (size_t k = 0; k < i; k++)
		if (strcmp(c->compat.feeds[k].name, f->name) == 0)
			return bad(at, "each stands here once");
	if (!has_product(c, f->product))
		return bad(at, "product: is a product of one of the lines");
	return 0;
}

int compat_check(const struct config *c, const char *path, char error[YAML_ERROR_MAX])
{
	struct place at = { path, "url", 1, error };
	int err = 0;

	if (c->compat.url[0] != '\0' && !url_is_folder(c->compat.url))
		return bad(&at, "is https://HOST, without a user, a query or a fragment");
	for (unsigned p = FOREIGN_DDI; err == 0 && p < FOREIGN__END; p++) {
		at.protocol = foreign_protocol_str((enum foreign_protocol)p);
		for (size_t i = 0; err == 0 && i < c->compat.of[p].n; i++)
			err = check_tenant(c, (enum foreign_protocol)p, i, &at);
	}
	at.protocol = "feeds";
	for (size_t i = 0; err == 0 && i < c->compat.n_feeds; i++)
		err = check_feed(c, i, &at);
	return err;
}
