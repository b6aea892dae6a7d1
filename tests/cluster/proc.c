/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/cluster/proc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/record.h"
#include "store/offices.h"
#include "tests/cluster/ctl.h"

enum {
	PORT_FIRST = 12000, /* below those that the kernel gives to outgoing connections */
	PORT_LAST = 32000,
};

static uint64_t clock_ms(clockid_t clock) {
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t proc_now_ms(void) {
	return clock_ms(CLOCK_MONOTONIC);
}

uint64_t proc_wall_ms(void) {
	return clock_ms(CLOCK_REALTIME);
}

void proc_pause_ms(unsigned ms) {
	(void)nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

void proc_identity(const char *name, uint32_t code, uint8_t code_digits, struct keyfile *ret_keys,
	struct office *ret_office) {
	char public_text[41], secret_text[41];
	_cleanup_(signer_freep) struct signer *signer = NULL;
	uint8_t random[10];

	must(random_bytes(ret_keys->seed, sizeof(ret_keys->seed)) == 0, "no randomness");
	must(random_bytes(random, sizeof(random)) == 0, "no randomness");
	must(zmq_curve_keypair(public_text, secret_text) == 0, "%s", zmq_strerror(errno));
	zmq_z85_decode(ret_keys->curve_secret, secret_text);
	must(signer_new(ret_keys->seed, &signer) == 0, "signer");
	*ret_office = (struct office){
		.code = code,
		.code_digits = code_digits,
		.state = OFFICE_ACTIVE,
		.valid_from_ms = proc_wall_ms(),
		.level = span_str(code_digits == 2 ? "province" : code_digits == 3 ? "district" : "commune"),
		.name = span_str(name),
	};
	record_make_id(ret_office->valid_from_ms, random, &ret_office->id);
	zmq_z85_decode(ret_office->curve_key, public_text);
	signer_public(signer, ret_office->sign_key);
}

void proc_address(char ret_address[64]) {
	uint16_t start;

	must(random_bytes(&start, sizeof(start)) == 0, "no randomness");
	for (unsigned i = 0; i < PORT_LAST - PORT_FIRST; i++) {
		unsigned port = PORT_FIRST + (start + i) % (PORT_LAST - PORT_FIRST);
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int r = bind(fd, (struct sockaddr *)&in, sizeof(in));

		(void)close(fd);
		if (r == 0) {
			snprintf(ret_address, 64, "tcp://127.0.0.1:%u", port);
			return;
		}
	}
	must(false, "no free port");
}

void proc_directory(char ret_path[64]) {
	const char *tmp = getenv("TMPDIR");

	must((size_t)snprintf(ret_path, 64, "%s/lienthong-XXXXXX", tmp ? tmp : "/tmp") < 64,
		"TMPDIR is too long");
	must(mkdtemp(ret_path), "%s: %s", ret_path, strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
	return remove(path);
}

void proc_remove(const char *path) {
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_store(const struct proc *proc) {
	struct store *store;
	struct txn *txn;
	uint32_t number;
	char path[96];

	snprintf(path, sizeof(path), "%s/store", proc->home);
	must(store_create(path, PROC_MAP) == 0, "%s", path);
	store = proc_store(proc, STORE_WRITE);
	must(store_begin_write(store, &txn) == 0, "%s", path);
	must(offices_put(txn, &proc->office, &(struct office_former){ 0 }, &number) == 0, "%s", path);
	must(offices_set_own(txn, &proc->office.id, 1) == 0, "%s", path);
	must(store_commit(txn) == 0, "%s", path);
	store_close(store);
}

void proc_configure(const struct proc *proc, const char *text) {
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/lienthong.yaml", proc->home);
	file = fopen(path, "we");
	must(file && fputs(text, file) >= 0 && fclose(file) == 0, "%s: %s", path, strerror(errno));
}

struct proc *proc_new(const char *name, uint32_t code, uint8_t code_digits, bool listens) {
	struct proc *proc = calloc(1, sizeof(*proc));
	char text[256];

	must(proc, "no memory");
	proc_directory(proc->home);
	proc_identity(name, code, code_digits, &proc->keys, &proc->office);
	snprintf(text, sizeof(text), "%s/keys", proc->home);
	must(keyfile_write(text, &proc->keys) == 0, "%s", text);
	make_store(proc);
	if (listens)
		proc_address(proc->listen);
	snprintf(text, sizeof(text), "%s%s%sreconnect_ms: 50\nstore_size: 1G\n",
		listens ? "listen: " : "", proc->listen, listens ? "\n" : "");
	proc_configure(proc, text);
	return proc;
}

struct proc *proc_free(struct proc *proc) {
	char log[96];

	if (!proc)
		return NULL;
	if (proc->pid > 0) {
		(void)kill(proc->pid, SIGKILL);
		(void)waitpid(proc->pid, NULL, 0);
	}
	proc_log_path(proc, log);
	(void)unlink(log);
	proc_remove(proc->home);
	free(proc);
	return NULL;
}

void proc_freep(struct proc **proc) {
	proc_free(*proc);
}

void proc_log_path(const struct proc *proc, char ret_path[96]) {
	/* beside the home, whose bytes some tests compare */
	snprintf(ret_path, 96, "%s.log", proc->home);
}

static void show_log(const struct proc *proc) {
	char path[96], line[512];
	FILE *file;

	proc_log_path(proc, path);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		fprintf(stderr, "  %.*s: %s", (int)proc->office.name.len,
			(const char *)proc->office.name.data, line);
	if (file)
		(void)fclose(file);
}

void proc_spawn(struct proc *proc) {
	const char *daemon = getenv("LIENTHONGD");
	pid_t own = getpid();
	char path[96];
	sigset_t none;
	int log;

	must(daemon, "LIENTHONGD must name the daemon");
	must(proc->pid == 0, "it runs already");
	proc_log_path(proc, path);
	log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(log >= 0, "%s: %s", path, strerror(errno));
	(void)sigemptyset(&none);
	proc->pid = fork();
	must(proc->pid >= 0, "%s", strerror(errno));
	if (proc->pid == 0) { /* only calls that are safe between fork and exec */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != own)
			_exit(127);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)dup2(log, STDOUT_FILENO);
		(void)dup2(log, STDERR_FILENO);
		execl(daemon, daemon, "--home", proc->home, (char *)NULL);
		_exit(127);
	}
	(void)close(log);
}

int proc_wait(struct proc *proc, unsigned timeout_ms) {
	uint64_t until_ms = proc_now_ms() + timeout_ms;
	int status;

	for (;;) {
		pid_t pid = waitpid(proc->pid, &status, WNOHANG);

		must(pid >= 0, "%s", strerror(errno));
		if (pid > 0) {
			proc->pid = 0;
			return status;
		}
		if (proc_now_ms() >= until_ms)
			return -1;
		proc_pause_ms(5);
	}
}

void proc_start(struct proc *proc) {
	uint64_t until_ms = proc_now_ms() + PROC_STARTS_MS;

	proc_spawn(proc);
	for (;;) {
		struct ctl *ctl = ctl_new(proc);
		struct control_status status;
		bool up = ctl_status(ctl, 500, &status) == 0 && status.pid == (uint64_t)proc->pid;
		int ended = up ? -1 : proc_wait(proc, 0);

		ctl_free(ctl);
		if (up)
			return;
		if (ended != -1 || proc_now_ms() >= until_ms) {
			show_log(proc);
			must(false, "the daemon does not start: %d", ended);
		}
	}
}

void proc_kill9(struct proc *proc) {
	int status;

	must(proc->pid > 0, "it does not run");
	(void)kill(proc->pid, SIGKILL);
	status = proc_wait(proc, PROC_STOPS_MS);
	if (status == -1 || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
		show_log(proc);
		must(false, "it had ended by itself: %d", status);
	}
}

void proc_stop(struct proc *proc) {
	int status;

	must(proc->pid > 0, "it does not run");
	(void)kill(proc->pid, SIGTERM);
	status = proc_wait(proc, PROC_STOPS_MS);
	if (status != 0) {
		show_log(proc);
		must(false, "it did not end well: %d", status);
	}
}

uint64_t proc_rss(const struct proc *proc) {
	unsigned long size, resident, shared;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)proc->pid);
	file = fopen(path, "re");
	must(file && fscanf(file, "%lu %lu %lu", &size, &resident, &shared) == 3, "%s", path);
	(void)fclose(file);
	/* without the store's map, whose pages are the kernel's to keep or drop */
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct store *proc_store(const struct proc *proc, enum store_mode mode) {
	struct store *store;
	char path[96];
	int r;

	snprintf(path, sizeof(path), "%s/store", proc->home);
	r = store_open(path, mode, PROC_MAP, &store);
	must(r == 0, "%s: %d", path, r);
	return store;
}
