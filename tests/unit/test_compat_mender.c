/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/mender_wire.h"

#include "unit.h"

/* ---- authentication ---- */

/* Sent by mender-client 3.4 of Debian 12, newline and all. */
static const char ec_body[] =
	"{\"id_data\":\"{\\\"imei\\\":\\\"356938035643809\\\"}\",\"tenant_token\":\"\",\"pubkey\":"
	"\"-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhsSI73KBCEK4URl4aDeYdwWQ3"
	"mJf\\n99V1ta/udadSu00XinpeM+BsTuA8pKRCzJEDok8l2HyDhNMBHMmR7Ms+mA==\\n"
	"-----END PUBLIC KEY-----\\n\"}\n";
static const char ec_sig[] =
	"MEQCICqHqwwYkXABrUUg7t7xl0CBwI4MSxYeK8RMKXWIbQG7AiB+6cAYc3i64UgYLRDJXMAyA4F0gfI9P9jrEGwyBfHO"
	"0Q==";
static const char ec_again[] =
	"MEUCIBe6/1c5uY0GdtJNcoy/73l+CjpxzyugWIS/OhcRKdukAiEAj5pXwMdKHYYo2Zqhz2Y1FLvefby2XsCS7YC8e7+n"
	"+Oc=";

/* Signed by openssl. */
static const char rsa_body[] =
	"{\"id_data\":\"{\\\"mac\\\":\\\"00:11:22:33:44:55\\\"}\",\"tenant_token\":\"\","
	"\"pubkey\":\"-----BEGIN PUBLIC KEY-----\\nMIIBojANBgkqhkiG9w0BAQEFAAOCAY8AMIIBig"
	"KCAYEAqhh1ZOUV6VgN1u6+Jwg3\\nOeYQvk9IW6C+dvBXg2j+XhA9hk/YUT3vVt/kp1lcbtrE51i5L4V"
	"6MQS6eVdHVHAn\\nZRyEBla88VzO0mAE7jgGiDrpHPWKX/Nps+gv7mX8dwBXp/wy1fBNmzTgck3hneRA"
	"\\nVMpKeg9y/WtnjwesbpcMk22dBYGcfPbBlcxEHzFCst/YW/Ah/roXEyoYTkiKJi0F\\nJmj33vED5Y"
	"cug152dVEAPmruAZGVSwE0RjMle0+eHZQjEUZqO/4/qXrPCw3luO+8\\ngo8g2pO7W0tVWlCECNOYbLZ"
	"w1YqCpy1nUrr69XX2c8laPVY9fpQRIAMu+2yVsj02\\nvrmpBULSz7NO13zg5YrgRm7Vun0noyVx2fkk"
	"PiNgcYx8hMsI48SPXMk0L7hvCnlK\\nCOJmTOMMRCxndNbDLP325ydvLVsyO+t0Hsup/rKDsn0t+XGXj"
	"IbRW1KdbNgafWtv\\nNk6+JIYSW6I10kcQNntTtHi8ZETdQSVmeTUGIupRnxHNAgMBAAE=\\n-----EN"
	"D PUBLIC KEY-----\\n\"}\n";
static const char rsa_sig[] =
	"MB6w8B5g0gMgZsm1GOIdZK1WrJZ0obTVfZ7xyRcZRUPcfcBGfgT+vHbbj2zS0N++5Eq7De3lig2sWJnR"
	"i8zQGmk63J/FfhaK5QgX6uL1N5GsMeJRyl/bUCgglrjXX4WxwuSJR77RML6bEWPa9gHymz5fc9eSfRJf"
	"cUGx1TbjIlIVVwe/S92+Hn0QJgNeOpAPylemTUDtlXVAZAhVrxSEyMFDAl1KzhlI+3HpE+QlHnw7jS33"
	"tKm0chvqWwFBDcnshegTXlbuMqfL9UNFHbq/vhVgxcpS6zg+B2o2ZypF987bCXdSzmK3clIKVw3qdWKF"
	"hSrtA2Qu1Y3CU5u5S9QpcnInuLUBmFmeaB4qTqdwX63uIjGSDuwSE5Qe2i8jMfOdGgUZNz7kH0Z0WlnF"
	"KP30jljA55sDrs5IsPNeGDPybLaOSmP2K8WnuKA28MUzTJcNATJeMdjHYLwZ+1aWEyHv3lOCweiIvzVO"
	"ECnoljLf6aSYvVia8UcRT6u5wi9TcXyk";
