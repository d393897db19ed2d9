/* SPDX-License-Identifier: Apache-2.0 */
/* What control says of a question stands, however early it says it. */
#include "unit.h"

#include "server/http/device_private.h"

int __wrap_timeproof_open(struct desk *d, struct bytes body, uint8_t nonce[TIME_NONCE_LEN]);
int __wrap_asks_post(struct asks *a, struct ask *ask);
void __wrap_http_defer(struct http_call *call);
void __wrap_http_resume(struct http_call *call, http_resumed *fn, void *arg);
void __wrap_device_refuse(struct http_call *call, int err);
void __wrap_device_reply(struct http_call *call, const struct bytes *part, size_t n);

static struct {
	int posted, says; /* asks_post() returns, control finds */
	unsigned deferred, resumed;
	http_resumed *fn;
	void *arg;
	int answer; /* 0, or what it was refused for */
} t;

int __wrap_timeproof_open(struct desk *d, struct bytes body, uint8_t nonce[TIME_NONCE_LEN])
{
	(void)d, (void)body;
	memset(nonce, 1, TIME_NONCE_LEN);
	return 0;
}

/* Control is done with it before this returns. */
int __wrap_asks_post(struct asks *a, struct ask *ask)
{
	(void)a;
	if (t.posted != 0)
		return t.posted;
	ask->err = t.says;
	ask->done(ask);
	return 0;
}

void __wrap_http_defer(struct http_call *call)
{
	(void)call;
	t.deferred++;
}

void __wrap_http_resume(struct http_call *call, http_resumed *fn, void *arg)
{
	(void)call;
	t.resumed++;
	t.fn = fn;
	t.arg = arg;
}

void __wrap_device_refuse(struct http_call *call, int err)
{
	(void)call;
	t.answer = err;
}

void __wrap_device_reply(struct http_call *call, const struct bytes *part, size_t n)
{
	(void)call, (void)part, (void)n;
	t.answer = 0;
}

static void what_control_says_is_the_answer(void **state)
{
	static const struct {
		const char *why;
		int posted, says, answer;
	} cases[] = {
		{ "signed", 0, 0, 0 },
		{ "not signed", 0, ERR_SIGNER, ERR_SIGNER },
		{ "ends", 0, ERR_BUSY, ERR_BUSY },
		{ "not taken", ERR_BUSY, 0, ERR_BUSY },
	};
	struct desk desk = { 0 };
	struct device_front front = { .desks = &desk };
	struct http_call call = { .user = &front };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		memset(&t, 0, sizeof(t));
		t.posted = cases[i].posted;
		t.says = cases[i].says;
		device_time(&call);
		assert_int_equal(t.deferred, 1);
		assert_int_equal(t.resumed, 1);
		t.answer = -1;
		t.fn(&call, t.arg);
		if (t.answer != cases[i].answer)
			fail_msg("%s: %d", cases[i].why, t.answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_control_says_is_the_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
