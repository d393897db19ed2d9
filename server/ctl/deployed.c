/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/deployed.h"

#include <string.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "server/ctl/targets.h"
#include "server/store/entry.h"

#define ENTRY_ARENA ((size_t)512 * 1024)

/* ---- names ---- */

static void add_product(struct deployed *d, const char *name, size_t n, uint16_t number)
{
	while (d->n_products <= number) {
		d->products = mem_resize(d->products, d->n_products + 1, sizeof(char *));
		d->products[d->n_products++] = NULL;
	}
	free(d->products[number]);
	d->products[number] = mem_printf("%.*s", (int)n, name);
}

static void read_products(struct deployed *d, struct store_txn *t)
{
	struct bytes prefix = bytes_str("product/");
	struct store_cursor c;

	store_foreach(&c, t, STORE_META, prefix)
		if (c.value.n == 2)
			add_product(d, (const char *)c.key.p + prefix.n, c.key.n - prefix.n,
				get_be16(c.value.p));
}

static void add_build(struct deployed *d, const char *name)
{
	d->builds = mem_resize(d->builds, d->n_builds + 1, sizeof(*d->builds));
	d->builds[d->n_builds++] =
		(struct deployed_build){ device_build_hash(name), mem_strdup(name) };
}

/* What an entry publishes, if it does. */
static void read_entry(struct deployed *d, struct bytes entry, struct arena *a)
{
	int err;
	const Pb__AdminCommand *m = NULL;
	const Pb__Envelope *e = NULL;
	const Pb__Targets *t = NULL;
	enum envelope_type type;
	const Pb__LogEntry *l = wire_read(&pb__log_entry__descriptor, entry, &wire_signed, a, &err);

	if (l != NULL)
		e = envelope_read(wire_bytes(l->envelope), a, &err);
	if (e != NULL && envelope_type_of(e, &type) && type == ENVELOPE_COMMAND)
		m = wire_read(&pb__admin_command__descriptor, wire_bytes(e->payload), &wire_signed,
			a, &err);
	if (m != NULL && m->publish != NULL)
		t = targets_peek(wire_bytes(m->publish->targets), a, &err);
	if (t != NULL)
		add_build(d, t->build_id);
}

static void add_factory(struct deployed *d)
{
	for (size_t l = 0; l < d->config.n_lines; l++)
		for (size_t i = 0; i < d->config.lines[l].n_factory; i++)
			add_build(d, d->config.lines[l].factory[i].build);
}

static int by_hash(const void *a, const void *b)
{
	const struct deployed_build *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static void read_builds(struct deployed *d, struct store_txn *t)
{
	struct arena a = { mem_alloc(ENTRY_ARENA), ENTRY_ARENA, 0 };
	struct bytes entry;

	for (uint64_t i = 0; entry_get(t, i, &entry); i++) {
		a.used = 0;
		read_entry(d, entry, &a);
	}
	free(a.base);
	add_factory(d);
	if (d->n_builds > 0)
		qsort(d->builds, d->n_builds, sizeof(*d->builds), by_hash);
}

const char *deployed_product(const struct deployed *d, uint16_t number)
{
	return number < d->n_products && d->products[number] != NULL ? d->products[number] : "?";
}

const char *deployed_build(const struct deployed *d, uint64_t hash)
{
	struct deployed_build key = { .hash = hash };
	const struct deployed_build *b = d->n_builds == 0 || hash == 0
		? NULL
		: bsearch(&key, d->builds, d->n_builds, sizeof(key), by_hash);

	return b != NULL ? b->name : NULL;
}

/* ---- opening ---- */

static char *config_path(struct ctl *c)
{
	const char *slash = strrchr(c->context.file, '/');

	if (c->args.config != NULL)
		return mem_strdup(c->args.config);
	return mem_printf("%.*shuidud.yaml", (int)(slash == NULL ? 0 : slash + 1 - c->context.file),
		c->context.file);
}

static int open_store(struct deployed *d)
{
	char error[YAML_ERROR_MAX];
	char *path = mem_printf("%s/store", d->config.data);
	struct store_txn t;
	int err = store_open_read(path, &d->store, error);

	if (err != 0) {
		free(path);
		return fail(exit_of(err), "sudo, or as the user huidud runs as", "%s", error);
	}
	store_begin(d->store, &t, false);
	read_products(d, &t);
	read_builds(d, &t);
	err = t.err;
	store_abort(&t);
	free(path);
	return err == 0 ? 0 : fail(exit_of(err), "huiductl store check", "store: %s", err_str(err));
}

bool deployed_is_here(struct ctl *c)
{
	char error[YAML_ERROR_MAX];
	struct config config;
	char *path = c->args.config == NULL && c->context.file == NULL ? NULL : config_path(c);
	bool here = path != NULL && config_load(path, &config, error) == 0;

	free(path);
	if (!here)
		return false;
	path = mem_printf("%s/store/data.mdb", config.data);
	here = access(path, R_OK) == 0;
	free(path);
	config_release(&config);
	return here;
}

int deployed_open(struct ctl *c, struct deployed *out)
{
	char error[YAML_ERROR_MAX];
	int err = c->args.config != NULL ? 0 : ctl_context(c);
	char *path;

	*out = (struct deployed){ .store = NULL };
	if (err != 0)
		return err;
	path = config_path(c);
	err = config_load(path, &out->config, error);
	free(path);
	if (err != 0)
		return fail(exit_of(err), "huiductl ... --config FILE, on huidud's machine", "%s",
			error);
	err = open_store(out);
	if (err != 0)
		deployed_close(out);
	return err;
}

void deployed_close(struct deployed *d)
{
	store_close(d->store);
	for (size_t i = 0; i < d->n_products; i++)
		free(d->products[i]);
	for (size_t i = 0; i < d->n_builds; i++)
		free(d->builds[i].name);
	free(d->products);
	free(d->builds);
	config_release(&d->config);
	*d = (struct deployed){ .store = NULL };
}