static const char ed_body[] =
	"{\"id_data\":\"{\\\"serial\\\":\\\"7\\\",\\\"imei\\\":\\\"356938035643809\\\"}\""
	",\"tenant_token\":\"\",\"pubkey\":\"-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyE"
	"AFmogqWG6CP2lTwjrx8ClwsN3J/22KoMammRxvAw1k4s=\\n-----END PUBLIC KEY-----\\n\"}\n";
static const char ed_sig[] =
	"NlJ8jj4PjSO5SyNjrH21y0LkZFgZPtH3hG/2Ig/qJdYCi5UEJq2k9G21PXDx5KVCPtQ6dHiLzc3uICXS"
	"cWZ9DA==";

static int read_auth(const char *body, const char *sig, struct mender_auth *a)
{
	return mender_read_auth(
		bytes_str(body), sig != NULL ? bytes_str(sig) : bytes_of(NULL, 0), a);
}

static void test_auth(void **state)
{
	static const struct {
		const char *why, *body, *sig, *name;
	} row[] = {
		{ "P-256", ec_body, ec_sig, "imei=356938035643809" },
		{ "P-256 once more", ec_body, ec_again, "imei=356938035643809" },
		{ "RSA", rsa_body, rsa_sig, "mac=00:11:22:33:44:55" },
		{ "Ed25519, not sorted", ed_body, ed_sig, "imei=356938035643809,serial=7" },
	};
	uint8_t key[COUNT(row)][SHA256_LEN];

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct mender_auth a;
		int err = read_auth(row[i].body, row[i].sig, &a);
		if (err != 0)
			fail_msg("%s: %d", row[i].why, err);
		assert_string_equal(a.name, row[i].name);
		assert_int_equal(a.token.len, 0);
		memcpy(key[i], a.key, SHA256_LEN);
		mender_auth_release(&a);
	}
	assert_memory_equal(key[0], key[1], SHA256_LEN);
	assert_memory_not_equal(key[0], key[2], SHA256_LEN);
}

static void test_auth_refused(void **state)
{
	static const struct {
		const char *why, *body, *sig;
		int want;
	} row[] = {
		{ "no signature", ec_body, NULL, ERR_BAD_SIGNATURE },
		{ "an empty one", ec_body, "", ERR_BAD_SIGNATURE },
		{ "no base64", ec_body, "MEQ*", ERR_BAD_SIGNATURE },
		{ "of another body", rsa_body, ec_sig, ERR_BAD_SIGNATURE },
		{ "of another key", ec_body, ed_sig, ERR_BAD_SIGNATURE },
		{ "no JSON", "hello", ec_sig, ERR_MALFORMED },
		{ "nothing", "", ec_sig, ERR_MALFORMED },
		{ "a list", "[\"id_data\",\"pubkey\"]", ec_sig, ERR_MISSING_FIELD },
		{ "no identity", "{\"pubkey\":\"x\"}", ec_sig, ERR_MISSING_FIELD },
		{ "no key", "{\"id_data\":\"{}\"}", ec_sig, ERR_MISSING_FIELD },
		{ "an identity that is no text", "{\"id_data\":{\"a\":1},\"pubkey\":\"x\"}", ec_sig,
			ERR_MISSING_FIELD },
		{ "a key that is none", "{\"id_data\":\"{}\",\"pubkey\":\"x\"}", ec_sig,
			ERR_BAD_KEY },
		{ "an empty key", "{\"id_data\":\"{}\",\"pubkey\":\"\"}", ec_sig, ERR_BAD_KEY },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct mender_auth a;
		int err = read_auth(row[i].body, row[i].sig, &a);
		if (err != row[i].want)
			fail_msg("%s: %d", row[i].why, err);
		mender_auth_release(&a);
	}
}

