/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>

#include "store/oplog.h"

#include "tests/unit/scratch.h"

static struct oplog_id log_id(uint64_t office, uint32_t epoch, uint8_t lane) {
	return (struct oplog_id){ scratch_id(office), epoch, lane };
}

/* The bytes of leaf @index of log @log: of a length that goes up and down. */
static struct span leaf_bytes(unsigned log, uint64_t index, uint8_t buf[3000]) {
	const size_t len = 40 + (index * 37 + log * 11) % 500 + (index % 50 == 7 ? 2400 : 0);

	memset(buf, 'a' + log, len);
	put_be64(buf, index);
	return (struct span){ buf, len };
}

static struct leaf make_leaf(unsigned log, uint64_t index, uint8_t buf[3000]) {
	struct leaf leaf = { .bytes = leaf_bytes(log, index, buf) };

	if (index % 9 == 4) {
		leaf_withhold(&leaf);
		leaf.reach = index % REACH_N;
	}
	return leaf;
}

static uint64_t append(struct txn *txn, struct oplog *oplog, unsigned log) {
	uint8_t buf[3000];
	struct leaf leaf = make_leaf(log, oplog->frontier.size, buf);
	struct hash hash;
	uint64_t arrival;

	leaf_hash(&leaf, &hash);
	cr_assert_eq(oplog_append(txn, oplog, &leaf, &hash, &arrival), 0);
	return arrival;
}

static void expect_leaf(unsigned log, uint64_t index, const struct leaf *leaf) {
	uint8_t buf[3000];
	struct leaf want = make_leaf(log, index, buf);

	cr_assert_eq(leaf->withheld, want.withheld);
	cr_assert_eq(leaf->reach, want.reach);
	if (want.withheld)
		cr_assert_arr_eq(leaf->hash.b, want.hash.b, 32);
	else
		cr_assert(span_eq(leaf->bytes, want.bytes));
}

static struct head make_head(const struct oplog *oplog) {
	struct head head = { .size = oplog->frontier.size };

	frontier_root(&oplog->frontier, &head.root);
	memset(head.signature, (int)head.size, sizeof(head.signature));
	return head;
}

Test(oplog, is_made_with_the_next_number_and_comes_back_as_it_was_left) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	struct oplog_id ids[] = { log_id(7, 1, 1), log_id(7, 1, 0), log_id(7, 2, 1), log_id(6, 1, 1) };
	struct txn *txn = scratch_txn(store);
	struct oplog oplog, again;
	struct head head;

	for (size_t i = 0; i < N_ELEMENTS(ids); i++) {
		cr_expect_eq(oplog_load(txn, &ids[i], &oplog), STORE_NOT_FOUND);
		cr_assert_eq(oplog_load_or_create(txn, &ids[i], &oplog), 0);
		cr_expect_eq(oplog.number, i + 1);
		cr_expect_eq(oplog.frontier.size, 0);
		cr_expect_eq(oplog.head.size, 0);
	}
	cr_assert_eq(oplog_load_or_create(txn, &ids[2], &oplog), 0);
	cr_expect_eq(oplog.number, 3);
	for (unsigned i = 0; i < 100; i++)
		append(txn, &oplog, 2);
	head = make_head(&oplog);
	cr_assert_eq(oplog_put_head(txn, &oplog, &head, false), 0);
	append(txn, &oplog, 2);
	cr_assert_eq(oplog_flush(txn, &oplog), 0);
	cr_expect_not(oplog.dirty);
	cr_assert_eq(store_commit(txn), 0);

	txn = scratch_txn(store);
	cr_assert_eq(oplog_load(txn, &ids[2], &again), 0);
	cr_expect(oplog_id_eq(&again.id, &ids[2]));
	cr_expect_eq(again.number, 3);
	cr_expect_eq(again.bytes, oplog.bytes);
	cr_expect_eq(again.frontier.size, 101);
	cr_expect_eq(again.head.size, 100);
	cr_expect_arr_eq(again.head.root.b, head.root.b, 32);
	cr_expect_arr_eq(again.head.signature, head.signature, SIGN_SIGNATURE_LEN);
	cr_expect_eq(again.head_bytes, oplog.head_bytes);
	head = make_head(&oplog);
	cr_expect_arr_eq(make_head(&again).root.b, head.root.b, 32);
	store_abort(txn);
}

