/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ctl/fleetfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/buf.h"
#include "server/base/mem.h"
#include "server/base/text.h"
#include "server/ctl/fleetfile_private.h"

#define LINE_LEN_MAX 65536u
#define ERROR_MAX    256

struct fleetfile {
	FILE *in;
	const char *path;
	bool json;
	uint64_t bytes;
	uint32_t line;         /* of what is read next */
	struct buf text;       /* a record */
	struct fleet_json *js; /* of the record under way */
	size_t n_columns;
	enum fleet_column column[FLEET_COLUMNS];
};

const char *const fleet_columns[] = { "id", "serial_sha256", "product", "build", "ring", "wish",
	"key", "token", "token_sha256", "enrolled", "last_seq", "left", "protocol", "name", NULL };

enum fleet_column fleet_column_of(const char *name)
{
	unsigned c = 0;

	while (c < FLEET_COLUMNS && strcmp(fleet_columns[c], name) != 0)
		c++;
	return (enum fleet_column)c;
}

/* ---- records ---- */

/*
 * One record, which is a line, without its end; one that is too long is cut.  False at the end of the
 * file.  No column can hold a line break, so a quote that is not closed costs one row, not the rest.
 */
static bool read_record(struct fleetfile *f, bool *too_long)
{
	bool any = false;
	int c;

	f->text.len = 0;
	*too_long = false;
	while ((c = getc_unlocked(f->in)) != EOF) {
		f->bytes++;
		any = true;
		f->line += c == '\n';
		if (c == '\n')
			break;
		*too_long |= f->text.len == LINE_LEN_MAX;
		if (!*too_long) {
			*buf_room(&f->text, 1) = (uint8_t)c;
			f->text.len++;
		}
	}
	if (f->text.len > 0 && f->text.data[f->text.len - 1] == '\r')
		f->text.len--;
	*buf_room(&f->text, 1) = '\0';
	return any;
}

static bool has_nul(const struct fleetfile *f)
{
	return f->text.len > 0 && memchr(f->text.data, '\0', f->text.len) != NULL;
}

/* What a terminal would obey, were it told as a name that is not known. */
static bool has_control(const struct fleetfile *f)
{
	for (size_t i = 0; i < f->text.len; i++)
		if (f->text.data[i] < ' ' || f->text.data[i] == 0x7f)
			return true;
	return false;
}

/* ---- CSV ---- */

/* The field at *p without its quotes, in place; *p goes behind its comma, NULL at the end. */
static const char *csv_field(char **p, const char **why)
{
	char *from = *p, *to = from, *start = from;
	bool quoted = *from == '"';

	from += quoted;
	for (; *from != '\0' && (quoted || *from != ','); from++) {
		if (*from == '"' && !quoted)
			*why = "a quote in the middle of a field: quote all of it";
		if (*from == '"' && quoted && from[1] != '"') {
			quoted = false;
			from++;
			break;
		}
		from += *from == '"' && quoted;
		*to++ = *from;
	}
	if (quoted)
		*why = "a quote that is not closed";
	if (*from != '\0' && *from != ',')
		*why = "text behind a closing quote";
	*p = *from == ',' ? from + 1 : NULL;
	*to = '\0';
	return start;
}

/* Blank fields are absent ones. */
static const char *csv_values(struct fleetfile *f, struct fleet_values *v)
{
	char *p = (char *)f->text.data;
	const char *why = NULL;
	size_t n = 0;

	for (; p != NULL && why == NULL; n++) {
		const char *field = csv_field(&p, &why);
		if (n < f->n_columns && field[0] != '\0')
			v->of[f->column[n]] = field;
	}
	if (why == NULL && n != f->n_columns)
		why = n < f->n_columns ? "too few fields" : "too many fields";
	return why;
}

static int bad_header(const struct fleetfile *f, char *error, const char *name, const char *why)
{
	(void)snprintf(error, ERROR_MAX, "%.120s:1: %s%.40s%s", f->path, name[0] != '\0' ? "'" : "",
		name, why);
	return ERR_CONFIG;
}

