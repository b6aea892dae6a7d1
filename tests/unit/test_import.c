/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <stdio.h>

#include "proto/head.h"
#include "proto/kinds/meeting.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/private.h"
#include "proto/kinds/step.h"
#include "tools/dates.h"
#include "tools/import.h"

#define PETITIONS                                                                                  \
	"number,received,organisation,kind,village,category,channel,people,urgent,text,asked_of\n"
#define STEPS "petition,step,date,to,due,text\n"
#define MEETINGS                                                                                   \
	"number,date,organisation,type,host,attendance,opinions,on_the_spot,later,pending,topic\n"

#define JAN_5_2024_MS 1704387600000 /* 00:00 in Asia/Ho_Chi_Minh is 17:00 of the day before */

#define JUN_5_2025_MS (JAN_5_2024_MS + 517 * (uint64_t)DATE_DAY_MS + 15 * 3600000)

/* Petitions "1" to "9" exist, received on 2024-01-05; "twice" is ambiguous, "misread" a reference with a wrong digit. */
static enum import_lookup find_case(void *userdata, struct span name,
	struct import_case *ret_case) {
	if (span_eq(name, span_str("twice")))
		return IMPORT_MANY;
	if (span_eq(name, span_str("misread")))
		return IMPORT_WRONG_CHECK;
	if (name.len != 1)
		return IMPORT_NONE;
	memset(&ret_case->id, name.data[0], sizeof(ret_case->id));
	ret_case->organisation = ORGANISATION_YOUTH;
	ret_case->received_ms = JAN_5_2024_MS + 3600000; /* any time of that day */
	return IMPORT_FOUND;
}

static char *list_cases(void *userdata, struct span name) {
	return strdup("A; B");
}

static enum import_lookup find_office(void *userdata, struct span code, struct id *ret_id) {
	if (!span_eq(code, span_str("256")))
		return IMPORT_NONE;
	memset(ret_id, 0x25, sizeof(*ret_id));
	return IMPORT_FOUND;
}

static uint8_t held_bodies[2][256];
static struct span held_body[2]; /* of petitions and meetings 77 of 2024, as set by a test */

/* The books of 2024 have a number 77 already, once that of petitions was set. */
static enum import_lookup find_number(void *userdata, uint8_t kind, struct span number,
	unsigned year, size_t nth, struct import_held *ret_held) {
	struct span body = held_body[kind == KIND_MEETING];

	if (!span_eq(number, span_str("77")) || year != 2024 || nth > 0 || !body.data)
		return IMPORT_NONE;
	*ret_held = (struct import_held){ .organisation = ORGANISATION_FRONT,
		.reference = kind == KIND_PETITION ? 27182240000077 : 0, .body = body };
	memset(&ret_held->id, 0x77, sizeof(ret_held->id));
	return IMPORT_FOUND;
}

static const struct import_context context = {
	.own = { { 1, 2, 3 } },
	.now_ms = JUN_5_2025_MS,
	.find_case = find_case,
	.list_cases = list_cases,
	.find_office = find_office,
	.find_number = find_number,
};

static struct import read_file(enum import_type type, const char *text) {
	struct import import;

	cr_assert_eq(import_file(type, &context, span_str(text), &import), 0);
	return import;
}

/* Every fault as "line:column ", in order. */
static void expect_faults(enum import_type type, const char *text, const char *want) {
	struct import import = read_file(type, text);
	char got[1024] = "";
	size_t len = 0;

	for (size_t i = 0; i < import.n_faults; i++)
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%llu:%s ",
			(unsigned long long)import.faults[i].line,
			import.faults[i].column ? import.faults[i].column : "-");
	cr_expect_str_eq(got, want, "%s\ngave %s", text, got);
	import_done(&import);
}

