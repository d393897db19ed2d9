/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libhuidu: the device side of huidu.  It enrols, polls, verifies what it is served, fetches and
 * hashes the build it may have, has it installed, and reports how that went.
 *
 * The library is a state machine without threads, sockets, clocks or files: all of those are the
 * platform's, behind hooks.  It allocates nothing: the caller gives the memory once, in
 * huidu_init().  One huidu_t is used by one thread at a time; different ones are independent.
 *
 * A device's life with it:
 *
 *     huidu_init() at every start  ->  huidu_step() whenever the time it named has come
 *       -> http hook: the platform sends the request and answers with huidu_data()/huidu_response()
 *       -> apply hook: a verified build is in the file; write it to the inactive slot
 *          (huidu_applied() when that is done)
 *       -> poll again: is it still on offer?  -> activate hook: switch slots and restart
 *     next start: huidu_init() with the new build's id  ->  huidu_boot_ok() once it works
 *
 * Errors are negative: -errno of a hook, or enum huidu_err.  Strings given to the library are
 * copied; strings it gives are valid until the function that got them returns.
 */
#ifndef HUIDU_H
#define HUIDU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HUIDU_VERSION "0.1.0"
#define HUIDU_API     __attribute__((visibility("default")))

/* Bytes huidu_init() needs for a device (16 KiB of them for the newest Root, should it be as large
 * as it may), and for scratch (shared by any number of devices that are driven by one thread;
 * nothing in it outlives a call).  HUIDU_SLOT is the most a slot of the saved state takes: two. */
#define HUIDU_MEMORY  ((size_t)34 * 1024)
#define HUIDU_SCRATCH ((size_t)512 * 1024)
#define HUIDU_SLOT    ((size_t)28 * 1024)

typedef struct huidu huidu_t;

/* What went wrong; numbers never change.  huidu_strerror() has the sentences. */
enum huidu_err {
	HUIDU_ETOOBIG = -1001,
	HUIDU_ETRUNCATED = -1002,
	HUIDU_EMALFORMED = -1003,
	HUIDU_EUNKNOWN_FIELD = -1004,
	HUIDU_EREPEATED_FIELD = -1005,
	HUIDU_EBAD_STRING = -1006,
	HUIDU_EBAD_RANGE = -1007,
	HUIDU_EMISSING_FIELD = -1008,
	HUIDU_ENOMEM = -1009,
	HUIDU_EWRONG_TYPE = -1020,
	HUIDU_EDUPLICATE_KEYID = -1021,
	HUIDU_EBELOW_THRESHOLD = -1022,
	HUIDU_EBAD_KEY = -1023,
	HUIDU_EBAD_MAC = -1024,
	HUIDU_ECRYPTO = -1025,
	HUIDU_EBAD_SIGNATURE = -1026,
	HUIDU_EBAD_ROOT = -1030,
	HUIDU_EROOT_VERSION = -1031,
	HUIDU_EWRONG_REPOSITORY = -1040,
	HUIDU_EWRONG_PRODUCT = -1041,
	HUIDU_EEXPIRED = -1042,
	HUIDU_EROLLBACK = -1043,
	HUIDU_EMISMATCH = -1044,
	HUIDU_ENOT_SELECTED = -1045,
	HUIDU_EPLAN_EXCEEDED = -1046,
	HUIDU_ETOO_EARLY = -1047,
	HUIDU_EBAD_HASH = -1048,
	HUIDU_EOFFER_ENDED = -1049,
	HUIDU_EWRONG_RING = -1050,
	HUIDU_EBUILD_HALTED = -1051,
	HUIDU_ENOT_LOGGED = -1052,      /* no proof that the directive is public */
	HUIDU_EFORKED = -1053,          /* the log contradicts what it said before */
	HUIDU_ENO_TIME = -1054,         /* no clock, and no proof of the time */
	HUIDU_EBELOW_WITNESSES = -1055, /* too few vouch for the log */
	HUIDU_ESLOW = -1056,            /* the answer came too slowly (huidu_curl) */
	HUIDU_ECLOSED = -1070,          /* not enrolled: the server was not told of this device */
	HUIDU_EUNREACHABLE = -1084,
	HUIDU_ECORRUPT = -1085
};

