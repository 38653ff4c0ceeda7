/* Makes a disk full for the program that loads it: from the call FULL_AT on, nothing more can be written to regular files.
   The call itself is cut in half where it can be. How many calls there were goes to the file FULL_COUNT. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long full_at(void) {
    const char *text = getenv("FULL_AT");
    return text ? atol(text) : 0;
}

static long calls;

/* The number of this call, and whether the disk is full by then. */
static int is_full(long *call) {
    *call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    long at = full_at();
    return at > 0 && *call >= at;
}

/* What it says goes elsewhere, where there is room. */
static int is_file(int fd) {
    struct stat s;
    return fd > 2 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
}

static int refuse(void) {
    errno = ENOSPC;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    long call;
    if (is_file(fd) && is_full(&call)) {
        if (call > full_at() || count < 2) return refuse();
        count /= 2;
    }
    return NEXT(write)(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    long call;
    if (is_file(fd) && is_full(&call)) {
        if (call > full_at() || count < 2) return refuse();
        count /= 2;
    }
    return NEXT(pwrite64)(fd, bytes, count, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    long call;
    if (is_file(fd) && is_full(&call)) return refuse();
    return NEXT(writev)(fd, parts, count);
}

int fsync(int fd) {
    long call;
    return is_file(fd) && is_full(&call) ? refuse() : NEXT(fsync)(fd);
}

int fdatasync(int fd) {
    long call;
    return is_file(fd) && is_full(&call) ? refuse() : NEXT(fdatasync)(fd);
}

int mkdir(const char *path, mode_t mode) {
    long call;
    return is_full(&call) ? refuse() : NEXT(mkdir)(path, mode);
}

int open64(const char *path, int flags, ...) {
    long call;
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & O_CREAT && access(path, F_OK) != 0 && is_full(&call)) return refuse();
    return NEXT(open64)(path, flags, mode);
}

__attribute__((destructor)) static void count(void) {
    const char *path = getenv("FULL_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    /* The count is for the parent, which has room. */
    unsetenv("FULL_AT");
    fprintf(file, "%ld", calls);
    fclose(file);
}
