/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/scratch.h"

enum {
	CUT_PAGE = 4096,
	CUT_ROWS = 60,
};

static struct span number_key(uint64_t number, uint8_t buf[8]) {
	put_be64(buf, number);
	return (struct span){ buf, 8 };
}

static void put_number(struct txn *txn, enum table table, uint64_t number, const char *value) {
	uint8_t buf[8];

	cr_assert_eq(txn_put(txn, table, number_key(number, buf), span_str(value)), 0);
}

static bool has_number(struct txn *txn, enum table table, uint64_t number) {
	struct span value;
	uint8_t buf[8];

	return txn_get(txn, table, number_key(number, buf), &value) == 0;
}

static void write_file(const char *dir, const char *name, const char *bytes, size_t len) {
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

/* The whole file, on the heap. */
static char *read_file(const char *dir, const char *name, size_t *ret_len) {
	char path[PATH_MAX];
	struct stat st;
	char *bytes;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	cr_assert_eq(fstat(fileno(f), &st), 0);
	bytes = malloc(st.st_size + 1);
	cr_assert_eq(fread(bytes, 1, st.st_size, f), (size_t)st.st_size);
	fclose(f);
	*ret_len = st.st_size;
	return bytes;
}

static unsigned count_entries(const char *dir) {
	char command[PATH_MAX + 32];
	unsigned n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "ls -A %s | wc -l", dir);
	f = popen(command, "r");
	cr_assert_eq(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

static int open_code(const char *path, enum store_mode mode) {
	_cleanup_(store_closep) struct store *store = NULL;

	return store_open(path, mode, SCRATCH_MAP, &store);
}

/* Runs @fn in a process of its own, which can be killed. Says "ready" through @ret_fd. */
static pid_t spawn(void (*fn)(const char *path, int fd), const char *path, int *ret_fd) {
	int fds[2];
	pid_t pid;

	cr_assert_eq(pipe(fds), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* not to outlive a test that failed */
		close(fds[0]);
		fn(path, fds[1]);
		_exit(0);
	}
	close(fds[1]);
	*ret_fd = fds[0];
	return pid;
}

static void wait_ready(int fd) {
	char byte;

	cr_assert_eq(read(fd, &byte, 1), 1, "the other process gave up");
}

static void say_ready(int fd) {
	if (write(fd, "r", 1) != 1)
		_exit(1);
}

static void kill9(pid_t pid, int fd) {
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	close(fd);
}

/* In a child a failed assertion must end it, not run on as a second copy of the test. */
static void must(bool ok) {
	if (!ok)
		_exit(1);
}

Test(store, is_created_once_for_the_owner_alone_and_leaves_nothing_beside_it) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	char other[PATH_MAX];
	struct stat st;

	cr_expect_eq(store_create(scratch.path, SCRATCH_MAP), 0);
	cr_expect_eq(store_create(scratch.path, SCRATCH_MAP), STORE_EXISTS);
	cr_assert_eq(stat(scratch.path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	snprintf(other, sizeof(other), "%s/data.mdb", scratch.path);
	cr_assert_eq(stat(other, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_expect_eq(open_code(scratch.path, STORE_WRITE), 0);
	cr_expect_eq(open_code(scratch.path, STORE_READ), 0);

	snprintf(other, sizeof(other), "%s/empty/", scratch.dir);
	cr_assert_eq(mkdir(other, 0755), 0);
	cr_expect_eq(store_create(other, SCRATCH_MAP), 0, "an empty directory is taken over");
	cr_expect_eq(open_code(other, STORE_WRITE), 0);

	snprintf(other, sizeof(other), "%s/used", scratch.dir);
	cr_assert_eq(mkdir(other, 0755), 0);
	write_file(other, "letter.txt", "x", 1);
	cr_expect_lt(store_create(other, SCRATCH_MAP), 0, "a directory with other things is not");
	cr_expect_eq(count_entries(other), 1);
	cr_expect_eq(count_entries(scratch.dir), 3, "no half-made store is left");

	snprintf(other, sizeof(other), "%s/none/store", scratch.dir);
	cr_expect_eq(store_create(other, SCRATCH_MAP), -ENOENT);
}

Test(store, opening_names_what_is_wrong_with_a_directory) {
	static const struct {
		const char *what;
		const char *data; /* of data.mdb; NULL: there is none */
		size_t len;
		int want;
	} cases[] = {
		{ "empty directory", NULL, 0, STORE_NOT_FOUND },
		{ "empty file", "", 0, STORE_DAMAGED },
		{ "a few bytes", "hello", 5, STORE_DAMAGED },
		{ "much text",
			"text text text text text text text text text text text text text text text text"
			"text text text text text text text text text text text text text text text text",
			154, STORE_DAMAGED },
	};
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	char nowhere[PATH_MAX];

	snprintf(nowhere, sizeof(nowhere), "%s/nowhere", scratch.dir);
	cr_expect_eq(open_code(nowhere, STORE_READ), STORE_NOT_FOUND);
	cr_expect_eq(open_code(nowhere, STORE_WRITE), STORE_NOT_FOUND);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/%zu", scratch.dir, i);
		cr_assert_eq(mkdir(path, 0700), 0);
		if (cases[i].data)
			write_file(path, "data.mdb", cases[i].data, cases[i].len);
		cr_expect_eq(open_code(path, STORE_READ), cases[i].want, "%s", cases[i].what);
		cr_expect_eq(open_code(path, STORE_WRITE), cases[i].want, "%s", cases[i].what);
	}
}

Test(store, refuses_another_format_and_changes_no_byte_of_it) {
	static const struct {
		const char *format;
		size_t len;
		int want;
	} cases[] = {
		{ "\0\0\0\2", 4, STORE_NEWER_FORMAT },
		{ "\xff\xff\xff\xff", 4, STORE_NEWER_FORMAT },
		{ "\0\0\0\0", 4, STORE_DAMAGED },
		{ "\0\0\0\1\0", 5, STORE_DAMAGED },
		{ "", 0, STORE_DAMAGED },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(scratch_done) struct scratch scratch = scratch_new();
		struct store *store = scratch_store(&scratch);
		struct txn *txn = scratch_txn(store);
		char *before, *after;
		size_t before_len, after_len;

		cr_assert_eq(meta_put(txn, "format",
			(struct span){ (const uint8_t *)cases[i].format, cases[i].len }), 0);
		cr_assert_eq(store_commit(txn), 0);
		store_close(store);
		before = read_file(scratch.path, "data.mdb", &before_len);
		cr_expect_eq(open_code(scratch.path, STORE_WRITE), cases[i].want, "case %zu", i);
		cr_expect_eq(open_code(scratch.path, STORE_READ), cases[i].want, "case %zu", i);
		cr_expect_eq(store_create(scratch.path, SCRATCH_MAP), STORE_EXISTS);
		after = read_file(scratch.path, "data.mdb", &after_len);
		cr_expect(before_len == after_len && memcmp(before, after, after_len) == 0);
		free(before);
		free(after);
	}
}

static void hold_open(const char *path, int fd) {
	struct store *store;

	must(store_open(path, STORE_WRITE, SCRATCH_MAP, &store) == 0);
	say_ready(fd);
	pause();
}

Test(store, has_one_writer_and_forgets_it_when_it_is_killed) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	pid_t writer;
	int fd;

	cr_assert_eq(store_create(scratch.path, SCRATCH_MAP), 0);
	writer = spawn(hold_open, scratch.path, &fd);
	wait_ready(fd);
	cr_expect_eq(open_code(scratch.path, STORE_WRITE), STORE_BUSY);
	cr_expect_eq(open_code(scratch.path, STORE_READ), 0);
	kill9(writer, fd);
	cr_expect_eq(open_code(scratch.path, STORE_WRITE), 0);
}

static void write_and_stop(const char *path, int fd) {
	struct store *store;
	struct txn *txn;
	uint8_t buf[8];

	must(store_open(path, STORE_WRITE, SCRATCH_MAP, &store) == 0);
	must(store_begin_write(store, &txn) == 0);
	must(txn_put(txn, TABLE_RECORDS, number_key(1, buf), span_str("kept")) == 0);
	must(store_commit(txn) == 0);
	must(store_begin_write(store, &txn) == 0);
	for (uint64_t i = 1; i < 20000; i++)
		must(txn_put(txn, TABLE_RECORDS, number_key(i, buf), span_str("not kept")) == 0);
	say_ready(fd);
	pause();
}

Test(store, killed_within_a_transaction_keeps_the_one_before_and_nothing_of_it) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct span value;
	uint8_t buf[8];
	uint64_t n;
	pid_t writer;
	int fd;

	cr_assert_eq(store_create(scratch.path, SCRATCH_MAP), 0);
	writer = spawn(write_and_stop, scratch.path, &fd);
	wait_ready(fd);
	kill9(writer, fd);
	store = scratch_open(&scratch);
	txn = scratch_txn(store);
	cr_assert_eq(txn_get(txn, TABLE_RECORDS, number_key(1, buf), &value), 0);
	cr_expect(span_eq(value, span_str("kept")));
	cr_assert_eq(txn_count(txn, TABLE_RECORDS, &n), 0);
	cr_expect_eq(n, 1);
	put_number(txn, TABLE_RECORDS, 2, "again");
	cr_expect_eq(store_commit(TAKE(txn)), 0);
}

/* Commits one row in each of two tables, over and over; tells of each after its commit. */
static void write_without_end(const char *path, int fd) {
	struct store *store;
	uint8_t buf[8];

	must(store_open(path, STORE_WRITE, SCRATCH_MAP, &store) == 0);
	for (;;) {
		struct txn *txn;
		uint64_t n;

		must(store_begin_write(store, &txn) == 0);
		must(txn_next(txn, TABLE_RECORDS, &n) == 0);
		must(txn_put(txn, TABLE_RECORDS, number_key(n, buf), span_str("leaf")) == 0);
		must(txn_put(txn, TABLE_CASES, number_key(~n, buf), span_str("row")) == 0);
		must(store_commit(txn) == 0);
		must(write(fd, &n, sizeof(n)) == sizeof(n));
	}
}

Test(store, killed_at_any_moment_has_all_that_was_committed_and_only_whole_transactions) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	uint64_t random = 1, told = 0;

	cr_assert_eq(store_create(scratch.path, SCRATCH_MAP), 0);
	for (unsigned round = 0; round < 15; round++) {
		const struct timespec pause_time = { 0, scratch_random(&random) % 30000000 };
		struct store *store;
		uint64_t n, n_cases;
		struct txn *txn;
		pid_t writer;
		int fd;

		writer = spawn(write_without_end, scratch.path, &fd);
		cr_assert_eq(read(fd, &told, sizeof(told)), sizeof(told));
		nanosleep(&pause_time, NULL);
		cr_assert_eq(kill(writer, SIGKILL), 0);
		cr_assert_eq(waitpid(writer, NULL, 0), writer);
		while (read(fd, &n, sizeof(n)) == sizeof(n))
			told = n;
		close(fd);

		store = scratch_open(&scratch);
		cr_assert_eq(store_begin_read(store, &txn), 0);
		cr_assert_eq(txn_count(txn, TABLE_RECORDS, &n), 0);
		cr_assert_eq(txn_count(txn, TABLE_CASES, &n_cases), 0);
		cr_expect(n == told || n == told + 1, "%lu rows, told of %lu", n, told);
		cr_expect_eq(n_cases, n);
		for (uint64_t i = 1; i <= n; i++)
			cr_assert(has_number(txn, TABLE_RECORDS, i) && has_number(txn, TABLE_CASES, ~i));
		store_abort(txn);
		store_close(store);
	}
}

static void create_at(const char *path, int fd) {
	say_ready(fd);
	(void)store_create(path, SCRATCH_MAP);
}

Test(store, killed_while_it_is_created_is_whole_or_not_there) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	uint64_t random = 7;
	unsigned n_whole = 0;

	for (unsigned i = 0; i < 60; i++) {
		const struct timespec pause_time = { 0, scratch_random(&random) % 6000000 };
		char path[PATH_MAX];
		pid_t creator;
		int fd, r;

		snprintf(path, sizeof(path), "%s/%u", scratch.dir, i);
		creator = spawn(create_at, path, &fd);
		wait_ready(fd);
		nanosleep(&pause_time, NULL);
		kill9(creator, fd);
		r = open_code(path, STORE_WRITE);
		cr_expect(r == 0 || r == STORE_NOT_FOUND, "%d", r);
		n_whole += r == 0;
		if (r == STORE_NOT_FOUND)
			cr_expect_eq(store_create(path, SCRATCH_MAP), 0);
	}
	cr_log_info("%u of 60 were whole", n_whole);
}

