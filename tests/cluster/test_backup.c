/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A backup as it is made, kept and put back: in one file or a directory, whole or refused; and who brought
 * petitions can be read as soon as the keys that were kept apart are there, whatever happened before.
 */
#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cluster/cli.h"

#define RUN(home, code, words, ...) run(home, code, words, (const char *const[]){ __VA_ARGS__, NULL })
#define ADD "petition", "add", "--category", "land", "--organisation", "front", "--text", "Đường hỏng"
#define LOOK(number) "petition", "show", number, "--private", "--reason", "báo kết quả"

/* That a command ends with @code and says @words. */
static void run(const char *home, int code, const char *words, const char *const *args) {
	struct cli cli;

	cr_assert_eq(cli_run(&cli, home, args), code, "%s %s: %s%s", args[0], args[1], cli.out, cli.err);
	cr_expect(strstr(code ? cli.err : cli.out, words), "%s: no \"%s\" in: %s%s", args[0], words, cli.out, cli.err);
	cli_done(&cli);
}

/* In @folder. */
static void shell(const char *folder, const char *what) {
	char command[512];

	snprintf(command, sizeof(command), "cd '%s' && %s", folder, what);
	cr_assert_eq(system(command), 0, "%s", command);
}

/* The files with the keys to who asked. */
static void copy_keys(const char *from, const char *to) {
	char command[512];

	snprintf(command, sizeof(command), "cp -p private-*.keys '%s'", to);
	shell(from, command);
}

/* How many names a directory has. */
static unsigned entries(const char *path) {
	DIR *dir = opendir(path);
	unsigned n = 0;

	cr_assert_not_null(dir, "%s", path);
	for (struct dirent *entry; (entry = readdir(dir));)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return n;
}

/* The topmost office, so that nothing comes back from another one; and a room in which copies are kept and put back. */
struct stage {
	struct proc *office;
	char room[64];
	char file[96], folder[96], home[96]; /* in it; only the last is there */
};

static void stage_done(struct stage *stage) {
	proc_free(stage->office);
	proc_remove(stage->room);
}

static struct stage stage_new(void) {
	struct stage stage = { .office = proc_new("Bắc Ninh", 27, 2, false) };

	proc_start(stage.office);
	proc_directory(stage.room);
	snprintf(stage.file, sizeof(stage.file), "%s/office.tar.zst", stage.room);
	snprintf(stage.folder, sizeof(stage.folder), "%s/office", stage.room);
	snprintf(stage.home, sizeof(stage.home), "%s/home", stage.room);
	cr_assert_eq(mkdir(stage.home, 0700), 0);
	RUN(stage.office->home, 0, "", ADD, "--number", "1", "--petitioner", "Nguyễn Thị Hồng Nhung");
	return stage;
}

/* The lost office is where its copy was put back. */
static void move_in(struct stage *stage) {
	proc_kill9(stage->office);
	proc_remove(stage->office->home);
	cr_assert_eq(rename(stage->home, stage->office->home), 0);
	proc_start(stage->office);
}

Test(backup, is_one_file_made_while_the_office_works_and_put_back, .timeout = 120) {
	_cleanup_(stage_done) struct stage stage = stage_new();
	struct stat st;

	RUN(stage.office->home, 0, "private-*.keys", "backup", stage.file);
	cr_assert_eq(stat(stage.file, &st), 0);
	cr_expect(S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600);
	cr_expect_eq(entries(stage.room), 2, "nothing is left beside it");
	RUN(stage.office->home, 3, "is there already", "backup", stage.file);
	RUN(stage.home, 0, "private-", "restore", stage.file);
	cr_expect_eq(entries(stage.room), 2, "nor of what was unpacked");
	RUN(stage.home, 3, "an office", "restore", stage.file);
	RUN(stage.home, 0, "", "verify");
	move_in(&stage);
	RUN(stage.office->home, 0, "Đường hỏng", "petition", "show", "1");
	RUN(stage.office->home, 3, "private-", LOOK("1"));
}

