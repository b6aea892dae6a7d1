/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A whole office as it is now, in one directory (tools/parts.h). The node may be running: the store is
 * copied as it is at one moment, and what belongs beside it after that, which is never older.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/home.h"
#include "tools/parts.h"

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
		if (strcmp(parts->list[i].name, PART_STORE) != 0 && (with_private || !parts->list[i].private))
			r = copy_part(from_fd, to_fd, parts->list[i].name);
	if (from_fd >= 0)
		(void)close(from_fd);
	if (to_fd >= 0)
		(void)close(to_fd);
	return r;
}

static int back_up(const struct home *home, const char *home_dir, const char *to, bool with_private) {
	struct parts parts;
	char *store = NULL;
	int r;

	if (asprintf(&store, "%s/store", to) < 0)
		return -ENOMEM;
	r = store_copy(home->store, store);
	free(store);
	if (r == 0)
		r = parts_find(home_dir, &parts);
	if (r == 0)
		r = copy_parts(home_dir, to, &parts, with_private);
	return r ? r : parts_complete(to);
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
	const struct usage usage = { "backup", "DIRECTORY",
		N_("Copies this office as it is now into a new directory: its store, its keys, its configuration. The node may be running. Whoever has the copy can speak in the office's name: keep it as safe as the computer."),
		options, N_ELEMENTS(options), 1, 1 };
	struct home home;
	uint64_t records;
	struct stat st;
	char **args;
	int n_args, ending, r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_open(tool, &home); /* as its owner, to whom the copy belongs too */
	if (ending)
		return ending;
	if (lstat(args[0], &st) == 0) {
		home_close(&home);
		return refuse(_("%s is there already; a backup is written under a new name"), args[0]);
	}
	if (mkdir(args[0], 0700) < 0) {
		r = errno;
		home_close(&home);
		return fail(_("cannot make the directory %s: %s; the user that owns %s must be able to write there"), args[0],
			strerror(r), tool->home);
	}
	r = txn_count(home.txn, TABLE_RECORDS, &records);
	home.txn = store_abort(home.txn); /* the copy has its own, which is not older */
	if (r == 0)
		r = back_up(&home, tool->home, args[0], with_private);
	home_close(&home);
	if (r)
		return fail(_("the backup in %s is not complete: %s; remove it"), args[0], strerror(-r));
	return report(tool, args[0], records, with_private);
}
