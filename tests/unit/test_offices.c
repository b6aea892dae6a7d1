/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/offices.h"

#include "tests/unit/scratch.h"

static struct office make_office(uint64_t n, const char *name) {
	struct office office = {
		.id = scratch_id(n),
		.parent = scratch_id(1),
		.code = 9163,
		.code_digits = 5,
		.state = OFFICE_ACTIVE,
		.valid_from_ms = 1700000000000,
		.level = span_str("commune"),
		.name = span_str(name),
	};

	memset(office.sign_key, (int)n, sizeof(office.sign_key));
	memset(office.curve_key, (int)n + 1, sizeof(office.curve_key));
	return office;
}

static void expect_office(const struct office_row *row, const struct office *want) {
	cr_expect(id_eq(&row->office.id, &want->id));
	cr_expect(id_eq(&row->office.parent, &want->parent));
	cr_expect_eq(row->office.code, want->code);
	cr_expect_eq(row->office.code_digits, want->code_digits);
	cr_expect_eq(row->office.state, want->state);
	cr_expect_eq(row->office.valid_from_ms, want->valid_from_ms);
	cr_expect(span_eq(row->office.level, want->level));
	cr_expect(span_eq(row->office.name, want->name));
	cr_expect_arr_eq(row->office.sign_key, want->sign_key, SIGN_PUBLIC_LEN);
	cr_expect_arr_eq(row->office.curve_key, want->curve_key, OFFICE_CURVE_LEN);
}

static int check_number(void *userdata, const struct office_row *row) {
	uint32_t *seen = userdata;

	cr_expect_eq(row->number, ++*seen);
	return row->number == 3 ? 42 : 0;
}

Test(offices, keep_their_number_whatever_else_of_them_changes) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	/* Ids out of order, one of them beginning as the key of a number does. */
	const uint64_t ids[] = { 900, 0x0000000200000000, 7, 400 };
	struct office_row row, copy;
	struct txn *txn = scratch_txn(store);
	struct office office;
	uint32_t number, seen = 0;

	for (size_t i = 0; i < N_ELEMENTS(ids); i++) {
		office = make_office(ids[i], "Hải Châu");
		cr_assert_eq(offices_put(txn, &office, &(struct office_former){ 0 }, &number), 0);
		cr_expect_eq(number, i + 1);
	}
	office = make_office(7, "Hòa Vang, renamed");
	cr_assert_eq(offices_put(txn, &office, &(struct office_former){ 0 }, &number), 0);
	cr_expect_eq(number, 3);
	cr_assert_eq(store_commit(txn), 0);

	cr_assert_eq(store_begin_read(store, &txn), 0);
	cr_assert_eq(offices_get(txn, &office.id, &row), 0);
	cr_expect_eq(row.number, 3);
	expect_office(&row, &office);
	cr_assert_eq(offices_by_number(txn, 2, &row), 0);
	office = make_office(ids[1], "Hải Châu");
	expect_office(&row, &office);
	cr_expect_eq(offices_by_number(txn, 0, &row), STORE_NOT_FOUND);
	cr_expect_eq(offices_by_number(txn, 5, &row), STORE_NOT_FOUND);
	cr_expect_eq(offices_each(txn, check_number, &seen), 42, "what stops it is returned");
	cr_expect_eq(seen, 3);

	copy = row;
	office_row_fix(&copy);
	store_abort(txn);
	store = store_close(store);
	memset(&row, 0, sizeof(row));
	expect_office(&copy, &office); /* neither the store nor the row it came from is needed */
}

Test(offices, the_longest_that_can_be_enrolled_fits_a_row) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	char level[OFFICE_LEVEL_MAX], name[OFFICE_NAME_MAX];
	struct office office = make_office(2, "");
	struct office_row row;
	uint32_t number, seen = 0;

	memset(level, 'l', sizeof(level));
	memset(name, 'n', sizeof(name));
	office.level = (struct span){ (uint8_t *)level, sizeof(level) };
	office.name = (struct span){ (uint8_t *)name, sizeof(name) };
	office.code = 99999;
	office.valid_from_ms = TIME_MAX_MS;
	cr_assert_eq(offices_put(txn, &office, &(struct office_former){ 0 }, &number), 0);
	cr_assert_eq(offices_get(txn, &office.id, &row), 0);
	expect_office(&row, &office);
	cr_expect_eq(offices_each(txn, check_number, &seen), 0);
	cr_expect_eq(seen, 1);
}

Test(offices, a_store_belongs_to_nobody_until_it_is_told) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	const struct office office = make_office(5, "Thanh Khê");
	struct office_row row;
	struct span address;
	uint32_t number, epoch;

	cr_expect_eq(offices_own(txn, &row, &epoch), STORE_NOT_FOUND);
	cr_expect_eq(offices_parent_address(txn, &address), STORE_NOT_FOUND);
	cr_assert_eq(offices_put(txn, &office, &(struct office_former){ 0 }, &number), 0);
	cr_assert_eq(offices_set_own(txn, &office.id, 3), 0);
	cr_assert_eq(offices_set_parent_address(txn, span_str("tcp://10.0.0.1:7250")), 0);
	cr_assert_eq(offices_own(txn, &row, &epoch), 0);
	cr_expect_eq(epoch, 3);
	expect_office(&row, &office);
	cr_assert_eq(offices_parent_address(txn, &address), 0);
	cr_expect(span_eq(address, span_str("tcp://10.0.0.1:7250")));
	cr_assert_eq(offices_set_own(txn, &office.id, 4), 0);
	cr_assert_eq(offices_own(txn, &row, &epoch), 0);
	cr_expect_eq(epoch, 4);
}
