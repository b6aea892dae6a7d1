/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/enrol.h"
#include "tools/client.h"
#include "tools/enrolment.h"
#include "tools/files.h"
#include "tools/invited.h"

enum {
	WAIT_DEFAULT_S = 1800,
	WAIT_MAX_S = 7 * 24 * 3600,
	ARGS_MAX = 1000, /* words of the message in which a text came */
};

static int read_answer(const char *name, struct span file, struct enrol_answer *ret_answer) {
	switch (enrol_answer_read(file, ret_answer)) {
	case 0:
		return DONE;
	case ENROL_BAD_SIGNATURE:
		return refuse(_("%s is damaged or was changed: its signature does not fit; ask for it again"),
			name);
	case ENROL_MALFORMED:
		return refuse(_("%s is not an answer; the office above makes it with lienthong office add"),
			name);
	default:
		return fail_memory();
	}
}

static int ask_to_join(const struct tool *tool, const char *name, struct span file) {
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	struct answer answer;
	int ending;

	writer_init_grow(&w);
	ending = client_reach(tool, &client);
	if (ending)
		return ending;
	control_write_join(&w, client_number(client), file);
	return client_order(tool, client, &w, name, &answer);
}

static int join(const struct tool *tool, const char *name, struct span file,
	const struct comparison *comparison) {
	const struct office *parent;
	struct enrol_answer answer;
	int ending;

	ending = read_answer(name, file, &answer);
	if (ending)
		return ending;
	parent = &answer.chain[answer.n_chain - 2].office;
	ending = enrolment_confirm(parent, comparison);
	if (ending == DONE)
		ending = ask_to_join(tool, name, file);
	if (ending)
		return ending;
	say(_("This office now belongs to %.*s, and will connect to %.*s. See: lienthong status"),
		(int)parent->name.len, (const char *)parent->name.data, (int)answer.address.len,
		(const char *)answer.address.data);
	return DONE;
}

static int join_with_text(const struct tool *tool, struct span text, const char *wait) {
	unsigned long wait_s = WAIT_DEFAULT_S;
	char *end;

	if (wait) {
		wait_s = strtoul(wait, &end, 10);
		if (*end || wait[0] < '0' || wait[0] > '9' || wait_s > WAIT_MAX_S)
			return misuse(_("--wait: write a number of seconds, at most %d"), WAIT_MAX_S);
	}
	return join_invited(tool, text, (unsigned)wait_s);
}

/* The words between which an invitation stands; it may have come with spaces and line breaks. */
static int join_words(char **words, int n, uint8_t **ret_bytes, size_t *ret_len) {
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	if (!f)
		return -ENOMEM;
	for (int i = 0; i < n; i++)
		fprintf(f, "%s ", words[i]);
	if (fclose(f) != 0) {
		free(text);
		return -ENOMEM;
	}
	*ret_bytes = (uint8_t *)text;
	return 0;
}

/* What is meant by the arguments: the bytes of a file, or the words themselves. On the heap. */
static int read_arguments(char **words, int n, uint8_t **ret_bytes, size_t *ret_len) {
	int r = n > 1 ? -ENOENT : file_read(words[0], ENROL_FILE_MAX, ret_bytes, ret_len);

	if (r == 0)
		return DONE;
	/* names of directories may hold the same letters; a text is too long for a name, or has no slash */
	if (n == 1 && r != -ENAMETOOLONG && (strchr(words[0], '/') || !strstr(words[0], "lienthong-")))
		return fail(_("cannot read %s: %s"), words[0], file_error(r));
	return join_words(words, n, ret_bytes, ret_len) ? fail_memory() : DONE;
}

int command_join(struct tool *tool, int argc, char **argv) {
	const char *wait = NULL;
	struct comparison comparison = { 0 };
	const struct option_def options[] = {
		{ "wait", N_("SECONDS"), N_("with an invitation: how long to wait for the office above; default 1800"),
			.value = &wait },
		{ "fingerprint", N_("TEXT"), N_("with an answer: as the office above reads it out over the telephone; otherwise you are asked"),
			.value = &comparison.fingerprint },
		{ "yes", NULL, N_("with an answer: do not ask, the file surely is of that office"),
			.flag = &comparison.yes },
	};
	const struct usage usage = { "join", "TEXT|FILE",
		N_("Makes this office, with the invitation that the office above sent (TEXT, or a FILE with it; - is standard input); or joins one that was made with lienthong init, with the FILE that the office above made from its request."),
		options, N_ELEMENTS(options), 1, ARGS_MAX };
	uint8_t *bytes = NULL;
	size_t len = 0;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = read_arguments(args, n_args, &bytes, &len);
	if (ending)
		return ending;
	if (is_invitation((struct span){ bytes, len }))
		ending = join_with_text(tool, (struct span){ bytes, len }, wait);
	else if (n_args > 1)
		ending = misuse(_("there is no invitation in these words; copy it whole, from \"lienthong-\" on"));
	else
		ending = join(tool, args[0], (struct span){ bytes, len }, &comparison);
	explicit_bzero(bytes, len);
	free(bytes);
	return ending;
}
