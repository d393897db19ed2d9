/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/tenant.h"

#include <strings.h>

#include "server/base/mem.h"
#include "server/service/door.h"

struct tenants {
	struct {
		struct tenant *v;
		size_t n;
	} of[FOREIGN__END];
};

static int open_tenant(const struct config_tenant *config, struct tenant *out, char *error)
{
	struct config_enrol tokens = { .mode = ENROL_TOKEN, .tokens = config->gateway };

	out->config = config;
	return *config->gateway != '\0' ? door_new(&tokens, &out->gateway, error) : 0;
}

int tenants_new(const struct config_compat *config, struct tenants **out, char *error)
{
	struct tenants *t = mem_zalloc(sizeof(*t));
	int err = 0;

	for (unsigned p = 0; p < FOREIGN__END; p++) {
		const struct config_tenants *c = &config->of[p];
		t->of[p].v = mem_zalloc((c->n + 1) * sizeof(*t->of[p].v));
		for (; err == 0 && t->of[p].n < c->n; t->of[p].n++)
			err = open_tenant(&c->v[t->of[p].n], &t->of[p].v[t->of[p].n], error);
	}
	if (err == 0)
		*out = t;
	else
		tenants_free(t);
	return err;
}

void tenants_free(struct tenants *t)
{
	if (t == NULL)
		return;
	for (unsigned p = 0; p < FOREIGN__END; p++) {
		for (size_t i = 0; i < t->of[p].n; i++)
			door_free(t->of[p].v[i].gateway);
		free(t->of[p].v);
	}
	free(t);
}

const struct tenant *tenants_at(const struct tenants *t, enum foreign_protocol protocol, size_t i)
{
	return t != NULL && i < t->of[protocol].n ? &t->of[protocol].v[i] : NULL;
}

const struct tenant *tenants_find(
	const struct tenants *t, enum foreign_protocol protocol, struct bytes name)
{
	const struct tenant *one;

	for (size_t i = 0; (one = tenants_at(t, protocol, i)) != NULL; i++) {
		const char *have = one->config->name;
		if (strlen(have) == name.n && strncasecmp(have, (const char *)name.p, name.n) == 0)
			return one;
	}
	return NULL;
}

const struct tenant *tenants_opened(
	const struct tenants *t, enum foreign_protocol protocol, struct bytes token)
{
	const struct tenant *one, *found = NULL;

	for (size_t i = 0; (one = tenants_at(t, protocol, i)) != NULL; i++)
		if (tenant_has_gateway(one, token) && found == NULL)
			found = one;
	return found;
}

bool tenant_has_gateway(const struct tenant *t, struct bytes token)
{
	return t->gateway != NULL && door_knows(t->gateway, token);
}
