/* faults.h - the n-th call of a kind fails: memory, reading, writing, descriptors, disk.
 *
 * A header with definitions, for one file of one program: it defines malloc, read and the
 * like for the whole program, so that the libraries' own calls count as well (OpenSSL,
 * libevent, libcurl, lmdb, hiredis, jansson).  The sanitizers' versions stay behind ours.
 *
 *	faults_arm(FAULT_MEMORY, 17, 1);   the 17th allocation from now on fails
 *	... what is tested ...
 *	calls = faults_disarm();           17 was within reach if calls >= 17
 *
 * Any thread's call counts, but for threads that have said faults_exempt(true): the
 * client, the responder, and whatever else is no part of what is tested.
 *
 * Only what a kernel could do is done.  Sockets and files are told apart, because an
 * eventfd is never short and never resets.
 */
#ifndef TESTS_LIB_FAULTS_H
#define TESTS_LIB_FAULTS_H

/* The checked versions of read() and recv() would go past ours. */
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault {
	FAULT_NONE,
	FAULT_MEMORY,      /* malloc, calloc, realloc, strdup: NULL */
	FAULT_SHORT_READ,  /* of a socket: one byte */
	FAULT_SHORT_WRITE, /* to a socket: one byte */
	FAULT_AGAIN,       /* socket: EAGAIN although it was ready */
	FAULT_INTR,        /* any waiting call: EINTR */
	FAULT_RESET,       /* socket: ECONNRESET */
	FAULT_END,         /* socket: the other side has closed */
	FAULT_REFUSED,     /* connect: ECONNREFUSED */
	FAULT_DESCRIPTORS, /* whatever makes one: EMFILE */
	FAULT_EPOLL,       /* epoll_ctl(ADD): ENOSPC */
	FAULT_DISK_FULL,   /* writing to a file, growing it: ENOSPC */
	FAULT_DISK_ERROR,  /* the same and syncing: EIO */
	FAULT_PEER,        /* sendmsg: faults.peer() runs before it */
	/* done by who plays the other side, with fault_now() */
	FAULT_UPSTREAM_CLOSES,
	FAULT_UPSTREAM_HANGS,
	FAULT_UPSTREAM_STOPS_HALFWAY,
	FAULT_COUNT
};

/* malloc is called before the sanitizers are ready. */
#define EARLY __attribute__((no_sanitize("address", "undefined", "thread")))

static struct {
	_Atomic enum fault kind;
	enum fault armed; /* the same, also while paused */
	_Atomic unsigned long calls;
	unsigned long first, last; /* these fail */
	bool show;                 /* where it happens */
	void (*peer)(void);        /* of FAULT_PEER */
} faults;
/* volatile: the compiler believes that malloc() does not look at it. */
static _Thread_local volatile bool faults_are_exempt;

void __sanitizer_print_stack_trace(void) __attribute__((weak));

/* From now on, calls `first` to `first + width - 1` of this kind fail; 0: none. */
static void faults_arm(enum fault kind, unsigned long first, unsigned long width)
{
	faults.first = first;
	faults.last = first + width - 1;
	faults.armed = kind;
	atomic_store(&faults.calls, 0);
	atomic_store(&faults.kind, kind);
}

/* Calls in between neither fail nor count. */
static void faults_pause(void)
{
	atomic_store(&faults.kind, FAULT_NONE);
}

__attribute__((unused)) static void faults_resume(void)
{
	atomic_store(&faults.kind, faults.armed);
}

/* The end; how many calls there were. */
static unsigned long faults_disarm(void)
{
	faults_pause();
	return atomic_load(&faults.calls);
}

/* Returns what it was. */
__attribute__((unused)) static bool faults_exempt(bool yes)
{
	bool before = faults_are_exempt;

	faults_are_exempt = yes;
	return before;
}

EARLY static bool fault_armed(enum fault kind)
{
	return !faults_are_exempt &&
	       atomic_load_explicit(&faults.kind, memory_order_relaxed) == kind;
}

