/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

enum {
	PARTS_MAX = 8,        /* of one message that are looked at; no socket of ours uses more than 7 */
	TURN_BYTES = 32 * 1024 * 1024, /* enough for one turn: bounds what hostile requests can hold */
	SLEEP_MAX_MS = 60000, /* the clocks of zmq_poll() and of the core need not agree */
};

/* Where messages come from. They are in the order in which they are emptied. */
enum source {
	SOURCE_ZAP,
	SOURCE_EVENTS, /* before UPLINK: a connection is announced before its frames */
	SOURCE_UPLINK,
	SOURCE_DOWNLINK,
	SOURCE_CONTROL,
	SOURCE_FEED,
	SOURCE_N,
};

struct loop {
	struct node *node;
	int signals;
	bool ready[SOURCE_N + 1]; /* something is there to read; the last: signals */
	uint64_t now_ms;
	uint64_t watchdog_ms;    /* systemd wants to hear so often that turns go on; 0: it does not */
	uint64_t watchdog_at_ms;
	size_t n_bytes; /* of the frames */
	size_t n_frames;
	zmq_msg_t frames[LOOP_FRAMES_MAX]; /* libzmq forbids to move them */
};

static uint64_t clock_ms(clockid_t clock) {
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void *socket_of(const struct node *node, enum source source) {
	switch (source) {
	case SOURCE_ZAP:
		return node->zap.socket;
	case SOURCE_EVENTS:
		return node->uplink.monitor;
	case SOURCE_UPLINK:
		return node->uplink.socket;
	case SOURCE_DOWNLINK:
		return node->downlink.socket;
	case SOURCE_CONTROL:
		return node->control.socket;
	case SOURCE_FEED:
		return node->feed.socket;
	case SOURCE_N:
		break;
	}
	return NULL;
}

static void take(struct loop *loop, enum source source, zmq_msg_t *parts, size_t n_parts) {
	struct node *node = loop->node;

	switch (source) {
	case SOURCE_ZAP:
		zap_question(&node->zap, parts, n_parts);
		break;
	case SOURCE_EVENTS:
		uplink_event(&node->uplink, parts, n_parts, loop->now_ms);
		break;
	case SOURCE_UPLINK:
		uplink_message(&node->uplink, parts, n_parts, loop->now_ms);
		break;
	case SOURCE_DOWNLINK:
		downlink_message(&node->downlink, parts, n_parts);
		break;
	case SOURCE_CONTROL:
		control_message(&node->control, parts, n_parts);
		break;
	case SOURCE_FEED: /* a subscription: libzmq has noted it */
	case SOURCE_N:
		break;
	}
}

/*
 * Receives a whole message behind those that the turn has. Returns the number of its parts, 0 if
 * none is there. What is beyond PARTS_MAX is dropped, but counted, so that it is not taken for whole.
 */
static size_t receive(struct loop *loop, void *socket, zmq_msg_t **ret_parts) {
	size_t n = 0;
	bool more = true;

	*ret_parts = &loop->frames[loop->n_frames];
	while (more) {
		zmq_msg_t *part = &loop->frames[loop->n_frames];

		(void)zmq_msg_init(part);
		if (zmq_msg_recv(part, socket, ZMQ_DONTWAIT) < 0)
			return 0; /* the first: libzmq gives messages whole */
		more = zmq_msg_more(part);
		loop->n_bytes += zmq_msg_size(part);
		if (n < PARTS_MAX)
			loop->n_frames++;
		else
			(void)zmq_msg_close(part);
		n++;
	}
	return n;
}

static bool turn_is_full(const struct loop *loop) {
	return loop->n_frames > LOOP_FRAMES_MAX - PARTS_MAX - 1 || loop->n_bytes >= TURN_BYTES ||
	       core_turn_records(loop->node->core) >= CORE_TURN_RECORDS;
}

/* One message from each socket in its turn, so that none waits for the backlog of another. */
static void receive_all(struct loop *loop) {
	bool any = true;

	while (any) {
		any = false;
		for (enum source source = 0; source < SOURCE_N; source++) {
			/* asked for again each time: an event may have closed the uplink */
			void *socket = socket_of(loop->node, source);
			zmq_msg_t *parts;
			size_t n;

			if (!loop->ready[source])
				continue;
			if (turn_is_full(loop))
				return;
			n = socket ? receive(loop, socket, &parts) : 0;
			loop->ready[source] = n > 0;
			any |= n > 0;
			if (n > 0)
				take(loop, source, parts, n);
		}
	}
}

static int turn(struct loop *loop) {
	struct node *node = loop->node;
	int r;

	loop->now_ms = clock_ms(CLOCK_BOOTTIME);
	core_turn_begin(node->core, clock_ms(CLOCK_REALTIME), loop->now_ms);
	uplink_turn(&node->uplink, loop->now_ms);
	downlink_turn(&node->downlink);
	receive_all(loop);
	r = core_turn_end(node->core);
	for (size_t i = 0; i < loop->n_frames; i++)
		(void)zmq_msg_close(&loop->frames[i]);
	loop->n_frames = loop->n_bytes = 0;
	if (r == 0 && loop->watchdog_ms && loop->now_ms >= loop->watchdog_at_ms) {
		loop->watchdog_at_ms = loop->now_ms + loop->watchdog_ms;
		(void)sd_notify(0, "WATCHDOG=1");
	}
	return r;
}

static uint64_t earliest(uint64_t a, uint64_t b) {
	return a < b ? a : b;
}

/* Waits for something to do. 0 or -errno. */
static int wait_for_work(struct loop *loop) {
	struct node *node = loop->node;
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME), wakeup_ms;
	int n_items = 0, n;
	zmq_pollitem_t items[SOURCE_N + 1];
	enum source sources[SOURCE_N + 1];

	wakeup_ms = core_busy(node->core) ? 0 : core_wakeup_ms(node->core);
	wakeup_ms = earliest(wakeup_ms, uplink_wakeup_ms(&node->uplink));
	wakeup_ms = earliest(wakeup_ms, downlink_wakeup_ms(&node->downlink, now_ms));
	wakeup_ms = earliest(wakeup_ms, now_ms + SLEEP_MAX_MS);
	if (loop->watchdog_ms)
		wakeup_ms = earliest(wakeup_ms, loop->watchdog_at_ms);

	for (enum source source = 0; source < SOURCE_N; source++) {
		void *socket = socket_of(node, source);

		if (!socket)
			continue;
		items[n_items] = (zmq_pollitem_t){ .socket = socket, .events = ZMQ_POLLIN };
		if (source == SOURCE_UPLINK && node->uplink.blocked)
			items[n_items].events |= ZMQ_POLLOUT;
		sources[n_items++] = source;
	}
	items[n_items] = (zmq_pollitem_t){ .fd = loop->signals, .events = ZMQ_POLLIN };
	sources[n_items++] = SOURCE_N;

	memset(loop->ready, 0, sizeof(loop->ready));
	n = zmq_poll(items, n_items, wakeup_ms > now_ms ? (long)(wakeup_ms - now_ms) : 0);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n_items; i++)
		loop->ready[sources[i]] = items[i].revents & ZMQ_POLLIN;
	return 0;
}

/* Whether to stop. SIGHUP is read and means nothing: the configuration is read at the start only. */
static bool told_to_stop(struct loop *loop) {
	struct signalfd_siginfo info;

	while (read(loop->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGHUP)
			return true;
	return false;
}

static int run(struct loop *loop) {
	uint64_t watchdog_us = 0;
	int r = turn(loop);

	if (r)
		return r;
	if (sd_watchdog_enabled(0, &watchdog_us) > 0)
		loop->watchdog_ms = watchdog_us / 1000 / 3; /* one that comes late is no hang */
	(void)sd_notify(0, "READY=1");
	for (;;) {
		r = wait_for_work(loop);
		if (r)
			return r;
		if (loop->ready[SOURCE_N] && told_to_stop(loop))
			return 0;
		r = turn(loop);
		if (r)
			return r;
	}
}

int loop_run(struct node *node) {
	struct loop *loop = calloc(1, sizeof(*loop));
	sigset_t signals;
	int r;

	if (!loop)
		return -ENOMEM;
	loop->node = node;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	loop->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	r = loop->signals < 0 ? -errno : run(loop);
	if (loop->signals >= 0)
		(void)close(loop->signals);
	free(loop);
	return r;
}
