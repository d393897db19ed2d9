/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "server/base/file.h"
#include "server/config/config.h"
#include "tmpdir.h"

#define HEAD  "repository: demo\n"
#define PLAIN "listen: 127.0.0.1:8443\nplain: true\n"
#define KEY64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define LINES "lines:\n- products: [phone-a]\n"

static int load(const char *text, struct config *out, char error[YAML_ERROR_MAX])
{
	assert_int_equal(file_replace(tmpdir_path("huidud.yaml"), bytes_str(text), 0600), 0);
	(void)snprintf(error, YAML_ERROR_MAX, "(none)");
	return config_load(tmpdir_path("huidud.yaml"), out, error);
}

static void test_defaults(void **state)
{
	char error[YAML_ERROR_MAX];
	struct config c;

	(void)state;
	if (load(HEAD PLAIN LINES, &c, error) != 0)
		fail_msg("%s", error);
	assert_string_equal(c.repository, "demo");
	assert_string_equal(c.listen, "127.0.0.1:8443");
	assert_true(c.plain);
	assert_string_equal(c.metrics, "127.0.0.1:9464");
	assert_int_equal(c.workers, 0);
	assert_int_equal(c.limits.connections, 0);
	assert_int_equal(c.n_proxies, 0);
	assert_int_equal(c.store_size, 0);
	assert_int_equal(c.poll.interval_ms, 4 * 3600000);
	assert_int_equal(c.poll.jitter_ppm, 200000);
	assert_int_equal(c.min_id_age_ms, 86400000);
	assert_int_equal(c.retention_ms, 90ull * 86400000);
	assert_int_equal(c.n_lines, 1);
	assert_string_equal(c.lines[0].name, "default");
	assert_int_equal(c.lines[0].n_products, 1);
	assert_int_equal(c.lines[0].rings.seats[RING_CORE], 100);
	assert_int_equal(c.lines[0].rings.seats[RING_HONOUR], 1000);
	assert_int_equal(c.lines[0].rings.seats[RING_DEV], 100000);
	assert_int_equal(c.lines[0].fill, FILL_HASH);
	assert_int_equal(c.lines[0].fill_every_ms, 600000);
	assert_string_equal(c.data, tmpdir_path("data"));
	assert_string_equal(c.admin, tmpdir_path("admin.sock"));
	assert_string_equal(c.root, tmpdir_path("root.env"));
	assert_string_equal(c.online, tmpdir_path("online"));
	assert_string_equal(c.tls.cert, "");
	assert_string_equal(c.cdn, "");
	assert_int_equal(c.compat.of[FOREIGN_DDI].n, 0);
	assert_int_equal(c.compat.patience_ms, 86400000);
	assert_false(config_is_foreign(&c, "phone-a"));
	assert_int_equal(c.bandwidth.total_bytes_s, 0);
	assert_int_equal(c.bandwidth.device_bytes_s, 0);
	assert_string_equal(c.tls.tickets, "");
	assert_int_equal(c.environment, ENVIRONMENT_PRODUCTION);
	assert_int_equal(c.enrol.mode, ENROL_CLOSED);
	config_release(&c);
}

