/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/metrics/metrics.h"

#define FAMILIES_MAX 128
#define SERIES_MAX   256

/* What a scraper makes of the text. */
struct page {
	size_t n_families, n_series;
	struct family {
		char name[64], type[16];
		bool help;
		size_t series;
	} family[FAMILIES_MAX];
	char series[SERIES_MAX][128]; /* name and labels */
	bool end;
};

static bool is_name(const char *s, size_t n)
{
	if (n == 0 || isdigit((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!islower((unsigned char)s[i]) && !isdigit((unsigned char)s[i]) && s[i] != '_')
			return false;
	return true;
}

static void read_head(struct page *p, const char *line)
{
	char word[8], name[64], rest[200];
	struct family *f;

	assert_int_equal(sscanf(line, "# %7s %63s %199[^\n]", word, name, rest), 3);
	if (strcmp(word, "HELP") == 0) {
		for (size_t i = 0; i < p->n_families; i++)
			if (strcmp(p->family[i].name, name) == 0)
				fail_msg("family twice: %s", name);
		f = &p->family[p->n_families++];
		assert_true(p->n_families < FAMILIES_MAX && is_name(name, strlen(name)));
		(void)snprintf(f->name, sizeof(f->name), "%s", name);
		f->help = true;
		/* One sentence for a person. */
		assert_true(rest[strlen(rest) - 1] == '.');
		return;
	}
	assert_string_equal(word, "TYPE");
	f = &p->family[p->n_families - 1];
	assert_string_equal(f->name, name);
	assert_string_equal(f->type, "");
	(void)snprintf(f->type, sizeof(f->type), "%.15s", rest);
}

/* name{label="value"} number */
static void read_series(struct page *p, const char *line)
{
	size_t n = strcspn(line, "{ "), all = strcspn(line, " ");
	char *end;

	assert_true(is_name(line, n) && p->n_series < SERIES_MAX && all < 128);
	if (line[n] == '{') {
		size_t label = strcspn(line + n + 1, "=");
		const char *value = line + n + 1 + label;
		assert_true(is_name(line + n + 1, label));
		assert_true(value[0] == '=' && value[1] == '"');
		assert_true(strncmp(line + all - 2, "\"}", 2) == 0);
		assert_int_equal(strcspn(value + 2, "\"\\\n"), line + all - 2 - value - 2);
	}
	(void)snprintf(p->series[p->n_series], 128, "%.*s", (int)all, line);
	for (size_t i = 0; i < p->n_series; i++)
		if (strcmp(p->series[i], p->series[p->n_series]) == 0)
			fail_msg("series twice: %s", p->series[i]);
	p->n_series++;
	p->family[p->n_families - 1].series++;
	(void)strtod(line + all, &end);
	assert_true(end > line + all && *end == '\n');
	/* It belongs to the family whose head it stands below. */
	const char *family = p->family[p->n_families - 1].name;
	assert_int_equal(strncmp(line, family, strlen(family)), 0);
	assert_true(n == strlen(family) ||
		(n == strlen(family) + 6 && strncmp(line + strlen(family), "_total", 6) == 0));
}

static void read_page(struct page *p, const char *text)
{
	memset(p, 0, sizeof(*p));
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		assert_non_null(strchr(line, '\n'));
		assert_false(p->end); /* nothing behind it */
		if (strncmp(line, "# EOF\n", 6) == 0)
			p->end = true;
		else if (line[0] == '#')
			read_head(p, line);
		else
			read_series(p, line);
	}
}

static bool ends_in(const char *s, const char *tail)
{
	return strlen(s) > strlen(tail) && strcmp(s + strlen(s) - strlen(tail), tail) == 0;
}

static void check_page(bool openmetrics)
{
	static struct page p;
	struct buf b = { 0 };

	metrics_write(&b, openmetrics);
	read_page(&p, buf_text(&b));
	assert_int_equal(p.n_series, METRIC__COUNT);
	assert_int_equal(p.end, openmetrics);
	for (size_t i = 0; i < p.n_families; i++) {
		const struct family *f = &p.family[i];
		bool counter = strcmp(f->type, "counter") == 0;
		assert_true(counter || strcmp(f->type, "gauge") == 0);
		assert_true(f->help && f->series > 0);
		/* A counter's series carry _total; its family in OpenMetrics does not.
		 */
		if (ends_in(f->name, "_total") != (counter && !openmetrics))
			fail_msg("%s is a %s", f->name, f->type);
		assert_true(
			strncmp(f->name, "huidu_", 6) == 0 || strncmp(f->name, "process_", 8) == 0);
	}
	for (size_t i = 0; i < p.n_series; i++) {
		size_t n = strcspn(p.series[i], "{");
		char name[128];
		(void)snprintf(name, sizeof(name), "%.*s", (int)n, p.series[i]);
		/* Base units only. */
		assert_false(ends_in(name, "_ms") || ends_in(name, "_kb"));
	}
	buf_release(&b);
}

static void test_formats(void **state)
{
	(void)state;
	check_page(false);
	check_page(true);
}

/* For promtool: Prometheus's own opinion. */
static int print_page(void)
{
	struct buf b = { 0 };
	bool whole;

	metrics_write(&b, false);
	whole = fwrite(b.data, 1, b.len, stdout) == b.len;
	buf_release(&b);
	return whole ? 0 : 1;
}

static void check_line(const char *want)
{
	struct buf b = { 0 };

	metrics_write(&b, false);
	if (strstr(buf_text(&b), want) == NULL)
		fail_msg("no %s", want);
	buf_release(&b);
}

static void test_values(void **state)
{
	(void)state;
	check_line("\nhuidu_enrolments_total 0\n");
	metric_add(METRIC_ENROLLED, 2);
	metric_add(METRIC_ENROLLED, 3);
	assert_int_equal(metric_get(METRIC_ENROLLED), 5);
	check_line("\nhuidu_enrolments_total 5\n");
	metric_set(METRIC_ROLLOUTS_HALTED, 7);
	metric_set(METRIC_ROLLOUTS_HALTED, 4);
	check_line("\nhuidu_rollouts{state=\"halted\"} 4\n");
	metric_set(METRIC_LOG_INDEX, UINT64_MAX);
	check_line("\nhuidu_log_entries 18446744073709551615\n");
	metric_add(METRIC_HALTS_GATE, 1);
	check_line("\nhuidu_halts_total{cause=\"gate\"} 1\n");
	check_line("\nhuidu_halts_total{cause=\"person\"} 0\n");
	/* Of this process. */
	assert_in_range(metric_get(METRIC_RSS), 500000, 4000000000);
	assert_in_range(metric_get(METRIC_FDS), 3, 200);
}

#define THREADS 4
#define ADDS    100000

static void *add_many(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ADDS; i++) {
		metric_add(METRIC_REPORTS, 1);
		metric_add(METRIC_ARTIFACT_BYTES, i);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t thread[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, add_many, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(metric_get(METRIC_REPORTS), THREADS * ADDS);
	assert_int_equal(
		metric_get(METRIC_ARTIFACT_BYTES), (uint64_t)THREADS * ADDS * (ADDS - 1) / 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_threads),
	};

	if (argc == 2 && strcmp(argv[1], "--print") == 0)
		return print_page();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
