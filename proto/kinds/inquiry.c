/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/inquiry.h"

bool inquiry_same(const struct inquiry *a, const struct inquiry *b) {
	return id_eq(&a->asked, &b->asked) && id_eq(&a->petition, &b->petition) && a->reference == b->reference &&
		oplog_id_eq(&a->oplog, &b->oplog) && a->index == b->index;
}

void inquiry_encode(const struct inquiry *inquiry, struct writer *w) {
	write_array(w, INQUIRY_FIELDS);
	write_id(w, &inquiry->asked);
	write_id_or_nil(w, &inquiry->petition);
	write_uint(w, inquiry->reference);
	write_id_or_nil(w, &inquiry->oplog.office);
	write_uint(w, inquiry->oplog.epoch);
	write_uint(w, inquiry->oplog.lane);
	write_uint(w, inquiry->index);
	write_str(w, inquiry->who);
	write_str(w, inquiry->reason);
}

int inquiry_decode(struct span body, struct inquiry *ret_inquiry) {
	struct inquiry inquiry;
	struct reader r;

	reader_init(&r, body);
	read_array(&r, INQUIRY_FIELDS, UINT64_MAX);
	read_id(&r, &inquiry.asked);
	read_id_or_nil(&r, &inquiry.petition);
	inquiry.reference = read_uint(&r, UINT64_MAX);
	read_id_or_nil(&r, &inquiry.oplog.office);
	inquiry.oplog.epoch = read_uint(&r, EPOCH_MAX);
	inquiry.oplog.lane = read_uint(&r, LANE_N - 1);
	inquiry.index = read_uint(&r, UINT64_MAX);
	inquiry.who = read_line(&r, 1, INQUIRY_WHO_MAX);
	inquiry.reason = read_line(&r, 1, INQUIRY_REASON_MAX);
	read_end(&r);
	if (reader_done(&r) != 0)
		return INQUIRY_MALFORMED;
	if (id_is_nil(&inquiry.oplog.office) && (inquiry.oplog.epoch || inquiry.oplog.lane || inquiry.index))
		return INQUIRY_MALFORMED; /* no place has one encoding */
	if (id_is_nil(&inquiry.oplog.office) && id_is_nil(&inquiry.petition) && !inquiry.reference)
		return INQUIRY_MALFORMED;
	*ret_inquiry = inquiry;
	return 0;
}