Test(import, reads_a_petition_as_it_was_written) {
	struct import import = read_file(IMPORT_PETITIONS,
		PETITIONS "12/2024,2024-01-05,women,complaint,Khu phố Thanh Sơn,land,zalo,7,yes,"
			  "\"Đường ngập, đề nghị\",UBND phường\n");
	const struct draft *draft;
	struct petition petition;

	cr_assert_eq(import.n_faults, 0);
	cr_assert_eq(import.n_rows, 1);
	draft = &import.rows[0].draft;
	cr_expect_eq(draft->kind, KIND_PETITION);
	cr_expect_eq(draft->organisation, ORGANISATION_WOMEN);
	cr_expect_eq(draft->lane, LANE_URGENT);
	cr_expect(draft->has_id);
	cr_expect_eq(get_be64(draft->id.b) >> 16, JAN_5_2024_MS);
	cr_assert_eq(petition_decode(draft->body, &petition), 0);
	cr_expect_eq(petition.legal_kind, LEGAL_COMPLAINT);
	cr_expect_eq(petition.category, CATEGORY_LAND);
	cr_expect_eq(petition.channel, CHANNEL_ZALO);
	cr_expect_eq(petition.people, 7);
	cr_expect_eq(petition.received_ms, JAN_5_2024_MS);
	cr_expect_eq(petition.reference, 0);
	cr_expect(span_eq(petition.number, span_str("12/2024")));
	cr_expect(span_eq(petition.village, span_str("Khu phố Thanh Sơn")));
	cr_expect(span_eq(petition.text, span_str("Đường ngập, đề nghị")));
	cr_expect(span_eq(petition.asked_of, span_str("UBND phường")));
	import_done(&import);
}

Test(import, takes_files_as_office_programs_write_them) {
	static const char *const files[] = {
		STEPS "1,accepted,2024-01-05,,,\n",
		"\xef\xbb\xbf" STEPS "1,accepted,2024-01-05,,,\n",
		"petition,step,date,to,due,text\r\n1,accepted,2024-01-05,,,\r\n",
		STEPS "1,accepted,2024-01-05,,,",
		STEPS "\n  \n1,accepted,5/1/2024,,,\n\n",
		STEPS " 1 ,\"accepted\", 05/01/2024 ,,,\n",
		"text,due,to,date,step,petition\n,,,2024-01-05,ACCEPTED,1\n",
	};
	struct import first = read_file(IMPORT_STEPS, files[0]);

	cr_assert_eq(first.n_rows, 1);
	for (size_t i = 0; i < N_ELEMENTS(files); i++) {
		struct import import = read_file(IMPORT_STEPS, files[i]);

		cr_expect_eq(import.n_faults, 0, "file %zu", i);
		cr_assert_eq(import.n_rows, 1, "file %zu", i);
		cr_expect(id_eq(&import.rows[0].draft.id, &first.rows[0].draft.id), "file %zu", i);
		cr_expect(span_eq(import.rows[0].draft.body, first.rows[0].draft.body), "file %zu", i);
		import_done(&import);
	}
	import_done(&first);
}

Test(import, normalises_text_and_keeps_its_lines) {
	/* o + circumflex + acute, as macOS writes it; CRLF inside quotes */
	struct import import = read_file(IMPORT_STEPS,
		STEPS "1,returned,2024-01-05,,,\"\xc2\xa0ho\xcc\x82\xcc\x81 ga\r\nở đâu? \"\n");
	struct step step;

	cr_assert_eq(import.n_rows, 1);
	cr_assert_eq(step_decode(import.rows[0].draft.body, &step), 0);
	cr_expect(span_eq(step.text, span_str("hố ga\nở đâu?")));
	import_done(&import);
}

