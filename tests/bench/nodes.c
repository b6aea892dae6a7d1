/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Offices for the bench: made as `lienthong init` makes them, run as processes, joined through
 * their control sockets. A process dies with the bench.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/enrol.h"
#include "proto/record.h"
#include "store/offices.h"
#include "tests/bench/bench.h"

enum {
	MAP_SIZE = 1 << 30, /* while a home is made */
	Z85_LEN = 41,
	FIRST_EPOCH = 1,
	START_S = 120,
	ANSWER_MS = 60000,
	STOP_S = 15,
	PORT_FIRST = 21700, /* below those that the system gives to outgoing connections */
	PORT_LAST = 31700,
};

uint16_t free_port(struct bench *bench) {
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (bench->port == 0)
		bench->port = PORT_FIRST + (uint16_t)(getpid() % 5000);
	for (; bench->port < PORT_LAST; bench->port++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool taken;

		address.sin_port = htons(bench->port);
		taken = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0;
		if (fd >= 0)
			(void)close(fd);
		if (!taken)
			break;
	}
	return bench->port++;
}

static int make_identity(struct office_node *node) {
	char public_z85[Z85_LEN], secret_z85[Z85_LEN];
	struct signer *signer;
	uint8_t random[10];
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	node->office.valid_from_ms = (uint64_t)now.tv_sec * 1000;
	node->office.state = OFFICE_ACTIVE;
	if (random_bytes(random, sizeof(random)) ||
		random_bytes(node->keys.seed, sizeof(node->keys.seed)) ||
		zmq_curve_keypair(public_z85, secret_z85) < 0 ||
		!zmq_z85_decode(node->keys.curve_secret, secret_z85) ||
		!zmq_z85_decode(node->office.curve_key, public_z85) ||
		signer_new(node->keys.seed, &signer))
		return fail("no keys can be made");
	record_make_id(node->office.valid_from_ms, random, &node->office.id);
	signer_public(signer, node->office.sign_key);
	signer_free(signer);
	return 0;
}

static int make_store(const char *path, const struct office *office) {
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	uint32_t number;

	if (store_create(path, MAP_SIZE) || store_open(path, STORE_WRITE, MAP_SIZE, &store) ||
		store_begin_write(store, &txn) || offices_put(txn, office, &(struct office_former){ 0 }, &number) ||
		offices_set_own(txn, &office->id, FIRST_EPOCH) || store_commit(TAKE(txn)))
		return fail("%s cannot be made", path);
	return 0;
}

static int write_text(const char *path, const char *text) {
	FILE *file = fopen(path, "we");

	if (!file)
		return fail("%s cannot be written", path);
	(void)fputs(text, file);
	return fclose(file) == 0 ? 0 : fail("%s cannot be written", path);
}

int node_make(struct bench *bench, struct office_node *ret_node, const char *name, uint32_t code,
	uint8_t code_digits, const char *config) {
	char path[BENCH_PATH_MAX + 16];

	*ret_node = (struct office_node){ .bench = bench };
	(void)zmq_msg_init(&ret_node->message);
	ret_node->office = (struct office){ .code = code, .code_digits = code_digits,
		.level = span_str(name), .name = span_str(name) };
	(void)snprintf(ret_node->home, sizeof(ret_node->home), "%s/%s-%u", bench->dir, name,
		bench->n_homes++);
	if (mkdir(ret_node->home, 0700) < 0)
		return fail("%s cannot be made", ret_node->home);
	if (make_identity(ret_node))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/keys", ret_node->home);
	if (keyfile_write(path, &ret_node->keys))
		return fail("%s cannot be written", path);
	(void)snprintf(path, sizeof(path), "%s/store", ret_node->home);
	if (make_store(path, &ret_node->office))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/lienthong.yaml", ret_node->home);
	return write_text(path, config);
}

static void become_daemon(const struct office_node *node) {
	char path[BENCH_PATH_MAX + 16];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/log", node->home);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0) {
		(void)dup2(fd, STDERR_FILENO);
		(void)dup2(fd, STDOUT_FILENO);
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (node->netns)
		(void)execlp("ip", "ip", "netns", "exec", node->netns, node->bench->daemon, "--home",
			node->home, NULL);
	else
		(void)execl(node->bench->daemon, node->bench->daemon, "--home", node->home, NULL);
	_exit(127);
}

int node_spawn(struct office_node *node) {
	pid_t pid = fork();

	if (pid < 0)
		return fail("no process can be made");
	if (pid == 0)
		become_daemon(node);
	node->pid = pid;
	return 0;
}

static bool listens(const char *path) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool up;

	if (strlen(path) < sizeof(address.sun_path))
		strcpy(address.sun_path, path);
	up = fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
				errno == EAGAIN);
	if (fd >= 0)
		(void)close(fd);
	return up;
}

