/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for the server's admin socket: real frames, envelopes and signatures, but
 * canned scenes for the screens, and refusals on demand.  Says each signed command it
 * took on stdout.
 *
 *     fake_admin --socket PATH --root ROOT.env [--scenes NAME[:LOOKS],...]
 *                [--refuse ERR_NUMBER] [--repository NAME] [--log-key LOG.pem]
 */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_scenes.h"
#include "fake_trust.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/trust/rootfile.h"

#define FRAME_MAX   (1024u * 1024u)
#define ARENA_BYTES (32u * 1024u * 1024u)
#define CLIENTS_MAX 8u

static struct {
	const char *socket, *repository, *log_key;
	char *scenes;
	int refuse;
	struct rootfile *root;
	struct arena a;
	unsigned looks;
} f;

static void say(const char *what, const char *who, const char *more)
{
	(void)printf(
		"%s by %s%s%s\n", what, who, more != NULL ? ": " : "", more != NULL ? more : "");
	(void)fflush(stdout);
}

/* ---- scenes ---- */

/* "running:3,halted": the scene of this look; the last one stays. */
static void current_scene(char out[32])
{
	unsigned left = f.looks;
	char *copy = mem_strdup(f.scenes), *save = NULL;

	for (char *s = strtok_r(copy, ",", &save); s != NULL; s = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(s, ':');
		unsigned n = colon != NULL ? (unsigned)atoi(colon + 1) : UINT32_MAX;
		if (colon != NULL)
			*colon = '\0';
		(void)snprintf(out, 32, "%s", s);
		if (left < n)
			break;
		left -= n;
	}
	free(copy);
}

/* ---- queries ---- */

static int fill_rollouts(const char *name, Pb__AdminReply *out)
{
	char scene[32] = "empty";

	if (f.scenes != NULL)
		current_scene(scene);
	if (!scene_fill(scene, f.looks++, clock_ms(), out))
		return ERR_CONFIG;
	return name != NULL && out->n_rollouts == 0 ? ERR_NOT_FOUND : 0;
}

static int fill_gate(const Pb__AdminQuery *q, Pb__AdminReply *out)
{
	char scene[32] = "empty";

	if (f.scenes != NULL)
		current_scene(scene);
	if (strcmp(scene, "empty") == 0)
		return ERR_NOT_FOUND;
	if (q->kind == PB__QUERY_KIND__QUERY_REPLAY)
		scene_replay(scene, q->from, out);
	else if (!scene_gate(scene, clock_ms(), out))
		return ERR_CONFIG;
	return 0;
}

static int fill_device(const char *name, Pb__AdminReply *out)
{
	uint8_t id[ID_LEN];

	if (name == NULL || !hex_decode(id, ID_LEN, name) || id[0] == 0xff)
		return ERR_NOT_FOUND;
	scene_device(out, id);
	return 0;
}

static int take_query(const Pb__AdminQuery *q, Pb__AdminReply *out)
{
	if (q->kind == PB__QUERY_KIND__QUERY_ROLLOUT)
		return fill_rollouts(q->name, out);
	if (q->kind == PB__QUERY_KIND__QUERY_GATE || q->kind == PB__QUERY_KIND__QUERY_REPLAY)
		return fill_gate(q, out);
	if (q->kind == PB__QUERY_KIND__QUERY_PROPOSAL)
		return ERR_NOT_FOUND;
	if (q->kind == PB__QUERY_KIND__QUERY_DEVICE)
		return fill_device(q->name, out);
	if (q->kind == PB__QUERY_KIND__QUERY_HISTORY)
		scene_history(q, clock_ms(), out);
	if (q->kind == PB__QUERY_KIND__QUERY_RINGS)
		scene_rings(out);
	return fake_trust_fill(q, &f.a, out);
}

/* ---- commands ---- */

/* Anybody of the root may sign; who may what is the real server's to judge. */
static int open_command(struct bytes envelope, const Pb__AdminCommand **out, struct signers *who)
{
	const Pb__Root *root = fake_trust_root();
	Pb__Checkpoint now;
	static uint8_t ids[64][SHA256_LEN];
	ProtobufCBinaryData list[64];
	Pb__Role anybody = PB__ROLE__INIT;
	struct bytes payload;
	uint64_t now_s = clock_ms() / 1000;
	int err = 0;

	for (size_t i = 0; err == 0 && i < root->n_keys; i++) {
		err = envelope_keyid(crypto_openssl(), root->keys[i], ids[i]);
		list[i] = wire_data(ids[i], SHA256_LEN);
	}
	anybody.threshold = 1;
	anybody.keyids = list;
	anybody.n_keyids = root->n_keys;
	if (err == 0)
		err = envelope_verify(crypto_openssl(), envelope, ENVELOPE_COMMAND, root, &anybody,
			&f.a, &payload, who);
	if (err != 0)
		return err;
	*out = wire_read(&pb__admin_command__descriptor, payload, &wire_signed, &f.a, &err);
	if (*out == NULL)
		return err;
	if ((*out)->issued_at > now_s + 5 || (*out)->expires < now_s ||
		(*out)->expires > (*out)->issued_at + ((*out)->seat != NULL ? 72 * 3600 : 900))
		return ERR_STALE;
	fake_trust_checkpoint(&now);
	if (who->n == 1 &&
		((*out)->audit_size != now.size ||
			!bytes_eq(wire_bytes((*out)->audit_root), wire_bytes(now.root))))
		return ERR_CONFLICT;
	return strcmp((*out)->repository, root->repository) == 0 ? 0 : ERR_WRONG_REPOSITORY;
}

