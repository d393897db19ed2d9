/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trust/signer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/trust/signer.pb-c.h"
#include "server/trust/signer_proc.h"

#define ARENA_SIZE ((size_t)16 * 1024 * 1024)
#define ERROR_MAX  256

struct signer {
	int fd;
	pid_t pid;
	struct buf in;
	struct arena arena;
};

int signer_write(int fd, struct bytes message)
{
	uint8_t head[4] = { 0 };
	struct bytes part[] = { bytes_of(head, 4), message };

	put_be32(head, (uint32_t)message.n);
	for (size_t i = 0; i < 2; i++) {
		while (part[i].n > 0) {
			ssize_t n = send(fd, part[i].p, part[i].n, MSG_NOSIGNAL);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return -errno;
			part[i].p += n;
			part[i].n -= (size_t)n;
		}
	}
	return 0;
}

static int read_all(int fd, uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t got = read(fd, p, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ECONNRESET;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int signer_read(int fd, struct buf *message)
{
	uint8_t head[4];
	int err = read_all(fd, head, sizeof(head));
	size_t n = err == 0 ? get_be32(head) : 0;

	message->len = 0;
	if (err != 0 || n > SIGNER_MESSAGE_MAX)
		return err != 0 ? err : ERR_TOO_BIG;
	err = read_all(fd, buf_room(message, n), n);
	message->len = n;
	return err;
}

/* In the child: die with huidud, not with a key press meant for it. */
static void become_signer(int fd, const struct signer_config *config)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "huidu-signer");
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	log_name("huidu-signer");
	_exit(signer_proc_run(fd, config));
}

/* The child says once whether its keys and ledger are usable. */
static int await_ready(struct signer *s, char *error)
{
	int err = signer_read(s->fd, &s->in);
	const Pb__SignerReply *r;

	s->arena.used = 0;
	if (err != 0) {
		(void)snprintf(error, ERROR_MAX, "signer: it died at its start");
		return ERR_SIGNER;
	}
	r = wire_read(
		&pb__signer_reply__descriptor, buf_bytes(&s->in), &wire_admin, &s->arena, &err);
	if (r == NULL || r->code == 0)
		return err;
	(void)snprintf(error, ERROR_MAX, "signer: %s", r->text != NULL ? r->text : "?");
	return r->code;
}

int signer_start(const struct signer_config *config, struct signer **out, char *error)
{
	struct signer *s;
	int pair[2], err;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		err = -errno;
		(void)close(pair[0]);
		(void)close(pair[1]);
		return err;
	}
	if (pid == 0) {
		(void)close(pair[0]);
		become_signer(pair[1], config);
	}
	(void)close(pair[1]);
	s = mem_zalloc(sizeof(*s));
	*s = (struct signer){ .fd = pair[0], .pid = pid };
	s->arena = (struct arena){ mem_alloc(ARENA_SIZE), ARENA_SIZE, 0 };
	err = await_ready(s, error);
	if (err != 0)
		signer_stop(s);
	else
		*out = s;
	return err;
}

void signer_stop(struct signer *s)
{
	if (s == NULL)
		return;
	(void)close(s->fd); /* its reason to end */
	(void)waitpid(s->pid, NULL, 0);
	buf_release(&s->in);
	free(s->arena.base);
	free(s);
}

int signer_fd(const struct signer *s)
{
	return s->fd;
}

static int exchange(
	struct signer *s, const Pb__SignerRequest *request, const Pb__SignerReply **reply)
{
	struct bytes message;
	int err;

	s->arena.used = 0;
	err = wire_pack(request, &s->arena, &message);
	if (err == 0)
		err = signer_write(s->fd, message);
	if (err == 0)
		err = signer_read(s->fd, &s->in);
	if (err != 0)
		return ERR_SIGNER;
	s->arena.used = 0;
	*reply = wire_read(
		&pb__signer_reply__descriptor, buf_bytes(&s->in), &wire_admin, &s->arena, &err);
	return *reply == NULL ? ERR_SIGNER : 0;
}

