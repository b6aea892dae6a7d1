/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/import.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/reference.h"
#include "proto/text.h"
#include "tools/dates.h"
#include "tools/import_row.h"

enum {
	DRAFT_OVERHEAD = 32,  /* bytes of a draft in a request beside its body, at most */
	PROGRESS_EVERY = 500, /* rows */
	SUBMIT_BYTES_MAX = CONTROL_MAX - 64,
};

static const struct {
	const char *name;
	size_t n_columns;
	size_t n_needed; /* the others may be missing from a file */
	const char *columns[IMPORT_COLUMNS_MAX];
} types[IMPORT_N] = {
	[IMPORT_PETITIONS] = { "petitions", PETITION_COLUMN_N, PETITION_COLUMN_PETITIONER, {
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
		[PETITION_COLUMN_PETITIONER] = "petitioner",
		[PETITION_COLUMN_CONTACT] = "contact",
		[PETITION_COLUMN_ADDRESS] = "address",
	} },
	[IMPORT_STEPS] = { "steps", STEP_COLUMN_N, STEP_COLUMN_N, {
		[STEP_COLUMN_PETITION] = "petition",
		[STEP_COLUMN_STEP] = "step",
		[STEP_COLUMN_DATE] = "date",
		[STEP_COLUMN_TO] = "to",
		[STEP_COLUMN_DUE] = "due",
		[STEP_COLUMN_TEXT] = "text",
	} },
	[IMPORT_MEETINGS] = { "meetings", MEETING_COLUMN_N, MEETING_COLUMN_N, {
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

const char *import_type_name(enum import_type type) {
	return types[type].name;
}

const char *import_column(enum import_type type, unsigned column) {
	return column < IMPORT_COLUMNS_MAX ? types[type].columns[column] : NULL;
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
static void count_twin(struct import_reading *reading, struct import_row *row, uint64_t twins) {
	struct hash key;
	struct writer w;

	import_key_begin(reading, &w, 2);
	write_hash(&w, &row->key);
	write_uint(&w, twins);
	import_key_end(reading, &w, &key);
	record_make_id(row->date_ms, key.b, &row->draft.id);
}

static void blame_held(struct import_reading *reading, const struct import_row *row,
	const struct import_held *held, unsigned column) {
	char name[OFFICE_ID_TEXT_LEN + 1];

	if (held->reference)
		reference_format(held->reference, name);
	else
		id_format(&held->id, name);
	import_blame(reading, row->line, column,
		_("%s of %u is kept already (%s), and differs here; if it is the same, correct the row, since what is kept cannot be changed; if it is another, give it its own number"),
		import_quote(row->name).text, date_year(row->date_ms), name);
}

/* What is kept under the number of a row must say the same; it was perhaps entered singly. */
static void check_number(struct import_reading *reading, struct import_row *row) {
	const struct import_context *context = reading->context;
	unsigned year = date_year(row->date_ms);
	struct import_held first = { 0 };
	struct import_held held;
	size_t n;

	for (n = 0; context->find_number(context->userdata, row->draft.kind, row->name, year, n,
			&held) == IMPORT_FOUND; n++) {
		if (import_row_differs(row, &held) == IMPORT_NO_COLUMN) {
			row->draft.id = held.id;
			return;
		}
		if (n == 0)
			first = held;
	}
	if (n > 0)
		blame_held(reading, row, &first, import_row_differs(row, &first));
}

/* Rows about the same thing: a fault where each has a number, otherwise told apart. */
static void check_twins(struct import_reading *reading) {
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
			import_blame(reading, row->line, 0,
				_("%s of %u stands on line %llu already"), import_quote(row->name).text, date_year(row->date_ms),
				(unsigned long long)sorted[i - 1]->line);
		} else if (row->name.len > 0 && !row->faulty) {
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

static void check_size(struct import_reading *reading) {
	struct import *import = reading->import;
	size_t bytes = import->bodies.len + import->privates.len + import->n_rows * DRAFT_OVERHEAD;
	size_t parts = 1 + (bytes - 1) / SUBMIT_BYTES_MAX;

	if (parts < 1 + (import->n_rows - 1) / CONTROL_DRAFTS_MAX)
		parts = 1 + (import->n_rows - 1) / CONTROL_DRAFTS_MAX;
	if (parts > 1)
		import_blame(reading, 0, IMPORT_NO_COLUMN,
			_("%zu rows are too many for one import; split the file into %zu files of at most %zu rows, each with the header line"),
			import->n_rows, parts, 1 + (import->n_rows - 1) / parts);
}

/* The bodies stay where they are from now on. */
static void place_bodies(struct import *import) {
	struct span bodies = writer_span(&import->bodies);
	struct span privates = writer_span(&import->privates);

	for (size_t i = 0; i < import->n_rows; i++) {
		struct import_row *row = &import->rows[i];
		size_t end = i + 1 < import->n_rows ? row[1].body_at : bodies.len;
		size_t private_end = i + 1 < import->n_rows ? row[1].private_at : privates.len;

		if (private_end > row->private_at)
			row->draft.private = (struct span){ privates.data + row->private_at,
				private_end - row->private_at };
		row->draft.body = (struct span){ bodies.data + row->body_at, end - row->body_at };
	}
}

/* Which cell of a row stands in which of our columns. */
static bool read_header(struct import_reading *reading, const struct csvrow *header,
	size_t ret_places[IMPORT_COLUMNS_MAX]) {
	const struct span *cells = reading->import->file.cells + header->first;
	size_t n_columns = types[reading->import->type].n_columns;
	const char *const *columns = types[reading->import->type].columns;
	size_t n_faults = reading->import->n_faults;

	for (size_t i = 0; i < n_columns; i++)
		ret_places[i] = SIZE_MAX;
	if (header->n == 1 && memchr(cells[0].data, ';', cells[0].len)) {
		import_blame(reading, header->line, IMPORT_NO_COLUMN,
			_("the columns are divided by semicolons; save the file with commas"));
		return false;
	}
	for (size_t i = 0; i < header->n; i++) {
		size_t column = 0;

		while (column < n_columns && !span_eq(cells[i], span_str(columns[column])))
			column++;
		if (column == n_columns)
			import_blame(reading, header->line, IMPORT_NO_COLUMN, _("there is no column \"%s\" in a file of %s"),
				import_quote(cells[i]).text, types[reading->import->type].name);
		else if (ret_places[column] != SIZE_MAX)
			import_blame(reading, header->line, column, _("this column stands there twice"));
		else
			ret_places[column] = i;
	}
	for (size_t i = 0; i < n_columns; i++) {
		if (ret_places[i] == SIZE_MAX && i < types[reading->import->type].n_needed)
			import_blame(reading, header->line, i,
				_("this column is missing; add it to the header line, its cells may be empty"));
	}
	return reading->import->n_faults == n_faults;
}

static void read_rows(struct import_reading *reading) {
	struct import *import = reading->import;
	const struct csvfile *file = &import->file;
	size_t places[IMPORT_COLUMNS_MAX];
	struct span cells[IMPORT_COLUMNS_MAX];

	if (file->n_rows == 0) {
		import_blame(reading, 0, IMPORT_NO_COLUMN, _("the file is empty; its first line must name the columns"));
		return;
	}
	if (!read_header(reading, &file->rows[0], places))
		return;
	for (size_t i = 1; i < file->n_rows && !reading->error; i++) {
		const struct csvrow *row = &file->rows[i];

		reading->line = row->line;
		if (row->n != file->rows[0].n) {
			import_blame(reading, row->line, IMPORT_NO_COLUMN,
				_("has %zu cells where the header has %zu; put texts with commas between \" and \""),
				row->n, file->rows[0].n);
			continue;
		}
		for (size_t column = 0; column < types[import->type].n_columns; column++)
			cells[column] = places[column] == SIZE_MAX ? (struct span){ 0 }
				: file->cells[row->first + places[column]];
		reading->cells = cells;
		import_row_read(reading);
		if (reading->context->progress && i % PROGRESS_EVERY == 0)
			reading->context->progress(reading->context->userdata, i, file->n_rows - 1);
	}
}

static int finish(struct import_reading *reading) {
	struct import *import = reading->import;

	if (reading->error)
		return reading->error;
	if (!writer_ok(&import->bodies) || !writer_ok(&import->privates))
		return -ENOMEM;
	place_bodies(import);
	if (reading->of_file && import->n_rows > 0) {
		for (size_t i = 0; i < import->n_rows; i++)
			import->rows[i].draft.has_id = true;
		check_twins(reading);
		check_size(reading);
	}
	if (import->n_faults > 0)
		qsort(import->faults, import->n_faults, sizeof(*import->faults), compare_faults);
	return reading->error;
}

int import_file(enum import_type type, const struct import_context *context, struct span bytes,
	struct import *ret_import) {
	struct import_reading reading = { .import = ret_import, .context = context, .of_file = true };
	int r;

	*ret_import = (struct import){ .type = type };
	writer_init_grow(&ret_import->bodies);
	writer_init_grow(&ret_import->privates);
	r = csvfile_parse(bytes, &ret_import->file);
	switch (r) {
	case 0:
		read_rows(&reading);
		break;
	case CSVFILE_NOT_UTF8:
		import_blame(&reading, ret_import->file.fault_line, IMPORT_NO_COLUMN,
			_("is not UTF-8 text; save the file as \"CSV UTF-8\""));
		break;
	case CSVFILE_BAD_QUOTES:
		import_blame(&reading, ret_import->file.fault_line, IMPORT_NO_COLUMN,
			_("a quotation mark (\") is missing or too many; inside a text write it twice"));
		break;
	default:
		return r;
	}
	return finish(&reading);
}

int import_one(enum import_type type, const struct import_context *context,
	const struct span *cells, struct import *ret_import) {
	struct import_reading reading = { .import = ret_import, .context = context, .cells = cells };

	*ret_import = (struct import){ .type = type };
	writer_init_grow(&ret_import->bodies);
	writer_init_grow(&ret_import->privates);
	import_row_read(&reading);
	return finish(&reading);
}

void import_done(struct import *import) {
	for (size_t i = 0; i < import->n_faults; i++)
		free(import->faults[i].text);
	free(import->faults);
	free(import->rows);
	writer_done(&import->bodies);
	if (import->privates.len > 0)
		explicit_bzero(import->privates.data, import->privates.len);
	writer_done(&import->privates);
	csvfile_done(&import->file);
	*import = (struct import){ 0 };
}
