/*
 * provenance.c: reads files in every way and says what the tap must have recorded of it: a line "file NAME ADDRESS SIZE
 * OFFSET" for every read of a model file, in order. Other reads are made as well, of which nothing may be recorded.
 *
 *      provenance DIRECTORY     with model.gguf, model.safetensors, model.pt, archive, other, small.gguf in it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 65536

static char *buffer;
static const char *directory;
static void *volatile nowhere = (void *)8;

static void must(int is_so, const char *what)
{
    if (is_so)
        return;
    printf("failed: %s, errno %d\n", what, errno);
    exit(1);
}

static const char *path_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void expect(const char *name, const void *address, size_t size, size_t offset)
{
    printf("file %s %p %zu %zu\n", name, address, size, offset);
}

static int open_file(const char *name)
{
    int fd = open(path_of(name), O_RDONLY);
    must(fd >= 0, name);
    return fd;
}

/* Reads once and expects the record if the file is a model. */
static void read_once(int fd, const char *model, size_t size, size_t offset, ssize_t result)
{
    must(read(fd, buffer, size) == result, "read");
    if (model && result > 0)
        expect(model, buffer, (size_t)result, offset);
}

static void kinds_of_files(void)
{
    static const char *const models[] = { "model.gguf", "model.safetensors", "model.pt", "archive" };
    for (unsigned i = 0; i < sizeof models / sizeof *models; i++) {
        int fd = open_file(models[i]);
        read_once(fd, models[i], 1000, 0, 1000);
        read_once(fd, models[i], 100, 1000, 100);
        close(fd);
    }
    static const char *const others[] = { "other", "small.gguf", "other.pt" };
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        int fd = open_file(others[i]);
        must(read(fd, buffer, 500) == 500, others[i]);
        close(fd);
    }
}

static void short_reads_and_ends(void)
{
    int fd = open_file("model.gguf");
    must(read(fd, buffer, 8) == 8, "short"); /* too short to be looked at */
    read_once(fd, "model.gguf", 64, 8, 64);
    must(lseek(fd, -10, SEEK_END) == SIZE - 10, "seek");
    read_once(fd, "model.gguf", 4096, SIZE - 10, 10);
    read_once(fd, "model.gguf", 4096, SIZE, 0);
    errno = 0;
    must(read(fd, nowhere, 4096) == 0 && errno == 0, "at the end");
    must(lseek(fd, 0, SEEK_SET) == 0, "seek");
    must(read(fd, nowhere, 4096) == -1 && errno == EFAULT, "nowhere");
    must(read(-1, buffer, 4096) == -1 && errno == EBADF, "no descriptor");
    close(fd);
    must(read(fd, buffer, 4096) == -1 && errno == EBADF, "closed descriptor");
}

static void with_offsets(void)
{
    int fd = open_file("model.gguf");
    struct iovec parts[3] = { { buffer, 1000 }, { buffer + 5000, 0 }, { buffer + 9000, 1000 } };
    must(pread(fd, buffer, 1000, 500) == 1000, "pread");
    expect("model.gguf", buffer, 1000, 500);
    must(pread64(fd, buffer, 1000, SIZE - 100) == 100, "pread64");
    expect("model.gguf", buffer, 100, SIZE - 100);
    must(readv(fd, parts, 3) == 2000, "readv");
    expect("model.gguf", buffer, 1000, 0);
    expect("model.gguf", buffer + 9000, 1000, 1000);
    must(preadv(fd, parts, 3, SIZE - 1500) == 1500, "preadv");
    expect("model.gguf", buffer, 1000, SIZE - 1500);
    expect("model.gguf", buffer + 9000, 500, SIZE - 500);
    must(lseek(fd, 0, SEEK_CUR) == 2000, "the position");
    close(fd);
}

static void by_streams(void)
{
    FILE *f = fopen(path_of("model.gguf"), "rb");
    must(f != NULL, "fopen");
    must(fread(buffer, 1, 1000, f) == 1000, "fread");
    expect("model.gguf", buffer, 1000, 0);
    must(fread(buffer, 8, 1, f) == 1, "short");
    must(fread(buffer, 4, 100, f) == 100, "items");
    expect("model.gguf", buffer, 400, 1008);
    must(fseek(f, 30000, SEEK_SET) == 0, "fseek");
    must(fread_unlocked(buffer, 1, 20000, f) == 20000, "fread_unlocked");
    expect("model.gguf", buffer, 20000, 30000);
    must(fseek(f, -70, SEEK_END) == 0, "fseek");
    must(fread(buffer, 40, 10, f) == 1 && feof(f) && !ferror(f), "a cut item");
    expect("model.gguf", buffer, 70, SIZE - 70);
    must(fclose(f) == 0, "fclose");
    f = fopen(path_of("other"), "rb");
    must(f && fread(buffer, 1, 1000, f) == 1000 && fclose(f) == 0, "another file");
    char text[] = "a stream without a descriptor, which is long enough to be looked at, if there were one";
    f = fmemopen(text, sizeof text, "r");
    errno = 0;
    must(f && fread(buffer, 1, sizeof text, f) == sizeof text && errno == 0 && fclose(f) == 0, "fmemopen");
}

