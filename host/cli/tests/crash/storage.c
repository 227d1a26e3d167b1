/*
 * Comes between the host and its storage: loaded before libc (LD_PRELOAD), it lets calls on the journal's files fail while the
 * control file says so, and keeps what was overwritten and not synced, so that a test can take it back as a power cut does.
 *
 *   REAPPLY_STORAGE_OF        the directory in which, at any depth, files named journal.db and journal.db-wal are meant
 *   REAPPLY_STORAGE_CONTROL   the control file: a `struct control`, mapped by both sides
 *   REAPPLY_STORAGE_UNSYNCED  where to keep what is not synced; without it nothing is kept
 *
 * Names of files are not covered: a created or removed file counts as durable at once.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE, SYNC, TRUNCATE, READ, CALLS };
enum { WELL, IO_ERROR, NO_SPACE, CUT_SHORT };

struct control {
    volatile uint32_t fault[CALLS];
    volatile uint32_t injected[CALLS];
};

/* What the file of unsynced writes is made of: a header, and then `old_length` bytes that were there before. */
enum { WRITTEN, SYNCED, SYNC_FAILED };
struct entry {
    uint64_t kind, inode, offset, length, old_length;
};

static struct control nothing;
static struct control *control = &nothing;
static const char *directory;
static int unsynced = -1;
/* Held through each call that changes a file, so that entries are in the order of what they tell of. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, parameters) \
    static type(*real) parameters; \
    if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, name)

static ssize_t really_pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    REAL(ssize_t, "pwrite64", (int, const void *, size_t, off_t));
    return real(fd, bytes, length, offset);
}

static ssize_t really_pread(int fd, void *bytes, size_t length, off_t offset) {
    REAL(ssize_t, "pread64", (int, void *, size_t, off_t));
    return real(fd, bytes, length, offset);
}

static void give_up(const char *what) {
    perror(what);
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("REAPPLY_STORAGE_CONTROL");
    directory = getenv("REAPPLY_STORAGE_OF");
    if (!path || !directory) return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) give_up(path);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (control == MAP_FAILED) give_up("mmap");
    const char *kept = getenv("REAPPLY_STORAGE_UNSYNCED");
    if (!kept) return;
    unsynced = open(kept, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (unsynced < 0) give_up(kept);
}

/* Whether a file is one of the journal's. What is not leaves errno as it was. */
static int is_meant(int fd) {
    char link[32], path[4096];
    if (!directory) return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    size_t directory_length = strlen(directory);
    if (strncmp(path, directory, directory_length) || path[directory_length] != '/') return 0;
    const char *name = strrchr(path, '/') + 1;
    return !strcmp(name, "journal.db") || !strcmp(name, "journal.db-wal");
}

/* Whether a call on a file shall fail, and how. Counts it. */
static uint32_t fault_of(int call, int fd) {
    uint32_t fault = control->fault[call];
    if (fault == WELL || !is_meant(fd)) return WELL;
    __sync_fetch_and_add(&control->injected[call], 1);
    errno = fault == NO_SPACE ? ENOSPC : EIO;
    return fault;
}

static void keep(const struct entry *entry, const void *old) {
    static off_t end;
    if (really_pwrite(unsynced, entry, sizeof *entry, end) != (ssize_t)sizeof *entry) give_up("keep");
    end += sizeof *entry;
    if (really_pwrite(unsynced, old, entry->old_length, end) != (ssize_t)entry->old_length) give_up("keep");
    end += entry->old_length;
}

static uint64_t inode_of(int fd) {
    struct stat status;
    if (fstat(fd, &status)) give_up("fstat");
    return status.st_ino;
}

/* Keeps what a write is about to replace. */
static void keep_old(int fd, size_t length, off_t offset) {
    if (unsynced < 0 || !is_meant(fd)) return;
    char *old = malloc(length);
    ssize_t old_length = really_pread(fd, old, length, offset);
    if (old_length < 0) old_length = 0;
    struct entry entry = { WRITTEN, inode_of(fd), offset, length, old_length };
    keep(&entry, old);
    free(old);
}

static void keep_mark(int fd, int kind) {
    if (unsynced < 0 || !is_meant(fd)) return;
    struct entry entry = { kind, inode_of(fd), 0, 0, 0 };
    keep(&entry, "");
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    uint32_t fault = fault_of(WRITE, fd);
    if (fault == IO_ERROR || fault == NO_SPACE) return -1;
    if (fault == CUT_SHORT && length > 1) length /= 2;
    pthread_mutex_lock(&lock);
    keep_old(fd, length, offset);
    ssize_t result = really_pwrite(fd, bytes, length, offset);
    pthread_mutex_unlock(&lock);
    return result;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return pwrite64(fd, bytes, length, offset);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(ssize_t, "write", (int, const void *, size_t));
    if (!directory || !is_meant(fd)) return real(fd, bytes, length);
    uint32_t fault = fault_of(WRITE, fd);
    if (fault == IO_ERROR || fault == NO_SPACE) return -1;
    if (fault == CUT_SHORT && length > 1) length /= 2;
    pthread_mutex_lock(&lock);
    keep_old(fd, length, lseek(fd, 0, SEEK_CUR));
    ssize_t result = real(fd, bytes, length);
    pthread_mutex_unlock(&lock);
    return result;
}

/* A sync that fails leaves open what is durable: the system may have dropped the pages, and call them clean. */
static int sync_with(int (*real)(int), int fd) {
    if (!directory || !is_meant(fd)) return real(fd);
    int failed = fault_of(SYNC, fd) != WELL;
    pthread_mutex_lock(&lock);
    int result = failed ? -1 : real(fd);
    keep_mark(fd, result ? SYNC_FAILED : SYNCED);
    pthread_mutex_unlock(&lock);
    if (failed) errno = EIO;
    return result;
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", (int));
    return sync_with(real, fd);
}

int fsync(int fd) {
    REAL(int, "fsync", (int));
    return sync_with(real, fd);
}

int ftruncate64(int fd, off_t length) {
    REAL(int, "ftruncate64", (int, off_t));
    return fault_of(TRUNCATE, fd) == WELL ? real(fd, length) : -1;
}

int ftruncate(int fd, off_t length) {
    return ftruncate64(fd, length);
}

ssize_t pread64(int fd, void *bytes, size_t length, off_t offset) {
    return fault_of(READ, fd) == WELL ? really_pread(fd, bytes, length, offset) : -1;
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset) {
    return pread64(fd, bytes, length, offset);
}

ssize_t read(int fd, void *bytes, size_t length) {
    REAL(ssize_t, "read", (int, void *, size_t));
    return fault_of(READ, fd) == WELL ? real(fd, bytes, length) : -1;
}
