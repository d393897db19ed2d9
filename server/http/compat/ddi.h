/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and bodies of DDI v1: from bytes and to bytes, and nothing else. */
#pragma once

#include "server/base/buf.h"
#include "server/core/foreign.h"

/* ---- what is asked ---- */

enum ddi_resource {
	DDI_BASE,
	DDI_CONFIG_DATA,
	DDI_DEPLOYMENT,
	DDI_DEPLOYMENT_FEEDBACK,
	DDI_CANCEL,
	DDI_CANCEL_FEEDBACK,
	DDI_ARTIFACT,
};

struct ddi_path {
	struct bytes tenant;
	struct bytes spelt; /* the controller's name as it stands there */
	char name[FOREIGN_NAME_MAX + 1];
	enum ddi_resource resource;
	uint32_t action;   /* 0: the resource has none */
	struct bytes file; /* DDI_ARTIFACT: SHA-256 in hex */
};

/* `path` is without its first slash; `method` is GET, PUT or POST.  False: there is no such thing. */
bool ddi_read_path(struct bytes path, const char *method, struct ddi_path *out);

/*
 * What a feedback says of an action.  ERR_MALFORMED: nothing that can be understood, not even by
 * looking for its two words.
 */
WARN_UNUSED int ddi_read_feedback(struct bytes body, enum foreign_word *out);
/* The same of a cancel. */
WARN_UNUSED int ddi_read_cancel(struct bytes body, enum foreign_word *out);
/* The value of an attribute; false when it is not named there, or is empty. */
bool ddi_read_attribute(struct bytes body, const char *name, struct buf *out);

/* ---- what is answered ---- */

struct ddi_links {
	const char *base; /* https://host/TENANT/controller/v1/name */
	enum foreign_tell tell;
	uint32_t action;
	bool wants;
	uint32_t sleep_s;
};
void ddi_write_base(struct buf *out, const struct ddi_links *l);

struct ddi_deployment {
	const char *base;
	uint32_t action;
	const char *product, *build, *suffix;
	const uint8_t *sha256, *sha1;
	uint64_t length;
};
void ddi_write_deployment(struct buf *out, const struct ddi_deployment *d);
void ddi_write_cancel(struct buf *out, uint32_t action);
