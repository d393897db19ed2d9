/* SPDX-License-Identifier: Apache-2.0 */
/* huidud: read the configuration, build the parts in order, run, take them apart in reverse. */
#include <assert.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/http/local.h"
#include "server/service/control.h"
#include "server/trust/cryptomem.h"

#define EXIT_USAGE 2
#define ERROR_MAX  256

struct parts {
	const char *path; /* of the configuration */
	struct config config;
	struct rootfile *root;
	struct signer *signer;
	struct server server;
	struct tls *tls;
	struct device_front *devices;
	struct local *local;
	char error[ERROR_MAX];
};

/* The first key of the root that was made to try huidu out; NULL: there is none. */
static const Pb__Key *demo_key(const Pb__Root *root)
{
	for (size_t i = 0; i < root->n_keys; i++)
		if (root->keys[i]->has_demo && root->keys[i]->demo)
			return root->keys[i];
	return NULL;
}

static int open_root(struct parts *p)
{
	int err = rootfile_read(p->config.root, &p->root);
	const Pb__Key *demo = err == 0 ? demo_key(p->root->root) : NULL;

	if (err == 0 && strcmp(p->root->root->repository, p->config.repository) != 0)
		err = ERR_WRONG_REPOSITORY;
	if (err != 0) {
		(void)snprintf(
			p->error, ERROR_MAX, "root: %.160s: %s", p->config.root, err_str(err));
	} else if (demo != NULL && p->config.environment == ENVIRONMENT_PRODUCTION) {
		err = ERR_DEMO_KEY;
		(void)snprintf(p->error, ERROR_MAX,
			"root: %.80s: the key of '%.40s' was made to try huidu out: make real keys, "
			"or say environment: trial",
			p->config.root, demo->name != NULL ? demo->name : "nobody");
	}
	return err;
}

/* Forked before there is a thread or a socket. */
static int open_signer(struct parts *p)
{
	/* Beside the keys, not beside the store: a backup of one is no backup of the other. */
	char *ledger = mem_printf("%s/ledger", p->config.online);
	struct signer_config config = {
		.online_dir = p->config.online, .ledger_path = ledger, .root = p->root->envelope
	};
	int err = signer_start(&config, &p->signer, p->error);

	free(ledger);
	return err;
}

static int open_server(struct parts *p)
{
	struct epochs epochs;
	char *failed = NULL;
	int err = epochs_read(p->config.online, &epochs, &failed);

	if (err != 0)
		(void)snprintf(p->error, ERROR_MAX, "%.160s: %s", failed, err_str(err));
	else
		err = server_open(&p->server, &p->config, &epochs, p->error);
	if (err == 0)
		err = control_open(&p->server, p->signer, p->root, clock_ms(), p->error);
	epochs_release(&epochs);
	free(failed);
	return err;
}

static int open_tls(struct parts *p)
{
	struct tls_files files = { p->config.tls.cert, p->config.tls.key, p->config.tls.tickets,
		p->config.tls.clients };

	if (p->config.plain)
		return 0;
	return tls_open(&files, &p->tls, p->error);
}

static int open_devices(struct parts *p)
{
	return device_front_open(&p->server, p->config.listen, p->tls, &p->devices, p->error);
}

static int open_local(struct parts *p)
{
	struct local_options options = { .server = &p->server,
		.devices = p->devices,
		.admin = p->config.admin,
		.metrics = p->config.metrics,
		.config = p->path,
		.tls = p->tls,
		.signer_fd = signer_fd(p->signer) };

	return local_open(&options, &p->local, p->error);
}

static int start_threads(struct parts *p)
{
	int err = writer_start(&p->server.writer);

	if (err == 0)
		err = device_front_start(p->devices);
	if (err != 0)
		(void)snprintf(p->error, ERROR_MAX, "threads: %s", err_str(err));
	else
		log_info("devices: %s%s, port %u", p->config.listen,
			p->config.plain ? " (plain)" : "", device_front_port(p->devices));
	return err;
}

static int (*const open_part[])(struct parts *p) = {
	open_root,
	open_signer,
	open_server,
	open_tls,
	open_devices,
	open_local,
	start_threads,
};

static void close_parts(struct parts *p)
{
	if (p->devices != NULL)
		device_front_stop(p->devices);
	server_dismiss(&p->server);
	writer_stop(&p->server.writer);
	local_close(p->local);
	device_front_free(p->devices);
	tls_close(p->tls);
	control_close(&p->server);
	if (p->server.config != NULL)
		server_close(&p->server);
	signer_stop(p->signer);
	rootfile_free(p->root);
	config_release(&p->config);
}

static int serve(struct parts *p)
{
	int status = 0, err = 0;

	for (size_t i = 0; err == 0 && i < sizeof(open_part) / sizeof(open_part[0]); i++)
		err = open_part[i](p);
	if (err != 0) {
		(void)fprintf(stderr, "huidud: %s\n", p->error);
		status = EXIT_USAGE;
	} else if (local_run(p->local) != 0) {
		status = EXIT_FAILURE;
	}
	close_parts(p);
	if (status == 0)
		log_info("stopped: all that was answered is on disk");
	return status;
}

/* Also what the configuration names: root, certificate, tokens and keys. */
static int try_out(struct parts *p)
{
	struct door *door = NULL;
	int err = open_root(p);

	if (err == 0)
		err = open_tls(p);
	if (err == 0)
		err = door_new(&p->config.enrol, &door, p->error);
	if (err != 0)
		(void)fprintf(stderr, "huidud: %s\n", p->error);
	else
		printf("%s: fine\n", p->path);
	door_free(door);
	tls_close(p->tls);
	rootfile_free(p->root);
	config_release(&p->config);
	return err != 0 ? EXIT_USAGE : 0;
}

static int usage(FILE *out)
{
	(void)fputs("usage: huidud -c FILE       serve\n"
		    "       huidud -n -c FILE    check the configuration and exit\n"
		    "       huidud -V            version\n",
		out);
	return out == stdout ? 0 : EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static struct parts parts;
	struct parts *p = &parts;
	bool check = false, must = cryptomem_must();
	int option;

	assert(must); /* nothing came before */
	while ((option = getopt(argc, argv, "c:nhV")) != -1) {
		if (option == 'c')
			p->path = optarg;
		else if (option == 'n')
			check = true;
		else if (option == 'V')
			return printf("huidud %s\n", HUIDU_VERSION) < 0;
		else
			return usage(option == 'h' ? stdout : stderr);
	}
	if (p->path == NULL || optind != argc)
		return usage(stderr);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN); /* until it can be obeyed */
	log_init("huidud", LOG_LEVEL_INFO);
	if (config_load(p->path, &p->config, p->error) != 0) {
		(void)fprintf(stderr, "huidud: %s\n", p->error);
		return EXIT_USAGE;
	}
	return check ? try_out(p) : serve(p);
}
