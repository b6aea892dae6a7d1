/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/changes.h"

#include "tests/unit/scratch.h"

static const struct change tally_change = {
	.type = CHANGE_TALLY, .time_ms = 1700000000000, .office = { { 1, 2, 3 } },
	.tally = { 202406, 4, 1, MEASURE_RECEIVED, UINT64_MAX },
};

static struct change escalation_change(void) {
	return (struct change){
		.type = CHANGE_ESCALATION, .time_ms = UINT64_MAX, .office = { { 9 } },
		.escalation = { .petition = { { 7 } }, .reference = 91632400042, .cause = CAUSE_PEOPLE,
			.rule = span_str("đông người"), .state = 4, .measured = 120, .threshold = 100,
			.people = UINT32_MAX, .category = 255 },
	};
}

static struct span encode(const struct change *change, uint8_t buf[CHANGE_MAX]) {
	struct writer w;

	writer_init(&w, buf, CHANGE_MAX);
	change_encode(change, &w);
	cr_assert(writer_ok(&w));
	return writer_span(&w);
}

Test(changes, a_row_is_read_back_whole_and_nothing_else_is_a_row) {
	const struct change escalated = escalation_change();
	uint8_t buf[CHANGE_MAX], again[CHANGE_MAX];
	const struct change *both[] = { &tally_change, &escalated };

	for (size_t i = 0; i < 2; i++) {
		const struct span row = encode(both[i], buf);
		struct change change;

		cr_assert_eq(change_decode(row, &change), 0);
		cr_expect_eq(change.type, both[i]->type);
		cr_expect_eq(change.time_ms, both[i]->time_ms);
		cr_expect(id_eq(&change.office, &both[i]->office));
		cr_expect(span_eq(encode(&change, again), row));
		for (size_t len = 0; len < row.len; len++)
			cr_expect_eq(change_decode((struct span){ buf, len }, &change), CHANGE_MALFORMED);
		for (unsigned type = 0; type < 128; type++) { /* the second byte is the type */
			buf[1] = type;
			cr_expect_eq(change_decode(row, &change),
				type == both[i]->type ? 0 : CHANGE_MALFORMED);
		}
	}
}

Test(changes, the_longest_escalation_fits_a_row) {
	struct change change = escalation_change();
	char rule[ESCALATION_RULE_MAX];
	uint8_t buf[CHANGE_MAX];

	memset(rule, 'r', sizeof(rule));
	change.escalation.rule = (struct span){ (uint8_t *)rule, sizeof(rule) };
	change.escalation.reference = change.escalation.measured = change.escalation.threshold =
		UINT64_MAX;
	change.escalation.cause = change.escalation.state = 255;
	cr_expect_eq(change_decode(encode(&change, buf), &change), 0);
}

static void append_at(struct txn *txn, uint64_t time_ms, uint64_t want_number) {
	struct change change = tally_change;
	uint8_t buf[CHANGE_MAX];
	uint64_t number;

	change.time_ms = time_ms;
	cr_assert_eq(changes_append(txn, encode(&change, buf), &number), 0);
	cr_assert_eq(number, want_number);
}

struct seen {
	uint64_t first, last, stop_at;
};

static int see(void *userdata, uint64_t number, struct span row) {
	struct seen *seen = userdata;
	struct change change;

	cr_assert_eq(change_decode(row, &change), 0);
	cr_assert_eq(change.time_ms, number * 10);
	if (seen->first == 0)
		seen->first = number;
	else
		cr_assert_eq(number, seen->last + 1);
	seen->last = number;
	return number == seen->stop_at ? 9 : 0;
}

Test(changes, numbers_go_on_through_forgetting_and_restarts) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	struct txn *txn = scratch_txn(store);
	struct seen seen = { 0 };
	uint64_t last = 99;

	cr_assert_eq(changes_last(txn, &last), 0);
	cr_expect_eq(last, 0);
	cr_expect_eq(changes_each(txn, 0, see, &seen), 0);
	cr_expect_eq(changes_forget(txn, UINT64_MAX, 10), 0);
	for (uint64_t number = 1; number <= 50; number++)
		append_at(txn, number * 10, number);
	cr_assert_eq(store_commit(txn), 0);
	store = store_close(store);

	store = scratch_open(&scratch);
	txn = scratch_txn(store);
	cr_expect_eq(changes_forget(txn, 105, 3), 0, "three at most");
	cr_expect_eq(changes_each(txn, 2, see, &seen), CHANGES_FORGOTTEN);
	cr_expect_eq(seen.first, 0, "and nothing is given then");
	cr_expect_eq(changes_each(txn, 3, see, &seen), 0);
	cr_expect_eq(seen.first, 4);
	cr_expect_eq(seen.last, 50);
	cr_expect_eq(changes_forget(txn, 105, 1000), 0);
	seen = (struct seen){ 0 };
	cr_expect_eq(changes_each(txn, 9, see, &seen), CHANGES_FORGOTTEN);
	cr_expect_eq(changes_each(txn, 10, see, &seen), 0);
	cr_expect_eq(seen.first, 11);
	seen = (struct seen){ .stop_at = 20 };
	cr_expect_eq(changes_each(txn, 15, see, &seen), 9, "what stops it is returned");
	cr_expect_eq(seen.first, 16);

	cr_expect_eq(changes_forget(txn, UINT64_MAX, 1000), 0);
	cr_assert_eq(changes_last(txn, &last), 0);
	cr_expect_eq(last, 50, "the newest stays");
	cr_expect_eq(changes_each(txn, 0, see, &seen), CHANGES_FORGOTTEN);
	seen = (struct seen){ 0 };
	cr_expect_eq(changes_each(txn, 50, see, &seen), 0);
	cr_expect_eq(changes_each(txn, 51, see, &seen), 0, "from the future: nothing yet");
	cr_expect_eq(changes_each(txn, UINT64_MAX, see, &seen), 0);
	cr_expect_eq(seen.first, 0);
	append_at(txn, 510, 51);
	cr_assert_eq(store_commit(txn), 0);
	store = store_close(store);

	store = scratch_open(&scratch);
	txn = scratch_txn(store);
	append_at(txn, 520, 52);
	store_abort(txn);
}
