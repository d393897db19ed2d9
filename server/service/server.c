/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/server.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/file.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/metrics/metrics.h"
#include "server/service/digest.h"
#include "server/service/foreign.h"
#include "server/service/grant.h"
#include "server/service/import.h"
#include "server/store/device.h"

#define DESK_ARENA ((size_t)96 * 1024)
#define ERROR_MAX  256

int desk_open(struct desk *d, struct server *server)
{
	*d = (struct desk){ .server = server };
	d->mac = crypto_mac_new();
	d->device_mac = crypto_mac_new();
	d->foreign_mac = crypto_mac_new();
	d->arena = (struct arena){ mem_alloc(DESK_ARENA), DESK_ARENA, 0 };
	if (d->mac == NULL || d->device_mac == NULL || d->foreign_mac == NULL ||
		crypto_random(&d->jitter, sizeof(d->jitter)) != 0)
		return ERR_CRYPTO;
	(void)desk_refresh(d);
	return 0;
}

void desk_release(struct desk *d)
{
	crypto_mac_free(d->mac);
	crypto_mac_free(d->device_mac);
	crypto_mac_free(d->foreign_mac);
	free(d->arena.base);
	*d = (struct desk){ 0 };
}

bool desk_refresh(struct desk *d)
{
	const struct image *newest = atomic_load(&d->server->image);
	bool other = newest != d->image;

	d->image = newest;
	return other;
}

/* ---- start ---- */

/* Devices on their way into the table: by the time one is added, its place is in the cache. */
#define AHEAD 32u

static void take_in(struct server *s, const struct device *d)
{
	const struct product *p = registry_number(&s->registry, d->product);
	struct fleet_device f = {
		.product = d->product,
		.ring = d->ring,
		.wish = d->wish,
		.left = d->left,
		.failed_tag = d->failed_tag,
		.enrolled_day = d->enrolled_day,
	};

	if (!fleet_add(s->fleet, d->id, &f))
		log_warn("store: a device id is there twice");
	if (p == NULL)
		return; /* of a product the configuration does not name any more */
	s->registry.lines[p->line].devices[d->ring]++;
	if (d->wish < d->ring && !d->left)
		s->registry.lines[p->line].waiting++;
}

static int load_fleet(struct server *s)
{
	struct device ahead[AHEAD], *d;
	struct store_cursor c;
	struct store_txn t;
	uint64_t n = 0;

	store_begin(s->store, &t, false);
	s->fleet = fleet_new(store_count(&t, STORE_DEVICE));
	store_foreach(&c, &t, STORE_DEVICE, bytes_of(NULL, 0)) {
		d = &ahead[n % AHEAD];
		if (n++ >= AHEAD)
			take_in(s, d);
		if (!device_read(&c, d)) {
			t.err = ERR_CORRUPT;
			continue;
		}
		fleet_prefetch(s->fleet, d->id);
	}
	for (uint64_t i = n < AHEAD ? 0 : n - AHEAD; t.err == 0 && i < n; i++)
		take_in(s, &ahead[i % AHEAD]);
	store_abort(&t);
	return t.err;
}

static int open_files(struct server *s, const char *name, struct artifacts **out, char *error)
{
	char *path = mem_printf("%s/%s", s->config->data, name);
	int err = artifacts_open(path, out);

	(void)snprintf(error, ERROR_MAX, "%.200s: %s", path, err_str(err));
	free(path);
	return err;
}

static int open_parts(struct server *s, char *error)
{
	char *path = mem_printf("%s/store", s->config->data);
	int err;

	if (s->config->store_size != 0)
		log_warn("config: store_size is not needed any more: the store grows by itself");
	err = store_open(path, STORE_ROOM, &s->store, error);

	free(path);
	if (err != 0)
		return err;
	err = open_files(s, "artifacts", &s->artifacts, error);
	if (err == 0)
		err = open_files(s, "imports", &s->imports, error);
	if (err != 0)
		return err;
	err = registry_open(s->store, s->config, &s->registry);
	if (err == 0)
		err = load_fleet(s);
	if (err == 0)
		err = writer_open(&s->writer, s->store, s->fleet, &s->registry);
	if (err == 0)
		err = foreign_open(s);
	if (err == 0) {
		s->import = import_new(s);
		err = import_resume(s);
	}
	if (err == ERR_CORRUPT)
		(void)snprintf(error, ERROR_MAX,
			"store: a record is damaged; huiductl store check names all that are, huiductl "
			"store restore puts a backup in the store's place");
	else if (err != 0)
		(void)snprintf(error, ERROR_MAX, "store: %s", err_str(err));
	return err;
}

int server_open(
	struct server *s, const struct config *config, const struct epochs *epochs, char *error)
{
	int err;

	assert(epochs->n > 0);
	*s = (struct server){ .config = config, .epochs = *epochs, .writer.wake = -1 };
	metric_set(METRIC_EPOCH_START, epochs_newest(epochs)->since_s);
	s->flood = flood_new(config->enrol.per_minute, config->enrol.per_prefix_minute);
	s->grants = flood_new(0, GRANTS_PER_MINUTE);
	if (mkdir(config->data, 0700) != 0 && errno != EEXIST) {
		(void)snprintf(error, ERROR_MAX, "%.200s: %s", config->data, strerror(errno));
		return -errno;
	}
	err = file_sync_entry(config->data);
	if (err != 0)
		(void)snprintf(error, ERROR_MAX, "%.200s: %s", config->data, err_str(err));
	if (err == 0)
		err = door_new(&config->enrol, &s->door, error);
	if (err == 0)
		err = doorman_hire(&config->enrol, &s->doorman, error);
	if (err == 0)
		err = tenants_new(&config->compat, &s->tenants, error);
	if (err == 0)
		err = open_parts(s, error);
	if (err != 0)
		server_close(s);
	return err;
}

void server_dismiss(struct server *s)
{
	digests_stop(s->digests);
	doorman_free(s->doorman);
	doorman_free(s->retired);
	s->doorman = s->retired = NULL;
}

void server_close(struct server *s)
{
	server_dismiss(s);
	if (s->import != NULL)
		import_stop(s->import);
	if (s->writer.store != NULL)
		writer_close(&s->writer);
	import_free(s->import);
	image_free(atomic_load(&s->image));
	fleet_free(s->fleet);
	digests_free(s->digests);
	registry_release(&s->registry);
	artifacts_close(s->artifacts);
	artifacts_close(s->imports);
	store_close(s->store);
	door_free(s->door);
	tenants_free(s->tenants);
	crypto_wipe(s->foreign_secret, sizeof(s->foreign_secret));
	flood_free(s->flood);
	flood_free(s->grants);
	epochs_release(&s->epochs);
	if (s->own_config != NULL)
		config_release(s->own_config);
	free(s->own_config);
	*s = (struct server){ .writer.wake = -1 };
}
