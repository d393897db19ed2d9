/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/root_show.h"

#include <stdio.h>

#include "proto/root.h"
#include "server/base/mem.h"
#include "server/base/show.h"
#include "server/ctl/ladder_show.h"
#include "server/ctl/table.h"
#include "server/trust/draft.h"

#define DAY_S 86400ull

static const char *const may[] = {
	[PB__ADMIN_KIND__ADMIN_OBSERVER] = "reads",
	[PB__ADMIN_KIND__ADMIN_TESTER_MANAGER] = "gives seats, stops",
	[PB__ADMIN_KIND__ADMIN_RELEASE_ENGINEER] = "publishes, proposes, starts, stops",
	[PB__ADMIN_KIND__ADMIN_APPROVER] = "approves, resumes, stops",
};

struct key_label key_label(const Pb__Key *key)
{
	char hex[2 * SHA256_LEN + 1];
	uint8_t id[SHA256_LEN];
	struct key_label out = { "?", "?" };

	if (key == NULL || envelope_keyid(crypto_openssl(), key, id) != 0)
		return out;
	memcpy(out.id, hex_encode(hex, id, SHA256_LEN), KEY_ID_SHOWN);
	out.id[KEY_ID_SHOWN] = '\0';
	(void)snprintf(out.name, sizeof(out.name), "%.39s", key->name != NULL ? key->name : out.id);
	return out;
}

void put_left(struct buf *out, uint64_t expires_s, uint64_t now_s)
{
	bool over = expires_s <= now_s;
	uint64_t left = over ? now_s - expires_s : expires_s - now_s;
	const char *unit = left >= 2 * DAY_S ? "days" : left >= 7200 ? "hours" : "minutes";
	uint64_t n = left / (left >= 2 * DAY_S ? DAY_S : left >= 7200 ? 3600 : 60);

	buf_printf(out, over ? "expired %llu %s ago" : "%llu %s", (unsigned long long)n, unit);
}

void root_line(struct buf *out, const struct term *t, const Pb__Root *root, uint64_t now_s)
{
	put(out, t, STYLE_BOLD, "Root %llu of '%s', profile %s", (unsigned long long)root->version,
		root->repository, root->profile);
	buf_str(out, root->expires > now_s ? "; expires in " : "; ");
	put_left(out, root->expires, now_s);
	buf_printf(out, " (%.10s)", show_minute(root->expires * 1000).s);
}

static const Pb__Key *key_of(const Pb__Root *root, ProtobufCBinaryData id)
{
	return root_key(crypto_openssl(), root, wire_bytes(id));
}

static void role_rows(struct table *t, const Pb__Root *root, enum key_role role)
{
	const Pb__Role *r = key_role_of(root, role);
	ProtobufCBinaryData *ids = r != NULL ? r->keyids : NULL;
	size_t n = r != NULL ? r->n_keyids : 0;

	if (role == KEY_LOG && root->log != NULL) {
		ids = &root->log->log_keyid;
		n = 1;
	}
	for (size_t i = 0; i < n; i++) {
		const Pb__Key *key = key_of(root, ids[i]);
		struct key_label label = key_label(key);
		table_cell(t, STYLE_PLAIN, "%s", i == 0 ? key_role_str(role) : "");
		if (i == 0)
			table_cell(t, STYLE_PLAIN, "%u of %zu", r != NULL ? r->threshold : 1, n);
		else
			table_cell(t, STYLE_PLAIN, "%s", "");
		table_cell(t, STYLE_PLAIN, "%s", label.name);
		table_cell(t, STYLE_DIM, "%s", label.id);
		table_cell(t, STYLE_WARN, "%s", key != NULL && key->demo ? "demo" : "");
	}
}

/* " for phone-a, in core, honour" */
static void put_scope(struct buf *out, const Pb__AdminRole *r)
{
	for (size_t i = 0; i < r->n_products; i++)
		buf_printf(out, "%s%s", i == 0 ? " for " : ", ", r->products[i]);
	for (size_t i = 0; i < r->n_rings; i++)
		buf_printf(out, "%s%s", i == 0 ? " in " : ", ", ring_word(r->rings[i]));
}

static const char *may_word(const Pb__AdminRole *r)
{
	size_t kind = (size_t)r->kind;

	return kind < sizeof(may) / sizeof(may[0]) && may[kind] != NULL ? may[kind] : "unknown";
}

void root_keys(struct buf *out, const struct term *term, const Pb__Root *root)
{
	static const struct column columns[] = { { "ROLE", false }, { "TAKES", false },
		{ "WHO", false }, { "KEY", false }, { "", false } };
	struct table t = { columns, sizeof(columns) / sizeof(columns[0]), NULL, 0 };

	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++)
		role_rows(&t, root, (enum key_role)r);
	table_print(&t, term, out);
	for (size_t i = 0; i < root->n_admins; i++) {
		const Pb__AdminRole *a = root->admins[i];
		buf_str(out, i == 0 ? "\nWhose commands the server takes\n  " : "  ");
		for (size_t k = 0; k < a->n_keyids; k++)
			buf_printf(out, "%s%s", k > 0 ? ", " : "",
				key_label(key_of(root, a->keyids[k])).name);
		buf_printf(out, ": %s", may_word(a));
		put_scope(out, a);
		buf_str(out, "\n");
	}
}

/* ---- what is different ---- */

/* All that a root says of keys, a sentence each. */
struct facts {
	char **line;
	size_t n;
};

static void add_fact(struct facts *f, struct buf *b)
{
	f->line = mem_resize(f->line, f->n + 1, sizeof(*f->line));
	f->line[f->n++] = mem_strdup(buf_text(b));
	buf_release(b);
}

