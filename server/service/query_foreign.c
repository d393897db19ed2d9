/* SPDX-License-Identifier: Apache-2.0 */
/* A device that speaks another server's protocol: by its own name, and what it is at. */
#include "server/service/query.h"

#include "server/service/foreign.h"

/* What is to be said of it, with the build's name in it. */
static const char *const at[FOREIGN_STATE__COUNT] = {
	[FOREIGN_OFFERED] = "was told of %s, and has not begun",
	[FOREIGN_INSTALLING] = "is at work on %s",
	[FOREIGN_INSTALLED] = "installed %s, waits for the new build to say that it runs",
	[FOREIGN_AWAITING] = "installed %s, as its old build says; waits to hear what runs",
};

static bool has(const struct foreign *f, enum foreign_event event)
{
	return f->counted >> event & 1;
}

/* How the last action ended. */
static const char *ended(const struct foreign *f)
{
	if (has(f, FOREIGN_EV_ROLLED_BACK))
		return "fell back from %s";
	if (has(f, FOREIGN_EV_BOOT_OK))
		return "runs %s";
	if (has(f, FOREIGN_EV_INSTALL_FAILED))
		return "could not install %s";
	if (has(f, FOREIGN_EV_INSTALLED))
		return "installed %s, and never said that it runs";
	return f->runs == f->build ? "had %s already" : "let go of %s before it was installed";
}

static const char *why(struct query *q, const struct foreign *f, const char *build)
{
	const char *format = f->state == FOREIGN_IDLE ? ended(f) : at[f->state];
	const char *place;

	if (f->action == 0)
		return "nothing was for it yet";
	if (f->cancelling)
		format = "was told to stop %s, and has not acknowledged it";
	place = strstr(format, "%s");
	return query_printf(q, "%.*s%s%s", (int)(place - format), format,
		build != NULL ? build : "a build that is not known any more", place + 2);
}

Pb__ForeignView *query_foreign(struct query *q, struct store_txn *t, const uint8_t id[ID_LEN])
{
	struct stored_foreign *f = query_alloc(q, sizeof(*f));
	Pb__ForeignView *v;

	if (!foreign_get(t, id, f))
		return NULL;
	v = query_alloc(q, sizeof(*v));
	*v = (Pb__ForeignView)PB__FOREIGN_VIEW__INIT;
	v->protocol = foreign_protocol_str(f->state.protocol);
	v->name = f->name;
	v->state = foreign_state_str(f->state.state);
	v->cancelling = f->state.cancelling;
	v->action = f->state.action;
	v->build = f->state.action == 0 ? NULL : query_build_name(q, f->state.build);
	v->since_ms = f->state.since_ms;
	v->why = why(q, &f->state, v->build);
	return v;
}

/* ---- by its own name ---- */

static bool find(struct query *q, enum foreign_protocol protocol, struct bytes name,
	struct crypto_mac *mac, uint8_t id[ID_LEN])
{
	const struct config_compat *c = &q->server->config->compat;

	for (size_t i = 0; i < c->of[protocol].n; i++)
		if (foreign_derive(mac, q->server, protocol, c->of[protocol].v[i].product, name,
			    id) == 0 &&
			foreign_is_known(q->server, id))
			return true;
	return false;
}

bool query_foreign_id(struct query *q, const char *name, uint8_t id[ID_LEN])
{
	const char *slash = strchr(name, '/');
	struct crypto_mac *mac = slash == NULL ? NULL : crypto_mac_new();
	bool found = false;

	for (unsigned p = 1; mac != NULL && !found && p < FOREIGN__END; p++) {
		const char *word = foreign_protocol_str((enum foreign_protocol)p);
		if (strlen(word) == (size_t)(slash - name) &&
			strncmp(word, name, strlen(word)) == 0 &&
			foreign_name_ok(bytes_str(slash + 1)))
			found = find(q, (enum foreign_protocol)p, bytes_str(slash + 1), mac, id);
	}
	crypto_mac_free(mac);
	return found;
}
