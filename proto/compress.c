/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * compress - zstd for the batches of one direction of a link
 *
 * zstd borrows the prefix, so the last batch and the present one lie in two buffers that change
 * places. The contexts are made at the first batch: a parent has thousands of links, most of
 * them idle in one direction.
 */
#include "proto/compress.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

enum {
	FORM_PLAIN = 0,
	FORM_ZSTD = 1,
	MAGIC_LEN = 4,
};

struct buffer {
	uint8_t *data;
	size_t len;
	size_t cap;
};

struct compressor {
	int level;
	ZSTD_CCtx *ctx;
	struct buffer last; /* the batch before, plain; empty in a new session */
	struct buffer next;
	struct buffer out;
};

struct decompressor {
	size_t plain_max;
	ZSTD_DCtx *ctx;
	struct buffer last;
	struct buffer next;
};

/* Makes room for @len bytes; what was there is lost. */
static int buffer_reserve(struct buffer *b, size_t len) {
	uint8_t *data;

	b->len = 0;
	if (b->data && len <= b->cap)
		return 0;
	data = malloc(len ? len : 1);
	if (!data)
		return -ENOMEM;
	free(b->data);
	b->data = data;
	b->cap = len;
	return 0;
}

static int buffer_set(struct buffer *b, struct span bytes) {
	int r = buffer_reserve(b, bytes.len);

	if (r)
		return r;
	if (bytes.len > 0)
		memcpy(b->data, bytes.data, bytes.len);
	b->len = bytes.len;
	return 0;
}

static void buffer_swap(struct buffer *a, struct buffer *b) {
	struct buffer c = *a;

	*a = *b;
	*b = c;
}

int compressor_new(int level, struct compressor **ret_compressor) {
	struct compressor *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->level = level;
	*ret_compressor = c;
	return 0;
}

struct compressor *compressor_free(struct compressor *c) {
	if (!c)
		return NULL;
	ZSTD_freeCCtx(c->ctx);
	free(c->last.data);
	free(c->next.data);
	free(c->out.data);
	free(c);
	return NULL;
}

void compressor_reset(struct compressor *c) {
	c->last.len = 0;
}

/*
 * zstd's defaults suit: the frame says its content's size, which the receiver relies on, and has
 * no checksum, since the Merkle root is a better one.
 */
static int make_context(struct compressor *c) {
	ZSTD_CCtx *ctx;

	if (c->ctx)
		return 0;
	ctx = ZSTD_createCCtx();
	if (!ctx)
		return -ENOMEM;
	if (ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, c->level))) {
		ZSTD_freeCCtx(ctx);
		return -EINVAL;
	}
	c->ctx = ctx;
	return 0;
}

int compressor_run(struct compressor *c, struct span plain, struct span *ret_out) {
	size_t n;
	int r;

	r = make_context(c);
	if (r)
		return r;
	r = buffer_set(&c->next, plain);
	if (r)
		return r;
	r = buffer_reserve(&c->out, 1 + ZSTD_compressBound(plain.len));
	if (r)
		return r;
	/* zstd uses a prefix for one frame only. */
	if (ZSTD_isError(ZSTD_CCtx_refPrefix(c->ctx, c->last.data, c->last.len)))
		return -ENOMEM;
	n = ZSTD_compress2(c->ctx, c->out.data + 1, c->out.cap - 1, c->next.data, c->next.len);
	if (ZSTD_isError(n))
		return -ENOMEM;
	c->out.data[0] = FORM_ZSTD;
	if (n >= plain.len) {
		c->out.data[0] = FORM_PLAIN;
		if (plain.len > 0)
			memcpy(c->out.data + 1, plain.data, plain.len);
		n = plain.len;
	}
	buffer_swap(&c->last, &c->next);
	*ret_out = (struct span){ c->out.data, 1 + n };
	return 0;
}

int decompressor_new(size_t plain_max, struct decompressor **ret_decompressor) {
	struct decompressor *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->plain_max = plain_max;
	*ret_decompressor = d;
	return 0;
}

struct decompressor *decompressor_free(struct decompressor *d) {
	if (!d)
		return NULL;
	ZSTD_freeDCtx(d->ctx);
	free(d->last.data);
	free(d->next.data);
	free(d);
	return NULL;
}

void decompressor_reset(struct decompressor *d) {
	d->last.len = 0;
}

/* One frame of today's format, whole and alone: not the old or skippable ones zstd also reads. */
static bool is_one_frame(struct span in) {
	static const uint8_t magic[MAGIC_LEN] = { 0x28, 0xb5, 0x2f, 0xfd };

	return in.len > sizeof(magic) && memcmp(in.data, magic, sizeof(magic)) == 0 &&
		ZSTD_findFrameCompressedSize(in.data, in.len) == in.len;
}

/* Fills @d->next. The window needs no limit of its own: what is unpacked at once has no other. */
static int unpack(struct decompressor *d, struct span frame) {
	unsigned long long size;
	int r;

	if (!is_one_frame(frame))
		return COMPRESS_MALFORMED;
	size = ZSTD_getFrameContentSize(frame.data, frame.len);
	if (size > d->plain_max) /* "unknown" and "error" are the two largest numbers */
		return COMPRESS_MALFORMED;
	r = buffer_reserve(&d->next, size);
	if (r)
		return r;
	if (!d->ctx)
		d->ctx = ZSTD_createDCtx();
	if (!d->ctx || ZSTD_isError(ZSTD_DCtx_refPrefix(d->ctx, d->last.data, d->last.len)))
		return -ENOMEM;
	if (ZSTD_decompressDCtx(d->ctx, d->next.data, size, frame.data, frame.len) != size)
		return COMPRESS_MALFORMED;
	d->next.len = size;
	return 0;
}

int decompressor_run(struct decompressor *d, struct span in, struct span *ret_plain) {
	struct span rest;
	int r = COMPRESS_MALFORMED;

	if (in.len == 0)
		return COMPRESS_MALFORMED;
	rest = (struct span){ in.data + 1, in.len - 1 };
	if (in.data[0] == FORM_ZSTD)
		r = unpack(d, rest);
	else if (in.data[0] == FORM_PLAIN && rest.len <= d->plain_max)
		r = buffer_set(&d->next, rest);
	if (r)
		return r;
	buffer_swap(&d->last, &d->next);
	*ret_plain = (struct span){ d->last.data, d->last.len };
	return 0;
}
