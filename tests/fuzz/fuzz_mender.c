/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Mender client sends; the first byte says to where.  Every signature is taken for good, or
 * nothing behind it would be reached.
 */
#include <assert.h>
#include <string.h>

#include "server/http/compat/mender_wire.h"
#include "server/trust/devicekey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int __real_devicekey_verify(struct bytes pem, struct bytes message, struct bytes sig);
int __wrap_devicekey_verify(struct bytes pem, struct bytes message, struct bytes sig);

int __wrap_devicekey_verify(struct bytes pem, struct bytes message, struct bytes sig)
{
	int err = __real_devicekey_verify(pem, message, sig);

	return err == ERR_BAD_SIGNATURE ? 0 : err;
}

static void is_text(const char *text, size_t room)
{
	assert(memchr(text, '\0', room) != NULL);
}

/* As the store will have it. */
static void check_name(const char *name)
{
	size_t n = strnlen(name, MENDER_NAME);

	assert(n > 0 && n < MENDER_NAME);
	for (size_t i = 0; i < n; i++)
		assert(name[i] > ' ' && name[i] <= '~' && strchr("/\"'\\", name[i]) == NULL);
	assert((strchr(name, '=') == NULL) == (strncmp(name, "sha256:", 7) == 0 && n == 71));
}

/* A signature, a newline, the body. */
static void auth(struct bytes in)
{
	const uint8_t *end = in.n > 0 ? memchr(in.p, '\n', in.n) : NULL;
	size_t n = end != NULL ? (size_t)(end - in.p) : 0, used = n + (end != NULL);
	struct mender_auth a;
	int err = mender_read_auth(bytes_of(in.p + used, in.n - used), bytes_of(in.p, n), &a);

	if (err == 0)
		check_name(a.name);
	mender_auth_release(&a);
}

static void next(struct bytes in)
{
	struct mender_next out;

	if (mender_read_next(in, &out) != 0)
		return;
	is_text(out.artifact_name, MENDER_TEXT);
	is_text(out.device_type, MENDER_TEXT);
}

static void query(struct bytes in)
{
	struct mender_next out;

	if (mender_read_query(in, &out) != 0)
		return;
	is_text(out.artifact_name, MENDER_TEXT);
	is_text(out.device_type, MENDER_TEXT);
	assert(!out.control_map);
}

static void status(struct bytes in)
{
	enum mender_status s;

	if (mender_read_status(in, &s) == 0)
		is_text(mender_status_str(s), MENDER_TEXT);
}

static void log_of(struct bytes in)
{
	char why[MENDER_WHY];

	if (mender_read_log(in, why) == 0)
		is_text(why, sizeof(why));
}

static void inventory(struct bytes in)
{
	struct mender_inventory out;

	if (mender_read_inventory(in, &out) != 0)
		return;
	is_text(out.artifact_name, MENDER_TEXT);
	is_text(out.device_type, MENDER_TEXT);
	is_text(out.client_version, MENDER_TEXT);
}

static void uuid(struct bytes in)
{
	char text[MENDER_UUID];
	uint8_t id[ID_LEN];

	if (mender_read_uuid(in, id))
		assert(bytes_eq(in, bytes_str(mender_uuid(id, text))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static void (*const to[])(
		struct bytes in) = { auth, next, query, status, log_of, inventory, uuid };

	if (n > 0)
		to[data[0] % (sizeof(to) / sizeof(to[0]))](bytes_of(data + 1, n - 1));
	return 0;
}