static void test_name(void **state)
{
	static const struct {
		const char *in;
		int want;
		const char *name;
	} row[] = {
		{ "{\"imei\":\"35\"}", 0, "imei=35" },
		{ " {\"b\":\"2\", \"a\":\"1\",\"ab\":\"\", \"\":\"x\"} ", 0, "=x,a=1,ab=,b=2" },
		{ "{\"a\":\"1\",\"a\":\"2\"}", 0, "a=2" },
		{ "{\"a\":\"\\u0031\"}", 0, "a=1" },
		{ "{\"b\":\"x y\",\"a\":\"1\"}", 0,
			"sha256:b950a61ad756b31c41848044a86b17d13702085decfd5081187b7df6ed1c6a2f" },
		{ "{\"a\":\"1,b=2\"}", 0,
			"sha256:e42a4b5c02aa3d41c7a3693e2cc132442db0a24dbdc098604c1c1dc0d9bd76ef" },
		{ "{\"a,b\":\"1\"}", 0,
			"sha256:00e8e5a0d2fcff570bceee5bfc65e1515341e0f982a1c1092fadab8ea57a8d57" },
		{ "{\"a=b\":\"1\"}", 0,
			"sha256:04d509d7e5ebfae0ac6daf609def0a0d81bcbc298e30b81bbd4213eb54ad5efc" },
		{ "{\"a\":1}", 0,
			"sha256:015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862" },
		{ "{\"a\":[\"1\",\"2\"]}", 0,
			"sha256:0462e8e2528ecded55d435a2f6231403b2e8824894ca87eee0de91f3495cc5b9" },
		{ "{\"a\":{\"b\":\"c\"}}", 0,
			"sha256:3ff0e331ca59a2a1194bac0e36359ed4540a97383e1cdf6eb95c7de9309143fc" },
		{ "{\"a\":\"x/y\"}", 0,
			"sha256:0b0f34c49649df93e2528be4773c60cfd4e375ada1507ff18eab496a1ccb8cc3" },
		{ "{\"a\":\"x'y\"}", 0,
			"sha256:b59ec0160b05ccd8a8b3e0adfe039e007f81ae0ec4d29b6aaf47b9bd3622c0b4" },
		{ "{\"a\":\"x\\\\y\"}", 0,
			"sha256:316cb49fcac16a3d3b7cd0532c81d33ab30cbf19883d5046c15e20f2d05c35fb" },
		{ "{\"a\":\"x\\\"y\"}", 0,
			"sha256:e2ebb7c69710e830c7168d6a8b928e85dabc32a7bf95b6baf348b501d4a774a0" },
		{ "{\"1\":\"\",\"2\":\"\",\"3\":\"\",\"4\":\"\",\"5\":\"\",\"6\":\"\",\"7\":\"\",\"8\":\"\",\"9\":\"\"}",
			0,
			"sha256:6cb3991affa1f3c16bc68d935e04656287a007fd91c5b91f58cfc61a8b894097" },
		{ "{}", ERR_MALFORMED, "" },
		{ "[]", ERR_MALFORMED, "" },
		{ "[\"a\"]", ERR_MALFORMED, "" },
		{ "imei=35", ERR_MALFORMED, "" },
		{ "", ERR_MALFORMED, "" },
	};
	char name[MENDER_NAME];

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		int err = mender_name(bytes_str(row[i].in), name);
		if (err != row[i].want || strcmp(name, row[i].name) != 0)
			fail_msg("%s: %d %s", row[i].in, err, name);
	}
}

