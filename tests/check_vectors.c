/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check-vectors FILE: computes every case of a file of the form of tests/vectors/gate.json with the
 * real core and prints its error.  Exits 0 if all are within 1e-9, relative (absolute below 1).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "server/core/eproc.h"
#include "server/core/gate.h"

#define TOLERANCE 1e-9
#define LIST_MAX  4096

struct batches {
	struct batch b[LIST_MAX];
	size_t n;
};

static double number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_number(v)) {
		(void)fprintf(stderr, "missing number: %s\n", key);
		exit(2);
	}
	return json_number_value(v);
}

static double at(const json_t *list, size_t i)
{
	return json_number_value(json_array_get(list, i));
}

static void read_batches(const json_t *list, struct batches *out)
{
	for (size_t i = 0; i < json_array_size(list) && out->n < LIST_MAX; i++) {
		const json_t *b = json_array_get(list, i);
		out->b[out->n++] = (struct batch){ at(b, 0), at(b, 1), at(b, 2), at(b, 3) };
	}
}

static size_t read_list(const json_t *list, double *out)
{
	size_t n = json_array_size(list);

	n = n < LIST_MAX ? n : LIST_MAX;
	for (size_t i = 0; i < n; i++)
		out[i] = at(list, i);
	return n;
}

/* The worst error of the case under way. */
static double worst;

static void compare(double have, double want)
{
	double scale = fmax(1, fabs(want));
	double error = fabs(have - want) / scale;

	worst = isfinite(error) ? fmax(worst, error) : INFINITY;
}

static void compare_key(const json_t *out, const char *key, double have)
{
	compare(have, number(out, key));
}

static void compare_list(const json_t *want, const double *have, size_t n)
{
	if (json_array_size(want) != n)
		worst = INFINITY;
	for (size_t i = 0; i < n; i++)
		compare(have[i], at(want, i));
}

static void compare_bool(const json_t *out, const char *key, bool have)
{
	if (json_is_true(json_object_get(out, key)) != have)
		worst = INFINITY;
}

static void halt(const json_t *in, const json_t *out)
{
	static struct batches b;
	struct eproc_halt e = { 0 };

	b.n = 0;
	read_batches(json_object_get(in, "batches"), &b);
	for (size_t i = 0; i < b.n; i++)
		eproc_halt_add(&e, &b.b[i], number(in, "r0"));
	compare_key(out, "log_e", eproc_halt_log(&e));
}

static void restart(const json_t *in, const json_t *out)
{
	static struct eproc_halt before[LIST_MAX];
	static struct batches b;
	struct eproc_halt total = { 0 };
	const json_t *days = json_object_get(in, "days");
	size_t n = json_array_size(days);

	for (size_t d = 0; d < n; d++) {
		before[d] = total;
		b.n = 0;
		read_batches(json_array_get(days, d), &b);
		for (size_t i = 0; i < b.n; i++)
			eproc_halt_add(&total, &b.b[i], number(in, "r0"));
	}
	compare_key(out, "log_e", eproc_restart_log(&total, before, n));
}

static void confidence(const json_t *in, const json_t *out)
{
	static struct batches b;
	struct eproc_cs cs = { 0 };
	struct eproc_interval r;
	double tolerance = number(in, "r_tol"), alpha = number(in, "alpha");

	b.n = 0;
	read_batches(json_object_get(in, "batches"), &b);
	for (size_t i = 0; i < b.n; i++)
		eproc_cs_add(&cs, &b.b[i], tolerance);
	r = eproc_cs_interval(b.b, b.n, alpha);
	compare_key(out, "log_mix", r.log_mix);
	compare_key(out, "ratio_mle", r.mle);
	compare_key(out, "ratio_lower", r.lower);
	compare_key(out, "ratio_upper", r.upper);
	compare_key(out, "log_e_vs_r_tol", eproc_cs_log(&cs));
	compare_bool(out, "promote", eproc_cs_log(&cs) >= -log(GATE_BETA) && eproc_cs_below(&cs));
}

