/* SPDX-License-Identifier: Apache-2.0 */
/* What init makes: all of it, usable, or nothing. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>

#include "server/base/file.h"
#include "server/config/config.h"
#include "server/ctl/context.h"
#include "server/ctl/deployment.h"
#include "server/trust/rootfile.h"
#include "tmpdir.h"

static const char *const people[] = { "alice", "bob", "carol", "dave", "erin" };
static const char *const products[] = { "phone-a", "phone-b" };

static struct deployment deployment(const char *folder, const char *profile)
{
	return (struct deployment){ folder, "acme", "default", "127.0.0.1:8443", products, 2,
		profile_find(profile), people, 1800000000, false };
}

static size_t entries_in(const char *folder)
{
	DIR *d = opendir(folder);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	assert_int_equal(closedir(d), 0);
	return n - 2;
}

/* The server takes the configuration, huiductl the context, and the keys are the
 * root's. */
static void check_profile(const char *profile, uint64_t min_id_age_ms, size_t approvers)
{
	char error[YAML_ERROR_MAX] = "";
	char *folder = tmpdir_path(profile), *about = NULL;
	struct deployment d = deployment(folder, profile);
	struct config config;
	struct context context = { 0 };
	struct rootfile *root;
	struct held_key key;
	char path[300];

	assert_int_equal(deployment_make(&d, &about), 0);
	free(about);
	(void)snprintf(path, sizeof(path), "%s/huidud.yaml", folder);
	if (config_load(path, &config, error) != 0)
		fail_msg("%s", error);
	assert_string_equal(config.repository, "acme");
	assert_int_equal(config.min_id_age_ms, min_id_age_ms);
	assert_int_equal(config.lines[0].n_products, 2);
	assert_int_equal(config.environment, ENVIRONMENT_PRODUCTION);
	assert_int_equal(config.enrol.mode, approvers == 1 ? ENROL_OPEN : ENROL_TOKEN);
	if (config.enrol.mode == ENROL_TOKEN)
		assert_int_equal(access(config.enrol.tokens, R_OK), 0);
	assert_int_equal(config.poll.interval_ms, 4 * 3600 * 1000);
	(void)snprintf(path, sizeof(path), "%s/huiductl.yaml", folder);
	if (context_load(path, &context, error) != 0)
		fail_msg("%s", error);
	assert_string_equal(context.admin, config.admin);
	assert_int_equal(rootfile_read(context.root, &root), 0);
	for (unsigned role = KEY_ONLINE_FIRST; role < KEY_ROLE__COUNT; role++) {
		char *online = key_path(config.online, NULL, (enum key_role)role);
		assert_int_equal(key_load(online, root->root, (enum key_role)role, &key), 0);
		key_release(&key);
		free(online);
	}
	assert_int_equal(context.keys.approver.n, approvers);
	for (size_t i = 0; i < approvers; i++) {
		assert_int_equal(
			key_load(context.keys.approver.path[i], root->root, KEY_APPROVER, &key), 0);
		key_release(&key);
	}
	assert_int_equal(access(config.tls.cert, R_OK), 0);
	rootfile_free(root);
	context_release(&context);
	config_release(&config);
}

static void test_profiles(void **state)
{
	(void)state;
	check_profile("solo", 0, 1);
	check_profile("team", 86400000, 3);
	check_profile("maker", 14ull * 86400000, 4);
}

/* To try it out: every key says so, and the server takes every device. */
static void test_demo(void **state)
{
	struct deployment d = deployment(tmpdir, "team");
	char error[YAML_ERROR_MAX] = "", *about = NULL;
	struct config config;
	struct rootfile *root;

	(void)state;
	d.demo = true;
	assert_int_equal(deployment_make(&d, &about), 0);
	free(about);
	if (config_load(tmpdir_path("huidud.yaml"), &config, error) != 0)
		fail_msg("%s", error);
	assert_int_equal(config.environment, ENVIRONMENT_TRIAL);
	assert_int_equal(config.enrol.mode, ENROL_OPEN);
	assert_int_equal(rootfile_read(tmpdir_path("root.env"), &root), 0);
	for (size_t i = 0; i < root->root->n_keys; i++)
		assert_true(root->root->keys[i]->demo);
	rootfile_free(root);
	config_release(&config);
}

