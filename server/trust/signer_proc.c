/* SPDX-License-Identifier: Apache-2.0 */
/* The child: its start, and one request after the other. */
#include "server/trust/signer_proc.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "proto/root.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/trust/lockdown.h"

#define ARENA_SIZE      ((size_t)24 * 1024 * 1024)
#define ROOT_ARENA_SIZE ((size_t)512 * 1024)

int proc_refuse(struct proc *p, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(p->text, sizeof(p->text), format, args);
	va_end(args);
	return err;
}

uint64_t proc_now_ms(const struct proc *p)
{
	return p->clock.wall_ms();
}

uint64_t proc_last_ms(const struct proc *p)
{
	const Pb__Ledger *m = p->ledger->m;

	return m->entry_ms > m->signed_ms ? m->entry_ms : m->signed_ms;
}

/*
 * Nothing that could be refused as an entry is let through: it would be durable, and stand in the way
 * for ever.  A clock that went back a little is waited for.
 */
bool proc_clock_is_good(const struct proc *p)
{
	uint64_t now_ms = proc_now_ms(p);

	return now_ms + SIGNER_SKEW_MS >= proc_last_ms(p) + SIGNER_LATE_MS &&
		guard_clock(&p->guard, now_ms, p->clock.boot_ms(), p->ledger->m->signed_ms);
}

int proc_use_root(struct proc *p)
{
	const Pb__Ledger *m = p->ledger->m;
	int err;

	p->root_arena.used = 0;
	/* It must be signed by its own root role before its roles mean anything. */
	p->root = root_open(crypto_openssl(), m->has_root ? wire_bytes(m->root) : p->first_root,
		&p->root_arena, &err);
	return err != 0 ? proc_refuse(p, err, "root: %s", err_str(err)) : 0;
}

/* ---- start ---- */

static int open_ledger(struct proc *p, const char *path)
{
	int err = ledger_open(path, &p->ledger);

	if (err == ERR_CORRUPT)
		return proc_refuse(p, err,
			"ledger %.100s: neither of its two copies is whole: without it phones could "
			"be rolled back",
			path);
	if (err == ERR_BUSY)
		return proc_refuse(p, err, "ledger %.160s: another huidud has it open", path);
	return err != 0 ? proc_refuse(p, err, "ledger %.160s: %s", path, err_str(err)) : 0;
}

/* The root on disk is the log's first; the one in force may be a later one of the same deployment. */
static int check_roots(struct proc *p)
{
	const Pb__Root *first;
	int err;

	p->arena.used = 0;
	first = root_open(crypto_openssl(), p->first_root, &p->arena, &err);
	if (first == NULL)
		return proc_refuse(p, err, "root: %s", err_str(err));
	err = proc_use_root(p);
	if (err == 0 && strcmp(first->repository, p->root->repository) != 0)
		err = proc_refuse(p, ERR_WRONG_REPOSITORY,
			"root: the ledger is of another "
			"deployment, %.64s",
			p->root->repository);
	return err;
}

static int start(struct proc *p, const struct signer_config *config)
{
	static const struct signer_clock machine = { clock_ms, clock_boot_ms };
	int err;

	p->clock = config->clock != NULL ? *config->clock : machine;
	p->first_root = config->root;
	p->arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	p->root_arena = (struct arena){ mem_alloc(ROOT_ARENA_SIZE), ROOT_ARENA_SIZE, 0 };
	guard_init(&p->guard, p->clock.boot_ms());
	err = proc_load_keys(p, config->online_dir);
	if (err == 0)
		err = open_ledger(p, config->ledger_path);
	if (err == 0)
		err = check_roots(p);
	if (err == 0)
		err = proc_has_keys(p, p->root);
	if (err != 0)
		return err;
	err = lockdown_calls();
	return err != 0 ? proc_refuse(p, err, "seccomp: the kernel does not have it") : 0;
}

/* ---- requests ---- */

static int tell_log(struct proc *p, Pb__SignerReply *reply)
{
	uint8_t *root = arena_alloc(&p->arena, SHA256_LEN);
	int err = root == NULL ? ERR_NO_ROOM : merkle_root(crypto_openssl(), &p->ledger->log, root);

	if (err != 0)
		return proc_refuse(p, err, "log: %s", err_str(err));
	reply->has_log_size = reply->has_log_root = 1;
	reply->log_size = p->ledger->log.size;
	reply->log_root = wire_data(root, SHA256_LEN);
	return 0;
}

static int check(struct proc *p, struct bytes envelope, Pb__SignerReply *reply)
{
	struct order o;
	int err = order_open(p, envelope, proc_now_ms(p) / 1000, &o);

	if (err == 0 && !proc_clock_is_good(p) && !order_stops(&o) && !order_confirms_clock(&o))
		err = proc_refuse(p, ERR_CLOCK, "command: %s", err_str(ERR_CLOCK));
	if (err != 0)
		return err;
	reply->has_needed = 1;
	reply->needed = o.needed > o.people ? o.needed - o.people : 0;
	return 0;
}

static int serve(struct proc *p, struct bytes request, Pb__SignerReply *reply)
{
	int err;
	const Pb__SignerRequest *m =
		wire_read(&pb__signer_request__descriptor, request, &wire_admin, &p->arena, &err);

	p->text[0] = '\0';
	if (m == NULL)
		return proc_refuse(p, err, "request: %s", err_str(err));
	if (m->admit != NULL)
		return proc_admit(p, wire_bytes(m->admit->plan), wire_bytes(m->admit->targets));
	if (m->has_log)
		return tell_log(p, reply);
	if (m->has_check)
		return check(p, wire_bytes(m->check), reply);
	if (m->has_checkpoint || m->n_append > 0)
		return proc_append(p, m->append, m->n_append, reply);
	if (m->floor != NULL) {
		reply->has_floor = 1;
		reply->floor = ledger_floor(p->ledger, m->floor);
		return 0;
	}
	return proc_sign_items(p, m, reply);
}

static int answer(struct proc *p, int fd, int code, Pb__SignerReply *reply)
{
	struct bytes message;

	reply->code = code;
	if (code != 0) {
		reply->text = p->text[0] != '\0' ? p->text : err_str(code);
		reply->n_envelopes = 0;
	}
	if (wire_pack(reply, &p->arena, &message) != 0)
		return ERR_NO_ROOM;
	return signer_write(fd, message);
}

int signer_proc_run(int fd, const struct signer_config *config)
{
	struct proc p = { .n_keys = 0 };
	struct buf request = { 0 };
	Pb__SignerReply ready = PB__SIGNER_REPLY__INIT;
	int code, err;

	fd = lockdown_process(fd);
	if (fd < 0)
		return 1;
	code = start(&p, config);
	err = answer(&p, fd, code, &ready);
	if (err == 0)
		err = code;
	while (err == 0) {
		Pb__SignerReply reply = PB__SIGNER_REPLY__INIT;
		p.arena.used = 0;
		err = signer_read(fd, &request);
		if (err == 0) {
			code = serve(&p, buf_bytes(&request), &reply);
			err = answer(&p, fd, code, &reply);
		}
	}
	/* The keys go with the process. */
	return err == -ECONNRESET ? 0 : 1;
}
