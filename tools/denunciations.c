/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/denunciations.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/keyfile.h"
#include "tools/files.h"
#include "tools/home.h"

enum {
	KEY_NONE = 1,
	KEY_DAMAGED, /* not this half of a key, or not this office's alone to write */
};

/* Only on the stack, and without a stream, whose buffer nobody would wipe. 0, an outcome or -errno. */
static int read_half(enum denunciation_half half, int fd, uint8_t ret_key[BOX_KEY_LEN]) {
	uint8_t text[DENUNCIATION_FILE_MAX + 1];
	size_t len = 0;
	ssize_t n = 1;
	int r = 0;

	while (n != 0 && len < sizeof(text)) {
		n = read(fd, text + len, sizeof(text) - len);
		if (n < 0 && errno != EINTR) {
			r = -errno;
			break;
		}
		len += n > 0 ? (size_t)n : 0;
	}
	if (r == 0 && denunciation_file_decode(half, (struct span){ text, len }, ret_key) != 0)
		r = KEY_DAMAGED;
	explicit_bzero(text, sizeof(text));
	return r;
}

/* Whoever else could write it could put a key of his own there. 0 or an outcome. */
static int read_public(const struct tool *tool, uint8_t ret_public[BOX_KEY_LEN]) {
	char *path = home_path(tool, "denunciation.key");
	int fd = path ? open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
	int r = path && fd < 0 && errno == ENOENT ? KEY_NONE : KEY_DAMAGED;
	struct stat st;

	free(path);
	if (fd < 0)
		return r;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == geteuid() || st.st_uid == 0) &&
		(st.st_mode & 022) == 0)
		r = read_half(DENUNCIATION_PUBLIC, fd, ret_public);
	(void)close(fd);
	return r ? KEY_DAMAGED : 0;
}

void denunciations_context(const struct tool *tool, uint8_t key[BOX_KEY_LEN], struct import_context *context) {
	int r = read_public(tool, key);

	context->denunciation_key = r ? NULL : key;
	context->denunciation_key_damaged = r == KEY_DAMAGED;
}

/* Not refused where others may read it: a stick's file system (FAT) cannot say that they may not. */
int denunciations_read(struct denunciations_file *file) {
	int fd, r;

	if (!file->path)
		return DONE;
	fd = strcmp(file->path, "-") == 0 ? dup(STDIN_FILENO) : open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return fail(_("cannot read %s: %s"), file->path, strerror(errno));
	r = read_half(DENUNCIATION_SECRET, fd, file->secret);
	(void)close(fd);
	if (r < 0)
		return fail(_("cannot read %s: %s"), file->path, strerror(-r));
	if (r)
		return refuse(_("%s is not the file that lienthong key denunciations wrote, or it is damaged"), file->path);
	return DONE;
}

static void fingerprint_of(const uint8_t public[BOX_KEY_LEN], char ret_text[DENUNCIATION_FINGERPRINT_LEN]) {
	uint8_t name[PRIVATE_KEY_LEN];

	denunciation_name(public, name);
	denunciation_fingerprint(name, ret_text);
}

/* DONE, or fails in words: a secret half has always a public one. */
static int public_of(const uint8_t secret[BOX_KEY_LEN], uint8_t ret_public[BOX_KEY_LEN]) {
	int r = curve_public(secret, ret_public);

	return r ? fail(_("cannot use this key: %s"), strerror(-r)) : DONE;
}

int denunciations_open(const struct denunciations_file *file, const char *what,
	const struct private_part *sealed, uint8_t plain[PRIVATE_BOX_PLAIN], struct private_part *ret_open) {
	char needed[DENUNCIATION_FINGERPRINT_LEN], given[DENUNCIATION_FINGERPRINT_LEN];
	uint8_t public[BOX_KEY_LEN];
	int ending = public_of(file->secret, public);

	if (ending)
		return ending;
	denunciation_fingerprint(sealed->key.data, needed);
	fingerprint_of(public, given);
	switch (denunciation_open(file->secret, sealed, plain, ret_open)) {
	case 0:
		return DONE;
	case DENUNCIATION_OTHER_KEY:
		return refuse(_("%s: who brought it is sealed to the key %s; %s holds another: %s"), what, needed, file->path,
			given);
	default:
		return fail(_("%s: who brought it is sealed to the key %s, and was altered since: nobody can read it"), what,
			needed);
	}
}

/* What lies in the home is copied, backed up and at hand with the computer. */
static bool is_in_home(const struct tool *tool, const char *file) {
	char *copy = strdup(file);
	char *folder = copy ? realpath(dirname(copy), NULL) : NULL;
	char *home = realpath(tool->home, NULL);
	size_t len = home ? strlen(home) : 0;
	bool in = folder && home && strncmp(folder, home, len) == 0 && (folder[len] == '/' || folder[len] == '\0');

	free(copy);
	free(folder);
	free(home);
	return in;
}

