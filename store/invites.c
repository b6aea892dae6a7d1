/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/invites.h"

#include <errno.h>

#include "proto/enrol.h"
#include "proto/reference.h"

enum {
	INVITE_FIELDS = 10,
	ROW_MAX = INVITE_REQUEST_MAX + 1024,
};

static struct span id_span(const struct id *id) {
	return (struct span){ id->b, sizeof(id->b) };
}

int invites_put(struct txn *txn, const struct invite_row *row) {
	uint8_t value[ROW_MAX];
	struct writer w;

	writer_init(&w, value, sizeof(value));
	write_array(&w, INVITE_FIELDS);
	write_uint(&w, row->state);
	write_bool(&w, row->automatic);
	write_uint(&w, row->code);
	write_uint(&w, row->code_digits);
	write_str(&w, row->level);
	write_str(&w, row->name);
	write_str(&w, row->address);
	write_bin(&w, (struct span){ row->guest_key, OFFICE_CURVE_LEN });
	write_uint(&w, row->expires_ms);
	write_bin(&w, row->request);
	if (!writer_ok(&w))
		return -EINVAL;
	return txn_put(txn, TABLE_INVITES, id_span(&row->office), writer_span(&w));
}

static int decode(struct span key, struct span value, struct invite_row *ret_row) {
	struct invite_row row = { 0 };
	struct span guest_key;
	struct reader r;

	if (key.len != sizeof(row.office.b))
		return -EIO;
	memcpy(row.office.b, key.data, key.len);
	reader_init(&r, value);
	read_array(&r, INVITE_FIELDS, INVITE_FIELDS);
	row.state = read_uint(&r, UINT8_MAX);
	row.automatic = read_bool(&r);
	row.code = read_uint(&r, REFERENCE_CODE_MAX);
	row.code_digits = read_uint(&r, UINT8_MAX);
	row.level = read_line(&r, 1, OFFICE_LEVEL_MAX);
	row.name = read_line(&r, 1, OFFICE_NAME_MAX);
	row.address = read_line(&r, 1, ENROL_ADDRESS_MAX);
	guest_key = read_bin(&r, OFFICE_CURVE_LEN, OFFICE_CURVE_LEN);
	row.expires_ms = read_uint(&r, UINT64_MAX);
	row.request = read_bin(&r, 0, INVITE_REQUEST_MAX);
	read_end(&r);
	if (reader_done(&r))
		return -EIO;
	memcpy(row.guest_key, guest_key.data, guest_key.len);
	*ret_row = row;
	return 0;
}

int invites_get(struct txn *txn, const struct id *office, struct invite_row *ret_row) {
	struct span value;
	int r;

	r = txn_get(txn, TABLE_INVITES, id_span(office), &value);
	return r ? r : decode(id_span(office), value, ret_row);
}

int invites_each(struct txn *txn, invite_fn fn, void *userdata) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	int r;

	r = scan_open(txn, TABLE_INVITES, (struct span){ 0 }, &scan);
	if (r)
		return r;
	while ((r = scan_next(scan, &key, &value)) == 0) {
		struct invite_row row;

		r = decode(key, value, &row);
		if (!r)
			r = fn(userdata, &row);
		if (r)
			return r;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}
