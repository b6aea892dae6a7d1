/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A backup onto a computer again. What is put back asks its parent first for what is missing (node/recovery.h):
 * until then it writes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/private.h"
#include "tools/denunciations.h"
#include "tools/home.h"
#include "tools/pack.h"
#include "tools/parts.h"

enum {
	MAP_SIZE = 1 << 30, /* or as much as the store needs */
	COUNTERS_LEN = 12,  /* of "recover", see node/recovery.c */
};

enum {
	MARK_NO_OFFICE = 100,
};

/*
 * What is here may be older than what was sent: the node is to ask first. And what it seals goes with keys of
 * another file: the one with those until now may be put back later, and may have more than is here.
 */
static int mark(const char *home_dir, const char *path, struct private_shut *ret_shut) {
	_cleanup_(keyring_closep) struct keyring *keyring = NULL;
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
	if (r == 0)
		r = private_leave_keys(txn);
	if (r == 0)
		r = keyring_open(home_dir, &keyring);
	if (r == 0)
		r = private_settle(txn, keyring, ret_shut);
	return r ? r : store_commit(TAKE(txn));
}

static int mark_failed(const struct tool *tool, const char *path, int r) {
	if (r == STORE_BUSY)
		return refuse(_("the node is running: stop it first (systemctl stop lienthongd)"));
	if (r == MARK_NO_OFFICE)
		return fail(_("there is no office in %s"), path);
	return home_open_failed(tool, r);
}

/* What the copy may not have as it should be, then how it goes on. */
static void say_next(const struct tool *tool, const struct private_shut *shut) {
	char key[DENUNCIATION_FINGERPRINT_LEN], name[KEYRING_NAME_MAX];

	keyring_name(shut->file, name);
	if (shut->n > 0)
		say(_("Of %llu petitions nobody can read who brought them: the keys are not here. Put %s into %s from where it was kept safe, best now, for the user of the node and mode 0600; it takes no other file's place."),
			(unsigned long long)shut->n, name, tool->home);
	if (denunciations_present(tool, key))
		say(_("Who brings a denunciation will be sealed to the key %s, as when this copy was made. If another took its place since, nobody may have the file that opens this one: before the node starts, give that of the newest key, lienthong key denunciations --use FILE."),
			key);
	say(_("Now start the node: systemctl start lienthongd. It first takes from the office above what is missing here, then goes on; until then it takes nothing in. See: lienthong status"));
}

