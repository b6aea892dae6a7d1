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
};

static struct stage stage_new(void) {
	struct stage stage = { .scratch = scratch_new() };

	stage.store = scratch_store(&stage.scratch);
	cr_assert_eq(keyring_open(stage.scratch.dir, &stage.keyring), 0);
	return stage;
}

/* As a start does. */
static void open_again(struct stage *stage) {
	stage->keyring = keyring_close(stage->keyring);
	cr_assert_eq(keyring_open(stage->scratch.dir, &stage->keyring), 0);
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

static int note_file(void *userdata, uint64_t file) {
	*(uint64_t *)userdata = file;
	return 1;
}

/* The file with the keys, while there is one; 0: none. */
static uint64_t only_file(struct stage *stage, char ret_path[PATH_MAX]) {
	char name[KEYRING_NAME_MAX];
	uint64_t file = 0;

	cr_assert_geq(keyring_each(stage->keyring, note_file, &file), 0);
	keyring_name(file, name);
	snprintf(ret_path, PATH_MAX, "%s/%s", stage->scratch.dir, name);
	return file;
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
	char text[PRIVATE_MAX + 1], want[32], path[PATH_MAX];
	uint64_t file;

	for (unsigned i = 0; i < 600; i++) { /* more than one block of keys */
		const struct id record = scratch_id(i);

		snprintf(want, sizeof(want), "petitioner %u", i);
		keep(&stage, &record, want);
		if (i % 100 == 50)
			open_again(&stage);
	}
	file = only_file(&stage, path);
	for (unsigned i = 0; i < 600; i += 7) {
		uint8_t a[SEAL_KEY_LEN], b[SEAL_KEY_LEN];
		const struct id record = scratch_id(i);

		snprintf(want, sizeof(want), "petitioner %u", i);
		cr_assert_eq(look(&stage, &record, text), 0);
		cr_expect_str_eq(text, want);
		cr_assert_eq(keyring_get(stage.keyring, &(struct keyring_key){ file, i }, a), 0);
		cr_assert_eq(keyring_get(stage.keyring, &(struct keyring_key){ file, i + 1 }, b), 0);
		cr_expect_arr_neq(a, b, sizeof(a));
	}
	stage_done(&stage);
}

Test(private, what_was_erased_cannot_be_opened_even_from_an_older_copy_of_the_store) {
	struct stage stage = stage_new();
	const struct id record = scratch_id(1), other = scratch_id(2);
	char command[3 * PATH_MAX], text[PRIVATE_MAX + 1];
	struct txn *txn;
	struct keyring_key key;

	keep(&stage, &record, petitioner);
	keep(&stage, &other, "somebody else");
	snprintf(command, sizeof(command), "cp -r '%s' '%s.old'", stage.scratch.path, stage.scratch.path);
	cr_assert_eq(system(command), 0);
	txn = scratch_txn(stage.store);
	cr_assert_eq(private_erase(txn, &record, &key), 0);
	cr_assert_eq(store_commit(txn), 0);
	cr_assert_eq(keyring_erase(stage.keyring, &key), 0);
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
	struct private_shut shut;
	struct txn *txn;
	struct keyring_key key;

	keep(&stage, &record, petitioner);
	keep(&stage, &other, "somebody else");
	txn = scratch_txn(stage.store);
	cr_assert_eq(private_erase(txn, &record, &key), 0);
	cr_assert_eq(store_commit(txn), 0); /* and here the power goes */
	cr_expect_eq(keyring_get(stage.keyring, &key, bytes), 0);
	cr_assert_eq(store_begin_read(stage.store, &txn), 0);
	cr_assert_eq(private_settle(txn, stage.keyring, &shut), 0);
	cr_expect_eq(private_erase(txn, &record, &key), PRIVATE_ERASED);
	store_abort(txn);
	cr_expect_eq(keyring_get(stage.keyring, &key, bytes), KEYRING_ERASED);
	cr_expect_eq(look(&stage, &other, text), 0);
	stage_done(&stage);
}

Test(private, a_part_is_bound_to_its_record_and_its_key) {
	struct stage stage = stage_new();
	const struct id record = scratch_id(1), other = scratch_id(2);
	char text[PRIVATE_MAX + 1], path[PATH_MAX];
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
	only_file(&stage, path);
	cr_assert_eq(unlink(path), 0);
	cr_expect_eq(look(&stage, &record, text), PRIVATE_LOST);
	stage_done(&stage);
}

static void copy_file(const char *from, const char *to) {
	char command[3 * PATH_MAX];

	snprintf(command, sizeof(command), "cp -p '%s' '%s'", from, to);
	cr_assert_eq(system(command), 0);
}

static struct private_shut settle(struct stage *stage) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct private_shut shut;

	cr_assert_eq(store_begin_read(stage->store, &txn), 0);
	cr_assert_eq(private_settle(txn, stage->keyring, &shut), 0);
	return shut;
}

