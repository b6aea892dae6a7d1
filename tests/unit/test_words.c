/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/enrolment.h"

#include <criterion/criterion.h>

/* An office whose id and keys are made of @n. */
static struct office office_of(uint8_t n) {
	struct office office = { .id = { { n } } };

	memset(office.sign_key, n + 1, sizeof(office.sign_key));
	memset(office.curve_key, n + 2, sizeof(office.curve_key));
	return office;
}

static void expect_other(const struct office *a, const struct office *above_a, const struct office *b,
	const struct office *above_b, const char *what) {
	char ours[WORDS_MAX], theirs[WORDS_MAX];

	for (unsigned vietnamese = 0; vietnamese < 2; vietnamese++) {
		enrolment_words(a, above_a, vietnamese, ours);
		enrolment_words(b, above_b, vietnamese, theirs);
		cr_expect_str_neq(ours, theirs, "%s", what);
	}
}

Test(words, are_others_if_the_invitation_was_altered_on_its_way) {
	const struct office office = office_of(10), parent = office_of(20);
	struct office other = parent, named = parent;
	char ours[WORDS_MAX], theirs[WORDS_MAX];

	other.curve_key[31] ^= 1;
	expect_other(&office, &parent, &office, &other, "another key of the parent's");
	other = parent;
	other.id.b[15] ^= 1;
	expect_other(&office, &parent, &office, &other, "another parent");
	other = office;
	other.curve_key[0] ^= 1;
	expect_other(&office, &parent, &other, &parent, "another key of the office's");
	other = office;
	other.sign_key[0] ^= 1;
	expect_other(&office, &parent, &other, &parent, "another signing key");

	named.name = span_str("what the child does not know yet");
	memset(named.sign_key, 99, sizeof(named.sign_key));
	enrolment_words(&office, &parent, true, ours);
	enrolment_words(&office, &named, true, theirs);
	cr_expect_str_eq(ours, theirs);
}
