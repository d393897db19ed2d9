/* SPDX-License-Identifier: Apache-2.0 */
/* The two configuration files of a new deployment, with a word on every line. */
#include "server/ctl/deployment.h"

static void put_list(struct buf *out, const char *const *words, size_t n)
{
	buf_str(out, "[");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%s", i > 0 ? ", " : "", words[i]);
	buf_str(out, "]");
}

/* Whose keys are good, and who may become a device of ours. */
static void put_environment(struct buf *out, const struct deployment *d)
{
	if (d->demo)
		buf_str(out,
			"environment: trial        # production refuses the keys made by init --demo\n"
			"enrol: open               # any device may enrol\n\n");
	else if (d->profile->n_persons == 1)
		buf_str(out,
			"environment: production\n"
			"# Whoever reaches the server may enrol devices, as many as he likes, and report\n"
			"# for them.  Before others rely on it: {mode: token, tokens: enrol.tokens}.\n"
			"enrol: open\n\n");
	else
		buf_str(out,
			"environment: production\n"
			"# A device enrols with a token of this file, one a line; also: closed, voucher,\n"
			"# hook, open.\n"
			"enrol: {mode: token, tokens: enrol.tokens}\n\n");
}

void deployment_server_yaml(struct buf *out, const struct deployment *d)
{
	buf_printf(out,
		"# huidud: the server of deployment \"%s\", profile %s.\n"
		"# Paths are relative to this file.\n"
		"\n"
		"repository: %-14s# every signature names it\n"
		"data: data                # log, store and files of builds; made at the first start\n"
		"\n"
		"listen: %-18s# devices; 0.0.0.0:8443 or [::]:8443 for all interfaces\n"
		"plain: false              # true: no TLS, behind a proxy that ends it\n"
		"# proxy: [10.0.0.0/8]     # who says by PROXY v2 for whom; a balancer that\n"
		"                          # does not is one network: docs/front.md\n"
		"tls:\n"
		"  cert: tls/cert.pem      # self-signed to start with: the CA file of devices\n"
		"  key: tls/key.pem\n"
		"workers: 0                # event loops; 0: one per core\n"
		"\n"
		"admin: admin.sock         # huiductl talks to this\n"
		"metrics: 127.0.0.1:9464   # OpenMetrics\n"
		"\n"
		"root: root.env            # who may sign what\n"
		"online: online            # the server's own keys; nobody else's\n"
		"\n",
		d->repository, d->profile->name, d->repository, d->listen);
	put_environment(out, d);
	buf_printf(out,
		"poll:\n"
		"  interval: 4h            # how often a device asks; 30s to try things out\n"
		"  jitter: 20 %%            # spread, so that they do not come at once\n"
		"min_id_age: %-14s# younger devices are not counted as evidence\n"
		"\n"
		"lines:\n"
		"  - name: %s\n"
		"    products: ",
		d->profile->min_id_age, d->line);
	put_list(out, d->products, d->n_products);
	buf_str(out,
		"\n"
		"    rings:                # seats; everyone else is in stable\n"
		"      core: 100\n"
		"      honour: 1000\n"
		"      dev: 100000\n"
		"    fill: hash            # free seats: by lot (hash), or by invite\n"
		"    fill_every: 10m\n"
		"    # factory:            # builds that phones come with; floor: none older is offered\n"
		"    #   - {product: phone-a, build: '1.0', counter: 100, floor: true}\n"
		"    # components:         # products with a part in common are looked at together too\n"
		"    #   - {name: modem-x, products: [phone-a, phone-b]}\n"
		"\n"
		"# Devices that keep a client of another server: docs/hawkbit.md, mender.md, omaha.md.\n"
		"# compat:\n"
		"#   hawkbit: [{tenant: DEFAULT, product: phone-a, gateway: gateway.tokens}]\n"
		"#   mender: [{device_type: phone-a, product: phone-a, tokens: tenant.tokens}]\n"
		"#   omaha: [{app: '{...}', product: phone-a, tokens: omaha.tokens}]\n"
		"\n"
		"# What the codes of symptoms mean that devices report, from 0.\n"
		"symptoms: [battery, heat, calls, unlock, no service, storage]\n");
}

void deployment_context_yaml(struct buf *out, const struct deployment *d)
{
	static const char *const about[] = {
		[KEY_ROOT] = "change who may sign",
		[KEY_RELEASE] = "sign builds, propose, start, pause, halt",
		[KEY_APPROVER] = "approve plans, pause, halt",
	};

	buf_printf(out,
		"# huiductl: how to reach deployment \"%s\", and with which keys.\n"
		"# Paths are relative to this file.  A person's copy lists that person's keys.\n"
		"\n"
		"repository: %s\n"
		"admin: admin.sock\n"
		"root: root.env\n"
		"keys:\n",
		d->repository, d->repository);
	for (unsigned r = KEY_ROOT; r <= KEY_APPROVER; r++) {
		const struct profile_role *p = &d->profile->role[r];
		buf_printf(out, "  %s:  # %u of %u: %s\n", key_role_str((enum key_role)r),
			p->threshold, p->n, about[r]);
		for (unsigned i = 0; i < p->n; i++)
			buf_printf(out, "    - keys/%s.%s.pem\n", d->persons[p->first + i],
				key_role_str((enum key_role)r));
	}
}
