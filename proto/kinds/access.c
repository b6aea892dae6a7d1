/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/access.h"

void access_encode(const struct access *access, struct writer *w) {
	write_array(w, ACCESS_FIELDS);
	write_id(w, &access->record);
	write_uint(w, access->action);
	write_str(w, access->who);
	write_str(w, access->reason);
}

int access_decode(struct span body, struct access *ret_access) {
	struct access access;
	struct reader r;

	reader_init(&r, body);
	read_array(&r, ACCESS_FIELDS, UINT64_MAX);
	read_id(&r, &access.record);
	access.action = read_uint(&r, UINT8_MAX);
	access.who = read_line(&r, 1, ACCESS_WHO_MAX);
	access.reason = read_line(&r, 1, ACCESS_REASON_MAX);
	read_end(&r);
	if (reader_done(&r) != 0)
		return ACCESS_MALFORMED;
	*ret_access = access;
	return 0;
}