static void hold_reader(const char *path, int fd) {
	struct store *store;
	struct txn *txn;

	must(store_open(path, STORE_READ, 0, &store) == 0);
	must(store_begin_read(store, &txn) == 0);
	say_ready(fd);
	pause();
}

static void hold_lock_file(const char *path, int fd) {
	struct store *store;

	must(store_open(path, STORE_READ, 0, &store) == 0);
	say_ready(fd);
	pause();
}

static uint64_t rewrite(struct store *store, unsigned times) {
	uint64_t used, max;

	for (unsigned i = 0; i < times; i++) {
		struct txn *txn = scratch_txn(store);

		for (uint64_t n = 0; n < 200; n++)
			put_number(txn, TABLE_CASES, n, "a row that takes some room on its page");
		cr_assert_eq(store_commit(txn), 0);
	}
	cr_assert_eq(store_usage(store, &used, &max), 0);
	return used;
}

Test(store, readers_that_were_killed_neither_fill_the_table_nor_hold_pages, .timeout = 60) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = NULL;
	uint64_t used;
	pid_t holder, reader;
	int holder_fd, fd;

	cr_assert_eq(store_create(scratch.path, SCRATCH_MAP), 0);
	/* Somebody must be there, or the first to come makes the lock file anew. */
	holder = spawn(hold_lock_file, scratch.path, &holder_fd);
	wait_ready(holder_fd);
	for (unsigned i = 0; i < 530; i++) { /* there is room for 512 */
		reader = spawn(hold_reader, scratch.path, &fd);
		wait_ready(fd);
		kill9(reader, fd);
	}
	store = scratch_open(&scratch); /* clears them */
	used = rewrite(store, 20);
	cr_expect_eq(rewrite(store, 200), used, "pages are used again");
	store = store_close(store);

	reader = spawn(hold_reader, scratch.path, &fd);
	wait_ready(fd);
	store = scratch_open(&scratch);
	cr_expect_gt(rewrite(store, 50), used, "a live reader holds its pages");
	kill9(reader, fd);
	cr_expect_eq(store_clear_readers(store), 0);
	used = rewrite(store, 20);
	cr_expect_eq(rewrite(store, 200), used, "and gives them back when it is killed and cleared");
	kill9(holder, holder_fd);
}