Test(import, names_every_fault_with_its_line_and_column) {
	static const struct {
		enum import_type type;
		const char *text;
		const char *faults;
	} files[] = {
		{ IMPORT_STEPS, "", "0:- " },
		{ IMPORT_STEPS, "petition;step;date\n", "1:- " },
		{ IMPORT_STEPS, "petition,step,date,to,due,txt\n", "1:- 1:text " },
		{ IMPORT_STEPS, "petition,step,date,to,due,text,to\n", "1:to " },
		{ IMPORT_STEPS, STEPS "1,accepted,2024-01-05,,\n", "2:- " },
		{ IMPORT_STEPS, STEPS "1,accepted,2024-02-30,,,\n", "2:date " },
		{ IMPORT_STEPS, STEPS "1,accepted,,,,\n", "2:date " },
		{ IMPORT_STEPS, STEPS "1,acepted,2024-01-05,,,\n", "2:step " },
		{ IMPORT_STEPS, STEPS "1,accepted,2024-01-05,x,2024-01-05,\n", "2:to 2:due " },
		{ IMPORT_STEPS, STEPS "1,forwarded,2024-01-05,,,\n", "2:to " },
		{ IMPORT_STEPS, STEPS "1,forwarded,2024-01-05,x,2024-01-04,\n", "2:due " },
		{ IMPORT_STEPS, STEPS "1,extended,2024-01-05,,,\n", "2:due 2:text " },
		{ IMPORT_STEPS, STEPS "1,returned,2024-01-05,,,\n1,answered,2024-01-05,,,\n",
			"2:text 3:text " },
		{ IMPORT_STEPS, STEPS "none,closed,2024-01-05,,,\ntwice,closed,2024-01-05,,,\n"
				      "misread,closed,2024-01-05,,,\n,closed,2024-01-05,,,\n",
			"2:petition 3:petition 4:petition 5:petition " },
		{ IMPORT_STEPS, STEPS "1,merged,2024-01-05,none,,\n1,merged,2024-01-05,1,,\n",
			"2:to 3:to " },
		{ IMPORT_STEPS, STEPS "1,handed-over,2024-01-05,257,,\n", "2:to " },
		/* a text of two lines moves the line numbers after it */
		{ IMPORT_STEPS, STEPS "1,returned,2024-01-05,,,\"a\nb\"\n1,x,2024-01-05,,,\n", "4:step " },
		{ IMPORT_STEPS, STEPS "1,closed,2024-01-05,,,\n1,re\"turned,2024-01-05,,,\n", "3:- " },
		{ IMPORT_STEPS, STEPS "1,closed,2024-01-05,,,\n\"1,closed,\n\n", "3:- " },
		{ IMPORT_STEPS, STEPS "1,closed,2024-01-05,,,\xff\n", "2:- " },
		{ IMPORT_STEPS, STEPS "1,closed,2024-01-05,,,\x1b[2J\n", "2:text " },
		{ IMPORT_PETITIONS, PETITIONS ",,,,,,,,,,\n",
			"2:number 2:received 2:organisation 2:kind 2:category 2:channel 2:text " },
		{ IMPORT_PETITIONS, PETITIONS "1,2024-01-05,front,petition,V,land,phone,0,maybe,T,\n",
			"2:people 2:urgent " },
		{ IMPORT_PETITIONS, PETITIONS "1,2024-01-05,front,petition,\"V\nW\",land,phone,,,T,\n",
			"2:village " },
		{ IMPORT_PETITIONS, PETITIONS
			"1234567890123456789012345678901234,2024-01-05,front,petition,V,land,phone,,,T,\n",
			"2:number " },
		/* the same number twice */
		{ IMPORT_PETITIONS, PETITIONS "1,2024-01-05,front,petition,V,land,phone,,,T,\n"
					      "1,2024-06-05,front,petition,V,land,phone,,,U,\n",
			"3:number " },
		/* the clock says 2025-06-05: the day after is the last */
		{ IMPORT_PETITIONS, PETITIONS "1,2025-06-06,front,petition,V,land,phone,,,T,\n"
					      "2,2025-06-07,front,petition,V,land,phone,,,T,\n"
					      "3,1999-12-31,front,petition,V,land,phone,,,T,\n"
					      "4,2000-01-01,front,petition,V,land,phone,,,T,\n"
					      "5,2100-01-01,front,petition,V,land,phone,,,T,\n",
			"3:received 4:received 6:received " },
		{ IMPORT_MEETINGS, MEETINGS "1,2025-06-07,front,dialogue,,120,,,,,\n", "2:date " },
		{ IMPORT_STEPS, STEPS "1,accepted,2024-01-04,,,\n1,accepted,2024-01-05,,,\n"
				      "1,forwarded,2025-06-07,x,,\n1,forwarded,2025-06-06,x,2031-01-01,\n",
			"2:date 4:date " },
		{ IMPORT_MEETINGS, MEETINGS "1,2024-01-05,front,dialogue,,120,284,255,23,5,\n",
			"2:opinions " },
		{ IMPORT_MEETINGS, MEETINGS "1,2024-01-05,front,talk,,>120,-1,,,,\n",
			"2:type 2:attendance 2:opinions " },
	};

	for (size_t i = 0; i < N_ELEMENTS(files); i++)
		expect_faults(files[i].type, files[i].text, files[i].faults);
}