static int list_number(void *userdata, const struct oplog *oplog) {
	char *list = userdata;

	snprintf(list + strlen(list), 8, "%u ", oplog->number);
	return oplog->number == 9 ? 5 : 0;
}

Test(oplog, are_listed_by_office_epoch_and_lane_until_told_to_stop) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	const struct oplog_id ids[] = {
		log_id(3, 1, 0), log_id(1, 256, 1), log_id(1, 2, 2), log_id(1, 2, 0), log_id(2, 1, 1),
	};
	char list[100] = "";
	struct oplog oplog;

	for (size_t i = 0; i < N_ELEMENTS(ids); i++)
		cr_assert_eq(oplog_load_or_create(txn, &ids[i], &oplog), 0);
	cr_expect_eq(oplog_each(txn, list_number, list), 0);
	cr_expect_str_eq(list, "4 3 2 5 1 ");
}

struct order {
	const struct oplog_id *ids;
	uint64_t arrival;
	uint64_t size[3];
};

static int check_order(void *userdata, const struct oplog_id *id, uint64_t index, uint64_t arrival,
	const struct leaf *leaf) {
	struct order *order = userdata;

	for (unsigned log = 0; log < 3; log++)
		if (oplog_id_eq(id, &order->ids[log])) {
			cr_assert_eq(arrival, ++order->arrival);
			cr_assert_eq(index, order->size[log]++);
			expect_leaf(log, index, leaf);
			return index == 999999 ? 1 : 0;
		}
	cr_assert_fail("a leaf of no oplog");
	return -1;
}

Test(oplog, finds_every_leaf_however_the_oplogs_came_in_turn) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	const struct oplog_id ids[3] = { log_id(1, 1, 1), log_id(2, 1, 1), log_id(3, 1, 1) };
	uint64_t arrivals[3][4000], sizes[3] = { 0 }, random = 5, n_all = 0, n_runs, index, arrival;
	struct order order = { .ids = ids };
	struct oplog oplogs[3];
	struct txn *txn;
	struct oplog_id found;
	struct leaf leaf;

	for (unsigned turn = 0; turn < 40; turn++) {
		txn = scratch_txn(store);
		for (unsigned log = 0; log < 3; log++)
			cr_assert_eq(oplog_load_or_create(txn, &ids[log], &oplogs[log]), 0);
		for (unsigned part = 0; part < 6; part++) {
			const unsigned log = scratch_random(&random) % 3;
			const uint64_t n = scratch_random(&random) % 30;

			for (uint64_t i = 0; i < n; i++)
				arrivals[log][sizes[log]++] = append(txn, &oplogs[log], log);
			n_all += n;
		}
		for (unsigned log = 0; log < 3; log++)
			cr_assert_eq(oplog_flush(txn, &oplogs[log]), 0);
		if (turn % 5 == 4) {
			store_abort(txn); /* as if the turn had not been */
			for (unsigned log = 0; log < 3; log++)
				n_all -= sizes[log];
			cr_assert_eq(store_begin_read(store, &txn), 0);
			for (unsigned log = 0; log < 3; log++) {
				cr_assert_eq(oplog_load(txn, &ids[log], &oplogs[log]), 0);
				sizes[log] = oplogs[log].frontier.size;
				n_all += sizes[log];
			}
			store_abort(txn);
		} else {
			cr_assert_eq(store_commit(txn), 0);
		}
	}

	cr_assert_eq(store_begin_read(store, &txn), 0);
	for (unsigned log = 0; log < 3; log++) {
		cr_assert_gt(sizes[log], 100);
		cr_assert_eq(oplog_load(txn, &ids[log], &oplogs[log]), 0);
		for (uint64_t i = 0; i < sizes[log]; i++) {
			cr_assert_eq(oplog_leaf(txn, &oplogs[log], i, &leaf, &arrival), 0);
			cr_assert_eq(arrival, arrivals[log][i]);
			expect_leaf(log, i, &leaf);
			cr_assert_eq(oplog_leaf_at(txn, arrival, &leaf), 0);
			expect_leaf(log, i, &leaf);
			if (i % 50 == 0) {
				cr_assert_eq(oplog_locate(txn, arrival, &found, &index), 0);
				cr_assert(oplog_id_eq(&found, &ids[log]));
				cr_assert_eq(index, i);
			}
		}
		cr_expect_eq(oplog_leaf(txn, &oplogs[log], sizes[log], &leaf, &arrival), STORE_NOT_FOUND);
		for (uint64_t first = 0; first <= sizes[log]; first += 61) {
			_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
			uint64_t i = first;

			cr_assert_eq(oplog_walk_open(txn, &oplogs[log], first, &walk), 0);
			while (oplog_walk_next(walk, &index, &leaf, &arrival) == 0) {
				cr_assert_eq(index, i);
				cr_assert_eq(arrival, arrivals[log][i]);
				expect_leaf(log, i++, &leaf);
			}
			cr_assert_eq(i, sizes[log]);
		}
	}
	oplogs[0].run.length = 0;
	oplogs[0].number = 4;
	cr_expect_eq(oplog_leaf(txn, &oplogs[0], 0, &leaf, &arrival), STORE_NOT_FOUND);
	oplogs[0].number = 0;
	cr_expect_eq(oplog_leaf(txn, &oplogs[0], 0, &leaf, &arrival), STORE_NOT_FOUND);
	cr_expect_eq(oplog_locate(txn, n_all + 1, &found, &index), STORE_NOT_FOUND);
	cr_expect_eq(oplog_leaf_at(txn, n_all + 1, &leaf), STORE_NOT_FOUND);
	cr_expect_eq(oplog_each_leaf(txn, check_order, &order), 0);
	cr_expect_eq(order.arrival, n_all);
	cr_assert_eq(txn_count(txn, TABLE_RUNS, &n_runs), 0);
	cr_expect_lt(n_runs, 40 * 6);
	store_abort(txn);
}

