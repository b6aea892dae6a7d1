/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What verify says of a store that is cut off or altered: always something, and never "in order" of
 * a record that is not what its office signed.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cluster/cli.h"
#include "tests/cluster/ctl.h"
#include "tests/cluster/tree.h"

enum {
	PAGE = 4096,
	CUTS = 40,
	FLIPS = 40,
	PAGES = 25,
	RECORD_FLIPS = 12,
	PETITIONS = 2000,
};

struct copy {
	char home[64];
	char scratch[64]; /* TMPDIR of what is run */
	uint8_t *sound;
	uint8_t *bytes;
	size_t len;
	uint64_t random;
};

static uint64_t next_random(struct copy *copy, uint64_t below) {
	copy->random = copy->random * 6364136223846793005u + 1442695040888963407u;
	return (copy->random >> 33) % below;
}

static void read_store(struct copy *copy, const struct proc *proc) {
	char path[96];
	struct stat st;
	FILE *file;

	snprintf(path, sizeof(path), "%s/store/data.mdb", proc->home);
	file = fopen(path, "re");
	must(file && fstat(fileno(file), &st) == 0, "%s: %s", path, strerror(errno));
	copy->len = (size_t)st.st_size;
	copy->sound = malloc(copy->len);
	copy->bytes = malloc(copy->len);
	must(copy->sound && copy->bytes, "no memory");
	must(fread(copy->sound, 1, copy->len, file) == copy->len, "%s", path);
	(void)fclose(file);
	memcpy(copy->bytes, copy->sound, copy->len);
}

/* Of an office that has a parent, and what that acknowledged. */
static void copy_init(struct copy *copy, uint64_t seed) {
	struct tree tree = { 0 };
	char path[96];

	*copy = (struct copy){ .random = seed };
	tree_add(&tree, "Tiên Du", 260, 3, -1, true);
	tree_add(&tree, "Đại Đồng", 9163, 5, 0, false);
	ctl_take_petitions(tree.procs[1], PETITIONS, 50);
	tree_open(&tree);
	must(tree_wait(&tree, 60000), "they do not come to rest");
	tree_close(&tree);
	proc_stop(tree.procs[1]);
	read_store(copy, tree.procs[1]);
	tree_done(&tree);
	proc_directory(copy->home);
	proc_directory(copy->scratch);
	snprintf(path, sizeof(path), "%s/store", copy->home);
	must(mkdir(path, 0700) == 0, "%s", path);
	must(setenv("TMPDIR", copy->scratch, 1) == 0, "no memory");
}

static void copy_done(struct copy *copy) {
	proc_remove(copy->home);
	proc_remove(copy->scratch);
	free(copy->sound);
	free(copy->bytes);
}

static bool scratch_is_empty(const struct copy *copy) {
	DIR *dir = opendir(copy->scratch);
	unsigned n = 0;

	must(dir, "%s", copy->scratch);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n == 2; /* . and .. */
}

static void write_store(const struct copy *copy, size_t len) {
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/store/lock.mdb", copy->home);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/store/data.mdb", copy->home);
	file = fopen(path, "we");
	must(file && fwrite(copy->bytes, 1, len, file) == len && fclose(file) == 0, "%s", path);
}

/* Writes the first @len bytes, lets them be checked, and makes all sound again. */
static int verify(struct copy *copy, size_t len, const char *what, size_t at) {
	struct cli cli;
	int code;

	write_store(copy, len);
	code = CLI(&cli, copy->home, "verify");
	cr_expect(code == 0 || code == 1, "%s at %zu: %d %s", what, at, cli.status, cli.err);
	cr_expect(cli.out[0] || cli.err[0], "%s at %zu: without a word", what, at);
	cr_expect(code != 1 || strstr(cli.out, "NOT IN ORDER") || cli.err[0], "%s at %zu: %s", what, at,
		cli.out);
	cr_expect(code != 0 || strstr(cli.out, "\nIn order: "), "%s at %zu: %s", what, at, cli.out);
	cr_expect(scratch_is_empty(copy), "%s at %zu leaves something behind", what, at);
	cli_done(&cli);
	memcpy(copy->bytes, copy->sound, copy->len);
	return code;
}

