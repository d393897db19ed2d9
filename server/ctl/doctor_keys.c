/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: who holds the keys, and where they lie. */
#include <stdio.h>
#include <sys/stat.h>

#include "proto/root.h"
#include "server/base/mem.h"
#include "server/ctl/doctor.h"
#include "server/ctl/root_show.h"
#include "server/ctl/sign.h"

/* ---- roles ---- */

/* Names of a role's keys, one of each. */
static unsigned people_in(const Pb__Root *root, const Pb__Role *role)
{
	unsigned n = 0;

	for (size_t i = 0; i < role->n_keyids; i++) {
		bool again = false;
		struct key_label a =
			key_label(root_key(crypto_openssl(), root, wire_bytes(role->keyids[i])));
		for (size_t k = 0; k < i; k++) {
			struct key_label b = key_label(
				root_key(crypto_openssl(), root, wire_bytes(role->keyids[k])));
			again |= strcmp(a.name, b.name) == 0;
		}
		n += !again;
	}
	return n;
}

static void check_role(struct doctor *d, enum key_role which)
{
	const Pb__Root *root = d->c->root->root;
	const Pb__Role *role = key_role_of(root, which);
	char word[24];
	char *add = mem_printf("huiductl root add PUB --role %s", key_role_str(which));
	unsigned people = people_in(root, role), takes = role->threshold;

	(void)snprintf(word, sizeof(word), "role %s", key_role_str(which));
	if (people < takes)
		doctor_find(d, GRADE_BAD, word, add,
			"takes %u people, and its keys are those of %u", takes, people);
	else if (takes == 1)
		doctor_find(d, GRADE_WARN, word, add, "1 of %u: one stolen key is enough%s", people,
			people == 1 ? ", one lost key locks the role" : "");
	else if (people == takes)
		doctor_find(d, GRADE_WARN, word, add,
			"%u of %u: one lost key locks this role; add one", takes, people);
	else
		doctor_find(d, GRADE_OK, word, NULL, "%u of %u: %u may be lost, %u stolen", takes,
			people, people - takes, takes - 1);
	free(add);
}

/* Of profile solo there is one thing to say, and it is said once. */
static void check_roles(struct doctor *d)
{
	if (strcmp(d->c->root->root->profile, "solo") == 0) {
		doctor_find(d, GRADE_WARN, "profile solo", "huiductl help root profile",
			"one stolen key is enough, one lost key locks its role");
		return;
	}
	for (unsigned r = KEY_ROOT; r <= KEY_APPROVER; r++)
		check_role(d, (enum key_role)r);
}

static void check_demo(struct doctor *d)
{
	const Pb__Root *root = d->c->root->root;
	struct buf names = { 0 };
	unsigned n = 0;

	for (size_t i = 0; i < root->n_keys; i++)
		if (root->keys[i]->demo && n++ < 3)
			buf_printf(
				&names, "%s%s", n > 1 ? ", " : "", key_label(root->keys[i]).name);
	if (n > 0)
		doctor_find(d, GRADE_WARN, "demo keys", "huiductl help root rotate",
			"%u (%s%s): a production server refuses them", n, buf_text(&names),
			n > 3 ? ", ..." : "");
	buf_release(&names);
}

/* ---- files ---- */

static void check_mode(struct doctor *d, const char *path)
{
	char *next = mem_printf("chmod 600 %s", path);
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		doctor_find(d, GRADE_BAD, "key file", next, "%s: others may read it (%03o)", path,
			st.st_mode & 0777);
	free(next);
}

/* A role whose threshold one thief of this machine would have. */
static void check_together(struct doctor *d, enum key_role role, unsigned here)
{
	const Pb__Role *r = key_role_of(d->c->root->root, role);

	if (r != NULL && r->threshold > 1 && here >= r->threshold)
		doctor_find(d, GRADE_WARN, "key files", "move them to the people whose they are",
			"%u %s keys lie on this machine: one thief is enough", here,
			key_role_str(role));
}

static void check_files(struct doctor *d)
{
	for (unsigned r = KEY_ROOT; r < KEY_ONLINE_FIRST; r++) {
		const struct context_keys *keys = context_keys(&d->c->context, (enum key_role)r);
		unsigned here = 0;
		for (size_t i = 0; i < keys->n; i++) {
			struct held_key key;
			int err = key_load(keys->path[i], d->c->root->root, (enum key_role)r, &key);
			check_mode(d, keys->path[i]);
			if (err == ERR_NOT_FOUND || err == ERR_NOT_AUTHORISED)
				doctor_find(d, GRADE_WARN, "key file", "take it off huiductl.yaml",
					"%s: the root knows no such %s key", keys->path[i],
					key_role_str((enum key_role)r));
			here += err == 0;
			if (err == 0)
				key_release(&key);
		}
		check_together(d, (enum key_role)r, here);
	}
}

void doctor_keys(struct doctor *d)
{
	check_roles(d);
	check_demo(d);
	check_files(d);
}
