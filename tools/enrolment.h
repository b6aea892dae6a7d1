/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * enrolment - what two people compare so that no other office is enrolled under a name
 */
#include "proto/kinds/office.h"

enum {
	FINGERPRINT_MAX = 32,
};

/* Of the office's id and keys: five groups of four hexadecimal digits. */
void enrolment_fingerprint(const struct office *office, char ret_text[FINGERPRINT_MAX]);