static void test_everything(void **state)
{
	static const char text[] = "repository: demo-2\n"
				   "data: /var/lib/huidu\n"
				   "listen: '[::]:443'\n"
				   "admin: run/admin.sock\n"
				   "metrics: ''\n"
				   "workers: 4\n"
				   "limits: {connections: 5000, per_prefix: 70}\n"
				   "proxy: [10.0.0.0/8, '::1']\n"
				   "tls: {cert: /etc/huidu/cert.pem, key: tls/key.pem,\n"
				   "  tickets: tls/t}\n"
				   "root: /etc/huidu/root.env\n"
				   "online: keys/online\n"
				   "store_size: 64 GiB\n"
				   "poll: {interval: 30m, jitter: 50 %}\n"
				   "min_id_age: 14d\n"
				   "retention: 30d\n"
				   "bandwidth: {total: 100 MiB, device: 512 KiB}\n"
				   "cdn: https://cdn.example/huidu/\n"
				   "compat:\n"
				   "  url: https://updates.example/\n"
				   "  patience: 1h\n"
				   "  hawkbit:\n"
				   "  - {product: phone-b}\n"
				   "  - {tenant: ACME, product: watch-a, gateway: g.tokens,\n"
				   "     target_tokens: false, version: os, suffix: ''}\n"
				   "environment: production\n"
				   "enrol:\n"
				   "  mode: voucher\n"
				   "  manufacturers: [" KEY64 ", keys/maker.pub, /etc/other.pub]\n"
				   "  per_minute: 100\n"
				   "  per_prefix_minute: 7\n"
				   "lines:\n"
				   "- name: phones\n"
				   "  products: [phone-a, phone-b]\n"
				   "  rings: {core: 0, honour: 10, dev: 0}\n"
				   "  fill: invite\n"
				   "  fill_every: 1d\n"
				   "- {name: watches, products: [watch-a]}\n";
	char error[YAML_ERROR_MAX];
	struct config c;

	(void)state;
	if (load(text, &c, error) != 0)
		fail_msg("%s", error);
	assert_string_equal(c.data, "/var/lib/huidu");
	assert_string_equal(c.admin, tmpdir_path("run/admin.sock"));
	assert_string_equal(c.metrics, "");
	assert_int_equal(c.workers, 4);
	assert_int_equal(c.limits.connections, 5000);
	assert_int_equal(c.limits.per_prefix, 70);
	assert_int_equal(c.n_proxies, 2);
	assert_string_equal(c.proxies[1], "::1");
	assert_string_equal(c.tls.cert, "/etc/huidu/cert.pem");
	assert_string_equal(c.tls.key, tmpdir_path("tls/key.pem"));
	assert_string_equal(c.tls.tickets, tmpdir_path("tls/t"));
	assert_string_equal(c.root, "/etc/huidu/root.env");
	assert_string_equal(c.online, tmpdir_path("keys/online"));
	assert_int_equal(c.store_size, 64ull << 30);
	assert_int_equal(c.poll.interval_ms, 1800000);
	assert_int_equal(c.poll.jitter_ppm, 500000);
	assert_int_equal(c.min_id_age_ms, 14ull * 86400000);
	assert_int_equal(c.retention_ms, 30ull * 86400000);
	assert_int_equal(c.bandwidth.total_bytes_s, 100 << 20);
	assert_int_equal(c.bandwidth.device_bytes_s, 512 << 10);
	assert_string_equal(c.cdn, "https://cdn.example/huidu");
	assert_string_equal(c.compat.url, "https://updates.example");
	assert_int_equal(c.compat.patience_ms, 3600000);
	assert_int_equal(c.compat.of[FOREIGN_DDI].n, 2);
	assert_string_equal(c.compat.of[FOREIGN_DDI].v[0].name, "default");
	assert_string_equal(c.compat.of[FOREIGN_DDI].v[0].product, "phone-b");
	assert_string_equal(c.compat.of[FOREIGN_DDI].v[0].gateway, "");
	assert_true(c.compat.of[FOREIGN_DDI].v[0].target_tokens);
	assert_string_equal(c.compat.of[FOREIGN_DDI].v[0].version, "version");
	assert_string_equal(c.compat.of[FOREIGN_DDI].v[0].suffix, ".swu");
	assert_string_equal(c.compat.of[FOREIGN_DDI].v[1].name, "ACME");
	assert_string_equal(c.compat.of[FOREIGN_DDI].v[1].gateway, tmpdir_path("g.tokens"));
	assert_false(c.compat.of[FOREIGN_DDI].v[1].target_tokens);
	assert_string_equal(c.compat.of[FOREIGN_DDI].v[1].version, "os");
	assert_string_equal(c.compat.of[FOREIGN_DDI].v[1].suffix, "");
	assert_true(config_is_foreign(&c, "watch-a"));
	assert_false(config_is_foreign(&c, "phone-a"));
	assert_int_equal(c.enrol.mode, ENROL_VOUCHER);
	assert_int_equal(c.enrol.n_manufacturers, 3);
	assert_string_equal(c.enrol.manufacturers[0], KEY64);
	assert_string_equal(c.enrol.manufacturers[1], tmpdir_path("keys/maker.pub"));
	assert_string_equal(c.enrol.manufacturers[2], "/etc/other.pub");
	assert_int_equal(c.enrol.per_minute, 100);
	assert_int_equal(c.enrol.per_prefix_minute, 7);
	assert_int_equal(c.n_lines, 2);
	assert_string_equal(c.lines[0].products[1], "phone-b");
	assert_int_equal(c.lines[0].rings.seats[RING_CORE], 0);
	assert_int_equal(c.lines[0].rings.seats[RING_HONOUR], 10);
	assert_int_equal(c.lines[0].fill, FILL_INVITE);
	assert_int_equal(c.lines[0].fill_every_ms, 86400000);
	assert_string_equal(c.lines[1].name, "watches");
	assert_int_equal(c.lines[1].rings.seats[RING_DEV], 100000);
	config_release(&c);
}