Test(store, a_full_map_is_said_and_what_was_there_can_be_read_and_goes_on_in_a_larger_one) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	const uint64_t small = 1 << 20;
	static const char filling[1000];
	struct store *store;
	struct txn *txn;
	uint64_t i, used, max;
	uint8_t buf[8];
	int r = 0;

	cr_assert_eq(store_create(scratch.path, small), 0);
	cr_assert_eq(store_open(scratch.path, STORE_WRITE, small, &store), 0);
	txn = scratch_txn(store);
	put_number(txn, TABLE_RECORDS, 0, "first");
	cr_assert_eq(store_commit(txn), 0);

	txn = scratch_txn(store);
	for (i = 1; i < 5000 && r == 0; i++)
		r = txn_put(txn, TABLE_RECORDS, number_key(i, buf),
			(struct span){ (const uint8_t *)filling, sizeof(filling) });
	cr_expect_eq(r, -ENOSPC);
	store_abort(txn);

	cr_assert_eq(store_begin_read(store, &txn), 0);
	cr_expect(has_number(txn, TABLE_RECORDS, 0));
	cr_expect_not(has_number(txn, TABLE_RECORDS, 1));
	store_abort(txn);
	txn = scratch_txn(store);
	put_number(txn, TABLE_RECORDS, 1, "there is room for little things");
	cr_expect_eq(store_commit(txn), 0);
	cr_assert_eq(store_usage(store, &used, &max), 0);
	cr_expect_eq(max, small);
	cr_expect_lt(used, small);
	store_close(store);

	cr_assert_eq(store_open(scratch.path, STORE_WRITE, SCRATCH_MAP, &store), 0);
	txn = scratch_txn(store);
	cr_expect(has_number(txn, TABLE_RECORDS, 1));
	for (i = 2; i < 5000; i++)
		cr_assert_eq(txn_put(txn, TABLE_RECORDS, number_key(i, buf),
			(struct span){ (const uint8_t *)filling, sizeof(filling) }), 0);
	cr_expect_eq(store_commit(txn), 0);
	store_close(store);
}

