/* SPDX-License-Identifier: Apache-2.0 */
/* A whole server in this process, a rollout under way in it, and devices that it knows. */
#pragma once

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/deployment.h"

#define SERVED_DEVICES 8u

struct served {
	struct deployment d;
	struct test_device device[SERVED_DEVICES];
	struct buf answer;
	unsigned turn;
	bool open;
};

static struct served served_one;

static inline void served_close(void)
{
	for (size_t i = 0; i < SERVED_DEVICES; i++)
		device_forget(&served_one.device[i]);
	buf_release(&served_one.answer);
	deployment_close(&served_one.d);
}

/* A new device in place of one that has said all that it can; it polls, and may enter an arm. */
static inline void served_renew(struct served *s, unsigned which)
{
	struct test_device *t = &s->device[which];
	int err;

	device_forget(t);
	err = device_enrol(&s->d, t, "phone-a", RING_STABLE);
	if (err == 0)
		err = device_poll(&s->d, t);
	deployment_must(err, "device", "enrol and poll");
}

static inline void served_roll_out(struct served *s)
{
	static const char *const products[] = { "phone-a" };
	static const struct plan_stage stages[] = { { RING_STABLE, 500000, 0 },
		{ RING_STABLE, 1000000, 0 } };
	static struct test_plan plan;
	int err = deployment_publish(&s->d, "phone-a", "1.0", 2, "content");

	if (err == 0)
		err = deployment_roll_out(
			&s->d, "1.0", products, 1, plan_of(&plan, stages, 2, 1u << 30, 0));
	deployment_must(err, "rollout", s->d.text);
	deployment_run(&s->d, 60000, 60000);
}

/* Opened when it is first asked for; gone when the program ends. */
static inline struct served *served(void)
{
	struct deployment_options o = { .profile = "solo" };
	struct served *s = &served_one;

	if (s->open)
		return s;
	s->open = true;
	deployment_open(&s->d, &o);
	(void)atexit(served_close); /* else its folder stays, no more */
	served_roll_out(s);
	for (unsigned i = 0; i < SERVED_DEVICES; i++)
		served_renew(s, i);
	return s;
}

/* `body` as the device would send it, with the right MAC; valid until the next. */
static inline struct bytes served_seal(
	struct served *s, const struct test_device *t, const char *path, struct bytes body)
{
	static uint8_t memory[1 << 16];
	struct arena a = { memory, sizeof(memory), 0 };
	struct bytes part[] = { bytes_of(path, strlen(path) + 1), body };
	struct bytes sealed = { 0 };
	Pb__Sealed m = PB__SEALED__INIT;
	uint8_t mac[SHA256_LEN];
	int err = crypto_mac_sign(s->d.desk.mac, bytes_of(t->report_key, SHA256_LEN), part, 2, mac);

	m.has_device_id = m.has_epoch = m.has_mac = 1;
	m.device_id = wire_data(t->id, ID_LEN);
	m.epoch = t->epoch;
	m.body = wire_data(body.p, body.n);
	m.mac = wire_data(mac, MAC_LEN);
	if (err == 0)
		err = wire_pack(&m, &a, &sealed);
	deployment_must(err, "seal", path);
	return sealed;
}

/* 0 or what the server says; its answer is in s->answer. */
static inline int served_ask(struct served *s, const char *path, struct bytes request)
{
	s->answer.len = 0;
	return deployment_answer(&s->d, path, request, &s->answer);
}
