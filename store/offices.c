/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/offices.h"

#include <errno.h>

enum {
	ROW_MAX = 4 + OFFICE_BODY_MAX + OFFICE_FORMER_MAX * 96 + OFFICE_PARENTS_MAX * 21 + 32, /* more than any needs */
	OWN_VALUE_LEN = 20,
	ROW_PARTS = 7,
	WORD_KEY_LEN = 16 + 16 + 1 + 1,
};

void office_row_fix(struct office_row *row) {
	row->office.level.data = row->level;
	row->office.name.data = row->name;
}

static struct span id_span(const struct id *id) {
	return (struct span){ id->b, sizeof(id->b) };
}

static int decode_row(struct span value, struct office_row *ret_row) {
	struct reader r;
	struct span body;

	if (value.len < 4)
		return -EIO;
	ret_row->number = get_be32(value.data);
	reader_init(&r, (struct span){ value.data + 4, value.len - 4 });
	read_array(&r, ROW_PARTS, ROW_PARTS);
	body = read_raw(&r);
	office_former_read(&r, &ret_row->former);
	ret_row->forks.found = read_uint(&r, EPOCH_MAX + 1);
	ret_row->forks.settled = read_uint(&r, EPOCH_MAX + 1);
	office_parents_read(&r, &ret_row->parents);
	ret_row->parents.told = read_uint(&r, ret_row->parents.n);
	ret_row->below = read_uint(&r, UINT32_MAX);
	read_end(&r);
	return reader_done(&r) || office_decode(body, &ret_row->office) ? -EIO : 0;
}

int offices_replace(struct txn *txn, const struct office_row *row) {
	uint8_t bytes[ROW_MAX];
	struct writer w;

	put_be32(bytes, row->number);
	writer_init(&w, bytes + 4, sizeof(bytes) - 4);
	write_array(&w, ROW_PARTS);
	office_encode(&row->office, &w);
	office_former_write(&w, &row->former);
	write_uint(&w, row->forks.found);
	write_uint(&w, row->forks.settled);
	office_parents_write(&w, &row->parents);
	write_uint(&w, row->parents.told);
	write_uint(&w, row->below);
	if (!writer_ok(&w))
		return -EINVAL;
	return txn_put(txn, TABLE_OFFICES, id_span(&row->office.id), (struct span){ bytes, 4 + w.len });
}

int offices_get(struct txn *txn, const struct id *id, struct office_row *ret_row) {
	struct span value;
	int r;

	r = txn_get(txn, TABLE_OFFICES, id_span(id), &value);
	if (!r)
		r = decode_row(value, ret_row);
	if (r)
		return r;
	memcpy(ret_row->level, ret_row->office.level.data, ret_row->office.level.len);
	memcpy(ret_row->name, ret_row->office.name.data, ret_row->office.name.len);
	office_row_fix(ret_row);
	return 0;
}

static struct span word_key(const struct office_word *word, uint8_t buf[WORD_KEY_LEN]) {
	memcpy(buf, word->office.b, 16);
	memcpy(buf + 16, word->speaker.b, 16);
	buf[32] = word->tenure;
	buf[33] = word->moves;
	return (struct span){ buf, WORD_KEY_LEN };
}

int offices_put_word(struct txn *txn, const struct office_word *word, struct span body) {
	uint8_t key[WORD_KEY_LEN];

	return txn_put(txn, TABLE_WORDS, word_key(word, key), body);
}

int offices_get_word(struct txn *txn, const struct office_word *word, struct office *ret_said) {
	uint8_t key[WORD_KEY_LEN];
	struct span body;
	int r = txn_get(txn, TABLE_WORDS, word_key(word, key), &body);

	return r ? r : office_decode(body, ret_said) ? -EIO : 0;
}

int offices_put(struct txn *txn, const struct office *office, const struct office_former *former,
	uint32_t *ret_number) {
	struct office_row row;
	uint8_t key[4];
	uint64_t n;
	int r;

	r = offices_get(txn, &office->id, &row);
	if (r == STORE_NOT_FOUND) {
		row.forks = (struct office_forks){ 0 };
		row.parents = (struct office_parents){ 0 };
		row.below = 0;
		r = txn_count(txn, TABLE_OFFICES, &n);
		row.number = n / 2 + 1; /* no office ever goes, and each has two rows */
		put_be32(key, row.number);
		if (r == 0)
			r = txn_put(txn, TABLE_OFFICES, (struct span){ key, sizeof(key) }, id_span(&office->id));
	}
	if (r)
		return r;
	row.office = *office;
	row.former = *former;
	r = offices_replace(txn, &row);
	if (!r)
		*ret_number = row.number;
	return r;
}

int offices_by_number(struct txn *txn, uint32_t number, struct office_row *ret_row) {
	struct span value;
	uint8_t key[4];
	struct id id;
	int r;

	put_be32(key, number);
	r = txn_get(txn, TABLE_OFFICES, (struct span){ key, sizeof(key) }, &value);
	if (r)
		return r;
	if (value.len != sizeof(id.b))
		return -EIO;
	memcpy(id.b, value.data, sizeof(id.b));
	r = offices_get(txn, &id, ret_row);
	return r == STORE_NOT_FOUND ? -EIO : r;
}

int offices_each(struct txn *txn, office_fn fn, void *userdata) {
	struct office_row row;
	int r = 0;

	for (uint32_t number = 1; !r; number++) {
		r = offices_by_number(txn, number, &row);
		if (r)
			return r == STORE_NOT_FOUND ? 0 : r;
		r = fn(userdata, &row);
	}
	return r;
}

int offices_own(struct txn *txn, struct office_row *ret_row, uint32_t *ret_epoch) {
	struct span value;
	uint32_t epoch;
	struct id id;
	int r;

	r = meta_get(txn, "own", &value);
	if (r)
		return r;
	if (value.len != OWN_VALUE_LEN)
		return -EIO;
	memcpy(id.b, value.data, sizeof(id.b));
	epoch = get_be32(value.data + 16);
	r = offices_get(txn, &id, ret_row);
	if (!r)
		*ret_epoch = epoch;
	return r;
}

int offices_set_own(struct txn *txn, const struct id *id, uint32_t epoch) {
	uint8_t value[OWN_VALUE_LEN];

	memcpy(value, id->b, sizeof(id->b));
	put_be32(value + 16, epoch);
	return meta_put(txn, "own", (struct span){ value, sizeof(value) });
}

int offices_parent_address(struct txn *txn, struct span *ret_address) {
	return meta_get(txn, "parent", ret_address);
}

int offices_set_parent_address(struct txn *txn, struct span address) {
	return meta_put(txn, "parent", address);
}
