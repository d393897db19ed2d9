/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/tenant.h"

#include <strings.h>

#include "server/base/mem.h"
#include "server/service/door.h"

struct tenants {
	size_t n_hawkbit;
	struct tenant hawkbit[];
};

int tenants_new(const struct config_compat *config, struct tenants **out, char *error)
{
	struct tenants *t = mem_zalloc(sizeof(*t) + config->n_hawkbit * sizeof(t->hawkbit[0]));
	int err = 0;

	for (; err == 0 && t->n_hawkbit < config->n_hawkbit; t->n_hawkbit++) {
		struct tenant *one = &t->hawkbit[t->n_hawkbit];
		struct config_enrol tokens = { .mode = ENROL_TOKEN };
		one->config = &config->hawkbit[t->n_hawkbit];
		tokens.tokens = one->config->gateway;
		if (*tokens.tokens != '\0')
			err = door_new(&tokens, &one->gateway, error);
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
	for (size_t i = 0; i < t->n_hawkbit; i++)
		door_free(t->hawkbit[i].gateway);
	free(t);
}

const struct tenant *tenants_hawkbit(const struct tenants *t, struct bytes name)
{
	for (size_t i = 0; t != NULL && i < t->n_hawkbit; i++) {
		const char *have = t->hawkbit[i].config->name;
		if (strlen(have) == name.n && strncasecmp(have, (const char *)name.p, name.n) == 0)
			return &t->hawkbit[i];
	}
	return NULL;
}

bool tenant_has_gateway(const struct tenant *t, struct bytes token)
{
	return t->gateway != NULL && door_knows(t->gateway, token);
}
