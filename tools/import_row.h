/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * import_row - the cells of one row into one draft, with all that is wrong with them
 *
 * The half of import.c that knows what a petition, a step and a meeting are.
 */
#include "tools/import.h"

enum {
	IMPORT_QUOTE_MAX = 60,             /* bytes of a cell that a message repeats */
	IMPORT_NO_COLUMN = IMPORT_COLUMNS_MAX, /* the line as a whole is at fault */
};

/* One row on its way from cells to a draft. Faults do not stop it: all of them are wanted. */
struct import_reading {
	struct import *import;
	const struct import_context *context;
	const struct span *cells; /* as types[].columns */
	uint64_t line;
	bool of_file;
	int error;       /* sticky: 0 or -errno */
};

struct import_quoted {
	char text[IMPORT_QUOTE_MAX + 4];
};

/* The beginning of a cell for a message, cut where a character ends. */
struct import_quoted import_quote(struct span text);
/* @column: IMPORT_NO_COLUMN for the line as a whole; line 0 for the file as a whole. */
__attribute__((format(printf, 4, 5))) void import_blame(struct import_reading *reading,
	uint64_t line, unsigned column, const char *format, ...);

/* What a row is about, as a hash: an array of a prefix, the office's secret and @n values, each written by the caller. */
void import_key_begin(const struct import_reading *reading, struct writer *w, size_t n);
void import_key_end(struct import_reading *reading, struct writer *w, struct hash *ret_key);

/*
 * The first column in which a row says other than what is kept; IMPORT_NO_COLUMN: in none. Its body
 * must be in its place.
 */
unsigned import_row_differs(const struct import_row *row, const struct import_held *held);

/* Adds a row to the import, also where there are faults. */
void import_row_read(struct import_reading *reading);
