/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <unistd.h>

#include "store/private.h"

static const char petitioner[] = "Nguyễn Thị Hòa, 0900 111 222";
static const uint8_t salt[PRIVATE_SALT_LEN] = { 9, 8, 7 };

struct stage {
	struct scratch scratch;
	struct store *store;
	struct keyring *keyring;
	char ring[PATH_MAX];
};

static struct stage stage_new(void) {
	struct stage stage = { .scratch = scratch_new() };

	stage.store = scratch_store(&stage.scratch);
	snprintf(stage.ring, sizeof(stage.ring), "%s/private.keys", stage.scratch.dir);
	cr_assert_eq(keyring_open(stage.ring, &stage.keyring), 0);
	return stage;
}

static void stage_done(struct stage *stage) {
	keyring_close(stage->keyring);
	store_close(stage->store);
	scratch_done(&stage->scratch);
}

static void keep(struct stage *stage, const struct id *record, const char *text) {
	struct txn *txn = scratch_txn(stage->store);

	cr_assert_eq(private_put(txn, stage->keyring, record, salt, span_str(text)), 0);
	cr_assert_eq(store_commit(txn), 0);
}

static int look(struct stage *stage, const struct id *record, char ret_text[PRIVATE_MAX + 1]) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	uint8_t found_salt[PRIVATE_SALT_LEN];
	size_t len = 0;
	int r;

	cr_assert_eq(store_begin_read(stage->store, &txn), 0);
	r = private_get(txn, stage->keyring, record, found_salt, (uint8_t *)ret_text, &len);
	ret_text[len] = '\0';
	if (r == 0)
		cr_expect_arr_eq(found_salt, salt, sizeof(salt));
	return r;
}

static bool file_has(const char *path, const void *bytes, size_t len) {
	static uint8_t buf[8 << 20];
	FILE *f = fopen(path, "r");
	size_t n;

	cr_assert_not_null(f, "%s", path);
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	return memmem(buf, n, bytes, len) != NULL;
}

Test(private, a_part_is_read_again_and_stands_nowhere_in_the_clear) {
	struct stage stage = stage_new();
	const struct id record = scratch_id(1), other = scratch_id(2);
	char text[PRIVATE_MAX + 1], data[PATH_MAX];

	keep(&stage, &record, petitioner);
	cr_assert_eq(look(&stage, &record, text), 0);
	cr_expect_str_eq(text, petitioner);
	cr_expect_eq(look(&stage, &other, text), STORE_NOT_FOUND);
	snprintf(data, sizeof(data), "%s/data.mdb", stage.scratch.path);
	cr_expect_not(file_has(data, "0900", 4));
	cr_expect_not(file_has(data, salt, sizeof(salt)), "nor its salt: a name could be guessed with it");
	stage_done(&stage);
}

Test(private, each_part_has_a_key_of_its_own_also_after_a_start) {
	struct stage stage = stage_new();
	char text[PRIVATE_MAX + 1], want[32];

	for (unsigned i = 0; i < 600; i++) { /* more than one block of keys */
		const struct id record = scratch_id(i);

		snprintf(want, sizeof(want), "petitioner %u", i);
		keep(&stage, &record, want);
		if (i % 100 == 50) {
			stage.keyring = keyring_close(stage.keyring);
			cr_assert_eq(keyring_open(stage.ring, &stage.keyring), 0);
		}
	}
	for (unsigned i = 0; i < 600; i += 7) {
		uint8_t a[SEAL_KEY_LEN], b[SEAL_KEY_LEN];
		const struct id record = scratch_id(i);

		snprintf(want, sizeof(want), "petitioner %u", i);
		cr_assert_eq(look(&stage, &record, text), 0);
		cr_expect_str_eq(text, want);
		cr_assert_eq(keyring_get(stage.keyring, i, a), 0);
		cr_assert_eq(keyring_get(stage.keyring, i + 1, b), 0);
		cr_expect_arr_neq(a, b, sizeof(a));
	}
	stage_done(&stage);
}

Test(private, what_was_erased_cannot_be_opened_even_from_an_older_copy_of_the_store) {
	struct stage stage = stage_new();
	const struct id record = scratch_id(1), other = scratch_id(2);
	char command[3 * PATH_MAX], text[PRIVATE_MAX + 1];
	struct txn *txn;
	uint32_t key;

	keep(&stage, &record, petitioner);
	keep(&stage, &other, "somebody else");
	snprintf(command, sizeof(command), "cp -r '%s' '%s.old'", stage.scratch.path, stage.scratch.path);
	cr_assert_eq(system(command), 0);
	txn = scratch_txn(stage.store);
	cr_assert_eq(private_erase(txn, &record, &key), 0);
	cr_assert_eq(store_commit(txn), 0);
	cr_assert_eq(keyring_erase(stage.keyring, key), 0);
	cr_expect_eq(look(&stage, &record, text), PRIVATE_ERASED);
	cr_expect_eq(look(&stage, &other, text), 0, "nobody else is forgotten");
	stage.store = store_close(stage.store);
	snprintf(command, sizeof(command), "rm -r '%s' && mv '%s.old' '%s'", stage.scratch.path,
		stage.scratch.path, stage.scratch.path);
	cr_assert_eq(system(command), 0);
	stage.store = scratch_open(&stage.scratch);
	cr_expect_eq(look(&stage, &record, text), PRIVATE_ERASED);
	cr_expect_eq(look(&stage, &other, text), 0);
	stage_done(&stage);
}

