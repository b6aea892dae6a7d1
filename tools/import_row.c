/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/import_row.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistr.h>

#include "proto/denunciation.h"
#include "proto/head.h"
#include "proto/kinds/meeting.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/private.h"
#include "proto/kinds/step.h"
#include "proto/sign.h"
#include "tools/dates.h"
#include "proto/text.h"
#include "tools/words.h"

enum {
	YEAR_MIN = 2000, /* references have two digits for the year */
	YEAR_MAX = 2099,
};

/* What each step says beside its date. */
enum use {
	UNUSED = 0,
	MAY,
	MUST,
};

static const struct {
	enum use to, due, text;
} step_uses[ACTION_N] = {
	[ACTION_ACCEPTED] = { UNUSED, UNUSED, MAY },
	[ACTION_RETURNED] = { UNUSED, UNUSED, MUST },
	[ACTION_FORWARDED] = { MUST, MAY, MAY },
	[ACTION_EXTENDED] = { UNUSED, MUST, MUST },
	[ACTION_RESOLVED] = { UNUSED, UNUSED, MUST },
	[ACTION_ANSWERED] = { UNUSED, UNUSED, MUST },
	[ACTION_PUBLISHED] = { MUST, UNUSED, MAY },
	[ACTION_REOPENED] = { UNUSED, UNUSED, MUST },
	[ACTION_MERGED] = { MUST, UNUSED, MAY },
	[ACTION_HANDED_OVER] = { MUST, UNUSED, MAY },
	[ACTION_WITHDRAWN] = { UNUSED, UNUSED, MAY },
	[ACTION_CLOSED] = { UNUSED, UNUSED, MAY },
};

struct import_quoted import_quote(struct span text) {
	struct import_quoted quoted;
	size_t len = text.len;

	if (len > IMPORT_QUOTE_MAX) {
		len = IMPORT_QUOTE_MAX;
		while (len > 0 && (text.data[len] & 0xc0) == 0x80)
			len--;
	}
	snprintf(quoted.text, sizeof(quoted.text), "%.*s%s", (int)len, (const char *)text.data,
		len < text.len ? "…" : "");
	return quoted;
}

void import_blame(struct import_reading *reading, uint64_t line,
	unsigned column, const char *format, ...) {
	struct import *import = reading->import;
	va_list args;
	char *text;
	int r;

	if (reading->error)
		return;
	if (import->n_faults == import->cap_faults) {
		size_t cap = import->cap_faults ? 2 * import->cap_faults : 16;
		struct import_fault *faults;

		faults = reallocarray(import->faults, cap, sizeof(*faults));
		if (!faults) {
			reading->error = -ENOMEM;
			return;
		}
		import->faults = faults;
		import->cap_faults = cap;
	}
	va_start(args, format);
	r = vasprintf(&text, format, args);
	va_end(args);
	if (r < 0) {
		reading->error = -ENOMEM;
		return;
	}
	import->faults[import->n_faults] = (struct import_fault){
		.line = line,
		.column = import_column(import->type, column),
		.text = text,
		.order = column == IMPORT_NO_COLUMN ? 0 : column + 1,
	};
	import->n_faults++;
}

#define FAULT(reading, column, ...) import_blame(reading, (reading)->line, column, __VA_ARGS__)

/* An empty cell is a fault if the value must be there. */
static bool given(struct import_reading *reading, unsigned column, bool must) {
	if (reading->cells[column].len > 0)
		return true;
	if (must)
		FAULT(reading, column, _("is empty, and must be filled in"));
	return false;
}

static uint64_t get_count(struct import_reading *reading, unsigned column, struct span text,
	uint64_t min, uint64_t max) {
	uint64_t n = 0;
	bool digits = text.len > 0;

	for (size_t i = 0; i < text.len && digits && n <= max; i++) {
		digits = text.data[i] >= '0' && text.data[i] <= '9';
		n = n * 10 + (uint64_t)(text.data[i] - '0');
	}
	if (digits && n >= min && n <= max)
		return n;
	FAULT(reading, column, _("\"%s\" is not a whole number from %llu to %llu, written in digits only"),
		import_quote(reading->cells[column]).text, (unsigned long long)min,
		(unsigned long long)max);
	return min;
}

