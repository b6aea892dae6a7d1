/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/import.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/head.h"
#include "proto/kinds/meeting.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/step.h"
#include "proto/sign.h"
#include "tools/dates.h"
#include "tools/text.h"
#include "tools/words.h"

enum {
	QUOTE_MAX = 60,       /* bytes of a cell that a message repeats */
	DRAFT_OVERHEAD = 32,  /* bytes of a draft in a request beside its body, at most */
	PROGRESS_EVERY = 500, /* rows */
	TEXT_MAX = PETITION_TEXT_MAX, /* no other text is longer */
	SUBMIT_BYTES_MAX = CONTROL_MAX - 64,
};

static const struct {
	const char *name;
	size_t n_columns;
	const char *columns[IMPORT_COLUMNS_MAX];
} types[IMPORT_N] = {
	[IMPORT_PETITIONS] = { "petitions", PETITION_COLUMN_N, {
		[PETITION_COLUMN_NUMBER] = "number",
		[PETITION_COLUMN_RECEIVED] = "received",
		[PETITION_COLUMN_ORGANISATION] = "organisation",
		[PETITION_COLUMN_KIND] = "kind",
		[PETITION_COLUMN_VILLAGE] = "village",
		[PETITION_COLUMN_CATEGORY] = "category",
		[PETITION_COLUMN_CHANNEL] = "channel",
		[PETITION_COLUMN_PEOPLE] = "people",
		[PETITION_COLUMN_URGENT] = "urgent",
		[PETITION_COLUMN_TEXT] = "text",
		[PETITION_COLUMN_ASKED_OF] = "asked_of",
	} },
	[IMPORT_STEPS] = { "steps", STEP_COLUMN_N, {
		[STEP_COLUMN_PETITION] = "petition",
		[STEP_COLUMN_STEP] = "step",
		[STEP_COLUMN_DATE] = "date",
		[STEP_COLUMN_TO] = "to",
		[STEP_COLUMN_DUE] = "due",
		[STEP_COLUMN_TEXT] = "text",
	} },
	[IMPORT_MEETINGS] = { "meetings", MEETING_COLUMN_N, {
		[MEETING_COLUMN_NUMBER] = "number",
		[MEETING_COLUMN_DATE] = "date",
		[MEETING_COLUMN_ORGANISATION] = "organisation",
		[MEETING_COLUMN_TYPE] = "type",
		[MEETING_COLUMN_HOST] = "host",
		[MEETING_COLUMN_ATTENDANCE] = "attendance",
		[MEETING_COLUMN_OPINIONS] = "opinions",
		[MEETING_COLUMN_ON_THE_SPOT] = "on_the_spot",
		[MEETING_COLUMN_LATER] = "later",
		[MEETING_COLUMN_PENDING] = "pending",
		[MEETING_COLUMN_TOPIC] = "topic",
	} },
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

/* One row on its way from cells to a draft. Faults do not stop it: all of them are wanted. */
struct reading {
	struct import *import;
	const struct import_context *context;
	const struct span *cells; /* as types[].columns */
	uint64_t line;
	bool of_file;
	int error;       /* sticky: 0 or -errno */
};

struct quoted {
	char text[QUOTE_MAX + 4];
};

const char *import_type_name(enum import_type type) {
	return types[type].name;
}

const char *import_column(enum import_type type, unsigned column) {
	return column < IMPORT_COLUMNS_MAX ? types[type].columns[column] : NULL;
}

/* The beginning of a cell for a message, cut where a character ends. */
static struct quoted quote(struct span text) {
	struct quoted quoted;
	size_t len = text.len;

	if (len > QUOTE_MAX) {
		len = QUOTE_MAX;
		while (len > 0 && (text.data[len] & 0xc0) == 0x80)
			len--;
	}
	snprintf(quoted.text, sizeof(quoted.text), "%.*s%s", (int)len, (const char *)text.data,
		len < text.len ? "…" : "");
	return quoted;
}

__attribute__((format(printf, 4, 5))) static void fault(struct reading *reading, uint64_t line,
	const char *column, const char *format, ...) {
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
	import->faults[import->n_faults] =
		(struct import_fault){ line, column, text, import->n_faults };
	import->n_faults++;
}

static const char *column_name(const struct reading *reading, unsigned column) {
	return types[reading->import->type].columns[column];
}

#define FAULT(reading, column, ...)                                                                \
	fault(reading, (reading)->line, column_name(reading, column), __VA_ARGS__)

/* An empty cell is a fault if the value must be there. */
static bool given(struct reading *reading, unsigned column, bool must) {
	if (reading->cells[column].len > 0)
		return true;
	if (must)
		FAULT(reading, column, _("is empty, and must be filled in"));
	return false;
}

static uint64_t get_count(struct reading *reading, unsigned column, struct span text, uint64_t min,
	uint64_t max) {
	uint64_t n = 0;
	bool digits = text.len > 0;

	for (size_t i = 0; i < text.len && digits && n <= max; i++) {
		digits = text.data[i] >= '0' && text.data[i] <= '9';
		n = n * 10 + (uint64_t)(text.data[i] - '0');
	}
	if (digits && n >= min && n <= max)
		return n;
	FAULT(reading, column, _("\"%s\" is not a whole number from %llu to %llu, written in digits only"),
		quote(reading->cells[column]).text, (unsigned long long)min, (unsigned long long)max);
	return min;
}

static uint64_t get_date(struct reading *reading, unsigned column, bool must) {
	uint64_t ms = 0;

	if (given(reading, column, must) && !date_parse(reading->cells[column], &ms))
		FAULT(reading, column,
			_("\"%s\" is not a date; write 2024-05-31 or 31/05/2024"),
			quote(reading->cells[column]).text);
	return ms;
}

static uint8_t get_word(struct reading *reading, unsigned column, const struct words *words) {
	uint8_t value = 0;
	char *list;

	if (!given(reading, column, true) || words_find(words, reading->cells[column], &value))
		return value;
	list = words_list(words);
	if (list)
		FAULT(reading, column, _("\"%s\" is not known here; write one of: %s"),
			quote(reading->cells[column]).text, list);
	else
		reading->error = -ENOMEM;
	free(list);
	return 0;
}

/* Whether a decoder will take the text: it refuses what commands a terminal. */
static bool is_clean(struct span text, bool lines) {
	uint8_t buf[TEXT_MAX + 8];
	struct writer w;
	struct reader r;

	writer_init(&w, buf, sizeof(buf));
	write_str(&w, text);
	reader_init(&r, writer_span(&w));
	if (lines)
		read_text(&r, 0, TEXT_MAX);
	else
		read_line(&r, 0, TEXT_MAX);
	return reader_done(&r) == 0;
}

static struct span get_text(struct reading *reading, unsigned column, bool must, size_t max,
	bool lines) {
	struct span text = reading->cells[column];

	given(reading, column, must);
	if (text.len > max)
		FAULT(reading, column, _("is too long: %zu bytes, and at most %zu can be kept"), text.len,
			max);
	else if (!is_clean(text, lines))
		FAULT(reading, column,
			lines ? _("holds control characters; write it again as plain text") :
				_("holds a line break or control characters; write it in one line"));
	return text;
}

static bool get_yes(struct reading *reading, unsigned column) {
	struct span text = reading->cells[column];

	if (span_eq(text, span_str("yes")))
		return true;
	if (text.len > 0 && !span_eq(text, span_str("no")))
		FAULT(reading, column, _("\"%s\" is not known here; write one of: %s"), quote(text).text,
			"yes, no");
	return false;
}

static void find_case(struct reading *reading, unsigned column, struct id *ret_id,
	uint8_t *ret_organisation) {
	const struct import_context *context = reading->context;
	struct span name = reading->cells[column];
	struct quoted quoted = quote(name);

	if (!given(reading, column, true))
		return;
	switch (context->find_case(context->userdata, name, ret_id, ret_organisation)) {
	case IMPORT_FOUND:
		break;
	case IMPORT_NONE:
		FAULT(reading, column, _("no petition here has the reference or number \"%s\""), quoted.text);
		break;
	case IMPORT_MANY:
		FAULT(reading, column,
			_("several petitions have the number \"%s\"; write the reference of the one meant"),
			quoted.text);
		break;
	case IMPORT_WRONG_CHECK:
		FAULT(reading, column,
			_("in the reference \"%s\" a digit is wrong: its last two digits do not fit the others"),
			quoted.text);
		break;
	}
}

static struct import_row *new_row(struct reading *reading) {
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
	};
	return row;
}

