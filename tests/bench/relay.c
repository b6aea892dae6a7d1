/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Stands between a child and its parent, passes everything on, and counts it: what TCP carries,
 * with encryption, framing and acknowledgements, without the headers of TCP and IP.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum {
	PASSED_MAX = 64 * 1024,
	LOOK_MS = 50, /* so often for the end */
};

struct relay {
	pthread_t thread;
	int listener;
	uint16_t parent_port;
	atomic_bool stop;
	atomic_ullong bytes;
	char passed[PASSED_MAX];
};

static struct sockaddr_in loopback(uint16_t port) {
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static bool pass(struct relay *relay, int from, int to) {
	ssize_t n = recv(from, relay->passed, sizeof(relay->passed), 0);

	if (n <= 0)
		return false;
	atomic_fetch_add(&relay->bytes, (unsigned long long)n);
	for (ssize_t done = 0; done < n;) {
		ssize_t k = send(to, relay->passed + done, (size_t)(n - done), MSG_NOSIGNAL);

		if (k <= 0)
			return false;
		done += k;
	}
	return true;
}

static void serve(struct relay *relay, int child) {
	struct sockaddr_in address = loopback(relay->parent_port);
	int parent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd ends[2] = { { child, POLLIN, 0 }, { parent, POLLIN, 0 } };
	bool up = parent >= 0 && connect(parent, (struct sockaddr *)&address, sizeof(address)) == 0;

	while (up && !atomic_load(&relay->stop)) {
		if (poll(ends, 2, LOOK_MS) <= 0)
			continue;
		if (ends[0].revents)
			up = pass(relay, child, parent);
		if (up && ends[1].revents)
			up = pass(relay, parent, child);
	}
	if (parent >= 0)
		(void)close(parent);
	(void)close(child);
}

static void *run(void *userdata) {
	struct relay *relay = userdata;
	struct pollfd listener = { relay->listener, POLLIN, 0 };

	while (!atomic_load(&relay->stop)) {
		int child = poll(&listener, 1, LOOK_MS) > 0 ? accept(relay->listener, NULL, NULL) : -1;

		if (child >= 0)
			serve(relay, child); /* one at a time: there is one child */
	}
	return NULL;
}

int relay_start(uint16_t port, uint16_t parent_port, struct relay **ret_relay) {
	struct relay *relay = calloc(1, sizeof(*relay));
	struct sockaddr_in address = loopback(port);
	int on = 1;

	if (!relay)
		return fail("no memory");
	relay->parent_port = parent_port;
	relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (relay->listener < 0 ||
		setsockopt(relay->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(relay->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(relay->listener, 8) < 0 || pthread_create(&relay->thread, NULL, run, relay)) {
		if (relay->listener >= 0)
			(void)close(relay->listener);
		free(relay);
		return fail("the relay cannot listen on port %u", port);
	}
	*ret_relay = relay;
	return 0;
}

uint64_t relay_bytes(struct relay *relay) {
	return atomic_load(&relay->bytes);
}

struct relay *relay_stop(struct relay *relay) {
	if (!relay)
		return NULL;
	atomic_store(&relay->stop, true);
	(void)pthread_join(relay->thread, NULL);
	(void)close(relay->listener);
	free(relay);
	return NULL;
}