Test(backup, has_the_keys_to_who_asked_only_where_that_was_said, .timeout = 120) {
	_cleanup_(stage_done) struct stage stage = stage_new();

	RUN(stage.office->home, 0, "", "backup", stage.folder);
	shell(stage.folder, "! ls | grep -q private");
	RUN(stage.office->home, 0, "", "backup", stage.file, "--with-private");
	RUN(stage.home, 0, "", "restore", stage.file);
	move_in(&stage);
	RUN(stage.office->home, 0, "Hồng Nhung", LOOK("1"));
	RUN(stage.office->home, 0, "", ADD, "--number", "2", "--petitioner", "Lê Thị Sen");
	RUN(stage.office->home, 0, "Sen", LOOK("2"));
}

Test(backup, keys_that_were_kept_apart_are_put_back_late_and_nobody_is_forgotten, .timeout = 120) {
	_cleanup_(stage_done) struct stage stage = stage_new();
	char safe[96];

	snprintf(safe, sizeof(safe), "%s/safe", stage.room);
	cr_assert_eq(mkdir(safe, 0700), 0);
	copy_keys(stage.office->home, safe);
	RUN(stage.office->home, 0, "", "backup", stage.file);
	RUN(stage.home, 0, "Of 1 petitions", "restore", stage.file);
	move_in(&stage);
	RUN(stage.office->home, 0, "", ADD, "--number", "2", "--petitioner", "Lê Thị Sen");
	RUN(stage.office->home, 3, "put that one back", LOOK("1"));
	copy_keys(safe, stage.office->home); /* as it says */
	RUN(stage.office->home, 0, "Hồng Nhung", LOOK("1"));
	RUN(stage.office->home, 0, "Sen", LOOK("2"));
	proc_stop(stage.office);
	proc_start(stage.office);
	RUN(stage.office->home, 0, "", ADD, "--number", "3", "--petitioner", "Trần Văn Nam");
	RUN(stage.office->home, 0, "Hồng Nhung", LOOK("1"));
	RUN(stage.office->home, 0, "Sen", LOOK("2"));
	RUN(stage.office->home, 0, "Nam", LOOK("3"));
}

/* That it is refused in words, and nothing is touched. */
static void expect_refused(const struct stage *stage, const char *what, size_t n) {
	struct cli cli;

	cr_expect_eq(CLI(&cli, stage->home, "restore", stage->file), 1, "%s %zu: %s", what, n, cli.out);
	cr_expect(strstr(cli.err, "put back"), "%s %zu: %s", what, n, cli.err);
	cli_done(&cli);
	cr_expect_eq(entries(stage->home), 0, "%s %zu", what, n);
	cr_expect_eq(entries(stage->room), 2, "%s %zu", what, n);
}

static size_t read_file(const char *path, uint8_t *ret_bytes, size_t max) {
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_bytes, max);

	cr_assert(n > 0 && (size_t)n < max && close(fd) == 0, "%s", path);
	return (size_t)n;
}

static void write_file(const char *path, const uint8_t *bytes, size_t len) {
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && close(fd) == 0, "%s", path);
}

Test(backup, that_is_cut_off_anywhere_is_refused, .timeout = 300) {
	_cleanup_(stage_done) struct stage stage = stage_new();
	static uint8_t bytes[4 << 20];
	size_t len;

	RUN(stage.office->home, 0, "", "backup", stage.file, "--with-private");
	len = read_file(stage.file, bytes, sizeof(bytes));
	for (size_t cut = 1; cut <= len; cut += cut < 20 ? 1 : 1 + len / 60) {
		write_file(stage.file, bytes, len - cut);
		expect_refused(&stage, "without its last", cut);
	}
	write_file(stage.file, bytes, 0);
	expect_refused(&stage, "of length", 0);
	bytes[len] = 'x';
	write_file(stage.file, bytes, len + 1);
	expect_refused(&stage, "with a byte more", 1);
	write_file(stage.file, bytes, len);
	RUN(stage.home, 0, "", "restore", stage.file);
}

