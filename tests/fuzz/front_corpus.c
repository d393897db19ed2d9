/* SPDX-License-Identifier: Apache-2.0 */
#include "front_corpus.h"

#include <assert.h>
#include <string.h>

#include "proto/device.pb-c.h"
#include "proto/wire.h"

#define RAW    128
#define EVENTS 64

static struct bytes packed(const void *message)
{
	static uint8_t memory[1 << 16];
	struct arena a = { memory, sizeof(memory), 0 };
	struct bytes out;
	int err = wire_pack(message, &a, &out);

	assert(err == 0);
	return out;
}

static Pb__PollRequest poll_of(const char *product)
{
	Pb__PollRequest m = PB__POLL_REQUEST__INIT;

	m.product = product;
	m.build_id = "factory";
	m.root_version = 1;
	return m;
}

static void put_raw(corpus_put *put, const void *message)
{
	static uint8_t copy[1 << 15], zero[16];
	struct bytes body = packed(message);
	Pb__Sealed m = PB__SEALED__INIT;

	memcpy(copy, body.p, body.n);
	m.body = wire_data(copy, body.n);
	put(RAW, packed(&m));
	m.has_device_id = m.has_epoch = m.has_mac = 1;
	m.device_id = m.mac = wire_data(zero, sizeof(zero));
	m.epoch = 1;
	put(RAW, packed(&m));
}

void front_polls(corpus_put *put)
{
	static const char *const products[] = { "phone-a", "phone-z", "" };

	for (unsigned i = 0; i < 16; i++) {
		Pb__PollRequest m = poll_of(products[i < 14 ? 0 : i - 13]);
		Pb__ReportRequest report = PB__REPORT_REQUEST__INIT;
		Pb__Event event = PB__EVENT__INIT, *list[] = { &event };
		m.release_counter = i & 1 ? 2 : 0;
		m.snapshot_version = i & 2;
		m.seq = i & 3 ? 1 : 0;
		m.has_wish = i >> 2 & 1;
		m.wish = (Pb__Ring)(i & 3);
		m.has_log_size = i >> 1 & 1;
		m.log_size = i;
		event.kind = PB__EVENT_KIND__EVENT_ALIVE;
		event.build_id = "1.0";
		report.first_seq = 1 + i;
		report.n_events = 1;
		report.events = list;
		m.report = i >> 3 & 1 ? &report : NULL;
		put((int)(i % 8), packed(&m));
		put_raw(put, &m);
	}
}

void front_reports(corpus_put *put)
{
	static const uint8_t life[] = { 9, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0, 5, 0, 0 };
	static const uint8_t crashes[] = { 9, 8, 128, 7, 8, 128, 7, 8, 128, 8, 14, 0, 0, 9, 64, 1 };
	static const uint8_t failed[] = { 9, 6, 0, 0, 13, 0, 0, 7, 0, 0, 9, 64, 200, 12, 0, 0 };
	static const uint8_t again[] = { 4, 10, 0, 0, 10, 0, 0, 11, 1, 0, 15, 66, 3, 16, 3, 0 };
	static const uint8_t far[] = { 255, 10, 0, 0 };
	Pb__Event event = PB__EVENT__INIT, *list[40];

	put(EVENTS, bytes_of(life, sizeof(life)));
	put(EVENTS + 1, bytes_of(crashes, sizeof(crashes)));
	put(EVENTS + 2, bytes_of(failed, sizeof(failed)));
	put(EVENTS + 3, bytes_of(again, sizeof(again)));
	put(EVENTS + 4, bytes_of(far, sizeof(far)));
	for (unsigned i = 0; i < 40; i++)
		list[i] = &event;
	event.build_id = "1.0";
	for (unsigned i = 0; i < 8; i++) {
		static const unsigned many[] = { 1, 2, 31, 32, 33, 40, 0, 3 };
		Pb__ReportRequest m = PB__REPORT_REQUEST__INIT;
		m.first_seq = i == 7 ? UINT32_MAX - 1 : i;
		m.n_events = many[i];
		m.events = list;
		event.kind = (Pb__EventKind)(i + 5);
		event.has_age_s = event.has_code = i & 1;
		event.code = i;
		put((int)i, packed(&m));
		put_raw(put, &m);
	}
}

void front_connections(corpus_put *put)
{
#define POST "POST /v1/poll HTTP/1.1\r\nHost: a\r\n"
#define GET  "GET /v1/health HTTP/1.1\r\nHost: a\r\n\r\n"
	static const char *const in[] = {
		GET GET GET,
		POST "Content-Length: 5\r\n\r\nhello" GET,
		POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n" GET,
		"POST /v1/report HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy" GET
		"POST /v1/report HTTP/1.1\r\nHost: a\r\n\r\n" GET,
		"HEAD /v1/health HTTP/1.1\r\nHost: a\r\n\r\n" GET "\r\n\r\n" GET,
		POST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc" GET,
		POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET,
		"GET /v1/artifact/00?q=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" GET,
		"GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n" GET "PUT /v1/poll HTTP/1.1\r\n"
		"Host: a\r\n\r\n" GET,
		POST "Content-Length: 301\r\n\r\n" GET,
		POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" GET,
		POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" GET,
		POST "Transfer-Encoding: chunked\r\n\r\n12d\r\n" GET,
		POST "X: y\r\n folded\r\n\r\n" GET,
		"GET /v1/health HTTP/1.1\nHost: a\n\n" GET,
		GET "GET /v1/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET,
		"GET http://a/v1/artifact/x HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n" GET,
		POST "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx" GET,
	};

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		uint8_t sized[1024] = { (uint8_t)i, 0, (uint8_t)(60 - i), (uint8_t)(3 * i) };
		size_t n = strlen(in[i]);
		memcpy(sized + 4, in[i], n);
		put(-1, bytes_of(sized, n + 4));
	}
}
