/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole huidu in one process, without sockets and threads: the real ceremony, signer, store and
 * services, a clock that is set by hand, people who sign, and devices that enrol, poll and report.
 * Anything that fails ends the program with a line: callers test what the services answer.
 */
#pragma once

#include "server/service/control.h"
#include "server/service/enrol.h"
#include "server/service/grant.h"
#include "server/service/poll.h"
#include "server/service/report.h"

#define DEPLOYMENT_PEOPLE 5
extern const char *const deployment_person[DEPLOYMENT_PEOPLE];
/* Ends the program with a line, unless err is 0. */
void deployment_must(int err, const char *what, const char *detail);

struct deployment {
	char dir[64];
	struct config config;
	struct rootfile *root;
	struct signer *signer;
	struct server server;
	struct desk desk;
	struct arena arena;
	uint64_t now_ms;
	char text[256]; /* of the last command that was refused, or of a start that failed */
};

struct deployment_options {
	const char *profile;       /* "solo" */
	const char *lines;         /* YAML of `lines:`, or NULL: one line, product phone-a */
	const char *min_id_age;    /* or NULL: 0s */
	const char *poll_interval; /* or NULL: 1h */
	const char *enrol;         /* YAML of what `enrol:` is, or NULL: open */
};

void deployment_open(struct deployment *d, const struct deployment_options *o);
/*
 * The same in two steps: ceremony and configuration, then the start, which may be refused: `error`, at
 * least 256 bytes.
 */
void deployment_make(struct deployment *d, const struct deployment_options *o);
WARN_UNUSED int deployment_start(struct deployment *d, char *error);
void deployment_stop(struct deployment *d);
/* In place of the first: the files of another one, copied to `dir`. */
void deployment_adopt(struct deployment *d, const char *dir, uint64_t now_ms);
/* Ends it as a crash would, or cleanly, and starts it again on the same files. */
void deployment_restart(struct deployment *d);
void deployment_close(struct deployment *d); /* and removes the files */

/* Moves the clock on in steps of at most `tick_ms`, ticking at each. */
void deployment_run(struct deployment *d, uint64_t ms, uint64_t tick_ms);

/* The clock moves on and control ticks once, whatever the writer has. */
void deployment_tick(struct deployment *d, uint64_t ms);

/* Commands, signed by as many people as the root asks for.  0, or what the server said. */
int deployment_publish(struct deployment *d, const char *product, const char *build_id,
	uint64_t counter, const char *content);
/* Signed as this version of the build's Targets: higher than 1, to publish it again. */
int deployment_publish_as(struct deployment *d, const char *product, const char *build_id,
	uint64_t counter, const char *content, uint64_t version);
int deployment_propose(struct deployment *d, const char *release, const char *const *products,
	size_t n_products, const Pb__PlanSpec *spec);
/* The person numbered `who` approves. */
int deployment_approve(struct deployment *d, const char *release, unsigned who);
int deployment_act(struct deployment *d, const char *release, Pb__Act act);
/* All of it up to the start, for a build that was published. */
int deployment_roll_out(struct deployment *d, const char *release, const char *const *products,
	size_t n_products, const Pb__PlanSpec *spec);
const struct rollout *deployment_rollout(const struct deployment *d, const char *release);

struct test_device {
	struct crypto_key *key;
	uint8_t public_key[PUBLIC_MAX];
	uint8_t id[ID_LEN], report_key[SHA256_LEN];
	uint32_t epoch;
	const char *product;
	const char *token;    /* NULL: none */
	struct bytes voucher; /* n 0: none */
	struct bytes network; /* that it enrols from; n 0: none */
	char build_id[64];
	uint64_t release_counter;
	uint32_t seq;
	uint32_t symptom;         /* code of those it reports */
	const uint8_t *signature; /* of the crashes it reports: 32 bytes; NULL: none */
	enum ring wish, ring;
	enum answer answer;
	uint64_t snapshot_version, log_size, root_version; /* root_version 0: 1 */
};

/* A device with a new key, and its enrolment.  0, or what the server said, as below. */
int device_enrol(struct deployment *d, struct test_device *t, const char *product, enum ring wish);
void device_make(struct test_device *t, const char *product, enum ring wish);
/* Enrols with the key it has; again, when it was before. */
int device_apply(struct deployment *d, struct test_device *t);
int device_poll(struct deployment *d, struct test_device *t);
/* The same; the answer's bytes go into `body`. */
int device_poll_body(struct deployment *d, struct test_device *t, struct buf *body);
/* It polls; seconds until it is to come again. */
uint32_t device_told_s(struct deployment *d, struct test_device *t);
/* Its poll as it comes over the wire, in the deployment's arena. */
struct bytes device_poll_sealed(struct deployment *d, const struct test_device *t);
/* A GrantRequest; on 0 the GrantReply's bytes are in `body`. */
int device_grant_body(struct deployment *d, const struct test_device *t, struct buf *body);
/* Events of these kinds about `build_id`, numbered on from t->seq. */
int device_report(struct deployment *d, struct test_device *t, const char *build_id,
	const Pb__EventKind *kinds, size_t n);
int device_report_one(
	struct deployment *d, struct test_device *t, const char *build_id, Pb__EventKind kind);
/* Takes the build as a phone does: downloaded, installing, installed, boot ok. */
int device_install(
	struct deployment *d, struct test_device *t, const char *build_id, uint64_t counter);
void device_forget(struct test_device *t);

/* A request as it comes over the wire, to /v1/enroll, /v1/poll or /v1/report; adds to `out`. */
int deployment_answer(struct deployment *d, const char *path, struct bytes body, struct buf *out);

/* A plan of the given stages: {ring, share_ppm, tolerance_ppm}; soaks of `soak_ms`. */
struct plan_stage {
	enum ring ring;
	uint32_t share_ppm, tolerance_ppm;
};
struct test_plan {
	Pb__PlanSpec spec;
	Pb__StageSpec stage[24], *list[24];
};
const Pb__PlanSpec *plan_of(struct test_plan *p, const struct plan_stage *stages, size_t n,
	uint64_t soak_ms, uint32_t holdback_ppm);
