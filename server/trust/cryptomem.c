/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/cryptomem.h"

#include <openssl/crypto.h>

#include "server/base/mem.h"

static void *take(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return mem_alloc(n);
}

/* As realloc() does: nothing is left of what shrinks to nothing. */
static void *resize(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	if (n > 0)
		return mem_resize(p, n, 1);
	free(p);
	return NULL;
}

static void give(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

bool cryptomem_must(void)
{
	return CRYPTO_set_mem_functions(take, resize, give) == 1;
}