/* Waits for a byte on its standard input, then makes the store larger than its first map. */
static void grow(const char *path, int fd) {
	struct store *store;
	struct txn *txn;
	uint8_t buf[8];
	char byte;

	must(read(STDIN_FILENO, &byte, 1) == 1);
	must(store_open(path, STORE_WRITE, SCRATCH_MAP, &store) == 0);
	must(store_begin_write(store, &txn) == 0);
	for (uint64_t i = 1; i <= 100000; i++)
		must(txn_put(txn, TABLE_RECORDS, number_key(i, buf), span_str("0123456789")) == 0);
	must(store_commit(txn) == 0);
	say_ready(fd);
}

Test(store, a_reader_follows_a_map_that_grew) {
	for (int refresh = 0; refresh < 2; refresh++) {
		_cleanup_(scratch_done) struct scratch scratch = scratch_new();
		_cleanup_(store_closep) struct store *store = NULL;
		_cleanup_(store_abortp) struct txn *txn = NULL;
		pid_t writer;
		int fd, go[2];

		cr_assert_eq(store_create(scratch.path, 1 << 20), 0);
		cr_assert_eq(pipe(go), 0);
		cr_assert_eq(dup2(go[0], STDIN_FILENO), STDIN_FILENO);
		writer = spawn(grow, scratch.path, &fd);
		cr_assert_eq(store_open(scratch.path, STORE_READ, 0, &store), 0);
		if (refresh)
			cr_assert_eq(store_begin_read(store, &txn), 0);
		cr_assert_eq(write(go[1], "g", 1), 1);
		wait_ready(fd);
		cr_assert_eq(waitpid(writer, NULL, 0), writer);
		if (refresh) {
			cr_expect_not(has_number(txn, TABLE_RECORDS, 100000));
			cr_assert_eq(txn_refresh(txn), 0);
		} else {
			cr_assert_eq(store_begin_read(store, &txn), 0);
		}
		cr_expect(has_number(txn, TABLE_RECORDS, 100000));
		close(fd);
		close(go[0]);
		close(go[1]);
	}
}

