/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>

#include "tests/kinds.h"

enum {
	BODY_MAX = 16 * 1024,
};

/* What a terminal would obey, and what it would only show. */
#define COMMAND "a\x1b[2Jb"
#define LINES "a\nb\tc"

static struct span body_of(uint8_t kind, uint8_t *buf) {
	struct writer w;

	writer_init(&w, buf, BODY_MAX);
	sample_body(kind, &w);
	cr_assert(writer_ok(&w) && w.len > 0, "kind %u", kind);
	return writer_span(&w);
}

static bool decodes(uint8_t kind, struct span body) {
	uint8_t buf[BODY_MAX];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	return reencode_body(kind, body, &w);
}

Test(kinds, come_back_as_they_were_written) {
	for (size_t i = 0; i < N_ELEMENTS(sample_kinds); i++) {
		uint8_t buf[BODY_MAX], again[BODY_MAX];
		struct span body = body_of(sample_kinds[i], buf);
		struct writer w;

		writer_init(&w, again, sizeof(again));
		cr_assert(reencode_body(sample_kinds[i], body, &w), "kind %u", sample_kinds[i]);
		cr_expect(span_eq(writer_span(&w), body), "kind %u", sample_kinds[i]);
	}
}

Test(kinds, are_malformed_when_cut_off_anywhere_or_followed_by_anything) {
	for (size_t i = 0; i < N_ELEMENTS(sample_kinds); i++) {
		uint8_t buf[BODY_MAX + 1];
		struct span body = body_of(sample_kinds[i], buf);

		buf[body.len] = 0;
		for (size_t len = 0; len <= body.len + 1; len++)
			cr_expect_eq(decodes(sample_kinds[i], (struct span){ buf, len }), len == body.len,
				"kind %u, %zu of %zu bytes", sample_kinds[i], len, body.len);
	}
}

Test(kinds, accept_what_a_newer_node_added_and_miss_what_is_missing) {
	for (size_t i = 0; i < N_ELEMENTS(sample_kinds); i++) {
		uint8_t kind = sample_kinds[i], buf[BODY_MAX], changed[BODY_MAX];
		struct span body = body_of(kind, buf);
		struct reader r;
		struct writer w;
		uint64_t n;

		if (kind == KIND_TALLY || kind == KIND_RECEIPT || kind == KIND_CARRIED) /* an array of rows: see below */
			continue;
		reader_init(&r, body);
		n = read_array(&r, 0, UINT64_MAX);
		writer_init(&w, changed, sizeof(changed));
		write_array(&w, n + 2);
		write_raw(&w, (struct span){ r.pos, (size_t)(r.end - r.pos) });
		if (kind == KIND_OFFICE) /* without an end, which is an array */
			write_nil(&w);
		else
			write_array(&w, 1);
		if (kind != KIND_OFFICE)
			write_nil(&w);
		write_nil(&w);
		cr_expect(decodes(kind, writer_span(&w)), "kind %u", kind);

		writer_init(&w, changed, sizeof(changed));
		write_array(&w, n - 1);
		for (uint64_t j = 0; j < n - 1; j++)
			write_raw(&w, read_raw(&r));
		cr_expect_not(decodes(kind, writer_span(&w)), "kind %u", kind);
	}
}

Test(kinds, want_every_element_in_its_own_type) {
	for (size_t i = 0; i < N_ELEMENTS(sample_kinds); i++) {
		uint8_t kind = sample_kinds[i], buf[BODY_MAX], changed[BODY_MAX];
		struct span body = body_of(kind, buf);
		struct reader r;
		uint64_t n;

		reader_init(&r, body);
		n = read_array(&r, 0, UINT64_MAX);
		for (uint64_t wrong = 0; wrong < n; wrong++) {
			struct reader element = r;
			struct writer w;

			writer_init(&w, changed, sizeof(changed));
			write_array(&w, n);
			for (uint64_t j = 0; j < n; j++) {
				struct span raw = read_raw(&element);

				if (j == wrong && (raw.data[0] & 0xf0) == 0x90)
					write_nil(&w); /* an array may well be empty */
				else if (j == wrong)
					write_array(&w, 0);
				else
					write_raw(&w, raw);
			}
			cr_expect_not(decodes(kind, writer_span(&w)), "kind %u, element %u", kind,
				(unsigned)wrong);
		}
	}
}

