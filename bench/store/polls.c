/* SPDX-License-Identifier: Apache-2.0 */
/* Polls of known devices drawn at random, each with its own MAC: a poll that was saved, sealed anew. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/store/loader.h"
#include "bench/store/store.h"

struct saved {
	const struct place *place;
	struct epochs epochs;
	struct crypto_mac *mac;
	uint8_t sealed[512];
	size_t sealed_n, id_at, mac_at;
	struct bytes body; /* of the poll, in `sealed` */
};

/* The saved poll, and where in it stand what is replaced. */
static void read_saved(struct saved *l, const char *path)
{
	uint8_t scratch[4096];
	struct arena a = { scratch, sizeof(scratch), 0 };
	FILE *f = fopen(path, "rb");
	const Pb__Sealed *m;
	int err;

	must(f == NULL ? ERR_NOT_FOUND : 0, path);
	l->sealed_n = fread(l->sealed, 1, sizeof(l->sealed), f);
	(void)fclose(f); /* it was read */
	m = wire_read(
		&pb__sealed__descriptor, bytes_of(l->sealed, l->sealed_n), &wire_device, &a, &err);
	must(m == NULL ? err : 0, path);
	must(m->device_id.len == ID_LEN && m->mac.len == MAC_LEN ? 0 : ERR_BAD_MAC, path);
	l->id_at = (size_t)((uint8_t *)memmem(l->sealed, l->sealed_n, m->device_id.data, ID_LEN) -
		l->sealed);
	l->mac_at = (size_t)((uint8_t *)memmem(l->sealed, l->sealed_n, m->mac.data, MAC_LEN) -
		l->sealed);
	l->body = bytes_of(memmem(l->sealed, l->sealed_n, m->body.data, m->body.len), m->body.len);
}

/* As the phone's SDK seals it. */
static void seal(struct saved *l, uint64_t draw)
{
	static const char domain[] = "huidu/report-key/v1", path[] = "/v1/poll";
	const struct epoch *e = epochs_newest(&l->epochs);
	uint8_t key[SHA256_LEN], mac[SHA256_LEN], *id = l->sealed + l->id_at;

	made_id(draw % l->place->n, l->place->n, id);
	struct bytes of_key[] = { bytes_of(domain, sizeof(domain)), bytes_of(id, ID_LEN) };
	must(crypto_mac_sign(l->mac, bytes_of(e->secret, sizeof(e->secret)), of_key, 2, key),
		"key");
	struct bytes part[] = { bytes_of(path, sizeof(path)), l->body };
	must(crypto_mac_sign(l->mac, bytes_of(key, sizeof(key)), part, 2, mac), "mac");
	memcpy(l->sealed + l->mac_at, mac, MAC_LEN);
}

static size_t request(void *arg, uint64_t draw, char out[LOADER_REQUEST_MAX])
{
	struct saved *l = arg;
	int n;

	seal(l, draw);
	n = snprintf(out, LOADER_REQUEST_MAX - sizeof(l->sealed),
		"POST /v1/poll HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
		"Content-Length: %zu\r\n\r\n",
		l->sealed_n);
	memcpy(out + n, l->sealed, l->sealed_n);
	return (size_t)n + l->sealed_n;
}

int store_polls(const struct place *p, int argc, char **argv)
{
	static struct saved l;
	int err;

	(void)argc;
	l.place = p;
	l.mac = crypto_mac_new();
	must(epochs_read(p->config.online, &l.epochs, NULL), "epochs");
	read_saved(&l, argv[1]);
	err = loader_run((unsigned)atoi(argv[0]), request, &l);
	crypto_mac_free(l.mac);
	return err;
}
