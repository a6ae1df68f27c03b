// Files and directories below /data, temporary ones below /tmp.
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static void streams(void)
{
    FILE* file = fopen("/data/text", "w");
    char line[64];
    long at;
    CHECK(file != NULL && fprintf(file, "one %d\ntwo\n", 1) == 10 && fclose(file) == 0);
    file = fopen("/data/text", "a+");
    CHECK(file != NULL && fputs("three\n", file) >= 0 && fflush(file) == 0);
    CHECK(fseek(file, 6, SEEK_SET) == 0 && fgets(line, sizeof line, file) != NULL);
    CHECK(strcmp(line, "two\n") == 0);
    at = ftell(file);
    CHECK(at == 10 && fgets(line, sizeof line, file) != NULL && strcmp(line, "three\n") == 0);
    CHECK(fgets(line, sizeof line, file) == NULL && feof(file) && fclose(file) == 0);
    NOTHING(fopen("/data/none", "r"), ENOENT);
    CHECK(fopen("/outside/none", "w") == NULL);
}

static void descriptors(void)
{
    struct stat info;
    char bytes[8] = "";
    const int fd = open("/data/bytes", O_RDWR | O_CREAT | O_EXCL, 0644);
    CHECK(fd >= 0 && write(fd, "abcdef", 6) == 6 && lseek(fd, 2, SEEK_SET) == 2);
    CHECK(read(fd, bytes, 3) == 3 && memcmp(bytes, "cde", 3) == 0);
    CHECK(pwrite(fd, "X", 1, 0) == 1 && pread(fd, bytes, 2, 0) == 2 && bytes[0] == 'X');
    CHECK(ftruncate(fd, 4) == 0 && fstat(fd, &info) == 0 && info.st_size == 4);
    CHECK(S_ISREG(info.st_mode) && fsync(fd) == 0 && close(fd) == 0);
    REFUSED(close(fd), EBADF);
    REFUSED(open("/data/bytes", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
    CHECK(access("/data/bytes", R_OK) == 0);
    REFUSED(access("/data/none", F_OK), ENOENT);
}

static void directories(void)
{
    int seen = 0;
    struct dirent* entry;
    DIR* dir;
    CHECK(mkdir("/data/dir", 0755) == 0);
    REFUSED(mkdir("/data/dir", 0755), EEXIST);
    CHECK(rename("/data/bytes", "/data/dir/bytes") == 0);
    REFUSED(rmdir("/data/dir"), ENOTEMPTY);
    dir = opendir("/data/dir");
    CHECK(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        seen += strcmp(entry->d_name, "bytes") == 0;
    }
    CHECK(seen == 1 && closedir(dir) == 0);
    CHECK(chdir("/data/dir") == 0 && access("bytes", F_OK) == 0 && chdir("/data") == 0);
    CHECK(unlink("/data/dir/bytes") == 0 && rmdir("/data/dir") == 0);
    NOTHING(opendir("/data/dir"), ENOENT);
}

static void mapped(void)
{
    const int fd = open("/data/text", O_RDWR);
    char* text;
    CHECK(fd >= 0);
    text = (char*)mmap(NULL, 16, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, fd, 0);
    CHECK(text != MAP_FAILED && memcmp(text, "one 1\ntwo\nthree\n", 16) == 0 && text[16] == 0);
    text[0] = 'X'; // private: the file keeps its own
    CHECK(msync(text, 16, MS_SYNC) == 0 && munmap(text, 16) == 0);
    text = (char*)mmap(NULL, 100, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(text != MAP_FAILED && text[0] == 'o' && text[99] == 0 && munmap(text, 100) == 0);
    close(fd);
    errno = 0;
    CHECK(mmap(NULL, 16, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EBADF);
}

static void temporary(void)
{
    char name[] = "/tmp/file-XXXXXX";
    char dir[] = "/tmp/dir-XXXXXX";
    char path[PATH_MAX];
    char wrong[] = "/tmp/wrong";
    char text[4] = "";
    FILE* file;
    const int fd = mkstemp(name);
    CHECK(fd >= 0 && strcmp(name, "/tmp/file-XXXXXX") != 0 && close(fd) == 0);
    CHECK(mkdtemp(dir) == dir && rmdir(dir) == 0);
    REFUSED(mkstemp(wrong), EINVAL);
    file = tmpfile();
    CHECK(file != NULL && fputs("tmp", file) >= 0);
    rewind(file);
    CHECK(fread(text, 1, 3, file) == 3 && strcmp(text, "tmp") == 0 && fclose(file) == 0);
    CHECK(symlink(name + 5, "/tmp/link") == 0);
    CHECK(realpath("/tmp/./x/../link", path) == path && strcmp(path, name) == 0);
    NOTHING(realpath("/tmp/none", path), ENOENT);
    NOTHING(realpath("", path), ENOENT);
    CHECK(unlink("/tmp/link") == 0 && unlink(name) == 0);
}

static void refusals(void)
{
    struct statvfs info;
    REFUSED(chmod("/data/text", 0600), EPERM);
    REFUSED(chmod("/data/none", 0600), ENOENT);
    REFUSED(fchmod(0, 0600), EPERM);
    REFUSED(fchmod(99, 0600), EBADF);
    REFUSED(chown("/data/text", 1, 1), EPERM);
    CHECK(chown("/data/text", (uid_t)-1, (gid_t)-1) == 0);
    REFUSED(chown("/data/none", (uid_t)-1, (gid_t)-1), ENOENT);
    REFUSED(mkfifo("/data/fifo", 0600), EPERM);
    REFUSED(flock(0, LOCK_EX), ENOSYS);
    REFUSED(flock(99, LOCK_EX), EBADF);
    REFUSED(lockf(0, F_LOCK, 0), ENOSYS);
    REFUSED(statvfs("/data", &info), ENOSYS);
    REFUSED(chroot("/data"), EPERM);
    umask(022);
    CHECK(umask(077) == 022 && umask(022) == 077);
}

int main(void)
{
    streams();
    descriptors();
    directories();
    mapped();
    temporary();
    refusals();
    puts("files ok");
    return 0;
}
