/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/output.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistr.h>
#include <uniwidth.h>

#include "proto/head.h"
#include "proto/reference.h"
#include "tools/dates.h"

#define ENCODING "UTF-8"

enum {
	SHORT_MAX = 64, /* what the format_ functions need */
	KEPT_MAX = 512,
	GAP = 2,        /* between two columns */
	SECOND_MS = 1000,
	MINUTE_MS = 60 * SECOND_MS,
	HOUR_MS = 60 * MINUTE_MS,
};

/* Both kinds of control characters, DEL, and what is not UTF-8 at all. */
static bool commands(ucs4_t c, bool lines) {
	if (lines && (c == '\n' || c == '\t'))
		return false;
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xfffd;
}

char *clean(const char *text, size_t len) {
	const uint8_t *in = (const uint8_t *)text;
	char *copy = malloc(len + 1);
	size_t out = 0;

	if (!copy)
		return NULL;
	while (len > 0) {
		ucs4_t c;
		size_t n = (size_t)u8_mbtouc(&c, in, len);

		if (commands(c, true)) {
			copy[out++] = '?';
		} else {
			memcpy(copy + out, in, n);
			out += n;
		}
		in += n;
		len -= n;
	}
	copy[out] = '\0';
	return copy;
}

__attribute__((format(printf, 3, 0))) static void put_clean(FILE *to, const char *prefix,
	const char *format, va_list args) {
	char *text = NULL;
	char *shown = NULL;
	int len = vasprintf(&text, format, args);

	if (len < 0)
		return;
	shown = clean(text, (size_t)len);
	if (shown)
		fprintf(to, "%s%s\n", prefix, shown);
	free(shown);
	free(text);
}

#define PUT_MESSAGE(format)                                                                        \
	do {                                                                                       \
		va_list args_;                                                                     \
		va_start(args_, format);                                                           \
		put_clean(stderr, "lienthong: ", format, args_);                                   \
		va_end(args_);                                                                     \
	} while (0)

int fail(const char *format, ...) {
	PUT_MESSAGE(format);
	return FAILED;
}

int misuse(const char *format, ...) {
	PUT_MESSAGE(format);
	return MISUSED;
}

int refuse(const char *format, ...) {
	PUT_MESSAGE(format);
	return REFUSED;
}

int fail_memory(void) {
	return fail(_("this computer has no memory left; close other programs and try again"));
}

void say(const char *format, ...) {
	va_list args;

	va_start(args, format);
	put_clean(stdout, "", format, args);
	va_end(args);
}

const char *for_reader(bool json, const char *text) {
	return json ? text : _(text);
}

const char *error_text(bool json, int error) {
	const char *text = json ? strerrordesc_np(error) : strerror(error);

	return text ? text : "?";
}

void listing_init(struct listing *listing, const struct column *columns, size_t n_columns) {
	*listing = (struct listing){ .columns = columns, .n_columns = n_columns };
	listing->rows = json_array();
	listing->failed = !listing->rows;
}

void listing_done(struct listing *listing) {
	for (size_t i = 0; i < listing->n_cells; i++)
		free(listing->cells[i]);
	free(listing->cells);
	json_decref(listing->rows);
	*listing = (struct listing){ .failed = true };
}

void listing_wipe(struct listing *listing) {
	const char *key;
	json_t *row, *value;
	size_t i;

	for (i = 0; i < listing->n_cells; i++)
		explicit_bzero(listing->cells[i], strlen(listing->cells[i]));
	json_array_foreach(listing->rows, i, row)
		json_object_foreach(row, key, value)
			if (json_is_string(value))
				explicit_bzero((char *)json_string_value(value), json_string_length(value));
}