static void key_begin(struct writer *w, size_t n) {
	writer_init_grow(w);
	write_array(w, n + 1);
	write_str(w, span_str("lienthong import 1"));
}

static void key_end(struct reading *reading, struct writer *w, struct hash *ret_key) {
	if (writer_ok(w))
		sha256(writer_span(w), ret_key);
	else
		reading->error = -ENOMEM;
	writer_done(w);
}

static void key_by_number(struct reading *reading, struct import_row *row, uint64_t date_ms) {
	struct writer w;

	row->date_ms = date_ms;
	key_begin(&w, 4);
	write_id(&w, &reading->context->own);
	write_uint(&w, row->draft.kind);
	write_str(&w, row->name);
	write_uint(&w, date_year(date_ms));
	key_end(reading, &w, &row->key);
	record_make_id(date_ms, row->key.b, &row->draft.id);
}

static void read_petition(struct reading *reading) {
	struct petition petition = {
		.number = get_text(reading, PETITION_COLUMN_NUMBER, reading->of_file,
			PETITION_NUMBER_MAX, false),
		.received_ms = get_date(reading, PETITION_COLUMN_RECEIVED, true),
		.legal_kind = get_word(reading, PETITION_COLUMN_KIND, &words_legal_kind),
		.village = get_text(reading, PETITION_COLUMN_VILLAGE, false, PETITION_VILLAGE_MAX, false),
		.category = get_word(reading, PETITION_COLUMN_CATEGORY, &words_category),
		.channel = get_word(reading, PETITION_COLUMN_CHANNEL, &words_channel),
		.people = 1,
		.urgent = get_yes(reading, PETITION_COLUMN_URGENT),
		.text = get_text(reading, PETITION_COLUMN_TEXT, true, PETITION_TEXT_MAX, true),
		.asked_of = get_text(reading, PETITION_COLUMN_ASKED_OF, false, PETITION_ASKED_OF_MAX, false),
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
	key_by_number(reading, row, petition.received_ms);
}

/* What `to` means depends on the step: an authority, an outlet, another petition, an office. */
static void read_to(struct reading *reading, struct step *step) {
	struct span to = reading->cells[STEP_COLUMN_TO];
	uint8_t organisation;

	switch (step->action) {
	case ACTION_MERGED:
		find_case(reading, STEP_COLUMN_TO, &step->office, &organisation);
		if (id_eq(&step->office, &step->petition) && !id_is_nil(&step->office))
			FAULT(reading, STEP_COLUMN_TO, _("names the petition itself; write the one it goes into"));
		break;
	case ACTION_HANDED_OVER:
		if (given(reading, STEP_COLUMN_TO, true) &&
			reading->context->find_office(reading->context->userdata, to, &step->office))
			FAULT(reading, STEP_COLUMN_TO,
				_("no single active office known here has the code \"%s\"; see: lienthong office list"),
				quote(to).text);
		break;
	default:
		step->to = get_text(reading, STEP_COLUMN_TO, true, STEP_TO_MAX, false);
		break;
	}
}

static void not_used(struct reading *reading, unsigned column, uint8_t action) {
	if (reading->cells[column].len > 0)
		FAULT(reading, column, _("must be empty for the step \"%s\""),
			words_name(&words_action, action));
}

static void read_step_fields(struct reading *reading, struct step *step) {
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

static void read_step(struct reading *reading) {
	struct step step = {
		.action = get_word(reading, STEP_COLUMN_STEP, &words_action),
		.date_ms = get_date(reading, STEP_COLUMN_DATE, true),
	};
	uint8_t organisation = ORGANISATION_NONE;
	struct import_row *row;
	struct writer w;

	find_case(reading, STEP_COLUMN_PETITION, &step.petition, &organisation);
	read_step_fields(reading, &step);
	row = new_row(reading);
	if (!row)
		return;
	row->draft.kind = KIND_STEP;
	row->draft.organisation = organisation;
	row->draft.lane = LANE_NORMAL;
	row->date_ms = step.date_ms;
	step_encode(&step, &reading->import->bodies);
	key_begin(&w, 7);
	write_id(&w, &step.petition);
	write_uint(&w, step.action);
	write_uint(&w, step.date_ms);
	write_uint(&w, step.due_ms);
	write_id(&w, &step.office);
	write_str(&w, step.to);
	write_str(&w, step.text);
	key_end(reading, &w, &row->key);
	record_make_id(step.date_ms, row->key.b, &row->draft.id);
}

/* "120", ">=120" or "~80". */
static void read_attendance(struct reading *reading, struct meeting *meeting) {
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

static uint32_t get_opinions(struct reading *reading, unsigned column) {
	if (!given(reading, column, false))
		return 0;
	return get_count(reading, column, reading->cells[column], 0, MEETING_COUNT_MAX);
}

static void read_meeting(struct reading *reading) {
	struct meeting meeting = {
		.type = get_word(reading, MEETING_COLUMN_TYPE, &words_meeting_type),
		.date_ms = get_date(reading, MEETING_COLUMN_DATE, true),
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

static void read_row(struct reading *reading) {
	switch (reading->import->type) {
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
}

static int compare_rows(const void *a, const void *b) {
	const struct import_row *const *left = a;
	const struct import_row *const *right = b;
	int r = memcmp((*left)->key.b, (*right)->key.b, sizeof((*left)->key.b));

	if (r)
		return r;
	return (*left)->line < (*right)->line ? -1 : (*left)->line > (*right)->line;
}

/* The same step twice in one file is two steps: the second's id says that it is the second. */
static void count_twin(struct reading *reading, struct import_row *row, uint64_t twins) {
	struct hash key;
	struct writer w;

	key_begin(&w, 2);
	write_hash(&w, &row->key);
	write_uint(&w, twins);
	key_end(reading, &w, &key);
	record_make_id(row->date_ms, key.b, &row->draft.id);
}

static void check_number(struct reading *reading, const struct import_row *row) {
	const struct import_context *context = reading->context;
	struct quoted number = quote(row->name);
	unsigned year = date_year(row->date_ms);
	struct id held;

	if (context->find_number(context->userdata, row->draft.kind, row->name, year, &held) ==
			IMPORT_FOUND &&
		!id_eq(&held, &row->draft.id))
		fault(reading, row->line, types[reading->import->type].columns[0],
			_("%s of %u is here already, with another date; look it up before you correct either"),
			number.text, year);
}

/* Rows about the same thing: a fault where each has a number, otherwise told apart. */
static void check_twins(struct reading *reading) {
	struct import *import = reading->import;
	struct import_row **sorted = calloc(import->n_rows + 1, sizeof(*sorted));
	uint64_t twins = 0;

	if (!sorted) {
		reading->error = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < import->n_rows; i++)
		sorted[i] = &import->rows[i];
	qsort(sorted, import->n_rows, sizeof(*sorted), compare_rows);
	for (size_t i = 0; i < import->n_rows; i++) {
		struct import_row *row = sorted[i];
		bool twin = i > 0 && memcmp(row->key.b, sorted[i - 1]->key.b, sizeof(row->key.b)) == 0;

		twins = twin ? twins + 1 : 0;
		if (import->type == IMPORT_STEPS) {
			if (twin)
				count_twin(reading, row, twins);
		} else if (twin && row->name.len > 0) {
			fault(reading, row->line, types[import->type].columns[0],
				_("%s of %u stands on line %llu already"), quote(row->name).text, date_year(row->date_ms),
				(unsigned long long)sorted[i - 1]->line);
		} else if (row->name.len > 0) {
			check_number(reading, row);
		}
	}
	free(sorted);
}

static int compare_faults(const void *a, const void *b) {
	const struct import_fault *left = a;
	const struct import_fault *right = b;

	if (left->line != right->line)
		return left->line < right->line ? -1 : 1;
	return left->order < right->order ? -1 : left->order > right->order;
}

static void check_size(struct reading *reading) {
	struct import *import = reading->import;
	size_t bytes = import->bodies.len + import->n_rows * DRAFT_OVERHEAD;
	size_t parts = 1 + (bytes - 1) / SUBMIT_BYTES_MAX;

	if (parts < 1 + (import->n_rows - 1) / CONTROL_DRAFTS_MAX)
		parts = 1 + (import->n_rows - 1) / CONTROL_DRAFTS_MAX;
	if (parts > 1)
		fault(reading, 0, NULL,
			_("%zu rows are too many for one import; split the file into %zu files of at most %zu rows, each with the header line"),
			import->n_rows, parts, 1 + (import->n_rows - 1) / parts);
}

/* The bodies stay where they are from now on. */
static void place_bodies(struct import *import) {
	struct span bodies = writer_span(&import->bodies);

	for (size_t i = 0; i < import->n_rows; i++) {
		struct import_row *row = &import->rows[i];
		size_t end = i + 1 < import->n_rows ? row[1].body_at : bodies.len;

		row->draft.body = (struct span){ bodies.data + row->body_at, end - row->body_at };
	}
}

/* Which cell of a row stands in which of our columns. */
static bool read_header(struct reading *reading, const struct csvrow *header,
	size_t ret_places[IMPORT_COLUMNS_MAX]) {
	const struct span *cells = reading->import->file.cells + header->first;
	size_t n_columns = types[reading->import->type].n_columns;
	const char *const *columns = types[reading->import->type].columns;
	size_t n_faults = reading->import->n_faults;

	for (size_t i = 0; i < n_columns; i++)
		ret_places[i] = SIZE_MAX;
	if (header->n == 1 && memchr(cells[0].data, ';', cells[0].len)) {
		fault(reading, header->line, NULL,
			_("the columns are divided by semicolons; save the file with commas"));
		return false;
	}
	for (size_t i = 0; i < header->n; i++) {
		size_t column = 0;

		while (column < n_columns && !span_eq(cells[i], span_str(columns[column])))
			column++;
		if (column == n_columns)
			fault(reading, header->line, NULL, _("there is no column \"%s\" in a file of %s"),
				quote(cells[i]).text, types[reading->import->type].name);
		else if (ret_places[column] != SIZE_MAX)
			fault(reading, header->line, columns[column], _("this column stands there twice"));
		else
			ret_places[column] = i;
	}
	for (size_t i = 0; i < n_columns; i++) {
		if (ret_places[i] == SIZE_MAX)
			fault(reading, header->line, columns[i],
				_("this column is missing; add it to the header line, its cells may be empty"));
	}
	return reading->import->n_faults == n_faults;
}

static void read_rows(struct reading *reading) {
	struct import *import = reading->import;
	const struct csvfile *file = &import->file;
	size_t places[IMPORT_COLUMNS_MAX];
	struct span cells[IMPORT_COLUMNS_MAX];

	if (file->n_rows == 0) {
		fault(reading, 0, NULL, _("the file is empty; its first line must name the columns"));
		return;
	}
	if (!read_header(reading, &file->rows[0], places))
		return;
	for (size_t i = 1; i < file->n_rows && !reading->error; i++) {
		const struct csvrow *row = &file->rows[i];

		reading->line = row->line;
		if (row->n != file->rows[0].n) {
			fault(reading, row->line, NULL,
				_("has %zu cells where the header has %zu; put texts with commas between \" and \""),
				row->n, file->rows[0].n);
			continue;
		}
		for (size_t column = 0; column < types[import->type].n_columns; column++)
			cells[column] = file->cells[row->first + places[column]];
		reading->cells = cells;
		read_row(reading);
		if (reading->context->progress && i % PROGRESS_EVERY == 0)
			reading->context->progress(reading->context->userdata, i, file->n_rows - 1);
	}
}

static int finish(struct reading *reading) {
	struct import *import = reading->import;

	if (reading->error)
		return reading->error;
	if (!writer_ok(&import->bodies))
		return -ENOMEM;
	place_bodies(import);
	if (!reading->of_file || import->n_rows == 0)
		return 0;
	for (size_t i = 0; i < import->n_rows; i++)
		import->rows[i].draft.has_id = true;
	check_twins(reading);
	check_size(reading);
	if (!reading->error && import->n_faults > 0)
		qsort(import->faults, import->n_faults, sizeof(*import->faults), compare_faults);
	return reading->error;
}

int import_file(enum import_type type, const struct import_context *context, struct span bytes,
	struct import *ret_import) {
	struct reading reading = { .import = ret_import, .context = context, .of_file = true };
	int r;

	*ret_import = (struct import){ .type = type };
	writer_init_grow(&ret_import->bodies);
	r = csvfile_parse(bytes, &ret_import->file);
	switch (r) {
	case 0:
		read_rows(&reading);
		break;
	case CSVFILE_NOT_UTF8:
		fault(&reading, ret_import->file.fault_line, NULL,
			_("is not UTF-8 text; save the file as \"CSV UTF-8\""));
		break;
	case CSVFILE_BAD_QUOTES:
		fault(&reading, ret_import->file.fault_line, NULL,
			_("a quotation mark (\") is missing or too many; inside a text write it twice"));
		break;
	default:
		return r;
	}
	return finish(&reading);
}

int import_one(enum import_type type, const struct import_context *context,
	const struct span *cells, struct import *ret_import) {
	struct reading reading = { .import = ret_import, .context = context, .cells = cells };

	*ret_import = (struct import){ .type = type };
	writer_init_grow(&ret_import->bodies);
	read_row(&reading);
	return finish(&reading);
}

void import_done(struct import *import) {
	for (size_t i = 0; i < import->n_faults; i++)
		free(import->faults[i].text);
	free(import->faults);
	free(import->rows);
	writer_done(&import->bodies);
	csvfile_done(&import->file);
	*import = (struct import){ 0 };
}
