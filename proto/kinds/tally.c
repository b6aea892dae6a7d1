/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/tally.h"

void tally_encode(const struct tally_row *rows, size_t n_rows, struct writer *w) {
	write_array(w, n_rows);
	for (size_t i = 0; i < n_rows; i++) {
		write_array(w, TALLY_ROW_FIELDS);
		write_uint(w, rows[i].period);
		write_uint(w, rows[i].category);
		write_uint(w, rows[i].organisation);
		write_uint(w, rows[i].measure);
		write_uint(w, rows[i].n < TALLY_N_MAX ? rows[i].n : TALLY_N_MAX);
	}
}

uint64_t tally_rank(const struct tally_row *row) {
	return (uint64_t)row->period << 24 | (uint64_t)row->category << 16 |
		(uint64_t)row->organisation << 8 | row->measure;
}

int tally_decode(struct span body, struct tally_row *ret_rows, size_t *ret_n_rows) {
	struct reader r;
	uint64_t n;

	reader_init(&r, body);
	n = read_array(&r, 0, TALLY_ROWS_MAX);
	for (uint64_t i = 0; i < n; i++) {
		struct tally_row *row = &ret_rows[i];

		read_array(&r, TALLY_ROW_FIELDS, UINT64_MAX);
		row->period = read_uint(&r, UINT32_MAX);
		row->category = read_uint(&r, UINT8_MAX);
		row->organisation = read_uint(&r, UINT8_MAX);
		row->measure = read_uint(&r, UINT8_MAX);
		row->n = read_uint(&r, TALLY_N_MAX);
		read_end(&r);
		if (i > 0 && tally_rank(row) <= tally_rank(row - 1))
			reader_fail(&r);
	}
	read_end(&r);
	if (reader_done(&r) != 0)
		return TALLY_MALFORMED;
	*ret_n_rows = n;
	return 0;
}
