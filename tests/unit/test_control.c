/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/control.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "proto/enrol.h"

static uint8_t buf[64 * 1024];

static struct request decoded(const struct writer *w) {
	struct request request;

	cr_assert(writer_ok(w));
	cr_assert_eq(control_request_decode(writer_span(w), &request), 0);
	return request;
}

Test(control, a_submission_hands_out_its_drafts) {
	static const struct draft drafts[] = {
		{ .kind = KIND_PETITION, .organisation = ORGANISATION_WOMEN, .lane = LANE_URGENT },
		{ .kind = KIND_STEP, .lane = LANE_NORMAL, .has_id = true, .id = { { 1, 2, 3 } } },
	};
	struct span body = span_str("\x92\x01\x91\xa1" "a"), private = span_str("\x92\x01\x02");
	struct request request;
	struct draft draft;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_submit(&w, 7, true, N_ELEMENTS(drafts));
	for (size_t i = 0; i < N_ELEMENTS(drafts); i++) {
		draft = drafts[i];
		draft.body = body;
		draft.private = i == 1 ? private : (struct span){ 0 };
		control_write_draft(&w, &draft);
	}
	request = decoded(&w);
	cr_expect_eq(request.number, 7);
	cr_expect_eq(request.command, COMMAND_SUBMIT);
	cr_expect(request.check_only);
	cr_expect_eq(request.n_drafts, N_ELEMENTS(drafts));
	for (size_t i = 0; i < N_ELEMENTS(drafts); i++) {
		cr_assert(control_draft_next(&request, &draft));
		cr_expect_eq(draft.kind, drafts[i].kind);
		cr_expect_eq(draft.organisation, drafts[i].organisation);
		cr_expect_eq(draft.lane, drafts[i].lane);
		cr_expect_eq(draft.has_id, drafts[i].has_id);
		cr_expect(id_eq(&draft.id, &drafts[i].id));
		cr_expect(span_eq(draft.body, body));
		cr_expect(span_eq(draft.private, i == 1 ? private : (struct span){ 0 }));
	}
	cr_expect_not(control_draft_next(&request, &draft));
}

Test(control, every_other_request_comes_back_as_it_was_written) {
	struct request request;
	struct draft draft;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_status(&w, UINT64_MAX);
	request = decoded(&w);
	cr_expect_eq(request.command, COMMAND_STATUS);
	cr_expect_eq(request.number, UINT64_MAX);
	cr_expect_not(control_draft_next(&request, &draft), "there are none in a STATUS");

	writer_init(&w, buf, sizeof(buf));
	control_write_add_office(&w, 1, span_str("file"), span_str("tcp://10.0.0.1:7401"));
	request = decoded(&w);
	cr_expect_eq(request.command, COMMAND_ADD_OFFICE);
	cr_expect(span_eq(request.file, span_str("file")));
	cr_expect(span_eq(request.address, span_str("tcp://10.0.0.1:7401")));

	writer_init(&w, buf, sizeof(buf));
	control_write_join(&w, 2, span_str("answer"));
	request = decoded(&w);
	cr_expect_eq(request.command, COMMAND_JOIN);
	cr_expect(span_eq(request.file, span_str("answer")));

	writer_init(&w, buf, sizeof(buf));
	control_write_since(&w, 3, 1234567, 1000);
	request = decoded(&w);
	cr_expect_eq(request.command, COMMAND_SINCE);
	cr_expect_eq(request.since, 1234567);
	cr_expect_eq(request.max, 1000);

	writer_init(&w, buf, sizeof(buf));
	control_write_snapshot(&w, 4, span_str("key"));
	request = decoded(&w);
	cr_expect_eq(request.command, COMMAND_SNAPSHOT);
	cr_expect(span_eq(request.after, span_str("key")));

	writer_init(&w, buf, sizeof(buf));
	control_write_private(&w, 5, COMMAND_ERASE, &(struct id){ { 7 } }, span_str("lan"),
		span_str("She asked for it."));
	request = decoded(&w);
	cr_expect_eq(request.command, COMMAND_ERASE);
	cr_expect_eq(request.record.b[0], 7);
	cr_expect(span_eq(request.who, span_str("lan")));
	cr_expect(span_eq(request.reason, span_str("She asked for it.")));

	writer_init(&w, buf, sizeof(buf));
	control_write_ask(&w, 6, &(struct inquiry){ .asked = { { 8 } }, .reference = 42, .who = span_str("lan"),
		.reason = span_str("Somebody asked us.") });
	request = decoded(&w);
	cr_expect_eq(request.command, COMMAND_ASK);
	cr_expect_eq(request.inquiry.asked.b[0], 8);
	cr_expect_eq(request.inquiry.reference, 42);
	cr_expect(span_eq(request.inquiry.reason, span_str("Somebody asked us.")));
	writer_init(&w, buf, sizeof(buf));
	control_write_hold_line(&w, 8, true, 1717200000000);
	request = decoded(&w);
	cr_expect_eq(request.command, COMMAND_HOLD_LINE);
	cr_expect(request.held);
	cr_expect_eq(request.until_ms, 1717200000000);
	for (enum command command = COMMAND_GRANT; command <= COMMAND_DENY; command++) {
		writer_init(&w, buf, sizeof(buf));
		control_write_reply(&w, 7, command, &(struct id){ { 9 } }, span_str("lan"), span_str("No."));
		request = decoded(&w);
		cr_expect_eq(request.command, command);
		cr_expect_eq(request.record.b[0], 9);
		cr_expect(span_eq(request.who, span_str("lan")));
		cr_expect_eq(request.reason.len, command == COMMAND_DENY ? 3 : 0);
	}
}

