/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/cases.h"

#include <errno.h>

#include "proto/codec.h"

enum {
	CASE_FIELDS = 24,
	CASE_ROW_MAX = 3 + 9 * CASE_FIELDS + 16,
	STEP_PREFIX_LEN = 16 + 4 + 4 + 32, /* case, sequence, office, what it follows */
	STEP_KEY_LEN = STEP_PREFIX_LEN + 16,
	ESCALATION_OFFICE_LEN = 16 + 4,                        /* case, office */
	ESCALATION_CLOCK_LEN = ESCALATION_OFFICE_LEN + 1 + 4,  /* cause, clock */
	ESCALATION_KEY_LEN = ESCALATION_CLOCK_LEN + 16,
	CLOCK_PREFIX_LEN = 4 + 8, /* whose, kind, whether due, state; time */
	CLOCK_KEY_LEN = CLOCK_PREFIX_LEN + 16,
};

static struct span id_span(const struct id *id) {
	return (struct span){ id->b, sizeof(id->b) };
}

bool case_is_held_by(const struct case_row *row, uint32_t number, const struct id *id) {
	return id_is_nil(&row->handed_to) ? row->origin == number : id_eq(&row->handed_to, id);
}

static int decode_case(struct span value, struct case_row *ret_row) {
	struct case_row row;
	struct reader r;

	reader_init(&r, value);
	read_array(&r, CASE_FIELDS, CASE_FIELDS);
	row.kind = read_uint(&r, UINT8_MAX);
	row.legal_kind = read_uint(&r, UINT8_MAX);
	row.state = read_uint(&r, UINT8_MAX);
	row.category = read_uint(&r, UINT8_MAX);
	row.organisation = read_uint(&r, UINT8_MAX);
	row.overdue = read_bool(&r);
	row.urgent = read_bool(&r);
	row.escalated = read_bool(&r);
	row.origin = read_uint(&r, UINT32_MAX);
	read_id_or_nil(&r, &row.handed_to);
	row.people = read_uint(&r, UINT32_MAX);
	row.n_steps = read_uint(&r, UINT32_MAX);
	row.clock_step = read_uint(&r, UINT32_MAX);
	row.arrival = read_uint(&r, UINT64_MAX);
	row.last = read_uint(&r, UINT64_MAX);
	row.reference = read_uint(&r, UINT64_MAX);
	row.received_ms = read_uint(&r, UINT64_MAX);
	row.recorded_ms = read_uint(&r, UINT64_MAX);
	row.since_ms = read_uint(&r, UINT64_MAX);
	row.due_ms = read_uint(&r, UINT64_MAX);
	row.accepted_ms = read_uint(&r, UINT64_MAX);
	row.forwarded_ms = read_uint(&r, UINT64_MAX);
	row.resolved_ms = read_uint(&r, UINT64_MAX);
	row.answered_ms = read_uint(&r, UINT64_MAX);
	read_end(&r);
	if (reader_done(&r) != 0)
		return -EIO;
	*ret_row = row;
	return 0;
}

int cases_get(struct txn *txn, const struct id *id, struct case_row *ret_row) {
	struct span value;
	int r;

	r = txn_get(txn, TABLE_CASES, id_span(id), &value);
	return r ? r : decode_case(value, ret_row);
}

int cases_put(struct txn *txn, const struct id *id, const struct case_row *row) {
	uint8_t value[CASE_ROW_MAX];
	struct writer w;

	writer_init(&w, value, sizeof(value));
	write_array(&w, CASE_FIELDS);
	write_uint(&w, row->kind);
	write_uint(&w, row->legal_kind);
	write_uint(&w, row->state);
	write_uint(&w, row->category);
	write_uint(&w, row->organisation);
	write_bool(&w, row->overdue);
	write_bool(&w, row->urgent);
	write_bool(&w, row->escalated);
	write_uint(&w, row->origin);
	write_id_or_nil(&w, &row->handed_to);
	write_uint(&w, row->people);
	write_uint(&w, row->n_steps);
	write_uint(&w, row->clock_step);
	write_uint(&w, row->arrival);
	write_uint(&w, row->last);
	write_uint(&w, row->reference);
	write_uint(&w, row->received_ms);
	write_uint(&w, row->recorded_ms);
	write_uint(&w, row->since_ms);
	write_uint(&w, row->due_ms);
	write_uint(&w, row->accepted_ms);
	write_uint(&w, row->forwarded_ms);
	write_uint(&w, row->resolved_ms);
	write_uint(&w, row->answered_ms);
	return txn_put(txn, TABLE_CASES, id_span(id), writer_span(&w));
}

