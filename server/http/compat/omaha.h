/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Omaha v3, as Flatcar's update_engine and go-omaha speak it: a request to a struct, a struct to a
 * response, and what an event means.  Decides nothing.
 *
 * Any thread.
 */
#pragma once

#include "server/http/compat/xml.h"

#define OMAHA_TEXT       128u /* of a text, with its NUL */
#define OMAHA_APPS_MAX   8u
#define OMAHA_EVENTS_MAX 16u        /* of an app */
#define OMAHA_UNSAID     UINT32_MAX /* a number that is not there, or none */

struct omaha_event {
	uint32_t type, result; /* OMAHA_UNSAID */
	uint32_t error;        /* without the bits that are no code; 0 when not there */
	char previous[OMAHA_TEXT];
};

/* Texts are "" when not there. */
struct omaha_app {
	char id[OMAHA_TEXT]; /* as sent, often with braces; never "" */
	char version[OMAHA_TEXT], track[OMAHA_TEXT], board[OMAHA_TEXT];
	char machine_id[OMAHA_TEXT], boot_id[OMAHA_TEXT];
	bool ping, check;
	size_t n_events;
	struct omaha_event event[OMAHA_EVENTS_MAX];
};

struct omaha_request {
	char user_id[OMAHA_TEXT], session_id[OMAHA_TEXT];
	bool on_demand; /* a person asked for it */
	size_t n_apps;
	struct omaha_app app[OMAHA_APPS_MAX];
};

/*
 * Clears what it fills, and no more.  ERR_MALFORMED: no XML, or no request; ERR_WRONG_TYPE: of another protocol than 3;
 * ERR_MISSING_FIELD: an app without an id; ERR_TOO_BIG: more or longer than there is room for here.
 */
WARN_UNUSED int omaha_read(struct bytes body, struct omaha_request *out);

/* The device's own name: of the app's machine, or else the request's user; "" when it has none. */
const char *omaha_device(const struct omaha_request *r, const struct omaha_app *app);

enum omaha_word {
	OMAHA_NOTHING, /* or nothing that counts here */
	OMAHA_PROGRESS,
	OMAHA_DOWNLOADED,
	OMAHA_INSTALLED,   /* waits for the reboot */
	OMAHA_BOOTED,      /* from event.previous to app.version */
	OMAHA_FAILED,      /* the build */
	OMAHA_UNREACHED,   /* this server, or the file: no word about the build */
	OMAHA_ROLLED_BACK, /* app.version is the old build */
	OMAHA_WORD__COUNT
};

/*
 * Every check of update_engine carries "3/2": only one that names another version than the app's as
 * the one before is a boot.
 */
enum omaha_word omaha_said(const struct omaha_app *app, const struct omaha_event *e);

/* Borrowed. */
struct omaha_update {
	const char *version;
	const char *codebase;         /* absolute; in front of the package's name */
	const char *package;          /* name of the file */
	uint64_t size;                /* bytes; not 0 */
	const uint8_t *sha1, *sha256; /* 20 and SHA256_LEN bytes; sha1 may be NULL */
};

struct omaha_answer {
	bool unknown;                      /* there is no such app here */
	const struct omaha_update *update; /* NULL: none for it */
	uint32_t poll_s;                   /* until the next check; 0 leaves it out */
};

/*
 * Appends the response: `answer` has one for each app of the request; pings and events are
 * acknowledged.  `day_s`: seconds since midnight.
 */
void omaha_write(struct buf *out, const struct omaha_request *r, const struct omaha_answer *answer,
	uint32_t day_s);
