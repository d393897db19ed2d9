/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/eproc.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>

#include "server/core/eproc_grid.inc"

#define MIX_MAX 160

_Static_assert(sizeof(halt_point) / sizeof(halt_point[0]) == EPROC_HALT_POINTS, "halt points");
_Static_assert(sizeof(signature_point) / sizeof(signature_point[0]) == EPROC_SIGNATURE_POINTS,
	"signature points");
_Static_assert(sizeof(grid) / sizeof(grid[0]) == EPROC_CS_POINTS, "grid points");

static double log_sum_exp(const double *v, size_t n)
{
	double max = -INFINITY, sum = 0;

	for (size_t i = 0; i < n; i++)
		max = v[i] > max ? v[i] : max;
	if (max == -INFINITY)
		return max;
	for (size_t i = 0; i < n; i++)
		sum += exp(v[i] - max);
	return max + log(sum);
}

static bool says_something(const struct batch *b)
{
	return b->ec > 0 && b->ek > 0 && b->xc + b->xk > 0;
}

/* Adds the log likelihood ratios of "the ratio is r0 * g" to "the ratio is r0". */
static void add_points(
	double *l, const struct point *point, size_t n, const struct batch *b, double r0)
{
	double w, base;

	if (!says_something(b))
		return;
	w = b->ec / b->ek;
	base = log1p(r0 * w);
	for (size_t j = 0; j < n; j++)
		l[j] += b->xc * point[j].log_g -
			(b->xc + b->xk) * (log1p(r0 * point[j].g * w) - base);
}

static double mix_points(const double *l, const struct point *point, size_t n)
{
	double v[EPROC_HALT_POINTS];

	assert(n <= EPROC_HALT_POINTS);
	for (size_t j = 0; j < n; j++)
		v[j] = point[j].log_p + l[j];
	return log_sum_exp(v, n);
}

void eproc_halt_add(struct eproc_halt *e, const struct batch *b, double r0)
{
	add_points(e->l, halt_point, EPROC_HALT_POINTS, b, r0);
}

double eproc_halt_log(const struct eproc_halt *e)
{
	/* Most streams of most stages have seen nothing: each alternative would have moved. */
	if (e->l[0] == 0 && e->l[EPROC_HALT_POINTS - 1] == 0)
		return 0;
	return mix_points(e->l, halt_point, EPROC_HALT_POINTS);
}

double eproc_restart_log(
	const struct eproc_halt *total, const struct eproc_halt *before, size_t days)
{
	double v[MIX_MAX], spent = 0;

	assert(days >= 1 && days < MIX_MAX);
	for (size_t d = 0; d < days; d++) {
		double share = d == 0 ? .8 : .2 / (double)(d * (d + 1));
		struct eproc_halt since;
		for (size_t j = 0; j < EPROC_HALT_POINTS; j++)
			since.l[j] = total->l[j] - (d == 0 ? 0 : before[d].l[j]);
		v[d] = log(share) + eproc_halt_log(&since);
		spent += share;
	}
	v[days] = spent < 1 ? log(1 - spent) : -INFINITY;
	return log_sum_exp(v, days + 1);
}

static double log_mix(const double ll[EPROC_CS_POINTS])
{
	double v[EPROC_CS_POINTS];

	for (int j = 0; j < EPROC_CS_POINTS; j++)
		v[j] = grid[j].log_prior + ll[j];
	return log_sum_exp(v, EPROC_CS_POINTS);
}

/* Adds the log likelihood at every grid point, relative to ratio 1. */
static void add_grid(double ll[EPROC_CS_POINTS], const struct batch *b)
{
	double w, base;

	if (!says_something(b))
		return;
	w = b->ec / b->ek;
	base = log1p(w);
	for (int j = 0; j < EPROC_CS_POINTS; j++)
		ll[j] +=
			b->xc * grid[j].theta - (b->xc + b->xk) * (log1p(grid[j].ratio * w) - base);
}

static double loglik_at(const struct batch *b, double theta)
{
	double w = b->ec / b->ek;

	return b->xc * theta - (b->xc + b->xk) * (log1p(exp(theta) * w) - log1p(w));
}

static double score_at(const struct batch *b, double theta)
{
	double rw = exp(theta) * b->ec / b->ek;

	return b->xc - (b->xc + b->xk) * rw / (1 + rw);
}

void eproc_cs_add(struct eproc_cs *cs, const struct batch *b, double tolerance)
{
	if (!says_something(b))
		return;
	add_grid(cs->ll, b);
	cs->tol_ll += loglik_at(b, log(tolerance));
	cs->tol_score += score_at(b, log(tolerance));
}

double eproc_cs_log(const struct eproc_cs *cs)
{
	return log_mix(cs->ll) - cs->tol_ll;
}

/* The log likelihood is concave: falling at the tolerance means its peak lies before it. */
bool eproc_cs_below(const struct eproc_cs *cs)
{
	return cs->tol_score < 0;
}

double eproc_split_log(const struct batch *b)
{
	double ll[EPROC_CS_POINTS] = { 0 };

	add_grid(ll, b);
	return log_mix(ll);
}