int cases_each(struct txn *txn, case_fn fn, void *userdata) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	int r;

	r = scan_open(txn, TABLE_CASES, (struct span){ 0 }, &scan);
	if (r)
		return r;
	while ((r = scan_next(scan, &key, &value)) == 0) {
		struct case_row row;
		struct id id;

		if (key.len != sizeof(id.b))
			return -EIO;
		memcpy(id.b, key.data, sizeof(id.b));
		r = decode_case(value, &row);
		if (!r)
			r = fn(userdata, &id, &row);
		if (r)
			return r;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

static void step_key(const struct id *petition, const struct step_row *row,
	uint8_t ret_key[STEP_KEY_LEN]) {
	memcpy(ret_key, petition->b, 16);
	put_be32(ret_key + 16, row->sequence);
	put_be32(ret_key + 20, row->office);
	memcpy(ret_key + 24, row->follows.b, 32);
	memcpy(ret_key + STEP_PREFIX_LEN, row->record.b, 16);
}

int steps_put(struct txn *txn, const struct id *petition, const struct step_row *row) {
	uint8_t key[STEP_KEY_LEN], value[8];

	step_key(petition, row, key);
	put_be64(value, row->arrival);
	return txn_put(txn, TABLE_STEPS, (struct span){ key, sizeof(key) },
		(struct span){ value, sizeof(value) });
}

int steps_get(struct txn *txn, const struct id *petition, const struct step_row *row, uint64_t *ret_arrival) {
	uint8_t key[STEP_KEY_LEN];
	struct span value;
	int r;

	step_key(petition, row, key);
	r = txn_get(txn, TABLE_STEPS, (struct span){ key, sizeof(key) }, &value);
	if (r == 0 && value.len != 8)
		r = -EIO;
	if (r == 0)
		*ret_arrival = get_be64(value.data);
	return r;
}

/* Those whose key begins with @prefix. */
static int steps_within(struct txn *txn, struct span prefix, step_fn fn, void *userdata) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	int r;

	r = scan_open(txn, TABLE_STEPS, prefix, &scan);
	if (r)
		return r;
	while ((r = scan_next(scan, &key, &value)) == 0) {
		struct step_row row;

		if (key.len != STEP_KEY_LEN || value.len != 8)
			return -EIO;
		if (memcmp(key.data, prefix.data, prefix.len) != 0)
			return 0;
		row.sequence = get_be32(key.data + 16);
		row.office = get_be32(key.data + 20);
		memcpy(row.follows.b, key.data + 24, 32);
		memcpy(row.record.b, key.data + STEP_PREFIX_LEN, 16);
		row.arrival = get_be64(value.data);
		r = fn(userdata, &row);
		if (r)
			return r;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

int steps_each(struct txn *txn, const struct id *petition, step_fn fn, void *userdata) {
	return steps_within(txn, id_span(petition), fn, userdata);
}

int steps_of(struct txn *txn, const struct id *petition, const struct step_row *at, step_fn fn, void *userdata) {
	uint8_t key[STEP_KEY_LEN];

	step_key(petition, at, key);
	return steps_within(txn, (struct span){ key, STEP_PREFIX_LEN }, fn, userdata);
}

static void escalation_key(const struct id *petition, const struct escalation_row *row,
	uint8_t ret_key[ESCALATION_KEY_LEN]) {
	memcpy(ret_key, petition->b, 16);
	put_be32(ret_key + 16, row->office);
	ret_key[ESCALATION_OFFICE_LEN] = row->cause;
	put_be32(ret_key + ESCALATION_OFFICE_LEN + 1, row->clock_step);
	memcpy(ret_key + ESCALATION_CLOCK_LEN, row->record.b, 16);
}

int escalations_put(struct txn *txn, const struct id *petition, const struct escalation_row *row) {
	uint8_t key[ESCALATION_KEY_LEN], value[8];

	escalation_key(petition, row, key);
	put_be64(value, row->arrival);
	return txn_put(txn, TABLE_ESCALATIONS, (struct span){ key, sizeof(key) },
		(struct span){ value, sizeof(value) });
}

/* Whether there is one whose key begins as that of @row, for @len bytes. */
static int escalations_begin(struct txn *txn, const struct id *petition, const struct escalation_row *row,
	size_t len) {
	uint8_t from[ESCALATION_KEY_LEN];
	struct span key, value;
	int r;

	escalation_key(petition, row, from);
	r = scan_ceiling(txn, TABLE_ESCALATIONS, (struct span){ from, len }, &key, &value);
	if (r)
		return r < 0 ? r : 0;
	return key.len == ESCALATION_KEY_LEN ? memcmp(key.data, from, len) == 0 : -EIO;
}

int cases_have_more(struct txn *txn, const struct id *petition) {
	static const enum table tables[] = { TABLE_STEPS, TABLE_ESCALATIONS };

	for (size_t i = 0; i < N_ELEMENTS(tables); i++) {
		struct span key, value;
		int r = scan_ceiling(txn, tables[i], id_span(petition), &key, &value);

		if (r < 0 || (r == 0 && key.len > 16 && memcmp(key.data, petition->b, 16) == 0))
			return r < 0 ? r : 1;
	}
	return 0;
}

int escalations_by(struct txn *txn, const struct id *petition, uint32_t office) {
	return escalations_begin(txn, petition, &(struct escalation_row){ .office = office },
		ESCALATION_OFFICE_LEN);
}

int escalations_of_clock(struct txn *txn, const struct id *petition, uint32_t office, uint8_t cause,
	uint32_t clock_step) {
	return escalations_begin(txn, petition, &(struct escalation_row){ .office = office, .cause = cause, .clock_step = clock_step },
		ESCALATION_CLOCK_LEN);
}

int escalations_each(struct txn *txn, const struct id *petition, escalation_fn fn, void *userdata) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	int r;

	r = scan_open(txn, TABLE_ESCALATIONS, petition ? id_span(petition) : (struct span){ 0 },
		&scan);
	if (r)
		return r;
	while ((r = scan_next(scan, &key, &value)) == 0) {
		struct escalation_row row;
		struct id id;

		if (key.len != ESCALATION_KEY_LEN || value.len != 8)
			return -EIO;
		memcpy(id.b, key.data, 16);
		row.office = get_be32(key.data + 16);
		row.cause = key.data[ESCALATION_OFFICE_LEN];
		row.clock_step = get_be32(key.data + ESCALATION_OFFICE_LEN + 1);
		memcpy(row.record.b, key.data + ESCALATION_CLOCK_LEN, 16);
		row.arrival = get_be64(value.data);
		if (petition && !id_eq(&id, petition))
			return 0;
		r = fn(userdata, &id, &row);
		if (r)
			return r;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

static void clock_prefix(const struct clock *clock, uint8_t ret_key[CLOCK_PREFIX_LEN]) {
	ret_key[0] = clock->held;
	ret_key[1] = clock->legal_kind;
	ret_key[2] = clock->has_due;
	ret_key[3] = clock->state;
	put_be64(ret_key + CLOCK_PREFIX_LEN - 8, clock->time_ms);
}

static void clock_key(const struct clock *clock, const struct id *id, uint8_t ret_key[CLOCK_KEY_LEN]) {
	clock_prefix(clock, ret_key);
	memcpy(ret_key + CLOCK_PREFIX_LEN, id->b, 16);
}

int clock_put(struct txn *txn, const struct clock *clock, const struct id *id) {
	uint8_t key[CLOCK_KEY_LEN];

	clock_key(clock, id, key);
	return txn_put(txn, TABLE_WAITING, (struct span){ key, sizeof(key) }, (struct span){ 0 });
}

int clock_delete(struct txn *txn, const struct clock *clock, const struct id *id) {
	uint8_t key[CLOCK_KEY_LEN];

	clock_key(clock, id, key);
	return txn_delete(txn, TABLE_WAITING, (struct span){ key, sizeof(key) });
}

int clocks_each(struct txn *txn, const struct clock *from, uint64_t until_ms, clock_fn fn, void *userdata) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	uint8_t first[CLOCK_PREFIX_LEN];
	struct span key, value;
	int r;

	clock_prefix(from, first);
	r = scan_open(txn, TABLE_WAITING, (struct span){ first, sizeof(first) }, &scan);
	if (r)
		return r;
	while ((r = scan_next(scan, &key, &value)) == 0) {
		uint64_t time_ms;
		struct id id;

		if (key.len != CLOCK_KEY_LEN)
			return -EIO;
		time_ms = get_be64(key.data + CLOCK_PREFIX_LEN - 8);
		if (memcmp(key.data, first, CLOCK_PREFIX_LEN - 8) != 0 || time_ms > until_ms)
			return 0;
		memcpy(id.b, key.data + CLOCK_PREFIX_LEN, 16);
		r = fn(userdata, time_ms, &id);
		if (r)
			return r;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

const char *case_state_name(uint8_t state) {
	static const char *const names[CASE_STATE_N] = {
		[CASE_RECEIVED] = "received",
		[CASE_ACCEPTED] = "accepted",
		[CASE_RETURNED] = "returned",
		[CASE_FORWARDED] = "forwarded",
		[CASE_RESOLVED] = "resolved",
		[CASE_ANSWERED] = "answered",
		[CASE_CLOSED] = "closed",
		[CASE_WITHDRAWN] = "withdrawn",
		[CASE_MERGED] = "merged",
		[CASE_HELD] = "held",
	};

	return state < CASE_STATE_N && names[state] ? names[state] : "unknown";
}
