/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * base - the few things every file of the project shares
 *
 * A span borrows: it never owns its bytes, and says nothing of how long they live. An id is 16
 * bytes, a UUIDv7 (RFC 9562) of an office or a record; its byte order is its time order.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *data;
	size_t len;
};

struct id {
	uint8_t b[16];
};

struct hash {
	uint8_t b[32];
};

/* Runs @fn on the variable's address when it leaves scope; @fn must accept what NULL makes of it. */
#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Moves a pointer out: the variable is NULL afterwards, so that its cleanup does nothing. */
#define TAKE(ptr)                                                                                  \
	__extension__({                                                                            \
		__typeof__(ptr) take_ = (ptr);                                                     \
		(ptr) = NULL;                                                                      \
		take_;                                                                             \
	})

#define N_ELEMENTS(array) (sizeof(array) / sizeof(*(array)))

static inline struct span span_str(const char *str) {
	return (struct span){ (const uint8_t *)str, strlen(str) };
}

static inline bool span_eq(struct span a, struct span b) {
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool id_eq(const struct id *a, const struct id *b) {
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline bool id_is_nil(const struct id *a) {
	return id_eq(a, &(const struct id){ { 0 } });
}

/* Two lower-case digits a byte, terminated by a zero. */
static inline void hex_format(struct span bytes, char *ret_text) {
	for (size_t i = 0; i < bytes.len; i++) {
		*ret_text++ = "0123456789abcdef"[bytes.data[i] >> 4];
		*ret_text++ = "0123456789abcdef"[bytes.data[i] & 0x0f];
	}
	*ret_text = '\0';
}

/* Big-endian integers: in a key, byte order is then number order. */
static inline void put_be16(uint8_t *p, uint16_t v) {
	p[0] = v >> 8;
	p[1] = v;
}

static inline void put_be32(uint8_t *p, uint32_t v) {
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_be64(uint8_t *p, uint64_t v) {
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

static inline uint16_t get_be16(const uint8_t *p) {
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get_be32(const uint8_t *p) {
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t get_be64(const uint8_t *p) {
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}
