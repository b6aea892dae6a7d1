/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "proto/control.h"
#include "proto/head.h"
#include "proto/kinds/escalation.h"
#include "proto/kinds/meeting.h"
#include "proto/kinds/office.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/step.h"
#include "proto/kinds/tally.h"
#include "proto/record.h"
#include "store/cases.h"
#include "proto/text.h"

static const char *const actions[] = {
	[ACTION_ACCEPTED] = N_("accepted"),
	[ACTION_RETURNED] = N_("returned"),
	[ACTION_FORWARDED] = N_("forwarded"),
	[ACTION_EXTENDED] = N_("extended"),
	[ACTION_RESOLVED] = N_("resolved"),
	[ACTION_ANSWERED] = N_("answered"),
	[ACTION_PUBLISHED] = N_("published"),
	[ACTION_REOPENED] = N_("reopened"),
	[ACTION_MERGED] = N_("merged"),
	[ACTION_HANDED_OVER] = N_("handed-over"),
	[ACTION_WITHDRAWN] = N_("withdrawn"),
	[ACTION_CLOSED] = N_("closed"),
};

static const char *const accuracies[] = {
	[ACCURACY_EXACT] = N_("exact"),
	[ACCURACY_AT_LEAST] = N_("at-least"),
	[ACCURACY_ABOUT] = N_("about"),
};

static const char *const categories[] = {
	[CATEGORY_NONE] = N_("none"),
	[CATEGORY_SOCIO_ECONOMIC] = N_("socio-economic"),
	[CATEGORY_PUBLIC_OPINION] = N_("public-opinion"),
	[CATEGORY_DAILY_LIFE] = N_("daily-life"),
	[CATEGORY_LAND] = N_("land"),
	[CATEGORY_LETTERS] = N_("letters"),
	[CATEGORY_FACILITIES] = N_("facilities"),
	[CATEGORY_PERSONAL_INTEREST] = N_("personal-interest"),
};

static const char *const causes[] = {
	[CAUSE_URGENT] = N_("urgent"),
	[CAUSE_PEOPLE] = N_("people"),
	[CAUSE_OVERDUE] = N_("overdue"),
};

static const char *const channels[] = {
	[CHANNEL_IN_PERSON] = N_("in-person"),
	[CHANNEL_LETTER] = N_("letter"),
	[CHANNEL_PHONE] = N_("phone"),
	[CHANNEL_MEETING] = N_("meeting"),
	[CHANNEL_ZALO] = N_("zalo"),
	[CHANNEL_FACEBOOK] = N_("facebook"),
	[CHANNEL_FANPAGE] = N_("fanpage"),
	[CHANNEL_PRESS] = N_("press"),
	[CHANNEL_LOUDSPEAKER] = N_("loudspeaker"),
};

static const char *const kinds[] = {
	[KIND_PETITION] = N_("petition"),
	[KIND_STEP] = N_("step"),
	[KIND_MEETING] = N_("meeting"),
	[KIND_TALLY] = N_("tally"),
	[KIND_OFFICE] = N_("office"),
	[KIND_ESCALATION] = N_("escalation"),
	[KIND_ACCESS] = N_("access"),
	[KIND_FORK] = N_("fork"),
	[KIND_REQUEST] = N_("request"),
	[KIND_REPLY] = N_("reply"),
	[KIND_RECEIPT] = N_("receipt"),
	[KIND_CARRIED] = N_("carried"),
};

static const char *const lanes[] = {
	[LANE_URGENT] = N_("urgent"),
	[LANE_NORMAL] = N_("normal"),
	[LANE_BULK] = N_("bulk"),
};

static const char *const legal_kinds[] = {
	[LEGAL_REFLECTION] = N_("reflection"),
	[LEGAL_PETITION] = N_("petition"),
	[LEGAL_COMPLAINT] = N_("complaint"),
	[LEGAL_DENUNCIATION] = N_("denunciation"),
	[LEGAL_DATA_REQUEST] = N_("data-request"),
};

static const char *const link_states[] = {
	[LINK_REPORT_DOWN] = N_("down"),
	[LINK_REPORT_GREETING] = N_("greeting"),
	[LINK_REPORT_STREAMING] = N_("streaming"),
};