static struct span long_text(size_t len) {
	static uint8_t text[BODY_MAX];

	memset(text, 'x', sizeof(text));
	return (struct span){ text, len };
}

static int petition_try(const struct petition *petition) {
	struct petition got = { .people = 77 };
	uint8_t buf[BODY_MAX];
	struct writer w;
	int r;

	writer_init(&w, buf, sizeof(buf));
	petition_encode(petition, &w);
	r = petition_decode(writer_span(&w), &got);
	cr_expect_eq(got.people, r == 0 ? petition->people : 77);
	return r;
}

Test(kinds, petition_has_limits) {
	struct petition good[8], bad[12];

	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		good[i] = sample_petition();
	good[0].people = 1;
	good[1].people = PETITION_PEOPLE_MAX;
	good[2].legal_kind = good[2].category = good[2].channel = 255; /* a newer node's */
	good[3].number = good[3].village = good[3].asked_of = good[3].text = (struct span){ 0 };
	good[4].text = span_str(LINES);
	good[5].text = long_text(PETITION_TEXT_MAX);
	good[6].village = long_text(PETITION_VILLAGE_MAX);
	good[7].reference = 0;
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		cr_expect_eq(petition_try(&good[i]), 0, "good %zu", i);

	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		bad[i] = sample_petition();
	bad[0].people = 0;
	bad[1].people = PETITION_PEOPLE_MAX + 1;
	bad[2].number = long_text(PETITION_NUMBER_MAX + 1);
	bad[3].village = long_text(PETITION_VILLAGE_MAX + 1);
	bad[4].text = long_text(PETITION_TEXT_MAX + 1);
	bad[5].asked_of = long_text(PETITION_ASKED_OF_MAX + 1);
	bad[6].number = span_str(COMMAND);
	bad[7].village = span_str(COMMAND);
	bad[8].text = span_str(COMMAND);
	bad[9].asked_of = span_str(COMMAND);
	bad[10].village = span_str(LINES);
	bad[11].text = span_str("\xff");
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		cr_expect_eq(petition_try(&bad[i]), PETITION_MALFORMED, "bad %zu", i);
}

static int step_try(const struct step *step) {
	uint8_t buf[BODY_MAX];
	struct step got;
	struct writer w;
	int r;

	writer_init(&w, buf, sizeof(buf));
	step_encode(step, &w);
	r = step_decode(writer_span(&w), &got);
	if (r == 0)
		cr_expect(id_eq(&got.office, &step->office));
	return r;
}

Test(kinds, step_has_limits) {
	struct step good[5], bad[6];

	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		good[i] = sample_step();
	good[0].office = SAMPLE_PARENT;
	good[1].action = 255;
	good[2].text = span_str(LINES);
	good[3].sequence = STEP_SEQUENCE_MAX;
	good[4].sequence = 0; /* a draft's */
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		cr_expect_eq(step_try(&good[i]), 0, "good %zu", i);

	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		bad[i] = sample_step();
	bad[0].to = long_text(STEP_TO_MAX + 1);
	bad[1].text = long_text(STEP_TEXT_MAX + 1);
	bad[2].to = span_str(LINES);
	bad[3].to = span_str(COMMAND);
	bad[4].text = span_str(COMMAND);
	bad[5].sequence = STEP_SEQUENCE_MAX + 1;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		cr_expect_eq(step_try(&bad[i]), STEP_MALFORMED, "bad %zu", i);
}