static void limit(const json_t *in, const json_t *out)
{
	compare_key(
		out, "log_e", eproc_limit_log(number(in, "x"), number(in, "n"), number(in, "q0")));
}

static void safe(const json_t *in, const json_t *out)
{
	compare_key(
		out, "log_e", eproc_safe_log(number(in, "x"), number(in, "n"), number(in, "q0")));
}

static void signatures(const json_t *in, const json_t *out)
{
	static double log_e[LIST_MAX];
	const json_t *found = json_object_get(out, "ebh_fdr_0.1");
	static struct batches b;
	double threshold;
	size_t hits = 0;

	b.n = 0;
	read_batches(json_object_get(in, "signatures"), &b);
	for (size_t i = 0; i < b.n; i++)
		log_e[i] = eproc_signature_log(&b.b[i]);
	compare_list(json_object_get(out, "log_e_each"), log_e, b.n);
	compare_key(out, "log_e", eproc_signatures_log(log_e, b.n));
	if (found == NULL)
		return;
	(void)eproc_ebh(log_e, b.n, 0.1, &threshold);
	for (size_t i = 0; i < b.n; i++)
		if (log_e[i] >= threshold && hits++ < json_array_size(found))
			compare((double)i, at(found, hits - 1));
	if (hits != json_array_size(found))
		worst = INFINITY;
}

static void capital(const json_t *in, const json_t *out)
{
	static double share[LIST_MAX], weight[LIST_MAX], stream[LIST_MAX], stage[LIST_MAX];
	const json_t *lists = json_object_get(in, "stream_log_e");
	size_t n = read_list(json_object_get(in, "stage_fractions"), share);
	double k;

	(void)read_list(json_object_get(in, "stream_weights"), weight);
	for (size_t i = 0; i < n; i++) {
		size_t m = read_list(json_array_get(lists, i), stream);
		stage[i] = eproc_average_log(stream, weight, m);
	}
	k = eproc_average_log(stage, share, n);
	compare_list(json_object_get(out, "stage_log_e"), stage, n);
	compare_key(out, "log_K", k);
	compare_bool(out, "pause_K20", k >= log(GATE_PAUSE));
	compare_bool(out, "halt_K100", k >= log(GATE_HALT));
}

static const struct {
	const char *name;
	void (*check)(const json_t *in, const json_t *out);
} functions[] = {
	{ "halt_loge", halt },
	{ "restart_loge", restart },
	{ "cs", confidence },
	{ "abs_loge", limit },
	{ "abs_safe_loge", safe },
	{ "sig_stream", signatures },
	{ "capital", capital },
};

static void run(const json_t *c)
{
	const char *fn = json_string_value(json_object_get(c, "fn"));

	worst = INFINITY;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (fn == NULL || strcmp(fn, functions[i].name) != 0)
			continue;
		worst = 0;
		functions[i].check(json_object_get(c, "in"), json_object_get(c, "out"));
	}
}

int main(int argc, char **argv)
{
	json_error_t error;
	json_t *file = argc == 2 ? json_load_file(argv[1], 0, &error) : NULL;
	const json_t *cases = json_object_get(file, "cases");
	size_t passed = 0, n = json_array_size(cases);
	double most = 0;

	if (n == 0) {
		(void)fprintf(stderr, "usage: check-vectors FILE (with a list \"cases\")\n");
		json_decref(file);
		return 2;
	}
	for (size_t i = 0; i < n; i++) {
		const json_t *c = json_array_get(cases, i);
		const char *name = json_string_value(json_object_get(c, "name"));
		run(c);
		passed += worst <= TOLERANCE;
		most = fmax(most, worst);
		printf("%s %-64s %.2g\n", worst <= TOLERANCE ? "ok  " : "FAIL",
			name != NULL ? name : "?", worst);
	}
	printf("worst error %.2g\n", most);
	printf("%zu passed, %zu failed\n", passed, n - passed);
	json_decref(file);
	return passed == n ? 0 : 1;
}