static int read_header(struct fleetfile *f, char *error)
{
	const char *why = NULL;
	bool too_long;
	char *p;

	if (!read_record(f, &too_long) || f->text.len == 0)
		return bad_header(f, error, "", "a header is missing: id,product,ring,key say");
	if (too_long || has_control(f))
		return bad_header(f, error, "", "this is no CSV file");
	for (p = (char *)f->text.data; p != NULL;) {
		const char *name = csv_field(&p, &why);
		enum fleet_column c = fleet_column_of(name);
		const char *near = text_nearest(name, fleet_columns);
		char text[80];
		if (why != NULL)
			return bad_header(f, error, "", why);
		(void)snprintf(text, sizeof(text), "' is no column%s%s%s",
			near != NULL ? "; did you mean '" : ": huiductl help fleet import",
			near != NULL ? near : "", near != NULL ? "'?" : "");
		if (c == FLEET_COLUMNS)
			return bad_header(f, error, name[0] != '\0' ? name : " ", text);
		for (size_t i = 0; i < f->n_columns; i++)
			if (f->column[i] == c)
				return bad_header(f, error, name, "' stands in the header twice");
		f->column[f->n_columns++] = c;
	}
	return 0;
}

/* ---- both ---- */

/* A byte order mark, which spreadsheets write, and the character that tells which of the two it is. */
static void begin(struct fleetfile *f)
{
	static const int mark[] = { 0xef, 0xbb, 0xbf };
	size_t i = 0;
	int c = 0;

	while (i < 3 && (c = getc(f->in)) == mark[i])
		i++;
	if (i < 3 && c != EOF)
		(void)ungetc(c, f->in);
	c = getc(f->in);
	if (c != EOF)
		(void)ungetc(c, f->in);
	f->json = c == '{';
}

int fleetfile_open(const char *path, struct fleetfile **out, char *error)
{
	struct fleetfile *f = mem_zalloc(sizeof(*f));
	int err = 0;

	f->path = path;
	f->in = fopen(path, "re");
	if (f->in == NULL) {
		err = -errno;
		(void)snprintf(error, ERROR_MAX, "%.160s: %s", path, strerror(errno));
	} else {
		begin(f);
		f->line = 1;
		if (!f->json)
			err = read_header(f, error);
	}
	if (err != 0)
		fleetfile_close(f);
	else
		*out = f;
	return err;
}

void fleetfile_close(struct fleetfile *f)
{
	if (f == NULL)
		return;
	if (f->in != NULL)
		(void)fclose(f->in); /* only read */
	fleet_json_free(f->js);
	buf_release(&f->text);
	free(f);
}

uint64_t fleetfile_bytes(const struct fleetfile *f)
{
	return f->bytes;
}

int fleetfile_error(const struct fleetfile *f)
{
	return ferror(f->in) ? -EIO : 0;
}

enum fleetfile_end fleetfile_next(
	struct fleetfile *f, struct fleet_row *out, char why[FLEET_WHY_MAX])
{
	struct fleet_values v = { .of = { NULL } };
	const char *wrong = NULL;
	bool too_long;
	uint32_t line;

	fleet_json_free(f->js);
	f->js = NULL;
	do {
		line = f->line;
		if (!read_record(f, &too_long))
			return FLEETFILE_END;
	} while (f->text.len == 0 && !too_long);
	*out = (struct fleet_row){ .line = line };
	if (too_long)
		wrong = "the line is longer than 65,536 characters";
	else if (has_nul(f))
		wrong = "a NUL character";
	else if (f->json)
		wrong = fleet_json_values(buf_bytes(&f->text), &v, &f->js);
	else
		wrong = csv_values(f, &v);
	if (wrong != NULL) {
		(void)snprintf(why, FLEET_WHY_MAX, "%s", wrong);
		return FLEETFILE_BAD;
	}
	return fleet_row_read(&v, out, why) ? FLEETFILE_ROW : FLEETFILE_BAD;
}
