/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A whole office as it is now, in one directory, and from there on a computer again. The file "complete" is
 * written last: without it the directory is no backup. What is put back asks its parent first for what is
 * missing (node/recovery.h): until then it writes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/home.h"

enum {
	FILES_MAX = 7,
	COPY_CHUNK = 1 << 20,
	MAP_SIZE = 1 << 30, /* or as much as the store needs */
	COUNTERS_LEN = 12,  /* of "recover", see node/recovery.c */
};

static const char complete_name[] = "complete";
static const char complete_text[] = "lienthong backup 1\n";

/* What belongs to an office beside its store, by its name in both places. */
struct part {
	const char *name;
	bool optional;
	int fd; /* when it is put back: opened before this program becomes another user */
};

static int put_file(int dir_fd, const char *name, int from_fd, const char *text) {
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t n = 0;
	int r;

	if (fd < 0)
		return -errno;
	if (text)
		n = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	else
		while ((n = sendfile(fd, from_fd, NULL, COPY_CHUNK)) > 0)
			;
	r = n < 0 || fsync(fd) < 0 ? -errno : 0;
	(void)close(fd);
	return r;
}

/* Copies a file between two directories. 0 (also where it is optional and not there) or -errno. */
static int copy_part(int from_fd, int to_fd, const struct part *part) {
	int fd = openat(from_fd, part->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return errno == ENOENT && part->optional ? 0 : -errno;
	r = put_file(to_fd, part->name, fd, NULL);
	(void)close(fd);
	return r;
}

static int back_up(const struct home *home, const char *home_dir, const char *path, int to_fd, bool with_private) {
	const struct part parts[] = {
		{ .name = "keys" }, { .name = "request", .optional = true },
		{ .name = "lienthong.yaml", .optional = true },
		{ .name = "denunciation.key", .optional = true }, /* the half that seals */
		{ .name = "private.keys", .optional = true },
	};
	int from_fd = open(home_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *store;
	int r = from_fd < 0 ? -errno : 0;

	if (asprintf(&store, "%s/store", path) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = store_copy(home->store, store);
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(parts) - !with_private; i++)
		r = copy_part(from_fd, to_fd, &parts[i]);
	if (r == 0)
		r = put_file(to_fd, complete_name, -1, complete_text);
	if (r == 0 && fsync(to_fd) < 0)
		r = -errno;
	if (from_fd >= 0)
		(void)close(from_fd);
	free(store);
	return r;
}

int command_backup(struct tool *tool, int argc, char **argv) {
	bool with_private = false;
	const struct option_def options[] = {
		{ "with-private", NULL, N_("also the keys to who brought petitions: whoever has the backup can then read them, also those that are erased later"),
			.flag = &with_private },
	};
	const struct usage usage = { "backup", "DIRECTORY",
		N_("Copies this office as it is now into a new directory: its store, its keys, its configuration. The node may be running. Whoever has the directory can speak in the office's name: keep it as safe as the computer."),
		options, N_ELEMENTS(options), 1, 1 };
	struct home home;
	uint64_t records;
	char **args;
	int n_args, ending, fd, r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_open(tool, &home); /* as its owner, to whom the copy belongs too */
	if (ending)
		return ending;
	fd = mkdir(args[0], 0700) < 0 ? -errno : open(args[0], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		home_close(&home);
		return fd == -EEXIST ? refuse(_("%s is there already; a backup is written into a new directory"), args[0]) :
				       fail(_("cannot make the directory %s: %s; the user that owns %s must be able to write there"),
					       args[0], strerror(fd == -1 ? errno : -fd), tool->home);
	}
	r = txn_count(home.txn, TABLE_RECORDS, &records);
	home.txn = store_abort(home.txn); /* the copy has its own, which is not older */
	if (r == 0)
		r = back_up(&home, tool->home, args[0], fd, with_private);
	(void)close(fd);
	home_close(&home);
	if (r)
		return fail(_("the backup in %s is not complete: %s; remove it"), args[0], strerror(-r));
	if (tool->json)
		return json_show(json_pack("{s:s, s:I}", "directory", args[0], "records", (json_int_t)records));
	say(_("%s holds this office as it is now: %llu records, its keys, its configuration. Keep it where nobody else comes; to put it back: lienthong restore %s"),
		args[0], (unsigned long long)records, args[0]);
	return DONE;
}

enum {
	MARK_NO_OFFICE = 100,
};

/* What is here may be older than what was sent: the node is to ask first. */
static int mark(const char *path) {
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	static const uint8_t none[COUNTERS_LEN];
	struct office_row own;
	struct span value;
	uint32_t epoch;
	int r;

	r = store_open(path, STORE_WRITE, MAP_SIZE, &store);
	if (r == 0)
		r = store_begin_write(store, &txn);
	if (r == 0)
		r = offices_own(txn, &own, &epoch);
	if (r)
		return r == STORE_NOT_FOUND ? MARK_NO_OFFICE : r;
	r = meta_get(txn, "recover", &value);
	if (r == STORE_NOT_FOUND) /* one that is there goes on, with what it has counted */
		r = meta_put(txn, "recover", (struct span){ none, sizeof(none) });
	return r ? r : store_commit(TAKE(txn));
}

static int mark_failed(const struct tool *tool, const char *path, int r) {
	if (r == STORE_BUSY)
		return refuse(_("the node is running: stop it first (systemctl stop lienthongd)"));
	if (r == MARK_NO_OFFICE)
		return fail(_("there is no office in %s"), path);
	return home_open_failed(tool, r);
}

static void say_next(void) {
	say(_("Now start the node: systemctl start lienthongd. It first takes from the office above what is missing here, then goes on; until then it takes nothing in. See: lienthong status"));
}

static int restore_here(const struct tool *tool) {
	char *path = home_path(tool, "store");
	int r = path ? mark(path) : -ENOMEM;

	free(path);
	if (r)
		return mark_failed(tool, tool->home, r);
	say_next();
	return DONE;
}

/* The files of a backup: the store's, the mark that it is complete, then what belongs beside the store. */
static int open_parts(const char *path, struct part parts[FILES_MAX]) {
	int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd < 0)
		return -errno;
	for (size_t i = 0; i < FILES_MAX; i++) {
		parts[i].fd = openat(dir_fd, parts[i].name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (parts[i].fd < 0 && !parts[i].optional) {
			int r = -errno;

			(void)close(dir_fd);
			return r;
		}
	}
	(void)close(dir_fd);
	return 0;
}

static bool same_content(int a, int b) {
	uint8_t left[4096], right[4096];
	off_t at = 0;
	ssize_t n, m;

	do {
		n = pread(a, left, sizeof(left), at);
		m = pread(b, right, sizeof(right), at);
		at += n;
	} while (n > 0 && n == m && memcmp(left, right, (size_t)n) == 0);
	return n == 0 && m == 0;
}

enum {
	PART_DIFFERS = 101,
};

/* A file that is there with the same content was put there by a run that was cut short; a configuration stays. */
static int put_part(int home_fd, const struct part *part) {
	int fd, r = put_file(home_fd, part->name, part->fd, NULL);

	if (r != -EEXIST)
		return r;
	fd = openat(home_fd, part->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = strcmp(part->name, "lienthong.yaml") == 0 || same_content(fd, part->fd) ? 0 : PART_DIFFERS;
	(void)close(fd);
	return r;
}

/* An empty directory for the store: what a run left that was cut short is only a part of what is in the backup. */
static int make_part(int home_fd) {
	static const char *const files[] = { "data.mdb", "lock.mdb", "owner" };
	int fd;

	if (mkdirat(home_fd, "store.part", 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(home_fd, "store.part", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (size_t i = 0; fd >= 0 && i < N_ELEMENTS(files); i++)
		(void)unlinkat(fd, files[i], 0);
	return fd < 0 ? -errno : fd;
}

/* The store under another name first: under its own it is whole, and knows that it was put back. */
static int put_back(int home_fd, const char *home_dir, const struct part parts[FILES_MAX]) {
	int store_fd = make_part(home_fd), r;
	char *path;

	if (store_fd < 0)
		return store_fd;
	r = put_file(store_fd, "data.mdb", parts[0].fd, NULL);
	for (size_t i = 2; r == 0 && i < FILES_MAX; i++)
		if (parts[i].fd >= 0)
			r = put_part(home_fd, &parts[i]);
	if (asprintf(&path, "%s/store.part", home_dir) < 0)
		path = NULL;
	if (r == 0)
		r = path ? mark(path) : -ENOMEM;
	free(path);
	if (r == 0 && fsync(store_fd) < 0)
		r = -errno;
	(void)close(store_fd);
	if (r == 0 && renameat(home_fd, "store.part", home_fd, "store") < 0)
		r = -errno;
	return r == 0 && fsync(home_fd) < 0 ? -errno : r;
}

static int restore_from(const struct tool *tool, const char *from) {
	struct part parts[FILES_MAX] = {
		{ .name = "store/data.mdb" }, { .name = complete_name }, { .name = "keys" },
		{ .name = "request", .optional = true }, { .name = "lienthong.yaml", .optional = true },
		{ .name = "denunciation.key", .optional = true },
		{ .name = "private.keys", .optional = true },
	};
	int home_fd = -1, ending, r;

	r = open_parts(from, parts);
	if (r)
		return fail(_("%s is not a complete backup: %s"), from, strerror(-r));
	if (geteuid() == 0 && access(tool->home, F_OK) < 0)
		return refuse(_("%s is not there: make it first, for the user that the node runs as: install -d -m 0700 -o USER %s"),
			tool->home, tool->home);
	if (mkdir(tool->home, 0700) < 0 && errno != EEXIST)
		return fail(_("cannot make the directory %s: %s"), tool->home, strerror(errno));
	ending = home_become_owner(tool->home);
	if (ending)
		return ending;
	home_fd = open(tool->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (home_fd < 0)
		return fail(_("cannot open the directory %s: %s"), tool->home, strerror(errno));
	if (faccessat(home_fd, "store", F_OK, 0) == 0) {
		(void)close(home_fd);
		return refuse(_("there is an office in %s already; it stays as it is. Move it away, or name another directory with --home"),
			tool->home);
	}
	r = put_back(home_fd, tool->home, parts);
	(void)close(home_fd);
	for (size_t i = 0; i < FILES_MAX; i++)
		if (parts[i].fd >= 0)
			(void)close(parts[i].fd);
	if (r == PART_DIFFERS)
		return refuse(_("there are files of another office in %s, such as keys; move them away, or name another directory with --home"),
			tool->home);
	if (r > 0)
		return mark_failed(tool, from, r);
	if (r < 0)
		return fail(_("%s could not be put back into %s: %s; when that is mended, do it again"), from, tool->home,
			strerror(-r));
	say(_("The office is in %s again, as it was in %s."), tool->home, from);
	say_next();
	return DONE;
}

int command_restore(struct tool *tool, int argc, char **argv) {
	bool here = false;
	const struct option_def options[] = {
		{ "here", NULL, N_("what is in the home is itself an old copy, or one of two; the node must be stopped"),
			.flag = &here },
	};
	const struct usage usage = { "restore", "[DIRECTORY]",
		N_("Puts back what lienthong backup wrote, into a home without an office. The node then takes from the office above what that has and is missing here, and begins another life of the office, so that no number is used twice. What was taken in after the backup and had not reached the office above is lost: look through the paper register."),
		options, N_ELEMENTS(options), 0, 1 };
	char **args;
	int n_args, ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (here == (n_args == 1))
		return misuse(_("give the directory of a backup, or --here"));
	if (!here)
		return restore_from(tool, args[0]);
	ending = home_become_owner(tool->home);
	return ending ? ending : restore_here(tool);
}