Test(control, a_request_is_known_as_a_whole_or_malformed) {
	static const struct {
		const char *why;
		const char *in;
		size_t len;
		bool ok;
	} cases[] = {
		{ "status", "\x92\x07\x02", 3, true },
		{ "status with an argument", "\x93\x07\x02\x01", 4, false },
		{ "since", "\x94\x07\x05\x01\x02", 5, true },
		{ "since without its second argument", "\x93\x07\x05\x01", 4, false },
		{ "since with a third", "\x95\x07\x05\x01\x02\x03", 6, false },
		{ "a newer command, with any arguments", "\x94\x07\x63\xc0\x91\x01", 6, true },
		{ "a newer command, damaged", "\x94\x07\x63\xc0\x91\xcc\x01", 7, false },
		{ "no draft", "\x94\x07\x01\xc2\x90", 5, true },
		{ "not said whether only to check", "\x93\x07\x01\x90", 4, false },
		{ "a draft", "\x94\x07\x01\xc3\x91\x96\x01\x00\x00\xc0\x90\xc0", 12, true },
		{ "a draft with a private part",
			"\x94\x07\x01\xc3\x91\x96\x01\x00\x00\xc0\x90\x91\x07", 13, true },
		{ "a draft of seven",
			"\x94\x07\x01\xc2\x91\x97\x01\x00\x00\xc0\x90\xc0\x01", 13, false },
		{ "a draft of five", "\x94\x07\x01\xc2\x91\x95\x01\x00\x00\xc0\x90", 11, false },
		{ "the last of two drafts damaged",
			"\x94\x07\x01\xc2\x92\x96\x01\x00\x00\xc0\x90\xc0\x96\x01\x00\x00\xc0\x90\x81", 19, false },
		{ "no command", "\x91\x07", 2, false },
		{ "nothing", "", 0, false },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct span in = { (const uint8_t *)cases[i].in, cases[i].len };
		struct request request = { .number = 99 };
		int r = control_request_decode(in, &request);

		cr_expect_eq(r, cases[i].ok ? 0 : CONTROL_MALFORMED, "%s", cases[i].why);
		/* whoever asked is told, where it can be seen who that is */
		cr_expect_eq(request.number, in.len > 2 && in.data[1] == 7 ? 7 : 0, "%s", cases[i].why);
		cr_expect(cases[i].ok || request.command == 0, "%s", cases[i].why);
	}
}