Test(oplog, gives_the_root_of_any_size, .timeout = 60) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	const uint64_t sizes[] = { 0, 1, 2, 1023, 1024, 1025, 2047, 2048, 3000, 3071, 3072, 3100 };
	struct oplog oplogs[2];
	struct frontier naive, made;
	struct hash hash, other;
	uint8_t buf[3000];
	size_t next = 0;

	for (unsigned log = 0; log < 2; log++) {
		const struct oplog_id id = log_id(log + 1, 1, 0);

		cr_assert_eq(oplog_load_or_create(txn, &id, &oplogs[log]), 0);
	}
	for (unsigned i = 0; i < 3100; i++)
		for (unsigned log = 0; log < 2; log++)
			append(txn, &oplogs[log], log);
	frontier_init(&naive);
	for (uint64_t i = 0; i <= 3100; i++) {
		if (i == sizes[next]) {
			cr_assert_eq(oplog_frontier(txn, &oplogs[1], i, &made), 0);
			cr_assert_eq(made.size, i);
			frontier_root(&naive, &hash);
			frontier_root(&made, &other);
			cr_expect_arr_eq(hash.b, other.b, sizeof(hash.b), "%zu", (size_t)i);
			next++;
		}
		if (i < 3100) {
			struct leaf leaf = make_leaf(1, i, buf);

			leaf_hash(&leaf, &hash);
			frontier_append(&naive, &hash);
		}
	}
	cr_expect_eq(oplog_subtree(txn, &oplogs[1], 2, &hash), 0);
	cr_expect_eq(oplog_subtree(txn, &oplogs[1], 3, &hash), STORE_NOT_FOUND);
	cr_expect_eq(oplog_frontier(txn, &oplogs[1], 3101, &made), -EIO, "beyond what there is");
}

