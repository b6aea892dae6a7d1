/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * tally - absolute counts of the office that wrote the record
 *
 * Body: [[period, category, organisation, measure, n], ...], in rising order of the first four, no two alike. A row replaces any earlier
 * row of the same office and the same first four: so nothing that comes twice counts twice.
 *
 * The same body carries what an office goes on counting though it has only hashes of it (KIND_CARRIED): this is
 * added to what it counts, and is for nobody else.
 */
#include "proto/codec.h"

/* The numbers are on the wire. */
enum measure {
	MEASURE_RECEIVED = 1,    /* petitions taken in */
	MEASURE_ACCEPTED = 2,
	MEASURE_RETURNED = 3,    /* waiting for the petitioner to make it clear */
	MEASURE_FORWARDED = 4,   /* to the competent authority, at least once */
	MEASURE_RESOLVED = 5,
	MEASURE_ANSWERED = 6,
	MEASURE_WITHDRAWN = 7,
	MEASURE_ESCALATED = 8,   /* petitions for which at least one escalation is known */
	MEASURE_PEOPLE = 9,      /* people concerned, summed over petitions received */
	MEASURE_MERGED = 10,     /* went on as another case */
	MEASURE_CLOSED = 11,
	MEASURE_MEETINGS = 20,
	MEASURE_ATTENDANCE = 21, /* summed; some of it may be estimates */
	MEASURE_OPINIONS = 22,
	MEASURE_ON_THE_SPOT = 23,
	MEASURE_LATER = 24,
	MEASURE_PENDING = 25,
};

enum {
	TALLY_ROWS_MAX = 512, /* in one record */
	TALLY_ROW_FIELDS = 5,
};

#define TALLY_N_MAX UINT64_C(1000000000000) /* no sum over all offices and months runs over */

enum {
	TALLY_MALFORMED = 1,
};

struct tally_row {
	uint32_t period;      /* the month, as year * 100 + month, Asia/Ho_Chi_Minh */
	uint8_t category;
	uint8_t organisation;
	uint8_t measure;
	uint64_t n;
};

/* The first four fields as one number, whose order is theirs. */
uint64_t tally_rank(const struct tally_row *row);
void tally_encode(const struct tally_row *rows, size_t n_rows, struct writer *w);
/* @ret_rows has room for TALLY_ROWS_MAX. 0 or TALLY_MALFORMED. */
int tally_decode(struct span body, struct tally_row *ret_rows, size_t *ret_n_rows);