static uint64_t get_date(struct import_reading *reading, unsigned column, bool must) {
	uint64_t ms = 0;

	if (given(reading, column, must) && !date_parse(reading->cells[column], &ms))
		FAULT(reading, column,
			_("\"%s\" is not a date; write 2024-05-31 or 31/05/2024"),
			import_quote(reading->cells[column]).text);
	return ms;
}

/* The day on which something was done: one that the node keeps, and not in the future. */
static uint64_t get_past_date(struct import_reading *reading, unsigned column) {
	uint64_t ms = get_date(reading, column, true);
	uint64_t now_ms = reading->context->now_ms;
	char now[DATE_TEXT_MAX];

	if (ms == 0)
		return 0;
	if (date_year(ms) < YEAR_MIN || date_year(ms) > YEAR_MAX) {
		FAULT(reading, column, _("\"%s\" cannot be kept; dates are from %d-01-01 to %d-12-31"),
			import_quote(reading->cells[column]).text, YEAR_MIN, YEAR_MAX);
		return 0;
	}
	/* tomorrow is let pass: a clock may be slow, and a clerk at work around midnight */
	if (ms < date_day(now_ms) + 2 * (uint64_t)DATE_DAY_MS)
		return ms;
	date_format_time(now_ms, now);
	FAULT(reading, column, _("\"%s\" is in the future; this computer's clock says %s"),
		import_quote(reading->cells[column]).text, now);
	return 0;
}

static uint8_t get_word(struct import_reading *reading, unsigned column, const struct words *words) {
	uint8_t value = 0;
	char *list;

	if (!given(reading, column, true) || words_find(words, reading->cells[column], &value))
		return value;
	list = words_list(words);
	if (list)
		FAULT(reading, column, _("\"%s\" is not known here; write one of: %s"),
			import_quote(reading->cells[column]).text, list);
	else
		reading->error = -ENOMEM;
	free(list);
	return 0;
}

/* A character that no decoder takes, since it would mislead whoever reads the text. */
static void blame_character(struct import_reading *reading, unsigned column, size_t at) {
	struct span text = reading->cells[column];
	ucs4_t character = 0;

	u8_mbtouc(&character, text.data + at, text.len - at);
	FAULT(reading, column, character == '\n' ?
			_("character %zu is a line break (U+%04X); write it in one line") :
			_("character %zu cannot be seen, and may make the text look other than it is (U+%04X); leave it out"),
		u8_mbsnlen(text.data, at) + 1, (unsigned)character);
}

static struct span get_text(struct import_reading *reading, unsigned column, bool must, size_t max,
	bool lines) {
	struct span text = reading->cells[column];
	size_t unfit = text_unfit(text, lines);

	given(reading, column, must);
	if (text.len > max)
		FAULT(reading, column, _("is too long: %zu bytes, and at most %zu can be kept"), text.len,
			max);
	else if (unfit < text.len)
		blame_character(reading, column, unfit);
	return text;
}

static bool get_yes(struct import_reading *reading, unsigned column) {
	static const char *const no_yes[] = { "no", "yes" };
	static const struct words words = { no_yes, N_ELEMENTS(no_yes) };
	struct span text = reading->cells[column];
	uint8_t value = 0;

	if (text.len > 0 && !words_find(&words, text, &value))
		FAULT(reading, column, _("\"%s\" is not known here; write one of: %s"), import_quote(text).text,
			"yes, no");
	return value;
}

static void blame_many(struct import_reading *reading, unsigned column) {
	const struct import_context *context = reading->context;
	struct span name = reading->cells[column];
	char *list = context->list_cases(context->userdata, name);

	if (list)
		FAULT(reading, column, _("\"%s\" may be several petitions: %s; write the id of the one meant"),
			import_quote(name).text, list);
	else
		reading->error = -ENOMEM;
	free(list);
}

