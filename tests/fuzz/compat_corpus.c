/* SPDX-License-Identifier: Apache-2.0 */
#include "compat_corpus.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put_all(corpus_put *put, int first, const char *const *in, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(first, bytes_str(in[i]));
}

/* ---- DDI ---- */

#define STATUS(finished, execution)                                                                \
	"{ \"id\": 7, \"time\": \"20261121T171935\", \"status\": { \"result\": { \"progress\": { " \
	"\"cnt\" : 0, \"of\" : 1 }, \"finished\": \"" finished "\" }, \"execution\": \"" execution \
	"\", \"details\" : [ "
#define END " ] } }"

void compat_ddi(corpus_put *put)
{
	static const char *const in[] = {
		STATUS("none", "proceeding") "\"Installing Update Chunk Artifacts.\"" END,
		STATUS("success", "closed") "\"Update Installed.\"" END,
		STATUS("failure",
			"closed") "\"No artifact download URL reported by server.\n\",\"No "
				  "suitable .swu image found\"" END,
		STATUS("failure", "closed") "\"ERROR : Cannot open \"/x\"\"" END,
		STATUS("failure", "closed") "\"\xff\xfe\x1b[31m\"" END,
		STATUS("failure", "closed") "\"said \"execution\": \"proceeding\"\"" END,
		"{ \"id\": \"\", \"time\": \"20261121T171930\", \"status\": { \"result\": { \"finished\": "
		"\"success\" }, \"execution\": \"closed\", \"details\" : [ \"\" ] }, \"data\" : {  "
		"\"serialNo\": \"1234567890\",\"hwVersion\": \"333\" } }",
		"{\"mode\":\"replace\",\"time\":\"20261121T173310\",\"status\":{\"result\":{\"finished\":"
		"\"success\"},\"execution\":\"closed\"},\"data\":{\"mac_address\":\"ff:ff:ff:ff:ff:ff\","
		"\"hw_revision\":\"2\"}}",
		"{\"id\":\"7\",\"time\":\"20261121T173310\",\"status\":{\"result\":{\"finished\":\"none\"},"
		"\"execution\":\"proceeding\",\"details\":[\"  5% Installing\"]}}",
		"{\"id\":\"7\",\"status\":{\"result\":{\"finished\":\"success\"},\"execution\":\"rejected\","
		"\"details\":[\"Cancelation impossible, installation started already.\"]}}",
		"[[1,-2.5e3,true,null,\"\\u00e9\\ud834\\udd1e\\n\"],{\"a\":{\"b\":[]}},9223372036854775807,"
		"\"-9223372036854775808\"]",
		"{\"a\":1,\"a\":2}",
		"[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
		"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
		"{\"a\":\"\\u0000\"}",
		"\"execution\":\"closed\" \"finished\" : \"none",
		"{}",
		"",
	};

	put_all(put, -1, in, COUNT(in));
}

/* ---- Omaha ---- */

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define APP                                                                                        \
	"<app appid=\"{e96281a6-d1af-4bde-9a0a-97b76e56dc57}\" version=\"1.2.3\" track=\"stable\" "