Test(control, a_request_has_limits) {
	static const uint8_t zeros[ENROL_FILE_MAX + 1];
	struct span too_long_file = { zeros, sizeof(zeros) };
	struct request request;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_join(&w, 1, (struct span){ zeros, ENROL_FILE_MAX });
	cr_expect_eq(control_request_decode(writer_span(&w), &request), 0);
	writer_init(&w, buf, sizeof(buf));
	control_write_join(&w, 1, too_long_file);
	cr_expect_eq(control_request_decode(writer_span(&w), &request), CONTROL_MALFORMED);
	writer_init(&w, buf, sizeof(buf));
	control_write_add_office(&w, 1, too_long_file, span_str(""));
	cr_expect_eq(control_request_decode(writer_span(&w), &request), CONTROL_MALFORMED);
	writer_init(&w, buf, sizeof(buf));
	control_write_add_office(&w, 1, span_str(""), span_str("tcp://\x1b[2J"));
	cr_expect_eq(control_request_decode(writer_span(&w), &request), CONTROL_MALFORMED);
	writer_init(&w, buf, sizeof(buf));
	control_write_snapshot(&w, 1, (struct span){ zeros, CONTROL_KEY_MAX + 1 });
	cr_expect_eq(control_request_decode(writer_span(&w), &request), CONTROL_MALFORMED);
}

Test(control, a_submission_has_at_most_65536_drafts) {
	for (size_t n = CONTROL_DRAFTS_MAX; n <= CONTROL_DRAFTS_MAX + 1; n++) {
		_cleanup_(writer_done) struct writer w;
		struct draft draft = { .kind = 1, .body = span_str("\xc0") };
		struct request request;

		writer_init_grow(&w);
		control_write_submit(&w, 1, false, n);
		for (size_t i = 0; i < n; i++)
			control_write_draft(&w, &draft);
		cr_assert(writer_ok(&w));
		cr_expect_eq(control_request_decode(writer_span(&w), &request),
			n <= CONTROL_DRAFTS_MAX ? 0 : CONTROL_MALFORMED);
	}
}

Test(control, an_answer_leaves_its_values_to_be_read) {
	struct answer answer;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_ok(&w, 9, 2);
	write_array(&w, 1);
	write_str(&w, span_str("row"));
	write_uint(&w, 5);
	cr_assert_eq(control_answer_decode(writer_span(&w), &answer), 0);
	cr_expect_eq(answer.number, 9);
	cr_expect_eq(answer.result, CONTROL_OK);
	cr_expect_eq(read_array(&answer.values, 1, 1), 1);
	cr_expect(span_eq(read_str(&answer.values, 0, 9), span_str("row")));
	read_end(&answer.values);
	cr_expect_eq(read_uint(&answer.values, 9), 5);
	cr_expect_eq(reader_peek(&answer.values), VALUE_END);
	read_end(&answer.values);
	cr_expect_eq(reader_done(&answer.values), 0);
}

Test(control, a_failure_says_which_draft_and_what) {
	struct answer answer;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_failure(&w, 9, CONTROL_BAD_FIELD, 3, span_str("village"));
	cr_assert_eq(control_answer_decode(writer_span(&w), &answer), 0);
	cr_expect_eq(answer.number, 9);
	cr_expect_eq(answer.result, CONTROL_BAD_FIELD);
	cr_expect_eq(answer.index, 3);
	cr_expect(span_eq(answer.detail, span_str("village")));
	cr_expect_not(control_fault_next(&answer, &(struct control_fault){ 0 }));
}

Test(control, every_fault_of_a_submission_is_handed_out) {
	static const struct control_fault faults[] = {
		{ CONTROL_BAD_FIELD, 3, { (const uint8_t *)"village", 7 } },
		{ CONTROL_NO_CASE, 4, { NULL, 0 } },
		{ CONTROL_WRONG_STATE, 900, { (const uint8_t *)"closed", 6 } },
	};

	for (size_t n = 1; n <= N_ELEMENTS(faults); n++) {
		struct control_fault fault;
		struct answer answer;
		struct writer w;

		writer_init(&w, buf, sizeof(buf));
		control_write_faults(&w, 9, faults, n);
		cr_assert_eq(control_answer_decode(writer_span(&w), &answer), 0);
		cr_expect_eq(answer.result, faults[0].result);
		cr_expect_eq(answer.index, faults[0].index);
		for (size_t i = 1; i < n; i++) {
			cr_assert(control_fault_next(&answer, &fault));
			cr_expect_eq(fault.result, faults[i].result);
			cr_expect_eq(fault.index, faults[i].index);
			cr_expect(span_eq(fault.detail, faults[i].detail));
		}
		cr_expect_not(control_fault_next(&answer, &fault));
	}
}