static void key_fact(
	struct facts *f, const Pb__Root *root, ProtobufCBinaryData id, const char *role)
{
	const Pb__Key *key = key_of(root, id);
	struct key_label label = key_label(key);
	struct buf b = { 0 };

	buf_printf(&b, "%s: key %s, role %s%s", label.name, label.id, role,
		key != NULL && key->demo ? ", demo" : "");
	add_fact(f, &b);
}

static void admin_facts(struct facts *f, const Pb__Root *root, const Pb__AdminRole *a)
{
	for (size_t i = 0; i < a->n_keyids; i++) {
		struct key_label label = key_label(key_of(root, a->keyids[i]));
		struct buf b = { 0 };
		buf_printf(&b, "%s (%.8s) %s", label.name, label.id, may_word(a));
		put_scope(&b, a);
		add_fact(f, &b);
	}
}

static void gather(struct facts *f, const Pb__Root *root)
{
	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++) {
		const Pb__Role *role = key_role_of(root, (enum key_role)r);
		for (size_t i = 0; role != NULL && i < role->n_keyids; i++)
			key_fact(f, root, role->keyids[i], key_role_str((enum key_role)r));
	}
	if (root->log != NULL)
		key_fact(f, root, root->log->log_keyid, key_role_str(KEY_LOG));
	for (size_t i = 0; i < root->n_admins; i++)
		admin_facts(f, root, root->admins[i]);
	for (size_t i = 0; root->log != NULL && i < root->log->n_witnesses; i++) {
		struct buf b = { 0 };
		buf_printf(&b, "%s witnesses the log", root->log->witnesses[i]->name);
		add_fact(f, &b);
	}
}

static bool among(const struct facts *f, const char *line)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->line[i], line) == 0)
			return true;
	return false;
}

static unsigned put_facts(struct buf *out, const struct term *t, const char *sign,
	const struct facts *these, const struct facts *not_these)
{
	unsigned n = 0;

	for (size_t i = 0; i < these->n; i++) {
		if (among(not_these, these->line[i]))
			continue;
		put(out, t, sign[0] == '+' ? STYLE_GOOD : STYLE_BAD, "  %s %s", sign,
			these->line[i]);
		buf_str(out, "\n");
		n++;
	}
	return n;
}

static void free_facts(struct facts *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->line[i]);
	free(f->line);
}

static unsigned put_numbers(struct buf *out, const Pb__Root *now, const Pb__Root *next)
{
	unsigned n = 0;

	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++) {
		const Pb__Role *a = key_role_of(now, (enum key_role)r);
		const Pb__Role *b = key_role_of(next, (enum key_role)r);
		if (a == NULL || (a->threshold == b->threshold && a->n_keyids == b->n_keyids))
			continue;
		buf_printf(out, "  ~ %s takes %u of %zu, was %u of %zu\n",
			key_role_str((enum key_role)r), b->threshold, b->n_keyids, a->threshold,
			a->n_keyids);
		n++;
	}
	if (strcmp(now->profile, next->profile) != 0) {
		buf_printf(out, "  ~ profile %s, was %s\n", next->profile, now->profile);
		n++;
	}
	if (now->log != NULL && next->log != NULL &&
		now->log->witness_threshold != next->log->witness_threshold) {
		buf_printf(out, "  ~ %u witnesses must sign the log, was %u\n",
			next->log->witness_threshold, now->log->witness_threshold);
		n++;
	}
	return n;
}

void root_difference(
	struct buf *out, const struct term *t, const Pb__Root *now, const Pb__Root *next)
{
	struct draft a = { 0 }, b = { 0 };
	struct facts had = { 0 }, has = { 0 };
	unsigned n = 0;

	put(out, t, STYLE_BOLD, "Root %llu of '%s', after %llu", (unsigned long long)next->version,
		next->repository, (unsigned long long)now->version);
	buf_str(out, "\n");
	/* Drafts say who may order what even where a root leaves it unsaid. */
	if (draft_copy(&a, now) == 0 && draft_copy(&b, next) == 0) {
		gather(&had, a.root);
		gather(&has, b.root);
		n += put_facts(out, t, "+", &has, &had);
		n += put_facts(out, t, "-", &had, &has);
		n += put_numbers(out, now, next);
	} else {
		buf_str(out, "  it does not fit the memory kept for it\n");
	}
	if (n == 0 && a.root != NULL && b.root != NULL)
		buf_str(out, "  the same keys, roles and thresholds\n");
	buf_printf(out, "  ~ expires %.10s, ", show_minute(next->expires * 1000).s);
	buf_printf(out, "was %.10s\n", show_minute(now->expires * 1000).s);
	free_facts(&had);
	free_facts(&has);
	draft_release(&a);
	draft_release(&b);
}

/* ---- what is missing ---- */

static unsigned missing_keys(struct buf *out, const Pb__Root *root)
{
	unsigned n = 0;

	for (unsigned r = 0; r < KEY_ROLE__COUNT; r++) {
		const Pb__Role *role = key_role_of(root, (enum key_role)r);
		const char *word = key_role_str((enum key_role)r);
		if (role == NULL || (role->threshold > 0 && role->threshold <= role->n_keyids))
			continue;
		buf_printf(out,
			"  %s: has %zu keys and takes %u: huiductl root add PUB --role %s\n", word,
			role->n_keyids, role->threshold, word);
		n++;
	}
	if (root->log != NULL && root->log->log_keyid.len == 0) {
		buf_str(out, "  log: has no key: huiductl root add PUB --role log\n");
		n++;
	}
	return n;
}

unsigned root_missing(struct buf *out, const Pb__Root *root)
{
	unsigned n = missing_keys(out, root);
	int err = n == 0 ? root_check(crypto_openssl(), root) : 0;

	if (err != 0) {
		buf_printf(out, "  %s\n", err_str(err));
		n++;
	}
	return n;
}