static void read_copy_as_stranger(const char *path, int fd) {
	struct store *store;
	struct txn *txn;

	if (geteuid() == 0)
		must(setresuid(65534, 65534, 65534) == 0);
	if (access(path, W_OK) == 0)
		_exit(77);
	if (store_open(path, STORE_READ, 0, &store))
		_exit(2);
	must(store_begin_read(store, &txn) == 0);
	_exit(has_number(txn, TABLE_RECORDS, 1) ? 0 : 1);
}

static int exit_code(void (*fn)(const char *path, int fd), const char *path) {
	int fd, status;
	pid_t pid = spawn(fn, path, &fd);

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	close(fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(store, a_copy_of_the_data_alone_opens_even_where_nothing_can_be_written) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	struct store *store = scratch_store(&scratch);
	struct txn *txn = scratch_txn(store);
	char copy[PATH_MAX / 2], file[PATH_MAX];
	char *bytes;
	size_t len;

	put_number(txn, TABLE_RECORDS, 1, "copied");
	cr_assert_eq(store_commit(txn), 0);
	store_close(store);
	bytes = read_file(scratch.path, "data.mdb", &len);
	snprintf(copy, sizeof(copy), "%s/copy", scratch.dir);
	cr_assert_eq(mkdir(copy, 0755), 0);
	write_file(copy, "data.mdb", bytes, len);
	free(bytes);
	snprintf(file, sizeof(file), "%s/data.mdb", copy);
	cr_assert_eq(chmod(file, 0444), 0);
	cr_assert_eq(chmod(copy, 0555), 0);
	cr_assert_eq(chmod(scratch.dir, 0755), 0);
	cr_expect_eq(exit_code(read_copy_as_stranger, copy), 0);

	/* A lock file that we may not write: a node may be running there, unseen by it. */
	cr_assert_eq(chmod(copy, 0755), 0);
	write_file(copy, "lock.mdb", "", 0);
	snprintf(file, sizeof(file), "%s/lock.mdb", copy);
	cr_assert_eq(chmod(file, 0444), 0);
	cr_assert_eq(chmod(copy, 0555), 0);
	cr_expect_eq(exit_code(read_copy_as_stranger, copy), 2);

	cr_assert_eq(chmod(copy, 0755), 0);
	cr_assert_eq(unlink(file), 0);
	snprintf(file, sizeof(file), "%s/data.mdb", copy);
	cr_assert_eq(chmod(file, 0600), 0);
	cr_expect_eq(open_code(copy, STORE_READ), 0);
	cr_expect_eq(open_code(copy, STORE_WRITE), 0);
}

static void give_up(int signal) {
	(void)signal;
	_exit(2);
}

/*
 * Exits 2 where it is said to be cut off (to look at what is not there is SIGBUS, as verify knows), 0
 * where it is not and all can be read and much written, without a signal.
 */
static void use_what_was_cut(const char *path, int fd) {
	struct store *store;
	struct span large;
	struct txn *txn;
	uint64_t bytes;

	(void)fd;
	(void)signal(SIGBUS, give_up);
	must(store_open(path, STORE_READ, 0, &store) == 0);
	must(store_cut_off(store, &bytes) == 0);
	if (bytes > 0)
		_exit(2);
	store_close(store);
	(void)signal(SIGBUS, SIG_DFL);
	must(store_open(path, STORE_WRITE, SCRATCH_MAP, &store) == 0);
	for (unsigned i = 0; i < 40; i++) {
		uint8_t buf[8];

		must(store_begin_write(store, &txn) == 0);
		for (unsigned n = 0; n < CUT_ROWS; n += 2)
			must(has_number(txn, TABLE_RECORDS, n));
		must(txn_get(txn, TABLE_PRIVATE, span_str("large"), &large) == 0);
		for (size_t at = 0; at < large.len; at++)
			must(large.data[at] == 0);
		for (unsigned n = 0; n < 10; n++)
			must(txn_put(txn, TABLE_RUNS, number_key(i * 10 + n, buf),
				(struct span){ (const uint8_t *)path, 16 }) == 0);
		must(store_commit(txn) == 0);
	}
	store_close(store);
	_exit(0);
}

Test(store, a_file_that_is_cut_off_is_said_unless_nothing_in_it_is_missing, .timeout = 60) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	struct store *store = scratch_store(&scratch);
	static uint8_t large[5 * CUT_PAGE];
	unsigned n_said = 0, n_sound = 0;
	char copy[PATH_MAX / 2];
	struct txn *txn;
	uint64_t used, max;
	uint8_t buf[8];
	char *bytes;
	size_t len;

	for (unsigned n = 0; n < CUT_ROWS; n++) { /* each second one leaves free pages behind */
		txn = scratch_txn(store);
		cr_assert_eq(txn_put(txn, TABLE_RECORDS, number_key(n, buf), (struct span){ large, 3000 }),
			0);
		if (n % 2 == 1)
			cr_assert_eq(txn_delete(txn, TABLE_RECORDS, number_key(n, buf)),
				0);
		cr_assert_eq(store_commit(txn), 0);
	}
	txn = scratch_txn(store); /* at the end of the file: no walk over LMDB's list comes by here */
	cr_assert_eq(txn_put(txn, TABLE_PRIVATE, span_str("large"), (struct span){ large, sizeof(large) }), 0);
	cr_assert_eq(store_commit(txn), 0);
	txn = scratch_txn(store); /* pages that are free before they were ever written */
	for (unsigned n = 0; n < 8; n++)
		cr_assert_eq(txn_put(txn, TABLE_CASES, number_key(n, buf), (struct span){ large, sizeof(large) }),
			0);
	for (unsigned n = 0; n < 8; n++)
		cr_assert_eq(txn_delete(txn, TABLE_CASES, number_key(n, buf)), 0);
	cr_assert_eq(store_commit(txn), 0);
	cr_assert_eq(store_usage(store, &used, &max), 0);
	store_close(store);

	bytes = read_file(scratch.path, "data.mdb", &len);
	cr_expect_lt(len, used, "all was written: this is no test of pages that never were");
	snprintf(copy, sizeof(copy), "%s/copy", scratch.dir);
	cr_assert_eq(mkdir(copy, 0755), 0);
	for (size_t at = len; at > 3 * CUT_PAGE; at -= CUT_PAGE) {
		int code;

		write_file(copy, "data.mdb", bytes, at);
		code = exit_code(use_what_was_cut, copy);
		cr_expect(code == 0 || code == 2, "cut at %zu of %zu: %d", at, len, code);
		cr_expect(at < len || code == 0, "a sound store is said to be cut off");
		n_said += code == 2;
		n_sound += code == 0;
	}
	cr_expect_gt(n_sound, 0);
	cr_expect_gt(n_said, len / CUT_PAGE / 2);
	free(bytes);
}