/* Innermost first; a device sees what its own and every outer ring is offered. */
enum huidu_ring { HUIDU_CORE, HUIDU_HONOUR, HUIDU_DEV, HUIDU_STABLE };

/* Why there is, or is not, an update now. */
enum huidu_answer {
	HUIDU_ANSWER_NONE = 0, /* not polled yet */
	HUIDU_UP_TO_DATE = 1,
	HUIDU_OFFERED = 2,
	HUIDU_STAGED_OUT = 3, /* the share that is open does not contain this device yet */
	HUIDU_WAIT_ADMISSION = 4,
	HUIDU_WAIT_PAUSED = 5,
	HUIDU_FAILED_HERE = 6, /* this build failed on this device before */
	HUIDU_WAIT_YOUNG = 7,
	HUIDU_HALTED = 8
};

/* Why the ring is what it is. */
enum huidu_ring_why {
	HUIDU_RING_OPEN = 1,     /* stable: the user asked for no more */
	HUIDU_RING_SEATED = 2,   /* has a seat */
	HUIDU_RING_WAITING = 3,  /* opted in; a seat is not free, or not filled, yet */
	HUIDU_RING_ANONYMOUS = 4 /* polls without an id count as stable */
};

enum huidu_phase {
	HUIDU_ENROLLING,
	HUIDU_IDLE, /* next poll at next_ms */
	HUIDU_FETCHING,
	HUIDU_APPLYING,   /* waits for huidu_applied() */
	HUIDU_CONFIRMING, /* polls once more before the switch */
	HUIDU_ACTIVATING, /* the platform was told to switch slots and restart */
	HUIDU_PROVING     /* the new build runs; waits for huidu_boot_ok() */
};

enum huidu_event {
	HUIDU_EVENT_BOOT_FAILED = 6,
	HUIDU_EVENT_CRASH = 8,
	HUIDU_EVENT_SYMPTOM = 9,
	HUIDU_EVENT_ALIVE = 10,
	HUIDU_EVENT_DEFERRED = 11,
	HUIDU_EVENT_LEAVE = 12,
	HUIDU_EVENT_CRASH_LOOP = 14
};

/* A request to send.  Valid until it is answered. */
struct huidu_request {
	const char *method; /* "POST" or "GET" */
	const char *path;   /* "/v1/poll"; to be put behind the server's address */
	const void *body;   /* application/x-protobuf; NULL for GET */
	size_t body_len;
	uint64_t range_from; /* GET: ask for bytes from here on (Range: bytes=N-) when > 0 */
	size_t max_response; /* answer HUIDU_ETOOBIG, as if the network had failed, beyond it */
	int stream;          /* not 0: pass a 200's or 206's body to huidu_data() as it comes */
};

/* The build the device may have. */
struct huidu_offer {
	const char *build_id;
	uint64_t release_counter, rollback_index; /* the next start's config has these */
	uint64_t length;                          /* of the file, bytes */
	const uint8_t *sha256;                    /* 32 bytes */
	/* What Android's UpdateEngine.applyPayload() is handed; payload_size 0: no payload. */
	uint64_t payload_offset, payload_size, metadata_size;
	const uint8_t *payload_hash, *metadata_hash; /* 32 bytes each */
};

/*
 * The platform.  Hooks are called from inside huidu_step(), huidu_data(), huidu_response(),
 * huidu_applied() or huidu_init(), never under a lock; they may call huidu_status() and, where said,
 * the functions that answer them.  Those that return int: 0, or -errno.
 */
struct huidu_platform {
	uint32_t size; /* sizeof(struct huidu_platform) */
	void *ctx;     /* handed to every hook */

