/* The wall clock of a redis-server that records tapes: what a file says, in microseconds. Preloaded into the server;
 * its timers go by the monotonic clock, which stays as it is. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile long long *micros;

__attribute__((constructor)) static void open_clock(void) {
    const char *path = getenv("KEVY_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    void *shared = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *micros, PROT_READ, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED) abort();
    micros = shared;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    now->tv_sec = *micros / 1000000;
    now->tv_usec = *micros % 1000000;
    return 0;
}

time_t time(time_t *now) {
    time_t seconds = *micros / 1000000;
    if (now) *now = seconds;
    return seconds;
}
