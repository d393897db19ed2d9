/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/omaha.h"

#include "unit.h"

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

/* As update_engine builds it, the first time ever. */
static const char flatcar[] = XML
	"<request protocol=\"3.0\" version=\"update_engine-0.4.10\" "
	"updaterversion=\"update_engine-0.4.10\" installsource=\"scheduler\" ismachine=\"1\">\n"
	"    <os version=\"Chateau\" platform=\"CoreOS\" sp=\"1.2.3_x86_64\"></os>\n"
	"    <app appid=\"{e96281a6-d1af-4bde-9a0a-97b76e56dc57}\" version=\"1.2.3\" track=\"stable\" "
	"bootid=\"{b1}\" oem=\"\" oemversion=\"\" alephversion=\"1.0.0\" machineid=\"0123456789abcdef\" "
	"machinealias=\"\" lang=\"en-US\" board=\"amd64-usr\" hardware_class=\"\" "
	"delta_okay=\"false\" >\n"
	"        <ping active=\"1\"></ping>\n"
	"        <updatecheck></updatecheck>\n"
	"        <event eventtype=\"3\" eventresult=\"2\" previousversion=\"0.0.0.0\"></event>\n"
	"    </app>\n"
	"</request>\n";

/* As go-omaha's client builds it. */
static const char go_omaha[] =
	XML "<request protocol=\"3.0\" sessionid=\"{s}\" userid=\"u-1\" version=\"go-omaha\">"
	    "<os platform=\"linux\" arch=\"x64\"></os>"
	    "<app appid=\"phone-a\" version=\"1.0\" track=\"stable\" bootid=\"b\" oem=\"\">"
	    "<ping active=\"1\"></ping><updatecheck></updatecheck>"
	    "<event eventtype=\"3\" eventresult=\"2\"></event></app></request>";

static struct omaha_request must(const char *text)
{
	struct omaha_request r;
	int err = omaha_read(bytes_str(text), &r);

	if (err != 0)
		fail_msg("%s: %d", text, err);
	return r;
}

/* ---- read ---- */

static void test_flatcar(void **state)
{
	struct omaha_request r = must(flatcar);
	const struct omaha_app *app = &r.app[0];

	(void)state;
	assert_int_equal(r.n_apps, 1);
	assert_false(r.on_demand);
	assert_string_equal(app->id, "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}");
	assert_string_equal(app->version, "1.2.3");
	assert_string_equal(app->track, "stable");
	assert_string_equal(app->board, "amd64-usr");
	assert_string_equal(app->boot_id, "{b1}");
	assert_string_equal(omaha_device(&r, app), "0123456789abcdef");
	assert_true(app->ping && app->check);
	assert_int_equal(app->n_events, 1);
	assert_int_equal(app->event[0].type, 3);
	assert_int_equal(app->event[0].result, 2);
	assert_int_equal(app->event[0].error, 0);
	assert_string_equal(app->event[0].previous, "0.0.0.0");
	assert_int_equal(omaha_said(app, &app->event[0]), OMAHA_NOTHING);
}

static void test_go_omaha(void **state)
{
	struct omaha_request r = must(go_omaha);

	(void)state;
	assert_string_equal(r.session_id, "{s}");
	assert_string_equal(omaha_device(&r, &r.app[0]), "u-1");
	assert_string_equal(r.app[0].id, "phone-a");
	assert_true(r.app[0].ping && r.app[0].check);
	assert_int_equal(omaha_said(&r.app[0], &r.app[0].event[0]), OMAHA_NOTHING);
}

#define APP "<app appid='a' version='1'"