static int ask(struct signer *s, const Pb__SignerRequest *request, const Pb__SignerReply **reply)
{
	int err = exchange(s, request, reply);

	if (err != 0)
		return err;
	if ((*reply)->code != 0)
		log_error("signer: refused: %s",
			(*reply)->text != NULL ? (*reply)->text : err_str((*reply)->code));
	return (*reply)->code;
}

int signer_admit(struct signer *s, struct bytes plan, struct bytes targets)
{
	Pb__SignerRequest request = PB__SIGNER_REQUEST__INIT;
	Pb__SignerAdmit admit = PB__SIGNER_ADMIT__INIT;
	const Pb__SignerReply *reply;

	admit.plan = wire_data(plan.p, plan.n);
	admit.targets = wire_data(targets.p, targets.n);
	request.admit = &admit;
	return ask(s, &request, &reply);
}

int signer_sign(struct signer *s, const struct signer_item *items, size_t n, struct buf *out)
{
	Pb__SignerRequest request = PB__SIGNER_REQUEST__INIT;
	Pb__SignerItem *item = mem_alloc(n * sizeof(*item));
	Pb__SignerItem **list = mem_alloc(n * sizeof(*list));
	const Pb__SignerReply *reply;
	int err;

	for (size_t i = 0; i < n; i++) {
		item[i] = (Pb__SignerItem)PB__SIGNER_ITEM__INIT;
		item[i].type = items[i].type;
		item[i].payload = wire_data(items[i].payload.p, items[i].payload.n);
		list[i] = &item[i];
	}
	request.sign = list;
	request.n_sign = n;
	err = ask(s, &request, &reply);
	if (err == 0 && reply->n_envelopes != n)
		err = ERR_SIGNER;
	for (size_t i = 0; err == 0 && i < n; i++) {
		out[i] = (struct buf){ 0 };
		buf_add(&out[i], reply->envelopes[i].data, reply->envelopes[i].len);
	}
	free(item);
	free(list);
	return err;
}

int signer_log(struct signer *s, struct signer_log *out)
{
	Pb__SignerRequest request = PB__SIGNER_REQUEST__INIT;
	const Pb__SignerReply *reply;
	int err;

	request.has_log = 1;
	request.log = 1;
	err = ask(s, &request, &reply);
	if (err == 0 && reply->log_root.len != SHA256_LEN)
		err = ERR_SIGNER;
	if (err != 0)
		return err;
	out->size = reply->log_size;
	memcpy(out->root, reply->log_root.data, SHA256_LEN);
	return 0;
}

int signer_check(struct signer *s, struct bytes envelope, unsigned *needed, char *text)
{
	Pb__SignerRequest request = PB__SIGNER_REQUEST__INIT;
	const Pb__SignerReply *reply = NULL;
	int err;

	request.has_check = 1;
	request.check = wire_data(envelope.p, envelope.n);
	err = exchange(s, &request, &reply);
	if (err == 0)
		err = reply->code;
	if (err == 0)
		*needed = reply->needed;
	else
		(void)snprintf(text, SIGNER_TEXT, "%s",
			reply != NULL && reply->text != NULL ? reply->text : err_str(err));
	return err;
}

int signer_append(struct signer *s, const struct bytes *entries, size_t n, struct buf *note)
{
	Pb__SignerRequest request = PB__SIGNER_REQUEST__INIT;
	ProtobufCBinaryData *list = mem_alloc(n * sizeof(*list));
	const Pb__SignerReply *reply;
	int err;

	for (size_t i = 0; i < n; i++)
		list[i] = wire_data(entries[i].p, entries[i].n);
	request.has_checkpoint = 1;
	request.checkpoint = 1;
	request.append = list;
	request.n_append = n;
	err = ask(s, &request, &reply);
	if (err == 0 && note != NULL) {
		note->len = 0;
		buf_add(note, reply->note.data, reply->note.len);
	}
	free(list);
	return err;
}

int signer_floor(struct signer *s, const char *name, uint64_t *version)
{
	Pb__SignerRequest request = PB__SIGNER_REQUEST__INIT;
	const Pb__SignerReply *reply;
	int err;

	request.floor = name;
	err = ask(s, &request, &reply);
	if (err == 0)
		*version = reply->floor;
	return err;
}
