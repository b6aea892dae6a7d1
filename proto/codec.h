/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * codec - bounded msgpack: one value has one encoding, and any other is malformed
 *
 * Only unsigned integers, bin, str (UTF-8), arrays, booleans and nil; minimal widths; at most
 * CODEC_DEPTH_MAX arrays inside each other; nothing after the end. A count is compared with the
 * bytes that are left before anything is done with it, so no input costs more than its own length.
 *
 * Both sides are sticky: after the first failure every further call does nothing (a reader yields
 * 0, false and empty spans), and the end is checked once with writer_ok() or reader_done().
 * The spans a reader yields borrow from its input.
 */
#include "proto/base.h"

#define TIME_MAX_MS UINT64_C(253402300799999) /* the last of the year 9999: what no calendar shows is no time */

enum {
	CODEC_DEPTH_MAX = 8,
};

enum {
	CODEC_MALFORMED = 1, /* reader_done(): not ours, not strict, or not whole */
};

/* Writes into @data. With @grow, @data is on the heap, owned by the writer and made larger. */
struct writer {
	uint8_t *data;
	size_t len;
	size_t cap;
	bool grow;
	bool failed;
};

void writer_init(struct writer *w, void *buf, size_t cap); /* fixed: fails when full */
void writer_init_grow(struct writer *w);                   /* heap: fails when memory is out */
void writer_done(struct writer *w);                        /* frees a growing writer's bytes */
static inline bool writer_ok(const struct writer *w) {
	return !w->failed;
}
static inline struct span writer_span(const struct writer *w) {
	return (struct span){ w->data, w->len };
}

void write_array(struct writer *w, size_t n);
void write_uint(struct writer *w, uint64_t value);
void write_bool(struct writer *w, bool value);
void write_nil(struct writer *w);
void write_bin(struct writer *w, struct span bytes);
void write_str(struct writer *w, struct span text);
void write_id(struct writer *w, const struct id *id);       /* bin of 16 */
void write_id_or_nil(struct writer *w, const struct id *id); /* nil where @id is the nil id */
void write_hash(struct writer *w, const struct hash *hash); /* bin of 32 */
void write_raw(struct writer *w, struct span encoded);      /* bytes that are msgpack already */

enum value_type {
	VALUE_END, /* no further element in this array, or the reader has failed */
	VALUE_NIL,
	VALUE_BOOL,
	VALUE_UINT,
	VALUE_BIN,
	VALUE_STR,
	VALUE_ARRAY,
};

struct reader {
	const uint8_t *pos;
	const uint8_t *end;
	uint64_t left[CODEC_DEPTH_MAX + 1]; /* elements still unread, per open array */
	unsigned depth;
	bool failed;
};

void reader_init(struct reader *r, struct span in);
/* 0 if one whole value was read and nothing follows it, else CODEC_MALFORMED. */
int reader_done(const struct reader *r);
void reader_fail(struct reader *r); /* the caller found a value it cannot accept */

/* The type of the next element, without moving. */
enum value_type reader_peek(const struct reader *r);
/* Enters an array of @min to @max elements and returns their number. */
uint64_t read_array(struct reader *r, uint64_t min, uint64_t max);
/* Leaves the innermost array; what was not read of it is checked and skipped. */
void read_end(struct reader *r);
uint64_t read_uint(struct reader *r, uint64_t max); /* at most @max */
bool read_bool(struct reader *r);
void read_nil(struct reader *r);
struct span read_bin(struct reader *r, size_t min, size_t max); /* lengths in bytes */
struct span read_str(struct reader *r, size_t min, size_t max); /* lengths in bytes, UTF-8 */
/*
 * As read_str(), for what people will see: without the characters that command a terminal, turn the
 * direction of what follows, or divide lines unseen. Those that join letters are let through.
 */
struct span read_line(struct reader *r, size_t min, size_t max);
struct span read_text(struct reader *r, size_t min, size_t max); /* and may have \n and \t */
/*
 * Where the first such character begins in @text, which is UTF-8, by what read_line() refuses, or with
 * @lines read_text(); the length of @text: there is none.
 */
size_t text_unfit(struct span text, bool lines);
void read_id(struct reader *r, struct id *ret_id);
void read_id_or_nil(struct reader *r, struct id *ret_id); /* msgpack's nil gives the nil id */
void read_hash(struct reader *r, struct hash *ret_hash);
/* The encoded bytes of the next element, whatever it is, checked as strictly as the rest. */
struct span read_raw(struct reader *r);
/*
 * The same for an element that will be decoded on its own: all but whether its texts are UTF-8,
 * which is most of the cost and is checked when they are read.
 */
struct span read_body(struct reader *r);