static void test_read(void **state)
{
	static const struct {
		const char *why, *in;
		int want;
		size_t apps, events;
	} row[] = {
		{ "no app", "<request protocol='3.0'/>", 0, 0, 0 },
		{ "3.1 in XML", "<request protocol='3.1'>" APP "/></request>", 0, 1, 0 },
		{ "two apps",
			"<request protocol='3.0'>" APP "/><app appid='b'><event/></app></request>",
			0, 2, 1 },
		{ "unknown elements and attributes",
			"<request protocol='3.0' new='1'><hw sse='1'/><new><event/></new>" APP
			" new='2'><data><event/></data><new/><event new='3'/></app><event/></request>",
			0, 1, 1 },
		{ "an event outside",
			"<request protocol='3.0'>" APP "/><event/><os><event/></os></request>", 0,
			1, 0 },
		{ "an attribute without a value",
			"<request protocol=\"3.0\"><app appid=\"a\" version=\"1\" oem></app></request>",
			ERR_MALFORMED, 0, 0 },
		{ "nothing", "", ERR_MALFORMED, 0, 0 },
		{ "JSON", "{\"request\":{\"protocol\":\"3.1\"}}", ERR_MALFORMED, 0, 0 },
		{ "a response", "<response protocol='3.0'/>", ERR_MALFORMED, 0, 0 },
		{ "cut", "<request protocol='3.0'>" APP ">", ERR_MALFORMED, 0, 0 },
		{ "a DTD", "<!DOCTYPE request><request protocol='3.0'/>", ERR_MALFORMED, 0, 0 },
		{ "protocol 2", "<request protocol='2.0'/>", ERR_WRONG_TYPE, 0, 0 },
		{ "protocol 30", "<request protocol='30'/>", ERR_WRONG_TYPE, 0, 0 },
		{ "no protocol", "<request/>", ERR_WRONG_TYPE, 0, 0 },
		{ "no appid", "<request protocol='3.0'><app version='1'/></request>",
			ERR_MISSING_FIELD, 0, 0 },
		{ "an empty appid", "<request protocol='3.0'><app appid=''/></request>",
			ERR_MISSING_FIELD, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct omaha_request r;
		int err = omaha_read(bytes_str(row[i].in), &r);
		if (err != row[i].want)
			fail_msg("%s: %d", row[i].why, err);
		if (err == 0 &&
			(r.n_apps != row[i].apps ||
				(r.n_apps > 0 && r.app[r.n_apps - 1].n_events != row[i].events)))
			fail_msg("%s: %zu apps", row[i].why, r.n_apps);
	}
}

static void test_room(void **state)
{
	static const struct {
		const char *why, *head, *unit, *tail;
		unsigned n;
		int want;
	} row[] = {
		{ "apps", "", APP "/>", "", OMAHA_APPS_MAX, 0 },
		{ "too many apps", "", APP "/>", "", OMAHA_APPS_MAX + 1, ERR_TOO_BIG },
		{ "events", APP ">", "<event/>", "</app>", OMAHA_EVENTS_MAX, 0 },
		{ "too many events", APP ">", "<event/>", "</app>", OMAHA_EVENTS_MAX + 1,
			ERR_TOO_BIG },
		{ "a long id", "<app appid='", "x", "'/>", OMAHA_TEXT - 1, 0 },
		{ "too long an id", "<app appid='", "x", "'/>", OMAHA_TEXT, ERR_TOO_BIG },
		{ "too long a version before", APP "><event previousversion='", "x", "'/></app>",
			OMAHA_TEXT, ERR_TOO_BIG },
		{ "a long unknown one", APP " new='", "x", "'/>", 5000, 0 },
	};
	struct omaha_request r;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct buf b = { 0 };
		int err;
		buf_printf(&b, "<request protocol='3.0'>%s", row[i].head);
		for (unsigned k = 0; k < row[i].n; k++)
			buf_str(&b, row[i].unit);
		buf_printf(&b, "%s</request>", row[i].tail);
		err = omaha_read(buf_bytes(&b), &r);
		if (err != row[i].want)
			fail_msg("%s: %d", row[i].why, err);
		buf_release(&b);
	}
}

/* ---- events ---- */