Test(oplog, one_oplog_alone_is_a_single_run) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	const struct oplog_id id = log_id(1, 1, 1);
	struct oplog oplog;
	struct txn *txn;
	uint64_t n;

	for (unsigned turn = 0; turn < 10; turn++) {
		txn = scratch_txn(store);
		cr_assert_eq(oplog_load_or_create(txn, &id, &oplog), 0);
		for (unsigned i = 0; i < turn * 3; i++)
			append(txn, &oplog, 0);
		cr_assert_eq(oplog_flush(txn, &oplog), 0);
		cr_assert_eq(store_commit(txn), 0);
	}
	cr_assert_eq(store_begin_read(store, &txn), 0);
	cr_assert_eq(txn_count(txn, TABLE_RUNS, &n), 0);
	cr_expect_eq(n, 0, "it has not ended");
	cr_assert_eq(oplog_load(txn, &id, &oplog), 0);
	cr_expect_eq(oplog.run.length, oplog.frontier.size);
	store_abort(txn);
}

enum {
	LEAVES_MAX = 60 * 4 * 1500,
};

/* Cumulative bytes at each size, as the store should count them. */
struct sums {
	uint64_t at[LEAVES_MAX + 1];
};

static bool in_batch(const struct sums *sums, uint64_t from, uint64_t to) {
	return sums->at[to] - sums->at[from] <= BATCH_BYTES_MAX && to - from <= BATCH_LEAVES_MAX;
}

/* What oplog_head_after() should say, from all heads that are kept. */
static uint64_t farthest(struct txn *txn, const struct oplog *oplog, const struct sums *sums,
	uint64_t from) {
	uint64_t best = 0;
	struct head head = { .size = from };

	while (oplog_next_head(txn, oplog, head.size, &head) == 0)
		if (best == 0 || in_batch(sums, from, head.size))
			best = head.size;
	return best;
}

Test(oplog, keeps_heads_no_more_than_a_batch_apart_and_few_of_them, .timeout = 60) {
	static const struct {
		const char *what;
		unsigned leaf_max, between_max; /* bytes of a leaf, leaves between heads */
	} cases[] = {
		{ "a head after every few records", 600, 5 },
		{ "a head now and then", 600, 50 },
		{ "leaves so small that their number counts", 2, 1000 },
		{ "leaves so small, a head for each few", 2, 40 },
		{ "large leaves", 16000, 2 },
		{ "batches as large as they may be", 0, 0 },
	};
	struct sums *sums = calloc(1, sizeof(*sums));
	static uint8_t bytes[BATCH_BYTES_MAX];
	uint64_t random = 3;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(scratch_done) struct scratch scratch = scratch_new();
		_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
		const struct oplog_id id = log_id(1, 1, 1);
		uint64_t size = 0, last = 0, n_kept = 0, before_last = 0;
		struct oplog oplog, other;
		struct txn *txn = scratch_txn(store);
		struct head head, next;
	
		/* Its neighbours in the table must not be taken for its own. */
		for (unsigned n = 1; n <= 3; n++) {
			const struct oplog_id other_id = log_id(n, n == 1 ? 1 : 9, 1);

			cr_assert_eq(oplog_load_or_create(txn, &other_id, &other), 0);
			if (n == 1)
				continue;
			append(txn, &other, 0);
			head = make_head(&other);
			cr_assert_eq(oplog_put_head(txn, &other, &head, false), 0);
			cr_assert_eq(oplog_flush(txn, &other), 0);
		}
		cr_assert_eq(store_commit(txn), 0);

		for (unsigned turn = 0; turn < 60; turn++) {
			txn = scratch_txn(store);
			cr_assert_eq(oplog_load(txn, &id, &oplog), 0);
			for (unsigned n_heads = 0; n_heads < 4; n_heads++) {
				const uint64_t n = cases[i].between_max == 0
					? 4 : 1 + scratch_random(&random) % cases[i].between_max;

				for (uint64_t k = 0; k < n; k++) {
					const size_t len = cases[i].leaf_max == 0 ? BATCH_BYTES_MAX / 4
						: 1 + scratch_random(&random) % cases[i].leaf_max;
					const struct leaf leaf = {
						.withheld = cases[i].leaf_max > 32 && size % 5 == 3,
						.bytes = { bytes, len },
					};
					const struct hash hash = { { size } };
					uint64_t arrival;

					cr_assert_eq(oplog_append(txn, &oplog, &leaf, &hash, &arrival), 0);
					sums->at[size + 1] = sums->at[size] + (leaf.withheld || len < 32 ? 32 : len);
					size++;
				}
				head = make_head(&oplog);
				cr_assert_eq(oplog_put_head(txn, &oplog, &head, false), 0);
				if (n_heads == 2) /* a second time, as a batch without new leaves would */
					cr_assert_eq(oplog_put_head(txn, &oplog, &head, false), 0);
			}
			cr_assert_eq(oplog_flush(txn, &oplog), 0);
			cr_assert_eq(store_commit(txn), 0);
		}

		cr_assert_eq(store_begin_read(store, &txn), 0);
		cr_assert_eq(oplog_load(txn, &id, &oplog), 0);
		cr_expect_eq(oplog.bytes, sums->at[size]);
		while (oplog_next_head(txn, &oplog, last, &head) == 0) {
			cr_assert(in_batch(sums, last, head.size), "%s: %lu to %lu", cases[i].what,
				last, head.size);
			if (n_kept >= 1 && head.size < size)
				cr_assert_not(in_batch(sums, before_last, head.size), "%s: more than needed",
					cases[i].what);
			before_last = last;
			last = head.size;
			n_kept++;
		}
		cr_assert_eq(last, size, "the newest always stays");
		for (uint64_t from = 0; from < size; from += 1 + size / 300) {
			cr_assert_eq(oplog_head_after(txn, &oplog, from, UINT64_MAX, &head), 0);
			cr_assert_eq(head.size, farthest(txn, &oplog, sums, from), "%s from %lu",
				cases[i].what, from);
			cr_assert_arr_eq(head.signature, ((uint8_t[]){ head.size, head.size }), 2);
			cr_assert_eq(oplog_next_head(txn, &oplog, from, &next), 0);
			cr_expect_eq(oplog_head_after(txn, &oplog, from, next.size, &head), 0);
			cr_expect_eq(head.size, next.size);
			cr_expect_eq(oplog_head_after(txn, &oplog, from, next.size - 1, &head), STORE_NOT_FOUND);
		}
		for (uint64_t at = 0, n = 0; at < size; at = head.size, n++) {
			cr_assert_eq(oplog_head_after(txn, &oplog, at, UINT64_MAX, &head), 0);
			cr_assert(in_batch(sums, at, head.size));
			cr_assert_leq(n, n_kept, "a backlog takes at most a batch a head");
		}
		cr_expect_eq(oplog_head_after(txn, &oplog, size, UINT64_MAX, &head), STORE_NOT_FOUND);
		cr_expect_eq(oplog_head_after(txn, &oplog, UINT64_MAX, UINT64_MAX, &head), STORE_NOT_FOUND);
		store_abort(txn);
	}
	free(sums);
}

