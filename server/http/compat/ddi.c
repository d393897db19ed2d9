/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/compat/ddi.h"

#include <stdio.h>

#include "server/base/json.h"
#include "server/http/compat/json.h"
#include "server/trust/sha1.h"

#define PARTS_MAX 8u
#define DAY_S     86400u
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

/* ---- paths ---- */

static bool is(struct bytes b, const char *word)
{
	return bytes_eq(b, bytes_str(word));
}

/* 0: too many. */
static size_t split(struct bytes path, struct bytes part[PARTS_MAX])
{
	size_t n = 0;

	for (;;) {
		const uint8_t *slash = path.n > 0 ? memchr(path.p, '/', path.n) : NULL;
		size_t len = slash != NULL ? (size_t)(slash - path.p) : path.n;
		if (n == PARTS_MAX)
			return 0;
		part[n++] = bytes_of(path.p, len);
		if (slash == NULL)
			return n;
		path = bytes_of(path.p + len + 1, path.n - len - 1);
	}
}

static int hex_digit(uint8_t c)
{
	return c >= '0' && c <= '9'    ? c - '0'
		: c >= 'a' && c <= 'f' ? c - 'a' + 10
		: c >= 'A' && c <= 'F' ? c - 'A' + 10
				       : -1;
}

/* Without its %XX; as long as the field is, at most. */
static bool read_name(struct bytes in, char out[FOREIGN_NAME_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++, n++) {
		int c = in.p[i];
		if (n == FOREIGN_NAME_MAX)
			return false;
		if (c == '%') {
			int high = i + 2 < in.n ? hex_digit(in.p[i + 1]) : -1;
			int low = high >= 0 ? hex_digit(in.p[i + 2]) : -1;
			if (low < 0)
				return false;
			c = high << 4 | low;
			i += 2;
		}
		out[n] = (char)c;
	}
	out[n] = '\0';
	return strlen(out) == n;
}

static bool read_action(struct bytes in, uint32_t *out)
{
	uint64_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] < '0' || in.p[i] > '9' || n > INT32_MAX)
			return false;
		n = n * 10 + in.p[i] - '0';
	}
	*out = (uint32_t)n;
	return in.n > 0 && n > 0 && n <= INT32_MAX;
}

/* What stands behind the name; "" for any word, "#" for the number of an action. */
static const struct {
	const char *method;
	const char *part[4];
	size_t n;
	enum ddi_resource resource;
} resources[] = {
	{ "GET", { NULL }, 0, DDI_BASE },
	{ "PUT", { "configData" }, 1, DDI_CONFIG_DATA },
	{ "GET", { "deploymentBase", "#" }, 2, DDI_DEPLOYMENT },
	{ "POST", { "deploymentBase", "#", "feedback" }, 3, DDI_DEPLOYMENT_FEEDBACK },
	{ "GET", { "cancelAction", "#" }, 2, DDI_CANCEL },
	{ "POST", { "cancelAction", "#", "feedback" }, 3, DDI_CANCEL_FEEDBACK },
	{ "GET", { "softwaremodules", "", "artifacts", "" }, 4, DDI_ARTIFACT },
};

static bool fits(size_t r, const struct bytes *part, size_t n, uint32_t *action)
{
	if (resources[r].n != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *want = resources[r].part[i];
		if (*want == '#' ? !read_action(part[i], action)
				 : *want != '\0' && !is(part[i], want))
			return false;
	}
	return true;
}

bool ddi_read_path(struct bytes path, const char *method, struct ddi_path *out)
{
	struct bytes part[PARTS_MAX];
	size_t n = split(path, part);

	memset(out, 0, sizeof(*out));
	if (n < 4 || !is(part[1], "controller") || !is(part[2], "v1") ||
		!read_name(part[3], out->name))
		return false;
	if (n == 5 && part[4].n == 0)
		n = 4; /* a slash at the end */
	out->tenant = part[0];
	out->spelt = part[3];
	for (size_t i = 0; i < COUNT(resources); i++)
		if (strcmp(resources[i].method, method) == 0 &&
			fits(i, part + 4, n - 4, &out->action)) {
			out->resource = resources[i].resource;
			if (out->resource == DDI_ARTIFACT)
				out->file = part[5];
			return true;
		}
	return false;
}

