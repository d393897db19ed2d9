/* SPDX-License-Identifier: Apache-2.0 */
/* What a field cannot say about itself: rules between fields, and names. */
#include "server/config/config_check.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/names.h"
#include "server/base/network.h"
#include "server/config/compat.h"
#include "server/config/url.h"
#include "server/core/evidence.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

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

int config_check(const struct config *c, const char *path, char error[YAML_ERROR_MAX])
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
	if (compat_check(c, path, error) != 0)
		return ERR_CONFIG;
	return check_enrol(&c->enrol, path, error);
}