Test(backup, that_was_altered_anywhere_is_refused_or_what_it_was, .timeout = 300) {
	_cleanup_(stage_done) struct stage stage = stage_new();
	static uint8_t bytes[4 << 20];
	unsigned n_taken = 0;
	size_t len;

	RUN(stage.office->home, 0, "", "backup", stage.file, "--with-private");
	len = read_file(stage.file, bytes, sizeof(bytes));
	for (size_t at = 0; at < len; at += at < 20 ? 1 : 1 + len / 60) {
		struct cli cli;

		bytes[at] ^= 0x10;
		write_file(stage.file, bytes, len);
		bytes[at] ^= 0x10;
		if (CLI(&cli, stage.home, "restore", stage.file) == 0) { /* a byte that says nothing of what is in it */
			n_taken++;
			RUN(stage.home, 0, "", "verify");
			shell(stage.home, "rm -r *");
		} else {
			expect_refused(&stage, "altered at", at);
		}
		cli_done(&cli);
	}
	cr_expect_lt(n_taken, 4, "%u", n_taken);
}

Test(backup, in_a_directory_is_refused_where_a_part_was_altered_or_is_missing, .timeout = 120) {
	_cleanup_(stage_done) struct stage stage = stage_new();
	static const struct {
		const char *how, *words;
	} cases[] = {
		{ "printf x >>keys", "keys in it is missing or another" },
		{ "rm keys", "keys in it is missing or another" },
		{ "rm complete", "not a complete backup" },
		{ "sed -i '/keys/d' complete", "not a complete backup" },
		{ "echo \"$(sha256sum </etc/passwd | cut -c-64)  ../../../etc/passwd\" >>complete", "not a complete backup" },
		{ "truncate -s -1 complete", "not a complete backup" },
		{ "printf '\\1' | dd of=store/data.mdb bs=1 seek=5000 conv=notrunc status=none", "store/data.mdb in it" },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		RUN(stage.office->home, 0, "", "backup", stage.folder);
		shell(stage.folder, cases[i].how);
		RUN(stage.home, 1, cases[i].words, "restore", stage.folder);
		cr_expect_eq(entries(stage.home), 0, "case %zu", i);
		proc_remove(stage.folder);
	}
}

struct hostile {
	const char *name;
	unsigned type;
	const char *link; /* of a symbolic one, or with "=" before it of a hard one */
	int64_t size;     /* that it says */
	unsigned times;
};

/* Says in the first header of a tar another size than it has: what is said to be huge is not written. */
static void say_size(const char *path, uint64_t size) {
	uint8_t header[512];
	unsigned sum = 8 * ' ';
	FILE *file = fopen(path, "r+");

	cr_assert(file && fread(header, 1, sizeof(header), file) == sizeof(header));
	memset(header + 124, 0, 12);
	header[124] = 0x80; /* in base 256, as GNU tar */
	put_be64(header + 128, size);
	for (size_t i = 0; i < sizeof(header); i++)
		sum += i >= 148 && i < 156 ? 0 : header[i];
	snprintf((char *)header + 148, 8, "%06o", sum);
	header[155] = ' ';
	cr_assert(fseek(file, 0, SEEK_SET) == 0 && fwrite(header, 1, sizeof(header), file) == sizeof(header));
	cr_assert_eq(fclose(file), 0);
}

static void write_hostile(const char *path, const struct hostile *hostile) {
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	bool huge = hostile->size >= 1 << 20;

	cr_assert_eq(huge ? archive_write_set_format_gnutar(archive) : archive_write_set_format_pax(archive), ARCHIVE_OK);
	cr_assert_eq(huge ? archive_write_add_filter_none(archive) : archive_write_add_filter_zstd(archive), ARCHIVE_OK);
	cr_assert_eq(archive_write_open_filename(archive, path), ARCHIVE_OK);
	for (unsigned i = 0; i < hostile->times; i++) {
		archive_entry_clear(entry);
		archive_entry_set_pathname(entry, hostile->name);
		archive_entry_set_filetype(entry, hostile->type);
		archive_entry_set_perm(entry, 0777);
		archive_entry_set_size(entry, huge ? 1 : hostile->size);
		if (hostile->link && hostile->link[0] == '=')
			archive_entry_set_hardlink(entry, hostile->link + 1);
		else if (hostile->link)
			archive_entry_set_symlink(entry, hostile->link);
		cr_assert_geq(archive_write_header(archive, entry), ARCHIVE_WARN, "%s", archive_error_string(archive));
		if (hostile->size > 0)
			cr_assert_eq(archive_write_data(archive, path, 1), 1);
	}
	archive_entry_free(entry);
	cr_assert_eq(archive_write_free(archive), ARCHIVE_OK);
	if (huge)
		say_size(path, (uint64_t)hostile->size);
}

