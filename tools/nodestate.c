/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/nodestate.h"

#include <stdio.h>

#include "tools/dates.h"

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

/* That this office keeps the line closed: why, since when, until when. */
static void cell_why_closed(struct listing *listing, const struct line_report *line) {
	const struct trouble trouble = { .code = line->why };
	char why[TROUBLE_TEXT_MAX], since[DATE_TEXT_MAX], until[DATE_TEXT_MAX];
	char sentence[TROUBLE_TEXT_MAX + 2 * DATE_TEXT_MAX + 64];

	trouble_text(&trouble, why);
	date_format_time(line->since_ms, since);
	date_format_time(line->until_ms, until);
	if (line->since_ms && line->until_ms)
		(void)snprintf(sentence, sizeof(sentence), _("%s; since %s, until %s"), why, since, until);
	else if (line->since_ms)
		(void)snprintf(sentence, sizeof(sentence), _("%s; since %s"), why, since);
	else
		(void)snprintf(sentence, sizeof(sentence), _("%s; until %s"), why, until);
	cell_word_or_none(listing, trouble_name(line->why), sentence);
	date_format_iso(line->until_ms, until);
	cell_word_or_none(listing, line->until_ms ? until : NULL, "");
}

void cell_why(struct listing *listing, const struct nodestate *state, const struct id *office, enum lane lane) {
	struct link_report link = { .trouble = { .code = TROUBLE_NOT_YET } };
	char sentence[TROUBLE_TEXT_MAX];

	if (state->down) {
		cell_word_or_none(listing, "node-down", _(nodestate_down(state)));
		cell_none(listing);
		return;
	}
	(void)nodestate_link(state, office, &link);
	if (link.up && state->status.line.why && (lane != LANE_URGENT || state->status.line.why == TROUBLE_PAUSED)) {
		cell_why_closed(listing, &state->status.line);
		return;
	}
	trouble_text(&link.trouble, sentence);
	cell_word_or_none(listing, trouble_name(link.trouble.code), sentence);
	cell_word_or_none(listing, trouble_detail(&link.trouble), "");
}
