/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of Mender's protocol share; nobody else includes it. */
#pragma once

#include "server/http/compat/bearer.h"
#include "server/http/compat/exchange.h"
#include "server/http/compat/link.h"
#include "server/http/compat/mender_wire.h"
#include "server/service/tenant.h"

/* One request of a device that was recognised. */
struct mender_call {
	struct exchange e; /* first */
	uint8_t id[ID_LEN];
	enum mender_status status;
	bool control_map;              /* it asked for one */
	char deployment[MENDER_UUID];  /* whose map it asks for */
	char device_type[MENDER_TEXT]; /* as it spells it */
	char base[LINK_BASE_MAX];      /* https://host */
};

/* ---- mender.c ---- */

/* Answers that what it says cannot be understood. */
void mender_refuse_body(struct http_call *call);
/* The first that is of this product; NULL: there is none. */
const struct tenant *mender_tenant(const struct desk *d, const char *product);
/* The product of the device whose token it shows; NULL: there is none, and it is answered. */
const struct image_product *mender_recognise(struct http_call *call, struct bearer *b);
/* A request of that device; what it says is to be filled in. */
struct mender_call *mender_new_call(
	struct http_call *call, const struct bearer *b, const struct exchange_kind *kind);
void mender_names_build(struct foreign_said *said, const char *artifact_name);

/* ---- mender_auth.c ---- */

/* POST .../auth_requests */
void mender_authenticate(struct http_call *call);

/* ---- mender_deploy.c ---- */

/* False when the text is no deployment's of that device. */
WARN_UNUSED bool mender_read_deployment(
	struct bytes text, const uint8_t id[ID_LEN], uint32_t *action);
/* .../deployments/next, as v2 and v1 have it, and of old. */
void mender_post_next(struct http_call *call);
void mender_get_next(struct http_call *call);
/* PUT .../deployments/ID/status and log */
void mender_put_deployment(struct http_call *call);

/* ---- mender_control.c ---- */

/* GET .../deployments/ID/update_control_map */
void mender_get_control(struct http_call *call);
