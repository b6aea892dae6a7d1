/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/private.h"

enum {
	OPEN_FIELDS = 4,
	SEALED_FIELDS = 3,
};

void private_encode(const struct private_part *part, struct writer *w) {
	write_array(w, part->form == PRIVATE_OPEN ? OPEN_FIELDS : SEALED_FIELDS);
	write_uint(w, part->form);
	if (part->form == PRIVATE_OPEN) {
		write_str(w, part->name);
		write_str(w, part->contact);
		write_str(w, part->address);
	} else {
		write_bin(w, part->key);
		write_bin(w, part->box);
	}
}

int private_decode(struct span in, struct private_part *ret_part) {
	struct private_part part = { 0 };
	struct reader r;

	reader_init(&r, in);
	read_array(&r, SEALED_FIELDS, OPEN_FIELDS);
	part.form = read_uint(&r, PRIVATE_SEALED);
	if (part.form == PRIVATE_OPEN) {
		part.name = read_line(&r, 0, PRIVATE_NAME_MAX);
		part.contact = read_line(&r, 0, PRIVATE_CONTACT_MAX);
		part.address = read_line(&r, 0, PRIVATE_ADDRESS_MAX);
		if (part.name.len + part.contact.len + part.address.len == 0)
			reader_fail(&r);
	} else {
		part.key = read_bin(&r, PRIVATE_KEY_LEN, PRIVATE_KEY_LEN);
		part.box = read_bin(&r, PRIVATE_BOX_LEN, PRIVATE_BOX_LEN);
	}
	if (reader_peek(&r) != VALUE_END) /* what is not understood would be kept in the dark */
		reader_fail(&r);
	read_end(&r);
	if (reader_done(&r) != 0)
		return PRIVATE_MALFORMED;
	*ret_part = part;
	return 0;
}
