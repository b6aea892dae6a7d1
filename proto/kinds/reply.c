/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/reply.h"

void reply_encode(const struct reply *reply, struct writer *w) {
	write_array(w, REPLY_FIELDS);
	write_id(w, &reply->request);
	write_id_or_nil(w, &reply->petition);
	write_uint(w, reply->outcome);
	write_str(w, reply->who);
	write_str(w, reply->reason);
}

int reply_decode(struct span body, struct reply *ret_reply) {
	struct reply reply;
	struct reader r;

	reader_init(&r, body);
	read_array(&r, REPLY_FIELDS, UINT64_MAX);
	read_id(&r, &reply.request);
	read_id_or_nil(&r, &reply.petition);
	reply.outcome = read_uint(&r, UINT8_MAX);
	reply.who = read_line(&r, 1, REPLY_WHO_MAX);
	reply.reason = read_line(&r, 0, REPLY_REASON_MAX);
	read_end(&r);
	if (reader_done(&r) != 0 || reply.outcome == 0 || reply.outcome >= REPLY_N ||
		(reply.outcome == REPLY_GRANTED ? id_is_nil(&reply.petition) : reply.reason.len == 0))
		return REPLY_MALFORMED;
	*ret_reply = reply;
	return 0;
}
