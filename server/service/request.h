/* SPDX-License-Identifier: Apache-2.0 */
/* A device's request, checked: lint, MAC, product, before anything of it is believed. */
#pragma once

#include "proto/device.pb-c.h"
#include "server/service/server.h"

/* The MAC is over the path too. */
enum request_kind { REQUEST_POLL, REQUEST_REPORT, REQUEST_GRANT };

struct request {
	bool anonymous;
	uint8_t id[ID_LEN];
	fleet_word *word;                    /* NULL when anonymous */
	const struct image_product *product; /* NULL: the configuration has none like it */
	const Pb__PollRequest *poll;         /* REQUEST_POLL; in the desk's arena */
	const Pb__ReportRequest *report;     /* may be NULL in a poll */
};

/*
 * Reads a Sealed.  Errors are those of lint(), or ERR_BAD_MAC, which takes the same time and work
 * whether the device is unknown or the MAC is wrong.
 */
WARN_UNUSED int request_open(struct desk *d, enum request_kind kind, struct bytes body,
	uint64_t now_ms, struct request *out);

/* HMAC-SHA256(device secret, "huidu/report-key/v1" || 0 || id) */
WARN_UNUSED int request_report_key(
	struct desk *d, const uint8_t id[ID_LEN], uint8_t out[SHA256_LEN]);