double eproc_loglik(const struct batch *b, size_t n, double theta)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		if (says_something(&b[i]))
			sum += loglik_at(&b[i], theta);
	return sum;
}

static double score(const struct batch *b, size_t n, double theta)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		if (says_something(&b[i]))
			sum += score_at(&b[i], theta);
	return sum;
}

#define THETA_MAX  12.0
#define BISECTIONS 200

static double mle_theta(const struct batch *b, size_t n)
{
	double low = -THETA_MAX, high = THETA_MAX;

	if (score(b, n, low) <= 0)
		return low;
	if (score(b, n, high) >= 0)
		return high;
	for (int i = 0; i < BISECTIONS; i++) {
		double middle = .5 * (low + high);
		if (score(b, n, middle) > 0)
			low = middle;
		else
			high = middle;
	}
	return .5 * (low + high);
}

/* Where the log likelihood falls below `floor` between the peak and `outside`. */
static double crossing(const struct batch *b, size_t n, double floor, double peak, double outside)
{
	double inside = peak;

	if (eproc_loglik(b, n, outside) > floor)
		return outside;
	for (int i = 0; i < BISECTIONS; i++) {
		double middle = .5 * (inside + outside);
		if (eproc_loglik(b, n, middle) > floor)
			inside = middle;
		else
			outside = middle;
	}
	return .5 * (inside + outside);
}

struct eproc_interval eproc_cs_interval(const struct batch *b, size_t n, double alpha)
{
	double ll[EPROC_CS_POINTS] = { 0 }, peak, floor;
	struct eproc_interval r;

	for (size_t i = 0; i < n; i++)
		add_grid(ll, &b[i]);
	r.log_mix = log_mix(ll);
	peak = mle_theta(b, n);
	floor = r.log_mix - log(1 / alpha);
	r.mle = exp(peak);
	r.lower = exp(crossing(b, n, floor, peak, -THETA_MAX));
	r.upper = exp(crossing(b, n, floor, peak, THETA_MAX));
	return r;
}

#define RATE_MAX .95

double eproc_limit_log(double x, double n, double q0)
{
	static const double weight[] = { .25, .30, .15, .15, .15 };
	const double twice = fmin(2 * q0, RATE_MAX);
	const double point[] = { twice, fmin(5 * q0, RATE_MAX), fmin(20 * q0, RATE_MAX),
		fmax(.25, twice), fmax(.90, twice) };
	double v[5];

	assert(q0 > 0 && q0 <= 1);
	/* Behind the last alternative the mixture would bet on the rate being below the limit. */
	if (q0 >= RATE_MAX)
		return 0;
	for (size_t i = 0; i < 5; i++)
		v[i] = log(weight[i]) + x * log(point[i] / q0) +
			(n - x) * (log1p(-point[i]) - log1p(-q0));
	return log_sum_exp(v, 5);
}

double eproc_safe_log(double x, double n, double q0)
{
	static const double multiple[] = { .5, .2, .05 }, weight[] = { .5, .3, .2 };
	double v[3];

	assert(q0 > 0 && q0 < 1);
	for (size_t i = 0; i < 3; i++)
		v[i] = log(weight[i]) + x * log(multiple[i]) +
			(n - x) * (log1p(-multiple[i] * q0) - log1p(-q0));
	return log_sum_exp(v, 3);
}

void eproc_signature_add(struct eproc_signature *e, const struct batch *b)
{
	add_points(e->l, signature_point, EPROC_SIGNATURE_POINTS, b, 1);
}

double eproc_signature_value(const struct eproc_signature *e)
{
	return mix_points(e->l, signature_point, EPROC_SIGNATURE_POINTS);
}

double eproc_signature_log(const struct batch *b)
{
	struct eproc_signature e = { 0 };

	eproc_signature_add(&e, b);
	return eproc_signature_value(&e);
}

double eproc_signatures_log(const double *loges, size_t n)
{
	/* Cash for signatures not seen yet: 1 - sum of 1/(k(k+1)). */
	double cash = -log((double)n + 1), max = cash, sum;

	for (size_t i = 0; i < n; i++)
		max = fmax(max, loges[i]);
	sum = exp(cash - max);
	for (size_t i = 0; i < n; i++)
		sum += exp(loges[i] - max) / ((double)(i + 1) * (double)(i + 2));
	return max + log(sum);
}

size_t eproc_ebh(const double *loges, size_t n, double delta, double *threshold)
{
	for (size_t k = n; k > 0; k--) {
		size_t reached = 0;
		*threshold = log((double)n / ((double)k * delta));
		for (size_t i = 0; i < n; i++)
			reached += loges[i] >= *threshold;
		if (reached >= k)
			return reached;
	}
	*threshold = INFINITY;
	return 0;
}

double eproc_average_log(const double *logs, const double *weights, size_t n)
{
	double v[MIX_MAX], rest = 1;

	assert(n < MIX_MAX);
	for (size_t i = 0; i < n; i++) {
		v[i] = weights[i] > 0 ? log(weights[i]) + logs[i] : -INFINITY;
		rest -= weights[i];
	}
	assert(rest > -1e-9);
	v[n] = rest > 1e-15 ? log(rest) : -INFINITY;
	return log_sum_exp(v, n + 1);
}
