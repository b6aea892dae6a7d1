/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/cursor.h"

#include "tests/unit/scratch.h"

Test(cursor, is_kept_for_each_neighbour_and_oplog_and_may_go_back) {
	static const struct {
		unsigned neighbour, office;
		uint32_t epoch;
		uint8_t lane;
		uint64_t size;
	} steps[] = {
		{ 1, 1, 1, 0, 5 },
		{ 2, 1, 1, 0, 6 },
		{ 1, 2, 1, 0, 7 },
		{ 1, 1, 2, 0, 8 },
		{ 1, 1, 1, 2, UINT64_MAX },
		{ 1, 1, 1, 0, 3 },
		{ 2, 1, 1, 0, 0 },
	};
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);

	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		const struct id neighbour = scratch_id(steps[i].neighbour);
		const struct oplog_id oplog = { scratch_id(steps[i].office), steps[i].epoch,
			steps[i].lane };
		uint64_t size = 99;

		cr_assert_eq(cursor_get(txn, &neighbour, &oplog, &size), 0);
		cr_expect_eq(size, i == 5 ? 5 : i == 6 ? 6 : 0, "step %zu", i);
		cr_assert_eq(cursor_put(txn, &neighbour, &oplog, steps[i].size), 0);
		cr_assert_eq(cursor_get(txn, &neighbour, &oplog, &size), 0);
		cr_expect_eq(size, steps[i].size, "step %zu", i);
	}
}