static void find_case(struct import_reading *reading, unsigned column,
	struct import_case *ret_case) {
	const struct import_context *context = reading->context;
	struct span name = reading->cells[column];
	struct import_quoted quoted = import_quote(name);

	if (!given(reading, column, true))
		return;
	switch (context->find_case(context->userdata, name, ret_case)) {
	case IMPORT_FOUND:
		break;
	case IMPORT_NONE:
		FAULT(reading, column, _("no petition here has the reference or number \"%s\""), quoted.text);
		break;
	case IMPORT_MANY:
		blame_many(reading, column);
		break;
	case IMPORT_WRONG_CHECK:
		FAULT(reading, column,
			_("in the reference \"%s\" a digit is wrong: its last two digits do not fit the others"),
			quoted.text);
		break;
	}
}

static struct import_row *new_row(struct import_reading *reading) {
	struct import *import = reading->import;
	struct import_row *row;

	if (import->n_rows == import->cap_rows) {
		size_t cap = import->cap_rows ? 2 * import->cap_rows : 64;
		struct import_row *rows = reallocarray(import->rows, cap, sizeof(*rows));

		if (!rows) {
			reading->error = -ENOMEM;
			return NULL;
		}
		import->rows = rows;
		import->cap_rows = cap;
	}
	row = &import->rows[import->n_rows++];
	*row = (struct import_row){
		.line = reading->line,
		.name = reading->cells[0], /* number or petition, in all of them */
		.body_at = import->bodies.len,
		.private_at = import->privates.len,
	};
	return row;
}

void import_key_begin(const struct import_reading *reading, struct writer *w, size_t n) {
	writer_init_grow(w);
	write_array(w, n + 2);
	write_str(w, span_str("lienthong import 1"));
	write_bin(w, reading->context->secret);
}

void import_key_end(struct import_reading *reading, struct writer *w, struct hash *ret_key) {
	if (writer_ok(w))
		sha256(writer_span(w), ret_key);
	else
		reading->error = -ENOMEM;
	writer_done(w);
}

static void key_by_number(struct import_reading *reading, struct import_row *row, uint64_t date_ms) {
	struct writer w;

	row->date_ms = date_ms;
	import_key_begin(reading, &w, 4);
	write_id(&w, &reading->context->own);
	write_uint(&w, row->draft.kind);
	write_str(&w, row->name);
	write_uint(&w, date_year(date_ms));
	import_key_end(reading, &w, &row->key);
	record_make_id(date_ms, row->key.b, &row->draft.id);
}

/* The first of the three that says anything. */
static unsigned private_column(const struct private_part *part) {
	return part->name.len > 0 ? PETITION_COLUMN_PETITIONER
		: part->contact.len > 0 ? PETITION_COLUMN_CONTACT
					: PETITION_COLUMN_ADDRESS;
}

static void blame_rule(struct import_reading *reading, unsigned column, const char *text) {
	struct import *import = reading->import;
	size_t n_faults = import->n_faults;

	FAULT(reading, column, "%s", text);
	if (import->n_faults > n_faults)
		import->faults[n_faults].rule = true;
}

/* Already here: the node, its memory and its disk never have it in the open. */
static void seal_private(struct import_reading *reading, const struct private_part *part) {
	const struct import_context *context = reading->context;
	int r = DENUNCIATION_BAD_KEY;

	if (context->denunciation_key)
		r = denunciation_seal(context->denunciation_key, part, &reading->import->privates);
	if (r == -ENOBUFS)
		return; /* too long, which was said */
	if (r < 0)
		reading->error = r;
	else if (r && (context->denunciation_key || context->denunciation_key_damaged))
		blame_rule(reading, private_column(part),
			_("denunciation.key in the home of this office cannot be used; put it there again with lienthong key denunciations --use FILE, or keep the denunciation without name, contact and address"));
	else if (r)
		blame_rule(reading, private_column(part),
			_("who brings a denunciation is sealed to a key that this office does not have yet; make one with lienthong key denunciations FILE, or keep the denunciation without name, contact and address"));
}