Test(oplog, the_newest_head_is_found_before_and_after_its_row_is_written) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	const struct oplog_id id = log_id(1, 1, 1);
	struct oplog oplog;
	struct head head, found;

	cr_assert_eq(oplog_load_or_create(txn, &id, &oplog), 0);
	head = make_head(&oplog);
	cr_expect_eq(oplog_put_head(txn, &oplog, &head, false), 0);
	cr_expect_eq(oplog_next_head(txn, &oplog, 0, &found), STORE_NOT_FOUND,
		"a head over nothing is not kept");
	append(txn, &oplog, 0);
	head = make_head(&oplog);
	cr_assert_eq(oplog_put_head(txn, &oplog, &head, false), 0);
	cr_assert_eq(oplog_next_head(txn, &oplog, 0, &found), 0);
	cr_expect_arr_eq(found.root.b, head.root.b, 32);
	cr_assert_eq(oplog_put_head(txn, &oplog, &head, false), 0);
	cr_assert_eq(oplog_flush(txn, &oplog), 0);
	cr_assert_eq(oplog_load(txn, &id, &oplog), 0);
	cr_assert_eq(oplog_head_after(txn, &oplog, 0, UINT64_MAX, &found), 0);
	cr_expect_arr_eq(found.signature, head.signature, SIGN_SIGNATURE_LEN);
}