void compat_omaha(corpus_put *put)
{
	static const char *const in[] = {
		XML
		"<request protocol=\"3.0\" version=\"update_engine-0.4.10\" "
		"updaterversion=\"update_engine-0.4.10\" installsource=\"scheduler\" "
		"ismachine=\"1\">\n<os version=\"Chateau\" platform=\"CoreOS\" "
		"sp=\"1.2.3_x86_64\"></os>\n" APP "bootid=\"{b1}\" oem=\"\" oemversion=\"\" "
		"alephversion=\"\" machineid=\"0123456789abcdef\" machinealias=\"\" lang=\"en-US\" "
		"board=\"amd64-usr\" hardware_class=\"\" delta_okay=\"false\" >\n"
		"<ping active=\"1\"></ping>\n<updatecheck></updatecheck>\n<event eventtype=\"3\" "
		"eventresult=\"2\" previousversion=\"0.0.0.0\"></event>\n</app>\n</request>\n",
		XML
		"<request protocol=\"3.0\" sessionid=\"{s}\" userid=\"u-1\" version=\"go-omaha\">"
		"<os platform=\"linux\" arch=\"x64\"/>" APP "bootid=\"b\" machineid=\"m\" oem=\"\">"
		"<ping active=\"1\"/><updatecheck/><event eventtype=\"3\" eventresult=\"2\" "
		"previousversion=\"1.2.2\"/></app></request>",
		"<request protocol='3.0'>" APP "><event eventtype='13' eventresult='1'/><event "
		"eventtype='14' eventresult='1'/><event eventtype='3' eventresult='1'/></app></request>",
		"<request protocol='3.0'>" APP "><event eventtype='3' eventresult='0' "
		"errorcode='44'/><event eventtype='3' eventresult='0' errorcode='2147483692'/><event "
		"eventtype='3' eventresult='0' errorcode='-2003'/></app></request>",
		"<request protocol='3.1' installsource='ondemandupdate'>" APP "/>" APP "/>" APP
		"/>" APP "><updatecheck/></app>" APP "><ping/></app></request>",
		"<request protocol='3.0'><app appid='&lt;&quot;&#10;&amp;'/><new><event/></new></request>",
		"<request protocol=\"3.0\"><app appid=\"a\" version=\"1\" oem></app></request>",
		"<!DOCTYPE request [<!ENTITY e 'x'>]><request protocol='3.0'><app appid='&e;'/></request>",
		"<!DOCTYPE a [<!ENTITY % e SYSTEM 'http://127.0.0.1/x'> %e;]><a/>",
		"<?xml version='1.0' encoding='ISO-8859-1'?><request protocol='3'><app "
		"appid='\xe9'/></request>",
		"<request protocol='2.0'/>",
		"<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
		"<!-- c --><?pi x?><request protocol='3.0'><![CDATA[<app/>]]></request>",
		"",
	};

	put_all(put, -1, in, COUNT(in));
}

/* ---- Mender ---- */