/* One call of this kind: does it fail? */
static bool fault_now(enum fault kind)
{
	unsigned long n;

	if (atomic_load(&faults.kind) != kind)
		return false;
	n = atomic_fetch_add(&faults.calls, 1) + 1;
	if (n < faults.first || n > faults.last)
		return false;
	if (faults.show && __sanitizer_print_stack_trace != NULL) {
		bool before = faults_are_exempt;

		faults_are_exempt = true;
		__sanitizer_print_stack_trace();
		faults_are_exempt = before;
	}
	return true;
}

EARLY static bool fault(enum fault kind)
{
	return fault_armed(kind) && fault_now(kind);
}

#define REAL(name)                                                                       \
	static _Atomic(__typeof__(&(name))) real;                                        \
	if (real == NULL)                                                                \
	real = (__typeof__(&(name)))dlsym(RTLD_NEXT, #name)

/* Memory.  The sanitizer's allocator where there is one: libc would call ours again. */

void *__interceptor_malloc(size_t n) __attribute__((weak));
void *__interceptor_calloc(size_t n, size_t size) __attribute__((weak));
void *__interceptor_realloc(void *p, size_t n) __attribute__((weak));
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

EARLY static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

EARLY void *malloc(size_t n)
{
	if (fault(FAULT_MEMORY))
		return no_memory();
	return __interceptor_malloc != NULL ? __interceptor_malloc(n) : __libc_malloc(n);
}

EARLY void *calloc(size_t n, size_t size)
{
	if (fault(FAULT_MEMORY))
		return no_memory();
	return __interceptor_calloc != NULL ? __interceptor_calloc(n, size)
					    : __libc_calloc(n, size);
}

EARLY void *realloc(void *p, size_t n)
{
	if (fault(FAULT_MEMORY))
		return no_memory();
	return __interceptor_realloc != NULL ? __interceptor_realloc(p, n)
					     : __libc_realloc(p, n);
}

char *strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = malloc(n);

	return copy != NULL ? memcpy(copy, s, n) : NULL;
}

/* A sanitizer asks for a new thread's stack, and does not live without an answer. */
EARLY int pthread_getattr_np(pthread_t thread, pthread_attr_t *out)
{
	bool before = faults_are_exempt;
	int e;

	REAL(pthread_getattr_np);
	faults_are_exempt = true;
	e = real(thread, out);
	faults_are_exempt = before;
	return e;
}

/* Descriptors. */

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* fail: the call fails with errno; else *n is what it may do at most. */
static bool reading_fails(int fd, size_t *n)
{
	int error = 0;

	if (faults_are_exempt || !is_socket(fd)) {
		if (!fault(FAULT_INTR))
			return false;
		error = EINTR;
	} else if (fault(FAULT_INTR)) {
		error = EINTR;
	} else if (fault(FAULT_AGAIN)) {
		error = EAGAIN;
	} else if (fault(FAULT_RESET)) {
		error = ECONNRESET;
	} else if (fault(FAULT_END)) {
		*n = 0;
	} else if (*n > 1 && fault(FAULT_SHORT_READ)) {
		*n = 1;
	}
	errno = error != 0 ? error : errno;
	return error != 0;
}

static bool writing_fails(int fd, size_t n, bool *is_short)
{
	int error = 0;

	*is_short = false;
	if (faults_are_exempt)
		return false;
	if (is_file(fd)) {
		if (fault(FAULT_DISK_FULL))
			error = ENOSPC;
		else if (fault(FAULT_DISK_ERROR))
			error = EIO;
	} else if (fault(FAULT_INTR)) {
		error = EINTR;
	} else if (is_socket(fd)) {
		if (fault(FAULT_AGAIN))
			error = EAGAIN;
		else if (fault(FAULT_RESET))
			error = ECONNRESET;
		else if (n > 1)
			*is_short = fault(FAULT_SHORT_WRITE);
	}
	errno = error != 0 ? error : errno;
	return error != 0;
}