Test(store, a_reader_sees_one_moment_until_it_is_refreshed) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *reader = NULL;
	struct txn *txn = scratch_txn(store);

	cr_assert_eq(store_begin_read(store, &reader), 0);
	put_number(txn, TABLE_CASES, 1, "new");
	cr_expect_not(has_number(reader, TABLE_CASES, 1));
	cr_assert_eq(store_commit(txn), 0);
	cr_expect_not(has_number(reader, TABLE_CASES, 1));
	cr_assert_eq(txn_refresh(reader), 0);
	cr_expect(has_number(reader, TABLE_CASES, 1));

	txn = scratch_txn(store);
	put_number(txn, TABLE_CASES, 2, "given up");
	store_abort(txn);
	cr_assert_eq(txn_refresh(reader), 0);
	cr_expect_not(has_number(reader, TABLE_CASES, 2));
	cr_expect_lt(txn_put(reader, TABLE_CASES, span_str("k"), span_str("v")), 0);
}

Test(store, numbers_rise_by_one_from_the_last_key_on) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	struct txn *txn = scratch_txn(store);
	struct span value;
	uint64_t number;
	uint8_t buf[8];

	for (uint64_t want = 1; want <= 1000; want++) {
		uint8_t *room;

		cr_assert_eq(txn_next(txn, TABLE_RECORDS, &number), 0);
		cr_assert_eq(number, want);
		cr_assert_eq(txn_reserve(txn, TABLE_RECORDS, number_key(number, buf), 5, &room), 0);
		memcpy(room, "first", 5);
	}
	put_number(txn, TABLE_RECORDS, 500, "an older row may be replaced still");
	cr_assert_eq(store_commit(txn), 0);

	txn = scratch_txn(store);
	cr_assert_eq(txn_get(txn, TABLE_RECORDS, number_key(500, buf), &value), 0);
	cr_expect(span_eq(value, span_str("an older row may be replaced still")));
	cr_assert_eq(txn_get(txn, TABLE_RECORDS, number_key(501, buf), &value), 0);
	cr_expect(span_eq(value, span_str("first")));
	cr_assert_eq(txn_next(txn, TABLE_RECORDS, &number), 0);
	cr_expect_eq(number, 1001);
	cr_assert_eq(txn_next(txn, TABLE_CHANGES, &number), 0);
	cr_expect_eq(number, 1, "each table has its own");
	store_abort(txn);
}

