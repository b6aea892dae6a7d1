/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A backup onto a computer again. What is put back asks its parent first for what is missing (node/recovery.h):
 * until then it writes nothing.
 *
 * All is made in restore.part, in the home, and moved from there part by part, the store last: whatever ends us, the
 * same command does it again, and what it finds moved is what it would move. Who finds the store there, and not in
 * restore.part, has only to tidy up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/keyfile.h"
#include "store/private.h"
#include "tools/denunciations.h"
#include "tools/files.h"
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
	if (r == 0)
		r = private_leave_keys(txn);
	return r ? r : store_commit(TAKE(txn));
}

/* Whose keys are not in the home. */
static int count_shut(const char *home_dir, const char *path, struct private_shut *ret_shut) {
	_cleanup_(keyring_closep) struct keyring *keyring = NULL;
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	int r;

	r = store_open(path, STORE_READ, 0, &store);
	if (r == 0)
		r = store_begin_read(store, &txn);
	if (r == 0)
		r = keyring_open(home_dir, &keyring);
	return r ? r : private_settle(txn, keyring, ret_shut);
}

static int mark_failed(const struct tool *tool, const char *path, int r) {
	if (r == STORE_BUSY)
		return refuse(_("the node is running: stop it first (systemctl stop lienthongd)"));
	if (r == MARK_NO_OFFICE)
		return fail(_("there is no office in %s"), path);
	return home_open_failed(tool, r);
}

/* What the copy may not have as it should be, then how it goes on. */
static int say_next(const struct tool *tool) {
	char key[DENUNCIATION_FINGERPRINT_LEN], name[KEYRING_NAME_MAX], *path = home_path(tool, "store");
	struct private_shut shut;
	int r = path ? count_shut(tool->home, path, &shut) : -ENOMEM;

	free(path);
	if (r)
		return home_open_failed(tool, r);
	keyring_name(shut.file, name);
	if (shut.n > 0)
		say(_("Of %llu petitions nobody can read who brought them: the keys are not here. Put the files private-*.keys that were kept safe, %s first, into %s, best now, for the user of the node and mode 0600; they take no other file's place."),
			(unsigned long long)shut.n, name, tool->home);
	if (denunciations_present(tool, key))
		say(_("Who brings a denunciation will be sealed to the key %s, as when this copy was made. If another took its place since, nobody may have the file that opens this one: before the node starts, give that of the newest key, lienthong key denunciations --use FILE."),
			key);
	say(_("Now start the node: systemctl start lienthongd. It first takes from the office above what is missing here, then goes on; until then it takes nothing in. See: lienthong status"));
	return DONE;
}

