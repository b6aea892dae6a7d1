/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * codec - bounded msgpack
 *
 * Writing goes through msgpack-c's packer, which picks the shortest form of every head. Reading
 * does not use its unpacker: that one allocates for each element a head announces before it has
 * seen any, and accepts long forms and trailing bytes. The strict walk that would have to guard it
 * already visits every byte once, so a second parse would be more code for nothing. The tests
 * hold the two against each other.
 */
#include "proto/codec.h"

#include <assert.h>
#include <msgpack.h>
#include <stdlib.h>
#include <unistr.h>

enum {
	GROW_MIN = 512,
	FIRST_UINT_END = 0x80, /* below: the integer itself */
	FIRST_ARRAY = 0x90,    /* to 0x9f: an array of up to 15 */
	FIRST_STR = 0xa0,      /* to 0xbf: a text of up to 31 bytes */
	FIRST_FORM = 0xc0,     /* to 0xdf: as in forms[] */
	FIRST_FORM_END = 0xe0,
};

/* What a first byte from FIRST_FORM on announces. Those left out are not in our subset. */
static const struct form {
	uint8_t type;
	uint8_t width;  /* bytes of the number that follows the first */
	uint64_t least; /* a smaller number has a shorter form */
} forms[FIRST_FORM_END - FIRST_FORM] = {
	[0x00] = { VALUE_NIL, 0, 0 },
	[0x02] = { VALUE_BOOL, 0, 0 },
	[0x03] = { VALUE_BOOL, 0, 0 },
	[0x04] = { VALUE_BIN, 1, 0 },
	[0x05] = { VALUE_BIN, 2, UINT8_MAX + 1 },
	[0x06] = { VALUE_BIN, 4, UINT16_MAX + 1 },
	[0x0c] = { VALUE_UINT, 1, FIRST_UINT_END },
	[0x0d] = { VALUE_UINT, 2, UINT8_MAX + 1 },
	[0x0e] = { VALUE_UINT, 4, UINT16_MAX + 1 },
	[0x0f] = { VALUE_UINT, 8, UINT32_MAX + 1ULL },
	[0x19] = { VALUE_STR, 1, 32 },
	[0x1a] = { VALUE_STR, 2, UINT8_MAX + 1 },
	[0x1b] = { VALUE_STR, 4, UINT16_MAX + 1 },
	[0x1c] = { VALUE_ARRAY, 2, 16 },
	[0x1d] = { VALUE_ARRAY, 4, UINT16_MAX + 1 },
};

void writer_init(struct writer *w, void *buf, size_t cap) {
	*w = (struct writer){ .data = buf, .cap = cap };
}

void writer_init_grow(struct writer *w) {
	*w = (struct writer){ .grow = true };
}

void writer_done(struct writer *w) {
	if (w->grow)
		free(w->data);
	*w = (struct writer){ .failed = true };
}

static bool make_room(struct writer *w, size_t len) {
	size_t cap = w->cap < GROW_MIN ? GROW_MIN : w->cap;
	uint8_t *data;

	if (!w->grow || len > SIZE_MAX / 2 - w->len)
		return false;
	while (cap - w->len < len)
		cap *= 2;
	data = realloc(w->data, cap);
	if (!data)
		return false;
	w->data = data;
	w->cap = cap;
	return true;
}

/* msgpack-c's write callback. */
static inline int append(void *data, const char *bytes, size_t len) {
	struct writer *w = data;

	if (w->failed || len == 0)
		return 0;
	if (len > w->cap - w->len && !make_room(w, len)) {
		w->failed = true;
		return -1;
	}
	memcpy(w->data + w->len, bytes, len);
	w->len += len;
	return 0;
}

static inline msgpack_packer packer(struct writer *w) {
	return (msgpack_packer){ .data = w, .callback = append };
}

/* msgpack counts with 32 bits, and the packer would silently cut off the rest. */
static bool fits(struct writer *w, size_t n) {
	if (n > UINT32_MAX)
		w->failed = true;
	return !w->failed;
}

void write_array(struct writer *w, size_t n) {
	msgpack_packer p = packer(w);

	if (fits(w, n))
		msgpack_pack_array(&p, n);
}

void write_uint(struct writer *w, uint64_t value) {
	msgpack_packer p = packer(w);

	msgpack_pack_uint64(&p, value);
}

void write_bool(struct writer *w, bool value) {
	msgpack_packer p = packer(w);

	if (value)
		msgpack_pack_true(&p);
	else
		msgpack_pack_false(&p);
}

void write_nil(struct writer *w) {
	msgpack_packer p = packer(w);

	msgpack_pack_nil(&p);
}

void write_bin(struct writer *w, struct span bytes) {
	msgpack_packer p = packer(w);

	if (!fits(w, bytes.len))
		return;
	msgpack_pack_bin(&p, bytes.len);
	msgpack_pack_bin_body(&p, bytes.data, bytes.len);
}

