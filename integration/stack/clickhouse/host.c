/*
 * Runs the ClickHouse engine of libchdb.so as a server process.
 *
 * usage: clickhouse-host LIBRARY ENGINE-ARGUMENTS...
 *
 * The arguments are those of clickhouse-local; the caller gives --interactive
 * and a --query that opens the ports, and the engine then waits at its prompt
 * while its own server threads answer. SIGTERM and SIGINT end the prompt, upon
 * which the engine shuts down in order.
 *
 * The prompt needs a terminal. Without one the engine runs in its batch mode,
 * in which an exception in any connection's thread ends the whole process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int master = -1;      /* our side of the engine's terminal */
static sigset_t endings;     /* signals that end the server */

static void die(const char *what, const char *why)
{
	fprintf(stderr, "clickhouse-host: %s: %s\n", what, why);
	exit(3);
}

/* Types an end of file at the prompt until the engine has gone. It is typed
 * again and again, since a statement that is still running swallows it. */
static void *end_prompt(void *unused)
{
	int sig;
	const struct timespec pause = {0, 100000000};
	(void)unused;
	sigwait(&endings, &sig);
	while (write(master, "\x04", 1) == 1)
		nanosleep(&pause, NULL);
	return NULL;
}

/* Gives the engine a terminal as its standard input. */
static void open_terminal(void)
{
	int slave;
	struct termios mode;
	if (openpty(&master, &slave, NULL, NULL, NULL) != 0 || tcgetattr(slave, &mode) != 0)
		die("open a terminal", strerror(errno));
	cfmakeraw(&mode); /* nothing is echoed, so nobody has to read the master */
	if (tcsetattr(slave, TCSANOW, &mode) != 0)
		die("set up the terminal", strerror(errno));
	if (dup2(slave, 0) < 0)
		die("use the terminal", strerror(errno));
	close(slave);
}

int main(int argc, char **argv)
{
	pthread_t ender;
	void *library;
	void *(*run)(int, char **);
	const char *(*complaint)(void *);
	const char *text;

	if (argc < 2)
		die("usage", "clickhouse-host LIBRARY ENGINE-ARGUMENTS...");
	open_terminal();

	/* Threads of the engine inherit the mask, so the signals reach ours alone. */
	sigemptyset(&endings);
	sigaddset(&endings, SIGTERM);
	sigaddset(&endings, SIGINT);
	pthread_sigmask(SIG_BLOCK, &endings, NULL);
	if (pthread_create(&ender, NULL, end_prompt, NULL) != 0)
		die("start a thread", strerror(errno));

	library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		die("load the engine", dlerror());
	*(void **)&run = dlsym(library, "chdb_query_cmdline");
	*(void **)&complaint = dlsym(library, "chdb_result_error");
	if (!run || !complaint)
		die("find the engine's entry", dlerror());

	argv[1] = "clickhouse";
	text = complaint(run(argc - 1, argv + 1));
	if (text && *text)
		die("the engine ended", text);
	fflush(NULL);
	_exit(0); /* all data is on disk; the library's destructors take their time */
}