Test(oplog, a_row_that_is_not_ours_is_an_error_and_no_crash) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	const struct oplog_id id = log_id(1, 1, 1);
	uint8_t key[OPLOG_KEY_LEN], arrival[8];
	struct oplog oplog;
	struct leaf leaf;

	oplog_key(&id, key);
	put_be64(arrival, 1);
	for (size_t len = 0; len < 400; len++) {
		static const uint8_t ones[400] = { [0 ... 399] = 0xff };

		cr_assert_eq(txn_put(txn, TABLE_OPLOGS, (struct span){ key, sizeof(key) },
			(struct span){ ones, len }), 0);
		cr_assert_lt(oplog_load(txn, &id, &oplog), 0);
		cr_assert_eq(txn_put(txn, TABLE_RECORDS, (struct span){ arrival, 8 },
			(struct span){ ones, len }), 0);
		cr_assert_lt(oplog_leaf_at(txn, 1, &leaf), 0);
	}
}

/* Two oplogs by turns, so that there are many runs. */
Test(oplog, says_which_number_arrived_when_and_which_is_of_another) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	struct oplog oplogs[2];
	uint64_t index;

	for (unsigned log = 0; log < 2; log++)
		cr_assert_eq(oplog_load_or_create(txn, &(struct oplog_id){ scratch_id(log), 1, 1 }, &oplogs[log]), 0);
	for (unsigned i = 0; i < 300; i++)
		append(txn, &oplogs[i / 7 % 2], i / 7 % 2);
	for (unsigned i = 0; i < 300; i++) {
		unsigned log = i / 7 % 2;
		struct leaf leaf;
		uint64_t arrival;

		cr_assert_eq(oplog_index_of(txn, &oplogs[log], i + 1, &index), 0);
		cr_assert_eq(oplog_leaf(txn, &oplogs[log], index, &leaf, &arrival), 0);
		cr_expect_eq(arrival, i + 1);
		cr_expect_eq(oplog_index_of(txn, &oplogs[!log], i + 1, &index), STORE_NOT_FOUND);
	}
	cr_expect_eq(oplog_index_of(txn, &oplogs[0], 0, &index), STORE_NOT_FOUND);
	cr_expect_eq(oplog_index_of(txn, &oplogs[0], 301, &index), STORE_NOT_FOUND);
}

Test(oplog, a_leaf_that_is_disclosed_is_read_in_full_and_counts_as_before) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	const struct oplog_id id = log_id(7, 1, 1);
	struct txn *txn = scratch_txn(store);
	struct leaf leaf, want;
	struct oplog oplog;
	uint8_t buf[3000];
	struct head head, again;
	uint64_t arrival;

	cr_assert_eq(oplog_load_or_create(txn, &id, &oplog), 0);
	for (unsigned i = 0; i < 400; i++) {
		append(txn, &oplog, 2);
		if (i % 20 == 19) {
			head = make_head(&oplog);
			cr_assert_eq(oplog_put_head(txn, &oplog, &head, false), 0);
		}
	}
	cr_assert_eq(oplog_flush(txn, &oplog), 0);
	cr_assert_eq(oplog_head_after(txn, &oplog, 13, UINT64_MAX, &head), 0);
	for (uint64_t i = 4; i < 400; i += 9) {
		cr_assert_eq(oplog_leaf(txn, &oplog, i, &leaf, &arrival), 0);
		cr_assert(leaf.withheld);
		cr_assert_eq(oplog_disclose(txn, arrival, leaf_bytes(2, i, buf)), 0);
	}
	cr_assert_eq(store_commit(txn), 0);

	txn = scratch_txn(store);
	cr_assert_eq(oplog_load(txn, &id, &oplog), 0);
	for (uint64_t i = 0; i < 400; i++) {
		uint64_t weight;

		cr_assert_eq(oplog_leaf(txn, &oplog, i, &leaf, &arrival), 0);
		want = make_leaf(2, i, buf);
		weight = leaf_weight(&want);
		cr_expect_not(leaf.withheld);
		cr_expect_eq(leaf.disclosed, want.withheld);
		cr_expect(span_eq(leaf.bytes, leaf_bytes(2, i, buf)));
		cr_expect_eq(leaf_weight(&leaf), weight, "leaf %lu", i);
	}
	cr_assert_eq(oplog_head_after(txn, &oplog, 13, UINT64_MAX, &again), 0);
	cr_expect_eq(again.size, head.size, "a batch ends where it would have ended");
	store_abort(txn);
}