#define TLS "tls: {cert: c.pem, key: k.pem}\n"

/* Who may enrol, and how fast, when little is said. */
static const struct {
	const char *why, *text;
	enum config_environment environment;
	enum config_enrol_mode mode;
	uint32_t per_minute, per_prefix_minute, per_prefix;
} enrols[] = {
	{ "nothing is said", HEAD TLS LINES, ENVIRONMENT_PRODUCTION, ENROL_CLOSED, 6000, 60,
		CONFIG_EIGHTH },
	{ "behind a proxy", HEAD PLAIN LINES, ENVIRONMENT_PRODUCTION, ENROL_CLOSED, 6000, 0, 0 },
	{ "behind a proxy that tells", HEAD PLAIN LINES "proxy: [10.0.0.0/8]\n",
		ENVIRONMENT_PRODUCTION, ENROL_CLOSED, 6000, 60, CONFIG_EIGHTH },
	{ "a trial", HEAD TLS LINES "environment: trial\n", ENVIRONMENT_TRIAL, ENROL_OPEN, 0, 0,
		0 },
	{ "a closed trial", HEAD TLS LINES "environment: trial\nenrol: closed\n", ENVIRONMENT_TRIAL,
		ENROL_CLOSED, 0, 0, 0 },
	{ "open to all", HEAD TLS LINES "environment: production\nenrol: open\n",
		ENVIRONMENT_PRODUCTION, ENROL_OPEN, 6000, 60, CONFIG_EIGHTH },
	{ "rates alone", HEAD TLS LINES "enrol: {per_minute: 0, per_prefix_minute: 9}\n",
		ENVIRONMENT_PRODUCTION, ENROL_CLOSED, 0, 9, CONFIG_EIGHTH },
	{ "a limited trial", HEAD TLS LINES "environment: trial\nenrol: {per_minute: 9}\n",
		ENVIRONMENT_TRIAL, ENROL_OPEN, 9, 0, 0 },
	{ "tokens", HEAD TLS LINES "enrol: {mode: token, tokens: t}\n", ENVIRONMENT_PRODUCTION,
		ENROL_TOKEN, 6000, 60, CONFIG_EIGHTH },
	{ "a hook", HEAD TLS LINES "enrol: {mode: hook, hook: h}\n", ENVIRONMENT_PRODUCTION,
		ENROL_HOOK, 6000, 60, CONFIG_EIGHTH },
};

static void test_enrol(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(enrols); i++) {
		char error[YAML_ERROR_MAX];
		struct config c;
		if (load(enrols[i].text, &c, error) != 0)
			fail_msg("%s: %s", enrols[i].why, error);
		if (c.environment != enrols[i].environment || c.enrol.mode != enrols[i].mode ||
			c.enrol.per_minute != enrols[i].per_minute ||
			c.enrol.per_prefix_minute != enrols[i].per_prefix_minute ||
			c.limits.per_prefix != enrols[i].per_prefix)
			fail_msg("%s: environment %u, mode %u, %u and %u a minute", enrols[i].why,
				c.environment, c.enrol.mode, c.enrol.per_minute,
				c.enrol.per_prefix_minute);
		assert_int_equal(
			c.min_id_age_ms, c.environment == ENVIRONMENT_TRIAL ? 0 : 86400000);
		if (c.enrol.mode == ENROL_TOKEN)
			assert_string_equal(c.enrol.tokens, tmpdir_path("t"));
		if (c.enrol.mode == ENROL_HOOK)
			assert_string_equal(c.enrol.hook, tmpdir_path("h"));
		config_release(&c);
	}
}

#define N63 "n23456789012345678901234567890123456789012345678901234567890123"