void write_str(struct writer *w, struct span text) {
	msgpack_packer p = packer(w);

	if (!fits(w, text.len))
		return;
	msgpack_pack_str(&p, text.len);
	msgpack_pack_str_body(&p, text.data, text.len);
}

void write_id(struct writer *w, const struct id *id) {
	write_bin(w, (struct span){ id->b, sizeof(id->b) });
}

void write_id_or_nil(struct writer *w, const struct id *id) {
	if (id_is_nil(id))
		write_nil(w);
	else
		write_id(w, id);
}

void write_hash(struct writer *w, const struct hash *hash) {
	write_bin(w, (struct span){ hash->b, sizeof(hash->b) });
}

void write_raw(struct writer *w, struct span encoded) {
	append(w, (const char *)encoded.data, encoded.len);
}

void reader_init(struct reader *r, struct span in) {
	r->pos = in.data;
	r->end = in.len ? in.data + in.len : in.data; /* NULL + 0 is undefined in C */
	r->left[0] = 1;
	r->depth = 0;
	r->failed = false;
}

int reader_done(const struct reader *r) {
	bool whole = r->depth == 0 && r->left[0] == 0 && r->pos == r->end;

	return !r->failed && whole ? 0 : CODEC_MALFORMED;
}

void reader_fail(struct reader *r) {
	r->failed = true;
}

static inline size_t bytes_left(const struct reader *r) {
	return (size_t)(r->end - r->pos);
}

static inline bool at_end(const struct reader *r) {
	return r->failed || r->left[r->depth] == 0 || r->pos == r->end;
}

enum value_type reader_peek(const struct reader *r) {
	uint8_t first;

	if (at_end(r))
		return VALUE_END;
	first = *r->pos;
	if (first < FIRST_UINT_END)
		return VALUE_UINT;
	if (first >= FIRST_FORM)
		return first < FIRST_FORM_END ? forms[first - FIRST_FORM].type : VALUE_END;
	if (first >= FIRST_STR)
		return VALUE_STR;
	return first >= FIRST_ARRAY ? VALUE_ARRAY : VALUE_END; /* below: a map */
}

/*
 * Moves past the head of the next element. @ret_n is its value, or the number of bytes or elements
 * that follow, of which there are then at least as many bytes left.
 */
static inline enum value_type next(struct reader *r, uint64_t *ret_n) {
	enum value_type type = reader_peek(r);
	const struct form *form;
	uint64_t n = 0;
	uint8_t first;

	if (type == VALUE_END)
		goto malformed;
	first = *r->pos++;
	if (first < FIRST_UINT_END) {
		n = first;
	} else if (first < FIRST_FORM) {
		n = first - (type == VALUE_STR ? FIRST_STR : FIRST_ARRAY);
	} else {
		form = &forms[first - FIRST_FORM];
		if (form->width > bytes_left(r))
			goto malformed;
		for (unsigned i = 0; i < form->width; i++)
			n = n << 8 | *r->pos++;
		if (n < form->least)
			goto malformed;
		if (type == VALUE_BOOL)
			n = first & 1;
	}
	if (type >= VALUE_BIN && n > bytes_left(r))
		goto malformed;
	r->left[r->depth]--;
	*ret_n = n;
	return type;

malformed:
	r->failed = true;
	return VALUE_END;
}

/* The number of the next element's head, which must be of @type and say from @min to @max. */
static inline uint64_t expect(struct reader *r, enum value_type type, uint64_t min, uint64_t max) {
	uint64_t n;

	if (next(r, &n) == type && n >= min && n <= max)
		return n;
	r->failed = true;
	return 0;
}

static inline struct span take(struct reader *r, uint64_t len) {
	struct span bytes = { r->pos, len };

	if (r->failed)
		return (struct span){ 0 };
	r->pos += len;
	return bytes;
}

static void enter(struct reader *r, uint64_t n) {
	if (r->depth == CODEC_DEPTH_MAX)
		r->failed = true;
	else
		r->left[++r->depth] = n;
}

/* A word of eight bytes, all alike. */
#define EIGHT(byte) ((byte) * 0x0101010101010101ULL)

static inline bool is_utf8(struct span text) {
	uint64_t eight;
	size_t i;

	/* Most words are ASCII: look at eight bytes at once while they are. */
	for (i = 0; text.len - i >= sizeof(eight); i += sizeof(eight)) {
		memcpy(&eight, text.data + i, sizeof(eight));
		if (eight & EIGHT(0x80))
			break;
	}
	return i == text.len || !u8_check(text.data + i, text.len - i);
}

uint64_t read_array(struct reader *r, uint64_t min, uint64_t max) {
	uint64_t n = expect(r, VALUE_ARRAY, min, max);

	if (!r->failed)
		enter(r, n);
	return r->failed ? 0 : n;
}

