/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/deployment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/base/text.h"
#include "server/ctl/plans.h"
#include "server/trust/tlscert.h"

#define NAMES_MAX 5u
#define HOST_MAX  254u
#define TOKEN_LEN 16u

/* What ends up in the folder; the context last, since with it huiductl finds the rest.
 */
static const char *const entries[] = { "keys", "online", "tls", "plans", "root.env", "enrol.tokens",
	"huidud.yaml", "huiductl.yaml" };
#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

bool deployment_host(const char *listen, char *host, size_t size)
{
	const char *colon = strrchr(listen, ':');
	bool bracket = listen[0] == '[';
	uint64_t port;
	size_t n;

	if (colon == NULL || !text_u64(colon + 1, &port) || port == 0 || port > 65535)
		return false;
	n = (size_t)(colon - listen);
	if (bracket && (n < 3 || listen[n - 1] != ']'))
		return false;
	listen += bracket;
	n -= bracket ? 2 : 0;
	if (n == 0 || n >= size ||
		strspn(listen,
			bracket ? "0123456789abcdefABCDEF:."
				: "0123456789abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-") < n)
		return false;
	memcpy(host, listen, n);
	host[n] = '\0';
	return true;
}

static void add_name(const char **names, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(names[i], name) == 0)
			return;
	assert(*n < NAMES_MAX);
	names[(*n)++] = name;
}

static int make_tls(const struct deployment *d, const char *folder)
{
	const char *names[NAMES_MAX] = { "localhost", "127.0.0.1", "::1" };
	char machine[HOST_MAX] = "", with_port[HOST_MAX + 8], host[HOST_MAX];
	char *tls = mem_printf("%s/tls", folder);
	char *cert = mem_printf("%s/cert.pem", tls), *key = mem_printf("%s/key.pem", tls);
	size_t n = 3;
	int err = mkdir(tls, 0700) == 0 ? 0 : -errno;

	/* The machine's name counts when it could stand in an address. */
	if (gethostname(machine, sizeof(machine) - 1) == 0) {
		(void)snprintf(with_port, sizeof(with_port), "%s:1", machine);
		if (deployment_host(with_port, machine, sizeof(machine)))
			add_name(names, &n, machine);
	}
	if (deployment_host(d->listen, host, sizeof(host)) && strcmp(host, "0.0.0.0") != 0 &&
		strcmp(host, "::") != 0)
		add_name(names, &n, host);
	if (err == 0)
		err = tlscert_write(cert, key, names, n);
	free(tls);
	free(cert);
	free(key);
	return err;
}

static int make_file(const char *folder, const char *name, struct bytes data)
{
	char *path = mem_printf("%s/%s", folder, name);
	int err = file_create(path, data, 0644);

	free(path);
	return err;
}

static int make_plans(const char *folder)
{
	char *plans = mem_printf("%s/plans", folder);
	int err = mkdir(plans, 0755) == 0 ? 0 : -errno;

	for (const struct plan_text *p = plan_texts; err == 0 && p->name != NULL; p++)
		err = make_file(plans, p->name, bytes_str(p->text));
	free(plans);
	return err;
}

static int make_yaml(const struct deployment *d, const char *folder)
{
	struct buf server = { 0 }, context = { 0 };
	int err;

	deployment_server_yaml(&server, d);
	deployment_context_yaml(&context, d);
	err = make_file(folder, "huidud.yaml", buf_bytes(&server));
	if (err == 0)
		err = make_file(folder, "huiductl.yaml", buf_bytes(&context));
	buf_release(&server);
	buf_release(&context);
	return err;
}

/* One to start with; whoever builds devices needs it, so it is a secret of theirs and ours. */
static int make_token(const char *folder)
{
	uint8_t token[TOKEN_LEN];
	char hex[2 * TOKEN_LEN + 2];
	char *path = mem_printf("%s/enrol.tokens", folder);
	int err = crypto_random(token, sizeof(token));

	hex_encode(hex, token, TOKEN_LEN)[2 * TOKEN_LEN] = '\n';
	if (err == 0)
		err = file_create(path, bytes_of(hex, 2 * TOKEN_LEN + 1), 0600);
	free(path);
	return err;
}

static int make_all(const struct deployment *d, const char *folder)
{
	struct ceremony c = { d->repository, d->profile, d->persons, d->now_s, d->demo };
	int err = ceremony_hold(&c, folder);

	if (err == 0)
		err = make_tls(d, folder);
	if (err == 0)
		err = make_plans(folder);
	if (err == 0)
		err = make_token(folder);
	return err != 0 ? err : make_yaml(d, folder);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

/* Moves the first `n` entries; never over something.  On an error those moved go back.
 */
static int move(const char *from, const char *to, size_t n, char **about)
{
	int err = 0;
	size_t i;

	for (i = 0; err == 0 && i < n; i++) {
		char *a = mem_printf("%s/%s", from, entries[i]);
		char *b = mem_printf("%s/%s", to, entries[i]);
		if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE) != 0)
			err = -errno;
		if (err != 0 && about != NULL) {
			*about = b;
			b = NULL;
		}
		free(a);
		free(b);
	}
	if (err != 0)
		(void)!move(to, from, i - 1, NULL); /* what cannot go back stays; err says why */
	return err;
}

static int check_free(const char *folder, char **about)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		char *path = mem_printf("%s/%s", folder, entries[i]);
		if (access(path, F_OK) == 0) {
			*about = path;
			return -EEXIST;
		}
		free(path);
	}
	return 0;
}

int deployment_make(const struct deployment *d, char **about)
{
	bool made = mkdir(d->folder, 0700) == 0;
	int err = made || errno == EEXIST ? 0 : -errno;
	char *work = mem_printf("%s/.huidu-init-XXXXXX", d->folder);

	*about = NULL;
	if (err == 0)
		err = check_free(d->folder, about);
	if (err == 0 && mkdtemp(work) == NULL)
		err = -errno;
	else if (err == 0) {
		err = make_all(d, work);
		if (err == 0)
			err = move(work, d->folder, ENTRIES, about);
		(void)nftw(work, remove_one, 8, FTW_DEPTH | FTW_PHYS); /* err says more */
	}
	if (err != 0 && made)
		(void)rmdir(d->folder); /* err says more */
	if (err != 0 && *about == NULL)
		*about = mem_strdup(d->folder);
	free(work);
	return err;
}