Test(private, what_is_sealed_while_keys_are_missing_stays_when_they_are_put_back) {
	struct stage stage = stage_new();
	const struct id before = scratch_id(1), after = scratch_id(2), later = scratch_id(3);
	char text[PRIVATE_MAX + 1], path[PATH_MAX], safe[PATH_MAX];
	struct private_shut shut;
	uint64_t file;

	keep(&stage, &before, "before");
	file = only_file(&stage, path);
	snprintf(safe, sizeof(safe), "%s/safe", stage.scratch.dir);
	copy_file(path, safe);
	cr_assert_eq(unlink(path), 0);
	open_again(&stage);
	keep(&stage, &after, "after");
	cr_expect_eq(look(&stage, &before, text), PRIVATE_LOST);
	shut = settle(&stage);
	cr_expect_eq(shut.n, 1);
	cr_expect_eq(shut.file, file, "it is said which file is missing");
	copy_file(safe, path); /* while the node runs, or not */
	cr_expect_eq(look(&stage, &before, text), 0);
	cr_expect_str_eq(text, "before");
	cr_expect_eq(look(&stage, &after, text), 0);
	cr_expect_str_eq(text, "after");
	open_again(&stage);
	keep(&stage, &later, "later");
	cr_expect_eq(look(&stage, &before, text), 0);
	cr_expect_eq(look(&stage, &after, text), 0);
	cr_expect_eq(look(&stage, &later, text), 0);
	cr_expect_eq(settle(&stage).n, 0);
	stage_done(&stage);
}

Test(private, an_older_copy_of_the_keys_is_not_gone_on_with) {
	struct stage stage = stage_new();
	char text[PRIVATE_MAX + 1], path[PATH_MAX], old[PATH_MAX], new[PATH_MAX];
	const struct id last = scratch_id(999);

	for (unsigned i = 0; i < 300; i++) { /* more than one block of keys */
		const struct id record = scratch_id(i);

		keep(&stage, &record, petitioner);
		if (i > 0)
			continue;
		only_file(&stage, path);
		snprintf(old, sizeof(old), "%s/old", stage.scratch.dir);
		copy_file(path, old);
	}
	snprintf(new, sizeof(new), "%s/new", stage.scratch.dir);
	copy_file(path, new);
	copy_file(old, path);
	open_again(&stage);
	keep(&stage, &last, petitioner);
	copy_file(new, path); /* the newer one is found */
	cr_expect_eq(settle(&stage).n, 0);
	for (unsigned i = 0; i < 300; i++) {
		const struct id record = scratch_id(i);

		cr_expect_eq(look(&stage, &record, text), 0, "%u", i);
	}
	cr_expect_eq(look(&stage, &last, text), 0);
	stage_done(&stage);
}

static int count_file(void *userdata, uint64_t file) {
	++*(unsigned *)userdata;
	return 0;
}

Test(private, a_store_that_was_put_back_begins_a_file_and_a_turn_that_was_given_up_no_second) {
	struct stage stage = stage_new();
	const struct id record = scratch_id(1);
	unsigned n = 0;

	keep(&stage, &record, petitioner);
	open_again(&stage); /* by another process than the one that puts it back */
	for (unsigned i = 0; i < 3; i++) {
		struct txn *txn = scratch_txn(stage.store);
		const struct id again = scratch_id(2 + i);

		cr_assert_eq(private_leave_keys(txn), 0);
		cr_assert_eq(private_put(txn, stage.keyring, &again, salt, span_str(petitioner)), 0);
		store_abort(txn);
	}
	cr_assert_eq(keyring_each(stage.keyring, count_file, &n), 0);
	cr_expect_eq(n, 2);
	stage_done(&stage);
}

Test(private, keys_that_are_not_ours_are_not_used) {
	struct stage stage = stage_new();
	const struct id record = scratch_id(1);
	char path[PATH_MAX], other[PATH_MAX], name[KEYRING_NAME_MAX];
	uint8_t key[SEAL_KEY_LEN];
	uint64_t file;
	uint32_t n;
	FILE *f;

	keep(&stage, &record, petitioner);
	file = only_file(&stage, path);
	cr_expect_eq(keyring_get(stage.keyring, &(struct keyring_key){ file, 100000 }, key), KEYRING_NO_KEY);
	cr_expect_eq(keyring_get(stage.keyring, &(struct keyring_key){ file + 1, 0 }, key), KEYRING_NO_KEY);
	cr_assert_eq(chmod(path, 0640), 0);
	cr_expect_eq(keyring_size(stage.keyring, file, &n), KEYRING_EXPOSED);
	cr_assert_eq(chmod(path, 0600), 0);
	cr_expect_eq(keyring_size(stage.keyring, file, &n), 0);
	keyring_name(file + 1, name);
	snprintf(other, sizeof(other), "%s/%s", stage.scratch.dir, name);
	cr_assert_eq(rename(path, other), 0);
	cr_expect_eq(keyring_size(stage.keyring, file + 1, &n), KEYRING_MALFORMED, "another's name");
	f = fopen(other, "w");
	fputs("something else, and longer than a title would be", f);
	fclose(f);
	cr_expect_eq(keyring_size(stage.keyring, file + 1, &n), KEYRING_MALFORMED);
	cr_expect_not(keyring_name_parse("private-1.keys", &file) || keyring_name_parse("private-0123456789ABCDEF.keys", &file) ||
		keyring_name_parse("private-0123456789abcdef.keys.old", &file) || keyring_name_parse("keys", &file));
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
