/* SPDX-License-Identifier: Apache-2.0 */
/* What devices are told while the server is late or busy. */
#include "proto/bucket.h"
#include "server/http/device_private.h"
#include "server/metrics/metrics.h"
#include "server/service/poll.h"

bool device_looked(void *user, unsigned worker, const struct http_load *load)
{
	struct device_front *f = user;
	struct device_load *shown = &f->loads[worker];
	struct desk *d = &f->desks[worker];
	struct shed_look look = {
		.now_ms = load->now_ms,
		.seen_ms = load->seen_ms,
		.lag_ms = load->lag_ms,
		.busy_ppm = load->busy_ppm,
		.turned_away = load->unheard,
	};
	unsigned stretch;

	shed_look(&d->shed, &look);
	stretch = poll_stretch(d);
	if (load->unheard)
		atomic_store(&d->server->deaf, true);
	if (stretch > 0)
		(void)atomic_fetch_or(&d->server->stretches, 1u << stretch);
	atomic_store(&shown->lag_ms, load->lag_ms);
	atomic_store(&shown->wait_ms, load->wait_ms);
	atomic_store(&shown->busy_ppm, d->shed.busy_ppm);
	atomic_store(&shown->stretch, stretch);
	return !shed_is_calm(&d->shed);
}

/* Between once and twice as long, so that who is refused together does not come again together. */
static uint32_t later_s(struct desk *d, uint64_t least_s)
{
	least_s = least_s > 0 ? least_s : 1;
	return (uint32_t)(least_s + desk_random(d) % (least_s + 1));
}

/* The connection stays: it may have cost more than the answer. */
static void refuse(struct http_call *call, enum metric metric, uint32_t retry_s)
{
	struct bytes text = bytes_str("busy: try again later\n");
	struct http_answer answer = {
		.status = 503,
		.type = "text/plain",
		.part = &text,
		.n_parts = 1,
		.retry_after_s = retry_s,
	};

	metric_add(metric, 1);
	http_reply(call, &answer);
}

bool device_sheds(struct http_call *call, enum shed_class what)
{
	static const enum metric metric[SHED__COUNT] = {
		[SHED_BACKGROUND] = METRIC_REFUSED_SHED_POLL,
		[SHED_ENROL] = METRIC_REFUSED_SHED_ENROL,
	};
	struct desk *d = device_desk(call);

	if (d->shed.pressure_ppm == 0 || d->image == NULL ||
		!shed_refuses(&d->shed, what, (uint32_t)(desk_random(d) % PPM)))
		return false;
	refuse(call, metric[what], later_s(d, d->image->settings.interval_ms / 8000));
	return true;
}

void device_shed_report(struct http_call *call)
{
	refuse(call, METRIC_REFUSED_SHED_REPORT, device_retry_s(call));
}

uint32_t device_retry_s(const struct http_call *call)
{
	return later_s(device_desk(call), 30);
}

void device_load_count(const struct device_front *f)
{
	uint32_t lag_ms = 0, wait_ms = 0, busy_ppm = 0, stretch = 0;

	for (unsigned i = 0; i < f->workers; i++) {
		const struct device_load *l = &f->loads[i];
		lag_ms = atomic_load(&l->lag_ms) > lag_ms ? l->lag_ms : lag_ms;
		wait_ms = atomic_load(&l->wait_ms) > wait_ms ? l->wait_ms : wait_ms;
		busy_ppm = atomic_load(&l->busy_ppm) > busy_ppm ? l->busy_ppm : busy_ppm;
		stretch = atomic_load(&l->stretch) > stretch ? l->stretch : stretch;
	}
	metric_set(METRIC_WORKER_LAG, lag_ms);
	metric_set(METRIC_ACCEPT_WAIT, wait_ms);
	metric_set(METRIC_WORKER_BUSY, busy_ppm);
	metric_set(METRIC_POLL_INTERVAL, f->server->config->poll.interval_ms << stretch);
}