static int take_command(struct bytes envelope)
{
	static const char *const acts[] = { "nothing", "start", "pause", "halt" };
	struct signers who = { 0 };
	const Pb__AdminCommand *m;
	const char *name, *what;
	int err = open_command(envelope, &m, &who);

	if (err == 0 && f.refuse != 0)
		err = f.refuse;
	if (err != 0)
		return err;
	name = fake_trust_root()->keys[who.key[0]]->name;
	what = m->seat != NULL        ? "seat"
		: m->withdraw != NULL ? "withdraw"
		: m->confirm != NULL  ? "confirm"
				      : acts[m->act != NULL ? m->act->act : 0];
	if (fake_trust_waits(m, envelope, name, who.n))
		what = "half of a seat";
	say(what, name, m->reason);
	fake_trust_log(envelope);
	return 0;
}

/* ---- frames ---- */

static int take(struct bytes frame, Pb__AdminReply *out)
{
	enum envelope_type type;
	const void *m;
	int err;
	const Pb__Envelope *e =
		wire_read(&pb__envelope__descriptor, frame, &wire_admin, &f.a, &err);

	if (e == NULL)
		return err;
	if (!envelope_type_of(e, &type))
		return ERR_WRONG_TYPE;
	if (type == ENVELOPE_COMMAND)
		return take_command(frame);
	if (type == ENVELOPE_ROOT)
		return fake_trust_publish(frame, &f.a);
	if (type != ENVELOPE_QUERY)
		return ERR_WRONG_TYPE;
	m = wire_read(
		&pb__admin_query__descriptor, wire_bytes(e->payload), &wire_admin, &f.a, &err);
	return m == NULL ? err : take_query(m, out);
}

static bool receive(int fd, uint8_t *p, size_t n)
{
	return n == 0 || recv(fd, p, n, MSG_WAITALL) == (ssize_t)n;
}

static bool transmit(int fd, const void *p, size_t n)
{
	return send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool answer(int fd, Pb__AdminReply *reply)
{
	Pb__Checkpoint c = PB__CHECKPOINT__INIT;
	struct bytes payload, envelope;
	uint8_t header[4];

	fake_trust_checkpoint(&c);
	c.repository = f.repository != NULL ? f.repository : f.root->root->repository;
	c.time_ms = clock_ms();
	if (reply->code == 0)
		reply->checkpoint = &c;
	else
		reply->text = err_str(reply->code);
	if (wire_pack(reply, &f.a, &payload) != 0 ||
		envelope_wrap(ENVELOPE_REPLY, payload, &f.a, &envelope) != 0)
		abort();
	put_be32(header, (uint32_t)envelope.n);
	return transmit(fd, header, 4) && transmit(fd, envelope.p, envelope.n);
}

static bool serve(int fd)
{
	Pb__AdminReply reply = PB__ADMIN_REPLY__INIT;
	uint8_t header[4], *frame;
	uint32_t n;

	f.a.used = 0;
	if (!receive(fd, header, 4))
		return false;
	n = get_be32(header);
	frame = n <= FRAME_MAX ? arena_alloc(&f.a, n) : NULL;
	if (frame == NULL || !receive(fd, frame, n))
		return false;
	reply.code = take(bytes_of(frame, n), &reply);
	return answer(fd, &reply);
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	(void)unlink(path); /* of an earlier run */
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 8) != 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static void loop(int listener)
{
	struct pollfd p[CLIENTS_MAX + 1] = { { listener, POLLIN, 0 } };
	nfds_t n = 1;

	while (poll(p, n, -1) > 0) {
		for (nfds_t i = n; i-- > 1;) {
			if (p[i].revents == 0 || serve(p[i].fd))
				continue;
			(void)close(p[i].fd);
			p[i] = p[--n];
		}
		if ((p[0].revents & POLLIN) && n <= CLIENTS_MAX)
			p[n++] = (struct pollfd){ accept(listener, NULL, NULL), POLLIN, 0 };
	}
}

static const struct option options[] = { { "socket", 1, NULL, 's' }, { "root", 1, NULL, 'r' },
	{ "scenes", 1, NULL, 'c' }, { "refuse", 1, NULL, 'e' }, { "repository", 1, NULL, 'n' },
	{ "log-key", 1, NULL, 'l' }, { NULL, 0, NULL, 0 } };

static void set_option(int letter)
{
	int err = 0;

	if (letter == 's')
		f.socket = optarg;
	else if (letter == 'r')
		err = rootfile_read(optarg, &f.root);
	else if (letter == 'c')
		f.scenes = optarg;
	else if (letter == 'e')
		f.refuse = atoi(optarg);
	else if (letter == 'l')
		f.log_key = optarg;
	else if (letter == 'n')
		f.repository = optarg;
	else
		exit(2);
	if (err != 0) {
		(void)fprintf(stderr, "%s: %s\n", optarg, err_str(err));
		exit(1);
	}
}

int main(int argc, char **argv)
{
	int letter, listener;

	while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(letter);
	if (f.socket == NULL || f.root == NULL)
		return 2;
	f.a = (struct arena){ mem_alloc(ARENA_BYTES), ARENA_BYTES, 0 };
	fake_trust_start(f.root, f.log_key);
	listener = listen_at(f.socket);
	(void)puts("ready");
	(void)fflush(stdout);
	loop(listener);
	return 0;
}
