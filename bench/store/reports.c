/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports from the bytes that came to what is durable, as huidud takes them but for the sockets:
 * lint and unpacking, the MAC, the queue, the transaction with all that a report changes, the commit,
 * and what follows it.  All on one thread.  Two kinds: "alive", which changes the device's record, and
 * the boot_ok of a canary, which also changes its record in the stage, and the stage's.
 */
#include <stdio.h>

#include "bench/store/store.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/service/arm.h"
#include "server/service/report.h"

#define BUILD_ID   "1.0"
#define SEALED_MAX 256u

struct open_place {
	struct rootfile *root;
	struct signer *signer;
	struct server server;
	struct desk desk;
	struct arena arena;
};

static void open_place(const struct place *p, struct open_place *o)
{
	char *ledger = mem_printf("%s/ledger", p->config.online), error[256] = "";
	struct epochs epochs;

	must(rootfile_read(p->config.root, &o->root), "root");
	struct signer_config config = {
		.online_dir = p->config.online, .ledger_path = ledger, .root = o->root->envelope
	};
	must(signer_start(&config, &o->signer, error), "signer");
	must(epochs_read(p->config.online, &epochs, NULL), "epochs");
	must(server_open(&o->server, &p->config, &epochs, error), error);
	must(control_open(&o->server, o->signer, o->root, clock_ms(), error), error);
	must(desk_open(&o->desk, &o->server), "desk");
	epochs_release(&epochs);
	o->arena = (struct arena){ mem_alloc(65536), 65536, 0 };
	free(ledger);
}

static void close_place(struct open_place *o)
{
	desk_release(&o->desk);
	control_close(&o->server);
	server_close(&o->server);
	signer_stop(o->signer);
	rootfile_free(o->root);
	free(o->arena.base);
}

/* What a device sends; its first event. */
static size_t seal(struct open_place *o, const uint8_t id[ID_LEN], Pb__EventKind kind, uint8_t *out)
{
	Pb__ReportRequest m = PB__REPORT_REQUEST__INIT;
	Pb__Event event = PB__EVENT__INIT, *list[] = { &event };
	Pb__Sealed sealed = PB__SEALED__INIT;
	const struct epoch *epoch = epochs_newest(&o->server.epochs);
	uint8_t key[SHA256_LEN], mac[SHA256_LEN];
	struct bytes body;

	event.kind = kind;
	event.build_id = BUILD_ID;
	m.first_seq = 1;
	m.events = list;
	m.n_events = 1;
	o->arena.used = 0;
	must(wire_pack(&m, &o->arena, &body), "report");
	must(request_report_key(&o->desk, epoch, id, key), "key");
	struct bytes part[] = { bytes_of("/v1/report", sizeof("/v1/report")), body };
	must(crypto_mac_sign(o->desk.mac, bytes_of(key, sizeof(key)), part, 2, mac), "mac");
	sealed.has_device_id = sealed.has_epoch = sealed.has_mac = 1;
	sealed.device_id = wire_data(id, ID_LEN);
	sealed.epoch = epoch->number;
	sealed.body = wire_data(body.p, body.n);
	sealed.mac = wire_data(mac, MAC_LEN);
	must(wire_size(&sealed) <= SEALED_MAX ? 0 : ERR_TOO_BIG, "report");
	return wire_write(&sealed, out);
}

struct sent {
	uint8_t bytes[SEALED_MAX];
	size_t n;
};

static unsigned long long acknowledged;

static void report_done(struct job *job)
{
	struct report *r = (struct report *)job;

	must(job->err, "report");
	report_taken(r);
	acknowledged += r->taken;
	free(r);
}

static void take(struct open_place *o, const struct sent *s)
{
	struct report *r = mem_alloc(sizeof(*r));
	struct request q;
	uint64_t now_ms = clock_ms();

	must(request_open(&o->desk, REQUEST_REPORT, bytes_of(s->bytes, s->n), now_ms, &q), "open");
	must(report_of(&o->desk, &q, now_ms, r), "report");
	r->job.done = report_done;
	must(writer_submit(&o->server.writer, &r->job), "submit");
}

static void enter_arm(struct open_place *o, const uint8_t id[ID_LEN])
{
	const struct image_product *p = &o->desk.image->product[0];
	const struct image_ring *r = &p->ring[RING_STABLE];
	struct arm_entry entry = { .stage = r->stage,
		.arm = ARM_CANARY,
		.product = p->number,
		.live = r->live,
		.word = fleet_find(o->server.fleet, id),
		.slot = r->slot };

	must(r->live == NULL || entry.word == NULL ? ERR_NOT_FOUND : 0, "stage");
	memcpy(entry.id, id, ID_LEN);
	arm_enter(&o->server, &entry, clock_ms());
}

/* One batch; prints its length and that of its commit. */
static void run_batch(
	struct open_place *o, const struct place *p, uint64_t first, size_t n, Pb__EventKind kind)
{
	struct sent *sent = mem_alloc(n * sizeof(*sent));
	double began, queued, ended;

	for (size_t i = 0; i < n; i++) {
		uint8_t id[ID_LEN];
		made_id(shuffled(first + i, p->n), p->n, id);
		sent[i].n = seal(o, id, kind, sent[i].bytes);
		if (kind == PB__EVENT_KIND__EVENT_BOOT_OK)
			enter_arm(o, id);
	}
	(void)writer_drain(&o->server.writer); /* nothing, of those that are alive */
	acknowledged = 0;
	began = now_us();
	for (size_t i = 0; i < n; i++)
		take(o, &sent[i]);
	queued = now_us();
	must(writer_drain(&o->server.writer) ? 0 : ERR_BUSY, "drain");
	ended = now_us();
	must(acknowledged == n ? 0 : ERR_CONFLICT, "not all were counted");
	printf("{\"kind\": \"%s\", \"reports\": %zu, \"us\": %.1f, \"commit_us\": %.1f}\n",
		kind == PB__EVENT_KIND__EVENT_BOOT_OK ? "boot_ok" : "alive", n, ended - began,
		ended - queued);
	free(sent);
}

int store_reports(const struct place *p, int argc, char **argv)
{
	uint64_t first = strtoull(argv[0], NULL, 10), batches = strtoull(argv[2], NULL, 10);
	size_t batch = strtoull(argv[1], NULL, 10);
	static struct open_place o;

	(void)argc;
	open_place(p, &o);
	for (uint64_t b = 0; b < batches; b++, first += batch)
		run_batch(&o, p, first, batch, PB__EVENT_KIND__EVENT_ALIVE);
	for (uint64_t b = 0; b < batches; b++, first += batch)
		run_batch(&o, p, first, batch, PB__EVENT_KIND__EVENT_BOOT_OK);
	close_place(&o);
	return 0;
}
