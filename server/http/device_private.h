/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the device front share; nobody else includes it. */
#pragma once

#include "server/http/asks.h"
#include "server/http/device.h"

/* How one worker fares: its own to write, anybody's to read. */
struct device_load {
	_Atomic uint32_t lag_ms, wait_ms, busy_ppm, stretch;
};

struct device_front {
	struct server *server;
	struct http_front *http;
	unsigned workers, port;
	struct desk *desks; /* one each worker */
	struct device_load *loads;
	struct asks *asks;
	struct network *proxies;
	struct http_route *routes;            /* those of the protocols that are spoken */
	bool plain;                           /* no TLS */
	uint64_t total_bytes_s, each_bytes_s; /* of downloads, as the workers have them */
	atomic_bool stopping;                 /* set by control, for those who ask how we are */
};

static inline const struct device_front *device_front_of(const struct http_call *call)
{
	return call->user;
}

static inline struct desk *device_desk(const struct http_call *call)
{
	return &((struct device_front *)call->user)->desks[call->worker];
}

/* ---- device.c ---- */

/* The answer to who cannot be served because of `err`. */
void device_refuse(struct http_call *call, int err);
/* 404: a file or a tile that is not here. */
void device_missing(struct http_call *call);
/* 200, with a protobuf. */
void device_reply(struct http_call *call, const struct bytes *part, size_t n);

/* ---- device_limit.c ---- */

/* As config says; the caller's. */
struct network *device_proxies(const struct config *c);
/* Sets how many connections there may be, and of one network. */
void device_limit(struct device_front *f);

/* ---- device_shed.c ---- */

/* http_options.looked */
bool device_looked(void *user, unsigned worker, const struct http_load *load);
/* Refuses a request of this class if that must be; then it is answered. */
bool device_sheds(struct http_call *call, enum shed_class what);
/* Too much is waiting to be written. */
void device_shed_report(struct http_call *call);
/* When to come again after an error that passes. */
uint32_t device_retry_s(const struct http_call *call);
/* The worst of the workers, into the metrics. */
void device_load_count(const struct device_front *f);

/* ---- device_log.c ---- */

/* Which tile a path names, behind "/v1/log/tile/"; false when it is none's. */
struct tile {
	unsigned level, width;
	uint64_t index;
};
bool device_tile_path(struct bytes path, struct tile *out);
void device_checkpoint(struct http_call *call);
void device_tile(struct http_call *call);

/* ---- device_file.c ---- */

void device_artifact(struct http_call *call);
/*
 * The file whose SHA-256 is in `hex`.  Who `insists` takes a refusal for a bad build: if there is no room
 * to open it, the connection ends instead, and he comes again.
 */
void device_send_artifact(struct http_call *call, struct bytes hex, bool insists);
/* The workers get the configuration's bandwidth; control's thread, or before the start. */
void device_limit_downloads(struct device_front *f);

/* ---- device_ask.c ---- */

void device_time(struct http_call *call);
void device_grant(struct http_call *call);