static bool add_value(struct listing *listing, json_t *value) {
	size_t column = listing->n_cells % listing->n_columns;
	json_t *row;

	if (column == 0 && json_array_append_new(listing->rows, json_object()) != 0) {
		json_decref(value);
		return false;
	}
	if (!listing->columns[column].key) {
		json_decref(value);
		return true;
	}
	row = json_array_get(listing->rows, json_array_size(listing->rows) - 1);
	return json_object_set_new(row, listing->columns[column].key, value) == 0;
}

/* Consumes both. */
static void add(struct listing *listing, json_t *value, char *text) {
	if (listing->n_cells == listing->cap_cells && !listing->failed) {
		size_t cap = listing->cap_cells ? 2 * listing->cap_cells : 64;
		char **cells = reallocarray(listing->cells, cap, sizeof(*cells));

		if (cells) {
			listing->cells = cells;
			listing->cap_cells = cap;
		} else {
			listing->failed = true;
		}
	}
	if (listing->failed || !text || !value) {
		listing->failed = true;
		json_decref(value);
		free(text);
		return;
	}
	if (!add_value(listing, value))
		listing->failed = true;
	listing->cells[listing->n_cells++] = text;
}

void cell(struct listing *listing, json_t *value, const char *format, ...) {
	char *text = NULL;
	char *shown = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len >= 0) {
		shown = clean(text, (size_t)len);
		free(text);
	}
	add(listing, value, shown);
}

void cell_text(struct listing *listing, struct span text) {
	char *shown = clean((const char *)text.data, text.len);

	/* as it is for a program; what is not UTF-8 cannot be in JSON */
	add(listing, shown ? json_string(shown) : NULL, shown);
}

void cell_str(struct listing *listing, const char *text) {
	cell_text(listing, span_str(text));
}

void cell_count(struct listing *listing, uint64_t n) {
	cell(listing, json_integer((json_int_t)n), "%llu", (unsigned long long)n);
}

void cell_bytes(struct listing *listing, uint64_t n) {
	char text[SHORT_MAX];

	format_bytes(n, text, sizeof(text));
	cell(listing, json_integer((json_int_t)n), "%s", text);
}

void cell_time(struct listing *listing, uint64_t ms) {
	char text[DATE_TEXT_MAX];
	char iso[DATE_TEXT_MAX];

	if (!ms) {
		cell_none(listing);
		return;
	}
	date_format_time(ms, text);
	date_format_iso(ms, iso);
	cell(listing, json_string(iso), "%s", text);
}

void cell_date(struct listing *listing, uint64_t ms) {
	char text[DATE_TEXT_MAX];

	if (!ms) {
		cell_none(listing);
		return;
	}
	date_format(ms, text);
	cell(listing, json_string(text), "%s", text);
}

void cell_age(struct listing *listing, uint64_t ms) {
	char text[SHORT_MAX];

	format_age(ms, text, sizeof(text));
	cell(listing, json_integer((json_int_t)(ms / SECOND_MS)), "%s", text);
}

void cell_bool(struct listing *listing, bool value) {
	cell(listing, json_boolean(value), "%s", value ? _("yes") : "");
}

void cell_word(struct listing *listing, const struct words *words, uint64_t value) {
	const char *word = words_name(words, value);

	if (word)
		cell(listing, json_string(word), "%s", _(word));
	else
		cell(listing, json_integer((json_int_t)value), "#%llu", (unsigned long long)value);
}

void cell_id(struct listing *listing, const struct id *id) {
	char text[OFFICE_ID_TEXT_LEN + 1];

	id_format(id, text);
	cell_str(listing, text);
}

void cell_reference(struct listing *listing, uint64_t reference) {
	char text[REFERENCE_TEXT_MAX];

	if (!reference) {
		cell_none(listing);
		return;
	}
	reference_format(reference, text);
	cell_str(listing, text);
}

void cell_none(struct listing *listing) {
	cell(listing, json_null(), "%s", "");
}

static size_t width_of(const char *text) {
	return (size_t)u8_strwidth((const uint8_t *)text, ENCODING);
}

