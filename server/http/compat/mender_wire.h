/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mender-client 3 says and is told: bodies to structs, and structs to bodies.  Decides nothing.
 *
 * Any thread.  Unless they say otherwise readers return ERR_TOO_BIG: more or longer than there is room
 * for, ERR_MALFORMED: no JSON, or of another shape, and ERR_MISSING_FIELD.
 */
#pragma once

#include "proto/bytes.h"
#include "proto/err.h"
#include "server/base/buf.h"

#define MENDER_TEXT     320u /* of a text, with its NUL */
#define MENDER_WHY      256u
#define MENDER_BODY_MAX (128u << 10)
#define MENDER_UUID     37u /* with its NUL */

/* ---- POST /v1/authentication/auth_requests ---- */

#define MENDER_IDENTITY_MAX 2048u
#define MENDER_NAME         129u /* with its NUL */

struct mender_auth {
	char name[MENDER_NAME];  /* what it calls itself: mender_name() of its identity */
	struct buf token;        /* of the tenant; often empty */
	uint8_t key[SHA256_LEN]; /* devicekey_fingerprint() of its public key */
};

/*
 * `signature`: the value of X-MEN-Signature, over the body as it came.  Release in any case.  Besides:
 * ERR_BAD_KEY, ERR_BAD_SIGNATURE, ERR_CRYPTO.  What it returns 0 for was signed with the private part
 * of `key`; whose that is the signature does not say.
 */
WARN_UNUSED int mender_read_auth(
	struct bytes body, struct bytes signature, struct mender_auth *out);
void mender_auth_release(struct mender_auth *a);
/*
 * The name of the device with this identity, which is an object in JSON: "imei=35,serial=7", sorted.
 * If that were too long or held what a name may not, or could be another's too, it is "sha256:" and
 * the hash, in hex, of the JSON without blanks and sorted.  Besides: ERR_CRYPTO.
 */
WARN_UNUSED int mender_name(struct bytes identity, char out[MENDER_NAME]);

/* ---- deployments/next ---- */

/* Texts are "" when not there. */
struct mender_next {
	char artifact_name[MENDER_TEXT], device_type[MENDER_TEXT];
	bool control_map; /* it asks for one, too */
};

/* Of a POST: v2's body, or v1's, which is only what v2 has as device_provides. */
WARN_UNUSED int mender_read_next(struct bytes body, struct mender_next *out);
/* Of a GET: what is behind the '?'. */
WARN_UNUSED int mender_read_query(struct bytes query, struct mender_next *out);

/* ---- deployments/{id}/status and log ---- */

enum mender_status {
	MENDER_UNKNOWN, /* a word that is not known here */
	MENDER_DOWNLOADING,
	MENDER_INSTALLING,
	MENDER_REBOOTING,
	MENDER_SUCCESS,
	MENDER_FAILURE,
	MENDER_ALREADY_INSTALLED,
	MENDER_PAUSE_BEFORE_INSTALLING,
	MENDER_PAUSE_BEFORE_REBOOTING,
	MENDER_PAUSE_BEFORE_COMMITTING,
	MENDER_STATUS__COUNT
};

/* "already-installed"; for MENDER_UNKNOWN "unknown".  Valid for ever. */
const char *mender_status_str(enum mender_status s);
WARN_UNUSED int mender_read_status(struct bytes body, enum mender_status *out);

/* The last message of an error, or else the last; "" when there is none. */
WARN_UNUSED int mender_read_log(struct bytes body, char why[MENDER_WHY]);

/* ---- inventory/device/attributes ---- */

/* Texts are "" when not there. */
struct mender_inventory {
	char artifact_name[MENDER_TEXT], device_type[MENDER_TEXT];
	char client_version[MENDER_TEXT];
	size_t n; /* attributes in all */
};

WARN_UNUSED int mender_read_inventory(struct bytes body, struct mender_inventory *out);

/* ---- answers ---- */

enum mender_action {
	MENDER_LEFT_OUT,
	MENDER_CONTINUE,
	MENDER_FORCE_CONTINUE,
	MENDER_PAUSE,
	MENDER_FAIL,
	MENDER_ACTION__COUNT
};
enum mender_state {
	MENDER_ARTIFACT_INSTALL,
	MENDER_ARTIFACT_REBOOT,
	MENDER_ARTIFACT_COMMIT,
	MENDER_STATE__COUNT
};

/* What the client is to do when it enters a state.  It refuses a map with a key it does not know. */
struct mender_control {
	const char *id;    /* as mender_uuid() writes it */
	uint32_t priority; /* 0..10 */
	struct {
		enum mender_action action, on_expire, on_executed;
	} state[MENDER_STATE__COUNT]; /* without an action it is left out */
};

/* Borrowed. */
struct mender_deployment {
	const char *id; /* as mender_uuid() writes it */
	const char *artifact_name;
	const char *uri; /* absolute */
	uint64_t expires_ms;
	const char *const *device_type; /* that it is for; one at least */
	size_t n_device_types;
	const struct mender_control *control; /* may be NULL */
};

/* Appends the body of 200. */
void mender_write_next(struct buf *out, const struct mender_deployment *d);
/* The same of update_control_map. */
void mender_write_control(struct buf *out, const struct mender_control *c);

/* 16 bytes as "01234567-89ab-cdef-0123-456789abcdef"; returns `out`. */
char *mender_uuid(const uint8_t id[ID_LEN], char out[MENDER_UUID]);
/* False when `text` is not exactly that. */
WARN_UNUSED bool mender_read_uuid(struct bytes text, uint8_t id[ID_LEN]);