static int make_secret(const char *path, uint8_t ret_secret[BOX_KEY_LEN]) {
	char text[DENUNCIATION_FILE_MAX];
	size_t len;
	int r;

	r = random_bytes(ret_secret, BOX_KEY_LEN);
	if (r)
		return fail(_("this computer gives no random numbers: %s"), strerror(-r));
	len = denunciation_file_encode(DENUNCIATION_SECRET, ret_secret, text);
	r = keyfile_write_text(path, text, len);
	explicit_bzero(text, sizeof(text));
	if (r == -EEXIST)
		return refuse(_("%s is there already and stays as it is; name another file, or add --use if its key is to be used in this office"),
			path);
	return r ? fail(_("cannot write %s: %s"), path, strerror(-r)) : DONE;
}

static int keep_public(const struct tool *tool, const uint8_t public[BOX_KEY_LEN]) {
	char *path = home_path(tool, "denunciation.key");
	char text[DENUNCIATION_FILE_MAX];
	size_t len = denunciation_file_encode(DENUNCIATION_PUBLIC, public, text);
	int r = path ? file_write(path, (struct span){ (const uint8_t *)text, len }, 0644) : -ENOMEM;

	if (r)
		r = fail(_("cannot write %s: %s"), path ? path : tool->home, file_error(r));
	free(path);
	return r;
}

bool denunciations_present(const struct tool *tool, char ret_fingerprint[DENUNCIATION_FINGERPRINT_LEN]) {
	uint8_t public[BOX_KEY_LEN];

	if (read_public(tool, public) != 0)
		return false;
	fingerprint_of(public, ret_fingerprint);
	return true;
}

static bool has_office(const struct tool *tool) {
	char *path = home_path(tool, "store");
	bool has = path && access(path, F_OK) == 0;

	free(path);
	return has;
}

static int show(const struct tool *tool, const char *fingerprint, const char *file, const char *before, bool made) {
	if (tool->json)
		return json_show(json_pack("{s:s?, s:s?, s:s?}", "fingerprint", fingerprint, "file", file, "replaced",
			before));
	if (!file && fingerprint)
		say(_("Who brings a denunciation is sealed to the key %s."), fingerprint);
	if (!file)
		return DONE;
	say(_("Who brings a denunciation is sealed from now on to the key %s."), fingerprint);
	if (made)
		say(_("Only %s opens it: take it off this computer, into the safe of whoever may know, with a second one elsewhere. If it is lost nobody can ever read what was sealed."),
			file);
	if (before)
		say(_("What was sealed before needs the file of the key before: %s. Keep that too."), before);
	return DONE;
}

static int show_present(const struct tool *tool) {
	char fingerprint[DENUNCIATION_FINGERPRINT_LEN];
	uint8_t public[BOX_KEY_LEN];
	int ending = home_become_owner(tool->home);
	int r;

	if (ending)
		return ending;
	r = read_public(tool, public);
	if (r == KEY_DAMAGED)
		return fail(_("denunciation.key in %s is damaged, or others can write it; put it there again with lienthong key denunciations --use FILE"),
			tool->home);
	if (r == 0)
		fingerprint_of(public, fingerprint);
	else if (!tool->json)
		say(_("This office has no key for denunciations; lienthong key denunciations FILE makes one."));
	return show(tool, r ? NULL : fingerprint, NULL, NULL, false);
}

/* The secret half first, by whoever gives the command: the office's user need not reach the stick. */
static int take_key(const struct tool *tool, struct denunciations_file *file, bool use) {
	char now[DENUNCIATION_FINGERPRINT_LEN], before[DENUNCIATION_FINGERPRINT_LEN] = "";
	uint8_t public[BOX_KEY_LEN];
	int ending;

	ending = use ? denunciations_read(file) : make_secret(file->path, file->secret);
	if (ending == DONE)
		ending = home_become_owner(tool->home);
	if (ending)
		return ending;
	if (read_public(tool, public) == 0)
		fingerprint_of(public, before);
	ending = public_of(file->secret, public);
	if (ending == DONE)
		ending = keep_public(tool, public);
	if (ending)
		return ending;
	fingerprint_of(public, now);
	return show(tool, now, file->path, before[0] && strcmp(before, now) != 0 ? before : NULL, !use);
}

int command_key_denunciations(struct tool *tool, int argc, char **argv) {
	bool use = false;
	const struct option_def options[] = {
		{ "use", NULL, N_("FILE was made before, here or in another office: use its key"), .flag = &use },
	};
	const struct usage usage = { "key denunciations", "[FILE]",
		N_("Makes a key to which who brings a denunciation is sealed from then on, before the node gets it. FILE alone opens it, and is meant for a stick in a safe: make it there, not on this computer. What was sealed before stays sealed to the key before. Without FILE, says which key is used."),
		options, N_ELEMENTS(options), 0, 1 };
	struct denunciations_file file = { 0 };
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (!has_office(tool))
		return home_open_failed(tool, -ENOENT);
	if (n_args == 0)
		return use ? misuse(_("--use: name the file")) : show_present(tool);
	file.path = args[0];
	if (strcmp(file.path, "-") == 0 && !use)
		return misuse(_("-: name a file; what opens denunciations is for no screen"));
	if (strcmp(file.path, "-") != 0 && is_in_home(tool, file.path))
		return refuse(_("%s would lie in the home of the office, where everybody has it who has the computer; name a file on a stick"),
			file.path);
	ending = take_key(tool, &file, use);
	explicit_bzero(&file, sizeof(file));
	return ending;
}