/* Who brought it goes beside the record, never into it. */
static void read_private(struct import_reading *reading, uint8_t legal_kind) {
	const struct private_part part = {
		.name = get_text(reading, PETITION_COLUMN_PETITIONER, false, PRIVATE_NAME_MAX, false),
		.contact = get_text(reading, PETITION_COLUMN_CONTACT, false, PRIVATE_CONTACT_MAX, false),
		.address = get_text(reading, PETITION_COLUMN_ADDRESS, false, PRIVATE_ADDRESS_MAX, false),
	};

	if (part.name.len + part.contact.len + part.address.len == 0)
		return;
	if (legal_kind == LEGAL_DENUNCIATION)
		seal_private(reading, &part);
	else
		private_encode(&part, &reading->import->privates);
}

static void read_petition(struct import_reading *reading) {
	struct petition petition = {
		.number = get_text(reading, PETITION_COLUMN_NUMBER, reading->of_file,
			PETITION_NUMBER_MAX, false),
		.received_ms = get_past_date(reading, PETITION_COLUMN_RECEIVED),
		.legal_kind = get_word(reading, PETITION_COLUMN_KIND, &words_legal_kind),
		.village = get_text(reading, PETITION_COLUMN_VILLAGE, false, PETITION_VILLAGE_MAX,
			false),
		.category = get_word(reading, PETITION_COLUMN_CATEGORY, &words_category),
		.channel = get_word(reading, PETITION_COLUMN_CHANNEL, &words_channel),
		.people = 1,
		.urgent = get_yes(reading, PETITION_COLUMN_URGENT),
		.text = get_text(reading, PETITION_COLUMN_TEXT, true, PETITION_TEXT_MAX, true),
		.asked_of = get_text(reading, PETITION_COLUMN_ASKED_OF, false, PETITION_ASKED_OF_MAX,
			false),
	};
	uint8_t organisation = get_word(reading, PETITION_COLUMN_ORGANISATION, &words_organisation);
	struct import_row *row;

	if (given(reading, PETITION_COLUMN_PEOPLE, false))
		petition.people = get_count(reading, PETITION_COLUMN_PEOPLE,
			reading->cells[PETITION_COLUMN_PEOPLE], 1, PETITION_PEOPLE_MAX);
	row = new_row(reading);
	if (!row)
		return;
	row->draft.kind = KIND_PETITION;
	row->draft.organisation = organisation;
	row->draft.lane = petition.urgent ? LANE_URGENT : LANE_NORMAL;
	petition_encode(&petition, &reading->import->bodies);
	read_private(reading, petition.legal_kind);
	key_by_number(reading, row, petition.received_ms);
}

/* What `to` means depends on the step: an authority, an outlet, another petition, an office. */
static void read_to(struct import_reading *reading, struct step *step) {
	struct span to = reading->cells[STEP_COLUMN_TO];
	struct import_case other = { 0 };

	switch (step->action) {
	case ACTION_MERGED:
		find_case(reading, STEP_COLUMN_TO, &other);
		step->office = other.id;
		if (id_eq(&step->office, &step->petition) && !id_is_nil(&step->office))
			FAULT(reading, STEP_COLUMN_TO, _("names the petition itself; write the one it goes into"));
		break;
	case ACTION_HANDED_OVER:
		if (given(reading, STEP_COLUMN_TO, true) &&
			reading->context->find_office(reading->context->userdata, to, &step->office))
			FAULT(reading, STEP_COLUMN_TO,
				_("\"%s\" is not the code of the office directly above, the only one that can take it over"),
				import_quote(to).text);
		break;
	default:
		step->to = get_text(reading, STEP_COLUMN_TO, true, STEP_TO_MAX, false);
		break;
	}
}

static void not_used(struct import_reading *reading, unsigned column, uint8_t action) {
	if (reading->cells[column].len > 0)
		FAULT(reading, column, _("must be empty for the step \"%s\""),
			words_name(&words_action, action));
}

