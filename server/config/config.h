/* SPDX-License-Identifier: Apache-2.0 */
/* huidud.yaml as a struct that does not change.  Paths are made absolute or relative to the file. */
#pragma once

#include "server/base/yaml.h"
#include "server/core/foreign.h"
#include "server/core/ring.h"

enum config_fill { FILL_HASH, FILL_INVITE };

/* limits.per_prefix was not said: an eighth of limits.connections. */
#define CONFIG_EIGHTH UINT32_MAX

/* A trial takes every device and keys that were made to try huidu out; production takes neither. */
enum config_environment { ENVIRONMENT_PRODUCTION, ENVIRONMENT_TRIAL };

/* Which devices that the server does not know yet may enrol. */
enum config_enrol_mode {
	ENROL_UNSAID, /* not after config_load(): closed in production, open in a trial */
	ENROL_CLOSED,
	ENROL_OPEN,
	ENROL_TOKEN,   /* that know one of the operator's tokens */
	ENROL_VOUCHER, /* that a manufacturer signed for */
	ENROL_HOOK,    /* that a program of the operator's says yes to */
};

struct config_enrol {
	uint32_t mode;        /* enum config_enrol_mode */
	char *tokens;         /* ENROL_TOKEN: file, one a line; else "" */
	char **manufacturers; /* ENROL_VOUCHER: Ed25519 public keys: base64, or a file with one */
	size_t n_manufacturers;
	char *hook; /* ENROL_HOOK: the program; else "" */
	/* Enrolments a minute, of everybody and of a network (/24 of IPv4, /56 of IPv6); 0: any. */
	uint32_t per_minute, per_prefix_minute;
	uint32_t line; /* of the file */
};

/* Products that share a part, a chipset say: looked at together, besides each alone. */
struct config_component {
	char *name;
	char **products;
	size_t n_products;
	uint32_t line; /* of the file */
};

/* A build that phones have from the factory, and that was never published here. */
struct config_factory {
	char *product, *build;
	uint64_t counter;
	bool floor;    /* nothing at or below it is published, proposed or offered */
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
	struct config_factory *factory;
	size_t n_factory;
	uint32_t fill; /* enum config_fill */
	uint64_t fill_every_ms;
	uint32_t line; /* of the file */
};

/*
 * Whose devices of one product speak another server's protocol.  What a protocol has no use for is
 * "" or false.
 */
struct config_tenant {
	/*
	 * hawkBit: its tenant, as devices have it in their URLs; Mender: the device type; Omaha: the
	 * application's id.  Capitals and small letters are the same.
	 */
	char *name;
	char *product;
	char *gateway; /* file of tokens that let a device in that is new, one a line; "": none does */
	bool target_tokens; /* devices that were brought show their own */
	bool certificates;  /* a client certificate names its device: see tls.clients */
	char *version;      /* the attribute that names the build a device runs */
	char *suffix;       /* of the files' names */
	uint32_t line;      /* of the file */
};

struct config_tenants {
	struct config_tenant *v;
	size_t n;
};

/* A list of builds for updaters that only read: whoever asks gets what all of the ring may have. */
struct config_feed {
	char *name; /* in its path */
	char *product;
	uint32_t ring; /* enum ring */
	char *type;    /* what the updater calls its kind of build */
	char *version; /* what it must find to be its own; "": each build's name */
	uint32_t line; /* of the file */
};

/* Devices that speak another server's protocol; each is switched on by being there. */
struct config_compat {
	char *url;            /* where devices find this server; "": as they name it themselves */
	uint64_t patience_ms; /* so long an installed build may take to say that it runs */
	struct config_tenants of[FOREIGN__END];
	struct config_feed *feeds;
	size_t n_feeds;
};

struct config {
	char *repository;
	uint32_t environment; /* enum config_environment */
	struct config_enrol enrol;
	char *data;       /* directory of store, artifacts and the signer's floor */
	char *listen;     /* host:port for devices */
	bool plain;       /* no TLS; loopback only */
	char *admin;      /* Unix socket */
	char *metrics;    /* host:port, plain HTTP; "" for none */
	uint32_t workers; /* 0: one per core */
	struct {
		char *cert, *key;
		char *tickets; /* keys that servers share; "": each makes its own */
		char *clients; /* who signs clients' certificates; "": none is asked for */
	} tls;
	struct {
		uint32_t connections; /* of devices at one time; 0: what the machine allows */
		uint32_t per_prefix;  /* from one network; 0: any; CONFIG_EIGHTH: an eighth */
	} limits;
	char **proxies; /* networks whose connections begin with a PROXY header */
	size_t n_proxies;
	char *root;          /* Envelope of the Root */
	char *online;        /* directory of the online keys */
	uint64_t store_size; /* not used any more; 0: not said */
	struct {
		uint64_t interval_ms;
		uint32_t jitter_ppm;
	} poll;
	struct {
		uint64_t total_bytes_s, device_bytes_s; /* 0: as fast as it goes */
	} bandwidth; /* of downloads: all together, and each connection */
	struct config_compat compat;
	char *cdn; /* where files are instead, without a slash at the end; "" when here */
	uint64_t min_id_age_ms; /* unsaid: a day, in a trial 0 */
	uint64_t retention_ms;  /* records of devices in a halted rollout are kept so long */
	char **symptoms; /* names of the codes devices report, from 0; see config_symptom() */
	size_t n_symptoms;
	struct config_line *lines;
	size_t n_lines;
};

/* On failure `error` is the line for a person: "huidud.yaml:12: lines[1].rings.core: ...". */
WARN_UNUSED int config_load(const char *path, struct config *out, char error[YAML_ERROR_MAX]);
void config_release(struct config *c);
/* The key itself, in base64, and not a file that holds it. */
bool config_is_key(const char *manufacturer);
/* The build that is the product's floor; NULL when it has none. */
const struct config_factory *config_floor(const struct config *c, const char *product);
/*
 * Some of its devices speak another server's protocol, and say what becomes of an update: the first
 * such; 0: none.
 */
unsigned config_protocol(const struct config *c, const char *product);
bool config_is_foreign(const struct config *c, const char *product);
/* Some devices of this server do. */
bool config_has_foreign(const struct config *c);
/* What a symptom's code means here, NULL when it has no meaning. */
const char *config_symptom(const struct config *c, size_t code);