Test(backup, that_somebody_else_made_writes_nothing_anywhere, .timeout = 120) {
	_cleanup_(stage_done) struct stage stage = stage_new();
	static const struct hostile cases[] = {
		{ "../x", AE_IFREG, NULL, 1, 1 },
		{ "../home/keys", AE_IFREG, NULL, 1, 1 },
		{ "store/../../x", AE_IFREG, NULL, 1, 1 },
		{ "./keys", AE_IFREG, NULL, 1, 1 },
		{ "x", AE_IFREG, NULL, 1, 1 },
		{ "private-x.keys", AE_IFREG, NULL, 1, 1 },
		{ "keys", AE_IFLNK, "/etc/passwd", 0, 1 },
		{ "store", AE_IFLNK, "..", 0, 1 },
		{ "keys", AE_IFREG, "=request", 0, 1 },
		{ "keys", AE_IFDIR, NULL, 0, 1 },
		{ "keys", AE_IFIFO, NULL, 0, 1 },
		{ "keys", AE_IFCHR, NULL, 0, 1 },
		{ "keys", AE_IFREG, NULL, 1, 2 },
		{ "store/data.mdb", AE_IFREG, NULL, 1, 2 },
		{ "keys", AE_IFREG, NULL, 5000, 1 },
		{ "complete", AE_IFREG, NULL, 1 << 19, 1 },
		{ "keys", AE_IFREG, NULL, INT64_MAX, 1 },
		{ "store/data.mdb", AE_IFREG, NULL, (int64_t)16 << 40, 1 },
		{ "store/data.mdb", AE_IFREG, NULL, INT64_MAX, 1 },
		{ "keys", AE_IFREG, NULL, 1, 1 },
	};
	char absolute[96];

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		write_hostile(stage.file, &cases[i]);
		expect_refused(&stage, cases[i].name, i);
	}
	snprintf(absolute, sizeof(absolute), "%s/x", stage.room);
	write_hostile(stage.file, &(struct hostile){ absolute, AE_IFREG, NULL, 1, 1 });
	expect_refused(&stage, absolute, 0);
	write_file(stage.file, (const uint8_t *)"not an archive\n", 15);
	expect_refused(&stage, "text", 0);
	RUN(stage.home, 1, "cannot be read", "restore", "/dev/zero");
}

Test(backup, of_a_kind_that_is_not_made_is_no_directory_of_that_name, .timeout = 60) {
	_cleanup_(stage_done) struct stage stage = stage_new();
	char path[96];

	snprintf(path, sizeof(path), "%s/office.tgz", stage.room);
	RUN(stage.home, 2, ".tar.zst", "backup", path);
	cr_expect_eq(access(path, F_OK), -1);
}

/* An office that was made there, and an empty directory of a restore that did nothing: it is not what was put back. */
Test(backup, is_not_said_to_be_back_where_another_office_is, .timeout = 60) {
	_cleanup_(stage_done) struct stage stage = stage_new();

	RUN(stage.home, 0, "", "init", "--code", "09169", "--name", "Xã Khác", "--level", "commune");
	shell(stage.home, "mkdir restore.part");
	write_file(stage.file, (const uint8_t *)"not an archive\n", 15);
	RUN(stage.home, 3, "there is an office in", "restore", stage.file);
}