static uint8_t other_than_nothing(struct copy *copy) {
	return (uint8_t)(1 + next_random(copy, 255));
}

Test(damage, verify_ends_with_words_whatever_befell_the_store, .timeout = 300) {
	struct copy copy;
	unsigned found = 0;

	copy_init(&copy, 20240601);
	cr_assert_eq(verify(&copy, copy.len, "untouched", 0), 0);
	for (unsigned i = 0; i < CUTS; i++) {
		size_t len = next_random(&copy, copy.len);

		found += verify(&copy, len, "cut", len) == 1;
	}
	cr_expect_geq(found, CUTS - CUTS / 10, "only a page that was given back may be missed: %u", found);
	for (unsigned i = 0; i < FLIPS; i++) {
		size_t at = next_random(&copy, copy.len);

		copy.bytes[at] ^= other_than_nothing(&copy);
		(void)verify(&copy, copy.len, "flip", at);
	}
	for (unsigned i = 0; i < PAGES; i++) {
		size_t at = next_random(&copy, copy.len / PAGE) * PAGE;

		for (size_t k = 0; k < PAGE; k++)
			copy.bytes[at + k] = (uint8_t)next_random(&copy, 256);
		(void)verify(&copy, copy.len, "page", at);
	}
	copy_done(&copy);
}

/* A page that was given back may hold an older copy of a record: each of them is altered. */
static unsigned flip_all(struct copy *copy, const char *text, size_t at, uint8_t by) {
	size_t len = strlen(text);
	uint8_t *p = copy->bytes;
	unsigned n = 0;

	while ((p = memmem(p, copy->len - (size_t)(p - copy->bytes), text, len))) {
		p[at] ^= by;
		p += len;
		n++;
	}
	return n;
}

Test(damage, a_byte_of_a_record_is_always_missed, .timeout = 120) {
	struct copy copy;

	copy_init(&copy, 20240602);
	for (unsigned i = 0; i < RECORD_FLIPS; i++) {
		char text[64];
		size_t at;

		snprintf(text, sizeof(text), CTL_PETITION_TEXT, (unsigned)next_random(&copy, PETITIONS));
		at = next_random(&copy, strlen(text));
		cr_assert_geq(flip_all(&copy, text, at, other_than_nothing(&copy)), 1, "%s", text);
		cr_expect_eq(verify(&copy, copy.len, text, at), 1, "%s", text);
	}
	copy_done(&copy);
}

Test(damage, what_reads_a_store_that_is_cut_off_says_so, .timeout = 120) {
	static const char *const commands[] = { "status", "queue", "tally", "log", "escalations" };
	struct copy copy;

	copy_init(&copy, 20240603);
	write_store(&copy, copy.len / 2 / PAGE * PAGE);
	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		struct cli cli;

		cr_expect_eq(CLI(&cli, copy.home, commands[i]), 1, "%s: %d", commands[i], cli.status);
		cr_expect(strstr(cli.err, "lienthong verify"), "%s: %s", commands[i], cli.err);
		cli_done(&cli);
	}
	copy_done(&copy);
}

Test(damage, a_program_is_told_in_the_same_shape, .timeout = 120) {
	struct copy copy;
	struct cli cli;

	copy_init(&copy, 20240604);
	write_store(&copy, copy.len / 2 / PAGE * PAGE);
	cr_expect_eq(CLI(&cli, copy.home, "verify", "--json"), 1);
	cr_expect(strstr(cli.out, "\"ok\": false"), "%s", cli.out);
	cr_expect(strstr(cli.out, "\"oplogs\": []"), "%s", cli.out);
	cr_expect(strstr(cli.out, "\"fault\": \""), "%s", cli.out);
	cli_done(&cli);
	memset(copy.bytes, 0, 2 * PAGE); /* not even opened */
	write_store(&copy, copy.len);
	cr_expect_eq(CLI(&cli, copy.home, "verify", "--json"), 1);
	cr_expect(strstr(cli.out, "\"fault\": \"cannot be opened"), "%s", cli.out);
	cli_done(&cli);
	copy_done(&copy);
}