Test(private, an_erasure_that_a_power_cut_came_into_is_finished_at_the_next_start) {
	struct stage stage = stage_new();
	const struct id record = scratch_id(1), other = scratch_id(2);
	uint8_t bytes[SEAL_KEY_LEN];
	char text[PRIVATE_MAX + 1];
	struct txn *txn;
	uint32_t key;

	keep(&stage, &record, petitioner);
	keep(&stage, &other, "somebody else");
	txn = scratch_txn(stage.store);
	cr_assert_eq(private_erase(txn, &record, &key), 0);
	cr_assert_eq(store_commit(txn), 0); /* and here the power goes */
	cr_expect_eq(keyring_get(stage.keyring, key, bytes), 0);
	cr_assert_eq(store_begin_read(stage.store, &txn), 0);
	cr_assert_eq(private_settle(txn, stage.keyring), 0);
	cr_expect_eq(private_erase(txn, &record, &key), PRIVATE_ERASED);
	store_abort(txn);
	cr_expect_eq(keyring_get(stage.keyring, key, bytes), KEYRING_ERASED);
	cr_expect_eq(look(&stage, &other, text), 0);
	stage_done(&stage);
}

Test(private, a_part_is_bound_to_its_record_and_its_key) {
	struct stage stage = stage_new();
	const struct id record = scratch_id(1), other = scratch_id(2);
	char text[PRIVATE_MAX + 1];
	uint8_t copy[512];
	struct txn *txn;
	struct span row;

	keep(&stage, &record, petitioner);
	txn = scratch_txn(stage.store);
	cr_assert_eq(txn_get(txn, TABLE_PRIVATE, (struct span){ record.b, 16 }, &row), 0);
	memcpy(copy, row.data, row.len);
	cr_assert_eq(txn_put(txn, TABLE_PRIVATE, (struct span){ other.b, 16 },
			(struct span){ copy, row.len }), 0);
	cr_assert_eq(store_commit(txn), 0);
	cr_expect_eq(look(&stage, &other, text), PRIVATE_LOST, "the row of another");
	stage.keyring = keyring_close(stage.keyring);
	cr_assert_eq(unlink(stage.ring), 0);
	cr_assert_eq(keyring_open(stage.ring, &stage.keyring), 0);
	cr_expect_eq(look(&stage, &record, text), PRIVATE_LOST);
	cr_assert_eq(keyring_make(stage.keyring, 0), 0);
	cr_expect_eq(look(&stage, &record, text), PRIVATE_LOST, "new keys are other keys");
	stage_done(&stage);
}

Test(private, a_keyring_that_is_not_ours_is_not_used) {
	struct stage stage = stage_new();
	struct keyring *again;
	uint8_t key[SEAL_KEY_LEN];
	FILE *f;

	cr_assert_eq(keyring_make(stage.keyring, 3), 0);
	cr_expect_eq(keyring_get(stage.keyring, 100000, key), KEYRING_NO_KEY);
	cr_assert_eq(chmod(stage.ring, 0640), 0);
	cr_expect_eq(keyring_open(stage.ring, &again), KEYRING_EXPOSED);
	cr_assert_eq(chmod(stage.ring, 0600), 0);
	cr_assert_eq(keyring_open(stage.ring, &again), 0);
	keyring_close(again);
	f = fopen(stage.ring, "w");
	fputs("something else, and longer than a title would be", f);
	fclose(f);
	cr_expect_eq(keyring_open(stage.ring, &again), KEYRING_MALFORMED);
	stage_done(&stage);
}

Test(private, a_commitment_is_the_hash_of_salt_and_part) {
	struct hash commitment, want;
	char joined[PRIVATE_SALT_LEN + sizeof(petitioner)];

	memcpy(joined, salt, sizeof(salt));
	memcpy(joined + sizeof(salt), petitioner, sizeof(petitioner));
	private_commit(salt, span_str(petitioner), &commitment);
	sha256((struct span){ (uint8_t *)joined, sizeof(joined) - 1 }, &want);
	cr_expect_arr_eq(commitment.b, want.b, sizeof(want.b));
}
