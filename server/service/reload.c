/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/reload.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/service/control.h"

#define ERROR_MAX 256

struct reload {
	struct job job; /* first: for the writer */
	struct server *server;
	struct config *config;
	struct door *door;
	struct doorman *doorman;
	struct tenants *tenants;
	bool keeps_doorman; /* it is the one in force */
	bool taken;
};

/* ---- what cannot change ---- */

enum kind { TEXT, FLAG, NUMBER };

static const struct {
	const char *key;
	enum kind kind;
	size_t at;
} fixed[] = {
	{ "repository", TEXT, offsetof(struct config, repository) },
	{ "environment", NUMBER, offsetof(struct config, environment) },
	{ "data", TEXT, offsetof(struct config, data) },
	{ "listen", TEXT, offsetof(struct config, listen) },
	{ "plain", FLAG, offsetof(struct config, plain) },
	{ "admin", TEXT, offsetof(struct config, admin) },
	{ "metrics", TEXT, offsetof(struct config, metrics) },
	{ "workers", NUMBER, offsetof(struct config, workers) },
	{ "limits.connections", NUMBER, offsetof(struct config, limits.connections) },
	{ "limits.per_prefix", NUMBER, offsetof(struct config, limits.per_prefix) },
	{ "root", TEXT, offsetof(struct config, root) },
	{ "online", TEXT, offsetof(struct config, online) },
};

static bool same(size_t i, const struct config *a, const struct config *b)
{
	const char *x = (const char *)a + fixed[i].at, *y = (const char *)b + fixed[i].at;

	if (fixed[i].kind == TEXT)
		return strcmp(*(char *const *)x, *(char *const *)y) == 0;
	if (fixed[i].kind == FLAG)
		return *(const bool *)x == *(const bool *)y;
	return *(const uint32_t *)x == *(const uint32_t *)y;
}

static const struct config_line *line_of(const struct config *c, const char *name)
{
	for (size_t l = 0; l < c->n_lines; l++)
		if (strcmp(c->lines[l].name, name) == 0)
			return &c->lines[l];
	return NULL;
}

static bool has_product(const struct config_line *l, const char *product)
{
	for (size_t p = 0; p < l->n_products; p++)
		if (strcmp(l->products[p], product) == 0)
			return true;
	return false;
}

/* Each of `a` has one of the same name in `b`, with all its products. */
static bool lines_are_in(const struct config *a, const struct config *b)
{
	for (size_t l = 0; l < a->n_lines; l++) {
		const struct config_line *other = line_of(b, a->lines[l].name);
		if (other == NULL)
			return false;
		for (size_t p = 0; p < a->lines[l].n_products; p++)
			if (!has_product(other, a->lines[l].products[p]))
				return false;
	}
	return true;
}

static bool same_proxies(const struct config *a, const struct config *b)
{
	if (a->n_proxies != b->n_proxies)
		return false;
	for (size_t i = 0; i < a->n_proxies; i++)
		if (strcmp(a->proxies[i], b->proxies[i]) != 0)
			return false;
	return true;
}

static bool same_tenants_of(const struct config_tenants *a, const struct config_tenants *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].name, b->v[i].name) != 0 ||
			strcmp(a->v[i].product, b->v[i].product) != 0)
			return false;
	return true;
}

/* Others would need the devices of theirs, or a route. */
static bool same_tenants(const struct config *a, const struct config *b)
{
	for (size_t p = 0; p < FOREIGN__END; p++)
		if (!same_tenants_of(&a->compat.of[p], &b->compat.of[p]))
			return false;
	return (a->compat.n_feeds == 0) == (b->compat.n_feeds == 0);
}

/* Names of the keys that want a restart; "" when none does. */
static void changed(const struct config *a, const struct config *b, char out[ERROR_MAX])
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (!same(i, a, b))
			n += (size_t)sprintf(out + n, "%s%s", n > 0 ? ", " : "", fixed[i].key);
	if (!same_proxies(a, b))
		n += (size_t)sprintf(out + n, "%sproxy", n > 0 ? ", " : "");
	if (!same_tenants(a, b))
		n += (size_t)sprintf(out + n, "%scompat: tenants", n > 0 ? ", " : "");
	if (!lines_are_in(a, b) || !lines_are_in(b, a))
		n += (size_t)sprintf(out + n, "%slines and their products", n > 0 ? ", " : "");
	assert(n < ERROR_MAX);
}

