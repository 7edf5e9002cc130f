#include "cache/base/shared_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static int some_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void it_is_open_as_long_as_somebody_has_a_reference(void **state)
{
	int fd = some_fd();
	struct shared_file *f = shared_file_new(fd, 42);

	(void)state;
	assert_int_equal(f->fd, fd);
	assert_int_equal(f->size, 42);
	assert_ptr_equal(shared_file_ref(f), f);
	shared_file_unref(f);
	assert_true(is_open(fd));
	shared_file_unref(f);
	assert_false(is_open(fd));
	shared_file_unref(NULL);
}

static void *ref_and_unref(void *arg)
{
	struct shared_file *f = arg;

	for (int i = 0; i < 50000; i++)
		shared_file_unref(shared_file_ref(f));
	shared_file_unref(f);
	return NULL;
}

static void two_threads_may_hold_it(void **state)
{
	int fd = some_fd();
	struct shared_file *f = shared_file_new(fd, 1);
	pthread_t t[2];

	(void)state;
	shared_file_ref(f);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ref_and_unref, f), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_false(is_open(fd));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_open_as_long_as_somebody_has_a_reference),
	    cmocka_unit_test(two_threads_may_hold_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
