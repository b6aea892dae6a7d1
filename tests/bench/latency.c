/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Three levels, petitions at a steady pace: from the moment the clerk is told that a petition is
 * kept to the moment the province's change stream shows it counted.
 */
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "store/changes.h"
#include "tests/bench/bench.h"

enum {
	PACE = 500, /* a second */
	SECONDS = 6,
	PATIENCE_S = 20, /* beyond the last request */
	RUN_PETITIONS = PACE * SECONDS,
};

struct chain {
	struct office_node province;
	struct office_node district;
	struct office_node commune;
	void *stream;
};

struct pace {
	struct chain *chain;
	const struct bench *bench;
	int timer;
	uint64_t before;   /* what the province had counted */
	uint64_t counted;  /* since */
	size_t n;
	size_t n_sent;
	size_t n_acked;
	double acked[RUN_PETITIONS];
	double seen[RUN_PETITIONS];
};

static int compare(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int chain_make(struct bench *bench, struct chain *chain) {
	char district_address[64], province_address[64], config[160], stream[BENCH_PATH_MAX + 32];
	int linger = 0, no_limit = 0;

	(void)snprintf(province_address, sizeof(province_address), "tcp://127.0.0.1:%u", free_port(bench));
	(void)snprintf(district_address, sizeof(district_address), "tcp://127.0.0.1:%u", free_port(bench));
	(void)snprintf(config, sizeof(config), "listen: %s\n", province_address);
	if (node_make(bench, &chain->province, "province", 27, 2, config))
		return -1;
	(void)snprintf(config, sizeof(config), "listen: %s\nreconnect_ms: 50\n", district_address);
	if (node_make(bench, &chain->district, "district", 256, 3, config) ||
		node_make(bench, &chain->commune, "commune", 9163, 5, "reconnect_ms: 50\n") ||
		node_start(&chain->province) || node_start(&chain->district) ||
		node_start(&chain->commune) ||
		node_enrol(&chain->province, &chain->district, province_address) ||
		node_enrol(&chain->district, &chain->commune, district_address))
		return -1;
	(void)snprintf(stream, sizeof(stream), "ipc://%s/stream.sock", chain->province.home);
	chain->stream = zmq_socket(bench->context, ZMQ_SUB);
	if (!chain->stream ||
		zmq_setsockopt(chain->stream, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
		zmq_setsockopt(chain->stream, ZMQ_RCVHWM, &no_limit, sizeof(no_limit)) < 0 ||
		zmq_setsockopt(chain->stream, ZMQ_SUBSCRIBE, "change", 6) < 0 ||
		zmq_connect(chain->stream, stream) < 0)
		return fail("cannot connect to %s", stream);
	return 0;
}

static void chain_done(struct chain *chain) {
	if (chain->stream)
		(void)zmq_close(chain->stream);
	node_done(&chain->commune);
	node_done(&chain->district);
	node_done(&chain->province);
}

static int submit(struct pace *pace) {
	struct office_node *commune = &pace->chain->commune;
	uint8_t request[RECORD_MAX];
	uint8_t body[RECORD_MAX];
	char number[24];
	struct petition petition = sample(pace->bench, commune->number, number);
	struct writer w, b;

	/* one row of counts for all, and nothing that is escalated: petitions and their tallies */
	petition.category = CATEGORY_DAILY_LIFE;
	petition.urgent = false;
	petition.people = 1;
	writer_init(&b, body, sizeof(body));
	petition_encode(&petition, &b);
	writer_init(&w, request, sizeof(request));
	control_write_submit(&w, ++commune->number, false, 1);
	control_write_draft(&w, &(struct draft){ .kind = KIND_PETITION,
		.organisation = ORGANISATION_FRONT, .lane = 1, .body = writer_span(&b) });
	if (!writer_ok(&w) || zmq_send(commune->socket, w.data, w.len, 0) < 0)
		return fail("a request cannot be sent");
	pace->n_sent++;
	return 0;
}

static int take_answers(struct pace *pace) {
	struct office_node *commune = &pace->chain->commune;
	struct answer answer;

	while (zmq_msg_recv(&commune->message, commune->socket, ZMQ_DONTWAIT) >= 0) {
		if (control_answer_decode((struct span){ zmq_msg_data(&commune->message),
			    zmq_msg_size(&commune->message) }, &answer) || answer.result != CONTROL_OK)
			return fail("a petition was refused");
		if (pace->n_acked < pace->n)
			pace->acked[pace->n_acked++] = clock_s();
	}
	return 0;
}

/* The commune's count of petitions in a change, 0 if it is another change. */
static uint64_t count_in(const struct chain *chain, struct span frame) {
	struct change change;
	struct reader r;
	struct span row;

	reader_init(&r, frame);
	read_array(&r, 2, 2);
	read_uint(&r, UINT64_MAX);
	row = read_raw(&r);
	read_end(&r);
	if (reader_done(&r) || change_decode(row, &change) || change.type != CHANGE_TALLY ||
		change.tally.measure != MEASURE_RECEIVED ||
		!id_eq(&change.office, &chain->commune.office.id))
		return 0;
	return change.tally.n;
}

static void take_changes(struct pace *pace) {
	zmq_msg_t *message = &pace->chain->province.message;

	while (zmq_msg_recv(message, pace->chain->stream, ZMQ_DONTWAIT) >= 0) {
		uint64_t n = zmq_msg_more(message) ? 0 : count_in(pace->chain,
			(struct span){ zmq_msg_data(message), zmq_msg_size(message) });

		for (; pace->before + pace->counted < n && pace->counted < pace->n; pace->counted++)
			pace->seen[pace->counted] = clock_s();
	}
}

static int step(struct pace *pace) {
	zmq_pollitem_t items[] = {
		{ .fd = pace->timer, .events = ZMQ_POLLIN },
		{ .socket = pace->chain->commune.socket, .events = ZMQ_POLLIN },
		{ .socket = pace->chain->stream, .events = ZMQ_POLLIN },
	};
	uint64_t ticks;

	if (zmq_poll(items, N_ELEMENTS(items), 1000) < 0)
		return fail("nothing can be waited for");
	if (items[0].revents && read(pace->timer, &ticks, sizeof(ticks)) == sizeof(ticks))
		for (; ticks > 0 && pace->n_sent < pace->n; ticks--)
			if (submit(pace))
				return -1;
	if (items[1].revents && take_answers(pace))
		return -1;
	if (items[2].revents)
		take_changes(pace);
	return 0;
}

/* @n petitions; @pace's times are filled. */
static int run(struct pace *pace, size_t n) {
	const struct itimerspec every = { { 0, 1000000000 / PACE }, { 0, 1000000000 / PACE } };
	double begun = clock_s();

	pace->before += pace->counted;
	pace->n = n;
	pace->n_sent = pace->n_acked = pace->counted = 0;
	pace->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (pace->timer < 0 || timerfd_settime(pace->timer, 0, &every, NULL) < 0)
		return fail("no timer");
	while (pace->n_acked < n || pace->counted < n) {
		if (clock_s() > begun + SECONDS + PATIENCE_S) {
			(void)close(pace->timer);
			return fail("of %zu petitions %zu were acknowledged, %llu reached the province", n,
				pace->n_acked, (unsigned long long)pace->counted);
		}
		if (step(pace)) {
			(void)close(pace->timer);
			return -1;
		}
	}
	(void)close(pace->timer);
	return 0;
}

static int runs(struct bench *bench, struct chain *chain, struct pace *pace) {
	double p50[RUNS_MAX], p99[RUNS_MAX];
	size_t n = bench->quick ? RUN_PETITIONS / 10 : RUN_PETITIONS;
	const struct limits *limits = &bench->limits;
	/* two synced commits above the commune, two hops, one row to the subscriber */
	double limit_ms = (2 / limits->lmdb[COMMIT_1] + 1 / limits->tcp + 0.5 / limits->ipc) * 1e3;

	*pace = (struct pace){ .chain = chain, .bench = bench };
	if (run(pace, 1)) /* until the links stand */
		return -1;
	for (unsigned i = 0; i < RUNS_MAX; i++) {
		if (run(pace, n))
			return -1;
		for (size_t k = 0; k < n; k++)
			pace->seen[k] = (pace->seen[k] - pace->acked[k]) * 1e3;
		qsort(pace->seen, n, sizeof(*pace->seen), compare);
		p50[i] = pace->seen[n / 2];
		p99[i] = pace->seen[n * 99 / 100];
		progress("  run %u: p50 %.2f ms, p99 %.2f ms", i + 1, p50[i], p99[i]);
	}
	report(bench, "latency, 2 hops at 500/s: p50, median of 5 runs", median(p50, RUNS_MAX), "ms",
		"2 raw commits, 2 hops, 1 row", limit_ms);
	report(bench, "latency, 2 hops at 500/s: p99, median of 5 runs", median(p99, RUNS_MAX), "ms",
		"2 raw commits, 2 hops, 1 row", limit_ms);
	return 0;
}

int bench_latency(struct bench *bench) {
	struct chain chain = { 0 };
	struct pace *pace = malloc(sizeof(*pace));
	int r;

	progress("latency, commune to province");
	r = pace ? chain_make(bench, &chain) : fail("no memory");
	if (r == 0)
		r = runs(bench, &chain, pace);
	if (r)
		report_missing(bench, "latency, 2 hops at 500/s", "it failed");
	chain_done(&chain);
	free(pace);
	return r;
}