/* ---- feedback ---- */

static const struct {
	const char *execution;
	enum foreign_word word; /* of a deployment, when it has not failed */
} executions[] = {
	{ "closed", FOREIGN_SUCCESS },
	{ "downloaded", FOREIGN_DOWNLOADED },
	{ "proceeding", FOREIGN_PROGRESS },
	{ "canceled", FOREIGN_PROGRESS }, /* only `closed` ends an action */
	{ "scheduled", FOREIGN_PROGRESS },
	{ "rejected", FOREIGN_PROGRESS },
	{ "resumed", FOREIGN_PROGRESS },
	{ "download", FOREIGN_PROGRESS },
};

static int read_execution(struct bytes execution, struct bytes finished, enum foreign_word *out)
{
	for (size_t i = 0; i < COUNT(executions); i++)
		if (is(execution, executions[i].execution)) {
			*out = executions[i].word;
			if (*out == FOREIGN_SUCCESS && is(finished, "failure"))
				*out = FOREIGN_FAILURE;
			return 0;
		}
	return ERR_MALFORMED;
}

/*
 * swupdate's last word before the restart.  Its `closed` comes from the other side of it; of clients
 * that do not say this nothing of the kind is known.
 */
static bool is_all_there(const struct json_value *root)
{
	int64_t count, of;

	return json_whole(root, "status.result.progress.cnt", &count) &&
		json_whole(root, "status.result.progress.of", &of) && of > 0 && count == of &&
		is(json_text(root, "status.details.0"), "All Chunks Installed.");
}

static int read_words(struct bytes body, struct json_value **root, struct bytes *execution,
	struct bytes *finished)
{
	struct json_feedback found;

	if (json_read(body, JSON_BYTES_MAX, root) == 0) {
		*execution = json_text(*root, "status.execution");
		*finished = json_text(*root, "status.result.finished");
		return execution->p != NULL ? 0 : ERR_MALFORMED;
	}
	*root = NULL;
	if (!json_scan(body, &found))
		return ERR_MALFORMED;
	*execution = found.execution;
	*finished = found.finished;
	return 0;
}

int ddi_read_feedback(struct bytes body, enum foreign_word *out)
{
	struct json_value *root = NULL;
	struct bytes execution, finished;
	int err = read_words(body, &root, &execution, &finished);

	if (err == 0)
		err = read_execution(execution, finished, out);
	if (err == 0 && *out == FOREIGN_PROGRESS && is_all_there(root))
		*out = FOREIGN_DONE;
	json_free(root);
	return err;
}

int ddi_read_cancel(struct bytes body, enum foreign_word *out)
{
	struct json_value *root = NULL;
	struct bytes execution, finished;
	int err = read_words(body, &root, &execution, &finished);

	if (err == 0)
		err = read_execution(execution, finished, out);
	/* Only this ends it; of all others, also "rejected", it is taken note, and no more. */
	if (err == 0)
		*out = is(execution, "closed") ? FOREIGN_CANCELLED : FOREIGN_FETCH_CANCEL;
	json_free(root);
	return err;
}

bool ddi_read_attribute(struct bytes body, const char *name, struct buf *out)
{
	struct json_value *root = NULL;
	struct json_walk w = { 0 };
	bool found = false;

	if (json_read(body, JSON_BYTES_MAX, &root) != 0)
		return false;
	if (!is(json_text(root, "mode"), "remove"))
		while (!found && json_next(json_at(root, "data"), &w))
			if (is(w.key, name)) {
				struct bytes value = json_text(w.value, "");
				found = value.p != NULL && value.n > 0;
				if (found)
					buf_add(out, value.p, value.n);
			}
	json_free(root);
	return found;
}