/* With a signal at the @at-th call that changes something; see cut.c. */
static void start_cut(struct cli *cli, const char *home, unsigned at, int by, const char *const *args) {
	char number[16];

	snprintf(number, sizeof(number), "%u", at);
	(void)setenv("LIENTHONG_CUT_AT", number, 1);
	snprintf(number, sizeof(number), "%d", by);
	(void)setenv("LIENTHONG_CUT_BY", number, 1);
	(void)setenv("LD_PRELOAD", getenv("LIENTHONG_CUT_MODULE"), 1);
	cli_start(cli, home, NULL, args);
	(void)unsetenv("LD_PRELOAD");
}

static void skip_where_sanitized(void) {
	if (getenv("LIENTHONGD_SANITIZED"))
		cr_skip_test("nothing may be loaded before a sanitizer");
}

/* How many names are in the home of an office that was put back: nothing is left beside them. */
static unsigned restored_entries(const struct stage *stage, const char *backup) {
	unsigned n;

	RUN(stage->home, 0, "", "restore", backup);
	n = entries(stage->home);
	shell(stage->home, "rm -r *");
	return n;
}

Test(backup, whose_restore_is_killed_anywhere_is_put_back_by_the_same_command, .timeout = 300) {
	_cleanup_(stage_done) struct stage stage = { 0 };

	skip_where_sanitized();
	stage = stage_new();
	RUN(stage.office->home, 0, "", "backup", stage.file, "--with-private");
	RUN(stage.office->home, 0, "", "backup", stage.folder, "--with-private");
	for (size_t i = 0; i < 2; i++) {
		const char *const args[] = { "restore", i ? stage.folder : stage.file, NULL };
		unsigned n = restored_entries(&stage, args[1]), at;
		bool killed = true;

		for (at = 1; killed; at++) {
			struct cli cli;

			start_cut(&cli, stage.home, at, SIGKILL, args);
			cli_wait(&cli, CLI_PATIENT_MS);
			killed = WIFSIGNALED(cli.status);
			cr_assert(killed || WEXITSTATUS(cli.status) == 0, "%u: %s", at, cli.err);
			cli_done(&cli);
			if (killed)
				run(stage.home, 0, "Now start the node", args);
			cr_expect_eq(entries(stage.home), n, "%s, at %u", args[1], at);
			RUN(stage.home, 0, "", "verify");
			run(stage.home, 3, "an office", args);
			shell(stage.home, "rm -r *");
		}
		cr_expect_gt(at, 20, "%u", at);
	}
}

/* A file system of its own, that only this process and its children see. */
static void mount_small(const char *path, unsigned long flags, size_t kib) {
	char options[64];

	snprintf(options, sizeof(options), "size=%zuk,mode=0700", kib);
	cr_assert_eq(mount("none", path, "tmpfs", flags, options), 0, "%s: %s", path, strerror(errno));
}

static void write_map(const char *path, const char *text) {
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0, "%s", path);
}