static void read_step_fields(struct import_reading *reading, struct step *step) {
	if (step->action == 0)
		return;
	if (step_uses[step->action].to == UNUSED)
		not_used(reading, STEP_COLUMN_TO, step->action);
	else
		read_to(reading, step);
	if (step_uses[step->action].due == UNUSED)
		not_used(reading, STEP_COLUMN_DUE, step->action);
	else
		step->due_ms = get_date(reading, STEP_COLUMN_DUE, step_uses[step->action].due == MUST);
	if (step->due_ms && step->due_ms < step->date_ms)
		FAULT(reading, STEP_COLUMN_DUE, _("is before the step's own date"));
	if (step->due_ms)
		step->due_ms += DATE_DAY_MS - 1; /* the whole of that day is still in time */
	step->text = get_text(reading, STEP_COLUMN_TEXT, step_uses[step->action].text == MUST,
		STEP_TEXT_MAX, true);
}

/* Nothing is done about a petition before it is brought. */
static void check_order(struct import_reading *reading, const struct step *step,
	const struct import_case *about) {
	char received[DATE_TEXT_MAX];

	if (step->date_ms == 0 || step->date_ms >= date_day(about->received_ms))
		return;
	date_format(about->received_ms, received);
	FAULT(reading, STEP_COLUMN_DATE, _("is before %s, the day on which the petition was received"),
		received);
}

static void read_step(struct import_reading *reading) {
	struct step step = {
		.action = get_word(reading, STEP_COLUMN_STEP, &words_action),
		.date_ms = get_past_date(reading, STEP_COLUMN_DATE),
	};
	struct import_case about = { .organisation = ORGANISATION_NONE };
	struct import_row *row;
	struct writer w;

	find_case(reading, STEP_COLUMN_PETITION, &about);
	step.petition = about.id;
	check_order(reading, &step, &about);
	read_step_fields(reading, &step);
	row = new_row(reading);
	if (!row)
		return;
	row->draft.kind = KIND_STEP;
	row->draft.organisation = about.organisation;
	row->draft.lane = LANE_NORMAL;
	row->date_ms = step.date_ms;
	step_encode(&step, &reading->import->bodies);
	import_key_begin(reading, &w, 7);
	write_id(&w, &step.petition);
	write_uint(&w, step.action);
	write_uint(&w, step.date_ms);
	write_uint(&w, step.due_ms);
	write_id(&w, &step.office);
	write_str(&w, step.to);
	write_str(&w, step.text);
	import_key_end(reading, &w, &row->key);
	record_make_id(step.date_ms, row->key.b, &row->draft.id);
}

/* "120", ">=120" or "~80". */
static void read_attendance(struct import_reading *reading, struct meeting *meeting) {
	struct span text = reading->cells[MEETING_COLUMN_ATTENDANCE];
	size_t prefix = 0;

	if (!given(reading, MEETING_COLUMN_ATTENDANCE, true))
		return;
	if (text.len > 2 && memcmp(text.data, ">=", 2) == 0) {
		meeting->attendance_accuracy = ACCURACY_AT_LEAST;
		prefix = 2;
	} else if (text.len > 1 && text.data[0] == '~') {
		meeting->attendance_accuracy = ACCURACY_ABOUT;
		prefix = 1;
	}
	text.data += prefix;
	text.len -= prefix;
	meeting->attendance =
		get_count(reading, MEETING_COLUMN_ATTENDANCE, text, 0, MEETING_COUNT_MAX);
}

static uint32_t get_opinions(struct import_reading *reading, unsigned column) {
	if (!given(reading, column, false))
		return 0;
	return get_count(reading, column, reading->cells[column], 0, MEETING_COUNT_MAX);
}