static int meeting_try(const struct meeting *meeting) {
	uint8_t buf[BODY_MAX];
	struct meeting got;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	meeting_encode(meeting, &w);
	return meeting_decode(writer_span(&w), &got);
}

Test(kinds, meeting_balances_and_has_limits) {
	struct meeting good[3], bad[13];

	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		good[i] = sample_meeting();
	good[0].opinions = good[0].on_the_spot = good[0].later = good[0].pending = 0;
	good[1].opinions = good[1].later = MEETING_COUNT_MAX;
	good[1].on_the_spot = good[1].pending = 0;
	good[2].topic = span_str(LINES);
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		cr_expect_eq(meeting_try(&good[i]), 0, "good %zu", i);

	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		bad[i] = sample_meeting();
	bad[0].opinions++;
	bad[1].on_the_spot++;
	bad[2].later--;
	bad[3].pending++;
	bad[4].attendance = MEETING_COUNT_MAX + 1;
	/* These would balance, as 32 bits wrap. */
	bad[5].on_the_spot = UINT32_MAX;
	bad[5].opinions = bad[5].later + bad[5].pending - 1;
	bad[11].later = UINT32_MAX;
	bad[11].opinions = bad[11].on_the_spot + bad[11].pending - 1;
	bad[12].pending = UINT32_MAX;
	bad[12].opinions = bad[12].on_the_spot + bad[12].later - 1;
	bad[6].number = long_text(MEETING_NUMBER_MAX + 1);
	bad[7].host = long_text(MEETING_HOST_MAX + 1);
	bad[8].topic = long_text(MEETING_TOPIC_MAX + 1);
	bad[9].host = span_str(LINES);
	bad[10].topic = span_str(COMMAND);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		cr_expect_eq(meeting_try(&bad[i]), MEETING_MALFORMED, "bad %zu", i);
}

static int tally_try(const struct tally_row *rows, size_t n_rows) {
	static struct tally_row got[TALLY_ROWS_MAX];
	uint8_t buf[BODY_MAX];
	struct writer w;
	size_t n_got;
	int r;

	writer_init(&w, buf, sizeof(buf));
	tally_encode(rows, n_rows, &w);
	cr_assert(writer_ok(&w));
	r = tally_decode(writer_span(&w), got, &n_got);
	if (r == 0)
		cr_expect_eq(n_got, n_rows);
	return r;
}

Test(kinds, tally_rows_rise_by_their_first_four_fields) {
	static const struct {
		struct tally_row a, b;
		bool ok;
	} cases[] = {
		{ { 202406, 4, 1, 1, 9 }, { 202407, 0, 0, 0, 0 }, true },
		{ { 202406, 4, 1, 1, 9 }, { 202406, 5, 0, 0, 0 }, true },
		{ { 202406, 4, 1, 1, 9 }, { 202406, 4, 2, 0, 0 }, true },
		{ { 202406, 4, 1, 1, 9 }, { 202406, 4, 1, 2, 0 }, true },
		{ { 202406, 4, 1, 1, 9 }, { 202406, 4, 1, 1, 10 }, false },
		{ { 202406, 4, 1, 2, 9 }, { 202406, 4, 1, 1, 10 }, false },
		{ { 202406, 4, 2, 0, 9 }, { 202406, 4, 1, 255, 10 }, false },
		{ { 202406, 5, 0, 0, 9 }, { 202406, 4, 255, 255, 10 }, false },
		{ { 202407, 0, 0, 0, 9 }, { 202406, 255, 255, 255, 10 }, false },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct tally_row rows[] = { cases[i].a, cases[i].b };

		cr_expect_eq(tally_try(rows, 2), cases[i].ok ? 0 : TALLY_MALFORMED, "case %zu", i);
	}
}