static int restore_here(const struct tool *tool) {
	char *path = home_path(tool, "store");
	struct private_shut shut;
	int r = path ? mark(tool->home, path, &shut) : -ENOMEM;

	free(path);
	if (r)
		return mark_failed(tool, tool->home, r);
	say_next(tool, &shut);
	return DONE;
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
	int fd, r = part_write(home_fd, part->name, part->fd, NULL);

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
static int put_back(int home_fd, const char *home_dir, const struct parts *parts, struct private_shut *ret_shut) {
	int store_fd = make_part(home_fd), r;
	char *path;

	if (store_fd < 0)
		return store_fd;
	r = part_write(store_fd, "data.mdb", parts->list[0].fd, NULL);
	for (size_t i = 1; r == 0 && i < parts->n; i++)
		r = put_part(home_fd, &parts->list[i]);
	if (asprintf(&path, "%s/store.part", home_dir) < 0)
		path = NULL;
	if (r == 0)
		r = path ? mark(home_dir, path, ret_shut) : -ENOMEM;
	free(path);
	if (r == 0 && fsync(store_fd) < 0)
		r = -errno;
	(void)close(store_fd);
	if (r == 0 && renameat(home_fd, "store.part", home_fd, "store") < 0)
		r = -errno;
	return r == 0 && fsync(home_fd) < 0 ? -errno : r;
}

/* Beside the home: on the same disk, and not in it while it may be no backup. */
static int make_folder(const struct tool *tool, char **ret_folder) {
	char *copy = strdup(tool->home), *folder = NULL;
	int r = 0;

	if (!copy || asprintf(&folder, "%s/lienthong-restore.XXXXXX", dirname(copy)) < 0)
		r = fail_memory();
	else if (!mkdtemp(folder))
		r = fail(_("cannot make a directory beside %s: %s"), tool->home, strerror(errno));
	free(copy);
	if (r)
		free(folder);
	else
		*ret_folder = folder;
	return r;
}

/* DONE with all that is to be put back, or an ending with its words; nothing of the home is touched. */
static int open_folder(const char *from, const char *folder, struct parts *ret_parts) {
	char name[PART_NAME_MAX];
	int r = parts_open(folder, ret_parts, name);

	switch (r) {
	case 0:
		return DONE;
	case PARTS_INCOMPLETE:
		return fail(_("%s is not a complete backup: what must be written last is missing or damaged; nothing was put back"),
			from);
	case PARTS_ALTERED:
		return fail(_("%s is not as it was made: %s in it is missing or another; nothing was put back: take another copy of this backup"),
			from, name);
	default:
		return fail(_("%s cannot be read: %s"), from, strerror(-r));
	}
}

static int open_file(const struct tool *tool, const char *from, int fd, struct parts *ret_parts) {
	char *folder;
	int ending = make_folder(tool, &folder);
	int r;

	if (ending)
		return ending;
	r = pack_read(fd, folder);
	if (r == PACK_MALFORMED)
		ending = fail(_("%s is not a backup, or it is cut off or damaged; nothing was put back: take another copy of it"), from);
	else if (r)
		ending = fail(_("%s cannot be unpacked beside %s: %s; nothing was put back"), from, tool->home, strerror(-r));
	else
		ending = open_folder(from, folder, ret_parts);
	parts_remove(folder); /* what was opened is there until it is closed */
	free(folder);
	return ending;
}

/* By whoever gives the command: the office's user need not reach it. */
static int open_backup(const struct tool *tool, const char *from, struct parts *ret_parts) {
	int fd = open(from, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int ending;

	ret_parts->n = 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		ending = fail(_("%s cannot be read: %s"), from, strerror(errno));
	else
		ending = S_ISREG(st.st_mode) ? open_file(tool, from, fd, ret_parts) : open_folder(from, from, ret_parts);
	if (fd >= 0)
		(void)close(fd);
	return ending;
}

/* DONE with the home open, as its owner; or an ending with its words. */
static int open_home(const struct tool *tool, int *ret_fd) {
	int ending, fd;

	if (mkdir(tool->home, 0700) < 0 && errno != EEXIST)
		return fail(_("cannot make the directory %s: %s"), tool->home, strerror(errno));
	ending = home_become_owner(tool->home);
	if (ending)
		return ending;
	fd = open(tool->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(_("cannot open the directory %s: %s"), tool->home, strerror(errno));
	if (faccessat(fd, "store", F_OK, 0) == 0) {
		(void)close(fd);
		return refuse(_("there is an office in %s already; it stays as it is. Move it away, or name another directory with --home"),
			tool->home);
	}
	*ret_fd = fd;
	return DONE;
}

static int restore_parts(const struct tool *tool, const char *from, const struct parts *parts) {
	struct private_shut shut;
	int home_fd = -1, ending, r;

	ending = open_home(tool, &home_fd);
	if (ending)
		return ending;
	r = put_back(home_fd, tool->home, parts, &shut);
	(void)close(home_fd);
	if (r == PART_DIFFERS)
		return refuse(_("there are files of another office in %s, such as keys; move them away, or name another directory with --home"),
			tool->home);
	if (r > 0)
		return mark_failed(tool, from, r);
	if (r < 0)
		return fail(_("%s could not be put back into %s: %s; when that is mended, do it again"), from, tool->home,
			strerror(-r));
	say(_("The office is in %s again, as it was in %s."), tool->home, from);
	say_next(tool, &shut);
	return DONE;
}

static int restore_from(const struct tool *tool, const char *from) {
	struct parts parts;
	int ending;

	if (geteuid() == 0 && access(tool->home, F_OK) < 0)
		return refuse(_("%s is not there: make it first, for the user that the node runs as: install -d -m 0700 -o USER %s"),
			tool->home, tool->home);
	ending = open_backup(tool, from, &parts);
	if (ending == DONE)
		ending = restore_parts(tool, from, &parts);
	parts_close(&parts);
	return ending;
}

int command_restore(struct tool *tool, int argc, char **argv) {
	bool here = false;
	const struct option_def options[] = {
		{ "here", NULL, N_("what is in the home is itself an old copy, or one of two; the node must be stopped"),
			.flag = &here },
	};
	const struct usage usage = { "restore", "[DIRECTORY|FILE]",
		N_("Puts back what lienthong backup wrote, into a home without an office. The node then takes from the office above what that has and is missing here, and begins another life of the office, so that no number is used twice. What was taken in after the backup and had not reached the office above is lost: look through the paper register."),
		options, N_ELEMENTS(options), 0, 1 };
	char **args;
	int n_args, ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (here == (n_args == 1))
		return misuse(_("name a backup, or give --here"));
	if (!here)
		return restore_from(tool, args[0]);
	ending = home_become_owner(tool->home);
	return ending ? ending : restore_here(tool);
}
