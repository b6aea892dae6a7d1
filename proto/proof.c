/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/proof.h"

#include "proto/record.h"

enum {
	PROOF_FIELDS = 5,
	LINK_FIELDS = 9,
};

static void write_link(const struct proof_link *link, struct writer *w) {
	write_array(w, LINK_FIELDS);
	write_id(w, &link->oplog.office);
	write_uint(w, link->oplog.epoch);
	write_uint(w, link->oplog.lane);
	write_uint(w, link->index);
	leaf_write(w, &link->leaf);
	write_array(w, link->path.n);
	for (size_t i = 0; i < link->path.n; i++)
		write_hash(w, &link->path.node[i]);
	write_uint(w, link->head.size);
	write_hash(w, &link->head.root);
	write_bin(w, (struct span){ link->head.signature, SIGN_SIGNATURE_LEN });
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
	struct span signature;

	read_array(r, LINK_FIELDS, LINK_FIELDS);
	read_id(r, &link->oplog.office);
	link->oplog.epoch = read_uint(r, EPOCH_MAX);
	link->oplog.lane = read_uint(r, LANE_N - 1);
	link->index = read_uint(r, UINT64_MAX);
	leaf_read(r, &link->leaf);
	link->path.n = read_array(r, 0, MERKLE_DEPTH_MAX);
	for (size_t i = 0; i < link->path.n; i++)
		read_hash(r, &link->path.node[i]);
	read_end(r);
	link->head.size = read_uint(r, UINT64_MAX);
	read_hash(r, &link->head.root);
	signature = read_bin(r, SIGN_SIGNATURE_LEN, SIGN_SIGNATURE_LEN);
	if (signature.len == SIGN_SIGNATURE_LEN)
		memcpy(link->head.signature, signature.data, signature.len);
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
	_cleanup_(verifier_freep) struct verifier *key = NULL;
	struct hash leaf;
	int r;

	leaf_hash(&link->leaf, &leaf);
	if (link->index >= link->head.size ||
		merkle_inclusion_check(link->index, link->head.size, &leaf, &link->head.root, &link->path))
		return PROOF_BAD_PATH;
	r = verifier_new(writer->sign_key, &key);
	if (r == 0)
		r = head_verify(key, &link->oplog, &link->head);
	return r > 0 ? PROOF_BAD_SIGNATURE : r;
}

/* That @link says the key of @office: by its parent, or by itself (who is known then to be @writer). */
static int check_key(const struct proof_link *link, const struct office *writer, const struct id *office,
	struct office *ret_office) {
	struct office said;
	struct record rec;

	if (link->leaf.withheld || record_decode(link->leaf.bytes, &rec) || rec.kind != KIND_OFFICE ||
		office_decode(rec.body, &said) || !id_eq(&said.id, office))
		return PROOF_BAD_CHAIN;
	if (id_eq(&link->oplog.office, office)) {
		if (!said.has_end)
			return PROOF_BAD_CHAIN;
		*ret_office = *writer;
		memcpy(ret_office->sign_key, said.sign_key, sizeof(said.sign_key));
		return 0;
	}
	*ret_office = said;
	return id_eq(&said.parent, &link->oplog.office) ? 0 : PROOF_BAD_CHAIN;
}

int proof_check(const struct proof *proof, struct office ret_offices[PROOF_LINKS_MAX], size_t *ret_at) {
	size_t at = proof->n_links - 1;
	int r;

	/* from the root down: each link is believed for what the one above it proved */
	*ret_at = at;
	ret_offices[at] = proof->root;
	if (!id_eq(&proof->root.id, &proof->links[at].oplog.office))
		return PROOF_BAD_CHAIN;
	for (;; at--) {
		*ret_at = at;
		r = check_link(&proof->links[at], &ret_offices[at]);
		if (r || at == 0)
			return r;
		r = check_key(&proof->links[at], &ret_offices[at], &proof->links[at - 1].oplog.office,
			&ret_offices[at - 1]);
		if (r)
			return r;
	}
}
