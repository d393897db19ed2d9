/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exposure N: share of a fleet that runs a build after 24 hours of hourly polls at a nominal 1 %.
 * The services are in this process, the clock is virtual; every device polls as a phone does.
 * Prints the share in percent.
 */
#include <stdio.h>
#include <stdlib.h>

#include "deployment.h"

#define HOUR_MS 3600000ull

static const struct plan_stage one_percent[] = {
	{ RING_STABLE, 10000, 0 },
	{ RING_STABLE, 1000000, 0 },
};

int main(int argc, char **argv)
{
	static const char *const product[] = { "phone-a" };
	struct deployment_options options = { .profile = "solo" };
	size_t n = argc == 2 ? strtoul(argv[1], NULL, 10) : 100000, taken = 0;
	struct test_device *device = calloc(n, sizeof(*device));
	static struct deployment d;
	struct test_plan plan;
	int err = 0;

	if (n == 0 || device == NULL)
		return 2;
	deployment_open(&d, &options);
	for (size_t i = 0; err == 0 && i < n; i++)
		err = device_enrol(&d, &device[i], "phone-a", RING_STABLE);
	if (err == 0)
		err = deployment_publish(&d, "phone-a", "1.0", 1, "build");
	/* A soak of a week: the first stage stays open all day. */
	if (err == 0)
		err = deployment_roll_out(
			&d, "1.0", product, 1, plan_of(&plan, one_percent, 2, 168 * HOUR_MS, 0));
	for (unsigned hour = 0; err == 0 && hour < 24; hour++) {
		for (size_t i = 0; err == 0 && i < n; i++) {
			err = device_poll(&d, &device[i]);
			if (err == 0 && device[i].answer == ANSWER_OFFER)
				err = device_install(&d, &device[i], "1.0", 1);
		}
		deployment_run(&d, HOUR_MS, 60000);
	}
	for (size_t i = 0; i < n; i++) {
		taken += device[i].release_counter == 1;
		device_forget(&device[i]);
	}
	deployment_close(&d);
	free(device);
	if (err != 0)
		(void)fprintf(stderr, "exposure: %s\n", err_str(err));
	printf("%.4f\n", 100.0 * (double)taken / (double)n);
	return err == 0 ? 0 : 1;
}