static const char *const measures[] = {
	[MEASURE_RECEIVED] = N_("received"),
	[MEASURE_ACCEPTED] = N_("accepted"),
	[MEASURE_RETURNED] = N_("returned"),
	[MEASURE_FORWARDED] = N_("forwarded"),
	[MEASURE_RESOLVED] = N_("resolved"),
	[MEASURE_ANSWERED] = N_("answered"),
	[MEASURE_WITHDRAWN] = N_("withdrawn"),
	[MEASURE_ESCALATED] = N_("escalated"),
	[MEASURE_PEOPLE] = N_("people"),
	[MEASURE_MERGED] = N_("merged"),
	[MEASURE_CLOSED] = N_("closed"),
	[MEASURE_MEETINGS] = N_("meetings"),
	[MEASURE_ATTENDANCE] = N_("attendance"),
	[MEASURE_OPINIONS] = N_("opinions"),
	[MEASURE_ON_THE_SPOT] = N_("on-the-spot"),
	[MEASURE_LATER] = N_("later"),
	[MEASURE_PENDING] = N_("pending"),
};

static const char *const meeting_types[] = {
	[MEETING_DIALOGUE] = N_("dialogue"),
	[MEETING_RECEPTION] = N_("reception"),
	[MEETING_VOTER_CONTACT] = N_("voter-contact"),
	[MEETING_OTHER] = N_("other"),
};

static const char *const office_states[] = {
	[OFFICE_ACTIVE] = N_("active"),
	[OFFICE_CLOSED] = N_("closed"),
	[OFFICE_REVOKED] = N_("revoked"),
	[OFFICE_MOVING] = N_("moved"),
	[OFFICE_SHOWN_FORKED] = N_("forked"),
};

static const char *const organisations[] = {
	[ORGANISATION_NONE] = N_("none"),
	[ORGANISATION_FRONT] = N_("front"),
	[ORGANISATION_WOMEN] = N_("women"),
	[ORGANISATION_YOUTH] = N_("youth"),
	[ORGANISATION_FARMERS] = N_("farmers"),
	[ORGANISATION_VETERANS] = N_("veterans"),
	[ORGANISATION_LABOUR] = N_("labour"),
	[ORGANISATION_BOARD] = N_("board"),
};

static const char *const states[] = {
	[CASE_RECEIVED] = N_("received"),
	[CASE_ACCEPTED] = N_("accepted"),
	[CASE_RETURNED] = N_("returned"),
	[CASE_FORWARDED] = N_("forwarded"),
	[CASE_RESOLVED] = N_("resolved"),
	[CASE_ANSWERED] = N_("answered"),
	[CASE_CLOSED] = N_("closed"),
	[CASE_WITHDRAWN] = N_("withdrawn"),
	[CASE_MERGED] = N_("merged"),
	[CASE_HELD] = N_("held"),
};

const struct words words_action = { actions, N_ELEMENTS(actions) };
const struct words words_accuracy = { accuracies, N_ELEMENTS(accuracies) };
const struct words words_category = { categories, N_ELEMENTS(categories) };
const struct words words_cause = { causes, N_ELEMENTS(causes) };
const struct words words_channel = { channels, N_ELEMENTS(channels) };
const struct words words_kind = { kinds, N_ELEMENTS(kinds) };
const struct words words_lane = { lanes, N_ELEMENTS(lanes) };
const struct words words_legal_kind = { legal_kinds, N_ELEMENTS(legal_kinds) };
const struct words words_link_state = { link_states, N_ELEMENTS(link_states) };
const struct words words_measure = { measures, N_ELEMENTS(measures) };
const struct words words_meeting_type = { meeting_types, N_ELEMENTS(meeting_types) };
const struct words words_office_state = { office_states, N_ELEMENTS(office_states) };
const struct words words_organisation = { organisations, N_ELEMENTS(organisations) };
const struct words words_state = { states, N_ELEMENTS(states) };

const char *words_name(const struct words *words, uint64_t value) {
	return value < words->n ? words->words[value] : NULL;
}

bool words_find(const struct words *words, struct span text, uint8_t *ret_value) {
	for (size_t i = 0; i < words->n; i++) {
		const char *word = words->words[i];

		if (!word || strlen(word) != text.len)
			continue;
		if (strncasecmp(word, (const char *)text.data, text.len) == 0) {
			*ret_value = i;
			return true;
		}
	}
	return false;
}

char *words_list(const struct words *words) {
	char *list = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&list, &len);

	if (!f)
		return NULL;
	for (size_t i = 0; i < words->n; i++) {
		if (words->words[i])
			fprintf(f, "%s%s", ftell(f) > 0 ? ", " : "", words->words[i]);
	}
	if (fclose(f) == 0)
		return list;
	free(list);
	return NULL;
}
