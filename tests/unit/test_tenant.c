/* SPDX-License-Identifier: Apache-2.0 */
/* Which tenant a path is of, and which tokens open it. */
#include "unit.h"

#include <stdio.h>

#include "deployment.h"
#include "server/base/file.h"
#include "server/base/mem.h"
#include "server/service/reload.h"
#include "server/service/tenant.h"
#include "tmpdir.h"

#define TOKEN_1 "gateway-token-0001"
#define TOKEN_2 "gateway-token-0002"
#define TOKEN_3 "gateway-token-0003"

static char error[256];

static void write_tokens(const char *name, const char *text)
{
	assert_int_equal(file_replace(tmpdir_path(name), bytes_str(text), 0600), 0);
}

static struct tenants *open_three(struct config_compat *c)
{
	static char name[][8] = { "default", "Acme", "none", "raspi" }, nothing[1];
	static struct config_tenant tenant[4];
	struct tenants *t = NULL;

	write_tokens("one", "# boards\n" TOKEN_1 "\n\n" TOKEN_2 "\n");
	write_tokens("two", TOKEN_3 "\n" TOKEN_2);
	for (size_t i = 0; i < COUNT(tenant); i++)
		tenant[i] = (struct config_tenant){ .name = name[i], .gateway = nothing };
	tenant[0].gateway = tmpdir_path("one");
	tenant[1].gateway = tmpdir_path("two");
	*c = (struct config_compat){
		.of = { [FOREIGN_DDI] = { tenant, 3 }, [FOREIGN_MENDER] = { tenant + 3, 1 } }
	};
	if (tenants_new(c, &t, error) != 0)
		fail_msg("%s", error);
	return t;
}

static void test_find(void **state)
{
	static const struct {
		const char *why;
		enum foreign_protocol protocol;
		const char *name, *want;
	} rows[] = {
		{ "as it stands", FOREIGN_DDI, "default", "default" },
		{ "in capitals", FOREIGN_DDI, "DEFAULT", "default" },
		{ "in small letters", FOREIGN_DDI, "acme", "Acme" },
		{ "cut", FOREIGN_DDI, "defaul", NULL },
		{ "longer", FOREIGN_DDI, "defaults", NULL },
		{ "empty", FOREIGN_DDI, "", NULL },
		{ "of another protocol", FOREIGN_DDI, "raspi", NULL },
		{ "of its protocol", FOREIGN_MENDER, "raspi", "raspi" },
		{ "of one with no tenants", FOREIGN_OMAHA, "default", NULL },
	};
	struct config_compat c;
	struct tenants *t;

	(void)state;
	t = open_three(&c);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct tenant *one =
			tenants_find(t, rows[i].protocol, bytes_str(rows[i].name));
		const char *name = one == NULL ? "nobody" : one->config->name;
		if (strcmp(name, rows[i].want == NULL ? "nobody" : rows[i].want) != 0)
			fail_msg("%s: %s", rows[i].why, name);
	}
	assert_string_equal(tenants_at(t, FOREIGN_DDI, 2)->config->name, "none");
	assert_null(tenants_at(t, FOREIGN_DDI, 3));
	assert_null(tenants_at(NULL, FOREIGN_DDI, 0));
	tenants_free(t);
}

static void test_tokens(void **state)
{
	static const struct {
		const char *why, *token;
		bool want[3];
		const char *opened;
	} rows[] = {
		{ "the first's", TOKEN_1, { true, false, false }, "default" },
		{ "the second's", TOKEN_3, { false, true, false }, "Acme" },
		{ "in both files", TOKEN_2, { true, true, false }, "default" },
		{ "nobody's", "gateway-token-0004", { false, false, false }, NULL },
		{ "cut", "gateway-token-000", { false, false, false }, NULL },
		{ "longer", TOKEN_1 "1", { false, false, false }, NULL },
		{ "empty", "", { false, false, false }, NULL },
		{ "a comment", "# boards", { false, false, false }, NULL },
	};
	struct config_compat c;
	struct tenants *t;

	(void)state;
	t = open_three(&c);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bytes token = bytes_str(rows[i].token);
		const struct tenant *opened = tenants_opened(t, FOREIGN_DDI, token);
		for (size_t k = 0; k < 3; k++)
			if (tenant_has_gateway(tenants_at(t, FOREIGN_DDI, k), token) !=
				rows[i].want[k])
				fail_msg("%s: tenant %zu", rows[i].why, k);
		assert_string_equal(opened == NULL ? "nobody" : opened->config->name,
			rows[i].opened == NULL ? "nobody" : rows[i].opened);
		assert_null(tenants_opened(t, FOREIGN_MENDER, token));
	}
	tenants_free(t);
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *why, *text, *want;
	} rows[] = {
		{ "not there", NULL, "No such file" },
		{ "empty", "", "no token" },
		{ "too short a token", "short\n", ":1: a token is" },
	};
	char name[] = "default";
	struct config_tenant one = { .name = name };
	const struct config_compat c = { .of = { [FOREIGN_DDI] = { &one, 1 } } };
	struct tenants *t = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		one.gateway = tmpdir_path(rows[i].why);
		if (rows[i].text != NULL)
			write_tokens(rows[i].why, rows[i].text);
		assert_true(tenants_new(&c, &t, error) != 0);
		assert_null(t);
		if (strstr(error, rows[i].want) == NULL)
			fail_msg("%s: %s", rows[i].why, error);
	}
}

/* ---- read again while the server runs ---- */

static int reload(struct deployment *d)
{
	char *path = mem_printf("%s/huidud.yaml", d->dir);
	struct reload *r = NULL;
	int err = reload_read(&d->server, path, &r, error);

	free(path);
	if (err == 0)
		err = reload_take(&d->server, r, d->now_ms);
	(void)desk_refresh(&d->desk); /* as a worker does when it is told */
	return err;
}

static bool opens(const struct deployment *d, const char *token)
{
	return tenants_opened(d->desk.image->settings.tenants, FOREIGN_DDI, bytes_str(token)) !=
		NULL;
}

static void test_reload(void **state)
{
	char *lines = mem_printf("lines:\n  - products: [phone-a]\n"
				 "compat: {hawkbit: [{product: phone-a, gateway: %s}]}\n",
		tmpdir_path("one"));
	struct deployment_options o = { .profile = "solo", .lines = lines };
	static struct deployment d;

	(void)state;
	write_tokens("one", TOKEN_1 "\n");
	deployment_open(&d, &o);
	assert_true(opens(&d, TOKEN_1));
	assert_false(opens(&d, TOKEN_2));
	write_tokens("one", TOKEN_2 "\n");
	assert_false(opens(&d, TOKEN_2));
	assert_int_equal(reload(&d), 0);
	assert_true(opens(&d, TOKEN_2));
	assert_false(opens(&d, TOKEN_1));
	/* What is wrong leaves the old ones. */
	write_tokens("one", "short\n");
	assert_true(reload(&d) != 0);
	assert_true(opens(&d, TOKEN_2));
	deployment_close(&d);
	free(lines);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_find),
		IN_TMPDIR(test_tokens),
		IN_TMPDIR(test_bad_files),
		IN_TMPDIR(test_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