/* Cuts @text, which is clean, to @max columns, and puts it on one line. */
static void fit(char *text, size_t max) {
	uint8_t *p = (uint8_t *)text;
	size_t width = 0;
	ucs4_t c;
	int n;

	for (char *at = text; *at; at++) {
		if (*at == '\n' || *at == '\t')
			*at = ' ';
	}
	if (max == 0 || width_of(text) <= max)
		return;
	while ((n = u8_strmbtouc(&c, p)) > 0) {
		int w = uc_width(c, ENCODING);

		width += w > 0 ? (size_t)w : 0;
		if (width > max - 1) /* room for the sign that something is missing */
			break;
		p += n;
	}
	strcpy((char *)p, strlen((char *)p) >= strlen("…") ? "…" : ".");
}

static int padding(const char *text, size_t width) {
	size_t used = width_of(text);

	return width > used ? (int)(width - used) : 0;
}

void put_padded(const char *text, size_t width) {
	printf("%s%*s", text, padding(text, width), "");
}

void put_wrapped(const char *text, size_t indent, size_t width) {
	size_t used = indent;

	while (*text) {
		size_t len = strcspn(text, " ");
		size_t columns = (size_t)u8_width((const uint8_t *)text, len, ENCODING);

		if (used > indent && used + 1 + columns > width) {
			printf("\n%*s", (int)indent, "");
			used = indent;
		} else if (used > indent) {
			putchar(' ');
			used++;
		}
		printf("%.*s", (int)len, text);
		used += columns;
		text += len + (text[len] == ' ');
	}
	putchar('\n');
}

static void put_cell(const char *text, size_t width, bool right, bool last) {
	if (right)
		printf("%*s%s", padding(text, width), "", text);
	else if (last)
		printf("%s", text);
	else
		put_padded(text, width);
	if (!last)
		printf("%*s", GAP, "");
}

void listing_table(const struct listing *listing) {
	size_t n = listing->n_columns;
	size_t *widths = calloc(n, sizeof(*widths));
	size_t last = 0;

	if (!widths)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!listing->columns[i].title)
			continue;
		widths[i] = width_of(_(listing->columns[i].title));
		last = i;
	}
	for (size_t i = 0; i < listing->n_cells; i++) {
		size_t width;

		fit(listing->cells[i], listing->columns[i % n].width_max);
		width = width_of(listing->cells[i]);
		if (width > widths[i % n])
			widths[i % n] = width;
	}
	for (size_t i = 0; i < n + listing->n_cells; i++) {
		const struct column *column = &listing->columns[i % n];

		if (!column->title)
			continue;
		put_cell(i < n ? _(column->title) : listing->cells[i - n], widths[i % n],
			column->right, i % n == last);
		if (i % n == last)
			putchar('\n');
	}
	free(widths);
}

/* A text of several lines keeps them, each under the first. */
static void put_lines(const char *text, size_t indent) {
	for (const char *end; (end = strchr(text, '\n')); text = end + 1)
		printf("%.*s\n%*s", (int)(end - text), text, (int)indent, "");
	printf("%s\n", text);
}

void listing_cards(const struct listing *listing) {
	size_t width = 0;

	for (size_t i = 0; i < listing->n_columns; i++) {
		if (listing->columns[i].title && width_of(_(listing->columns[i].title)) > width)
			width = width_of(_(listing->columns[i].title));
	}
	for (size_t i = 0; i < listing->n_cells; i++) {
		const char *title = listing->columns[i % listing->n_columns].title;

		if (i > 0 && i % listing->n_columns == 0)
			putchar('\n');
		if (!title || listing->cells[i][0] == '\0')
			continue;
		put_padded(_(title), width + GAP);
		put_lines(listing->cells[i], width + GAP);
	}
}

json_t *listing_rows(const struct listing *listing) {
	return listing->failed ? NULL : json_incref(listing->rows);
}

json_t *listing_object(const struct listing *listing) {
	return listing->failed ? NULL : json_incref(json_array_get(listing->rows, 0));
}

