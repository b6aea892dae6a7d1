/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/tallies.h"

#include "tests/unit/scratch.h"

Test(tallies, a_row_replaces_what_was_there_unless_it_is_of_an_older_life) {
	static const struct {
		uint32_t epoch;
		uint64_t n;
		uint32_t want_epoch;
		uint64_t want_n;
	} steps[] = {
		{ 1, 5, 1, 5 }, { 1, 3, 1, 3 }, { 2, 9, 2, 9 }, { 1, 11, 2, 9 }, { 2, 0, 2, 0 },
		{ 3, UINT64_MAX, 3, UINT64_MAX },
	};
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	struct tally_entry entry = { .office = 4, .row = { 202406, 1, 2, MEASURE_RECEIVED, 0 } };
	struct tally_entry held = { .office = 4, .epoch = 77, .row = { 202406, 1, 2, MEASURE_RECEIVED, 77 } };

	cr_expect_eq(tallies_get(txn, &held), STORE_NOT_FOUND);
	cr_expect(held.row.n == 77 && held.epoch == 77, "nothing is filled");
	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		entry.epoch = steps[i].epoch;
		entry.row.n = steps[i].n;
		entry.carried = i;
		cr_assert_eq(tallies_put(txn, &entry), 0);
		cr_assert_eq(tallies_get(txn, &held), 0);
		cr_expect_eq(held.row.n, steps[i].want_n, "step %zu", i);
		cr_expect_eq(held.epoch, steps[i].want_epoch, "step %zu", i);
		cr_expect_eq(held.carried, i == 3 ? 2 : i, "step %zu", i);
	}
}

struct list {
	char text[400];
	unsigned n, stop_at;
	uint8_t last[TALLIES_KEY_LEN];
};

static int list_entry(void *userdata, const struct tally_entry *entry) {
	struct list *list = userdata;

	snprintf(list->text + strlen(list->text), 60, "%u/%u/%u/%u/%u=%lu@%u ", entry->office,
		entry->row.period, entry->row.category, entry->row.organisation,
		entry->row.measure, entry->row.n, entry->epoch);
	tallies_key(entry->office, &entry->row, list->last);
	return ++list->n == list->stop_at ? 1 : 0;
}

Test(tallies, are_listed_in_order_at_once_or_piece_by_piece) {
	static const struct tally_entry entries[] = {
		{ 2, 1, { 202401, 0, 0, 1, 10 }, 0 }, { 1, 1, { 202402, 0, 0, 1, 11 }, 0 },
		{ 1, 1, { 202401, 0, 0, 2, 12 }, 0 }, { 1, 1, { 202401, 0, 1, 1, 13 }, 0 },
		{ 1, 7, { 202401, 1, 0, 1, 14 }, 0 }, { 256, 1, { 202312, 255, 255, 255, 15 }, 0 },
		{ 1, 1, { 202401, 0, 0, 1, 16 }, 0 },
	};
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	struct list all = { .n = 0 }, pieces = { .n = 0 };
	struct span after = { 0 };

	for (size_t i = 0; i < N_ELEMENTS(entries); i++)
		cr_assert_eq(tallies_put(txn, &entries[i]), 0);
	cr_expect_eq(tallies_each(txn, list_entry, &all), 0);
	cr_expect_str_eq(all.text, "1/202401/0/0/1=16@1 1/202401/0/0/2=12@1 1/202401/0/1/1=13@1 "
		"1/202401/1/0/1=14@7 1/202402/0/0/1=11@1 2/202401/0/0/1=10@1 "
		"256/202312/255/255/255=15@1 ");
	pieces.stop_at = 2;
	while (tallies_after(txn, after, list_entry, &pieces) == 1) {
		pieces.stop_at += 2;
		after = (struct span){ pieces.last, TALLIES_KEY_LEN };
	}
	cr_expect_str_eq(pieces.text, all.text);
}