Test(kinds, tally_has_up_to_512_rows) {
	static struct tally_row rows[TALLY_ROWS_MAX + 1];

	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		rows[i] = (struct tally_row){ .period = i + 1, .n = UINT64_MAX };
	cr_expect_eq(tally_try(rows, 0), 0);
	cr_expect_eq(tally_try(rows, TALLY_ROWS_MAX), 0);
	cr_expect_eq(tally_try(rows, TALLY_ROWS_MAX + 1), TALLY_MALFORMED);
}

Test(kinds, tally_row_accepts_what_a_newer_node_added) {
	cr_expect(decodes(KIND_TALLY, span_str("\x91\x95\x01\x01\x01\x01\x01")));
	cr_expect(decodes(KIND_TALLY, span_str("\x91\x96\x01\x01\x01\x01\x01\xc0")));
	cr_expect_not(decodes(KIND_TALLY, span_str("\x91\x94\x01\x01\x01\x01")));
}

/* One office's count must not be able to carry the sum of all over the edge. */
Test(kinds, a_count_is_at_most_a_million_million) {
	static const uint8_t most[] = { 0x91, 0x95, 1, 1, 1, 1, 0xcf, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0 },
			     more[] = { 0x91, 0x95, 1, 1, 1, 1, 0xcf, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 1 };

	cr_expect(decodes(KIND_TALLY, (struct span){ most, sizeof(most) }));
	cr_expect_not(decodes(KIND_TALLY, (struct span){ more, sizeof(more) }));
}

Test(kinds, no_time_is_beyond_what_a_calendar_shows) {
	struct petition petition = sample_petition();
	struct step step = sample_step();
	struct meeting meeting = sample_meeting();

	petition.received_ms = step.due_ms = meeting.date_ms = TIME_MAX_MS;
	cr_expect_eq(petition_try(&petition), 0);
	cr_expect_eq(step_try(&step), 0);
	cr_expect_eq(meeting_try(&meeting), 0);
	petition.received_ms++;
	step.due_ms++;
	meeting.date_ms++;
	cr_expect_eq(petition_try(&petition), PETITION_MALFORMED);
	cr_expect_eq(step_try(&step), STEP_MALFORMED);
	cr_expect_eq(meeting_try(&meeting), MEETING_MALFORMED);
}

static int office_try(const struct office *office) {
	uint8_t buf[BODY_MAX];
	struct office got;
	struct writer w;
	int r;

	writer_init(&w, buf, sizeof(buf));
	office_encode(office, &w);
	r = office_decode(writer_span(&w), &got);
	if (r == 0) {
		cr_expect(id_eq(&got.parent, &office->parent));
		cr_expect_arr_eq(got.sign_key, office->sign_key, sizeof(got.sign_key));
		cr_expect_arr_eq(got.curve_key, office->curve_key, sizeof(got.curve_key));
		cr_expect_eq(got.tenure, office->tenure);
		cr_expect_eq(got.has_end, office->has_end);
	}
	return r;
}

/* What stands behind the ten that every office has; a tenure has one form. */
Test(kinds, an_office_may_have_more_of_a_later_version_but_no_tenure_in_another_form) {
	static const struct {
		uint8_t bytes[2];
		size_t n;
		int want;
		uint8_t tenure;
	} more[] = {
		{ { 0xc0, 1 }, 2, 0, 1 },
		{ { 0xc0, OFFICE_PARENTS_MAX }, 2, 0, OFFICE_PARENTS_MAX },
		{ { 0xc0, OFFICE_PARENTS_MAX + 1 }, 2, OFFICE_MALFORMED, 0 },
		{ { 0xc0, 0 }, 2, OFFICE_MALFORMED, 0 },
		{ { 0xc0, 0xc0 }, 2, 0, 0 },
		{ { 0xc3, 1 }, 2, 0, 0 },
	};
	struct office office = sample_office();

	for (size_t i = 0; i < N_ELEMENTS(more); i++) {
		uint8_t buf[BODY_MAX];
		struct office got;
		struct writer w;

		writer_init(&w, buf, sizeof(buf));
		office_encode(&office, &w);
		buf[0] = (uint8_t)(0x90 + OFFICE_FIELDS + more[i].n);
		memcpy(buf + w.len, more[i].bytes, more[i].n);
		cr_expect_eq(office_decode((struct span){ buf, w.len + more[i].n }, &got), more[i].want, "%zu", i);
		if (more[i].want == 0)
			cr_expect_eq(got.tenure, more[i].tenure, "%zu", i);
	}
}

