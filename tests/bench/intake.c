/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Durable intake: what one client is told is kept, through the control socket.
 */
#include "tests/bench/bench.h"

#include <stdlib.h>

struct client {
	struct office_node *node;
	uint64_t next;       /* petition */
	uint64_t end;
	unsigned drafts;
	unsigned under_way;
	zmq_msg_t *requests; /* written beforehand: to write them is not the node's work */
	size_t n_requests;
	size_t n_sent;
	size_t n_answered;
};

static int write_request(struct client *client, zmq_msg_t *request) {
	uint64_t left = client->end - client->next;
	unsigned n = left < client->drafts ? (unsigned)left : client->drafts;
	struct writer w;
	int r;

	writer_init_grow(&w);
	control_write_submit(&w, ++client->node->number, false, n);
	for (unsigned i = 0; i < n; i++)
		sample_draft(client->node->bench, client->next++, &w);
	r = writer_ok(&w) && zmq_msg_init_size(request, w.len) == 0 ? 0 : fail("no memory");
	if (r == 0)
		memcpy(zmq_msg_data(request), w.data, w.len);
	writer_done(&w);
	return r;
}

static int send_request(struct client *client) {
	if (zmq_msg_send(&client->requests[client->n_sent], client->node->socket, 0) < 0)
		return fail("a request cannot be sent");
	client->n_sent++;
	return 0;
}

static int take_answer(struct client *client) {
	zmq_msg_t *message = &client->node->message;
	struct answer answer;

	if (zmq_msg_recv(message, client->node->socket, 0) < 0)
		return fail("the node of %s does not answer", client->node->home);
	if (control_answer_decode((struct span){ zmq_msg_data(message), zmq_msg_size(message) },
		    &answer) || answer.result != CONTROL_OK)
		return fail("the node of %s refused: %u, %.*s", client->node->home,
			(unsigned)answer.result, (int)answer.detail.len,
			(const char *)answer.detail.data);
	client->n_answered++;
	return 0;
}

static int run(struct client *client) {
	int r = 0;

	while (r == 0 && client->n_answered < client->n_requests) {
		while (r == 0 && client->n_sent < client->n_requests &&
			client->n_sent - client->n_answered < client->under_way)
			r = send_request(client);
		if (r == 0)
			r = take_answer(client);
	}
	return r;
}

int intake(struct office_node *node, uint64_t first, uint64_t count, unsigned drafts,
	unsigned under_way, double *ret_seconds) {
	struct client client = { .node = node, .next = first, .end = first + count,
		.drafts = drafts, .under_way = under_way };
	size_t n = (count + drafts - 1) / drafts;
	double begun;
	int r = 0;

	client.requests = calloc(n, sizeof(*client.requests));
	if (!client.requests)
		return fail("no memory");
	while (r == 0 && client.n_requests < n) {
		r = write_request(&client, &client.requests[client.n_requests]);
		client.n_requests++;
	}
	begun = clock_s();
	if (r == 0)
		r = run(&client);
	*ret_seconds = clock_s() - begun;
	for (size_t i = client.n_sent; i < client.n_requests; i++)
		(void)zmq_msg_close(&client.requests[i]);
	free(client.requests);
	return r;
}

struct load {
	const char *figure;
	unsigned drafts;
	unsigned under_way;
	uint64_t count;
	enum commit_size beside;
	const char *beside_text;
};

/* Each time in a new home, so that no run stands on the shoulders of another. */
static int one_run(struct bench *bench, const struct load *load, uint64_t count, double *ret_rate) {
	struct office_node node;
	double seconds = 0;
	int r;

	r = node_make(bench, &node, "commune", 9163, 5, "");
	if (r == 0)
		r = node_start(&node);
	if (r == 0)
		r = intake(&node, 0, 1, 1, 1, &seconds); /* the first makes the logs */
	if (r == 0)
		r = intake(&node, 1, count, load->drafts, load->under_way, &seconds);
	*ret_rate = (double)count / seconds;
	node_done(&node);
	return r;
}

static int run_load(struct bench *bench, const struct load *load) {
	uint64_t count = bench->quick ? load->count / 10 : load->count;
	unsigned n = bench->quick ? 1 : 3;
	double rates[RUNS_MAX];

	progress("%s", load->figure);
	for (unsigned i = 0; i < n; i++)
		if (one_run(bench, load, count, &rates[i])) {
			report_missing(bench, load->figure, "it failed");
			return -1;
		}
	report(bench, load->figure, median(rates, n), "records/s", load->beside_text,
		bench->limits.lmdb[load->beside]);
	return 0;
}

int bench_intake(struct bench *bench) {
	static const struct load loads[] = {
		{ "intake, one at a time", 1, 1, 3000, COMMIT_1, "raw LMDB, 1 a commit" },
		{ "intake, 1,000 in flight (20 requests of 50)", 50, 20, 100000, COMMIT_1000,
			"raw LMDB, 1,000 a commit" },
		{ "intake, 1,000 in flight (1,000 requests of 1)", 1, 1000, 50000, COMMIT_1000,
			"raw LMDB, 1,000 a commit" },
		{ "intake, 4,000 in flight (80 requests of 50)", 50, 80, 100000, COMMIT_4000,
			"raw LMDB, 4,000 a commit" },
	};
	int r = 0;

	for (size_t i = 0; i < N_ELEMENTS(loads); i++)
		r |= run_load(bench, &loads[i]);
	return r;
}
