/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A public key as a file that travels: a line that begins with # for people, then the serialized
 * Key in base64.  What the line says is worth nothing; the key id is that of the Key.
 */
#pragma once

#include "server/trust/keys.h"

/* A new file; -EEXIST when it is there. */
WARN_UNUSED int pubfile_write(const char *path, const Pb__Key *key, enum key_role role);
/* -errno, ERR_BAD_KEY: it is no such file. */
WARN_UNUSED int pubfile_read(const char *path, struct arena *a, const Pb__Key **out);