Test(kinds, office_has_limits) {
	struct office good[6], bad[10];

	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		good[i] = sample_office();
	good[0].parent = (struct id){ 0 };
	good[1].code = 99;
	good[1].code_digits = 2;
	good[2].code = REFERENCE_CODE_MAX;
	good[3].state = 255;
	good[4].tenure = OFFICE_PARENTS_MAX;
	good[5].tenure = 1;
	good[5].has_end = true;
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		cr_expect_eq(office_try(&good[i]), 0, "good %zu", i);

	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		bad[i] = sample_office();
	bad[0].level = (struct span){ 0 };
	bad[1].name = (struct span){ 0 };
	bad[2].level = long_text(OFFICE_LEVEL_MAX + 1);
	bad[3].name = long_text(OFFICE_NAME_MAX + 1);
	bad[4].level = span_str(LINES);
	bad[5].name = span_str(COMMAND);
	bad[6].code = REFERENCE_CODE_MAX + 1;
	bad[7].code_digits = 4;
	bad[8].code_digits = 3; /* 9163 has four */
	bad[9].code_digits = 0;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		cr_expect_eq(office_try(&bad[i]), OFFICE_MALFORMED, "bad %zu", i);
}

Test(kinds, escalation_has_limits) {
	struct escalation bad[2];

	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		bad[i] = sample_escalation();
	bad[0].rule = long_text(ESCALATION_RULE_MAX + 1);
	bad[1].rule = span_str(LINES);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct escalation got;
		uint8_t buf[BODY_MAX];
		struct writer w;

		writer_init(&w, buf, sizeof(buf));
		escalation_encode(&bad[i], &w);
		cr_expect_eq(escalation_decode(writer_span(&w), &got), ESCALATION_MALFORMED, "bad %zu", i);
	}
}

Test(kinds, access_has_limits) {
	struct access bad[5];
	uint8_t buf[BODY_MAX];

	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		bad[i] = sample_access();
	bad[0].who = span_str("");
	bad[1].reason = span_str("");
	bad[2].who = long_text(ACCESS_WHO_MAX + 1);
	bad[3].reason = long_text(ACCESS_REASON_MAX + 1);
	bad[4].reason = span_str(COMMAND);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct access got;
		struct writer w;

		writer_init(&w, buf, sizeof(buf));
		access_encode(&bad[i], &w);
		cr_expect_eq(access_decode(writer_span(&w), &got), ACCESS_MALFORMED, "bad %zu", i);
	}
}

Test(kinds, a_private_part_says_something_and_nothing_that_is_not_understood) {
	static const struct {
		const char *what;
		const char *in;
		size_t len;
		bool ok;
	} cases[] = {
		{ "a name", "\x94\x00\xa3" "Hoa" "\xa0\xa0", 8, true },
		{ "a telephone", "\x94\x00\xa0\xa3" "090" "\xa0", 8, true },
		{ "nothing", "\x94\x00\xa0\xa0\xa0", 5, false },
		{ "sealed, and too short", "\x93\x01\xc4\x0a" "0123456789" "\xc4\x02xy", 18, false },
		{ "sealed to no key", "\x92\x01\xc4\x02xy", 6, false },
		{ "a field more", "\x95\x00\xa3" "Hoa" "\xa0\xa0\xa0", 9, false },
		{ "another form", "\x92\x02\xc4\x02xy", 6, false },
		{ "a command to the terminal", "\x94\x00\xa3\x1b[m\xa0\xa0", 8, false },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct span in = { (const uint8_t *)cases[i].in, cases[i].len };
		struct private_part part;
		uint8_t buf[64];
		struct writer w;

		cr_expect_eq(private_decode(in, &part), cases[i].ok ? 0 : PRIVATE_MALFORMED, "%s",
			cases[i].what);
		if (!cases[i].ok)
			continue;
		writer_init(&w, buf, sizeof(buf));
		private_encode(&part, &w);
		cr_expect(span_eq(writer_span(&w), in), "%s", cases[i].what);
	}
}

