/*
 * Changes the clock of a program that preloads this library: the time of day is off by the number of seconds in /clock, such as
 * "+3600", and the monotonic clock is that of the machine, as after settimeofday(2). It uses no lock. libfaketime is not used,
 * because haproxy 3.0 reads the time before libfaketime is ready, and the two deadlock.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void)
{
	char text[16] = "";
	int saved = errno;
	long n = 0, fd = syscall(SYS_openat, AT_FDCWD, "/clock", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		syscall(SYS_read, fd, text, sizeof text - 1);
		syscall(SYS_close, fd);
	}
	for (const char *c = text + 1; *text && *c >= '0' && *c <= '9'; c++)
		n = 10 * n + *c - '0';
	errno = saved;
	return *text == '-' ? -n : n;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	if (syscall(SYS_clock_gettime, id, t) != 0)
		return -1;
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		t->tv_sec += offset();
	return 0;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (t)
		*t = now.tv_sec;
	return now.tv_sec;
}