Test(store, records_in_order_of_arrival_fill_their_pages) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	uint64_t before, after, max, number;
	uint8_t buf[8];

	cr_assert_eq(store_usage(store, &before, &max), 0);
	for (unsigned turn = 0; turn < 10; turn++) {
		struct txn *txn = scratch_txn(store);

		for (unsigned i = 0; i < 1000; i++) {
			static const uint8_t record[290];

			cr_assert_eq(txn_next(txn, TABLE_RECORDS, &number), 0);
			cr_assert_eq(txn_put(txn, TABLE_RECORDS, number_key(number, buf),
				(struct span){ record, sizeof(record) }), 0);
		}
		cr_assert_eq(store_commit(txn), 0);
	}
	cr_assert_eq(store_usage(store, &after, &max), 0);
	cr_expect_lt((after - before) / 10000, 325, "%lu bytes a record", (after - before) / 10000);
}

/* A table as it should be: sorted numbers, each with the number that is its value. */
enum {
	MODEL_KEYS = 3000,
};

struct model {
	uint64_t value[MODEL_KEYS]; /* 0: not there */
};

static struct span model_key(uint64_t n, uint8_t buf[40]) {
	memset(buf, 'k', 40);
	put_be32(buf, n);
	return (struct span){ buf, 8 + n % 32 };
}

static void expect_row(const struct model *model, int r, int64_t want, struct span key,
	struct span value) {
	uint8_t buf[40];

	if (want < 0 || want >= MODEL_KEYS) {
		cr_assert_eq(r, STORE_NOT_FOUND);
		return;
	}
	cr_assert_eq(r, 0);
	cr_assert(span_eq(key, model_key(want, buf)));
	cr_assert_eq(get_be64(value.data), model->value[want]);
}

static int64_t model_step(const struct model *model, int64_t from, int step) {
	while (from >= 0 && from < MODEL_KEYS && model->value[from] == 0)
		from += step;
	return from;
}

