/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * compress - zstd for the batches of one direction of a link; the only includer of <zstd.h>
 *
 * Each batch is compressed with the one before it as prefix: offices write much the same words
 * over and over, and a batch alone is too short to learn them. Both sides keep the plain bytes of
 * the last batch, and both forget them when a session begins. What is not compressible travels as
 * it is; the first byte says which (0 plain, 1 zstd).
 */
#include "proto/base.h"

enum {
	COMPRESS_MALFORMED = 1, /* damaged, or larger than it may be */
};

/* zstd's working memory, more than half a megabyte: one for all links of a node. */
struct compress_work;
struct compressor;
struct decompressor;

int compress_work_new(int level, struct compress_work **ret_work); /* 0 or -errno */
struct compress_work *compress_work_free(struct compress_work *work);

/* @work is borrowed until compressor_free(). 0 or -errno. */
int compressor_new(struct compress_work *work, struct compressor **ret_compressor);
struct compressor *compressor_free(struct compressor *c);
void compressor_reset(struct compressor *c);
/* @ret_out is borrowed until the next call on any compressor of the same work. 0 or -errno. */
int compressor_run(struct compressor *c, struct span plain, struct span *ret_out);

/* @plain_max: the most a batch may be once unpacked. @work is borrowed. 0 or -errno. */
int decompressor_new(struct compress_work *work, size_t plain_max,
	struct decompressor **ret_decompressor);
struct decompressor *decompressor_free(struct decompressor *d);
void decompressor_reset(struct decompressor *d);
/* 0, COMPRESS_MALFORMED or -errno. @ret_plain is borrowed until the next call. */
int decompressor_run(struct decompressor *d, struct span in, struct span *ret_plain);
