/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/keyfile.h"

struct folder {
	struct scratch scratch;
	char path[PATH_MAX];
};

static struct folder folder_new(void) {
	struct folder folder = { .scratch = scratch_new() };

	snprintf(folder.path, sizeof(folder.path), "%s/keys", folder.scratch.dir);
	return folder;
}

static struct keyfile some_keys(uint8_t n) {
	struct keyfile keys;

	memset(keys.seed, n, sizeof(keys.seed));
	memset(keys.curve_secret, n + 1, sizeof(keys.curve_secret));
	return keys;
}

static unsigned entries(const char *dir) {
	char command[PATH_MAX + 32];
	unsigned n = 0;
	FILE *f;

	snprintf(command, sizeof(command), "ls -A '%s' | wc -l", dir);
	f = popen(command, "r");
	cr_assert(f && fscanf(f, "%u", &n) == 1);
	pclose(f);
	return n;
}

Test(keyfile, what_was_written_is_read_and_nobody_else_may) {
	struct folder folder = folder_new();
	const struct keyfile keys = some_keys(7);
	struct keyfile again;
	struct stat st;

	(void)umask(0);
	cr_assert_eq(keyfile_write(folder.path, &keys), 0);
	cr_assert_eq(stat(folder.path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_expect_eq(st.st_size, KEYFILE_LEN);
	cr_assert_eq(keyfile_read(folder.path, &again), 0);
	cr_expect_arr_eq(&again, &keys, sizeof(keys));
	cr_expect_eq(entries(folder.scratch.dir), 1, "nothing is left beside it");
	scratch_done(&folder.scratch);
}

Test(keyfile, keys_that_are_there_are_never_replaced) {
	struct folder folder = folder_new();
	const struct keyfile first = some_keys(7), second = some_keys(9);
	struct keyfile again;

	cr_assert_eq(keyfile_write(folder.path, &first), 0);
	cr_expect_eq(keyfile_write(folder.path, &second), -EEXIST);
	cr_assert_eq(keyfile_read(folder.path, &again), 0);
	cr_expect_arr_eq(&again, &first, sizeof(first));
	cr_expect_eq(entries(folder.scratch.dir), 1);
	scratch_done(&folder.scratch);
}

Test(keyfile, one_that_is_ended_while_it_is_written_leaves_nothing_behind) {
	struct folder folder = folder_new();
	const struct keyfile keys = some_keys(7);
	int fd = open(folder.scratch.dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	int status;
	pid_t pid;

	if (fd < 0)
		cr_skip_test("this file system knows no files without a name");
	(void)close(fd);
	pid = fork();
	if (pid == 0) {
		keyfile_forbid_dumps();
		(void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 10, 10 }); /* beyond it the kernel ends us */
		(void)keyfile_write(folder.path, &keys);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ, "%d", status);
	cr_expect_eq(entries(folder.scratch.dir), 0);
	scratch_done(&folder.scratch);
}

Test(keyfile, a_program_that_has_keys_leaves_no_core_dump) {
	struct rlimit limit;

	keyfile_forbid_dumps();
	cr_expect_eq(prctl(PR_GET_DUMPABLE), 0);
	cr_assert_eq(getrlimit(RLIMIT_CORE, &limit), 0);
	cr_expect_eq(limit.rlim_cur, 0);
	cr_expect_eq(limit.rlim_max, 0);
}

Test(keyfile, a_file_that_others_can_read_or_that_is_none_is_not_used) {
	struct folder folder = folder_new();
	const struct keyfile keys = some_keys(7);
	char link[PATH_MAX + 8];
	struct keyfile again;

	cr_expect_eq(keyfile_read(folder.path, &again), KEYFILE_MISSING);
	cr_assert_eq(keyfile_write(folder.path, &keys), 0);
	for (mode_t mode = 1; mode <= 077; mode <<= 1) {
		cr_assert_eq(chmod(folder.path, 0600 | mode), 0);
		cr_expect_eq(keyfile_read(folder.path, &again), KEYFILE_EXPOSED, "mode %o", mode);
	}
	cr_assert_eq(chmod(folder.path, 0600), 0);
	if (geteuid() == 0) {
		cr_assert_eq(chown(folder.path, 1, 1), 0);
		cr_expect_eq(keyfile_read(folder.path, &again), KEYFILE_EXPOSED);
		cr_assert_eq(chown(folder.path, 0, 0), 0);
	}
	snprintf(link, sizeof(link), "%s-link", folder.path);
	cr_assert_eq(symlink(folder.path, link), 0);
	cr_expect_eq(keyfile_read(link, &again), KEYFILE_MALFORMED);
	cr_assert_eq(unlink(link), 0);
	cr_assert_eq(mkfifo(link, 0600), 0);
	cr_expect_eq(keyfile_read(link, &again), KEYFILE_MALFORMED, "a pipe must not make it wait");
	cr_expect_eq(keyfile_read(folder.scratch.dir, &again), KEYFILE_MALFORMED);
	cr_expect_eq(keyfile_read(folder.path, &again), 0);
	scratch_done(&folder.scratch);
}

Test(keyfile, one_byte_more_or_less_or_other_is_malformed) {
	const struct keyfile keys = some_keys(0xab);
	char text[KEYFILE_LEN + 1];
	struct keyfile again;

	keyfile_encode(&keys, text);
	text[KEYFILE_LEN] = '\n';
	for (size_t len = 0; len <= sizeof(text); len++)
		cr_expect_eq(keyfile_decode((struct span){ (const uint8_t *)text, len }, &again),
			len == KEYFILE_LEN ? 0 : KEYFILE_MALFORMED, "%zu bytes", len);
	for (size_t at = 0; at < KEYFILE_LEN; at++) {
		char kept = text[at];

		text[at] = 'G';
		cr_expect_eq(keyfile_decode((struct span){ (const uint8_t *)text, KEYFILE_LEN }, &again),
			KEYFILE_MALFORMED, "at %zu", at);
		text[at] = kept;
	}
}
