/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/csvfile.h"

#include <csv.h>
#include <errno.h>
#include <stdlib.h>
#include <uninorm.h>
#include <unistr.h>

static const uint8_t byte_order_mark[] = { 0xef, 0xbb, 0xbf };

/* What libcsv's callbacks are given; it cannot be stopped by them, so the error is kept. */
struct parsing {
	struct csvfile *file;
	size_t row_first; /* of the cells */
	uint64_t row_line;
	bool between_rows;
	int error;
};

/* A heap array that doubles; 0 or -ENOMEM. */
static int make_room(void *array, size_t n, size_t *cap, size_t size) {
	void **items = array;
	size_t want = *cap ? *cap * 2 : 64;
	void *grown;

	if (n < *cap)
		return 0;
	grown = reallocarray(*items, want, size);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*cap = want;
	return 0;
}

static bool is_blank(uint8_t c) {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct span trim(struct span text) {
	static const uint8_t hard_space[] = { 0xc2, 0xa0 }; /* what word processors leave behind */

	for (;;) {
		if (text.len > 0 && is_blank(text.data[0])) {
			text.data++;
			text.len--;
		} else if (text.len > 0 && is_blank(text.data[text.len - 1])) {
			text.len--;
		} else if (text.len >= 2 && memcmp(text.data, hard_space, 2) == 0) {
			text.data += 2;
			text.len -= 2;
		} else if (text.len >= 2 && memcmp(text.data + text.len - 2, hard_space, 2) == 0) {
			text.len -= 2;
		} else {
			return text;
		}
	}
}

int csvfile_normalise(struct span raw, struct span *ret_text) {
	struct span trimmed = trim(raw);
	size_t len = 0;
	size_t out = 0;
	uint8_t *copy = NULL;
	uint8_t *text;

	if (trimmed.len > 0 && u8_check(trimmed.data, trimmed.len))
		return CSVFILE_NOT_UTF8;
	if (trimmed.len > 0) {
		copy = u8_normalize(UNINORM_NFC, trimmed.data, trimmed.len, NULL, &len);
		if (!copy)
			return -errno;
	}
	text = realloc(copy, len + 1);
	if (!text) {
		free(copy);
		return -ENOMEM;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n')
			continue;
		text[out++] = text[i];
	}
	text[out] = '\0';
	*ret_text = (struct span){ text, out };
	return 0;
}

static void on_cell(void *data, size_t len, void *userdata) {
	struct parsing *parsing = userdata;
	struct csvfile *file = parsing->file;
	struct span text;
	int r;

	if (parsing->error)
		return;
	r = make_room(&file->cells, file->n_cells, &file->cap_cells, sizeof(*file->cells));
	if (r == 0)
		r = csvfile_normalise((struct span){ data, len }, &text);
	if (r == 0)
		file->cells[file->n_cells++] = text;
	parsing->error = r;
}

static void on_row(int end, void *userdata) {
	struct parsing *parsing = userdata;
	struct csvfile *file = parsing->file;
	int r;

	parsing->between_rows = true;
	if (parsing->error)
		return;
	r = make_room(&file->rows, file->n_rows, &file->cap_rows, sizeof(*file->rows));
	if (r) {
		parsing->error = r;
		return;
	}
	file->rows[file->n_rows++] = (struct csvrow){
		.line = parsing->row_line,
		.first = parsing->row_first,
		.n = file->n_cells - parsing->row_first,
	};
	parsing->row_first = file->n_cells;
}

/* One line of the file with its end; a quoted cell may go on in the next. */
static int parse_line(struct csv_parser *parser, struct parsing *parsing, struct span line,
	uint64_t number) {
	size_t done;

	if (parsing->between_rows) {
		parsing->row_line = number;
		parsing->between_rows = trim(line).len == 0;
	}
	done = csv_parse(parser, line.data, line.len, on_cell, on_row, parsing);
	if (parsing->error)
		return parsing->error;
	if (done == line.len)
		return 0;
	return csv_error(parser) == CSV_EPARSE ? CSVFILE_BAD_QUOTES : -ENOMEM;
}

static int parse_lines(struct csv_parser *parser, struct parsing *parsing, struct span bytes) {
	uint64_t number = 0;

	while (bytes.len > 0) {
		const uint8_t *end = memchr(bytes.data, '\n', bytes.len);
		struct span line = { bytes.data, end ? (size_t)(end - bytes.data) + 1 : bytes.len };
		int r;

		number++;
		r = parse_line(parser, parsing, line, number);
		if (r) {
			parsing->file->fault_line = number;
			return r;
		}
		bytes.data += line.len;
		bytes.len -= line.len;
	}
	if (csv_fini(parser, on_cell, on_row, parsing) != 0) {
		parsing->file->fault_line = parsing->row_line; /* where the open quote is */
		return csv_error(parser) == CSV_EPARSE ? CSVFILE_BAD_QUOTES : -ENOMEM;
	}
	return parsing->error;
}

static uint64_t line_of(struct span bytes, const uint8_t *where) {
	uint64_t line = 1;

	for (const uint8_t *p = bytes.data; p < where; p++)
		line += *p == '\n';
	return line;
}

int csvfile_parse(struct span bytes, struct csvfile *ret_file) {
	struct parsing parsing = { .file = ret_file, .between_rows = true };
	struct csv_parser parser;
	const uint8_t *bad;
	int r;

	*ret_file = (struct csvfile){ 0 };
	bad = bytes.len ? u8_check(bytes.data, bytes.len) : NULL;
	if (bad) {
		ret_file->fault_line = line_of(bytes, bad);
		return CSVFILE_NOT_UTF8;
	}
	if (bytes.len >= sizeof(byte_order_mark) &&
		memcmp(bytes.data, byte_order_mark, sizeof(byte_order_mark)) == 0) {
		bytes.data += sizeof(byte_order_mark);
		bytes.len -= sizeof(byte_order_mark);
	}
	if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0)
		return -ENOMEM;
	r = parse_lines(&parser, &parsing, bytes);
	csv_free(&parser);
	return r;
}

void csvfile_done(struct csvfile *file) {
	for (size_t i = 0; i < file->n_cells; i++) {
		if (file->cells[i].len > 0)
			explicit_bzero((void *)file->cells[i].data, file->cells[i].len); /* one is a name, perhaps */
		free((void *)file->cells[i].data);
	}
	free(file->cells);
	free(file->rows);
	*file = (struct csvfile){ 0 };
}