/* Numbers of descriptors come again for other files, and files under other numbers. */
static void numbers(void)
{
    int ends[2], fd = open_file("model.gguf"), copy = dup(fd), other = open_file("other");
    read_once(copy, "model.gguf", 100, 0, 100);
    read_once(fd, "model.gguf", 100, 100, 100);
    read_once(other, NULL, 100, 0, 100);
    must(dup2(fd, other) == other, "dup2");
    read_once(other, "model.gguf", 100, 200, 100);
    close(other);
    close(copy);
    must(open_file("other") == copy, "the same number");
    read_once(copy, NULL, 100, 0, 100);
    must(dup3(fd, copy, O_CLOEXEC) == copy, "dup3");
    read_once(copy, "model.gguf", 100, 300, 100);
    must(fcntl(fd, F_DUPFD, 50) == 50, "fcntl");
    read_once(50, "model.gguf", 100, 400, 100);
    close(50);
    close(copy);
    close(fd);
    must(pipe(ends) == 0 && ends[0] == fd && write(ends[1], buffer, 100) == 100, "pipe");
    read_once(fd, NULL, 100, 0, 100);
    close(ends[0]);
    close(ends[1]);
}

/* libc closes and opens descriptors past the tap. */
static void behind_the_back(void)
{
    FILE *f = fopen(path_of("model.gguf"), "rb");
    must(f && fread(buffer, 1, 1000, f) == 1000, "fread");
    expect("model.gguf", buffer, 1000, 0);
    f = freopen(path_of("other"), "rb", f);
    must(f && fread(buffer, 1, 1000, f) == 1000 && fclose(f) == 0, "freopen");
}

static void in_children(void)
{
    int fd = open_file("model.gguf");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        _exit(read(fd, buffer, 1000) == 1000 ? 0 : 1); /* is in the child's trace, with this process's expectations */
    }
    int status = -1;
    must(waitpid(child, &status, 0) == child && status == 0, "the child");
    expect("model.gguf", buffer, 1000, 0);
    read_once(fd, "model.gguf", 1000, 1000, 1000);
    close(fd);
}

/* Everything that opening can be asked for still is what it was. */
static void kinds_of_opening(void)
{
    struct rlimit limit = { 64, 64 };
    int fd = open(path_of("new"), O_RDWR | O_CREAT | O_EXCL, 0640);
    must(fd >= 0 && ftruncate(fd, 5000) == 0 && read(fd, buffer, 5000) == 5000 && close(fd) == 0, "O_CREAT");
    must(open(path_of("new"), O_RDWR | O_CREAT | O_EXCL, 0640) == -1 && errno == EEXIST, "O_EXCL");
    must(open(path_of("none"), O_RDONLY) == -1 && errno == ENOENT, "no file");
    fd = open(path_of("model.gguf"), O_PATH);
    must(fd >= 0 && read(fd, buffer, 1000) == -1 && errno == EBADF && close(fd) == 0, "O_PATH");
    fd = openat(AT_FDCWD, path_of("model.gguf"), O_RDONLY | O_CLOEXEC);
    read_once(fd, "model.gguf", 1000, 0, 1000);
    must(close(fd) == 0 && close(fd) == -1 && errno == EBADF, "close");
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
    while ((fd = open(path_of("model.gguf"), O_RDONLY)) >= 0 && fd < 63)
        ;
    must(open(path_of("model.gguf"), O_RDONLY) == -1 && errno == EMFILE, "no descriptor left");
    read_once(fd, "model.gguf", 1000, 0, 1000);
}

int main(int argc, char **argv)
{
    must(argc == 2, "usage: provenance DIRECTORY");
    directory = argv[1];
    buffer = calloc(1, SIZE);
    must(buffer != NULL, "calloc");
    kinds_of_files();
    short_reads_and_ends();
    with_offsets();
    by_streams();
    numbers();
    behind_the_back();
    in_children();
    kinds_of_opening();
    return 0;
}
