/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * csvfile - a CSV file (RFC 4180, UTF-8) as rows of cells that know their line
 *
 * Cells come trimmed, in NFC, with line ends as a single newline. Empty lines are passed over.
 * The only includer of <csv.h>.
 */
#include "proto/base.h"

struct csvrow {
	uint64_t line; /* where it begins, counted from 1 */
	size_t first;  /* of its cells */
	size_t n;
};

struct csvfile {
	struct csvrow *rows; /* the header is the first */
	size_t n_rows;
	size_t cap_rows;
	struct span *cells;  /* each on the heap */
	size_t n_cells;
	size_t cap_cells;
	uint64_t fault_line; /* where reading stopped, after CSVFILE_*, counted from 1 */
};

enum {
	CSVFILE_NOT_UTF8 = 1,
	CSVFILE_BAD_QUOTES = 2, /* a quote inside a cell, or one that is never closed */
};

/* 0, an outcome, or -errno. On every return, csvfile_done() frees what was read. */
int csvfile_parse(struct span bytes, struct csvfile *ret_file);
void csvfile_done(struct csvfile *file);

/* A copy, trimmed, in NFC, on the heap, with a zero behind it. 0, CSVFILE_NOT_UTF8 or -errno. */
int csvfile_normalise(struct span raw, struct span *ret_text);