static void read_meeting(struct import_reading *reading) {
	struct meeting meeting = {
		.type = get_word(reading, MEETING_COLUMN_TYPE, &words_meeting_type),
		.date_ms = get_past_date(reading, MEETING_COLUMN_DATE),
		.opinions = get_opinions(reading, MEETING_COLUMN_OPINIONS),
		.on_the_spot = get_opinions(reading, MEETING_COLUMN_ON_THE_SPOT),
		.later = get_opinions(reading, MEETING_COLUMN_LATER),
		.pending = get_opinions(reading, MEETING_COLUMN_PENDING),
		.number = get_text(reading, MEETING_COLUMN_NUMBER, reading->of_file, MEETING_NUMBER_MAX,
			false),
		.host = get_text(reading, MEETING_COLUMN_HOST, false, MEETING_HOST_MAX, false),
		.topic = get_text(reading, MEETING_COLUMN_TOPIC, false, MEETING_TOPIC_MAX, true),
	};
	uint8_t organisation = get_word(reading, MEETING_COLUMN_ORGANISATION, &words_organisation);
	uint32_t sum = meeting.on_the_spot + meeting.later + meeting.pending;
	struct import_row *row;

	read_attendance(reading, &meeting);
	if (meeting.opinions != sum)
		FAULT(reading, MEETING_COLUMN_OPINIONS,
			_("%u opinions do not balance: %u on the spot + %u later + %u pending = %u"),
			meeting.opinions, meeting.on_the_spot, meeting.later, meeting.pending, sum);
	row = new_row(reading);
	if (!row)
		return;
	row->draft.kind = KIND_MEETING;
	row->draft.organisation = organisation;
	row->draft.lane = LANE_NORMAL;
	meeting_encode(&meeting, &reading->import->bodies);
	key_by_number(reading, row, meeting.date_ms);
}

static unsigned petition_differs(struct span body, struct span held_body) {
	struct petition a, b;

	if (petition_decode(body, &a) || petition_decode(held_body, &b))
		return PETITION_COLUMN_NUMBER;
	return a.received_ms != b.received_ms ? PETITION_COLUMN_RECEIVED
		: a.legal_kind != b.legal_kind ? PETITION_COLUMN_KIND
		: !span_eq(a.village, b.village) ? PETITION_COLUMN_VILLAGE
		: a.category != b.category ? PETITION_COLUMN_CATEGORY
		: a.channel != b.channel ? PETITION_COLUMN_CHANNEL
		: a.people != b.people ? PETITION_COLUMN_PEOPLE
		: a.urgent != b.urgent ? PETITION_COLUMN_URGENT
		: !span_eq(a.text, b.text) ? PETITION_COLUMN_TEXT
		: !span_eq(a.asked_of, b.asked_of) ? PETITION_COLUMN_ASKED_OF
						   : IMPORT_NO_COLUMN;
}

static unsigned meeting_differs(struct span body, struct span held_body) {
	struct meeting a, b;

	if (meeting_decode(body, &a) || meeting_decode(held_body, &b))
		return MEETING_COLUMN_NUMBER;
	return a.date_ms != b.date_ms ? MEETING_COLUMN_DATE
		: a.type != b.type ? MEETING_COLUMN_TYPE
		: !span_eq(a.host, b.host) ? MEETING_COLUMN_HOST
		: a.attendance != b.attendance || a.attendance_accuracy != b.attendance_accuracy
			? MEETING_COLUMN_ATTENDANCE
		: a.opinions != b.opinions ? MEETING_COLUMN_OPINIONS
		: a.on_the_spot != b.on_the_spot ? MEETING_COLUMN_ON_THE_SPOT
		: a.later != b.later ? MEETING_COLUMN_LATER
		: a.pending != b.pending ? MEETING_COLUMN_PENDING
		: !span_eq(a.topic, b.topic) ? MEETING_COLUMN_TOPIC
					     : IMPORT_NO_COLUMN;
}

unsigned import_row_differs(const struct import_row *row, const struct import_held *held) {
	bool same_organisation = row->draft.organisation == held->organisation;
	unsigned column;

	if (row->draft.kind == KIND_PETITION) {
		column = petition_differs(row->draft.body, held->body);
		return column == IMPORT_NO_COLUMN && !same_organisation ?
			PETITION_COLUMN_ORGANISATION : column;
	}
	column = meeting_differs(row->draft.body, held->body);
	return column == IMPORT_NO_COLUMN && !same_organisation ? MEETING_COLUMN_ORGANISATION : column;
}

void import_row_read(struct import_reading *reading) {
	struct import *import = reading->import;
	size_t n_faults = import->n_faults;

	switch (import->type) {
	case IMPORT_PETITIONS:
		read_petition(reading);
		break;
	case IMPORT_STEPS:
		read_step(reading);
		break;
	default:
		read_meeting(reading);
		break;
	}
	if (import->n_faults > n_faults && import->n_rows > 0)
		import->rows[import->n_rows - 1].faulty = true;
}