static int restore_here(const struct tool *tool) {
	char *path = home_path(tool, "store");
	int r = path ? mark(path) : -ENOMEM;

	free(path);
	return r ? mark_failed(tool, tool->home, r) : say_next(tool);
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

/* Whether a file is there: with the same content it was put there by a run that was cut short; a configuration stays. */
static int find_part(int home_fd, const struct part *part, bool *ret_there) {
	int fd = openat(home_fd, part->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool same;

	*ret_there = fd >= 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	same = strcmp(part->name, "lienthong.yaml") == 0 || same_content(fd, part->fd);
	(void)close(fd);
	return same ? 0 : PART_DIFFERS;
}

static int sync_folder(int dir_fd, const char *name) {
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd);
	return r;
}

/* The store last: where it is, everything is. */
static int move_parts(int folder_fd, int home_fd, const struct parts *parts) {
	int r = sync_folder(folder_fd, "store");
	bool there;

	for (size_t i = 1; r == 0 && i < parts->n; i++) {
		r = find_part(home_fd, &parts->list[i], &there);
		if (r == 0 && !there && renameat(folder_fd, parts->list[i].name, home_fd, parts->list[i].name) < 0)
			r = -errno;
	}
	if (r == 0)
		r = sync_folder(home_fd, ".");
	if (r == 0 && renameat(folder_fd, "store", home_fd, "store") < 0)
		r = -errno;
	return r ? r : sync_folder(home_fd, ".");
}

/* What is in @folder into the home around it. 0, an outcome or -errno. */
static int put_back(const char *folder, int home_fd, const struct parts *parts) {
	int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = folder_fd < 0 ? -errno : 0;
	char *store = NULL;
	bool there;

	for (size_t i = 1; r == 0 && i < parts->n; i++)
		r = find_part(home_fd, &parts->list[i], &there);
	if (r == 0)
		r = asprintf(&store, "%s/store", folder) < 0 ? -ENOMEM : mark(store);
	if (r == 0)
		r = move_parts(folder_fd, home_fd, parts);
	if (folder_fd >= 0)
		(void)close(folder_fd);
	free(store);
	return r;
}

/* Copies what was opened elsewhere. */
static int copy_parts(const char *folder, const struct parts *parts) {
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 || mkdirat(fd, "store", 0700) < 0 ? -errno : 0;

	for (size_t i = 0; r == 0 && i < parts->n; i++)
		r = part_write(fd, parts->list[i].name, parts->list[i].fd, NULL);
	if (fd >= 0)
		(void)close(fd);
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

/* DONE with the home open, as its owner; or an ending with its words. */
static int open_home(const struct tool *tool, int *ret_fd) {
	int ending, fd;

	if (geteuid() == 0 && access(tool->home, F_OK) < 0)
		return refuse(_("%s is not there: make it first, for the user that the node runs as: install -d -m 0700 -o USER %s"),
			tool->home, tool->home);
	if (mkdir(tool->home, 0700) < 0 ? errno != EEXIST : keyfile_sync_folder(tool->home) < 0)
		return fail(_("cannot make the directory %s: %s"), tool->home, strerror(errno));
	ending = home_become_owner(tool->home);
	if (ending)
		return ending;
	fd = open(tool->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(_("cannot open the directory %s: %s"), tool->home, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		(void)close(fd);
		return refuse(_("another lienthong restore is at work in %s; wait until it has ended"), tool->home);
	}
	*ret_fd = fd;
	return DONE;
}

static int restore_failed(const struct tool *tool, const char *from, int r) {
	if (r == PART_DIFFERS)
		return refuse(_("there are files of another office in %s, such as keys; move them away, or name another directory with --home"),
			tool->home);
	if (r > 0)
		return mark_failed(tool, from, r);
	return fail(_("%s could not be put back into %s: %s; when that is mended, do it again"), from, tool->home,
		file_error(r));
}

/* What is to be put back into @folder: @fd, a file, or @parts, which were opened already. */
static int fill(const struct tool *tool, const char *folder, const char *from, int fd, struct parts *parts) {
	int r = mkdir(folder, 0700) < 0 ? -errno : parts->n > 0 ? copy_parts(folder, parts) : pack_read(fd, folder);

	if (r == PACK_MALFORMED)
		return fail(_("%s is not a backup, or it is cut off or damaged; nothing was put back: take another copy of it"), from);
	if (r)
		return restore_failed(tool, from, r);
	return parts->n > 0 ? DONE : open_folder(from, folder, parts);
}

static int restore_into(const struct tool *tool, const char *folder, const char *from, int fd, int home_fd,
	struct parts *parts) {
	int ending, r;

	parts_remove(folder);
	ending = fill(tool, folder, from, fd, parts);
	if (ending)
		return ending;
	r = put_back(folder, home_fd, parts);
	if (r)
		return restore_failed(tool, from, r);
	say(_("The office is in %s again, as it was in %s."), tool->home, from);
	return say_next(tool);
}

/* Whether the store in the home was put back, now or once: then nothing but the end of it can have been cut short. */
static bool was_put_back(const struct tool *tool) {
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	char *path = home_path(tool, "store");
	struct span value;
	bool was = path && store_open(path, STORE_READ, 0, &store) == 0 && store_begin_read(store, &txn) == 0 &&
		(meta_get(txn, "recover", &value) == 0 || meta_get(txn, "recovered", &value) == 0);

	free(path);
	return was;
}

static int restore_home(const struct tool *tool, const char *from, int fd, int home_fd, struct parts *parts) {
	char *folder = home_path(tool, "restore.part");
	int ending;

	if (!folder)
		return fail_memory();
	if (faccessat(home_fd, "store", F_OK, 0) < 0) {
		ending = restore_into(tool, folder, from, fd, home_fd, parts);
	} else if (faccessat(home_fd, "restore.part", F_OK, 0) == 0 && faccessat(home_fd, "restore.part/store", F_OK, 0) < 0 &&
		was_put_back(tool)) {
		say(_("A restore that was cut short in %s had put the office back already."), tool->home);
		ending = say_next(tool);
	} else {
		free(folder);
		return refuse(_("there is an office in %s already; it stays as it is. Move it away, or name another directory with --home"),
			tool->home);
	}
	parts_remove(folder); /* after it was said how it ended */
	free(folder);
	return ending;
}

/* The backup is opened by whoever gives the command: the office's user need not reach it. */
static int restore_from(const struct tool *tool, const char *from) {
	int fd = open(from, O_RDONLY | O_NONBLOCK | O_CLOEXEC), home_fd = -1, ending = DONE;
	struct parts parts = { .n = 0 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		ending = fail(_("%s cannot be read: %s"), from, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		ending = open_folder(from, from, &parts);
	if (ending == DONE)
		ending = open_home(tool, &home_fd);
	if (ending == DONE)
		ending = restore_home(tool, from, fd, home_fd, &parts);
	parts_close(&parts);
	if (home_fd >= 0)
		(void)close(home_fd);
	if (fd >= 0)
		(void)close(fd);
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
