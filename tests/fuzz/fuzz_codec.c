/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What our reader accepts, msgpack-c reads as well; and writing again what either of them read
 * gives the same bytes: one value has one encoding.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <msgpack.h>

#include "proto/codec.h"

static void copy_ours(struct reader *r, struct writer *w) {
	uint64_t n;

	switch (reader_peek(r)) {
	case VALUE_NIL:
		read_nil(r);
		write_nil(w);
		break;
	case VALUE_BOOL:
		write_bool(w, read_bool(r));
		break;
	case VALUE_UINT:
		write_uint(w, read_uint(r, UINT64_MAX));
		break;
	case VALUE_BIN:
		write_bin(w, read_bin(r, 0, SIZE_MAX));
		break;
	case VALUE_STR:
		write_str(w, read_str(r, 0, SIZE_MAX));
		break;
	case VALUE_ARRAY:
		n = read_array(r, 0, UINT64_MAX);
		write_array(w, n);
		for (uint64_t i = 0; i < n; i++)
			copy_ours(r, w);
		read_end(r);
		break;
	case VALUE_END:
		assert(!"an element is missing that was counted");
	}
}

static void copy_theirs(const msgpack_object *o, struct writer *w) {
	switch (o->type) {
	case MSGPACK_OBJECT_NIL:
		write_nil(w);
		break;
	case MSGPACK_OBJECT_BOOLEAN:
		write_bool(w, o->via.boolean);
		break;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		write_uint(w, o->via.u64);
		break;
	case MSGPACK_OBJECT_BIN:
		write_bin(w, (struct span){ (const uint8_t *)o->via.bin.ptr, o->via.bin.size });
		break;
	case MSGPACK_OBJECT_STR:
		write_str(w, (struct span){ (const uint8_t *)o->via.str.ptr, o->via.str.size });
		break;
	case MSGPACK_OBJECT_ARRAY:
		write_array(w, o->via.array.size);
		for (uint32_t i = 0; i < o->via.array.size; i++)
			copy_theirs(&o->via.array.ptr[i], w);
		break;
	default:
		assert(!"a type that our reader does not know");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct span in = { data, size };
	msgpack_unpacked unpacked;
	struct writer ours, theirs;
	struct reader r;
	size_t end = 0;

	reader_init(&r, in);
	read_raw(&r);
	if (reader_done(&r) != 0)
		return 0;

	writer_init_grow(&ours);
	reader_init(&r, in);
	copy_ours(&r, &ours);
	assert(reader_done(&r) == 0);
	assert(writer_ok(&ours) && span_eq(writer_span(&ours), in));
	writer_done(&ours);

	writer_init_grow(&theirs);
	msgpack_unpacked_init(&unpacked);
	assert(msgpack_unpack_next(&unpacked, (const char *)data, size, &end) ==
		MSGPACK_UNPACK_SUCCESS);
	assert(end == size);
	copy_theirs(&unpacked.data, &theirs);
	assert(writer_ok(&theirs) && span_eq(writer_span(&theirs), in));
	msgpack_unpacked_destroy(&unpacked);
	writer_done(&theirs);
	return 0;
}
