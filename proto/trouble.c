/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/trouble.h"

#include <stdio.h>

#include "proto/text.h"

struct trouble trouble_of(enum trouble_code code, uint32_t reason, const char *detail) {
	struct trouble trouble = { .code = code, .reason = reason };

	(void)snprintf(trouble.detail, sizeof(trouble.detail), "%s", detail);
	return trouble;
}

bool trouble_eq(const struct trouble *a, const struct trouble *b) {
	return a->code == b->code && a->reason == b->reason && strcmp(a->detail, b->detail) == 0;
}

const char *trouble_name(uint8_t code) {
	static const char *const names[] = {
		[TROUBLE_NOT_YET] = "not-yet",
		[TROUBLE_SILENT] = "silent",
		[TROUBLE_ENDED_BY_THEM] = "ended-by-them",
		[TROUBLE_ENDED_BY_US] = "ended-by-us",
		[TROUBLE_REFUSED] = "refused",
		[TROUBLE_FAR_HEADS] = "far-heads",
		[TROUBLE_NO_ANSWER] = "no-answer",
		[TROUBLE_DEAF] = "deaf",
		[TROUBLE_KEY_REFUSED] = "key-refused",
		[TROUBLE_LOST] = "lost",
		[TROUBLE_NOT_A_NODE] = "not-a-node",
		[TROUBLE_BAD_ADDRESS] = "bad-address",
		[TROUBLE_MOVED] = "moved",
		[TROUBLE_DISCONNECTED] = "disconnected",
		[TROUBLE_CONNECTED_AGAIN] = "connected-again",
		[TROUBLE_NO_END] = "no-end",
		[TROUBLE_SHOWN_BELOW] = "shown-below",
		[TROUBLE_HANDED_OVER] = "handed-over",
		[TROUBLE_PAUSED] = "paused",
		[TROUBLE_HOURS] = "outside-hours",
		[TROUBLE_BUDGET] = "budget-spent",
	};

	return code < N_ELEMENTS(names) ? names[code] : "unknown";
}

const char *trouble_detail(const struct trouble *trouble) {
	switch (trouble->code) {
	case TROUBLE_ENDED_BY_THEM:
	case TROUBLE_ENDED_BY_US:
	case TROUBLE_REFUSED:
		return refusal_name(trouble->reason);
	default:
		return trouble->detail[0] ? trouble->detail : NULL;
	}
}

/* What the sentence says beside its words: the reason's name, or the address. */
static const char *sentence(const struct trouble *trouble, const char **ret_part) {
	*ret_part = trouble->detail;
	switch (trouble->code) {
	case TROUBLE_NONE:
		return "";
	case TROUBLE_NOT_YET:
		return _("never connected since the node started");
	case TROUBLE_SILENT:
		return _("no word from them for a minute");
	case TROUBLE_ENDED_BY_THEM:
		*ret_part = _(refusal_name(trouble->reason));
		return _("they ended the session: %s");
	case TROUBLE_ENDED_BY_US:
		*ret_part = _(refusal_name(trouble->reason));
		return _("this node ended the session: %s");
	case TROUBLE_REFUSED:
		*ret_part = _(refusal_name(trouble->reason));
		return _("they refused an oplog: %s");
	case TROUBLE_FAR_HEADS:
		return _("an oplog is held back: its heads are too far apart");
	case TROUBLE_NO_ANSWER:
		return _("no answer at %s");
	case TROUBLE_DEAF:
		return _("%s accepts connections but does not answer");
	case TROUBLE_KEY_REFUSED:
		return _("%s refused our key: its office must accept this one first");
	case TROUBLE_LOST:
		return _("the connection to %s was lost");
	case TROUBLE_NOT_A_NODE:
		return _("what answers at %s is no node, or not our parent's");
	case TROUBLE_MOVED:
		return _("it listens elsewhere now");
	case TROUBLE_DISCONNECTED:
		return _("it disconnected, or does not read");
	case TROUBLE_CONNECTED_AGAIN:
		return _("it connected again");
	case TROUBLE_SHOWN_BELOW:
		return _("an office below says that it was shown records that have not come here; ask both, they may be kept from you: %s");
	case TROUBLE_HANDED_OVER:
		return _("this office was handed over to it, and joins it with its answer: lienthong join FILE");
	case TROUBLE_PAUSED:
		return _("paused by this office (lienthong link resume ends it)");
	case TROUBLE_HOURS:
		return _("outside the hours that are set for the line, only what is urgent is sent");
	case TROUBLE_BUDGET:
		return _("the bytes that are set for a day on the line are used up, only what is urgent is sent");
	case TROUBLE_NO_END:
		return _("an oplog is held back: its office was put back, and where the old one ended has not been signed here yet");
	default:
		return _("for a reason that only a newer version knows");
	}
}

void trouble_text(const struct trouble *trouble, char ret_text[TROUBLE_TEXT_MAX]) {
	const char *part;
	const char *words = sentence(trouble, &part);
	const char *mark = strstr(words, "%s");

	if (trouble->code == TROUBLE_BAD_ADDRESS)
		(void)snprintf(ret_text, TROUBLE_TEXT_MAX, _("%s cannot be used: %s"), trouble->detail,
			strerror((int)trouble->reason));
	else if (mark)
		(void)snprintf(ret_text, TROUBLE_TEXT_MAX, "%.*s%s%s", (int)(mark - words), words, part,
			mark + 2);
	else
		(void)snprintf(ret_text, TROUBLE_TEXT_MAX, "%s", words);
}