/* What is kept under number 77: the one row of a file, as the node has completed it. */
static void hold(enum import_type type, const char *text) {
	struct import import = read_file(type, text);
	struct petition petition;
	struct span body;
	struct writer w;
	unsigned i = type == IMPORT_MEETINGS;

	cr_assert_eq(import.n_faults, 0);
	body = import.rows[0].draft.body;
	writer_init(&w, held_bodies[i], sizeof(held_bodies[i]));
	if (type == IMPORT_PETITIONS) {
		cr_assert_eq(petition_decode(body, &petition), 0);
		petition.reference = 12345;
		petition_encode(&petition, &w);
	} else {
		write_raw(&w, body);
	}
	cr_assert(writer_ok(&w));
	held_body[i] = writer_span(&w);
	import_done(&import);
}

Test(import, what_is_kept_already_is_the_same_or_says_what_differs) {
	static const char *const others[][2] = {
		{ "77,2024-01-06,front,petition,V,land,phone,3,yes,T,A", "2:received " },
		{ "77,2024-01-05,women,petition,V,land,phone,3,yes,T,A", "2:organisation " },
		{ "77,2024-01-05,front,complaint,V,land,phone,3,yes,T,A", "2:kind " },
		{ "77,2024-01-05,front,petition,W,land,phone,3,yes,T,A", "2:village " },
		{ "77,2024-01-05,front,petition,V,none,phone,3,yes,T,A", "2:category " },
		{ "77,2024-01-05,front,petition,V,land,zalo,3,yes,T,A", "2:channel " },
		{ "77,2024-01-05,front,petition,V,land,phone,4,yes,T,A", "2:people " },
		{ "77,2024-01-05,front,petition,V,land,phone,3,no,T,A", "2:urgent " },
		{ "77,2024-01-05,front,petition,V,land,phone,3,yes,U,A", "2:text " },
		{ "77,2024-01-05,front,petition,V,land,phone,3,yes,T,", "2:asked_of " },
		/* what is wrong by itself comes first */
		{ "77,2024-01-05,front,petition,V,land,phone,0,yes,U,A", "2:people " },
	};
	const char *same = PETITIONS "77,2024-01-05,front,petition,V,land,phone,3,YES,T,A\n";
	struct import import;

	hold(IMPORT_PETITIONS, same);
	import = read_file(IMPORT_PETITIONS, same);
	cr_expect_eq(import.n_faults, 0);
	cr_expect_eq(get_be64(import.rows[0].draft.id.b), 0x7777777777777777);
	import_done(&import);
	for (size_t i = 0; i < N_ELEMENTS(others); i++) {
		char text[256];

		snprintf(text, sizeof(text), PETITIONS "%s\n", others[i][0]);
		expect_faults(IMPORT_PETITIONS, text, others[i][1]);
	}
}

Test(import, what_is_kept_of_a_meeting_already_is_the_same_or_says_what_differs) {
	static const char *const others[][2] = {
		{ "77,2024-01-06,front,dialogue,H,>=9,3,1,1,1,T", "2:date " },
		{ "77,2024-01-05,women,dialogue,H,>=9,3,1,1,1,T", "2:organisation " },
		{ "77,2024-01-05,front,other,H,>=9,3,1,1,1,T", "2:type " },
		{ "77,2024-01-05,front,dialogue,,>=9,3,1,1,1,T", "2:host " },
		{ "77,2024-01-05,front,dialogue,H,9,3,1,1,1,T", "2:attendance " },
		{ "77,2024-01-05,front,dialogue,H,>=9,4,2,1,1,T", "2:opinions " },
		{ "77,2024-01-05,front,dialogue,H,>=9,3,2,1,0,T", "2:on_the_spot " },
		{ "77,2024-01-05,front,dialogue,H,>=9,3,1,2,0,T", "2:later " },
		{ "77,2024-01-05,front,dialogue,H,>=9,3,1,1,1,", "2:topic " },
	};
	const char *same = MEETINGS "77,2024-01-05,front,dialogue,H,>=9,3,1,1,1,T\n";

	hold(IMPORT_MEETINGS, same);
	expect_faults(IMPORT_MEETINGS, same, "");
	for (size_t i = 0; i < N_ELEMENTS(others); i++) {
		char text[256];

		snprintf(text, sizeof(text), MEETINGS "%s\n", others[i][0]);
		expect_faults(IMPORT_MEETINGS, text, others[i][1]);
	}
}

