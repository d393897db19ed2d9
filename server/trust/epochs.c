/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/epochs.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "proto/crypto.h"
#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/base/text.h"

#define FIRST "device.key"

/* The epoch a file name stands for; 0: none. */
static uint32_t number_of(const char *name)
{
	static const char before[] = "device.", after[] = ".key";
	size_t n = strlen(name), digits = n - (sizeof(before) - 1) - (sizeof(after) - 1);
	char text[11] = "";
	uint64_t number;

	if (strcmp(name, FIRST) == 0)
		return 1;
	if (n < sizeof(before) + sizeof(after) - 1 || digits >= sizeof(text) ||
		strncmp(name, before, sizeof(before) - 1) != 0 ||
		strcmp(name + n - (sizeof(after) - 1), after) != 0)
		return 0;
	memcpy(text, name + sizeof(before) - 1, digits);
	if (text[0] == '0' || !text_u64(text, &number) || number < 2 || number > UINT32_MAX)
		return 0;
	return (uint32_t)number;
}

static void keep_newest(struct epochs *e, uint32_t number)
{
	size_t at = 0;

	while (at < e->n && e->live[at].number > number)
		at++;
	if (at == EPOCHS_LIVE)
		return;
	if (e->n < EPOCHS_LIVE)
		e->n++;
	for (size_t i = e->n - 1; i > at; i--)
		e->live[i] = e->live[i - 1];
	e->live[at] = (struct epoch){ .number = number };
}

static int find_files(const char *folder, struct epochs *out)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	int err;

	if (dir == NULL)
		return -errno;
	for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0) {
		uint32_t number = number_of(entry->d_name);
		if (number > 0)
			keep_newest(out, number);
	}
	err = -errno;
	(void)closedir(dir); /* only read */
	return err != 0 ? err : out->n == 0 ? -ENOENT : 0;
}

static int load(const char *path, struct epoch *out)
{
	struct buf b = { 0 };
	struct stat st;
	int err = file_read(path, DEVICE_SECRET_LEN, &b);

	if (err == ERR_TOO_BIG || (err == 0 && b.len != DEVICE_SECRET_LEN))
		err = ERR_BAD_KEY;
	if (err == 0 && stat(path, &st) != 0)
		err = -errno;
	if (err == 0) {
		memcpy(out->secret, b.data, DEVICE_SECRET_LEN);
		out->since_s = (uint64_t)st.st_mtime;
	}
	if (b.data != NULL)
		crypto_wipe(b.data, b.cap);
	buf_release(&b);
	return err;
}

int epochs_read(const char *folder, struct epochs *out, char **failed)
{
	char *path = mem_printf("%s/" FIRST, folder);
	int err;

	*out = (struct epochs){ 0 };
	err = find_files(folder, out);
	for (size_t i = 0; err == 0 && i < out->n; i++) {
		free(path);
		path = out->live[i].number == 1
			? mem_printf("%s/" FIRST, folder)
			: mem_printf("%s/device.%u.key", folder, out->live[i].number);
		err = load(path, &out->live[i]);
	}
	if (err != 0)
		epochs_release(out);
	if (err != 0 && failed != NULL) {
		*failed = path;
		path = NULL;
	}
	free(path);
	return err;
}

void epochs_release(struct epochs *e)
{
	crypto_wipe(e, sizeof(*e));
}

const struct epoch *epochs_find(const struct epochs *e, uint32_t number)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->live[i].number == number)
			return &e->live[i];
	return NULL;
}