/* ---- read ---- */

static bool same_hook(const struct server *s, const struct config *fresh)
{
	return s->doorman != NULL && fresh->enrol.mode == ENROL_HOOK &&
		strcmp(s->config->enrol.hook, fresh->enrol.hook) == 0;
}

static int read_parts(
	const struct server *s, const char *path, struct reload *r, char error[ERROR_MAX])
{
	char keys[ERROR_MAX];
	int err;

	changed(s->config, r->config, keys);
	if (keys[0] != '\0') {
		(void)snprintf(error, ERROR_MAX, "%.80s: needs a restart: %.150s", path, keys);
		return ERR_CONFIG;
	}
	err = door_new(&r->config->enrol, &r->door, error);
	r->keeps_doorman = same_hook(s, r->config);
	if (err == 0 && r->keeps_doorman)
		r->doorman = s->doorman;
	else if (err == 0)
		err = doorman_hire(&r->config->enrol, &r->doorman, error);
	if (err == 0)
		err = tenants_new(&r->config->compat, &r->tenants, error);
	return err;
}

int reload_read(const struct server *s, const char *path, struct reload **out, char *error)
{
	struct reload *r = mem_zalloc(sizeof(*r));
	int err;

	r->config = mem_zalloc(sizeof(*r->config));
	err = config_load(path, r->config, error);
	if (err != 0) {
		free(r->config);
		free(r);
		return err;
	}
	err = read_parts(s, path, r, error);
	if (err != 0)
		reload_drop(r);
	else
		*out = r;
	return err;
}

const struct config *reload_config(const struct reload *r)
{
	return r->config;
}

void reload_drop(struct reload *r)
{
	if (r == NULL)
		return;
	config_release(r->config);
	free(r->config);
	door_free(r->door);
	tenants_free(r->tenants);
	if (!r->keeps_doorman)
		doorman_free(r->doorman);
	free(r);
}

/* ---- take ---- */

/*
 * On the writer's thread, between two of its jobs, while control waits: both are those who look at
 * it.  What was in force is in the reload then, to be dropped.
 */
static void take_run(struct job *job, struct writer *w)
{
	struct reload *r = (struct reload *)job;
	struct server *s = r->server;

	(void)w;
	registry_use(&s->registry, r->config);
	control_slacken(s, r->config);
	s->config = r->config;
	r->taken = true;
}

static void take_doors(struct server *s, struct reload *r)
{
	struct door *door = s->door;
	struct doorman *doorman = s->doorman;
	struct tenants *tenants = s->tenants;

	s->door = r->door;
	s->doorman = r->doorman;
	r->door = door;
	r->doorman = doorman;
	s->tenants = r->tenants;
	r->tenants = tenants;
	flood_rates(s->flood, s->config->enrol.per_minute, s->config->enrol.per_prefix_minute);
}

/* Workers have let go of the old ones; enrolments may still wait for the old doorman's answer. */
static void let_go(struct server *s, struct reload *r)
{
	struct config *old = s->own_config;

	s->own_config = r->config;
	if (!r->keeps_doorman && r->doorman != NULL) {
		doorman_free(s->retired);
		doorman_retire(r->doorman);
		s->retired = r->doorman;
	}
	door_free(r->door);
	tenants_free(r->tenants);
	if (old != NULL)
		config_release(old);
	free(old);
	free(r);
}

int reload_take(struct server *s, struct reload *r, uint64_t now_ms)
{
	int err;

	r->server = s;
	r->job = (struct job){ .now_ms = now_ms, .run = take_run };
	err = writer_call(&s->writer, &r->job);
	if (!r->taken) { /* a commit that failed with it has nothing to do with us */
		reload_drop(r);
		return err;
	}
	take_doors(s, r);
	control_reloaded(s, now_ms);
	let_go(s, r);
	return 0;
}
