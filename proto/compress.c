/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * compress - zstd for the batches of one direction of a link
 *
 * zstd borrows the prefix, so the last batch and the present one lie in two buffers that change
 * places. A parent has thousands of links: only the last batch of each stays, all else is shared.
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

struct compress_work {
	ZSTD_CCtx *pack;
	ZSTD_DCtx *unpack;
	struct buffer next; /* the batch in hand, plain */
	struct buffer out;
};

struct compressor {
	struct compress_work *work;
	struct buffer last; /* the batch before, plain; empty in a new session */
};

struct decompressor {
	struct compress_work *work;
	size_t plain_max;
	struct buffer last;
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

/*
 * zstd's defaults suit: the frame says its content's size, which the receiver relies on, and has
 * no checksum, since the Merkle root is a better one.
 */
int compress_work_new(int level, struct compress_work **ret_work) {
	struct compress_work *work = calloc(1, sizeof(*work));

	if (!work)
		return -ENOMEM;
	work->pack = ZSTD_createCCtx();
	work->unpack = ZSTD_createDCtx();
	if (!work->pack || !work->unpack ||
		ZSTD_isError(ZSTD_CCtx_setParameter(work->pack, ZSTD_c_compressionLevel, level))) {
		compress_work_free(work);
		return -ENOMEM;
	}
	*ret_work = work;
	return 0;
}

struct compress_work *compress_work_free(struct compress_work *work) {
	if (!work)
		return NULL;
	ZSTD_freeCCtx(work->pack);
	ZSTD_freeDCtx(work->unpack);
	free(work->next.data);
	free(work->out.data);
	free(work);
	return NULL;
}

int compressor_new(struct compress_work *work, struct compressor **ret_compressor) {
	struct compressor *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->work = work;
	*ret_compressor = c;
	return 0;
}

struct compressor *compressor_free(struct compressor *c) {
	if (!c)
		return NULL;
	free(c->last.data);
	free(c);
	return NULL;
}

void compressor_reset(struct compressor *c) {
	c->last.len = 0;
}

int compressor_run(struct compressor *c, struct span plain, struct span *ret_out) {
	struct compress_work *work = c->work;
	struct buffer *next = &work->next, *out = &work->out;
	size_t n;
	int r;

	r = buffer_set(next, plain);
	if (!r)
		r = buffer_reserve(out, 1 + ZSTD_compressBound(plain.len));
	if (r)
		return r;
	/* zstd uses a prefix for one frame only. */
	if (ZSTD_isError(ZSTD_CCtx_refPrefix(work->pack, c->last.data, c->last.len)))
		return -ENOMEM;
	n = ZSTD_compress2(work->pack, out->data + 1, out->cap - 1, next->data, next->len);
	if (ZSTD_isError(n))
		return -ENOMEM;
	out->data[0] = FORM_ZSTD;
	if (n >= plain.len) {
		out->data[0] = FORM_PLAIN;
		if (plain.len > 0)
			memcpy(out->data + 1, plain.data, plain.len);
		n = plain.len;
	}
	buffer_swap(&c->last, next);
	*ret_out = (struct span){ out->data, 1 + n };
	return 0;
}

int decompressor_new(struct compress_work *work, size_t plain_max,
	struct decompressor **ret_decompressor) {
	struct decompressor *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->work = work;
	d->plain_max = plain_max;
	*ret_decompressor = d;
	return 0;
}

struct decompressor *decompressor_free(struct decompressor *d) {
	if (!d)
		return NULL;
	free(d->last.data);
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

/* Fills the work's next. The window needs no limit of its own: what is unpacked at once has no other. */
static int unpack(struct decompressor *d, struct span frame) {
	struct compress_work *work = d->work;
	unsigned long long size;
	int r;

	if (!is_one_frame(frame))
		return COMPRESS_MALFORMED;
	size = ZSTD_getFrameContentSize(frame.data, frame.len);
	if (size > d->plain_max) /* "unknown" and "error" are the two largest numbers */
		return COMPRESS_MALFORMED;
	r = buffer_reserve(&work->next, size);
	if (r)
		return r;
	if (ZSTD_isError(ZSTD_DCtx_refPrefix(work->unpack, d->last.data, d->last.len)))
		return -ENOMEM;
	if (ZSTD_decompressDCtx(work->unpack, work->next.data, size, frame.data, frame.len) != size)
		return COMPRESS_MALFORMED;
	work->next.len = size;
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
		r = buffer_set(&d->work->next, rest);
	if (r)
		return r;
	buffer_swap(&d->last, &d->work->next);
	*ret_plain = (struct span){ d->last.data, d->last.len };
	return 0;
}
