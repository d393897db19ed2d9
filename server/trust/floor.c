/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/floor.h"

#include <errno.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "server/trust/ledger.h"

struct floor {
	struct ledger *ledger;
};

static int log_of(const struct merkle *tree, struct signer_log *out)
{
	out->size = tree->size;
	return merkle_root(crypto_openssl(), tree, out->root);
}

int floor_peek(const char *path, struct signer_log *out)
{
	struct merkle tree;
	int err = ledger_read(path, &tree);

	return err != 0 ? err : log_of(&tree, out);
}

int floor_hold(const char *path, struct floor **out, struct signer_log *log)
{
	struct ledger *ledger = NULL;
	int err;

	/* An empty one in place of one that was lost would let anything through. */
	if (access(path, F_OK) != 0)
		return -errno;
	err = ledger_open(path, &ledger);
	if (err == 0)
		err = log_of(&ledger->log, log);
	if (err != 0) {
		ledger_close(ledger);
		return err;
	}
	*out = mem_alloc(sizeof(**out));
	(*out)->ledger = ledger;
	return 0;
}

void floor_release(struct floor *f)
{
	if (f == NULL)
		return;
	ledger_close(f->ledger);
	free(f);
}
