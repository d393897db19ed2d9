/* SPDX-License-Identifier: Apache-2.0 */
/* huidud.yaml as a struct that does not change.  Paths are made absolute or relative to the file. */
#pragma once

#include "server/base/yaml.h"
#include "server/core/ring.h"

enum config_fill { FILL_HASH, FILL_INVITE };

/* Products that share a part, a chipset say: looked at together, besides each alone. */
struct config_component {
	char *name;
	char **products;
	size_t n_products;
	uint32_t line; /* of the file */
};

struct config_line {
	char *name;
	char **products;
	size_t n_products;
	struct {
		uint32_t seats[RING_STABLE]; /* core, honour, dev */
	} rings;
	struct config_component *components;
	size_t n_components;
	uint32_t fill; /* enum config_fill */
	uint64_t fill_every_ms;
	uint32_t line; /* of the file */
};

struct config {
	char *repository;
	char *data;       /* directory of store, artifacts and the signer's floor */
	char *listen;     /* host:port for devices */
	bool plain;       /* no TLS; loopback only */
	char *admin;      /* Unix socket */
	char *metrics;    /* host:port, plain HTTP; "" for none */
	uint32_t workers; /* 0: one per core */
	struct {
		char *cert, *key;
	} tls;
	char *root;   /* Envelope of the Root */
	char *online; /* directory of the online keys */
	uint64_t store_size;
	struct {
		uint64_t interval_ms;
		uint32_t jitter_ppm;
	} poll;
	uint64_t min_id_age_ms;
	char **symptoms; /* names of the codes devices report, from 0; see config_symptom() */
	size_t n_symptoms;
	struct config_line *lines;
	size_t n_lines;
};

/* On failure `error` is the line for a person: "huidud.yaml:12: lines[1].rings.core: ...". */
WARN_UNUSED int config_load(const char *path, struct config *out, char error[YAML_ERROR_MAX]);
void config_release(struct config *c);
/* What a symptom's code means here, NULL when it has no meaning. */
const char *config_symptom(const struct config *c, size_t code);