static void test_long_name(void **state)
{
	char name[MENDER_NAME];

	(void)state;
	for (unsigned n = 120; n < 135; n++) {
		struct buf b = { 0 };
		buf_str(&b, "{\"a\":\"");
		for (unsigned i = 0; i < n; i++)
			buf_str(&b, "x");
		buf_str(&b, "\"}");
		assert_int_equal(mender_name(buf_bytes(&b), name), 0);
		assert_int_equal(strncmp(name, "a=", 2) == 0, n + 2 < MENDER_NAME);
		assert_int_equal(strlen(name), n + 2 < MENDER_NAME ? n + 2 : 7 + 64);
		buf_release(&b);
	}
}

/* Every byte of it is signed, the newline too. */
static void test_auth_of_all_bytes(void **state)
{
	char copy[sizeof(ec_body)];
	struct mender_auth a;

	(void)state;
	for (size_t i = 0; i < sizeof(ec_body) - 1; i++) {
		memcpy(copy, ec_body, sizeof(copy));
		copy[i] ^= 1;
		assert_int_not_equal(read_auth(copy, ec_sig, &a), 0);
		mender_auth_release(&a);
	}
	memcpy(copy, ec_body, sizeof(copy));
	copy[sizeof(ec_body) - 2] = '\0';
	assert_int_equal(read_auth(copy, ec_sig, &a), ERR_BAD_SIGNATURE);
	mender_auth_release(&a);
}

/* ---- next ---- */

#define LONG_32  "0123456789abcdef0123456789abcdef"
#define LONG_160 LONG_32 LONG_32 LONG_32 LONG_32 LONG_32