/* What stands behind the path. */
static const struct {
	const char *why, *text, *want;
} errors[] = {
	{ "empty", "", ":1: the file is empty" },
	{ "no repository", PLAIN LINES, ":1: repository: is missing" },
	{ "no lines", HEAD PLAIN, ":1: lines: is missing" },
	{ "an empty list of lines", HEAD PLAIN "lines: []\n", ":1: lines: name at least one" },
	{ "a repository nobody can write", "repository: a/b\n" PLAIN LINES,
		":1: repository: letters, digits, . _ -" },
	{ "a long repository", "repository: " N63 "4\n" PLAIN LINES,
		":1: repository: letters, digits, . _ -" },
	{ "misspelt", HEAD PLAIN LINES "worker: 4\n",
		":6: worker: unknown key; did you mean 'workers'?" },
	{ "misspelt inside", HEAD PLAIN LINES "  ring: {}\n",
		":6: lines[1].ring: unknown key; did you mean 'rings'?" },
	{ "misspelt ring", HEAD PLAIN LINES "  rings: {honor: 10}\n",
		":6: lines[1].rings.honor: unknown key; did you mean 'honour'?" },
	{ "stable has no seats", HEAD PLAIN LINES "  rings: {stable: 10}\n",
		":6: lines[1].rings.stable: unknown key" },
	{ "a factory build of another line",
		HEAD PLAIN LINES "  factory: [{product: phone-b, build: a, counter: 1}]\n",
		":6: factory: product: is a product of the same line" },
	{ "a factory build without a counter",
		HEAD PLAIN LINES "  factory: [{product: phone-a, build: a}]\n",
		":6: lines[1].factory[1].counter: is missing" },
	{ "a factory build at 0",
		HEAD PLAIN LINES "  factory: [{product: phone-a, build: a, counter: 0}]\n",
		":6: factory: build: letters, digits, . _ -; counter: from 1" },
	{ "a counter that is none",
		HEAD PLAIN LINES
		"  factory: [{product: phone-a, build: a, counter: 18446744073709551616}]\n",
		":6: lines[1].factory[1].counter: '18446744073709551616' is a whole number" },
	{ "a factory build nobody can write",
		HEAD PLAIN LINES "  factory: [{product: phone-a, build: a/b, counter: 1}]\n",
		":6: factory: build: letters, digits, . _ -; counter: from 1" },
	{ "a factory build twice",
		HEAD PLAIN LINES "  factory:\n  - {product: phone-a, build: a, counter: 1}\n"
				 "  - {product: phone-a, build: a, counter: 2}\n",
		":8: factory: a build stands here once, and a product has one floor" },
	{ "two floors",
		HEAD PLAIN LINES
		"  factory:\n  - {product: phone-a, build: a, counter: 1, floor: true}\n"
		"  - {product: phone-a, build: b, counter: 2, floor: true}\n",
		":8: factory: a build stands here once, and a product has one floor" },
	{ "twice", HEAD PLAIN LINES HEAD, ":6: repository: stands here twice" },
	{ "a proxy's name", HEAD PLAIN LINES "proxy: [10.0.0.0/8, proxy.example]\n",
		":1: proxy: each is a network, as 10.0.0.0/8" },
	{ "bits beyond the network", HEAD PLAIN LINES "proxy: [10.0.0.1/8]\n",
		":1: proxy: each is a network, as 10.0.0.0/8" },
	{ "not a number", HEAD PLAIN LINES "limits: {connections: many}\n",
		":6: limits.connections: 'many' is a whole number" },
	{ "no port", HEAD "listen: 127.0.0.1\nplain: true\n" LINES, ":1: listen: is HOST:PORT" },
	{ "an empty port", HEAD "listen: '127.0.0.1:'\nplain: true\n" LINES,
		":1: listen: is HOST:PORT" },
	{ "an empty host", HEAD "listen: ':8443'\nplain: true\n" LINES,
		":1: listen: is HOST:PORT" },
	{ "metrics without a port", HEAD PLAIN "metrics: localhost\n" LINES,
		":1: metrics: is HOST:PORT" },
	{ "plain to everybody", HEAD "listen: '[::]:80'\nplain: true\n" LINES,
		":1: plain: only on a loopback address: devices need TLS" },
	{ "plain to the network", HEAD "listen: 10.0.0.1:80\nplain: true\n" LINES,
		":1: plain: only on a loopback address: devices need TLS" },
	{ "plain to what looks like loopback", HEAD "listen: 1127.0.0.1:80\nplain: true\n" LINES,
		":1: plain: only on a loopback address: devices need TLS" },
	{ "neither TLS nor plain", HEAD LINES, ":1: tls: name cert and key, or set plain: true" },
	{ "a certificate without its key", HEAD "tls: {cert: c.pem}\n" LINES,
		":1: tls: name cert and key, or set plain: true" },
	{ "a key without its certificate", HEAD "tls: {key: k.pem}\n" LINES,
		":1: tls: name cert and key, or set plain: true" },
	{ "too many workers", HEAD PLAIN LINES "workers: 257\n",
		":6: workers: '257' is not within 0 to 256" },
	{ "no size of a store", HEAD PLAIN LINES "store_size: large\n",
		":6: store_size: 'large' is a size such as 64 MiB" },
	{ "polls without a pause", HEAD PLAIN LINES "poll: {interval: 0s}\n",
		":6: poll.interval: '0s' is not within 100 to 604800000 ms" },
	{ "too much jitter", HEAD PLAIN LINES "poll: {jitter: 51 %}\n",
		":6: poll.jitter: '51 %' is not within 0 to 500000" },
	{ "slower than any phone waits", HEAD PLAIN LINES "bandwidth: {device: 1023}\n",
		":1: bandwidth: bytes a second, from 1 KiB, or 0 for any" },
	{ "all together slower", HEAD PLAIN LINES "bandwidth: {total: 1}\n",
		":1: bandwidth: bytes a second, from 1 KiB, or 0 for any" },
	{ "a bandwidth that is no size", HEAD PLAIN LINES "bandwidth: {total: fast}\n",
		":6: bandwidth.total: 'fast' is a size such as 64 MiB" },
	{ "a cdn that is a host", HEAD TLS LINES "cdn: cdn.example\n",
		":1: cdn: is https://HOST/PATH, without a user, a query or a fragment" },
	{ "a cdn phones do not go to", HEAD TLS LINES "cdn: http://cdn.example\n",
		":1: cdn: phones do not go from https to http" },
	{ "a tenant of no product", HEAD PLAIN LINES "compat: {hawkbit: [{tenant: a}]}\n",
		":6: compat.hawkbit[1].product: is missing" },
	{ "a tenant of a strange product",
		HEAD PLAIN LINES "compat: {hawkbit: [{product: phone-b}]}\n",
		":6: compat: hawkbit: product: is a product of one of the lines" },
	{ "a tenant nobody can write",
		HEAD PLAIN LINES "compat: {hawkbit: [{tenant: a/b, product: phone-a}]}\n",
		":6: compat: hawkbit: tenant: letters, digits, . _ -" },
	{ "a tenant twice",
		HEAD PLAIN LINES "compat:\n  hawkbit:\n  - {product: phone-a}\n"
				 "  - {tenant: DEFAULT, product: phone-a}\n",
		":9: compat: hawkbit: each stands here once" },
	{ "a tenant in the place of huidu",
		HEAD PLAIN LINES "compat: {hawkbit: [{tenant: V1, product: phone-a}]}\n",
		":6: compat: hawkbit: tenant: is not v1, api, omaha, file or feed" },
	{ "a tenant nobody can enter",
		HEAD PLAIN LINES "compat: {hawkbit: [{product: phone-a, target_tokens: false}]}\n",
		":6: compat: hawkbit: name the file of gateway tokens, or take target_tokens or "
		"certificates: nobody could come in" },
	{ "certificates by nobody",
		HEAD TLS LINES "compat: {hawkbit: [{product: phone-a, certificates: true}]}\n",
		":5: compat: hawkbit: certificates: name who signs them: tls: clients:" },
	{ "a suffix that is a path",
		HEAD PLAIN LINES "compat: {hawkbit: [{product: phone-a, suffix: ./x}]}\n",
		":6: compat: hawkbit: suffix: is as .swu, or empty" },
	{ "a device type twice",
		HEAD PLAIN LINES "compat:\n  mender:\n  - {device_type: A, product: phone-a}\n"
				 "  - {device_type: a, product: phone-a}\n",
		":9: compat: mender: each stands here once" },
	{ "a file of tenant tokens for two products",
		HEAD PLAIN "lines:\n  - {name: a, products: [phone-a, phone-b]}\n"
			   "compat:\n  mender:\n"
			   "  - {device_type: A, product: phone-a, tokens: t}\n"
			   "  - {device_type: B, product: phone-a, tokens: t}\n"
			   "  - {device_type: C, product: phone-b, tokens: t}\n",
		":10: compat: mender: tokens: a file is of one product" },
	{ "a device type that is none",
		HEAD PLAIN LINES "compat: {mender: [{device_type: a/b, product: phone-a}]}\n",
		":6: compat: mender: device_type: letters, digits, . _ -" },
	{ "an app that is none",
		HEAD PLAIN LINES "compat: {omaha: [{app: '{a b}', product: phone-a}]}\n",
		":6: compat: omaha: app: is an id as devices have it" },
	{ "a feed of no product",
		HEAD PLAIN LINES "compat: {feeds: [{name: a, product: phone-z}]}\n",
		":6: compat: feeds: product: is a product of one of the lines" },
	{ "a feed of no ring",
		HEAD PLAIN LINES "compat: {feeds: [{name: a, product: phone-a, ring: beta}]}\n",
		":6: compat.feeds[1].ring: 'beta' is none of the words known here" },
	{ "a feed's version that is none",
		HEAD PLAIN LINES "compat: {feeds: [{name: a, product: phone-a, version: a b}]}\n",
		":6: compat: feeds: version: letters, digits, . _ -, or empty" },
	{ "no address of devices", HEAD PLAIN LINES "compat: {url: updates.example}\n",
		":1: compat: url: is https://HOST, without a user, a query or a fragment" },
	{ "no patience", HEAD PLAIN LINES "compat: {patience: 1ms}\n",
		":6: compat.patience: '1ms' is not within 1000 to 7776000000 ms" },
	{ "a protocol nobody speaks", HEAD PLAIN LINES "compat: {hawkbti: []}\n",
		":6: compat.hawkbti: unknown key; did you mean 'hawkbit'?" },
	{ "kept for ever", HEAD PLAIN LINES "retention: 91d\n",
		":6: retention: '91d' is not within 86400000 to 7776000000 ms" },
	{ "kept for an hour", HEAD PLAIN LINES "retention: 1h\n",
		":6: retention: '1h' is not within 86400000 to 7776000000 ms" },
	{ "an age that is no duration", HEAD PLAIN LINES "min_id_age: 14\n",
		":6: min_id_age: '14' is a duration such as 30s, 15m, 4h or 7d" },
	{ "no products", HEAD PLAIN "lines:\n- name: a\n", ":5: lines[1].products: is missing" },
	{ "an empty list of products", HEAD PLAIN "lines:\n- products: []\n",
		":5: lines: products: name at least one" },
	{ "a product nobody can write", HEAD PLAIN "lines:\n- products: [ok, 'a b']\n",
		":5: lines: products: letters, digits, . _ -" },
	{ "a product that is a path", HEAD PLAIN "lines:\n- products: [../etc]\n",
		":5: lines: products: letters, digits, . _ -" },
	{ "a product twice", HEAD PLAIN "lines:\n- products: [a, a]\n",
		":5: lines: products: one product belongs to one line, once" },
	{ "a product in two lines",
		HEAD PLAIN "lines:\n- {name: x, products: [a]}\n- {name: y, products: [b, a]}\n",
		":5: lines: products: one product belongs to one line, once" },
	{ "a line twice", HEAD PLAIN "lines:\n- products: [a]\n\n- products: [b]\n",
		":5: lines: name: stands here twice" },
	{ "a line nobody can write", HEAD PLAIN "lines:\n- {name: '', products: [a]}\n",
		":5: lines: name: letters, digits, . _ -" },
	{ "the second line", HEAD PLAIN LINES "- {name: b, products: []}\n",
		":6: lines: products: name at least one" },
	{ "seats beyond all phones", HEAD PLAIN LINES "  rings: {dev: 100000001}\n",
		":6: lines[1].rings.dev: '100000001' is not within 0 to 100000000" },
	{ "no such environment", HEAD PLAIN LINES "environment: test\n",
		":6: environment: 'test' is none of the words known here" },
	{ "no such way to enrol", HEAD PLAIN LINES "enrol: opne\n",
		":6: enrol.mode: 'opne' is none of the words known here" },
	{ "no such way in a map", HEAD PLAIN LINES "enrol:\n  mode: opne\n",
		":7: enrol.mode: 'opne' is none of the words known here" },
	{ "enrol is a list", HEAD PLAIN LINES "enrol: [open]\n",
		":6: enrol: is a map of keys and values" },
	{ "a map that is a word only where it may be", HEAD PLAIN LINES "poll: 4h\n",
		":6: poll: is a map of keys and values" },
	{ "enrol misspelt", HEAD PLAIN LINES "enrol: {mod: open}\n",
		":6: enrol.mod: unknown key; did you mean 'mode'?" },
	{ "tokens from nowhere", HEAD PLAIN LINES "enrol: token\n",
		":6: enrol: tokens: name the file of tokens that mode: token asks for" },
	{ "tokens nobody asks for", HEAD PLAIN LINES "enrol: {mode: open, tokens: t}\n",
		":6: enrol: tokens: only with mode: token" },
	{ "tokens and no mode", HEAD PLAIN LINES "environment: trial\nenrol: {tokens: t}\n",
		":7: enrol: tokens: only with mode: token" },
	{ "vouchers by nobody", HEAD PLAIN LINES "enrol: voucher\n",
		":6: enrol: manufacturers: name the keys that mode: voucher asks for" },
	{ "manufacturers nobody asks for",
		HEAD PLAIN LINES "enrol: {mode: closed, manufacturers: [a]}\n",
		":6: enrol: manufacturers: only with mode: voucher" },
	{ "a hook that is not there", HEAD PLAIN LINES "enrol: hook\n",
		":6: enrol: hook: name the program that mode: hook asks" },
	{ "a hook nobody asks", HEAD PLAIN LINES "enrol: {mode: token, tokens: t, hook: h}\n",
		":6: enrol: hook: only with mode: hook" },
	{ "a rate that is no number", HEAD PLAIN LINES "enrol: {per_minute: fast}\n",
		":6: enrol.per_minute: 'fast' is a whole number" },
	{ "no such way to fill", HEAD PLAIN LINES "  fill: first\n",
		":6: lines[1].fill: 'first' is none of the words known here" },
};

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(errors); i++) {
		char error[YAML_ERROR_MAX];
		size_t n = strlen(tmpdir_path("huidud.yaml"));
		struct config c;
		int err = load(errors[i].text, &c, error);
		if (err != ERR_CONFIG || strncmp(error, tmpdir_path("huidud.yaml"), n) != 0 ||
			strcmp(error + n, errors[i].want) != 0)
			fail_msg("%s: %s, %s", errors[i].why, err_name(err), error);
	}
}

