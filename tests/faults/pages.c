/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * LMDB's file as it lies there, read without LMDB: each page is the file's head, or part of one tree once, or on the
 * list of free pages once. Otherwise a later transaction would write over what is in use, or lose room for ever.
 */
#include <fcntl.h>
#include <unistd.h>

#include "tests/faults/life.h"

enum {
	PAGE = 4096,
	PAGE_HEAD = 16,
	BRANCH = 0x01, LEAF = 0x02, OVERFLOW = 0x04, /* flags of a page */
	BIG = 0x01, TREE = 0x02,                     /* of a node: its value has pages of its own; it is a tree's root */
	META_TREES = 24,  /* of a meta page: the list of free pages, the tree of trees, */
	META_LAST = 120,  /* the last page, */
	META_NUMBER = 128, /* the transaction's number */
	TREE_LEN = 48,
	TREE_ROOT = 40,   /* in a tree */
};

struct pages {
	uint8_t *bytes;
	size_t len;
	uint64_t n; /* that LMDB counts as its own */
	uint8_t *seen;
};

static uint64_t read_64(const uint8_t *at) {
	uint64_t n;

	memcpy(&n, at, sizeof(n));
	return n;
}

static unsigned read_16(const uint8_t *at) {
	return at[0] | at[1] << 8;
}

static void see(struct pages *pages, uint64_t page, uint64_t n, const char *as) {
	for (uint64_t i = page; i < page + n; i++) {
		cr_assert(i >= 2 && i < pages->n, "page %llu of %llu, as %s", (unsigned long long)i,
			(unsigned long long)pages->n, as);
		cr_assert(!pages->seen[i], "page %llu twice, now as %s", (unsigned long long)i, as);
		pages->seen[i] = 1;
	}
}

static const uint8_t *get(struct pages *pages, uint64_t page, uint64_t n) {
	cr_assert((page + n) * PAGE <= pages->len, "page %llu is not in the file", (unsigned long long)page);
	cr_assert_eq(read_64(pages->bytes + page * PAGE), page);
	return pages->bytes + page * PAGE;
}

static void see_list(struct pages *pages, const uint8_t *list, size_t len) {
	uint64_t n = read_64(list);

	cr_assert_leq((n + 1) * 8, len);
	for (uint64_t i = 1; i <= n; i++)
		see(pages, read_64(list + i * 8), 1, "free");
}

static void walk(struct pages *pages, uint64_t root, bool is_free_list, unsigned depth) {
	const uint8_t *page;
	unsigned flags, n;

	if (root == UINT64_MAX)
		return;
	cr_assert_lt(depth, 32);
	see(pages, root, 1, "a tree");
	page = get(pages, root, 1);
	flags = read_16(page + 10);
	cr_assert(flags == BRANCH || flags == LEAF, "flags %u", flags);
	n = (read_16(page + 12) - PAGE_HEAD) / 2;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *node = page + read_16(page + PAGE_HEAD + 2 * i);
		const uint8_t *value = node + 8 + read_16(node + 6);
		uint64_t len = read_16(node) | (uint64_t)read_16(node + 2) << 16;

		if (flags == BRANCH) {
			walk(pages, len | (uint64_t)read_16(node + 4) << 32, is_free_list, depth + 1);
			continue;
		}
		if (read_16(node + 4) & BIG) {
			const uint64_t at = read_64(value), n_pages = (PAGE_HEAD + len + PAGE - 1) / PAGE;

			see(pages, at, n_pages, "a large value");
			value = get(pages, at, n_pages) + PAGE_HEAD;
		}
		if (read_16(node + 4) & TREE)
			walk(pages, read_64(value + TREE_ROOT), false, depth + 1);
		else if (is_free_list)
			see_list(pages, value, len);
	}
}

void pages_check(const char *path) {
	struct pages pages = { 0 };
	const uint8_t *meta, *other;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	cr_assert(fd >= 0 && fstat(fd, &st) == 0);
	pages.len = (size_t)st.st_size;
	cr_assert(pages.len >= 2 * PAGE);
	pages.bytes = malloc(pages.len);
	cr_assert(pages.bytes && pread(fd, pages.bytes, pages.len, 0) == st.st_size);
	(void)close(fd);
	meta = pages.bytes + PAGE_HEAD;
	other = meta + PAGE;
	if (read_64(other + META_NUMBER) > read_64(meta + META_NUMBER))
		meta = other;
	pages.n = read_64(meta + META_LAST) + 1;
	pages.seen = calloc(1, pages.n);
	cr_assert_not_null(pages.seen);
	walk(&pages, read_64(meta + META_TREES + TREE_ROOT), true, 0);
	walk(&pages, read_64(meta + META_TREES + TREE_LEN + TREE_ROOT), false, 0);
	for (uint64_t i = 2; i < pages.n; i++)
		cr_assert(pages.seen[i], "page %llu is lost", (unsigned long long)i);
	free(pages.seen);
	free(pages.bytes);
}