/* Beside other things, in a folder that is there: they stay as they are. */
static void test_among_others(void **state)
{
	struct deployment d = deployment(tmpdir, "solo");
	char *about = NULL;

	(void)state;
	assert_int_equal(file_create(tmpdir_path("README"), bytes_str("mine"), 0600), 0);
	assert_int_equal(deployment_make(&d, &about), 0);
	free(about);
	assert_int_equal(entries_in(tmpdir), 9);
	/* A second time nothing is made, and nothing changes. */
	assert_int_equal(deployment_make(&d, &about), -EEXIST);
	free(about);
	assert_int_equal(entries_in(tmpdir), 9);
}

static void test_one_is_there(void **state)
{
	static const char *const taken[] = { "tls", "plans", "huiductl.yaml", "root.env" };

	(void)state;
	for (size_t i = 0; i < COUNT(taken); i++) {
		struct deployment d = deployment(tmpdir, "solo");
		char *about = NULL, *path = tmpdir_path(taken[i]);
		assert_int_equal(file_create(path, bytes_str("mine"), 0600), 0);
		assert_int_equal(deployment_make(&d, &about), -EEXIST);
		assert_string_equal(about, path);
		free(about);
		assert_int_equal(entries_in(tmpdir), 1);
		assert_int_equal(unlink(path), 0);
	}
}

/* The folder cannot be made, or something fails half-way: nothing stays behind. */
static void test_failures(void **state)
{
	struct deployment d = deployment(tmpdir_path("no/such/folder"), "solo");
	char *about = NULL;

	(void)state;
	assert_int_equal(deployment_make(&d, &about), -ENOENT);
	free(about);
	d = deployment(tmpdir_path("file"), "solo");
	assert_int_equal(file_create(d.folder, bytes_str("mine"), 0600), 0);
	assert_int_equal(deployment_make(&d, &about), -ENOTDIR);
	free(about);
	/* A key that is too long for the root: found after its file was written. */
	static char long_name[300];
	memset(long_name, 'a', sizeof(long_name) - 1);
	const char *const someone[] = { long_name };
	d = deployment(tmpdir_path("new"), "solo");
	d.persons = someone;
	assert_true(deployment_make(&d, &about) < 0);
	free(about);
	assert_int_equal(access(d.folder, F_OK), -1);
	assert_int_equal(entries_in(tmpdir), 1);
}

static void test_hosts(void **state)
{
	static const struct {
		const char *listen, *host; /* NULL: refused */
	} row[] = {
		{ "127.0.0.1:8443", "127.0.0.1" },
		{ "[::1]:8443", "::1" },
		{ "box.lan:1", "box.lan" },
		{ "box.lan", NULL },
		{ ":8443", NULL },
		{ "box:0", NULL },
		{ "box:65536", NULL },
		{ "box:x", NULL },
		{ "::1:8443", NULL },
		{ "[::1:8443", NULL },
		{ "a b:1", NULL },
		{ "a,DNS=b:1", NULL },
	};
	char host[64];

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		bool ok = deployment_host(row[i].listen, host, sizeof(host));
		assert_int_equal(ok, row[i].host != NULL);
		if (ok)
			assert_string_equal(host, row[i].host);
	}
	assert_false(deployment_host("box.lan:1", host, 7));
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_profiles),
		IN_TMPDIR(test_demo),
		IN_TMPDIR(test_among_others),
		IN_TMPDIR(test_one_is_there),
		IN_TMPDIR(test_failures),
		cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
