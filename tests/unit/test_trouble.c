/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/trouble.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

Test(trouble, every_code_has_a_sentence_of_its_own) {
	char texts[TROUBLE_BUDGET + 2][TROUBLE_TEXT_MAX];

	for (unsigned code = 0; code < N_ELEMENTS(texts); code++) {
		const struct trouble trouble = trouble_of(code, ENODEV, "tcp://192.0.2.1:7250");

		trouble_text(&trouble, texts[code]);
		cr_expect_null(strchr(texts[code], '%'), "%s", texts[code]);
		for (unsigned before = 0; before < code; before++)
			cr_expect_str_neq(texts[code], texts[before]);
	}
	cr_expect_str_eq(texts[TROUBLE_NONE], "");
	cr_expect_str_eq(texts[TROUBLE_BAD_ADDRESS],
		"tcp://192.0.2.1:7250 cannot be used: No such device");
}

Test(trouble, a_sentence_names_the_reason_or_the_address) {
	static const struct {
		struct trouble trouble;
		const char *text;
	} cases[] = {
		{ { TROUBLE_REFUSED, REFUSAL_SIGNATURE, "" }, "they refused an oplog: bad signature" },
		{ { TROUBLE_ENDED_BY_THEM, 9999, "" }, "they ended the session: unknown reason" },
		{ { TROUBLE_LOST, 0, "tcp://%s:%n" }, "the connection to tcp://%s:%n was lost" },
	};
	char text[TROUBLE_TEXT_MAX];

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		trouble_text(&cases[i].trouble, text);
		cr_expect_str_eq(text, cases[i].text);
	}
}

Test(trouble, every_code_has_a_word_of_its_own) {
	for (unsigned code = TROUBLE_NOT_YET; code <= TROUBLE_BUDGET; code++) {
		cr_assert(trouble_name((uint8_t)code), "%u", code);
		cr_expect_str_neq(trouble_name((uint8_t)code), "unknown", "%u", code);
		for (unsigned before = TROUBLE_NOT_YET; before < code; before++)
			cr_expect_str_neq(trouble_name((uint8_t)code), trouble_name((uint8_t)before));
	}
	cr_expect_null(trouble_name(TROUBLE_NONE));
	cr_expect_str_eq(trouble_name(TROUBLE_BUDGET + 1), "unknown");
	cr_expect_str_eq(trouble_name(UINT8_MAX), "unknown");
}

Test(trouble, the_words_are_those_that_programs_know) {
	cr_expect_str_eq(trouble_name(TROUBLE_NO_ANSWER), "no-answer");
	cr_expect_str_eq(trouble_name(TROUBLE_KEY_REFUSED), "key-refused");
	cr_expect_str_eq(trouble_name(TROUBLE_ENDED_BY_THEM), "ended-by-them");
}

Test(trouble, what_belongs_to_a_word_is_the_reason_or_the_address) {
	const struct trouble refused = trouble_of(TROUBLE_REFUSED, REFUSAL_SIGNATURE, "");
	const struct trouble lost = trouble_of(TROUBLE_LOST, 0, "tcp://192.0.2.1:7250");
	const struct trouble moved = trouble_of(TROUBLE_MOVED, 0, "");

	cr_expect_str_eq(trouble_detail(&refused), "bad signature");
	cr_expect_str_eq(trouble_detail(&lost), "tcp://192.0.2.1:7250");
	cr_expect_null(trouble_detail(&moved));
}

Test(trouble, what_is_too_long_is_cut) {
	char address[2 * TROUBLE_DETAIL_MAX], text[TROUBLE_TEXT_MAX];
	struct trouble trouble;

	memset(address, 'x', sizeof(address));
	address[sizeof(address) - 1] = '\0';
	trouble = trouble_of(TROUBLE_NO_ANSWER, 0, address);
	cr_expect_eq(strlen(trouble.detail), TROUBLE_DETAIL_MAX);
	trouble_text(&trouble, text);
	cr_expect_eq(strlen(text), strlen("no answer at ") + TROUBLE_DETAIL_MAX);
}