static void test_loopback(void **state)
{
	static const char *const listen[] = { "127.0.0.1:0", "127.9.9.9:1", "'[::1]:80'",
		"localhost:8080" };

	(void)state;
	for (size_t i = 0; i < COUNT(listen); i++) {
		char text[256], error[YAML_ERROR_MAX];
		struct config c;
		(void)snprintf(
			text, sizeof(text), HEAD "plain: true\nlisten: %s\n" LINES, listen[i]);
		if (load(text, &c, error) != 0)
			fail_msg("%s", error);
		config_release(&c);
	}
}

/* Started from anywhere: a name without a folder is beside the file, wherever that is.
 */
static void test_relative(void **state)
{
	char error[YAML_ERROR_MAX], here[256];
	struct config c;

	(void)state;
	assert_int_equal(
		file_replace(tmpdir_path("huidud.yaml"), bytes_str(HEAD PLAIN LINES), 0600), 0);
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(tmpdir), 0);
	assert_int_equal(config_load("huidud.yaml", &c, error), 0);
	assert_int_equal(chdir(here), 0);
	assert_string_equal(c.data, "./data");
	config_release(&c);
}

#define IN_TMPDIR(test) cmocka_unit_test_setup_teardown(test, tmpdir_make, tmpdir_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TMPDIR(test_defaults),
		IN_TMPDIR(test_everything),
		IN_TMPDIR(test_enrol),
		IN_TMPDIR(test_errors),
		IN_TMPDIR(test_loopback),
		IN_TMPDIR(test_relative),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
