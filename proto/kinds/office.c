/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/office.h"
#include "proto/reference.h"

void office_encode(const struct office *office, struct writer *w) {
	write_array(w, OFFICE_FIELDS);
	write_id(w, &office->id);
	write_id_or_nil(w, &office->parent);
	write_str(w, office->level);
	write_uint(w, office->code);
	write_uint(w, office->code_digits);
	write_str(w, office->name);
	write_bin(w, (struct span){ office->sign_key, sizeof(office->sign_key) });
	write_bin(w, (struct span){ office->curve_key, sizeof(office->curve_key) });
	write_uint(w, office->valid_from_ms);
	write_uint(w, office->state);
}

static void read_key(struct reader *r, uint8_t *ret_key, size_t len) {
	struct span key = read_bin(r, len, len);

	if (key.len > 0)
		memcpy(ret_key, key.data, len);
}

int office_decode(struct span body, struct office *ret_office) {
	struct office office;
	struct reader r;

	reader_init(&r, body);
	read_array(&r, OFFICE_FIELDS, UINT64_MAX);
	read_id(&r, &office.id);
	read_id_or_nil(&r, &office.parent);
	office.level = read_line(&r, 1, OFFICE_LEVEL_MAX);
	office.code = read_uint(&r, REFERENCE_CODE_MAX);
	office.code_digits = read_uint(&r, UINT8_MAX);
	office.name = read_line(&r, 1, OFFICE_NAME_MAX);
	read_key(&r, office.sign_key, sizeof(office.sign_key));
	read_key(&r, office.curve_key, sizeof(office.curve_key));
	office.valid_from_ms = read_uint(&r, UINT64_MAX);
	office.state = read_uint(&r, UINT8_MAX);
	read_end(&r);
	if (reader_done(&r) != 0 || id_is_nil(&office.id) ||
		!reference_code_ok(office.code, office.code_digits))
		return OFFICE_MALFORMED;
	*ret_office = office;
	return 0;
}