static void mount_apart(void) {
	uid_t user = getuid();
	gid_t group = getgid();
	char map[64];

	if (unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0)
		cr_skip_test("no file system may be mounted here");
	if (user != 0) {
		snprintf(map, sizeof(map), "%u %u 1", user, user);
		write_map("/proc/self/uid_map", map);
		write_map("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "%u %u 1", group, group);
		write_map("/proc/self/gid_map", map);
	}
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("no file system may be mounted here");
}

Test(backup, says_that_the_disk_is_full_and_leaves_nothing_in_the_way, .timeout = 300) {
	_cleanup_(stage_done) struct stage stage = { 0 };
	unsigned n_full = 0;
	char to[128];

	mount_apart();
	stage = stage_new();
	RUN(stage.office->home, 0, "", "backup", stage.file, "--with-private");
	RUN(stage.office->home, 0, "", "backup", stage.folder, "--with-private");
	for (size_t i = 0; i < 4; i++) {
		const bool is_restore = i < 2;
		const char *const home = is_restore ? stage.home : stage.office->home;
		const char *const args[] = { is_restore ? "restore" : "backup",
			!is_restore ? to : i ? stage.folder : stage.file, NULL };
		bool done = false;

		snprintf(to, sizeof(to), "%s/copy%s", stage.home, i % 2 ? "" : ".tar.zst");
		for (size_t kib = 4; !done; kib += 4) {
			struct cli cli;

			mount_small(stage.home, 0, kib);
			done = cli_run(&cli, home, args) == 0;
			cr_expect(done || (cli_code(&cli) == 1 && strstr(cli.err, "the disk is full")), "%zu, %zu KiB: %d %s", i, kib,
				cli.status, cli.err);
			cr_expect(done || entries(stage.home) == 0, "%zu, %zu KiB: %u", i, kib, entries(stage.home));
			cli_done(&cli);
			n_full += !done;
			if (!done) {
				mount_small(stage.home, MS_REMOUNT, 16384);
				run(home, 0, "", args);
			}
			if (is_restore)
				RUN(home, 0, "", "verify");
			cr_assert_eq(umount(stage.home), 0, "%s", strerror(errno));
		}
	}
	cr_expect_gt(n_full, 40, "%u", n_full);
}

/* That the keys are those of the store, as the node sees it. */
static void check_keys(const char *home) {
	char command[512];

	snprintf(command, sizeof(command), "'%s' --home '%s' --check >/dev/null", getenv("LIENTHONGD"), home);
	cr_expect_eq(system(command), 0, "%s", command);
}

/* A copy that was put back, and is thrown away. */
static void check_copy(const struct stage *stage, const char *backup) {
	struct cli cli;

	cr_assert_eq(CLI(&cli, stage->home, "restore", backup), 0, "%s: %s", backup, cli.err);
	cr_expect_not(strstr(cli.out, "nobody can read who brought them"), "%s", cli.out);
	cli_done(&cli);
	RUN(stage->home, 0, "", "verify");
	check_keys(stage->home);
	shell(stage->home, "rm -r *");
	proc_remove(backup);
}

Test(backup, has_the_keys_that_its_store_says_while_others_wait, .timeout = 120) {
	_cleanup_(stage_done) struct stage stage = stage_new();
	struct keyfile other = stage.office->keys;
	char next[96];

	/* said by nobody yet */
	snprintf(next, sizeof(next), "%s/keys.next", stage.office->home);
	other.seed[0] ^= 1;
	cr_assert_eq(keyfile_write(next, &other), 0);
	RUN(stage.office->home, 0, "", "backup", stage.folder, "--with-private");
	check_copy(&stage, stage.folder);

	/* in the store, and then the node was ended */
	shell(stage.office->home, "cp -p keys keys.before");
	RUN(stage.office->home, 0, "", "key", "rotate");
	proc_stop(stage.office);
	shell(stage.office->home, "mv keys keys.next && mv keys.before keys");
	RUN(stage.office->home, 0, "", "backup", stage.folder, "--with-private");
	check_copy(&stage, stage.folder);

	shell(stage.office->home, "mv keys.next elsewhere");
	RUN(stage.office->home, 1, "are not the keys of", "backup", stage.folder);
	RUN(stage.office->home, 1, "are not the keys of", "backup", stage.file);
	cr_expect_eq(entries(stage.room), 1, "nothing is left");
	shell(stage.office->home, "mv elsewhere keys.next");
	proc_start(stage.office);
}

Test(backup, is_of_one_moment_while_the_office_works_and_changes_its_key, .timeout = 300) {
	_cleanup_(stage_done) struct stage stage = { 0 };
	bool ended = false;
	unsigned at;

	skip_where_sanitized();
	stage = stage_new();
	for (at = 1; !ended && at < 30; at++) { /* as often as a key can be changed */
		const char *const args[] = { "backup", stage.folder, "--with-private", NULL };
		struct cli cli;
		int status;

		start_cut(&cli, stage.office->home, at, SIGSTOP, args);
		cr_assert_eq(waitpid(cli.pid, &status, WUNTRACED), cli.pid);
		ended = !WIFSTOPPED(status);
		if (!ended) {
			RUN(stage.office->home, 0, "", ADD, "--petitioner", "Lê Thị Sen");
			RUN(stage.office->home, 0, "", "key", "rotate");
			(void)kill(cli.pid, SIGCONT);
			cli_wait(&cli, CLI_PATIENT_MS);
			cr_expect_eq(cli_code(&cli), 0, "at %u: %s", at, cli.err);
			cli_done(&cli);
		}
		check_copy(&stage, stage.folder);
	}
	cr_expect(ended && at > 10, "%u", at);
}

Test(backup, is_of_one_moment_under_load, .timeout = 300) {
	_cleanup_(stage_done) struct stage stage = stage_new();
	pid_t clerk = fork();

	if (clerk == 0) {
		for (;;)
			RUN(stage.office->home, 0, "", ADD, "--petitioner", "Lê Thị Sen");
	}
	for (unsigned i = 0; i < 10; i++) {
		const char *to = i % 2 ? stage.file : stage.folder;

		RUN(stage.office->home, 0, "", "backup", to, "--with-private");
		check_copy(&stage, to);
	}
	cr_assert_eq(kill(clerk, SIGKILL), 0);
	cr_assert_eq(waitpid(clerk, NULL, 0), clerk);
}

/* What is in a file under the compression; not more than @max. */
static size_t unpack(const char *path, uint8_t *ret_bytes, size_t max) {
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	la_ssize_t n, len = 0;

	cr_assert_eq(archive_read_support_format_raw(archive), ARCHIVE_OK);
	cr_assert_eq(archive_read_support_filter_zstd(archive), ARCHIVE_OK);
	cr_assert_eq(archive_read_open_filename(archive, path, 1 << 16), ARCHIVE_OK);
	cr_assert_eq(archive_read_next_header(archive, &entry), ARCHIVE_OK);
	while ((n = archive_read_data(archive, ret_bytes + len, max - (size_t)len)) > 0)
		len += n;
	cr_assert(n == 0 && (size_t)len < max);
	(void)archive_read_free(archive);
	return (size_t)len;
}

Test(backup, has_nothing_of_who_asked_in_any_of_its_bytes, .timeout = 120) {
	enum { TITLE = 32, KEY = 32 };
	_cleanup_(stage_done) struct stage stage = stage_new();
	static uint8_t bytes[8 << 20], keys[64 << 10];
	static const char *const names[] = { "Hồng Nhung", "Thị Sen", "0912345678" };
	char with[128], path[160];
	size_t len, n_keys;

	for (unsigned i = 0; i < 20; i++)
		RUN(stage.office->home, 0, "", ADD, "--petitioner", "Lê Thị Sen", "--contact", "0912345678");
	shell(stage.office->home, "cat private-*.keys >all.keys");
	snprintf(path, sizeof(path), "%s/all.keys", stage.office->home);
	n_keys = (read_file(path, keys, sizeof(keys)) - TITLE) / KEY;
	snprintf(with, sizeof(with), "%s/with.tar.zst", stage.room);
	RUN(stage.office->home, 0, "", "backup", with, "--with-private");
	RUN(stage.office->home, 0, "", "backup", stage.file);
	RUN(stage.office->home, 0, "", "backup", stage.folder);
	len = unpack(with, bytes, sizeof(bytes));
	cr_expect(memmem(bytes, len, keys + TITLE, KEY), "they would be found");
	shell(stage.folder, "find . -type f | xargs cat >../bytes");
	snprintf(path, sizeof(path), "%s/bytes", stage.room);
	for (unsigned i = 0; i < 2; i++) {
		len = i ? read_file(path, bytes, sizeof(bytes)) : unpack(stage.file, bytes, sizeof(bytes));
		cr_expect(memmem(bytes, len, "Đường hỏng", strlen("Đường hỏng")), "it is the office's store");
		for (size_t k = 0; k < n_keys; k++)
			cr_expect_not(memmem(bytes, len, keys + TITLE + k * KEY, KEY), "key %zu", k);
		for (size_t k = 0; k < N_ELEMENTS(names); k++)
			cr_expect_not(memmem(bytes, len, names[k], strlen(names[k])), "%s", names[k]);
	}
}