int node_wait(struct office_node *node) {
	int linger = 0, patience = ANSWER_MS, status;
	int64_t frame_max = CONTROL_MAX;
	char path[BENCH_PATH_MAX + 16], address[BENCH_PATH_MAX + 32];
	double begun = clock_s();
	struct answer answer;
	uint8_t request[16];
	struct writer w;

	(void)snprintf(path, sizeof(path), "%s/control.sock", node->home);
	while (!listens(path)) {
		if (waitpid(node->pid, &status, WNOHANG) == node->pid) {
			node->pid = 0;
			return fail("the node of %s ended: see the log there", node->home);
		}
		if (clock_s() > begun + START_S)
			return fail("the node of %s does not listen", node->home);
		pause_us(500);
	}
	(void)snprintf(address, sizeof(address), "ipc://%s", path);
	node->socket = zmq_socket(node->bench->context, ZMQ_DEALER);
	if (!node->socket ||
		zmq_setsockopt(node->socket, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
		zmq_setsockopt(node->socket, ZMQ_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
		zmq_setsockopt(node->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof(frame_max)) < 0 ||
		zmq_connect(node->socket, address) < 0)
		return fail("cannot connect to %s", address);
	writer_init(&w, request, sizeof(request));
	control_write_status(&w, ++node->number);
	return node_ask(node, &w, &answer);
}

int node_start(struct office_node *node) {
	return node_spawn(node) || node_wait(node) ? -1 : 0;
}

int node_ask(struct office_node *node, const struct writer *request, struct answer *ret_answer) {
	struct span answer;

	if (!writer_ok(request) || zmq_send(node->socket, request->data, request->len, 0) < 0 ||
		zmq_msg_recv(&node->message, node->socket, 0) < 0)
		return fail("the node of %s does not answer", node->home);
	answer = (struct span){ zmq_msg_data(&node->message), zmq_msg_size(&node->message) };
	if (control_answer_decode(answer, ret_answer) || ret_answer->number != node->number)
		return fail("the node of %s answers strangely", node->home);
	if (ret_answer->result != CONTROL_OK)
		return fail("the node of %s refused: %u, %.*s", node->home,
			(unsigned)ret_answer->result, (int)ret_answer->detail.len,
			(const char *)ret_answer->detail.data);
	return 0;
}

static int ask_to_add(struct office_node *parent, struct span request, const char *address,
	struct span *ret_file) {
	_cleanup_(writer_done) struct writer w;
	struct answer answer;

	writer_init_grow(&w);
	control_write_add_office(&w, ++parent->number, request, span_str(address));
	if (node_ask(parent, &w, &answer))
		return -1;
	*ret_file = read_bin(&answer.values, 1, ENROL_FILE_MAX); /* borrowed from parent->message */
	return 0;
}

int node_enrol(struct office_node *parent, struct office_node *child, const char *address) {
	_cleanup_(writer_done) struct writer request;
	_cleanup_(writer_done) struct writer join;
	struct signer *signer;
	struct answer answer;
	struct span file;
	int r;

	writer_init_grow(&request);
	writer_init_grow(&join);
	if (signer_new(child->keys.seed, &signer))
		return fail("a key cannot be used");
	r = enrol_request_write(&child->office, signer, &request);
	signer_free(signer);
	if (r)
		return fail("no request can be written");
	if (ask_to_add(parent, writer_span(&request), address, &file))
		return -1;
	control_write_join(&join, ++child->number, file);
	return node_ask(child, &join, &answer);
}

void node_stop(struct office_node *node) {
	double begun = clock_s();
	int status;

	if (node->socket)
		(void)zmq_close(TAKE(node->socket));
	if (node->pid == 0)
		return;
	(void)kill(node->pid, SIGTERM);
	while (waitpid(node->pid, &status, WNOHANG) == 0) {
		if (clock_s() > begun + STOP_S) {
			progress("the node of %s had to be killed", node->home);
			(void)kill(node->pid, SIGKILL);
			(void)waitpid(node->pid, &status, 0);
			break;
		}
		pause_us(1000);
	}
	node->pid = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
	return remove(path);
}

void node_done(struct office_node *node) {
	node_stop(node);
	(void)zmq_msg_close(&node->message);
	if (node->home[0])
		(void)nftw(node->home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int node_open_store(const struct office_node *node, struct store **ret_store, struct txn **ret_txn) {
	char path[BENCH_PATH_MAX + 16];

	(void)snprintf(path, sizeof(path), "%s/store", node->home);
	if (store_open(path, STORE_READ, 0, ret_store) || store_begin_read(*ret_store, ret_txn))
		return fail("%s cannot be read", path);
	return 0;
}
