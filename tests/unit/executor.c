#include "proxy/base/executor.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/inbox.h"
#include "tests/lib/child.h"

static struct event_base *base;
static struct inbox *inbox;
static struct executor *disk;
static pthread_t keeper;

#define JOBS 2000

static int worked[JOBS], worked_n; /* the disk thread's until executor_stop */
static int finished[JOBS], finished_n;

static int setup(void **state)
{
	(void)state;
	base = event_base_new();
	inbox = inbox_new(base, NULL);
	disk = executor_start(inbox, "disk", 0);
	keeper = pthread_self();
	worked_n = finished_n = 0;
	return disk == NULL;
}

static int teardown(void **state)
{
	(void)state;
	executor_stop(disk);
	executor_free(disk);
	inbox_free(inbox);
	event_base_free(base);
	return 0;
}

static void work(void *arg)
{
	if (pthread_equal(pthread_self(), keeper))
		abort();
	worked[worked_n++] = *(int *)arg;
}

static void done(void *arg)
{
	assert_true(pthread_equal(pthread_self(), keeper));
	finished[finished_n++] = *(int *)arg;
	if (finished_n == JOBS)
		event_base_loopbreak(base);
}

static void jobs_run_elsewhere_one_after_the_other_and_come_back_in_order(void **state)
{
	static int number[JOBS];

	(void)state;
	for (int i = 0; i < JOBS; i++) {
		number[i] = i;
		executor_run(disk, work, done, &number[i]);
	}
	event_base_dispatch(base);
	assert_int_equal(finished_n, JOBS);
	for (int i = 0; i < JOBS; i++) {
		assert_int_equal(worked[i], i);
		assert_int_equal(finished[i], i);
	}
}

static void slow_work(void *arg)
{
	usleep(2000);
	work(arg);
}

static void stopping_runs_what_is_queued_and_leaves_its_ends_in_the_inbox(void **state)
{
	static int number[50];

	(void)state;
	for (int i = 0; i < 50; i++)
		executor_run(disk, slow_work, done, &number[i]);
	executor_stop(disk);
	executor_free(disk);
	disk = NULL;
	assert_int_equal(worked_n, 50);
	assert_int_equal(finished_n, 0);
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(finished_n, 50);
}

static void the_ends_of_jobs_run_at_the_latest_when_the_inbox_goes(void **state)
{
	static int number;

	(void)state;
	executor_run(disk, work, done, &number);
	executor_stop(disk);
	executor_free(disk);
	disk = NULL;
	inbox_free(inbox);
	assert_int_equal(finished_n, 1);
	inbox = inbox_new(base, NULL);
}

static void a_job_needs_nobody_who_waits(void **state)
{
	static int number = 5;
	struct exec exec = executor_exec(disk);

	(void)state;
	exec.run(exec.ctx, work, NULL, &number);
	executor_stop(disk);
	executor_free(disk);
	disk = NULL;
	assert_int_equal(worked_n, 1);
	assert_int_equal(worked[0], 5);
}

static void look_at_signals(void *arg)
{
	sigset_t *set = arg;

	pthread_sigmask(SIG_BLOCK, NULL, set);
}

static void the_thread_takes_no_signals(void **state)
{
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	executor_run(disk, look_at_signals, NULL, &set);
	executor_stop(disk);
	executor_free(disk);
	disk = NULL;
	assert_true(sigismember(&set, SIGTERM));
	assert_true(sigismember(&set, SIGHUP));
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	assert_false(sigismember(&set, SIGTERM));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* A kernel that refuses setpriority, as the filter of a service does. */
static int forbid_setpriority(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setpriority, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof code[0], code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0;
}

static void note_nice(void *arg)
{
	*(int *)arg = getpriority(PRIO_PROCESS, 0);
}

/* What a thread that wants 19 says on standard error, and what it has. */
static int nice_in_child(int refuse, char *said, size_t room)
{
	int fd[2], status, has = -1;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = child_fork();
	if (pid == 0) {
		base = event_base_new();
		inbox = inbox_new(base, NULL);
		dup2(fd[1], STDERR_FILENO);
		if (refuse && forbid_setpriority())
			_exit(99);
		struct executor *low = executor_start(inbox, "low", 19);
		executor_run(low, note_nice, NULL, &has);
		executor_stop(low);
		_exit(has);
	}
	close(fd[1]);
	n = read(fd[0], said, room - 1);
	said[n > 0 ? n : 0] = '\0';
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_priority_that_is_refused_is_warned_of(void **state)
{
	int before = getpriority(PRIO_PROCESS, 0);
	char said[512];

	(void)state;
	assert_int_equal(nice_in_child(0, said, sizeof said), 19);
	assert_string_equal(said, "");
	assert_int_equal(nice_in_child(1, said, sizeof said), before);
	assert_non_null(
	    strstr(said, "level=warn event=priority_refused thread=low nice=19 "
			 "error=\"Operation not permitted\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(jobs_run_elsewhere_one_after_the_other_and_come_back_in_order),
	    CASE(stopping_runs_what_is_queued_and_leaves_its_ends_in_the_inbox),
	    CASE(the_ends_of_jobs_run_at_the_latest_when_the_inbox_goes),
	    CASE(a_job_needs_nobody_who_waits),
	    CASE(the_thread_takes_no_signals),
	    /* a child of a process with one thread: ThreadSanitizer takes no other */
	    cmocka_unit_test(a_priority_that_is_refused_is_warned_of),
	};
	int failed;

	evthread_use_pthreads();
	failed = cmocka_run_group_tests_name("disk", tests, NULL, NULL);
	libevent_global_shutdown();
	return failed;
}
