/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/receipt.h"

void receipt_encode(const struct receipt_entry *entries, size_t n, struct writer *w) {
	write_array(w, n);
	for (size_t i = 0; i < n; i++) {
		write_array(w, RECEIPT_ENTRY_FIELDS);
		oplog_id_write(w, &entries[i].oplog);
		head_write(w, &entries[i].head);
	}
}

int receipt_decode(struct span body, struct receipt_entry ret_entries[RECEIPT_MAX], size_t *ret_n) {
	struct reader r;
	size_t n;

	reader_init(&r, body);
	n = read_array(&r, 1, RECEIPT_MAX);
	for (size_t i = 0; i < n && !r.failed; i++) {
		struct receipt_entry *entry = &ret_entries[i];

		read_array(&r, RECEIPT_ENTRY_FIELDS, UINT64_MAX);
		oplog_id_read(&r, &entry->oplog);
		head_read(&r, &entry->head);
		read_end(&r);
		if (entry->head.size == 0)
			reader_fail(&r);
	}
	read_end(&r);
	*ret_n = n;
	return reader_done(&r) ? RECEIPT_MALFORMED : 0;
}
