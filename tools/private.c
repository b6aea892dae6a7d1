/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/private.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/kinds/access.h"
#include "tools/client.h"
#include "tools/find.h"

/* @ret_client owns what the answer points into. DONE, or an ending with its words. */
static int ask(const struct tool *tool, enum command command, const struct id *record,
	const char *what, struct span reason, struct client **ret_client, struct answer *ret_answer) {
	_cleanup_(writer_done) struct writer w;
	char who[USER_NAME_MAX + 1];
	int ending;

	user_name(&tool->user, who);
	writer_init_grow(&w);
	ending = client_reach(tool, ret_client);
	if (ending)
		return ending;
	control_write_private(&w, client_number(*ret_client), command, record, span_str(who), reason);
	return client_order(tool, *ret_client, &w, what, ret_answer);
}

int private_read(const struct tool *tool, const struct id *record, const char *what, const char *reason,
	uint8_t bytes[PRIVATE_BYTES_MAX], struct private_part *ret_part) {
	_cleanup_(client_closep) struct client *client = NULL;
	struct span line = { 0 }, part;
	struct answer answer;
	int ending;

	ending = option_reason(reason, &line);
	if (ending == DONE)
		ending = ask(tool, COMMAND_READ, record, what, line, &client, &answer);
	free((void *)line.data);
	if (ending)
		return ending;
	part = read_bin(&answer.values, 1, PRIVATE_BYTES_MAX);
	if (answer.values.failed)
		return client_explain(tool, CLIENT_STRANGE);
	memcpy(bytes, part.data, part.len);
	explicit_bzero((void *)part.data, part.len);
	if (private_decode((struct span){ bytes, part.len }, ret_part))
		return client_explain(tool, CLIENT_STRANGE);
	return DONE;
}

static int erase(const struct tool *tool, const char *name, const char *reason) {
	_cleanup_(home_close) struct home home = { 0 };
	_cleanup_(client_closep) struct client *client = NULL;
	struct span line = { 0 };
	struct answer answer;
	struct case_row row;
	struct id id;
	int ending;

	ending = home_open(tool, &home);
	if (ending == DONE)
		ending = find_petition(&home, name, &id, &row);
	if (ending == DONE)
		ending = option_reason(reason, &line);
	if (ending == DONE)
		ending = ask(tool, COMMAND_ERASE, &id, name, line, &client, &answer);
	free((void *)line.data);
	if (ending)
		return ending;
	if (tool->json) {
		char text[OFFICE_ID_TEXT_LEN + 1];

		id_format(&id, text);
		return json_show(json_pack("{s:s, s:b}", "id", text, "erased", true));
	}
	say(_("Erased: who brought %s. The petition and every proof of it are as before."), name);
	return DONE;
}

int command_petition_erase(struct tool *tool, int argc, char **argv) {
	const char *reason = NULL;
	const struct option_def options[] = {
		{ "reason", N_("TEXT"), N_("why: it is written down with your name"), .value = &reason },
	};
	const struct usage usage = { "petition erase", "REF",
		N_("Erases who brought a petition: name, contact and address, for ever. The petition stays. REF is the reference, the number in the paper register, or the id."),
		options, N_ELEMENTS(options), 1, 1 };
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	return erase(tool, args[0], reason);
}
