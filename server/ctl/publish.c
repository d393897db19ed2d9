/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/publish.h"

#include "server/base/file.h"

int publish_verify(struct ctl *c, struct bytes envelope, struct arena *a, const Pb__Targets **out)
{
	struct signers who = { 0 };
	struct bytes payload;
	int err = envelope_verify(crypto_openssl(), envelope, ENVELOPE_TARGETS, c->root->root,
		c->root->root->targets, a, &payload, &who);

	if (err == ERR_BELOW_THRESHOLD)
		return fail(EXIT_NOT_AUTHORISED,
			c->args.build != NULL
				? "one --key more; or huiductl help build sign, for keys elsewhere"
				: "huiductl build sign OUT.env --key NEXT.pem -o BOTH.env",
			"%u of %u release keys signed: not enough", who.n,
			c->root->root->targets->threshold);
	if (err == 0)
		*out = targets_peek(envelope, a, &err);
	if (err == 0 && (*out)->n_targets == 0)
		err = ERR_BAD_BUILD;
	return err == 0
		? 0
		: fail(exit_of(err), "huiductl help build sign", "the envelope: %s", err_str(err));
}

static int tell_published(struct ctl *c, const Pb__Targets *t)
{
	const char *release = t->release != NULL ? t->release : t->build_id;
	struct buf out = { 0 };

	put(&out, &c->term, STYLE_GOOD, "%s", icon(&c->term, ICON_DONE));
	if (t->version > 1)
		buf_printf(&out,
			" renewed %s for %s, version %llu\n"
			"Next: huiductl rollout approve %s, for its plan names what was signed\n",
			t->build_id, t->product, (unsigned long long)t->version, release);
	else
		buf_printf(&out,
			" published %s for %s, counter %llu\n"
			"Next: huiductl rollout create %s --plan PLAN.yaml\n",
			t->build_id, t->product, (unsigned long long)t->release_counter, release);
	return ctl_print(&out);
}

int publish_send(
	struct ctl *c, struct bytes envelope, const Pb__Targets *t, const struct held_key *key)
{
	Pb__AdminCommand command = PB__ADMIN_COMMAND__INIT;
	Pb__Publish publish = PB__PUBLISH__INIT;
	struct reply seen, r;
	int err = ctl_query(c, PB__QUERY_KIND__QUERY_CHECKPOINT, NULL, &seen);

	if (err != 0)
		return err;
	publish.targets = wire_data(envelope.p, envelope.n);
	command.publish = &publish;
	err = ctl_command(c, &command, key, seen.m->checkpoint, &r);
	if (err == 0)
		reply_release(&r);
	reply_release(&seen);
	return err != 0 ? err : tell_published(c, t);
}

static int save(struct ctl *c, struct bytes envelope)
{
	const char *path = c->args.out;
	bool is_input = false;
	int err;

	for (size_t i = 0; i < c->args.words.n; i++)
		is_input |= strcmp(path, c->args.words.v[i]) == 0;
	err = is_input ? file_replace(path, envelope, 0644) : file_create(path, envelope, 0644);
	if (err == 0)
		return 0;
	return fail(exit_of(err), "the same with -o ANOTHER.env", "%s: %s", path, err_str(err));
}

int publish_save(struct ctl *c, struct bytes envelope, struct arena *a)
{
	const Pb__Root *root = c->root->root;
	struct signers who = { 0 };
	struct buf out = { 0 };
	struct bytes payload;
	const Pb__Targets *t;
	int err = save(c, envelope);
	bool enough;

	if (err != 0)
		return err;
	err = envelope_verify(crypto_openssl(), envelope, ENVELOPE_TARGETS, root, root->targets, a,
		&payload, &who);
	enough = err == 0;
	t = targets_peek(envelope, a, &err);
	put(&out, &c->term, enough ? STYLE_GOOD : STYLE_WARN, "%s",
		icon(&c->term, enough ? ICON_DONE : ICON_WAITING));
	buf_printf(&out, " %s signed by ", c->args.out);
	put_signers(&out, root, &who);
	buf_printf(&out, " (%u of %u)\n", who.n, root->targets->threshold);
	if (enough)
		buf_printf(&out, "Next: huiductl build publish %s%s\n", c->args.out,
			t != NULL && t->version > 1 ? "" : " FILE");
	else
		buf_printf(&out, "Next: huiductl build sign %s --key NEXT.pem -o BOTH.env\n",
			c->args.out);
	return ctl_print(&out);
}
