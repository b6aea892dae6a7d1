/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/enrolment.h"

#include <stdio.h>

enum {
	GROUPS = 5,
};

void enrolment_fingerprint(const struct office *office, char ret_text[FINGERPRINT_MAX]) {
	uint8_t bytes[sizeof(office->id.b) + SIGN_PUBLIC_LEN + OFFICE_CURVE_LEN];
	struct hash hash;
	size_t len = 0;

	memcpy(bytes, office->id.b, sizeof(office->id.b));
	memcpy(bytes + sizeof(office->id.b), office->sign_key, SIGN_PUBLIC_LEN);
	memcpy(bytes + sizeof(office->id.b) + SIGN_PUBLIC_LEN, office->curve_key, OFFICE_CURVE_LEN);
	sha256((struct span){ bytes, sizeof(bytes) }, &hash);
	for (unsigned i = 0; i < GROUPS; i++)
		len += (size_t)snprintf(ret_text + len, FINGERPRINT_MAX - len, "%s%04x", i ? " " : "",
			get_be16(hash.b + 2 * i));
}
