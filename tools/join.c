/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdlib.h>

#include "proto/enrol.h"
#include "tools/client.h"
#include "tools/files.h"

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
	int r;

	writer_init_grow(&w);
	r = client_open(tool, &client);
	if (r == 0) {
		control_write_join(&w, client_number(client), file);
		r = client_ask(client, &w, CLIENT_PATIENT_MS, &answer);
	}
	if (r)
		return client_explain(tool, r);
	return answer.result == CONTROL_OK ? DONE : client_refused(&answer, name);
}

static int join(const struct tool *tool, const char *name, struct span file) {
	const struct office *parent;
	struct enrol_answer answer;
	int ending;

	ending = read_answer(name, file, &answer);
	if (ending == DONE)
		ending = ask_to_join(tool, name, file);
	if (ending)
		return ending;
	parent = &answer.chain[answer.n_chain - 2];
	say(_("This office now belongs to %.*s, and will connect to %.*s. See: lienthong status"),
		(int)parent->name.len, (const char *)parent->name.data, (int)answer.address.len,
		(const char *)answer.address.data);
	return DONE;
}

int command_join(struct tool *tool, int argc, char **argv) {
	const struct usage usage = { "join", "ANSWER",
		N_("Joins this office to the one above, with the answer that office made from this one's request."),
		NULL, 0, 1, 1 };
	uint8_t *bytes = NULL;
	size_t len = 0;
	char **args;
	int n_args;
	int ending;
	int r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	r = file_read(args[0], ENROL_FILE_MAX, &bytes, &len);
	if (r)
		return fail(_("cannot read %s: %s"), args[0], strerror(-r));
	ending = join(tool, args[0], (struct span){ bytes, len });
	free(bytes);
	return ending;
}