void read_end(struct reader *r) {
	while (!r->failed && r->left[r->depth] > 0)
		read_raw(r);
	if (r->failed)
		return;
	assert(r->depth > 0);
	r->depth--;
}

uint64_t read_uint(struct reader *r, uint64_t max) {
	return expect(r, VALUE_UINT, 0, max);
}

bool read_bool(struct reader *r) {
	return expect(r, VALUE_BOOL, 0, 1);
}

void read_nil(struct reader *r) {
	expect(r, VALUE_NIL, 0, 0);
}

struct span read_bin(struct reader *r, size_t min, size_t max) {
	return take(r, expect(r, VALUE_BIN, min, max));
}

struct span read_str(struct reader *r, size_t min, size_t max) {
	struct span text = take(r, expect(r, VALUE_STR, min, max));

	if (is_utf8(text))
		return text;
	r->failed = true;
	return (struct span){ 0 };
}

/* Not 0 if a byte of @eight is below @limit, which is at most 0x80. */
static inline uint64_t has_below(uint64_t eight, uint8_t limit) {
	return (eight - EIGHT(limit)) & ~eight & EIGHT(0x80);
}

/* C0, DEL and C1, which is 0xc2 followed by 0x80 to 0x9f. */
static bool commands(const uint8_t *c, bool lines) {
	if (*c < 0x20)
		return !(lines && (*c == '\n' || *c == '\t'));
	return *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0);
}

/* U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069, U+FEFF. */
static bool misleads(const uint8_t *c) {
	if (c[0] == 0xe2 && c[1] == 0x80)
		return c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae);
	if (c[0] == 0xe2 && c[1] == 0x81)
		return c[2] >= 0xa6 && c[2] <= 0xa9;
	return c[0] == 0xef && c[1] == 0xbb && c[2] == 0xbf;
}

size_t text_unfit(struct span text, bool lines) {
	uint64_t eight;
	size_t i;

	/* Passes over eight bytes at once while none of them is the beginning of such a character. */
	for (i = 0; text.len - i >= sizeof(eight); i += sizeof(eight)) {
		memcpy(&eight, text.data + i, sizeof(eight));
		if (has_below(eight, 0x20) || has_below(eight ^ EIGHT(0x7f), 1) ||
			has_below(eight ^ EIGHT(0xc2), 1) || has_below(eight ^ EIGHT(0xe2), 1) ||
			has_below(eight ^ EIGHT(0xef), 1))
			break;
	}
	/* since it is UTF-8, what such a byte begins is whole */
	while (i < text.len && !commands(text.data + i, lines) && !misleads(text.data + i))
		i++;
	return i;
}

static struct span read_printable(struct reader *r, size_t min, size_t max, bool lines) {
	struct span text = read_str(r, min, max);

	if (text_unfit(text, lines) == text.len)
		return text;
	r->failed = true;
	return (struct span){ 0 };
}

struct span read_line(struct reader *r, size_t min, size_t max) {
	return read_printable(r, min, max, false);
}

struct span read_text(struct reader *r, size_t min, size_t max) {
	return read_printable(r, min, max, true);
}

static void read_bytes(struct reader *r, uint8_t *ret, size_t len) {
	struct span bytes = read_bin(r, len, len);

	if (r->failed)
		memset(ret, 0, len);
	else
		memcpy(ret, bytes.data, len);
}

void read_id(struct reader *r, struct id *ret_id) {
	read_bytes(r, ret_id->b, sizeof(ret_id->b));
}

void read_id_or_nil(struct reader *r, struct id *ret_id) {
	if (reader_peek(r) == VALUE_NIL) {
		read_nil(r);
		*ret_id = (struct id){ 0 };
		return;
	}
	read_id(r, ret_id);
	if (id_is_nil(ret_id)) /* has a shorter form */
		r->failed = true;
}

void read_hash(struct reader *r, struct hash *ret_hash) {
	read_bytes(r, ret_hash->b, sizeof(ret_hash->b));
}

static struct span read_element(struct reader *r, bool texts) {
	const uint8_t *begin = r->pos;
	unsigned depth = r->depth;

	do {
		struct span text;
		uint64_t n;

		switch (next(r, &n)) {
		case VALUE_ARRAY:
			enter(r, n);
			break;
		case VALUE_BIN:
			take(r, n);
			break;
		case VALUE_STR:
			text = take(r, n);
			if (texts && !is_utf8(text))
				r->failed = true;
			break;
		default:
			break;
		}
		while (!r->failed && r->depth > depth && r->left[r->depth] == 0)
			r->depth--;
	} while (!r->failed && r->depth > depth);
	if (r->failed)
		return (struct span){ 0 };
	return (struct span){ begin, (size_t)(r->pos - begin) };
}

struct span read_raw(struct reader *r) {
	return read_element(r, true);
}

struct span read_body(struct reader *r) {
	return read_element(r, false);
}
