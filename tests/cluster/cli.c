/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/cluster/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_child(const char *home, const struct cli *cli, int sink, const char *const *args) {
	const char *argv[CLI_ARGS_MAX + 4] = { getenv("LIENTHONG"), "--home", home };
	size_t n = home ? 3 : 1;

	while (*args && n < CLI_ARGS_MAX + 3)
		argv[n++] = *args++;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(sink >= 0 ? sink : cli->out_fd, STDOUT_FILENO);
	(void)dup2(cli->err_fd, STDERR_FILENO);
	execv(argv[0], (char *const *)argv);
	_exit(127);
}

void cli_start(struct cli *ret_cli, const char *home, const char *sink, const char *const *args) {
	struct cli cli = { .status = -1, .start_ms = proc_now_ms() };
	int sink_fd = sink ? open(sink, O_WRONLY | O_CLOEXEC) : -1;

	must(getenv("LIENTHONG"), "LIENTHONG must name the command line");
	must(!sink || sink_fd >= 0, "%s: %s", sink, strerror(errno));
	cli.out_fd = memfd_create("out", MFD_CLOEXEC);
	cli.err_fd = memfd_create("err", MFD_CLOEXEC);
	must(cli.out_fd >= 0 && cli.err_fd >= 0, "%s", strerror(errno));
	cli.pid = fork();
	must(cli.pid >= 0, "%s", strerror(errno));
	if (cli.pid == 0)
		run_child(home, &cli, sink_fd, args);
	if (sink_fd >= 0)
		(void)close(sink_fd);
	*ret_cli = cli;
}

static char *take_text(int fd) {
	struct stat st;
	char *text;

	must(fstat(fd, &st) == 0, "%s", strerror(errno));
	text = calloc(1, (size_t)st.st_size + 1);
	must(text && pread(fd, text, (size_t)st.st_size, 0) == st.st_size, "cannot read what it said");
	(void)close(fd);
	return text;
}

void cli_wait(struct cli *cli, unsigned timeout_ms) {
	uint64_t until_ms = proc_now_ms() + timeout_ms;
	pid_t pid;

	while ((pid = waitpid(cli->pid, &cli->status, WNOHANG)) == 0 && proc_now_ms() < until_ms)
		proc_pause_ms(5);
	if (pid == 0) {
		(void)kill(cli->pid, SIGKILL);
		(void)waitpid(cli->pid, NULL, 0);
		cli->status = -1;
	}
	cli->pid = 0;
	cli->took_ms = (unsigned)(proc_now_ms() - cli->start_ms);
	cli->out = take_text(cli->out_fd);
	cli->err = take_text(cli->err_fd);
}

void cli_done(struct cli *cli) {
	free(cli->out);
	free(cli->err);
	*cli = (struct cli){ 0 };
}

int cli_run(struct cli *ret_cli, const char *home, const char *const *args) {
	cli_start(ret_cli, home, NULL, args);
	cli_wait(ret_cli, CLI_PATIENT_MS);
	return cli_code(ret_cli);
}

json_t *cli_json(const char *home, const char *const *args) {
	json_error_t error;
	struct cli cli;
	json_t *value;
	int code = cli_run(&cli, home, args);

	must(code == 0, "%s: %d %s", args[0], code, cli.err);
	value = json_loads(cli.out, 0, &error);
	must(value, "%s: %s: %s", args[0], error.text, cli.out);
	cli_done(&cli);
	return value;
}

int cli_code(const struct cli *cli) {
	return cli->status != -1 && WIFEXITED(cli->status) ? WEXITSTATUS(cli->status) : -1;
}
