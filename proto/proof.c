/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/proof.h"

#include "proto/record.h"

enum {
	PROOF_FIELDS = 5,
	LINK_FIELDS = 9,
};

static void write_link(const struct proof_link *link, struct writer *w) {
	write_array(w, LINK_FIELDS);
	oplog_id_write(w, &link->oplog);
	write_uint(w, link->index);
	leaf_write(w, &link->leaf);
	write_array(w, link->path.n);
	for (size_t i = 0; i < link->path.n; i++)
		write_hash(w, &link->path.node[i]);
	head_write(w, &link->head);
}

void proof_write(const struct proof *proof, struct writer *w) {
	write_array(w, PROOF_FIELDS);
	write_uint(w, PROOF_VERSION);
	write_array(w, proof->n_links);
	for (size_t i = 0; i < proof->n_links; i++)
		write_link(&proof->links[i], w);
	write_id(w, &proof->root.id);
	write_bin(w, (struct span){ proof->root.sign_key, SIGN_PUBLIC_LEN });
	write_bin(w, (struct span){ proof->root.curve_key, OFFICE_CURVE_LEN });
}

static void read_key(struct reader *r, uint8_t ret_key[32]) {
	struct span key = read_bin(r, 32, 32);

	if (key.len == 32)
		memcpy(ret_key, key.data, key.len);
}

static void read_link(struct reader *r, struct proof_link *ret_link) {
	struct proof_link *link = ret_link;

	read_array(r, LINK_FIELDS, LINK_FIELDS);
	oplog_id_read(r, &link->oplog);
	link->index = read_uint(r, UINT64_MAX);
	leaf_read(r, &link->leaf);
	link->path.n = read_array(r, 0, MERKLE_DEPTH_MAX);
	for (size_t i = 0; i < link->path.n; i++)
		read_hash(r, &link->path.node[i]);
	read_end(r);
	head_read(r, &link->head);
	read_end(r);
}

int proof_read(struct span file, struct proof *ret_proof) {
	struct reader r;

	if (file.len > PROOF_FILE_MAX)
		return PROOF_MALFORMED;
	reader_init(&r, file);
	read_array(&r, PROOF_FIELDS, PROOF_FIELDS);
	if (read_uint(&r, UINT8_MAX) != PROOF_VERSION)
		reader_fail(&r);
	ret_proof->n_links = read_array(&r, 1, PROOF_LINKS_MAX);
	for (size_t i = 0; i < ret_proof->n_links && !r.failed; i++)
		read_link(&r, &ret_proof->links[i]);
	read_end(&r);
	ret_proof->root = (struct office){ 0 };
	read_id(&r, &ret_proof->root.id);
	read_key(&r, ret_proof->root.sign_key);
	read_key(&r, ret_proof->root.curve_key);
	read_end(&r);
	return reader_done(&r) ? PROOF_MALFORMED : 0;
}

static int check_link(const struct proof_link *link, const struct office *writer) {
	static const struct office_former none;
	_cleanup_(verifier_freep) struct verifier *key = NULL;
	struct hash leaf;
	int r;

	leaf_hash(&link->leaf, &leaf);
	if (link->index >= link->head.size ||
		merkle_inclusion_check(link->index, link->head.size, &leaf, &link->head.root, &link->path))
		return PROOF_BAD_PATH;
	if (office_term_of(writer, &none, &link->oplog, link->head.size) == OFFICE_ENDED)
		return PROOF_ENDED;
	r = verifier_new(writer->sign_key, &key);
	if (r == 0)
		r = head_verify(key, &link->oplog, &link->head);
	return r > 0 ? PROOF_BAD_SIGNATURE : r;
}

/* Whether an office wrote one of the links from the root down to @at. */
static bool has_written(const struct proof *proof, size_t at, const struct id *office) {
	for (; at < proof->n_links; at++)
		if (id_eq(&proof->links[at].oplog.office, office))
			return true;
	return false;
}

/*
 * What link @at says: of its writer, that another key begins; of an office directly below it, who that is, and
 * then perhaps that it ended. @below: that office; its id is nil as long as none is named.
 *
 * Who spoke already is above the writer, and can be named by nobody below it: otherwise any office could say
 * which key is its parent's.
 */
static int believe(const struct proof *proof, size_t at, struct office *writer, struct office *below) {
	const struct leaf *leaf = &proof->links[at].leaf;
	struct office said;
	struct record rec;

	if (leaf->withheld || record_decode(leaf->bytes, &rec) || rec.kind != KIND_OFFICE ||
		office_decode(rec.body, &said))
		return PROOF_BAD_CHAIN;
	if (id_eq(&said.id, &writer->id)) {
		if (!office_may_end_term(&said, writer->sign_key, &proof->links[at].oplog, proof->links[at].index))
			return PROOF_BAD_CHAIN;
		memcpy(writer->sign_key, said.sign_key, sizeof(said.sign_key));
		return 0;
	}
	if (!id_eq(&said.parent, &writer->id) || said.has_end != (said.state == OFFICE_REVOKED) || below->has_end)
		return PROOF_BAD_CHAIN;
	if (id_eq(&said.id, &below->id)) /* its key is its own to change */
		memcpy(said.sign_key, below->sign_key, sizeof(said.sign_key));
	else if (!id_is_nil(&below->id) || has_written(proof, at, &said.id))
		return PROOF_BAD_CHAIN;
	*below = said;
	return 0;
}

int proof_check(const struct proof *proof, struct office ret_offices[PROOF_LINKS_MAX], size_t *ret_at) {
	struct office writer = proof->root;
	struct office below = { 0 };
	size_t at = proof->n_links;
	int r;

	/* from the root down: each link is believed for what those above it proved */
	do {
		const struct proof_link *link = &proof->links[--at];

		*ret_at = at;
		if (!id_is_nil(&below.id) && id_eq(&link->oplog.office, &below.id)) {
			writer = below;
			below = (struct office){ 0 };
		} else if (!id_eq(&link->oplog.office, &writer.id) || (at == 0 && !id_is_nil(&below.id))) {
			return PROOF_BAD_CHAIN;
		}
		ret_offices[at] = writer;
		r = check_link(link, &writer);
		if (r == 0 && at > 0)
			r = believe(proof, at, &writer, &below);
	} while (r == 0 && at > 0);
	return r;
}