Test(import, says_which_character_cannot_be_kept_and_where) {
	struct import import = read_file(IMPORT_STEPS,
		STEPS "1,returned,2024-01-05,,,\"hố ga\n\xe2\x80\xae\"\n1,forwarded,2024-01-05,\"a\nb\",,\n");

	cr_assert_eq(import.n_faults, 2);
	cr_expect_eq(import.faults[0].line, 2);
	cr_expect_str_eq(import.faults[0].column, "text");
	cr_expect(strstr(import.faults[0].text, "character 7 "), "%s", import.faults[0].text);
	cr_expect(strstr(import.faults[0].text, "(U+202E)"), "%s", import.faults[0].text);
	cr_expect_str_eq(import.faults[1].column, "to");
	cr_expect(strstr(import.faults[1].text, "character 2 is a line break"), "%s",
		import.faults[1].text);
	import_done(&import);
}

Test(import, a_number_belongs_to_the_book_of_its_year) {
	hold(IMPORT_PETITIONS, PETITIONS "77,2024-01-05,front,petition,V,land,phone,,,T,\n");
	expect_faults(IMPORT_PETITIONS,
		PETITIONS "1,2024-01-05,front,petition,V,land,phone,,,T,\n"
			  "1,2025-01-05,front,petition,V,land,phone,,,T,\n"
			  "77,2025-01-05,front,petition,V,land,phone,,,T,\n",
		"");
}

Test(import, gives_the_same_id_to_the_same_thing_only) {
	static const char *const rows[] = {
		"1,forwarded,2024-01-05,A,,", "1,forwarded,2024-01-05,A,,x", "1,forwarded,2024-01-05,AB,,",
		"1,forwarded,2024-01-06,A,,", "2,forwarded,2024-01-05,A,,", "1,published,2024-01-05,A,,",
		"1,forwarded,2024-01-05,A,2024-01-07,", "1,merged,2024-01-05,2,,",
		"1,merged,2024-01-05,3,,",
	};
	struct import imports[N_ELEMENTS(rows)];

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text), STEPS "%s\n", rows[i]);
		imports[i] = read_file(IMPORT_STEPS, text);
		cr_assert_eq(imports[i].n_rows, 1);
		for (size_t j = 0; j < i; j++)
			cr_expect(!id_eq(&imports[i].rows[0].draft.id, &imports[j].rows[0].draft.id),
				"%s and %s", rows[i], rows[j]);
	}
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		import_done(&imports[i]);
}

Test(import, the_same_step_twice_in_a_file_is_two_steps_each_time) {
	const char *text = STEPS "1,published,2024-01-05,A,,\n2,closed,2024-01-05,,,\n"
				 "1,published,2024-01-05,A,,\n";
	struct import first = read_file(IMPORT_STEPS, text);
	struct import second = read_file(IMPORT_STEPS, text);

	cr_assert_eq(first.n_faults, 0);
	cr_assert_eq(first.n_rows, 3);
	cr_expect(!id_eq(&first.rows[0].draft.id, &first.rows[2].draft.id));
	for (size_t i = 0; i < 3; i++)
		cr_expect(id_eq(&first.rows[i].draft.id, &second.rows[i].draft.id));
	import_done(&first);
	import_done(&second);
}

Test(import, a_due_day_is_in_time_to_its_end) {
	struct import import = read_file(IMPORT_STEPS, STEPS "1,forwarded,2024-01-05,A,2024-01-05,\n");
	struct step step;

	cr_assert_eq(import.n_rows, 1);
	cr_assert_eq(step_decode(import.rows[0].draft.body, &step), 0);
	cr_expect_eq(step.due_ms, JAN_5_2024_MS + DATE_DAY_MS - 1);
	cr_expect_eq(import.rows[0].draft.organisation, ORGANISATION_YOUTH);
	import_done(&import);
}

