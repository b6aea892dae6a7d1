/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A whole office as it is now, in one directory or one file (tools/parts.h). The node may be running: the store is
 * copied as it is at one moment, and what belongs beside it after that, which is never older.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/keyfile.h"
#include "tools/files.h"
#include "tools/home.h"
#include "tools/pack.h"
#include "tools/parts.h"

enum {
	NO_KEYS = 1, /* none that are here are those of the office */
};

static int copy_part(int from_fd, int to_fd, const char *name) {
	int fd = openat(from_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : part_write(to_fd, name, fd, NULL);

	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int copy_parts(const char *from, const char *to, const struct parts *parts, bool with_private) {
	int from_fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int to_fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = from_fd < 0 || to_fd < 0 ? -errno : 0;

	for (size_t i = 0; r == 0 && i < parts->n; i++)
		if (strcmp(parts->list[i].name, PART_STORE) != 0 && strcmp(parts->list[i].name, PART_KEYS) != 0 &&
			(with_private || !parts->list[i].private))
			r = copy_part(from_fd, to_fd, parts->list[i].name);
	if (from_fd >= 0)
		(void)close(from_fd);
	if (to_fd >= 0)
		(void)close(to_fd);
	return r;
}

/* What the copied store says that the office signs with. */
static int read_sign_key(const char *store_path, uint8_t ret_public[SIGN_PUBLIC_LEN]) {
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct office_row own;
	uint32_t epoch;
	int r;

	r = store_open(store_path, STORE_READ, 0, &store);
	if (r == 0)
		r = store_begin_read(store, &txn);
	if (r == 0)
		r = offices_own(txn, &own, &epoch);
	if (r == 0)
		memcpy(ret_public, own.office.sign_key, SIGN_PUBLIC_LEN);
	return r > 0 ? -EIO : r;
}

/* 0, an outcome of keyfile.h or -errno. */
static int read_keys(const char *folder, const char *name, struct keyfile *ret_keys) {
	char *path = NULL;
	int r = asprintf(&path, "%s/%s", folder, name) < 0 ? -ENOMEM : keyfile_read(path, ret_keys);

	free(path);
	return r;
}

static bool do_sign(const struct keyfile *keys, const uint8_t public[SIGN_PUBLIC_LEN]) {
	_cleanup_(signer_freep) struct signer *signer = NULL;
	uint8_t own[SIGN_PUBLIC_LEN];

	if (signer_new(keys->seed, &signer))
		return false;
	signer_public(signer, own);
	return memcmp(own, public, sizeof(own)) == 0;
}

/*
 * A change of keys is in the store first, and waits in keys.next until the node has done the rest; and it may be
 * done wholly while the store is copied. Of the keys until then, the next and the present, in the order in which
 * they take each other's place, those are taken that the copy says.
 */
static int copy_keys(const char *from, const char *to, const char *store, struct keyfile *before) {
	uint8_t public[SIGN_PUBLIC_LEN];
	struct keyfile keys = *before;
	char *path = NULL;
	int r = read_sign_key(store, public);

	if (r == 0 && !do_sign(&keys, public) && (read_keys(from, "keys.next", &keys) || !do_sign(&keys, public)) &&
		(read_keys(from, PART_KEYS, &keys) || !do_sign(&keys, public)))
		r = NO_KEYS;
	if (r == 0)
		r = asprintf(&path, "%s/" PART_KEYS, to) < 0 ? -ENOMEM : keyfile_write(path, &keys);
	explicit_bzero(&keys, sizeof(keys));
	free(path);
	return r;
}

/* 0, NO_KEYS or -errno. */
static int back_up(const struct home *home, const char *home_dir, const char *to, bool with_private) {
	struct keyfile before;
	struct parts parts;
	char *store = NULL;
	int r = read_keys(home_dir, PART_KEYS, &before);

	if (r)
		return r < 0 ? r : NO_KEYS;
	if (asprintf(&store, "%s/store", to) < 0)
		store = NULL;
	r = store ? store_copy(home->store, store) : -ENOMEM;
	if (r == 0)
		r = copy_keys(home_dir, to, store, &before);
	explicit_bzero(&before, sizeof(before));
	free(store);
	if (r == 0)
		r = parts_find(home_dir, &parts);
	if (r == 0)
		r = copy_parts(home_dir, to, &parts, with_private);
	return r ? r : parts_complete(to);
}

/* The directory as one file in it, which then takes its name. 0 or -errno. */
static int pack(const char *folder, const char *path) {
	char *packed;
	int fd, r;

	if (asprintf(&packed, "%s/packed", folder) < 0)
		return -ENOMEM;
	fd = open(packed, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : pack_write(folder, fd);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (fd >= 0 && close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(packed, path) < 0)
		r = -errno;
	if (r)
		(void)unlink(packed);
	free(packed);
	return r ? r : keyfile_sync_folder(path);
}

static bool is_file_name(const char *path) {
	static const char end[] = ".tar.zst";
	size_t len = strlen(path);

	return len > strlen(end) && strcmp(path + len - strlen(end), end) == 0;
}

/* Whether somebody means a file of a kind that is not made: a directory of that name would surprise him. */
static bool is_other_file_name(const char *path) {
	static const char *const ends[] = { ".tar", ".tgz", ".gz", ".zst", ".zip", ".xz" };
	const char *end = strrchr(path, '.');

	for (size_t i = 0; end && !is_file_name(path) && i < N_ELEMENTS(ends); i++)
		if (strcmp(end, ends[i]) == 0)
			return true;
	return false;
}

/* The new directory for it, which as a file it needs for a while. Heap; NULL where it was said why not. */
static char *make_folder(const struct tool *tool, const char *path) {
	char *folder = NULL;

	if ((is_file_name(path) ? asprintf(&folder, "%s.XXXXXX", path) : asprintf(&folder, "%s", path)) < 0) {
		(void)fail_memory();
		return NULL;
	}
	if (is_file_name(path) ? mkdtemp(folder) != NULL : mkdir(folder, 0700) == 0)
		return folder;
	(void)fail(_("cannot make the directory %s: %s; the user that owns %s must be able to write there"), folder,
		strerror(errno), tool->home);
	free(folder);
	return NULL;
}

static bool has_private(const char *home_dir) {
	struct parts parts;
	int r = parts_find(home_dir, &parts);

	for (size_t i = 0; r == 0 && i < parts.n; i++)
		if (parts.list[i].private)
			return true;
	return false;
}

static int report(const struct tool *tool, const char *path, uint64_t records, bool with_private) {
	if (tool->json)
		return json_show(json_pack("{s:s, s:I}", "backup", path, "records", (json_int_t)records));
	say(_("%s holds this office as it is now: %llu records, its keys, its configuration. Keep it where nobody else comes; to put it back: lienthong restore %s"),
		path, (unsigned long long)records, path);
	if (!with_private && has_private(tool->home))
		say(_("The keys to who brought petitions are not in it: keep a copy of the files private-*.keys of %s safe, apart from it."),
			tool->home);
	return DONE;
}

int command_backup(struct tool *tool, int argc, char **argv) {
	bool with_private = false;
	const struct option_def options[] = {
		{ "with-private", NULL, N_("also the keys to who brought petitions: whoever has the backup can then read them, also those that are erased later"),
			.flag = &with_private },
	};
	const struct usage usage = { "backup", "DIRECTORY|FILE.tar.zst",
		N_("Copies this office as it is now into a new directory, or into one file if the name ends with .tar.zst: its store, its keys, its configuration. The node may be running. Whoever has the copy can speak in the office's name: keep it as safe as the computer."),
		options, N_ELEMENTS(options), 1, 1 };
	struct home home;
	uint64_t records;
	struct stat st;
	char *folder;
	char **args;
	int n_args, ending, r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (is_other_file_name(args[0]))
		return misuse(_("%s: a backup is a directory, or a file whose name ends with .tar.zst"), args[0]);
	ending = home_open(tool, &home); /* as its owner, to whom the copy belongs too */
	if (ending)
		return ending;
	if (lstat(args[0], &st) == 0) {
		home_close(&home);
		return refuse(_("%s is there already; a backup is written under a new name"), args[0]);
	}
	folder = make_folder(tool, args[0]);
	if (!folder) {
		home_close(&home);
		return FAILED;
	}
	r = txn_count(home.txn, TABLE_RECORDS, &records);
	home.txn = store_abort(home.txn); /* the copy has its own, which is not older */
	if (r == 0)
		r = back_up(&home, tool->home, folder, with_private);
	if (r == 0 && is_file_name(args[0]))
		r = pack(folder, args[0]);
	if (r || is_file_name(args[0]))
		parts_remove(folder);
	free(folder);
	if (r == NO_KEYS)
		ending = fail(_("%s/keys are not the keys of %.*s, whose store this is: restore the right ones"), tool->home,
			(int)home.own->office.name.len, home.own->office.name.data);
	else if (r)
		ending = fail(_("no backup was written to %s: %s"), args[0], file_error(r));
	home_close(&home);
	return ending ? ending : report(tool, args[0], records, with_private);
}