static void test_said(void **state)
{
	/* Of an app of version 2.0. */
	static const struct {
		const char *event;
		enum omaha_word want;
	} row[] = {
		{ "eventtype='13' eventresult='1'", OMAHA_PROGRESS },
		{ "eventtype='14' eventresult='1'", OMAHA_DOWNLOADED },
		{ "eventtype='3' eventresult='1'", OMAHA_INSTALLED },
		{ "eventtype='800' eventresult='1'", OMAHA_INSTALLED },
		{ "eventtype='3' eventresult='2'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='2' previousversion=''", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='2' previousversion='0.0.0.0'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='2' previousversion='2.0'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='2' previousversion='1.0'", OMAHA_BOOTED },
		{ "eventtype='54' eventresult='1' previousversion='1.0'", OMAHA_BOOTED },
		{ "eventtype='54' eventresult='1' previousversion='0.0.0.0'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='1' previousversion='1.0'", OMAHA_INSTALLED },
		{ "eventtype='3' eventresult='0' errorcode='44'", OMAHA_ROLLED_BACK },
		{ "eventtype='3' eventresult='0' errorcode='44' previousversion='2.0'",
			OMAHA_ROLLED_BACK },
		{ "eventtype='3' eventresult='0' errorcode='2147483692'", OMAHA_ROLLED_BACK },
		{ "eventtype='3' eventresult='0' errorcode='-2147483604'", OMAHA_ROLLED_BACK },
		{ "eventtype='14' eventresult='0' errorcode='44'", OMAHA_UNREACHED },
		{ "eventtype='3' eventresult='0'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='0'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='x'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='5'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='10'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='1999'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='9'", OMAHA_UNREACHED },
		{ "eventtype='3' eventresult='0' errorcode='34'", OMAHA_UNREACHED },
		{ "eventtype='3' eventresult='0' errorcode='1'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='2'", OMAHA_UNREACHED },
		{ "eventtype='3' eventresult='0' errorcode='3'", OMAHA_UNREACHED },
		{ "eventtype='3' eventresult='0' errorcode='4'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='29'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='30'", OMAHA_UNREACHED },
		{ "eventtype='3' eventresult='0' errorcode='31'", OMAHA_UNREACHED },
		{ "eventtype='3' eventresult='0' errorcode='32'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='35'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='0' errorcode='36'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='0' errorcode='37'", OMAHA_UNREACHED },
		{ "eventtype='3' eventresult='0' errorcode='38'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='2503'", OMAHA_UNREACHED },
		{ "eventtype='3' eventresult='0' errorcode='3000'", OMAHA_FAILED },
		{ "eventtype='3' eventresult='0' errorcode='40'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='9'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='4'", OMAHA_NOTHING },
		{ "eventtype='3'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult=''", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='x'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='0x0'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult=' 0'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='-'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='4294967296'", OMAHA_NOTHING },
		{ "eventtype='3' eventresult='99999999999999999999'", OMAHA_NOTHING },
		{ "eventresult='0'", OMAHA_NOTHING },
		{ "eventtype='54' eventresult='1'", OMAHA_NOTHING },
		{ "", OMAHA_NOTHING },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct buf b = { 0 };
		struct omaha_request r;
		enum omaha_word word;
		buf_printf(&b,
			"<request protocol='3.0'><app appid='a' version='2.0'><event %s/></app></request>",
			row[i].event);
		r = must(buf_text(&b));
		word = omaha_said(&r.app[0], &r.app[0].event[0]);
		if (word != row[i].want)
			fail_msg("%s: %d", row[i].event, (int)word);
		buf_release(&b);
	}
}

/* ---- write ---- */

#define RESPONSE                                                                                   \
	XML "<response protocol=\"3.0\" server=\"huidu\"><daystart elapsed_seconds=\"59\"/>"

static const uint8_t sha1[20] = { 1, 2, 3 }, sha256[32] = { 4, 5, 6 };
static const struct omaha_update update = { "2.0.0", "https://h:8443/path/", "b2&.gz", 465881871,
	sha1, sha256 };
static const struct omaha_update no_sha1 = { "2.0.0", "https://h/", "b2", 1, NULL, sha256 };

static void test_write(void **state)
{
	static const struct {
		const char *why, *in;
		struct omaha_answer answer[2];
		const char *want;
	} row[] = {
		{ "an update", flatcar, { { .update = &update } },
			RESPONSE
			"<app appid=\"{e96281a6-d1af-4bde-9a0a-97b76e56dc57}\" status=\"ok\">"
			"<ping status=\"ok\"/><updatecheck status=\"ok\"><urls>"
			"<url codebase=\"https://h:8443/path/\"/></urls>"
			"<manifest version=\"2.0.0\"><packages><package name=\"b2&amp;.gz\" "
			"hash=\"AQIDAAAAAAAAAAAAAAAAAAAAAAA=\" "
			"hash_sha256=\"BAUGAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" "
			"size=\"465881871\" required=\"true\"/></packages><actions>"
			"<action event=\"postinstall\" "
			"sha256=\"BAUGAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" "
			"needsadmin=\"false\" IsDeltaPayload=\"false\" "
			"DisablePayloadBackoff=\"true\"/></actions></manifest></updatecheck>"
			"<event status=\"ok\"/></app></response>" },
		{ "without a SHA-1, come back in an hour",
			"<request protocol='3.0'><app appid='a'><updatecheck/></app></request>",
			{ { .update = &no_sha1, .poll_s = 3600 } },
			RESPONSE
			"<app appid=\"a\" status=\"ok\"><updatecheck status=\"ok\" "
			"PollInterval=\"3600\"><urls><url codebase=\"https://h/\"/></urls>"
			"<manifest version=\"2.0.0\"><packages><package name=\"b2\" "
			"hash_sha256=\"BAUGAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" "
			"size=\"1\" required=\"true\"/></packages><actions>"
			"<action event=\"postinstall\" "
			"sha256=\"BAUGAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" "
			"needsadmin=\"false\" IsDeltaPayload=\"false\" "
			"DisablePayloadBackoff=\"true\"/></actions></manifest></updatecheck>"
			"</app></response>" },
		{ "none, staged out", go_omaha, { { .poll_s = 7200 } },
			RESPONSE
			"<app appid=\"phone-a\" status=\"ok\"><ping status=\"ok\"/>"
			"<updatecheck status=\"noupdate\" PollInterval=\"7200\"></updatecheck>"
			"<event status=\"ok\"/></app></response>" },
		{ "an event alone",
			"<request protocol='3.0'><app appid='a'><event eventtype='13' eventresult='1'/><event/>"
			"</app></request>",
			{ { .update = &update } },
			RESPONSE
			"<app appid=\"a\" status=\"ok\"><event status=\"ok\"/><event status=\"ok\"/>"
			"</app></response>" },
		{ "an unknown app, and a known one",
			"<request protocol='3.0'><app appid='&lt;&quot;&#10;'><ping/><updatecheck/><event/></app>"
			"<app appid='b'><updatecheck/></app></request>",
			{ { .unknown = true }, { .poll_s = 0 } },
			RESPONSE
			"<app appid=\"&lt;&quot;&#10;\" status=\"error-unknownApplication\"></app>"
			"<app appid=\"b\" status=\"ok\"><updatecheck status=\"noupdate\">"
			"</updatecheck></app></response>" },
		{ "no app", "<request protocol='3.0'/>", { { .poll_s = 1 } },
			RESPONSE "</response>" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct omaha_request r = must(row[i].in);
		static const struct xml_reader none;
		struct buf b = { 0 };
		omaha_write(&b, &r, row[i].answer, 59);
		if (strcmp(buf_text(&b), row[i].want) != 0)
			fail_msg("%s: %s", row[i].why, buf_text(&b));
		assert_int_equal(xml_read(buf_bytes(&b), XML_BYTES_MAX, &none), 0);
		buf_release(&b);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flatcar),
		cmocka_unit_test(test_go_omaha),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_said),
		cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
