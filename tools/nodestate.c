/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/nodestate.h"

void nodestate_init(struct nodestate *state, const struct tool *tool) {
	_cleanup_(writer_done) struct writer w;
	struct answer answer;
	int r;

	*state = (struct nodestate){ 0 };
	writer_init_grow(&w);
	r = client_open(tool, &state->client);
	if (r == 0) {
		control_write_status(&w, client_number(state->client));
		r = client_ask(state->client, &w, CLIENT_QUICK_MS, &answer);
	}
	if (r == 0 && (answer.result != CONTROL_OK || control_status_read(&answer, &state->status)))
		r = CLIENT_STRANGE;
	state->down = r;
}

void nodestate_done(struct nodestate *state) {
	state->client = client_close(state->client);
}

bool nodestate_link(const struct nodestate *state, const struct id *office,
	struct link_report *ret_link) {
	struct control_status status = state->status;

	if (state->down)
		return false;
	while (control_link_next(&status, ret_link)) {
		if (id_eq(&ret_link->office, office))
			return true;
	}
	return false;
}

const char *nodestate_down(const struct nodestate *state) {
	switch (state->down) {
	case CLIENT_DOWN:
		return N_("the node is not running");
	case CLIENT_SILENT:
	case CLIENT_GONE:
		return N_("the node does not answer");
	default:
		return N_("the node cannot be asked");
	}
}

static void cell_word_or_none(struct listing *listing, const char *word, const char *sentence) {
	cell(listing, word ? json_string(word) : json_null(), "%s", sentence);
}

void cell_why(struct listing *listing, const struct nodestate *state, const struct id *office) {
	struct link_report link = { .trouble = { .code = TROUBLE_NOT_YET } };
	char sentence[TROUBLE_TEXT_MAX];

	if (state->down) {
		cell_word_or_none(listing, "node-down", _(nodestate_down(state)));
		cell_none(listing);
		return;
	}
	(void)nodestate_link(state, office, &link);
	trouble_text(&link.trouble, sentence);
	cell_word_or_none(listing, trouble_name(link.trouble.code), sentence);
	cell_word_or_none(listing, trouble_detail(&link.trouble), "");
}
