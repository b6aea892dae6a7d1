/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/office.h"
#include "proto/reference.h"

enum {
	END_FIELDS = 1 + LANE_N,
	TERM_FIELDS = 2 + END_FIELDS,
	PARENT_FIELDS = 2,
};

static void write_end(struct writer *w, const struct office_end *end) {
	write_uint(w, end->epoch);
	for (unsigned lane = 0; lane < LANE_N; lane++)
		write_uint(w, end->sizes[lane]);
}

static void read_end_of(struct reader *r, struct office_end *ret_end) {
	ret_end->epoch = read_uint(r, EPOCH_MAX);
	for (unsigned lane = 0; lane < LANE_N; lane++)
		ret_end->sizes[lane] = read_uint(r, UINT64_MAX);
}

void office_encode(const struct office *office, struct writer *w) {
	write_array(w, OFFICE_FIELDS + (office->tenure ? 2 : office->has_end));
	write_id(w, &office->id);
	write_id_or_nil(w, &office->parent);
	write_str(w, office->level);
	write_uint(w, office->code);
	write_uint(w, office->code_digits);
	write_str(w, office->name);
	write_bin(w, (struct span){ office->sign_key, sizeof(office->sign_key) });
	write_bin(w, (struct span){ office->curve_key, sizeof(office->curve_key) });
	write_uint(w, office->valid_from_ms);
	write_uint(w, office->state);
	if (office->has_end) {
		write_array(w, END_FIELDS);
		write_end(w, &office->end);
	} else if (office->tenure) {
		write_nil(w);
	}
	if (office->tenure)
		write_uint(w, office->tenure);
}

static void read_key(struct reader *r, uint8_t *ret_key, size_t len) {
	struct span key = read_bin(r, len, len);

	if (key.len > 0)
		memcpy(ret_key, key.data, len);
}

int office_decode(struct span body, struct office *ret_office) {
	struct office office = { 0 };
	struct reader r;
	bool ended = false; /* by a nil: there is no end, and something after it */

	reader_init(&r, body);
	read_array(&r, OFFICE_FIELDS, UINT64_MAX);
	read_id(&r, &office.id);
	read_id_or_nil(&r, &office.parent);
	office.level = read_line(&r, 1, OFFICE_LEVEL_MAX);
	office.code = read_uint(&r, REFERENCE_CODE_MAX);
	office.code_digits = read_uint(&r, UINT8_MAX);
	office.name = read_line(&r, 1, OFFICE_NAME_MAX);
	read_key(&r, office.sign_key, sizeof(office.sign_key));
	read_key(&r, office.curve_key, sizeof(office.curve_key));
	office.valid_from_ms = read_uint(&r, TIME_MAX_MS);
	office.state = read_uint(&r, UINT8_MAX);
	if (reader_peek(&r) == VALUE_ARRAY) {
		office.has_end = true;
		read_array(&r, END_FIELDS, UINT64_MAX);
		read_end_of(&r, &office.end);
		read_end(&r);
	} else if (reader_peek(&r) == VALUE_NIL) {
		read_nil(&r);
		ended = true;
	}
	if ((office.has_end || ended) && reader_peek(&r) == VALUE_UINT) {
		office.tenure = read_uint(&r, OFFICE_PARENTS_MAX);
		if (office.tenure == 0)
			reader_fail(&r);
	}
	read_end(&r);
	if (reader_done(&r) != 0 || id_is_nil(&office.id) ||
		!reference_code_ok(office.code, office.code_digits))
		return OFFICE_MALFORMED;
	*ret_office = office;
	return 0;
}

void office_former_write(struct writer *w, const struct office_former *former) {
	write_array(w, former->n);
	for (size_t i = 0; i < former->n; i++) {
		const struct office_term *term = &former->terms[i];

		write_array(w, TERM_FIELDS);
		write_bin(w, (struct span){ term->sign_key, sizeof(term->sign_key) });
		write_end(w, &term->end);
		write_uint(w, term->next_epoch);
	}
}

void office_former_read(struct reader *r, struct office_former *ret_former) {
	ret_former->n = read_array(r, 0, OFFICE_FORMER_MAX);
	for (size_t i = 0; i < ret_former->n && !r->failed; i++) {
		struct office_term *term = &ret_former->terms[i];

		read_array(r, TERM_FIELDS, TERM_FIELDS);
		read_key(r, term->sign_key, sizeof(term->sign_key));
		read_end_of(r, &term->end);
		term->next_epoch = read_uint(r, EPOCH_MAX);
		read_end(r);
		if (term->next_epoch < term->end.epoch ||
			(i > 0 && (office_end_compare(&ret_former->terms[i - 1].end, &term->end) > 0 ||
					  term->end.epoch < ret_former->terms[i - 1].next_epoch)))
			reader_fail(r);
	}
	read_end(r);
}

int office_end_compare(const struct office_end *a, const struct office_end *b) {
	int later = 0;

	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	for (unsigned lane = 0; lane < LANE_N && later == 0; lane++)
		later = (a->sizes[lane] > b->sizes[lane]) - (a->sizes[lane] < b->sizes[lane]);
	return later;
}

static bool is_beyond(const struct office_end *end, const struct oplog_id *oplog, uint64_t size) {
	return oplog->epoch > end->epoch || (oplog->epoch == end->epoch && size > end->sizes[oplog->lane]);
}

