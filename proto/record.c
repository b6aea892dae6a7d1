/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/record.h"

#include <assert.h>

enum {
	ENCODED_ID_HEAD = 2, /* 0xc4 0x10 */
	ENCODED_ID_LEN = ENCODED_ID_HEAD + sizeof(struct id),
};

int record_encode(const struct record *rec, const struct id *audience, size_t n_audience,
	struct writer *w) {
	size_t begin = w->len;

	assert(n_audience <= RECORD_AUDIENCE_MAX);
	write_array(w, RECORD_FIELDS + rec->has_commitment);
	write_uint(w, rec->kind);
	write_id(w, &rec->id);
	write_uint(w, rec->time_ms);
	write_uint(w, rec->organisation);
	write_array(w, n_audience);
	for (size_t i = 0; i < n_audience; i++)
		write_id(w, &audience[i]);
	write_raw(w, rec->body);
	if (rec->has_commitment)
		write_hash(w, &rec->commitment);
	return writer_ok(w) && w->len - begin <= RECORD_MAX ? 0 : RECORD_TOO_LONG;
}

static struct span read_audience(struct reader *r, uint8_t *ret_n) {
	uint64_t n = read_array(r, 0, RECORD_AUDIENCE_MAX);
	struct span ids = { r->pos, n * ENCODED_ID_LEN };
	struct id id;

	for (uint64_t i = 0; i < n; i++)
		read_id(r, &id);
	read_end(r);
	*ret_n = n;
	return ids;
}

/* The commitment, and what a newer version may have put behind it. */
static void read_rest(struct reader *r, struct record *rec) {
	enum value_type last = reader_peek(r);

	if (last == VALUE_NIL) {
		read_nil(r);
	} else {
		rec->has_commitment = true;
		read_hash(r, &rec->commitment);
	}
	for (enum value_type type; (type = reader_peek(r)) != VALUE_END; last = type)
		read_raw(r);
	if (last == VALUE_NIL) /* has a shorter form: without it */
		reader_fail(r);
}

int record_decode(struct span in, struct record *ret_rec) {
	struct record rec = { 0 };
	struct reader r;
	uint64_t n;

	if (in.len > RECORD_MAX)
		return RECORD_MALFORMED;
	reader_init(&r, in);
	n = read_array(&r, RECORD_FIELDS, UINT64_MAX);
	rec.kind = read_uint(&r, UINT8_MAX);
	if (rec.kind == 0)
		reader_fail(&r);
	read_id(&r, &rec.id);
	rec.time_ms = read_uint(&r, TIME_MAX_MS);
	rec.organisation = read_uint(&r, UINT8_MAX);
	rec.audience = read_audience(&r, &rec.n_audience);
	rec.body = read_body(&r);
	if (n > RECORD_FIELDS)
		read_rest(&r, &rec);
	read_end(&r);
	if (reader_done(&r) != 0)
		return RECORD_MALFORMED;
	*ret_rec = rec;
	return 0;
}

void record_audience(const struct record *rec, size_t i, struct id *ret_office) {
	assert(i < rec->n_audience);
	memcpy(ret_office->b, rec->audience.data + i * ENCODED_ID_LEN + ENCODED_ID_HEAD,
		sizeof(ret_office->b));
}

uint8_t record_kind(struct span in) {
	struct reader r;

	reader_init(&r, in);
	read_array(&r, RECORD_FIELDS, UINT64_MAX);
	return read_uint(&r, UINT8_MAX);
}

enum reach record_reach(struct span in) {
	uint8_t kind = record_kind(in);

	return kind < 128 ? REACH_RULE : kind < 192 ? REACH_UP : REACH_ALL;
}

void record_make_id(uint64_t time_ms, const uint8_t random[10], struct id *ret_id) {
	uint8_t time[8];

	put_be64(time, time_ms << 16);
	memcpy(ret_id->b, time, 6);
	memcpy(ret_id->b + 6, random, 10);
	ret_id->b[6] = 0x70 | (ret_id->b[6] & 0x0f); /* version 7 */
	ret_id->b[8] = 0x80 | (ret_id->b[8] & 0x3f); /* variant of RFC 9562 */
}