Test(store, behaves_like_a_sorted_list_whatever_is_done_in_whatever_order, .timeout = 60) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	struct model *model = calloc(1, sizeof(*model)), *committed = calloc(1, sizeof(*model));
	uint64_t random = 42;

	for (unsigned turn = 0; turn < 120; turn++) {
		struct txn *txn = scratch_txn(store);
		struct scan *scan = NULL;
		int64_t at = 0; /* where the scan goes on */

		for (unsigned i = 0; i < 1500; i++) {
			/* Phases of growing and of shrinking, down to nothing. */
			const bool shrink = turn % 12 >= 7;
			const uint64_t action = scratch_random(&random) % 16;
			const uint64_t n = action % 2 ? scratch_random(&random) % MODEL_KEYS
						      : (turn * 97 + i) % MODEL_KEYS;
			uint8_t buf[40], bytes[600];
			struct span key = model_key(n, buf), found, value;
			uint64_t count = 0;
			uint8_t *room;
			int r;

			switch (action) {
			case 0 ... 7:
				if (shrink) {
					cr_assert_eq(txn_delete(txn, TABLE_CASES, key),
						model->value[n] ? 0 : STORE_NOT_FOUND);
					model->value[n] = 0;
					break;
				}
				model->value[n] = scratch_random(&random) + 1;
				memset(bytes, 0, sizeof(bytes));
				put_be64(bytes, model->value[n]);
				value = (struct span){ bytes, 8 + scratch_random(&random) % 500 };
				if (action < 4) {
					cr_assert_eq(txn_put(txn, TABLE_CASES, key, value), 0);
				} else {
					cr_assert_eq(txn_reserve(txn, TABLE_CASES, key, value.len,
						&room), 0);
					memcpy(room, bytes, value.len);
				}
				break;
			case 8:
				cr_assert_eq(txn_delete(txn, TABLE_CASES, key),
					model->value[n] ? 0 : STORE_NOT_FOUND);
				model->value[n] = 0;
				break;
			case 9:
				r = txn_get(txn, TABLE_CASES, key, &value);
				expect_row(model, r, model->value[n] ? (int64_t)n : -1, key, value);
				break;
			case 10:
				r = scan_floor(txn, TABLE_CASES, key, &found, &value);
				expect_row(model, r, model_step(model, n, -1), found, value);
				break;
			case 11:
				r = scan_ceiling(txn, TABLE_CASES, key, &found, &value);
				expect_row(model, r, model_step(model, n, 1), found, value);
				break;
			case 12:
				r = scan_last(txn, TABLE_CASES, &found, &value);
				expect_row(model, r, model_step(model, MODEL_KEYS - 1, -1), found, value);
				cr_assert_eq(txn_count(txn, TABLE_CASES, &count), 0);
				for (size_t k = 0; k < MODEL_KEYS; k++)
					count -= model->value[k] != 0;
				cr_assert_eq(count, 0);
				break;
			default: /* a scan that goes on while all of the others are done */
				if (!scan) {
					const bool whole = scratch_random(&random) % 2;

					at = whole ? 0 : n;
					cr_assert_eq(scan_open(txn, TABLE_CASES,
						whole ? (struct span){ 0 } : key, &scan), 0);
				}
				for (unsigned k = 0; k < 40 && scan; k++) {
					r = scan_next(scan, &found, &value);
					at = model_step(model, at, 1);
					expect_row(model, r, at, found, value);
					at++;
					if (r == STORE_NOT_FOUND)
						scan = scan_close(scan);
				}
			}
		}
		scan_close(scan);
		if (scratch_random(&random) % 4 == 0) {
			store_abort(txn);
			*model = *committed;
		} else {
			cr_assert_eq(store_commit(txn), 0);
			*committed = *model;
		}
	}
	free(model);
	free(committed);
}

Test(store, a_scan_begins_where_it_is_told_and_writing_does_not_lose_its_place) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	_cleanup_(scan_closep) struct scan *scan = NULL;
	static const uint8_t beyond_all[STORE_KEY_MAX + 100] = { 0xff };
	uint64_t n_seen = 0;
	struct span key, value;
	uint8_t buf[8];

	for (uint64_t n = 0; n < 1000; n += 2)
		put_number(txn, TABLE_WAITING, n, "");
	cr_assert_eq(scan_open(txn, TABLE_WAITING, number_key(101, buf), &scan), 0);
	while (scan_next(scan, &key, &value) == 0) {
		const uint64_t n = get_be64(key.data);

		cr_assert_eq(n, 102 + 2 * n_seen);
		n_seen++;
		cr_assert_eq(txn_delete(txn, TABLE_WAITING, number_key(n, buf)), 0);
		put_number(txn, TABLE_WAITING, n - 1, "behind it: not seen again");
	}
	cr_expect_eq(n_seen, 449);
	scan = scan_close(scan);
	cr_assert_eq(scan_open(txn, TABLE_WAITING, (struct span){ beyond_all, sizeof(beyond_all) },
		&scan), 0);
	cr_expect_eq(scan_next(scan, &key, &value), STORE_NOT_FOUND, "longer than any key");
}