/* A signature, a newline, and what it is of. */
static const char *const auths[] = {
	"MEQCICqHqwwYkXABrUUg7t7xl0CBwI4MSxYeK8RMKXWIbQG7AiB+6cAYc3i64UgYLRDJXMAyA4F0gfI9P9jrEGwyBfHO"
	"0Q==\n"
	"{\"id_data\":\"{\\\"imei\\\":\\\"356938035643809\\\"}\",\"tenant_token\":\"\",\"pubkey\":"
	"\"-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhsSI73KBCEK4URl4aDeYdwWQ3"
	"mJf\\n99V1ta/udadSu00XinpeM+BsTuA8pKRCzJEDok8l2HyDhNMBHMmR7Ms+mA==\\n"
	"-----END PUBLIC KEY-----\\n\"}\n",
	"MB6w8B5g0gMgZsm1GOIdZK1WrJZ0obTVfZ7xyRcZRUPcfcBGfgT+vHbbj2zS0N++5Eq7De3lig2sWJnR"
	"i8zQGmk63J/FfhaK5QgX6uL1N5GsMeJRyl/bUCgglrjXX4WxwuSJR77RML6bEWPa9gHymz5fc9eSfRJf"
	"cUGx1TbjIlIVVwe/S92+Hn0QJgNeOpAPylemTUDtlXVAZAhVrxSEyMFDAl1KzhlI+3HpE+QlHnw7jS33"
	"tKm0chvqWwFBDcnshegTXlbuMqfL9UNFHbq/vhVgxcpS6zg+B2o2ZypF987bCXdSzmK3clIKVw3qdWKF"
	"hSrtA2Qu1Y3CU5u5S9QpcnInuLUBmFmeaB4qTqdwX63uIjGSDuwSE5Qe2i8jMfOdGgUZNz7kH0Z0WlnF"
	"KP30jljA55sDrs5IsPNeGDPybLaOSmP2K8WnuKA28MUzTJcNATJeMdjHYLwZ+1aWEyHv3lOCweiIvzVO"
	"ECnoljLf6aSYvVia8UcRT6u5wi9TcXyk"
	"\n"
	"{\"id_data\":\"{\\\"mac\\\":\\\"00:11:22:33:44:55\\\"}\",\"tenant_token\":\"\","
	"\"pubkey\":\"-----BEGIN PUBLIC KEY-----\\nMIIBojANBgkqhkiG9w0BAQEFAAOCAY8AMIIBig"
	"KCAYEAqhh1ZOUV6VgN1u6+Jwg3\\nOeYQvk9IW6C+dvBXg2j+XhA9hk/YUT3vVt/kp1lcbtrE51i5L4V"
	"6MQS6eVdHVHAn\\nZRyEBla88VzO0mAE7jgGiDrpHPWKX/Nps+gv7mX8dwBXp/wy1fBNmzTgck3hneRA"
	"\\nVMpKeg9y/WtnjwesbpcMk22dBYGcfPbBlcxEHzFCst/YW/Ah/roXEyoYTkiKJi0F\\nJmj33vED5Y"
	"cug152dVEAPmruAZGVSwE0RjMle0+eHZQjEUZqO/4/qXrPCw3luO+8\\ngo8g2pO7W0tVWlCECNOYbLZ"
	"w1YqCpy1nUrr69XX2c8laPVY9fpQRIAMu+2yVsj02\\nvrmpBULSz7NO13zg5YrgRm7Vun0noyVx2fkk"
	"PiNgcYx8hMsI48SPXMk0L7hvCnlK\\nCOJmTOMMRCxndNbDLP325ydvLVsyO+t0Hsup/rKDsn0t+XGXj"
	"IbRW1KdbNgafWtv\\nNk6+JIYSW6I10kcQNntTtHi8ZETdQSVmeTUGIupRnxHNAgMBAAE=\\n-----EN"
	"D PUBLIC KEY-----\\n\"}\n",
	"NlJ8jj4PjSO5SyNjrH21y0LkZFgZPtH3hG/2Ig/qJdYCi5UEJq2k9G21PXDx5KVCPtQ6dHiLzc3uICXS"
	"cWZ9DA=="
	"\n"
	"{\"id_data\":\"{\\\"serial\\\":\\\"7\\\",\\\"imei\\\":\\\"356938035643809\\\"}\""
	",\"tenant_token\":\"\",\"pubkey\":\"-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyE"
	"AFmogqWG6CP2lTwjrx8ClwsN3J/22KoMammRxvAw1k4s=\\n-----END PUBLIC KEY-----\\n\"}\n",
	"AAAA\n{\"id_data\":\"{}\",\"pubkey\":\"-----BEGIN PUBLIC KEY-----\\nProc-Type: 4,ENCRYPTED\\n"
	"DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\\n\\nMCow\\n-----END PUBLIC KEY-----\\n"
	"\"}",
	"\n{\"id_data\":{\"a\":1},\"pubkey\":\"\"}",
};
static const char *const nexts[] = {
	"{\"device_provides\":{\"artifact_name\":\"release-1\",\"device_type\":\"phone-x\","
	"\"rootfs-image.slot.version\":\"release-2\"},\"update_control_map\":true}",
	"{\"artifact_name\":\"release-1\",\"device_type\":\"phone-x\"}",
	"{\"device_provides\":[]}",
	"[1]",
};
static const char *const queries[] = {
	"artifact_name=release-1&device_type=phone-x",
	"device_type=phone+x%2f%C3%A9&artifact_name=a%3Db%26c&=&x",
	"artifact_name=%0",
	"artifact_name=%00",
};
static const char *const statuses[] = {
	"{\"status\":\"downloading\"}\n",
	"{\"status\":\"pause_before_committing\",\"substate\":\"x\"}",
	"{\"status\":\"already-installed\"}",
	"{\"status\":7}",
};
static const char *const logs[] = {
	"{\"messages\":[{\"level\":\"error\",\"message\":\"Artifact is for phone-y\",\"timestamp\":"
	"\"2026-11-22T12:00:00Z\"},{\"level\":\"info\",\"message\":\"\xe7\x81\xb0\"}]}",
	"{\"messages\":[1,null,{\"level\":\"fatal\"}]}",
	"{\"messages\":7}",
};
static const char *const inventories[] = {
	"[{\"name\":\"device_type\",\"value\":\"phone-x\"},{\"name\":\"artifact_name\",\"value\":"
	"\"release-1\"},{\"name\":\"mender_client_version\",\"value\":\"3.4.0+ds1-5+b1\"}]",
	"[{\"name\":\"mac\",\"value\":[\"a\"]},{},1]",
	"{}",
};
static const char *const uuids[] = {
	"00112233-4455-6677-8899-aabbccddeeff",
	"00112233-4455-6677-8899-AABBCCDDEEFF",
};

void compat_mender(corpus_put *put)
{
	/* In the order of fuzz_mender.c. */
	put_all(put, 0, auths, COUNT(auths));
	put_all(put, 1, nexts, COUNT(nexts));
	put_all(put, 2, queries, COUNT(queries));
	put_all(put, 3, statuses, COUNT(statuses));
	put_all(put, 4, logs, COUNT(logs));
	put_all(put, 5, inventories, COUNT(inventories));
	put_all(put, 6, uuids, COUNT(uuids));
}