	/* Starts a request, which is answered once by huidu_response(), here or later. */
	int (*http)(void *ctx, const struct huidu_request *request);
	/*
	 * The device's state: two slots, 0 and 1, of HUIDU_SLOT bytes, which the library writes in
	 * turns.  `state_write` must be durable when it returns (fsync); it need not be atomic,
	 * because the slot it may tear is never the one that counts: a file or a raw partition
	 * that is overwritten in place will do, no rename is needed.  What the slot held behind
	 * the new bytes may stay there.
	 *
	 * `state_read`: *len is the room on entry, what was there on return.  -ENOENT when the slot
	 * was never written.  A slot that cannot be read counts as torn while the other is good.
	 */
	int (*state_read)(void *ctx, unsigned slot, void *out, size_t *len);
	int (*state_write)(void *ctx, unsigned slot, const void *data, size_t len);
	/*
	 * The file a build is fetched into.  `write` at offset 0 starts a new file.  `read` is for
	 * resuming after a restart: *len is the room on entry, what was there on return (0: the end).
	 */
	int (*file_write)(void *ctx, uint64_t offset, const void *data, size_t len);
	int (*file_read)(void *ctx, uint64_t offset, void *data, size_t *len);
	/* Writes the fetched, verified file (its first offer->length bytes) to the inactive
	 * slot; then huidu_applied(). */
	int (*apply)(void *ctx, const struct huidu_offer *offer);
	/* Switches slots and restarts.  Returns 0 when the restart is under way. */
	int (*activate)(void *ctx, const struct huidu_offer *offer);
	uint64_t (*now_ms)(void *ctx); /* unix milliseconds, as well as the device knows */
	int (*random)(void *ctx, void *out, size_t len);
	/* Optional.  `what` is one line: "offer refused"; `err` 0: nothing is wrong. */
	void (*log)(void *ctx, int err, const char *what);
	/* Optional: milliseconds since the start, sleep included (CLOCK_BOOTTIME).  A device whose
	 * clock is not to be believed counts on with it from the last time it was told. */
	uint64_t (*boot_ms)(void *ctx);
	/* Optional: what the server's operator checks before a device is enrolled, for example an
	 * Android Key Attestation over `challenge`.  *len is the room on entry (3 KiB), the
	 * length on return. */
	int (*attest)(void *ctx, const uint8_t challenge[32], void *out, size_t *len);
};

/*
 * Cryptography, when the device has its own (a keystore, a hardware engine).  All hooks are
 * needed; return 0, or HUIDU_ECRYPTO (verify: HUIDU_EBAD_SIGNATURE).
 */
struct huidu_crypto {
	uint32_t size; /* sizeof(struct huidu_crypto) */
	void *ctx;
	int (*sha256)(void *ctx, const void *data, size_t len, uint8_t out[32]);
	int (*hmac_sha256)(void *ctx, const uint8_t *key, size_t key_len, const uint8_t *data,
		size_t len, uint8_t out[32]);
	/* scheme 1: Ed25519, 32-byte key; 2: ECDSA P-256 with SHA-256, 65-byte point, r||s */
	int (*verify)(void *ctx, uint32_t scheme, const uint8_t *key, size_t key_len,
		const uint8_t *message, size_t len, const uint8_t sig[64]);
	/* SHA-256 of bytes that come in pieces; one at a time per huidu_t. */
	int (*hash_start)(void *ctx);
	int (*hash_add)(void *ctx, const void *data, size_t len);
	int (*hash_end)(void *ctx, uint8_t out[32]);
	/* The device key, P-256, made once and kept: its point, and a signature r||s. */
	int (*device_key)(void *ctx, uint8_t point[65]);
	int (*device_sign)(void *ctx, const uint8_t *message, size_t len, uint8_t sig[64]);
};

struct huidu_config {
	uint32_t size;          /* sizeof(struct huidu_config) */
	const char *repository; /* of the deployment, as in its Root; at most 63 characters */
	const char *product;    /* compiled in; at most 63 */
	const char *build_id;   /* what runs now; at most 63 */
	uint64_t release_counter;
	uint64_t rollback_index;
	const void *root; /* Envelope of the Root this build was made with; read in huidu_init() */
	size_t root_len;
	enum huidu_ring wish; /* innermost ring the user opted in to */
	int reports;          /* 0: poll without an id, report nothing */
	/* The server's interval is held within these; 0: 60 s and 24 h; 30 days at most. */
	uint32_t poll_min_s;
	uint32_t poll_max_s;
	uint32_t stale_after_s; /* no fresh answer for so long: status.stale; 0: 3 days */
	uint32_t hold_notice_s; /* withheld for so long: status.hold_notice; 0: 7 days */
	uint64_t build_time_s;  /* when this build was made: it is not earlier; 0: not known */
	/* For servers that do not enrol everybody; NULL: none.  Copied. */
	const char *token;      /* given out by the operator; at most 127 characters */
	const uint8_t *voucher; /* 64 bytes: the manufacturer's signature over this device's key */
};