Test(control, an_answer_is_malformed_when_cut_off_anywhere_or_followed_by_anything) {
	struct answer answer;
	struct writer w;

	for (int ok = 0; ok <= 1; ok++) {
		writer_init(&w, buf, sizeof(buf));
		if (ok) {
			control_write_ok(&w, 9, 1);
			write_str(&w, span_str("value"));
		} else {
			control_write_failure(&w, 9, CONTROL_FULL, 0, span_str("disk"));
		}
		buf[w.len] = 0;
		for (size_t len = 0; len <= w.len + 1; len++)
			cr_expect_eq(control_answer_decode((struct span){ buf, len }, &answer),
				len == w.len ? 0 : CONTROL_MALFORMED);
	}
	writer_init(&w, buf, sizeof(buf));
	control_write_failure(&w, 9, CONTROL_FULL, 0, span_str("\x1b[2J"));
	cr_expect_eq(control_answer_decode(writer_span(&w), &answer), CONTROL_MALFORMED);
}

Test(control, a_status_comes_back_as_it_was_written) {
	struct control_status status = {
		.pid = 4711,
		.started_ms = 1717200000000,
		.version = span_str("0.1.0"),
		.turns = 12,
		.refusals = { [REFUSAL_FORK] = 2, [REFUSAL_N - 1] = 5 },
		.line = { TROUBLE_PAUSED, 1717200000001, 1717200000002 },
	};
	const struct link_report links[] = {
		{ { { 1 } }, true, LINK_REPORT_STREAMING, 5, 6, { 0 }, -90000 },
		{ { { 2 } }, false, LINK_REPORT_DOWN, 7, 0,
			{ TROUBLE_BAD_ADDRESS, ENODEV, "tcp://nowhere:7250" }, INT64_MAX },
	};
	struct control_status got;
	struct link_report link;
	struct answer answer;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_ok(&w, 1, CONTROL_STATUS_VALUES);
	control_write_status_values(&w, &status, links, N_ELEMENTS(links));
	cr_assert_eq(control_answer_decode(writer_span(&w), &answer), 0);
	cr_assert_eq(control_status_read(&answer, &got), 0);
	cr_expect_eq(reader_peek(&answer.values), VALUE_END);
	cr_expect_eq(got.pid, status.pid);
	cr_expect_eq(got.started_ms, status.started_ms);
	cr_expect(span_eq(got.version, status.version));
	cr_expect_eq(got.turns, status.turns);
	cr_expect_arr_eq(got.refusals, status.refusals, sizeof(got.refusals));
	cr_expect_eq(got.line.why, status.line.why);
	cr_expect_eq(got.line.since_ms, status.line.since_ms);
	cr_expect_eq(got.line.until_ms, status.line.until_ms);
	cr_expect_eq(got.n_links, N_ELEMENTS(links));
	for (size_t i = 0; i < N_ELEMENTS(links); i++) {
		cr_assert(control_link_next(&got, &link));
		cr_expect(id_eq(&link.office, &links[i].office));
		cr_expect_eq(link.up, links[i].up);
		cr_expect_eq(link.state, links[i].state);
		cr_expect_eq(link.since_ms, links[i].since_ms);
		cr_expect_eq(link.last_progress_ms, links[i].last_progress_ms);
		cr_expect(trouble_eq(&link.trouble, &links[i].trouble));
		cr_expect_eq(link.clock_skew_ms, links[i].clock_skew_ms);
	}
	cr_expect_not(control_link_next(&got, &link));
}

Test(control, a_status_passes_over_reasons_of_a_newer_node) {
	struct control_status got;
	struct answer answer;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_ok(&w, 1, CONTROL_STATUS_VALUES);
	write_raw(&w, span_str("\x01\x01\xa0\x01\x92\x92\x0a\x03\x92\x7f\x04\x90\x01\x01\x01"));
	cr_assert_eq(control_answer_decode(writer_span(&w), &answer), 0);
	cr_assert_eq(control_status_read(&answer, &got), 0);
	cr_expect_eq(got.refusals[REFUSAL_FORK], 3);

	writer_init(&w, buf, sizeof(buf));
	control_write_ok(&w, 1, CONTROL_STATUS_VALUES);
	write_raw(&w, span_str("\x01\x01\xa0\x01\x90\x91\x91\x01\x01\x01\x01")); /* a link of one field */
	cr_assert_eq(control_answer_decode(writer_span(&w), &answer), 0);
	cr_expect_eq(control_status_read(&answer, &got), CONTROL_MALFORMED);
}