Test(kinds, a_request_says_at_least_one_thing_and_says_nothing_in_one_way) {
	static const struct {
		struct inquiry inquiry;
		int want;
	} cases[] = {
		{ { .petition = { { 1 } } }, 0 },
		{ { .reference = 42 }, 0 },
		{ { .oplog = { { { 1 } }, 1, LANE_NORMAL }, .index = 7 }, 0 },
		{ { .oplog = { { { 1 } }, 0, 0 } }, 0 },
		{ { .index = 0 }, INQUIRY_MALFORMED },
		{ { .reference = 42, .index = 7 }, INQUIRY_MALFORMED },
		{ { .reference = 42, .oplog = { { { 0 } }, 1, 0 } }, INQUIRY_MALFORMED },
		{ { .reference = 42, .oplog = { { { 0 } }, 0, 1 } }, INQUIRY_MALFORMED },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct inquiry inquiry = cases[i].inquiry, got;
		uint8_t buf[256];
		struct writer w;

		inquiry.asked = SAMPLE_OFFICE;
		inquiry.who = span_str("lan");
		inquiry.reason = span_str("Dân hỏi.");
		writer_init(&w, buf, sizeof(buf));
		inquiry_encode(&inquiry, &w);
		cr_expect_eq(inquiry_decode(writer_span(&w), &got), cases[i].want, "case %zu", i);
	}
}

Test(kinds, two_requests_are_one_if_they_ask_for_the_same_in_the_same_way) {
	const struct inquiry whole = { .asked = { { 5 } }, .petition = { { 1 } }, .reference = 42,
		.oplog = { { { 2 } }, 1, LANE_NORMAL }, .index = 7 };
	struct inquiry others[] = { whole, whole, whole, whole, whole, whole };

	others[0].reason = span_str("Dân lại hỏi.");
	cr_expect(inquiry_same(&whole, &others[0]));
	others[1].reference = 43;
	others[2].petition = (struct id){ { 0 } };
	others[3].index = 8;
	others[4].asked = (struct id){ { 6 } };
	others[5].oplog.lane = LANE_BULK;
	for (size_t i = 1; i < N_ELEMENTS(others); i++)
		cr_expect_not(inquiry_same(&whole, &others[i]), "%zu", i);
}

Test(kinds, what_is_granted_is_named_and_what_is_refused_has_a_reason) {
	static const struct {
		struct reply reply;
		int want;
	} cases[] = {
		{ { .petition = { { 1 } }, .outcome = REPLY_GRANTED }, 0 },
		{ { .outcome = REPLY_GRANTED }, REPLY_MALFORMED },
		{ { .outcome = REPLY_REFUSED, .reason = { (const uint8_t *)"no", 2 } }, 0 },
		{ { .petition = { { 1 } }, .outcome = REPLY_REFUSED }, REPLY_MALFORMED },
		{ { .petition = { { 1 } }, .outcome = 0 }, REPLY_MALFORMED },
		{ { .petition = { { 1 } }, .outcome = REPLY_N }, REPLY_MALFORMED },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct reply reply = cases[i].reply, got;
		uint8_t buf[256];
		struct writer w;

		reply.request = SAMPLE_CASE;
		reply.who = span_str("lan");
		writer_init(&w, buf, sizeof(buf));
		reply_encode(&reply, &w);
		cr_expect_eq(reply_decode(writer_span(&w), &got), cases[i].want, "case %zu", i);
	}
}