ssize_t read(int fd, void *p, size_t n)
{
	REAL(read);
	return reading_fails(fd, &n) ? -1 : real(fd, p, n);
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
	REAL(recv);
	return reading_fails(fd, &n) ? -1 : real(fd, p, n, flags);
}

/* Our own objects are built with _FORTIFY_SOURCE. */
ssize_t __read_chk(int fd, void *p, size_t n, size_t room);
ssize_t __read_chk(int fd, void *p, size_t n, size_t room)
{
	(void)room;
	return read(fd, p, n);
}

ssize_t write(int fd, const void *p, size_t n)
{
	bool is_short;

	REAL(write);
	return writing_fails(fd, n, &is_short) ? -1 : real(fd, p, is_short ? 1 : n);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
	bool is_short;

	REAL(send);
	return writing_fails(fd, n, &is_short) ? -1
					       : real(fd, p, is_short ? 1 : n, flags);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	bool is_short;

	REAL(writev);
	if (writing_fails(fd, n > 0 ? v[0].iov_len : 0, &is_short))
		return -1;
	return is_short ? write(fd, v[0].iov_base, 1) : real(fd, v, n);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	bool is_short;

	REAL(sendmsg);
	if (fault(FAULT_PEER))
		faults.peer();
	if (writing_fails(fd, m->msg_iov[0].iov_len, &is_short))
		return -1;
	return is_short ? send(fd, m->msg_iov[0].iov_base, 1, flags) : real(fd, m, flags);
}

int connect(int fd, const struct sockaddr *to, socklen_t n)
{
	REAL(connect);
	if (fault(FAULT_REFUSED)) {
		errno = ECONNREFUSED;
		return -1;
	}
	return real(fd, to, n);
}

static bool no_descriptor(void)
{
	if (!fault(FAULT_DESCRIPTORS))
		return false;
	errno = EMFILE;
	return true;
}

int accept4(int fd, struct sockaddr *from, socklen_t *n, int flags)
{
	REAL(accept4);
	if (no_descriptor())
		return -1;
	if (fault(FAULT_INTR)) {
		errno = EINTR;
		return -1;
	}
	return real(fd, from, n, flags);
}

int socket(int domain, int type, int protocol)
{
	REAL(socket);
	return no_descriptor() ? -1 : real(domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int fd[2])
{
	REAL(socketpair);
	return no_descriptor() ? -1 : real(domain, type, protocol, fd);
}

int eventfd(unsigned start, int flags)
{
	REAL(eventfd);
	return no_descriptor() ? -1 : real(start, flags);
}

int epoll_create1(int flags)
{
	REAL(epoll_create1);
	return no_descriptor() ? -1 : real(flags);
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	REAL(open);
	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return no_descriptor() ? -1 : real(path, flags, mode);
}

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *e)
{
	REAL(epoll_ctl);
	if (op == EPOLL_CTL_ADD && fault(FAULT_EPOLL)) {
		errno = ENOSPC;
		return -1;
	}
	return real(epoll, op, fd, e);
}

int epoll_wait(int epoll, struct epoll_event *e, int n, int ms)
{
	REAL(epoll_wait);
	if (fault(FAULT_INTR)) {
		errno = EINTR;
		return -1;
	}
	return real(epoll, e, n, ms);
}

/* Disk. */

static bool disk_fails(bool grows)
{
	int error = grows && fault(FAULT_DISK_FULL) ? ENOSPC
		    : fault(FAULT_DISK_ERROR)       ? EIO
						    : 0;

	errno = error != 0 ? error : errno;
	return error != 0;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	REAL(pwrite);
	return disk_fails(true) ? -1 : real(fd, p, n, at);
}

int ftruncate(int fd, off_t n)
{
	REAL(ftruncate);
	return disk_fails(true) ? -1 : real(fd, n);
}

int fdatasync(int fd)
{
	REAL(fdatasync);
	return disk_fails(false) ? -1 : real(fd);
}

int fsync(int fd)
{
	REAL(fsync);
	return disk_fails(false) ? -1 : real(fd);
}

#endif
