/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/context.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "server/base/mem.h"

#define NAME "huiductl.yaml"

#define AT(member)      offsetof(struct context, member)
#define KEYS_AT(member) offsetof(struct context_roles, member)

/* clang-format off */
static const struct yaml_field keys_fields[] = {
	{ "root", YAML_LIST, KEYS_AT(root.path), KEYS_AT(root.n), NULL, NULL, "", 0, 0 },
	{ "release", YAML_LIST, KEYS_AT(release.path), KEYS_AT(release.n), NULL, NULL, "", 0, 0 },
	{ "approver", YAML_LIST, KEYS_AT(approver.path), KEYS_AT(approver.n), NULL, NULL, "", 0, 0 },
	{ "tester", YAML_LIST, KEYS_AT(tester.path), KEYS_AT(tester.n), NULL, NULL, "", 0, 0 },
	{ "observer", YAML_LIST, KEYS_AT(observer.path), KEYS_AT(observer.n), NULL, NULL, "", 0, 0 },
};
static const struct yaml_schema keys_schema = { keys_fields,
	sizeof(keys_fields) / sizeof(keys_fields[0]), sizeof(struct context_roles) };
static const struct yaml_field fields[] = {
	{ "repository", YAML_STRING, AT(repository), 0, NULL, NULL, NULL, 0, 0 },
	{ "admin", YAML_STRING, AT(admin), 0, NULL, NULL, "admin.sock", 0, 0 },
	{ "root", YAML_STRING, AT(root), 0, NULL, NULL, "root.env", 0, 0 },
	{ "keys", YAML_MAP, AT(keys), 0, &keys_schema, NULL, "", 0, 0 },
};
/* clang-format on */
static const struct yaml_schema schema = { fields, sizeof(fields) / sizeof(fields[0]),
	sizeof(struct context) };

static char *find_upwards(void)
{
	char *folder = getcwd(NULL, 0), *slash;
	char *file = NULL;

	while (folder != NULL) {
		file = mem_printf("%s/" NAME, folder);
		if (access(file, F_OK) == 0)
			break;
		free(file);
		file = NULL;
		slash = strrchr(folder, '/');
		if (slash == NULL || folder[0] == '\0')
			break;
		*slash = '\0';
	}
	free(folder);
	return file;
}

char *context_find(const char *given)
{
	const char *set = getenv("HUIDU_CONTEXT");

	if (given != NULL)
		return mem_strdup(given);
	if (set != NULL && set[0] != '\0')
		return mem_strdup(set);
	return find_upwards();
}

/* Puts the file's folder before a relative path. */
static void resolve(const char *file, char **path)
{
	const char *slash = strrchr(file, '/');
	char *joined;

	if ((*path)[0] == '/' || slash == NULL)
		return;
	joined = mem_printf("%.*s/%s", (int)(slash - file), file, *path);
	free(*path);
	*path = joined;
}

int context_load(const char *file, struct context *out, char error[YAML_ERROR_MAX])
{
	int err = yaml_read_file(file, &schema, out, error);

	if (err != 0)
		return err;
	out->file = mem_strdup(file);
	resolve(file, &out->admin);
	resolve(file, &out->root);
	for (unsigned r = KEY_ROOT; r < KEY_ONLINE_FIRST; r++) {
		const struct context_keys *k = context_keys(out, (enum key_role)r);
		for (size_t i = 0; i < k->n; i++)
			resolve(file, &k->path[i]);
	}
	return 0;
}

void context_release(struct context *c)
{
	free(c->file);
	c->file = NULL;
	yaml_release(&schema, c);
}

const struct context_keys *context_keys(const struct context *c, enum key_role role)
{
	const struct context_keys *of[] = {
		[KEY_ROOT] = &c->keys.root,
		[KEY_RELEASE] = &c->keys.release,
		[KEY_APPROVER] = &c->keys.approver,
		[KEY_TESTER] = &c->keys.tester,
		[KEY_OBSERVER] = &c->keys.observer,
	};

	assert(role < KEY_ONLINE_FIRST);
	return of[role];
}