int office_term_of(const struct office *office, const struct office_former *former, const struct oplog_id *oplog,
	uint64_t size) {
	uint32_t begin = 0;

	if (office->has_end && is_beyond(&office->end, oplog, size))
		return OFFICE_ENDED;
	for (size_t i = 0; i < former->n && oplog->epoch >= begin; i++) {
		if (!is_beyond(&former->terms[i].end, oplog, size))
			return (int)i;
		begin = former->terms[i].next_epoch;
	}
	return oplog->epoch >= begin ? (int)former->n : OFFICE_ENDED;
}

const uint8_t *office_term_key(const struct office *office, const struct office_former *former, size_t term) {
	return term < former->n ? former->terms[term].sign_key : office->sign_key;
}

const uint8_t *office_key_of(const struct office *office, const struct office_former *former,
	const struct oplog_id *oplog, uint64_t size) {
	int term = office_term_of(office, former, oplog, size);

	return term == OFFICE_ENDED ? NULL : office_term_key(office, former, (size_t)term);
}

bool office_may_end_term(const struct office *said, const uint8_t key[SIGN_PUBLIC_LEN], const struct oplog_id *oplog,
	uint64_t index) {
	if (!said->has_end || oplog->lane != LANE_URGENT)
		return false;
	if (said->end.epoch == oplog->epoch)
		return said->end.sizes[LANE_URGENT] == index + 1;
	return said->end.epoch < oplog->epoch && index == 0 && memcmp(said->sign_key, key, SIGN_PUBLIC_LEN) == 0;
}

bool office_answers_for(const struct office *office, const struct office_former *former, const struct oplog_id *oplog,
	uint64_t size) {
	int term = office_term_of(office, former, oplog, size);

	return term != OFFICE_ENDED &&
		memcmp(office_term_key(office, former, (size_t)term), office->sign_key, SIGN_PUBLIC_LEN) == 0;
}

uint64_t office_next_end(const struct office_former *former, const struct oplog_id *oplog, uint64_t from) {
	for (size_t i = 0; i < former->n; i++) {
		const struct office_end *end = &former->terms[i].end;

		if (end->epoch == oplog->epoch && end->sizes[oplog->lane] > from)
			return end->sizes[oplog->lane];
	}
	return UINT64_MAX;
}

bool office_has_key(const struct office *office, const struct office_former *former,
	const uint8_t key[SIGN_PUBLIC_LEN]) {
	for (size_t i = 0; i < former->n; i++)
		if (memcmp(former->terms[i].sign_key, key, SIGN_PUBLIC_LEN) == 0)
			return true;
	return memcmp(office->sign_key, key, SIGN_PUBLIC_LEN) == 0;
}

bool office_is_quarantined(const struct office_forks *forks, uint32_t epoch) {
	return forks->found > 0 && (epoch < forks->found || forks->settled < forks->found);
}

uint64_t office_limit(const struct office *office, const struct office_former *former, const struct oplog_id *oplog) {
	if (office->has_end && oplog->epoch >= office->end.epoch)
		return oplog->epoch > office->end.epoch ? 0 : office->end.sizes[oplog->lane];
	for (size_t i = 0; i < former->n; i++) {
		const struct office_term *term = &former->terms[i];

		if (oplog->epoch >= term->end.epoch && oplog->epoch < term->next_epoch)
			return oplog->epoch > term->end.epoch ? 0 : term->end.sizes[oplog->lane];
	}
	return UINT64_MAX;
}

void office_parents_write(struct writer *w, const struct office_parents *parents) {
	write_array(w, parents->n);
	for (size_t i = 0; i < parents->n; i++) {
		write_array(w, PARENT_FIELDS);
		write_id(w, &parents->list[i].id);
		write_uint(w, parents->list[i].tenure);
	}
}

void office_parents_read(struct reader *r, struct office_parents *ret_parents) {
	*ret_parents = (struct office_parents){ .n = read_array(r, 0, OFFICE_PARENTS_MAX) };
	for (size_t i = 0; i < ret_parents->n && !r->failed; i++) {
		read_array(r, PARENT_FIELDS, PARENT_FIELDS);
		read_id(r, &ret_parents->list[i].id);
		ret_parents->list[i].tenure = read_uint(r, OFFICE_PARENTS_MAX);
		read_end(r);
	}
	read_end(r);
}

bool office_had_parent(const struct office_parents *parents, const struct id *parent) {
	for (size_t i = 0; i < parents->n; i++)
		if (id_eq(&parents->list[i].id, parent))
			return true;
	return false;
}

void office_add_parent(struct office_parents *parents, const struct id *parent, uint8_t tenure) {
	if (parents->n == OFFICE_PARENTS_MAX)
		return;
	parents->list[parents->n].id = *parent;
	parents->list[parents->n++].tenure = tenure;
}

uint8_t office_next_tenure(const struct office_parents *parents, const struct id *parent) {
	uint8_t tenure = 0;

	for (size_t i = 0; i < parents->n; i++)
		if (id_eq(&parents->list[i].id, parent) && parents->list[i].tenure >= tenure)
			tenure = parents->list[i].tenure + 1;
	return tenure < OFFICE_PARENTS_MAX ? tenure : OFFICE_PARENTS_MAX;
}
