/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/nodestate.h"

#include <stdio.h>

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
		return _("the node is not running");
	case CLIENT_SILENT:
		return _("the node does not answer");
	default:
		return _("the node cannot be asked");
	}
}

/* What a node says of its links: link.c, uplink.c and downlink.c of the node. */
static const char *const sentences[] = {
	N_("not connected yet"),
	N_("has not connected yet"),
	N_("they ended the session: %s"),
	N_("they refused an oplog: %s"),
	N_("an oplog is held back: its origin signed a head badly"),
	N_("an oplog is held back: its heads are too far apart"),
	N_("no word from them for a minute"),
	N_("it disconnected, or does not read"),
	N_("it connected again"),
	N_("it listens elsewhere now"),
	N_("no answer at %s"),
	N_("the connection to %s was lost"),
	N_("what answers at %s is no node, or not our parent's"),
};

/* The part of @english where @sentence has its %s; the whole, empty, where it has none. */
static bool matches(const char *sentence, const char *english, struct span *ret_part) {
	const char *mark = strstr(sentence, "%s");
	size_t before = mark ? (size_t)(mark - sentence) : 0;
	size_t after = mark ? strlen(mark + 2) : 0;
	size_t len = strlen(english);

	*ret_part = (struct span){ 0 };
	if (!mark)
		return strcmp(sentence, english) == 0;
	if (len < before + after || strncmp(sentence, english, before) != 0 ||
		strcmp(mark + 2, english + len - after) != 0)
		return false;
	*ret_part = (struct span){ (const uint8_t *)english + before, len - before - after };
	return true;
}

/* What is not among the sentences stays English. */
static void translate(const char *english, char *ret_text, size_t size) {
	char part_text[CONTROL_DETAIL_MAX + 1];
	const char *translated;
	const char *mark;
	struct span part;
	size_t i = 0;

	while (i < N_ELEMENTS(sentences) && !matches(sentences[i], english, &part))
		i++;
	translated = i < N_ELEMENTS(sentences) ? _(sentences[i]) : english;
	mark = i < N_ELEMENTS(sentences) ? strstr(translated, "%s") : NULL;
	if (!mark) {
		snprintf(ret_text, size, "%s", translated);
		return;
	}
	snprintf(part_text, sizeof(part_text), "%.*s", (int)part.len, (const char *)part.data);
	snprintf(ret_text, size, "%.*s%s%s", (int)(mark - translated), translated,
		part_text[0] ? _(part_text) : "", mark + 2);
}

void nodestate_why(const struct nodestate *state, const struct id *office, char *ret_text,
	size_t size) {
	char english[CONTROL_DETAIL_MAX + 1];
	struct link_report link;

	if (state->down) {
		snprintf(ret_text, size, "%s", nodestate_down(state));
	} else if (!nodestate_link(state, office, &link)) {
		snprintf(ret_text, size, "%s", _("never connected since the node started"));
	} else {
		snprintf(english, sizeof(english), "%.*s", (int)link.why.len,
			(const char *)link.why.data);
		translate(english, ret_text, size);
	}
}