struct huidu_status {
	enum huidu_phase phase;
	enum huidu_ring ring;         /* as far as it is proved; never inside config.wish */
	enum huidu_ring_why ring_why; /* 0: not polled yet; as the server says */
	enum huidu_answer answer;
	uint8_t device_id[16];
	int enrolled;
	int last_error;         /* of the last request or check; 0: fine */
	uint64_t last_fresh_ms; /* when metadata was last shown to be fresh; 0: never */
	int stale;
	uint64_t next_ms;         /* when huidu_step() is due */
	uint64_t fetched, length; /* bytes of the build under way */
	char build_id[64];        /* of the build under way; "" when none is */
	uint32_t unsent;          /* events not yet acknowledged by the server */
	uint32_t acknowledged;    /* number of the last event before those */
	int unsync; /* the clock is not to be believed, nor was the time proved: no installs */
	/* Since when (unix ms) the server says "not now" to what was signed for this device; 0: it
	 * does not.  `hold_notice`: for longer than config.hold_notice_s. */
	uint64_t held_since_ms;
	int hold_notice;
	uint64_t root_version; /* of the Root in force */
	uint64_t log_size;     /* entries of the log when it was last looked at; 0: never */
};

/*
 * Prepares a device in `memory` (HUIDU_MEMORY bytes, aligned for any type) and reads its state.
 * `crypto` NULL: OpenSSL's, with a device key that is kept in the state; a phone has a keystore for
 * that.  Returns NULL with `*err` set.  No memory is allocated after this; what OpenSSL keeps is
 * given back by huidu_fini().
 */
HUIDU_API huidu_t *huidu_init(void *memory, void *scratch, const struct huidu_platform *platform,
	const struct huidu_crypto *crypto, const struct huidu_config *config, int *err);
HUIDU_API void huidu_fini(huidu_t *h);

/*
 * Does what is due and says in *next_ms (unix milliseconds) when to call again: sooner than that it
 * does no harm.  0, or the error of what was tried; the library has noted it and goes on by itself.
 */
HUIDU_API int huidu_step(huidu_t *h, uint64_t *next_ms);

/*
 * The answer to a request: a piece of its body (only when request->stream), and its end.  `status`
 * is the HTTP status, or negative when there was no answer; huidu_data() needs it too, because a
 * 200 starts the file over where a 206 goes on.  `retry_after_s` is the header's value, 0 when
 * absent.  huidu_data() returns an error when the rest is of no use: stop and answer with it.
 */
HUIDU_API int huidu_data(huidu_t *h, int status, const void *data, size_t len);
HUIDU_API void huidu_response(
	huidu_t *h, int status, uint32_t retry_after_s, const void *body, size_t len);

/* The apply hook is done: 0, or why it failed (the build is then reported and not tried again). */
HUIDU_API void huidu_applied(huidu_t *h, int err);
/* The new build works: reported, and the rollback index is raised. */
HUIDU_API int huidu_boot_ok(huidu_t *h);
/*
 * Something happened on the build that runs.  `signature` (32 bytes) for a crash, `code` for a
 * symptom (its place, from 0, in the server's list of at most 8); NULL and 0 otherwise.  Saved
 * before it returns; sent with the next request.
 */
HUIDU_API int huidu_report(
	huidu_t *h, enum huidu_event event, const uint8_t *signature, uint32_t code);
/* Polls at the next huidu_step(), whatever the interval, and tries again what failed ("check now"). */
HUIDU_API void huidu_poll_now(huidu_t *h);

HUIDU_API void huidu_status(const huidu_t *h, struct huidu_status *out);
HUIDU_API const char *huidu_strerror(int err);

#ifdef __cplusplus
}
#endif

#endif