/* ---- answers ---- */

static void link_to(struct json *j, const char *name, const char *base, uint32_t action)
{
	struct buf href = { 0 };

	buf_printf(&href, "%s/%s", base, name);
	if (action != 0)
		buf_printf(&href, "/%u", action);
	json_object(j, name);
	json_str(j, "href", buf_text(&href));
	json_end_object(j);
	buf_release(&href);
}

void ddi_write_base(struct buf *out, const struct ddi_links *l)
{
	uint32_t s = l->sleep_s < DAY_S ? l->sleep_s : DAY_S - 1;
	struct json j = { .out = out };
	char sleep[16];

	(void)snprintf(sleep, sizeof(sleep), "%02u:%02u:%02u", s / 3600 % 24, s / 60 % 60, s % 60);
	json_object(&j, NULL);
	json_object(&j, "config");
	json_object(&j, "polling");
	json_str(&j, "sleep", sleep);
	json_end_object(&j);
	json_end_object(&j);
	json_object(&j, "_links");
	if (l->tell == FOREIGN_DEPLOY)
		link_to(&j, "deploymentBase", l->base, l->action);
	if (l->tell == FOREIGN_CANCEL)
		link_to(&j, "cancelAction", l->base, l->action);
	if (l->wants)
		link_to(&j, "configData", l->base, 0);
	json_end_object(&j);
	json_end_object(&j);
}

static void write_artifact(struct json *j, const struct ddi_deployment *d)
{
	char sha256[2 * SHA256_LEN + 1];
	struct buf name = { 0 }, href = { 0 };

	(void)hex_encode(sha256, d->sha256, SHA256_LEN);
	buf_printf(&name, "%s%s", d->build, d->suffix);
	buf_printf(&href, "%s/softwaremodules/%s/artifacts/%s", d->base, sha256, buf_text(&name));
	json_object(j, NULL);
	json_str(j, "filename", buf_text(&name));
	json_object(j, "hashes");
	json_hex(j, "sha1", bytes_of(d->sha1, SHA1_LEN));
	json_str(j, "sha256", sha256);
	json_end_object(j);
	json_u64(j, "size", d->length);
	json_object(j, "_links");
	json_object(j, "download");
	json_str(j, "href", buf_text(&href));
	json_end_object(j);
	json_end_object(j);
	json_end_object(j);
	buf_release(&name);
	buf_release(&href);
}

/* Numbers of actions are texts: rauc refuses any other. */
static void write_id(struct json *j, const char *key, uint32_t action)
{
	char id[16];

	(void)snprintf(id, sizeof(id), "%u", action);
	json_str(j, key, id);
}

void ddi_write_deployment(struct buf *out, const struct ddi_deployment *d)
{
	struct json j = { .out = out };

	json_object(&j, NULL);
	write_id(&j, "id", d->action);
	json_object(&j, "deployment");
	/* Never "skip", which swupdate takes for installed. */
	json_str(&j, "download", "forced");
	json_str(&j, "update", "forced");
	json_array(&j, "chunks");
	json_object(&j, NULL);
	json_str(&j, "part", "os");
	json_str(&j, "version", d->build);
	json_str(&j, "name", d->product);
	json_array(&j, "artifacts");
	write_artifact(&j, d);
	json_end_array(&j);
	json_end_object(&j);
	json_end_array(&j);
	json_end_object(&j);
	json_end_object(&j);
}

void ddi_write_cancel(struct buf *out, uint32_t action)
{
	struct json j = { .out = out };

	json_object(&j, NULL);
	write_id(&j, "id", action);
	json_object(&j, "cancelAction");
	write_id(&j, "stopId", action);
	json_end_object(&j);
	json_end_object(&j);
}