Test(import, reads_how_sure_an_attendance_is) {
	static const struct {
		const char *cell;
		uint8_t accuracy;
		uint32_t n;
	} cases[] = {
		{ "120", ACCURACY_EXACT, 120 },
		{ ">=4800", ACCURACY_AT_LEAST, 4800 },
		{ "~50", ACCURACY_ABOUT, 50 },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct meeting meeting;
		struct import import;
		char text[256];

		snprintf(text, sizeof(text), MEETINGS "1,2024-01-05,front,dialogue,,%s,284,255,23,6,\n",
			cases[i].cell);
		import = read_file(IMPORT_MEETINGS, text);
		cr_assert_eq(import.n_rows, 1);
		cr_assert_eq(meeting_decode(import.rows[0].draft.body, &meeting), 0);
		cr_expect_eq(meeting.attendance_accuracy, cases[i].accuracy);
		cr_expect_eq(meeting.attendance, cases[i].n);
		import_done(&import);
	}
}

Test(import, says_into_how_many_files_a_file_is_to_be_split) {
	enum { ROWS = CONTROL_DRAFTS_MAX + 1 };
	struct import import;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	cr_assert(f);
	fputs(STEPS, f);
	for (unsigned i = 0; i < ROWS; i++)
		fprintf(f, "1,published,2024-01-05,%u,,\n", i);
	cr_assert_eq(fclose(f), 0);
	cr_assert_eq(import_file(IMPORT_STEPS, &context, (struct span){ (uint8_t *)text, len }, &import),
		0);
	cr_assert_eq(import.n_faults, 1);
	cr_expect_eq(import.faults[0].line, 0);
	cr_expect(strstr(import.faults[0].text, "2 files of at most 32769 rows"), "%s",
		import.faults[0].text);
	import_done(&import);
	free(text);
}

Test(import, one_record_needs_no_number_and_gets_no_id) {
	const struct span cells[PETITION_COLUMN_N] = {
		[PETITION_COLUMN_RECEIVED] = span_str("2024-01-05"),
		[PETITION_COLUMN_ORGANISATION] = span_str("none"),
		[PETITION_COLUMN_KIND] = span_str("petition"),
		[PETITION_COLUMN_CATEGORY] = span_str("none"),
		[PETITION_COLUMN_CHANNEL] = span_str("phone"),
		[PETITION_COLUMN_TEXT] = span_str("x"),
	};
	struct import import;

	cr_assert_eq(import_one(IMPORT_PETITIONS, &context, cells, &import), 0);
	cr_expect_eq(import.n_faults, 0);
	cr_assert_eq(import.n_rows, 1);
	cr_expect(!import.rows[0].draft.has_id);
	cr_expect_eq(import.rows[0].draft.lane, LANE_NORMAL);
	import_done(&import);
}

#define WITH_PRIVATE                                                                               \
	"number,received,organisation,kind,village,category,channel,people,urgent,text,asked_of,"  \
	"petitioner,contact\n"

Test(import, seals_who_brings_a_denunciation_and_nobody_else) {
	static const char text[] = WITH_PRIVATE "1,2024-01-05,women,denunciation,,letters,letter,,,x,,Hoa,0900\n"
						"2,2024-01-05,women,denunciation,,letters,letter,,,x,,,\n"
						"3,2024-01-05,women,complaint,,letters,letter,,,x,,Sen,\n";
	static const uint8_t key[BOX_KEY_LEN] = { 9 };
	struct import_context with_key = context;
	struct private_part part;
	struct import import;

	with_key.denunciation_key = key;
	cr_assert_eq(import_file(IMPORT_PETITIONS, &with_key, span_str(text), &import), 0);
	cr_assert_eq(import.n_faults, 0);
	cr_assert_eq(private_decode(import.rows[0].draft.private, &part), 0);
	cr_expect_eq(part.form, PRIVATE_SEALED);
	cr_expect_null(memmem(import.privates.data, import.privates.len, "Hoa", 3));
	cr_expect_eq(import.rows[1].draft.private.len, 0);
	cr_assert_eq(private_decode(import.rows[2].draft.private, &part), 0);
	cr_expect(part.form == PRIVATE_OPEN && span_eq(part.name, span_str("Sen")));
	import_done(&import);
}

