/* signalling.c - sends a program signals while it starts: at each file that it opens.
 *
 * test_signals.py compiles it and loads it before libc.  From the first open() of a path
 * that ends in SIGNAL_FROM on, SIGNAL_TIMES times, the program gets SIGNAL (a number)
 * just before it opens a file.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool ends(const char *text, const char *with)
{
	size_t n = strlen(text), m = strlen(with);

	return n >= m && strcmp(text + n - m, with) == 0;
}

int open(const char *path, int flags, ...)
{
	static bool begun;
	static int times;
	const char *from = getenv("SIGNAL_FROM");
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, int) : 0;
	va_end(ap);
	if (from != NULL && (begun = begun || ends(path, from)) &&
	    times++ < atoi(getenv("SIGNAL_TIMES")))
		kill(getpid(), atoi(getenv("SIGNAL")));
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