static int fail_output(int error) {
	if (error)
		return fail(_("cannot write what is to be shown: %s"), strerror(error));
	return fail(_("cannot write all of what is to be shown")); /* it was found out too late to know why */
}

static int put_json(json_t *value, size_t flags) {
	int r;

	if (!value)
		return fail_memory();
	errno = 0;
	r = json_dumpf(value, stdout, flags);
	json_decref(value);
	if (r != 0 || putchar('\n') == EOF)
		return errno == ENOMEM ? fail_memory() : fail_output(errno);
	return DONE;
}

int json_show(json_t *value) {
	return put_json(value, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
}

int json_line(json_t *value) {
	return put_json(value, JSON_COMPACT);
}

static char kept[KEPT_MAX];

void output_kept(const char *format, ...) {
	va_list args;

	va_start(args, format);
	vsnprintf(kept, sizeof(kept), format, args);
	va_end(args);
	(void)signal(SIGPIPE, SIG_IGN); /* whoever reads no more is told as well */
}

int output_finish(int ending) {
	bool failed = ferror(stdout);

	errno = 0;
	if ((fflush(stdout) != 0 || failed) && ending == DONE)
		ending = fail_output(errno);
	return ending != DONE && kept[0] ? fail("%s", kept) : ending;
}

int listing_show(const struct listing *listing, bool json, const char *nothing) {
	if (listing->failed)
		return fail_memory();
	if (json)
		return json_show(listing_rows(listing));
	if (listing->n_cells == 0)
		say("%s", nothing);
	else
		listing_table(listing);
	return DONE;
}

void format_age(uint64_t ms, char *ret_text, size_t size) {
	unsigned long long days = ms / DATE_DAY_MS;
	unsigned hours = ms % DATE_DAY_MS / HOUR_MS;
	unsigned minutes = ms % HOUR_MS / MINUTE_MS;
	unsigned seconds = ms % MINUTE_MS / SECOND_MS;

	if (days > 0)
		snprintf(ret_text, size, _("%llu d %u h"), days, hours);
	else if (hours > 0)
		snprintf(ret_text, size, _("%u h %u min"), hours, minutes);
	else if (minutes > 0)
		snprintf(ret_text, size, _("%u min"), minutes);
	else
		snprintf(ret_text, size, _("%u s"), seconds);
}

void format_bytes(uint64_t n, char *ret_text, size_t size) {
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	uint64_t tenths = n * 10;
	size_t unit = 0;

	if (n > UINT64_MAX / 10) {
		snprintf(ret_text, size, "%llu B", (unsigned long long)n);
		return;
	}
	while (tenths >= 10240 && unit + 1 < N_ELEMENTS(units)) {
		tenths /= 1024;
		unit++;
	}
	if (unit == 0)
		snprintf(ret_text, size, "%llu B", (unsigned long long)n);
	else
		snprintf(ret_text, size, _("%llu.%llu %s"), (unsigned long long)(tenths / 10),
			(unsigned long long)(tenths % 10), units[unit]);
}

/* Per mille, half up. */
static uint64_t tenths_of(uint64_t part, uint64_t whole) {
	return (uint64_t)(((unsigned __int128)part * 2000 + whole) / ((unsigned __int128)whole * 2));
}

void format_share(uint64_t part, uint64_t whole, char *ret_text, size_t size) {
	uint64_t tenths;

	if (whole == 0) {
		snprintf(ret_text, size, "-");
		return;
	}
	tenths = tenths_of(part, whole);
	/* TRANSLATORS: a percentage with one decimal; put the decimal sign of the language. */
	snprintf(ret_text, size, _("%llu.%llu %%"), (unsigned long long)(tenths / 10),
		(unsigned long long)(tenths % 10));
}

json_t *json_share(uint64_t part, uint64_t whole) {
	return whole == 0 ? json_null() : json_real((double)tenths_of(part, whole) / 10);
}