Test(import, says_of_a_denunciation_that_cannot_be_sealed_that_it_is_a_rule) {
	static const char text[] = WITH_PRIVATE "1,2024-01-05,women,denunciation,,letters,letter,,,x,,,0900\n";
	static const uint8_t bad[BOX_KEY_LEN] = { 0 };
	struct import_context cannot = context;
	struct import import;

	for (int i = 0; i < 2; i++) {
		cannot.denunciation_key = i ? bad : NULL;
		cr_assert_eq(import_file(IMPORT_PETITIONS, &cannot, span_str(text), &import), 0);
		cr_assert_eq(import.n_faults, 1);
		cr_expect(import.faults[0].rule);
		cr_expect_str_eq(import.faults[0].column, "contact");
		cr_expect_eq(strstr(import.faults[0].text, "--use") != NULL, i, "%s", import.faults[0].text);
		cr_expect_eq(import.privates.len, 0);
		import_done(&import);
	}
	import = read_file(IMPORT_PETITIONS, WITH_PRIVATE "1,,women,denunciation,,letters,letter,,,x,,,0900\n");
	cr_expect_eq(import.n_faults, 2);
	cr_expect_not(import.faults[0].rule, "a date that is missing is none");
	import_done(&import);
}

Test(import, says_of_too_long_a_name_only_that) {
	static const uint8_t key[BOX_KEY_LEN] = { 9 };
	char text[2048], name[PRIVATE_OPEN_MAX + 2]; /* more than a box has room for */
	struct import_context with_key = context;
	struct import import;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < 2; i++, name[PRIVATE_NAME_MAX] = '\0') {
		snprintf(text, sizeof(text), WITH_PRIVATE "1,2024-01-05,women,denunciation,,letters,letter,,,x,,%s,\n", name);
		with_key.denunciation_key = key;
		cr_assert_eq(import_file(IMPORT_PETITIONS, &with_key, span_str(text), &import), 0);
		cr_expect_eq(import.n_faults, !i, "%zu bytes", strlen(name));
		import_done(&import);
	}
}

Test(dates, are_days_in_vietnam) {
	static const struct {
		const char *text;
		bool ok;
		uint64_t ms;
	} cases[] = {
		{ "2024-01-05", true, JAN_5_2024_MS },
		{ "5/1/2024", true, JAN_5_2024_MS },
		{ "05/01/2024", true, JAN_5_2024_MS },
		{ "2024-02-29", true, JAN_5_2024_MS + 55 * (uint64_t)DATE_DAY_MS },
		{ "2023-02-29", false, 0 },
		{ "2024-13-01", false, 0 },
		{ "2024-00-01", false, 0 },
		{ "31/04/2024", false, 0 },
		{ "24-01-05", false, 0 },
		{ "2024-01-05x", false, 0 },
		{ "2024-01", false, 0 },
		{ "1969-01-01", false, 0 },
		{ "", false, 0 },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char text[DATE_TEXT_MAX];
		uint64_t ms = 0;

		cr_expect_eq(date_parse(span_str(cases[i].text), &ms), cases[i].ok, "%s", cases[i].text);
		if (!cases[i].ok)
			continue;
		cr_expect_eq(ms, cases[i].ms, "%s", cases[i].text);
		cr_expect_eq(date_day(ms), ms, "%s", cases[i].text);
		cr_expect_eq(date_day(ms + DATE_DAY_MS - 1), ms, "%s", cases[i].text);
		date_format_iso(ms, text);
		cr_expect(strstr(text, "T00:00:00.000+07:00"), "%s", text);
	}
}

Test(dates, of_any_number_have_a_text) {
	char text[DATE_TEXT_MAX];

	date_format(UINT64_MAX, text);
	cr_expect_str_eq(text, "9999-12-31");
	date_format_time(0, text);
	cr_expect_str_eq(text, "1970-01-01 07:00");
}