static void test_next(void **state)
{
	static const struct {
		const char *why, *in;
		int want;
		const char *artifact, *device;
		bool map;
	} row[] = {
		{ "v2",
			"{\"device_provides\":{\"artifact_name\":\"release-1\",\"device_type\":\"phone-x\","
			"\"rootfs-image.slot.version\":\"release-1\"},\"update_control_map\":true}",
			0, "release-1", "phone-x", true },
		{ "v2 without a map",
			"{\"device_provides\":{\"artifact_name\":\"a\",\"device_type\":\"d\"}}", 0,
			"a", "d", false },
		{ "v1", "{\"artifact_name\":\"release-1\",\"device_type\":\"phone-x\"}", 0,
			"release-1", "phone-x", false },
		{ "v1 asks for no map", "{\"device_type\":\"d\",\"update_control_map\":true}", 0,
			"", "d", false },
		{ "of other types",
			"{\"device_provides\":{\"artifact_name\":1,\"device_type\":[\"d\"]},"
			"\"update_control_map\":\"true\"}",
			0, "", "", false },
		{ "a long name", "{\"artifact_name\":\"" LONG_160 "\"}", 0, LONG_160, "", false },
		{ "too long a name", "{\"artifact_name\":\"" LONG_160 LONG_160 "\"}", ERR_TOO_BIG,
			NULL, NULL, false },
		{ "provides nothing", "{\"device_provides\":{}}", ERR_MALFORMED, NULL, NULL,
			false },
		{ "provides a text", "{\"device_provides\":\"x\"}", ERR_MALFORMED, NULL, NULL,
			false },
		{ "a list", "[{\"artifact_name\":\"a\"}]", ERR_MALFORMED, NULL, NULL, false },
		{ "an empty object", "{}", ERR_MALFORMED, NULL, NULL, false },
		{ "no JSON", "artifact_name=a", ERR_MALFORMED, NULL, NULL, false },
		{ "nothing", "", ERR_MALFORMED, NULL, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct mender_next n;
		int err = mender_read_next(bytes_str(row[i].in), &n);
		if (err != row[i].want)
			fail_msg("%s: %d", row[i].why, err);
		if (err == 0 &&
			(strcmp(n.artifact_name, row[i].artifact) != 0 ||
				strcmp(n.device_type, row[i].device) != 0 ||
				n.control_map != row[i].map))
			fail_msg("%s: %s %s", row[i].why, n.artifact_name, n.device_type);
	}
}

static void test_query(void **state)
{
	static const struct {
		const char *in;
		int want;
		const char *artifact, *device;
	} row[] = {
		{ "artifact_name=release-1&device_type=phone-x", 0, "release-1", "phone-x" },
		{ "device_type=phone+x%2f%C3%A9&artifact_name=a%3Db%26c", 0, "a=b&c",
			"phone x/\xc3\xa9" },
		{ "artifact_name=a=b&new=1&&device_type", 0, "a=b", "" },
		{ "", 0, "", "" },
		{ "&&&", 0, "", "" },
		{ "=", 0, "", "" },
		{ "xartifact_name=a&artifact_namex=b", 0, "", "" },
		{ "artifact_name=" LONG_160, 0, LONG_160, "" },
		{ "artifact_name=" LONG_160 LONG_160, ERR_TOO_BIG, NULL, NULL },
		{ "new=" LONG_160 LONG_160 LONG_160, 0, "", "" },
		{ "artifact_name=%", ERR_MALFORMED, NULL, NULL },
		{ "artifact_name=%2", ERR_MALFORMED, NULL, NULL },
		{ "artifact_name=%2&device_type=b", ERR_MALFORMED, NULL, NULL },
		{ "artifact_name=%2g", ERR_MALFORMED, NULL, NULL },
		{ "artifact_name=%g2", ERR_MALFORMED, NULL, NULL },
		{ "artifact_name=%00", ERR_MALFORMED, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct mender_next n;
		int err = mender_read_query(bytes_str(row[i].in), &n);
		if (err != row[i].want)
			fail_msg("%s: %d", row[i].in, err);
		if (err == 0 &&
			(strcmp(n.artifact_name, row[i].artifact) != 0 ||
				strcmp(n.device_type, row[i].device) != 0 || n.control_map))
			fail_msg("%s: %s %s", row[i].in, n.artifact_name, n.device_type);
	}
}

/* ---- status, log, inventory ---- */

static void test_status(void **state)
{
	static const struct {
		const char *in;
		int want;
		enum mender_status status;
	} row[] = {
		{ "{\"status\":\"downloading\"}", 0, MENDER_DOWNLOADING },
		{ "{\"status\":\"installing\"}\n", 0, MENDER_INSTALLING },
		{ "{\"status\":\"rebooting\",\"substate\":\"paused\"}", 0, MENDER_REBOOTING },
		{ "{\"status\":\"success\"}", 0, MENDER_SUCCESS },
		{ "{\"status\":\"failure\"}", 0, MENDER_FAILURE },
		{ "{\"status\":\"already-installed\"}", 0, MENDER_ALREADY_INSTALLED },
		{ "{\"status\":\"pause_before_installing\"}", 0, MENDER_PAUSE_BEFORE_INSTALLING },
		{ "{\"status\":\"pause_before_rebooting\"}", 0, MENDER_PAUSE_BEFORE_REBOOTING },
		{ "{\"status\":\"pause_before_committing\"}", 0, MENDER_PAUSE_BEFORE_COMMITTING },
		{ "{\"status\":\"decommissioned\"}", 0, MENDER_UNKNOWN },
		{ "{\"status\":\"unknown\"}", 0, MENDER_UNKNOWN },
		{ "{\"status\":\"Success\"}", 0, MENDER_UNKNOWN },
		{ "{\"status\":\"\"}", 0, MENDER_UNKNOWN },
		{ "{\"status\":1}", ERR_MISSING_FIELD, MENDER_UNKNOWN },
		{ "{}", ERR_MISSING_FIELD, MENDER_UNKNOWN },
		{ "[\"success\"]", ERR_MISSING_FIELD, MENDER_UNKNOWN },
		{ "success", ERR_MALFORMED, MENDER_UNKNOWN },
		{ "{\"status\":\"success\n\"}", ERR_MALFORMED, MENDER_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		enum mender_status s;
		int err = mender_read_status(bytes_str(row[i].in), &s);
		if (err != row[i].want || s != row[i].status)
			fail_msg("%s: %d %s", row[i].in, err, mender_status_str(s));
	}
	for (unsigned s = 0; s < MENDER_STATUS__COUNT; s++)
		assert_non_null(mender_status_str((enum mender_status)s));
}

#define MESSAGE(level, text)                                                                       \
	"{\"level\":\"" level "\",\"message\":\"" text "\",\"timestamp\":\"2026-11-22T12:00:00Z\"}"

static void test_log(void **state)
{
	static const struct {
		const char *in;
		int want;
		const char *why;
	} row[] = {
		{ "{\"messages\":[" MESSAGE("info", "one") "," MESSAGE("error", "two") "," MESSAGE(
			  "error", "three") "," MESSAGE("info", "four") "]}",
			0, "three" },
		{ "{\"messages\":[" MESSAGE("info", "one") "," MESSAGE("warning", "two") "]}", 0,
			"two" },
		{ "{\"messages\":[" MESSAGE("fatal", "") "," MESSAGE("warning", "two") "]}", 0,
			"two" },
		{ "{\"messages\":[{\"level\":\"error\"},1,null,[],\"x\"]}", 0, "" },
		{ "{\"messages\":[]}", 0, "" },
		{ "{\"messages\":\"none\"}", 0, "" },
		{ "{}", ERR_MISSING_FIELD, "" },
		{ "[]", ERR_MISSING_FIELD, "" },
		{ "log", ERR_MALFORMED, "" },
	};
	char why[MENDER_WHY];

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		int err = mender_read_log(bytes_str(row[i].in), why);
		if (err != row[i].want || strcmp(why, row[i].why) != 0)
			fail_msg("%s: %d %s", row[i].in, err, why);
	}
}

static void test_long_log(void **state)
{
	static const struct {
		const char *last; /* after 254 letters */
		size_t want;
	} row[] = {
		{ "", 254 },
		{ "x", 255 },
		{ "xy", 255 },
		{ "\xc3\xa9", 254 },
		{ "\xe7\x81\xb0", 254 },
		{ "x\xe7\x81\xb0", 255 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct buf b = { 0 };
		char why[MENDER_WHY];
		buf_str(&b, "{\"messages\":[{\"message\":\"");
		for (unsigned k = 0; k < 254; k++)
			buf_str(&b, "a");
		buf_printf(&b, "%s\"}]}", row[i].last);
		assert_int_equal(mender_read_log(buf_bytes(&b), why), 0);
		assert_int_equal(strlen(why), row[i].want);
		buf_release(&b);
	}
}

static void test_inventory(void **state)
{
	static const struct {
		const char *in;
		int want;
		const char *artifact, *device, *client;
		size_t n;
	} row[] = {
		{ "[{\"name\":\"device_type\",\"value\":\"phone-x\"},{\"name\":\"artifact_name\",\"value\":"
		  "\"release-1\"},{\"name\":\"mender_client_version\",\"value\":\"3.4.0+ds1-5+b1\"}]\n",
			0, "release-1", "phone-x", "3.4.0+ds1-5+b1", 3 },
		{ "[{\"name\":\"mac\",\"value\":[\"a\",\"b\"]},{\"name\":\"n\",\"value\":1},{},1,"
		  "{\"value\":\"x\"},{\"name\":\"device_type\"},{\"name\":\"artifact_name\",\"value\":7}]",
			0, "", "", "", 7 },
		{ "[]", 0, "", "", "", 0 },
		{ "[{\"name\":\"artifact_name\",\"value\":\"" LONG_160 LONG_160 "\"}]", ERR_TOO_BIG,
			NULL, NULL, NULL, 0 },
		{ "{\"device_type\":\"phone-x\"}", ERR_MALFORMED, NULL, NULL, NULL, 0 },
		{ "[", ERR_MALFORMED, NULL, NULL, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct mender_inventory v;
		int err = mender_read_inventory(bytes_str(row[i].in), &v);
		if (err != row[i].want)
			fail_msg("%s: %d", row[i].in, err);
		if (err != 0)
			continue;
		assert_string_equal(v.artifact_name, row[i].artifact);
		assert_string_equal(v.device_type, row[i].device);
		assert_string_equal(v.client_version, row[i].client);
		assert_int_equal(v.n, row[i].n);
	}
}

/* ---- answers ---- */

#define UUID "00112233-4455-6677-8899-aabbccddeeff"
static const uint8_t id[ID_LEN] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
	0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
static const struct mender_control control = {
	.id = UUID,
	.priority = 0,
	.state = {
		[MENDER_ARTIFACT_INSTALL] = { MENDER_FAIL, MENDER_LEFT_OUT, MENDER_LEFT_OUT },
		[MENDER_ARTIFACT_COMMIT] = { MENDER_PAUSE, MENDER_FORCE_CONTINUE, MENDER_CONTINUE },
	},
};

#define MAP                                                                                        \
	"\"update_control_map\":{\"id\":\"" UUID "\",\"priority\":0,\"states\":{"                  \
	"\"ArtifactInstall_Enter\":{\"action\":\"fail\"},"                                         \
	"\"ArtifactCommit_Enter\":{\"action\":\"pause\",\"on_map_expire\":\"force_continue\","     \
	"\"on_action_executed\":\"continue\"}}}"
#define DEPLOYMENT                                                                                 \
	"{\"id\":\"" UUID "\",\"artifact\":{\"artifact_name\":\"release-2\",\"source\":{\"uri\":"  \
	"\"https://h:8443/v1/a?x=1&y=\\\"2\\\"\",\"expire\":\"2026-11-21T18:56:00.123Z\"},"        \
	"\"device_types_compatible\":[\"phone-x\",\"phone-y\"]}"

static void test_write(void **state)
{
	static const char *const types[] = { "phone-x", "phone-y" };
	struct mender_deployment d = { UUID, "release-2", "https://h:8443/v1/a?x=1&y=\"2\"",
		1795287360123, types, COUNT(types), NULL };
	static const struct mender_control nothing = { .id = UUID, .priority = 10 };
	struct buf b = { 0 };

	(void)state;
	mender_write_next(&b, &d);
	assert_string_equal(buf_text(&b), DEPLOYMENT "}");
	b.len = 0;
	d.control = &control;
	mender_write_next(&b, &d);
	assert_string_equal(buf_text(&b), DEPLOYMENT "," MAP "}");
	b.len = 0;
	mender_write_control(&b, &control);
	assert_string_equal(buf_text(&b), "{" MAP "}");
	b.len = 0;
	mender_write_control(&b, &nothing);
	assert_string_equal(buf_text(&b),
		"{\"update_control_map\":{\"id\":\"" UUID "\",\"priority\":10,\"states\":{}}}");
	buf_release(&b);
}

static void test_uuid(void **state)
{
	static const char *const bad[] = {
		"",
		"00112233445566778899aabbccddeeff",
		"00112233-4455-6677-8899-aabbccddeef",
		"00112233-4455-6677-8899-aabbccddeefff",
		"00112233-4455-6677-8899-AABBCCDDEEFF",
		"00112233-4455-6677-8899_aabbccddeeff",
		"001122334-455-6677-8899-aabbccddeeff",
		"00112233-4455-6677-8899-aabbccddeefg",
		"00112233-4455-6677-8899-aabbccdd-eef",
	};
	char text[MENDER_UUID];
	uint8_t got[ID_LEN];

	(void)state;
	assert_string_equal(mender_uuid(id, text), UUID);
	assert_true(mender_read_uuid(bytes_str(UUID), got));
	assert_memory_equal(got, id, ID_LEN);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (mender_read_uuid(bytes_str(bad[i]), got))
			fail_msg("%s", bad[i]);
	assert_false(mender_read_uuid(bytes_of("00112233-4455-6677-8899-aabbccddee\0f", 36), got));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_auth_refused),
		cmocka_unit_test(test_auth_of_all_bytes),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_long_log),
		cmocka_unit_test(test_inventory),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_uuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
